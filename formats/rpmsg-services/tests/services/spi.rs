//! rpmsg-services.md 5, from both sides.

use embedded_hal::spi::{Error as _, ErrorKind, Operation, SpiDevice};
use rpmsg_services::spi::{Client, serve};
use rpmsg_services::{Error, Failure, Status, Transport};

use crate::devices::Loopback;
use crate::script::{Done, Script};

/// A client of the second of two devices.
fn client(devices: &mut [Loopback]) -> Client<impl Transport<Error = &'static str>> {
    let answer = move |request: &[u8]| {
        let done = Done::by(|room| serve(devices, request, room));
        done.bytes.into_iter().collect()
    };
    Client::new(Script::new(answer), 1)
}

fn two() -> [Loopback; 2] {
    let second = Loopback {
        mask: 0xff,
        ..Loopback::default()
    };
    [Loopback::default(), second]
}

fn served(request: &[u8]) -> Done {
    let mut devices = two();
    let done = Done::by(|room| serve(&mut devices, request, room));
    if done.refused.is_some() {
        for device in devices {
            assert!(device.transactions.borrow().is_empty(), "{request:x?}");
        }
    }
    done
}

/// A request to a chip select of operations (write, read, delay), and the bytes behind them.
fn request(chip_select: u8, operations: &[(u16, u16, u32)], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1, operations.len() as u8, 0x34, 0x12, chip_select, 8, 0, 0];
    for (write, read, delay) in operations {
        bytes.extend(write.to_le_bytes());
        bytes.extend(read.to_le_bytes());
        bytes.extend(delay.to_le_bytes());
    }
    bytes.extend(data);
    bytes
}

/// rpmsg-services.md 5.1 and 5.5, byte for byte; if it fails, do not change the test.
#[test]
fn the_bytes_of_an_spi_request_and_its_answer() {
    let mut answers = Vec::new();
    let mut devices = two();
    let answer = |request: &[u8]| {
        let done = Done::by(|room| serve(&mut devices, request, room));
        answers.push(done.bytes.clone().unwrap());
        vec![done.bytes.unwrap()]
    };
    let mut client = Client::new(Script::new(answer), 1);
    let (mut into, mut other) = ([0; 2], [0xa0]);
    client
        .transaction(&mut [
            Operation::Write(&[9]),
            Operation::DelayNs(0x1234),
            Operation::Read(&mut into),
            Operation::TransferInPlace(&mut other),
        ])
        .unwrap();
    assert_eq!((into, other), ([0, 1], [0x5f]));
    #[rustfmt::skip]
    let expected = [
        // version, operations, number
        1, 4, 1, 0,
        // chip select 1, 8 bits
        1, 8, 0, 0,
        // write one byte
        1, 0, 0, 0, 0, 0, 0, 0,
        // wait
        0, 0, 0, 0, 0x34, 0x12, 0, 0,
        // read two bytes
        0, 0, 2, 0, 0, 0, 0, 0,
        // write one and read one at once
        1, 0, 1, 0, 0, 0, 0, 0,
        // what is written
        9, 0xa0,
    ];
    assert_eq!(client.transport().sent, [expected]);
    drop(client);
    assert_eq!(answers, [[1, 0, 1, 0, 0, 1, 0x5f]]);
}

#[test]
fn an_spi_client_does_to_a_device_what_its_caller_would_do() {
    let mut devices = two();
    let log = devices[1].transactions.clone();
    let mut far = client(&mut devices);
    let mut bytes = *b"abc";
    far.transfer_in_place(&mut bytes).unwrap();
    assert_eq!(bytes, [0x9e, 0x9d, 0x9c]);
    let mut into = [0; 2];
    far.transfer(&mut into, &[1, 2, 3]).unwrap();
    assert_eq!(into, [0xfe, 0xfd]);
    far.write(&[]).unwrap();
    // The device is selected and let go, with nothing between.
    far.transaction(&mut []).unwrap();
    far.transaction(&mut [Operation::DelayNs(10_000_000)])
        .unwrap();
    drop(far);
    assert!(devices[0].transactions.borrow().is_empty());
    let log = log.borrow();
    let expected: [&[&str]; 5] = [
        &["transfer 3 [61, 62, 63]"],
        &["transfer 2 [1, 2, 3]"],
        &["delay 0"],
        &[],
        &["delay 10000000"],
    ];
    assert_eq!(*log, expected);
}

