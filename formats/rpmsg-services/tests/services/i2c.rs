//! rpmsg-services.md 4, from both sides.

use embedded_hal::i2c::{
    Error as _, ErrorKind, I2c, NoAcknowledgeSource, Operation, SevenBitAddress, TenBitAddress,
};
use rpmsg_services::i2c::{Address, Client, serve};
use rpmsg_services::{Error, Failure, Status, Transport};

use crate::devices::{ADDRESS, LONG_ADDRESS, Registers};
use crate::script::{Done, Script};

/// A client of a bus, beside which the bus can be looked at.
fn client(bus: &mut Registers) -> Client<impl Transport<Error = &'static str>> {
    Client::new(Script::new(move |request| {
        let done = Done::by(|room| serve::<SevenBitAddress, _>(bus, request, room));
        done.bytes.into_iter().collect()
    }))
}

fn served(request: &[u8]) -> Done {
    let mut bus = Registers::default();
    let done = Done::by(|room| serve::<SevenBitAddress, _>(&mut bus, request, room));
    if done.refused.is_some() {
        assert_eq!(bus.transactions, [], "the bus was used for {request:x?}");
    }
    done
}

/// A request of operations at an address field, and the bytes behind them.
fn request(operations: &[(u16, u16, u32)], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1, operations.len() as u8, 0x34, 0x12];
    for (address, length, flags) in operations {
        bytes.extend(address.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
    }
    bytes.extend(data);
    bytes
}

const FIELD: u16 = (ADDRESS as u16) << 1;

/// rpmsg-services.md 4.1 and 4.6, byte for byte; if it fails, do not change the test.
#[test]
fn the_bytes_of_an_i2c_request_and_its_answer() {
    let mut answers = Vec::new();
    let mut bus = Registers::default();
    bus.values[3..6].copy_from_slice(&[0x33, 0x44, 0x55]);
    let mut client = Client::new(Script::new(|request| {
        let done = Done::by(|room| serve::<SevenBitAddress, _>(&mut bus, request, room));
        answers.push(done.bytes.clone().unwrap());
        vec![done.bytes.unwrap()]
    }));
    let mut into = [0; 3];
    client.write_read(ADDRESS, &[3], &mut into).unwrap();
    assert_eq!(into, [0x33, 0x44, 0x55]);
    #[rustfmt::skip]
    let expected = [
        // version, operations, number
        1, 2, 1, 0,
        // address 0x48, one byte, FAIL_NEXT
        0x90, 0, 1, 0, 1, 0, 0, 0,
        // the same address, three bytes, M_RD
        0x90, 0, 3, 0, 2, 0, 0, 0,
        // what is written
        3,
    ];
    assert_eq!(client.transport().sent, [expected]);
    drop(client);
    assert_eq!(answers, [[1, 0, 1, 0, 0x33, 0x44, 0x55]]);
}

/// rpmsg-services.md 4.3.
#[test]
fn every_address_has_one_field_and_no_field_two_addresses() {
    let mut fields = Vec::new();
    for address in 0..=u8::MAX {
        let field = address.to_field();
        let is_possible = address < 0x80 && !(0x78..=0x7b).contains(&address);
        assert_eq!(field.is_some(), is_possible, "{address:#x}");
        fields.extend(field);
        assert!(field.is_none_or(|field| SevenBitAddress::from_field(field) == Some(address)));
    }
    for address in 0..=u16::MAX {
        let field = address.to_field();
        assert_eq!(field.is_some(), address < 0x400, "{address:#x}");
        fields.extend(field);
        assert!(field.is_none_or(|field| TenBitAddress::from_field(field) == Some(address)));
    }
    assert_eq!(0x2a5_u16.to_field(), Some(0xa5f4));
    let count = fields.len();
    fields.sort_unstable();
    fields.dedup();
    assert_eq!(fields.len(), count);
    for field in 0..=u16::MAX {
        let seven = SevenBitAddress::from_field(field).and_then(Address::to_field);
        let ten = TenBitAddress::from_field(field).and_then(Address::to_field);
        let known = fields.binary_search(&field).is_ok();
        assert_eq!(seven.or(ten), known.then_some(field), "{field:#x}");
    }
}

