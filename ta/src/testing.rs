//! The commands of builds for tests (ta-api.md 4.8): a panic, and what the platform counted.

use ta_core::{Param, Params, SessionId, Ta};
use ta_protocol::Status;
use ta_protocol::global_platform::SUCCESS;

use crate::parties::Parties;

/// Carries out a command of tests; `None` for any other.
pub(crate) fn invoke(
    ta: &mut Ta<'static, Parties>,
    session: SessionId,
    command: u32,
    params: &mut Params<Parties>,
) -> Option<u32> {
    match command {
        PANIC => panic!("asked for by a test"),
        COUNTERS => Some(counters(ta, session, params)),
        _ => None,
    }
}

/// Bytes copied, bytes hashed, and the microseconds of both; the heap's peak cannot be had.
fn counters(
    ta: &mut Ta<'static, Parties>,
    session: SessionId,
    params: &mut Params<Parties>,
) -> u32 {
    let Some(core) = ta.core_of(session) else {
        return Status::BadParameters.number();
    };
    let Ok(counted) = ta.cast_mut().memory.counters(core) else {
        return Status::PlatformFailed.number();
    };
    let answers = [counted.copied, counted.hashed, counted.times].into_iter();
    for (param, words) in params.iter_mut().zip(answers) {
        match param {
            Param::ValueOutput { a, b } => (*a, *b) = (words.a, words.b),
            _ => return Status::BadParameters.number(),
        }
    }
    SUCCESS
}

const PANIC: u32 = 0xf001;
const COUNTERS: u32 = 0xf002;
