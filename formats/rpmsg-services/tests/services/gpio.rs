//! rpmsg-services.md 3, from both sides.

use embedded_hal::digital::{Error as _, ErrorKind, InputPin, OutputPin, StatefulOutputPin};
use rpmsg_services::gpio::{Client, Direction, InputLine, Line, OutputLine, serve};
use rpmsg_services::{Error, Failure, Status, Transport};

use crate::devices::Wire;
use crate::script::{Done, Script};

/// Line 0 drives the wire, line 1 reads it, line 2 is not in use.
fn done(wire: &Wire, request: &[u8]) -> Done {
    let mut output = OutputLine(wire.clone());
    let mut input = InputLine(wire.clone());
    let mut unused = Unused;
    let mut lines: [&mut dyn Line; 3] = [&mut output, &mut input, &mut unused];
    Done::by(|room| serve(&mut lines, request, room))
}

fn client(wire: &Wire) -> Client<impl Transport<Error = &'static str>> {
    let wire = wire.clone();
    Client::new(Script::new(move |request| {
        done(&wire, request).bytes.into_iter().collect()
    }))
}

struct Unused;

impl Line for Unused {
    fn direction(&self) -> Direction {
        Direction::None
    }

    fn level(&mut self) -> Result<bool, Status> {
        Err(Status::Unsupported)
    }

    fn set_level(&mut self, _: bool) -> Result<(), Status> {
        Err(Status::WrongDirection)
    }
}

fn request(kind: u16, line: u16, value: u32) -> Vec<u8> {
    let mut bytes = vec![1, 1, 0x34, 0x12];
    bytes.extend(kind.to_le_bytes());
    bytes.extend(line.to_le_bytes());
    bytes.extend(value.to_le_bytes());
    bytes
}

/// rpmsg-services.md 3.1 and 3.4, byte for byte; if it fails, do not change the test.
#[test]
fn the_bytes_of_gpio_requests_and_their_answers() {
    let wire = Wire::default();
    let mut answers = Vec::new();
    let mut client = Client::new(Script::new(|request| {
        let done = done(&wire, request);
        answers.push(done.bytes.clone().unwrap());
        vec![done.bytes.unwrap()]
    }));
    let mut output = client.output(0).unwrap();
    output.set_high().unwrap();
    assert!(output.is_set_high().unwrap());
    #[rustfmt::skip]
    let expected = [
        // version, operations, number; GET_DIRECTION, line 0, value 0
        [1, 1, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0],
        // SET_VALUE 1
        [1, 1, 2, 0, 5, 0, 0, 0, 1, 0, 0, 0],
        // GET_VALUE
        [1, 1, 3, 0, 4, 0, 0, 0, 0, 0, 0, 0],
    ];
    assert_eq!(client.transport().sent, expected);
    drop(client);
    let expected = [[1, 0, 1, 0, 1], [1, 0, 2, 0, 0], [1, 0, 3, 0, 1]];
    assert_eq!(answers, expected);
}

#[test]
fn pins_of_the_other_side_are_read_driven_and_toggled() {
    let wire = Wire::default();
    let client = client(&wire);
    let (mut output, mut input) = (client.output(0).unwrap(), client.input(1).unwrap());
    assert_eq!((input.is_high(), input.is_low()), (Ok(false), Ok(true)));
    output.set_high().unwrap();
    assert!(wire.high.get());
    assert_eq!((input.is_high(), input.is_low()), (Ok(true), Ok(false)));
    assert_eq!(
        (output.is_set_high(), output.is_set_low()),
        (Ok(true), Ok(false))
    );
    output.set_low().unwrap();
    assert!(!wire.high.get());
    output.toggle().unwrap();
    assert!(wire.high.get());
    assert_eq!(client.direction(2), Ok(Direction::None));
}