#[test]
fn devices_of_several_types_stand_at_one_bus() {
    struct Broken;
    impl embedded_hal::spi::ErrorType for Broken {
        type Error = ErrorKind;
    }
    impl SpiDevice for Broken {
        fn transaction(&mut self, _: &mut [Operation<'_, u8>]) -> Result<(), ErrorKind> {
            Err(ErrorKind::ModeFault)
        }
    }
    let (mut one, mut other) = (Loopback::default(), Broken);
    let mut devices: [&mut dyn SpiDevice<Error = ErrorKind>; 2] = [&mut one, &mut other];
    for (chip_select, status) in [(0, Status::Done), (1, Status::ModeFault)] {
        let bytes = request(chip_select, &[], &[]);
        let done = Done::by(|room| serve(&mut devices, &bytes, room));
        done.expect_status(&bytes, status);
    }
}

/// rpmsg-services.md 2.7 and 7.1.
#[test]
fn an_spi_device_that_fails_says_why_in_the_words_of_embedded_hal() {
    let mut devices = two();
    for (kind, status) in [
        (ErrorKind::Overrun, Status::Overrun),
        (ErrorKind::ModeFault, Status::ModeFault),
        (ErrorKind::FrameFormat, Status::FrameFormat),
        (ErrorKind::ChipSelectFault, Status::ChipSelectFault),
        (ErrorKind::Other, Status::Failed),
    ] {
        devices[1].fails = Some(kind);
        let failed = client(&mut devices).write(&[1]).unwrap_err();
        assert_eq!(failed, Failure::Refused(status));
        assert_eq!(failed.kind(), kind);
    }
    let nobody = client(&mut devices[..1]).write(&[1]).unwrap_err();
    assert_eq!(nobody, Failure::Refused(Status::LineUnknown));
    assert_eq!(nobody.kind(), ErrorKind::Other);
}

/// rpmsg-services.md 2.3, 5.2 and 5.4.
#[test]
fn what_fits_into_an_spi_message_is_asked_for_and_what_does_not_is_refused_unsent() {
    let mut devices = two();
    let log = devices[1].transactions.clone();
    let mut far = client(&mut devices);
    let mut long = [0; 493];
    assert_eq!(far.read(&mut long[..492]), Ok(()));
    assert_eq!(far.write(&[0; 480]), Ok(()));
    let read = far.read(&mut long);
    let written = far.write(&[0; 481]);
    let patience = far.transaction(&mut [Operation::DelayNs(9_999_999), Operation::DelayNs(2)]);
    let mut many: Vec<_> = (0..9).map(|_| Operation::DelayNs(0)).collect();
    let crowd = far.transaction(&mut many);
    drop(far);
    let limit = 496;
    for (outcome, rule) in [
        (read, Error::AnswerTooLong { found: 497, limit }),
        (written, Error::RequestTooLong { found: 497, limit }),
        (
            patience,
            Error::DelayTooLong {
                found: 10_000_001,
                limit: 10_000_000,
            },
        ),
        (
            crowd,
            Error::OperationCount {
                found: 9,
                least: 0,
                most: 8,
            },
        ),
    ] {
        assert_eq!(outcome, Err(Failure::Broken(rule)));
    }
    assert_eq!(log.borrow().len(), 2);
}

/// rpmsg-services.md 2.3 and 5.2 to 5.4.
#[test]
fn an_spi_request_that_breaks_a_rule_is_refused_by_its_name_and_no_device_is_selected() {
    let changed = |at: usize, value: u8| {
        let mut bytes = request(1, &[(1, 1, 0)], &[7]);
        bytes[at] = value;
        bytes
    };
    let cut = |len: usize| request(1, &[(1, 1, 0)], &[7])[..len].to_vec();
    let length = |found, expected| Error::RequestLength { found, expected };
    let limit = 496;
    for (bytes, rule) in [
        (cut(4), length(4, 16)),
        (cut(7), length(7, 16)),
        (cut(8), length(8, 16)),
        (cut(15), length(15, 16)),
        (cut(16), length(16, 17)),
        (request(1, &[(1, 1, 0)], &[7, 7]), length(18, 17)),
        (
            request(1, &[(0, 0, 0); 9], &[]),
            Error::OperationCount {
                found: 9,
                least: 0,
                most: 8,
            },
        ),
        (changed(5, 0), Error::BitsPerWord { found: 0 }),
        (changed(5, 16), Error::BitsPerWord { found: 16 }),
        (changed(6, 1), Error::Reserved { found: 1 }),
        (changed(7, 1), Error::Reserved { found: 0x100 }),
        (
            changed(12, 1),
            Error::DelayWithBytes {
                operation: 0,
                delay: 1,
            },
        ),
        (
            request(1, &[(0, 0, 1), (0, 4, 2)], &[]),
            Error::DelayWithBytes {
                operation: 1,
                delay: 2,
            },
        ),
        (
            request(1, &[(0, 0, u32::MAX); 2], &[]),
            Error::DelayTooLong {
                found: 2 * u64::from(u32::MAX),
                limit: 10_000_000,
            },
        ),
        (
            request(1, &[(0, 493, 0)], &[]),
            Error::AnswerTooLong { found: 497, limit },
        ),
    ] {
        served(&bytes).expect_refused(&bytes, Status::Malformed, rule);
    }
    let nobody = request(2, &[(1, 1, 0)], &[7]);
    served(&nobody).expect_status(&nobody, Status::LineUnknown);
    let good = request(1, &[(1, 1, 0)], &[7]);
    assert_eq!(served(&good).bytes, Some(vec![1, 0, 0x34, 0x12, 0xf8]));
}
