//! The commands of builds for tests (ta-api.md 4.8): a panic, what the platform counted, and the heap's peak.
#![expect(unsafe_code, reason = "the dev kit's C library counts the heap")]

use ta_core::{Param, Params, SessionId, Ta};
use ta_protocol::global_platform::SUCCESS;
use ta_protocol::{Status, Words};

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

/// Bytes copied, bytes hashed, the microseconds of both, and the most bytes of heap that were in use.
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
    let peak = Words {
        a: heap_peak(),
        b: 0,
    };
    let answers = [counted.copied, counted.hashed, counted.times, peak];
    for (param, words) in params.iter_mut().zip(answers) {
        match param {
            Param::ValueOutput { a, b } => (*a, *b) = (words.a, words.b),
            _ => return Status::BadParameters.number(),
        }
    }
    SUCCESS
}

fn heap_peak() -> u32 {
    let mut heap = HeapStatistics {
        name: [0; 32],
        free_squared: 0,
        allocated: 0,
        max_allocated: 0,
        size: 0,
        failures: 0,
        biggest_failure: 0,
        used_at_biggest_failure: 0,
    };
    // SAFETY: `heap` has the layout of the kit's `struct pta_stats_alloc`, and is valid for writing.
    unsafe { malloc_get_stats(&mut heap) };
    heap.max_allocated
}

/// `struct pta_stats_alloc` of OP-TEE 4.10, lib/libutee/include/pta_stats.h.
#[repr(C)]
struct HeapStatistics {
    name: [u8; 32],
    free_squared: u64,
    allocated: u32,
    max_allocated: u32,
    size: u32,
    failures: u32,
    biggest_failure: u32,
    used_at_biggest_failure: u32,
}

unsafe extern "C" {
    fn malloc_get_stats(into: *mut HeapStatistics);
}

const PANIC: u32 = 0xf001;
const COUNTERS: u32 = 0xf002;
