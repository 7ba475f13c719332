//! Running the end-to-end tests: one boot for each kind of board, its tests one after the other, libtest's lines.

use std::{collections::BTreeSet, time::Instant};

use anyhow::{Result, bail};

use crate::{
    board::{Board, Kind},
    images::Images,
    scenarios,
};

/// One end-to-end test.
pub struct Test {
    /// Its name, a sentence.
    pub name: &'static str,
    /// What it does on a board that has booted.
    pub run: fn(&mut Board) -> Result<()>,
}

/// Tests by the names of their functions.
#[macro_export]
macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        &[$($crate::suite::Test { name: stringify!($name), run: $name }),+]
    };
}

/// Runs every test whose name contains `filter`, and gives the names of those that passed.
///
/// # Errors
/// If a test failed; all the others have run then too.
pub fn run(images: &Images, filter: &str) -> Result<BTreeSet<String>> {
    let mut passed = BTreeSet::new();
    let mut failed = Vec::new();
    for kind in Kind::ALL {
        let tests: Vec<_> = scenarios::of(kind)
            .into_iter()
            .filter(|test| test.name.contains(filter))
            .collect();
        if tests.is_empty() {
            continue;
        }
        let mut board = None;
        for test in tests {
            let begin = Instant::now();
            let outcome = on_board(images, kind, &mut board, test);
            let time = begin.elapsed().as_secs_f64();
            match outcome {
                Ok(()) => {
                    println!("test {} ... ok", test.name);
                    passed.insert(test.name.to_owned());
                }
                Err(error) => {
                    println!("test {} ... FAILED", test.name);
                    println!("    after {time:.1} s on the {kind:?} board: {error:#}");
                    if let Some(board) = &board {
                        println!("    its consoles: {}", board.machine.logs().display());
                    }
                    failed.push(test.name);
                    // What is left of this board says nothing about the next test.
                    board = None;
                }
            }
        }
        if let Some(board) = board
            && let Err(error) = board.power_off()
        {
            println!("    the {kind:?} board does not power off: {error:#}");
            failed.push("power_off");
        }
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; 0 filtered out\n",
        if failed.is_empty() { "ok" } else { "FAILED" },
        passed.len(),
        failed.len()
    );
    if !failed.is_empty() {
        bail!(
            "{} of {} end-to-end tests failed: {}",
            failed.len(),
            failed.len() + passed.len(),
            failed.join(", ")
        );
    }
    if passed.is_empty() {
        bail!("no end-to-end test has {filter:?} in its name");
    }
    Ok(passed)
}

/// Runs one test on the board there is, or on a fresh one. Every test begins with the core off.
fn on_board(images: &Images, kind: Kind, board: &mut Option<Board>, test: &Test) -> Result<()> {
    let board = match board {
        Some(board) => board,
        None => board.insert(Board::boot(images, kind)?),
    };
    board.core_off()?;
    (test.run)(board)
}