#[test]
fn an_i2c_client_does_to_a_bus_what_its_caller_would_do() {
    let mut bus = Registers::default();
    let mut far = client(&mut bus);
    far.write(ADDRESS, &[2, 0x11, 0x22]).unwrap();
    let (mut one, mut two) = ([0; 1], [0; 2]);
    far.transaction(
        ADDRESS,
        &mut [
            Operation::Write(&[2]),
            Operation::Read(&mut one),
            Operation::Write(&[]),
            Operation::Write(&[3]),
            Operation::Write(&[0x33]),
            Operation::Write(&[0x44]),
            Operation::Write(&[]),
            Operation::Read(&mut two),
        ],
    )
    .unwrap();
    assert_eq!((one, two), ([0x11], [0, 0]));
    far.write(ADDRESS, &[3]).unwrap();
    far.read(ADDRESS, &mut two).unwrap();
    assert_eq!(two, [0x33, 0x44]);
    // Nothing to do is nothing to send.
    far.transaction(ADDRESS, &mut []).unwrap();
    drop(far);
    assert_eq!(bus.transactions.len(), 4);
    let asked = [
        "write [2]",
        "read 1",
        "write []",
        "write [3]",
        "write [33]",
        "write [44]",
    ];
    assert_eq!(bus.transactions[1].1[..6], asked);
}

#[test]
fn ten_bit_addresses_reach_a_bus_of_theirs_and_no_other() {
    let mut bus = Registers::default();
    bus.values[0] = 9;
    let mut client = Client::new(Script::new(|request| {
        let done = Done::by(|room| serve::<TenBitAddress, _>(&mut bus, request, room));
        done.bytes.into_iter().collect()
    }));
    let mut into = [0];
    client.write_read(LONG_ADDRESS, &[0], &mut into).unwrap();
    assert_eq!(into, [9]);
    let short = client.read(ADDRESS, &mut into);
    assert_eq!(short, Err(Failure::Refused(Status::Unsupported)));
    drop(client);
    let long = served(&request(&[(0xa5f4, 1, 2)], &[]));
    long.expect_status(&request(&[], &[]), Status::Unsupported);
    assert_eq!(long.refused, None);
}

/// rpmsg-services.md 2.7 and 7.1.
#[test]
fn a_bus_that_fails_says_why_in_the_words_of_embedded_hal() {
    use NoAcknowledgeSource::{Address, Data, Unknown};
    let mut bus = Registers::default();
    let nobody = client(&mut bus).read(0x49_u8, &mut [0]).unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::NoAcknowledge(Address));
    let unwilling = client(&mut bus).write(ADDRESS, &[0, 0xff]).unwrap_err();
    assert_eq!(unwilling.kind(), ErrorKind::NoAcknowledge(Data));
    for (kind, status) in [
        (ErrorKind::Bus, Status::Bus),
        (ErrorKind::ArbitrationLoss, Status::ArbitrationLoss),
        (ErrorKind::NoAcknowledge(Unknown), Status::NoAcknowledge),
        (ErrorKind::Overrun, Status::Overrun),
        (ErrorKind::Other, Status::Failed),
    ] {
        bus.fails = Some(kind);
        let failed = client(&mut bus).read(ADDRESS, &mut [0]).unwrap_err();
        assert_eq!(failed, Failure::Refused(status));
        assert_eq!(failed.kind(), kind);
    }
    let silence: Failure<&str> = Failure::TimeLimit { milliseconds: 1 };
    assert_eq!(silence.kind(), ErrorKind::Other);
}

