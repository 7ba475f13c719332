//! Either side changes every byte of what it sends, or sends anything: a named rule, or a right outcome, and never more.

use embedded_hal::digital::{InputPin, OutputPin};
use embedded_hal::i2c::{I2c, Operation, SevenBitAddress, TenBitAddress};
use embedded_hal::spi::{Operation as SpiOperation, SpiDevice};
use proptest::prelude::*;
use rpmsg_services::gpio::{self, InputLine, Line, OutputLine};
use rpmsg_services::{Failure, MAX_MESSAGE, Status, i2c, spi};

use crate::devices::{ADDRESS, Loopback, Registers, Wire};
use crate::script::{Done, Script};

/// The servers, all of which judge each request.
fn all_servers(request: &[u8]) -> [Done; 4] {
    let wire = Wire::default();
    let (mut output, mut input) = (OutputLine(wire.clone()), InputLine(wire));
    let mut lines: [&mut dyn Line; 2] = [&mut output, &mut input];
    let mut bus = Registers::default();
    let mut devices = [Loopback::default(), Loopback::default()];
    [
        Done::by(|room| gpio::serve(&mut lines, request, room)),
        Done::by(|room| i2c::serve::<SevenBitAddress, _>(&mut bus, request, room)),
        Done::by(|room| i2c::serve::<TenBitAddress, _>(&mut bus, request, room)),
        Done::by(|room| spi::serve(&mut devices, request, room)),
    ]
}

/// What holds of every answer, whatever the request: its form, and that a broken rule is told as one.
fn expect_form(request: &[u8], done: &Done) {
    let (Some(bytes), Some(status)) = (&done.bytes, done.status) else {
        assert!(request.len() < 4, "no answer to {request:x?}");
        assert!(done.refused.is_some());
        return;
    };
    assert!(bytes.len() <= MAX_MESSAGE);
    assert_eq!(bytes[..4], [1, status.number(), request[2], request[3]]);
    assert!(status == Status::Done || bytes.len() == 4, "{request:x?}");
    let is_refused = matches!(status, Status::Malformed | Status::VersionUnknown);
    assert_eq!(is_refused, done.refused.is_some(), "{request:x?}");
}

/// A request of each service, as the clients write them, and what is asked for.
fn requests() -> [Vec<u8>; 3] {
    let mut lines = gpio::Client::new(Script::new(|_| Vec::new()));
    lines.direction(0).unwrap_err();
    let mut bus = i2c::Client::new(Script::new(|_| Vec::new()));
    let mut into = [0; 3];
    bus.write_read(ADDRESS, &[1, 2], &mut into).unwrap_err();
    let mut device = spi::Client::new(Script::new(|_| Vec::new()), 1);
    let mut operations = [
        SpiOperation::Write(&[1, 2]),
        SpiOperation::DelayNs(5),
        SpiOperation::Read(&mut into),
    ];
    device.transaction(&mut operations).unwrap_err();
    [
        lines.transport().sent.pop().unwrap(),
        bus.transport().sent.pop().unwrap(),
        device.transport().sent.pop().unwrap(),
    ]
}

#[test]
fn a_client_that_changes_any_byte_to_any_value_is_answered_or_refused_in_form() {
    for request in requests() {
        for at in 0..request.len() {
            for value in 0..=u8::MAX {
                let mut lie = request.clone();
                lie[at] = value;
                for done in all_servers(&lie) {
                    expect_form(&lie, &done);
                }
            }
        }
        for len in 0..request.len() {
            for done in all_servers(&request[..len]) {
                expect_form(&request[..len], &done);
                assert!(
                    done.refused.is_some(),
                    "a cut request was taken: {len} of {request:x?}"
                );
            }
        }
        let longer = [request.as_slice(), &[0]].concat();
        for done in all_servers(&longer) {
            expect_form(&longer, &done);
            assert!(
                done.refused.is_some(),
                "a longer request was taken: {longer:x?}"
            );
        }
    }
}

