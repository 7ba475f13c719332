//! What every client makes of answers: rpmsg-services.md 2.

use embedded_hal::i2c::I2c;
use rpmsg_services::i2c::Client;
use rpmsg_services::{Error, Failure, MAX_MESSAGE, Status};

use crate::script::Script;

/// The answer to a request for `read` bytes, all of them 7.
fn right(request: &[u8], read: usize) -> Vec<u8> {
    let mut answer = vec![1, 0, request[2], request[3]];
    answer.resize(4 + read, 7);
    answer
}

/// What a client that reads two bytes says to an answer made of the right one.
fn told(change: impl FnMut(Vec<u8>) -> Vec<u8>) -> Result<[u8; 2], Failure<&'static str>> {
    let mut change = change;
    let mut client = Client::new(Script::new(move |request| vec![change(right(request, 2))]));
    let mut into = [0; 2];
    client.read(0x48_u8, &mut into).map(|()| into)
}

#[test]
fn an_answer_that_keeps_the_rules_is_taken() {
    assert_eq!(told(|answer| answer), Ok([7, 7]));
}

/// rpmsg-services.md 2.1, 2.2, 2.3, 2.5, 2.6 and 2.7.
#[test]
fn an_answer_that_breaks_a_rule_is_refused_by_its_name() {
    let set = |at: usize, value: u8| {
        told(move |mut answer| {
            answer[at] = value;
            answer
        })
    };
    let resized = |len: usize| {
        told(move |mut answer| {
            answer.resize(len, 7);
            answer
        })
    };
    let expected = 1;
    for (outcome, rule) in [
        (resized(0), Error::AnswerTooShort { found: 0 }),
        (resized(3), Error::AnswerTooShort { found: 3 }),
        (set(0, 2), Error::AnswerVersion { found: 2 }),
        (set(0, 0), Error::AnswerVersion { found: 0 }),
        (set(2, 2), Error::AnswerSequence { found: 2, expected }),
        (
            set(3, 1),
            Error::AnswerSequence {
                found: 0x101,
                expected,
            },
        ),
        (set(2, 0), Error::AnswerSequence { found: 0, expected }),
        (set(1, 0x0b), Error::AnswerStatus { found: 0x0b }),
        (set(1, 0xff), Error::AnswerStatus { found: 0xff }),
        (
            resized(4),
            Error::AnswerLength {
                found: 4,
                expected: 6,
            },
        ),
        (
            resized(5),
            Error::AnswerLength {
                found: 5,
                expected: 6,
            },
        ),
        (
            resized(7),
            Error::AnswerLength {
                found: 7,
                expected: 6,
            },
        ),
        (
            set(1, 1),
            Error::AnswerLength {
                found: 6,
                expected: 4,
            },
        ),
        (
            resized(MAX_MESSAGE),
            Error::AnswerLength {
                found: MAX_MESSAGE,
                expected: 6,
            },
        ),
        (
            resized(MAX_MESSAGE + 1),
            Error::AnswerTooLong {
                found: MAX_MESSAGE + 1,
                limit: MAX_MESSAGE,
            },
        ),
    ] {
        assert_eq!(outcome, Err(Failure::Broken(rule)));
    }
}

/// rpmsg-services.md 2.7.
#[test]
fn every_status_comes_back_as_it_was_sent_and_no_number_means_two() {
    for status in Status::ALL {
        assert_eq!(Status::from_number(status.number()), Some(*status));
        let outcome = told(|answer| match status {
            Status::Done => answer,
            _ => vec![1, status.number(), answer[2], answer[3]],
        });
        match status {
            Status::Done => assert_eq!(outcome, Ok([7, 7])),
            _ => assert_eq!(outcome, Err(Failure::Refused(*status))),
        }
    }
    let known = (0..=u8::MAX).filter_map(Status::from_number).count();
    assert_eq!(known, Status::ALL.len());
}

/// rpmsg-services.md 2.5.
#[test]
fn an_answer_that_comes_too_late_is_not_taken_for_the_next_one() {
    let mut held = Vec::new();
    let mut client = Client::new(Script::new(move |request| {
        let number = request[2];
        let mut answer = right(request, 1);
        answer[4] = number;
        held.push(answer);
        // The first three are answered together with the fourth.
        if number < 4 {
            Vec::new()
        } else {
            std::mem::take(&mut held)
        }
    }));
    let mut into = [0];
    let silence = Failure::TimeLimit { milliseconds: 5 };
    for _ in 0..3 {
        assert_eq!(client.read(0x48_u8, &mut into), Err(silence));
    }
    assert_eq!(client.read(0x48_u8, &mut into), Ok(()));
    assert_eq!(into, [4]);
    assert_eq!(client.read(0x48_u8, &mut into), Ok(()));
    assert_eq!(into, [5]);
}

/// rpmsg-services.md 2.5: an answer to what was answered before is a lie, and costs no more than it says.
#[test]
fn a_second_answer_is_refused_and_the_client_finds_its_way_back() {
    let mut twice = true;
    let mut client = Client::new(Script::new(move |request| {
        let answer = right(request, 1);
        if std::mem::take(&mut twice) {
            vec![answer.clone(), answer]
        } else {
            vec![answer]
        }
    }));
    let mut into = [0];
    assert_eq!(client.read(0x48_u8, &mut into), Ok(()));
    let rule = Error::AnswerSequence {
        found: 1,
        expected: 2,
    };
    assert_eq!(client.read(0x48_u8, &mut into), Err(Failure::Broken(rule)));
    assert_eq!(client.read(0x48_u8, &mut into), Ok(()));
    assert_eq!(client.read(0x48_u8, &mut into), Ok(()));
}

/// rpmsg-services.md 2.5: however many late answers a server makes up, a client looks at no more than it gave up.
#[test]
fn a_flood_of_late_answers_ends() {
    let mut client = Client::new(Script::new(|request| {
        let number = u16::from_le_bytes([request[2], request[3]]);
        if number < 4 {
            return Vec::new();
        }
        let mut late = right(request, 1);
        late[2..4].copy_from_slice(&(number - 1).to_le_bytes());
        vec![late; 1000]
    }));
    let mut into = [0];
    for _ in 0..3 {
        client.read(0x48_u8, &mut into).unwrap_err();
    }
    let rule = Error::AnswerSequence {
        found: 3,
        expected: 4,
    };
    assert_eq!(client.read(0x48_u8, &mut into), Err(Failure::Broken(rule)));
}

/// rpmsg-services.md 2.5: the numbers turn over.
#[test]
fn seventy_thousand_requests_have_their_own_answers() {
    let mut client = Client::new(Script::new(|request| vec![right(request, 1)]));
    let mut into = [0];
    for _ in 0..70_000 {
        assert_eq!(client.read(0x48_u8, &mut into), Ok(()));
    }
}