/// rpmsg-services.md 2.3 and 4.2.
#[test]
fn what_fits_into_a_message_is_asked_for_and_what_does_not_is_refused_unsent() {
    let mut bus = Registers::default();
    let mut long = [0; 493];
    let mut far = client(&mut bus);
    assert_eq!(far.read(ADDRESS, &mut long[..492]), Ok(()));
    let read = far.read(ADDRESS, &mut long);
    let written = far.write(ADDRESS, &[0; 484]);
    let unwritten = far.write(ADDRESS, &[0; 485]);
    let huge = far.write(ADDRESS, &[0; 0x1_0000]);
    let mut many: Vec<_> = (0..9).map(|_| Operation::Write(&[])).collect();
    let crowd = far.transaction(ADDRESS, &mut many);
    many.pop();
    let fewer = far.transaction(ADDRESS, &mut many);
    let nowhere = far.read(0x78_u8, &mut [0]);
    let beyond = far.read(0x400_u16, &mut [0]);
    drop(far);
    assert_eq!((written, fewer), (Ok(()), Ok(())));
    let limit = 496;
    for (outcome, rule) in [
        (read, Error::AnswerTooLong { found: 497, limit }),
        (unwritten, Error::RequestTooLong { found: 497, limit }),
        (
            huge,
            Error::RequestTooLong {
                found: 0x1_0000 + 12,
                limit,
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
        (nowhere, Error::AddressRange { address: 0x78 }),
        (beyond, Error::AddressRange { address: 0x400 }),
    ] {
        assert_eq!(outcome, Err(Failure::Broken(rule)));
    }
    assert_eq!(bus.transactions.len(), 3);
}

#[test]
fn a_request_that_keeps_the_rules_is_served() {
    let good = request(&[(FIELD, 2, 1), (FIELD, 3, 3), (FIELD, 0, 0)], &[1, 2]);
    let done = served(&good);
    assert_eq!(done.refused, None);
    assert_eq!(done.bytes, Some(vec![1, 0, 0x34, 0x12, 0, 0, 0]));
}

/// rpmsg-services.md 2.1 to 2.4 and 4.2 to 4.5.
#[test]
fn a_request_that_breaks_a_rule_is_refused_by_its_name_and_the_bus_is_left_alone() {
    let too_long = {
        let mut bytes = request(&[(FIELD, 485, 0)], &[]);
        bytes.resize(497, 0);
        bytes
    };
    let version = |found: u8| {
        let mut bytes = request(&[(FIELD, 0, 0)], &[]);
        bytes[0] = found;
        bytes
    };
    let cut = |len: usize| request(&[(FIELD, 1, 0)], &[7])[..len].to_vec();
    let limit = 496;
    let count = |found| Error::OperationCount {
        found,
        least: 1,
        most: 8,
    };
    let length = |found, expected| Error::RequestLength { found, expected };
    for (bytes, rule) in [
        (request(&[], &[]), count(0)),
        (request(&[(FIELD, 0, 0); 9], &[]), count(9)),
        (cut(4), length(4, 12)),
        (cut(11), length(11, 12)),
        (cut(12), length(12, 13)),
        (request(&[(FIELD, 1, 0)], &[7, 8]), length(14, 13)),
        (request(&[(FIELD, 1, 2)], &[7]), length(13, 12)),
        (
            request(&[(FIELD, 0xffff, 0)], &[7]),
            length(13, 0xffff + 12),
        ),
        (too_long, Error::RequestTooLong { found: 497, limit }),
        (
            request(&[(FIELD, 493, 2)], &[]),
            Error::AnswerTooLong { found: 497, limit },
        ),
        (
            request(&[(FIELD, 0xffff, 3), (FIELD, 0xffff, 2)], &[]),
            Error::AnswerTooLong {
                found: 2 * 0xffff + 4,
                limit,
            },
        ),
        (
            request(&[(0x91, 0, 0)], &[]),
            Error::AddressEncoding { found: 0x91 },
        ),
        (
            request(&[(0x190, 0, 0)], &[]),
            Error::AddressEncoding { found: 0x190 },
        ),
        (
            request(&[(FIELD, 0, 1), (0x92, 0, 0)], &[]),
            Error::AddressChanges {
                operation: 1,
                first: FIELD,
                found: 0x92,
            },
        ),
        (
            request(&[(FIELD, 0, 4)], &[]),
            Error::FlagsUnknown {
                operation: 0,
                flags: 4,
            },
        ),
        (
            request(&[(FIELD, 0, 1), (FIELD, 0, 0x8000_0000)], &[]),
            Error::FlagsUnknown {
                operation: 1,
                flags: 0x8000_0000,
            },
        ),
        (
            request(&[(FIELD, 0, 1)], &[]),
            Error::FailNext {
                operation: 0,
                flags: 1,
            },
        ),
        (
            request(&[(FIELD, 0, 2), (FIELD, 0, 0)], &[]),
            Error::FailNext {
                operation: 0,
                flags: 2,
            },
        ),
    ] {
        served(&bytes).expect_refused(&bytes, Status::Malformed, rule);
    }
    for found in [0, 2, 0xff] {
        let (bytes, rule) = (version(found), Error::RequestVersion { found });
        served(&bytes).expect_refused(&bytes, Status::VersionUnknown, rule);
    }
    for found in 0..4 {
        let done = served(&cut(found));
        assert_eq!(done.refused, Some(Error::RequestTooShort { found }));
        assert_eq!((done.bytes, done.status), (None, None));
    }
}

/// rpmsg-services.md 2.8.
#[test]
fn what_a_bus_leaves_unread_is_zero_and_nothing_earlier() {
    struct Lazy;
    impl embedded_hal::i2c::ErrorType for Lazy {
        type Error = ErrorKind;
    }
    impl I2c for Lazy {
        fn transaction(&mut self, _: u8, _: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
            Ok(())
        }
    }
    let bytes = request(&[(FIELD, 8, 2)], &[]);
    let done = Done::by(|room| serve::<SevenBitAddress, _>(&mut Lazy, &bytes, room));
    assert_eq!(
        done.bytes,
        Some(vec![1, 0, 0x34, 0x12, 0, 0, 0, 0, 0, 0, 0, 0])
    );
}