/// Each byte of an answer has one right value, but for the data and a status that is an error's.
#[test]
fn a_server_that_changes_any_byte_to_any_value_is_refused_or_changed_only_the_data() {
    let mut bus = Registers::default();
    bus.values[1..4].copy_from_slice(&[0x11, 0x22, 0x33]);
    let right = [0x11, 0x22, 0x33];
    for at in 0..7 {
        for value in 0..=u8::MAX {
            let mut client = i2c::Client::new(Script::new(|request| {
                let done =
                    Done::by(|room| i2c::serve::<SevenBitAddress, _>(&mut bus, request, room));
                let mut lie = done.bytes.unwrap();
                lie[at] = value;
                vec![lie]
            }));
            let mut into = [0xee; 3];
            match client.write_read(ADDRESS, &[1], &mut into) {
                Ok(()) => {
                    let mut expected = right;
                    if at >= 4 {
                        expected[at - 4] = value;
                    }
                    assert_eq!(into, expected, "byte {at} as {value:#x}");
                }
                Err(Failure::Broken(_)) => {
                    assert!(at < 4, "byte {at} as {value:#x}");
                    assert_eq!(into, [0xee; 3], "nothing of a refused answer is handed out");
                }
                Err(other) => panic!("byte {at} as {value:#x}: {other}"),
            }
        }
    }
    for len in 0..=MAX_MESSAGE + 4 {
        let mut client = i2c::Client::new(Script::new(|request| {
            let done = Done::by(|room| i2c::serve::<SevenBitAddress, _>(&mut bus, request, room));
            let mut lie = done.bytes.unwrap();
            lie.resize(len, 0);
            vec![lie]
        }));
        let outcome = client.write_read(ADDRESS, &[1], &mut [0; 3]);
        assert_eq!(outcome.is_ok(), len == 7, "an answer of {len} bytes");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_answered_or_refused_in_form(
        head in prop::collection::vec(any::<u8>(), 0..4),
        operations in 0..12_u8,
        body in prop::collection::vec(prop_oneof![Just(0_u8), Just(8), any::<u8>()], 0..600),
        wild in any::<bool>(),
    ) {
        let mut request = head;
        if !wild {
            request = vec![1, operations, 3, 4];
        }
        request.extend(body);
        for done in all_servers(&request) {
            expect_form(&request, &done);
        }
    }

    #[test]
    fn any_answer_is_taken_or_refused_and_the_next_one_is_right(
        answers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 0..4),
    ) {
        let mut lies = Some(answers);
        let wire = Wire::default();
        wire.high.set(true);
        let answer = |request: &[u8]| {
            if request[2] == 2 && let Some(lies) = lies.take() {
                return lies;
            }
            let mut input = InputLine(wire.clone());
            let done = Done::by(|room| gpio::serve(&mut [&mut input], request, room));
            done.bytes.into_iter().collect()
        };
        let client = gpio::Client::new(Script::new(answer));
        let mut input = client.input(0).unwrap();
        let _ = input.is_high();
        // At most as many calls are lost as there were lies.
        for _ in 0..4 {
            let _ = input.is_high();
        }
        prop_assert_eq!(input.is_high(), Ok(true));
    }

    /// Whatever a caller asks for arrives as it was asked for, or is refused unsent.
    #[test]
    fn what_a_caller_asks_of_a_bus_arrives_as_it_is(
        shapes in prop::collection::vec((any::<bool>(), 0..200_usize), 1..10),
    ) {
        let mut bus = Registers::default();
        let mut rooms: Vec<Vec<u8>> = shapes.iter().map(|(_, len)| vec![1; *len]).collect();
        let mut operations: Vec<_> = shapes
            .iter()
            .zip(&mut rooms)
            .map(|((reads, _), room)| match reads {
                true => Operation::Read(room),
                false => Operation::Write(room),
            })
            .collect();
        let asked: Vec<_> = operations
            .iter()
            .map(|operation| match operation {
                Operation::Read(into) => format!("read {}", into.len()),
                Operation::Write(bytes) => format!("write {bytes:x?}"),
            })
            .collect();
        let mut client = i2c::Client::new(Script::new(|request| {
            let done = Done::by(|room| i2c::serve::<SevenBitAddress, _>(&mut bus, request, room));
            done.bytes.into_iter().collect()
        }));
        let outcome = client.transaction(ADDRESS, &mut operations);
        drop(client);
        match outcome {
            Ok(()) => prop_assert_eq!(&bus.transactions, &[(ADDRESS.into(), asked)]),
            Err(Failure::Broken(_)) => prop_assert_eq!(bus.transactions.len(), 0),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

#[test]
fn a_line_is_driven_only_by_what_says_so() {
    let wire = Wire::default();
    let mut lines = OutputLine(wire.clone());
    let mut client = gpio::Client::new(Script::new(|request| {
        let done = Done::by(|room| gpio::serve(&mut [&mut lines], request, room));
        done.bytes.into_iter().collect()
    }));
    client.output(0).unwrap().set_high().unwrap();
    let set = client.transport().sent.pop().unwrap();
    drop(client);
    for at in 0..set.len() {
        for bit in 0..8 {
            wire.high.set(false);
            let mut lie = set.clone();
            lie[at] ^= 1 << bit;
            let mut lines = OutputLine(wire.clone());
            Done::by(|room| gpio::serve(&mut [&mut lines], &lie, room));
            // Only the request's number may differ.
            assert_eq!(wire.high.get(), at == 2 || at == 3, "{lie:x?}");
        }
    }
}