/// rpmsg-services.md 3.5 and 7.1.
#[test]
fn a_line_that_is_not_there_or_goes_the_other_way_is_refused() {
    let wire = Wire::default();
    let client = client(&wire);
    let direction = |line, found, expected| {
        Failure::Broken(Error::Direction {
            line,
            found,
            expected,
        })
    };
    assert_eq!(client.input(0).err(), Some(direction(0, 1, 2)));
    assert_eq!(client.output(1).err(), Some(direction(1, 2, 1)));
    assert_eq!(client.output(2).err(), Some(direction(2, 0, 1)));
    let missing = client.input(3).err().unwrap();
    assert_eq!(missing, Failure::Refused(Status::LineUnknown));
    assert_eq!(missing.kind(), ErrorKind::Other);
    // A client that does not ask first.
    let set = request(5, 1, 1);
    done(&wire, &set).expect_status(&set, Status::WrongDirection);
    assert!(!wire.high.get());
    wire.broken.set(true);
    for kind in [4, 5] {
        let bytes = request(kind, 0, 0);
        done(&wire, &bytes).expect_status(&bytes, Status::Failed);
    }
}

/// rpmsg-services.md 3.3: what VirtIO has, and embedded-hal has not.
#[test]
fn names_directions_and_interrupts_are_known_and_not_served() {
    for bytes in [request(1, 0, 0), request(3, 0, 1), request(6, 0, 3)] {
        let done = done(&Wire::default(), &bytes);
        done.expect_status(&bytes, Status::Unsupported);
        assert_eq!(done.refused, None);
    }
}

/// rpmsg-services.md 2.3, 3.2 and 3.3.
#[test]
fn a_gpio_request_that_breaks_a_rule_is_refused_by_its_name_and_no_line_changes() {
    let changed = |at: usize, value: u8| {
        let mut bytes = request(5, 0, 1);
        bytes[at] = value;
        bytes
    };
    let resized = |len: usize| {
        let mut bytes = request(5, 0, 1);
        bytes.resize(len, 0);
        bytes
    };
    let length = |found| Error::RequestLength {
        found,
        expected: 12,
    };
    let count = |found| Error::OperationCount {
        found,
        least: 1,
        most: 1,
    };
    let value = |found, limit| Error::ValueRange { found, limit };
    for (bytes, rule) in [
        (changed(1, 0), count(0)),
        (changed(1, 2), count(2)),
        (resized(4), length(4)),
        (resized(11), length(11)),
        (resized(13), length(13)),
        (changed(4, 0), Error::TypeUnknown { found: 0 }),
        (changed(4, 7), Error::TypeUnknown { found: 7 }),
        (changed(5, 1), Error::TypeUnknown { found: 0x105 }),
        (changed(8, 2), value(2, 1)),
        (changed(11, 0x80), value(0x8000_0001, 1)),
        (request(1, 0, 1), value(1, 0)),
        (request(2, 0, 1), value(1, 0)),
        (request(4, 0, 1), value(1, 0)),
    ] {
        let wire = Wire::default();
        done(&wire, &bytes).expect_refused(&bytes, Status::Malformed, rule);
        assert!(!wire.high.get(), "{bytes:x?}");
    }
}

/// rpmsg-services.md 3.4.
#[test]
fn a_level_or_a_direction_that_cannot_be_is_refused() {
    let answering = |value: u8| {
        Client::new(Script::new(move |request| {
            let value = if request[4] == 2 && value < 8 {
                1
            } else {
                value & 7
            };
            vec![vec![1, 0, request[2], request[3], value]]
        }))
    };
    let unknown = |found| Failure::Broken(Error::AnswerValue { found });
    let client = answering(2);
    let mut output = client.output(0).unwrap();
    assert_eq!(output.is_set_high(), Err(unknown(2)));
    assert_eq!(output.set_high(), Err(unknown(2)));
    let client = answering(8 + 3);
    assert_eq!(client.direction(0), Err(unknown(3)));
}

#[test]
fn a_transport_that_calls_back_into_its_client_is_told_so() {
    use std::cell::OnceCell;
    use std::rc::Rc;

    type Answer = Box<dyn FnMut(&[u8]) -> Vec<Vec<u8>>>;
    let shared: Rc<OnceCell<Client<Script<Answer>>>> = Rc::default();
    let inner = Rc::clone(&shared);
    let answer: Answer = Box::new(move |request| {
        let again = inner.get().unwrap().direction(0);
        assert_eq!(again, Err(Failure::Broken(Error::Busy)));
        vec![vec![1, 0, request[2], request[3], 2]]
    });
    let client = shared.get_or_init(|| Client::new(Script::new(answer)));
    assert_eq!(client.direction(0), Ok(Direction::Input));
}
