//! What the end-to-end tests do, by topic.

mod devices;
mod isolation;
mod large;
mod leftovers;
mod life;
mod packed;
mod policy;
mod pool;
mod predictions;
mod refusals;
mod restart;
mod serve;
mod sessions;
mod story;
mod uio;
mod variants;
mod wires;

use anyhow::Result;

use crate::{
    board::{Board, Kind},
    suite::Test,
};

/// The tests of one kind of board, in the order in which they run.
pub fn of(kind: Kind) -> Vec<&'static Test> {
    let topics: &[&[Test]] = match kind {
        Kind::Product => &[
            story::TESTS,
            devices::TESTS,
            large::TESTS,
            packed::TESTS,
            pool::TESTS,
            uio::TESTS,
            serve::TESTS,
            refusals::TESTS,
            predictions::TESTS,
            sessions::TESTS,
            isolation::TESTS,
            wires::TESTS,
            life::TESTS,
            restart::TESTS,
            leftovers::TESTS,
        ],
        Kind::Test => &[policy::TESTS],
        Kind::NoIsolation => &[variants::NO_ISOLATION],
        Kind::RegionInWindow => &[variants::REGION_IN_WINDOW],
        Kind::TwoSlots => &[variants::TWO_SLOTS],
    };
    topics.iter().copied().flatten().collect()
}

/// What the test build counts: bytes copied, bytes hashed, microseconds of both (low and high half), peak heap.
///
/// # Errors
/// Where the board is not of [`Kind::Test`].
pub fn counters(board: &mut Board) -> Result<[u64; 4]> {
    policy::counters(board)
}
