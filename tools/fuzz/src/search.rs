//! A search on stable Rust: seeds are changed, and what makes the target panic is kept.
//!
//! The changes are those of the crate mutatis, which knows no bytes in particular; what files and scripts need besides
//! (numbers at the edge, blocks moved, parts of other seeds) is added here.

use std::fs;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, ensure};
use mutatis::{Candidates, Context, Mutate, Session, mutators};

use crate::{Seed, Target};

/// What made a target panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The input.
    pub input: Vec<u8>,
    /// How many inputs were tried before.
    pub tried: u64,
}

impl Finding {
    /// Writes the input to a file of the folder, in the form of the corpus.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep(&self, folder: &Path, target: &str, seed: u64) -> Result<PathBuf> {
        let lines: Vec<_> = self.input.chunks(8).map(line).collect();
        let head = format!(
            "# found by `fuzz {target} --seed {seed}` as input {}",
            self.tried
        );
        let file = folder.join(format!("{target}-{seed}-{}.hex", self.tried));
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        fs::write(&file, format!("{head}\n{}\n", lines.join("\n")))
            .with_context(|| file.display().to_string())?;
        Ok(file)
    }
}

fn line(bytes: &[u8]) -> String {
    let words: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    words.join(" ")
}

/// Tries changed seeds until `enough` says so, which is told how many were tried; the same seed of the search tries the same
/// inputs. The seeds themselves come first.
///
/// # Errors
/// Where the target has no seeds, or they cannot be changed.
pub fn search(
    target: &Target,
    seed: u64,
    mut enough: impl FnMut(u64) -> bool,
) -> Result<Option<Finding>> {
    let seeds = (target.seeds)();
    ensure!(!seeds.is_empty(), "{} has no seeds", target.name);
    let mut session = Session::new().seed(seed);
    let mut change = Change {
        seeds: &seeds,
        bytes: mutators::default::<Vec<u8>>(),
    };
    let mut tried = 0;
    for seed in &seeds {
        if panics(target, &seed.bytes) {
            let input = seed.bytes.clone();
            return Ok(Some(Finding { input, tried }));
        }
        tried += 1;
    }
    // From seed to seed in turn, each changed once more often than the time before, up to a limit.
    for round in 0.. {
        for seed in &seeds {
            if enough(tried) {
                return Ok(None);
            }
            let mut input = seed.bytes.clone();
            for _ in 0..=round % MOST_CHANGES {
                session
                    .mutate_with(&mut change, &mut input)
                    .map_err(|error| anyhow!("the input cannot be changed: {error}"))?;
            }
            input.truncate(LONGEST);
            if panics(target, &input) {
                return Ok(Some(Finding { input, tried }));
            }
            tried += 1;
        }
    }
    Ok(None)
}

fn panics(target: &Target, input: &[u8]) -> bool {
    // Nothing of a run is left over for the next one.
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err()
}

/// One change of an input.
struct Change<'a> {
    seeds: &'a [Seed],
    bytes: mutators::Vec<<u8 as mutatis::DefaultMutate>::DefaultMutate>,
}

impl Mutate<Vec<u8>> for Change<'_> {
    fn mutate(
        &mut self,
        candidates: &mut Candidates<'_>,
        input: &mut Vec<u8>,
    ) -> mutatis::Result<()> {
        // Each as likely as all changes of single bytes together.
        let weight = u32::try_from(input.len())
            .unwrap_or(u32::MAX / 8)
            .saturating_add(1);
        candidates.mutation_group(weight, |context, _| {
            let number = context.rng().choose(EDGES).unwrap_or_default();
            let width = context.rng().choose([1, 2, 4, 8]).unwrap_or(1);
            let at = context.rng().gen_index(input.len() + 1).unwrap_or(0);
            let places = input.iter_mut().skip(at).take(width);
            for (place, byte) in places.zip(number.to_le_bytes()) {
                *place = byte;
            }
            Ok(())
        })?;
        // A block of the input, or of another seed, before or in place of what is there.
        candidates.mutation_group(weight, |context, _| {
            let seed = context.rng().choose(self.seeds);
            let from = match (context.rng().gen_bool(), seed) {
                (true, Some(seed)) => seed.bytes.clone(),
                _ => input.clone(),
            };
            let (block, step) = block(context, from.len());
            let to = context.rng().gen_index(input.len() + 1).unwrap_or(0) / step * step;
            let end = match context.rng().gen_bool() {
                true => to,
                false => input.len().min(to + block.len()),
            };
            input.splice(to..end, from[block].iter().copied());
            Ok(())
        })?;
        candidates.mutation_group(weight, |context, _| {
            let (block, _) = block(context, input.len());
            input.drain(block);
            Ok(())
        })?;
        self.bytes.mutate(candidates, input)
    }
}

/// A part of so many bytes, and what it is a multiple of: steps of a script and words of a table keep their places.
fn block(context: &mut Context, length: usize) -> (Range<usize>, usize) {
    let step = context.rng().choose([1, 4, 8]).unwrap_or(1);
    let start = context.rng().gen_index(length + 1).unwrap_or(0) / step * step;
    let most = (length - start).min(LARGEST_BLOCK);
    let size = context.rng().gen_index(most + 1).unwrap_or(0) / step * step;
    (start..start + size, step)
}

/// Where formats have their edges, and rings of 8 theirs.
const EDGES: [u64; 14] = [
    0,
    1,
    7,
    8,
    9,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    u32::MAX as u64,
    u64::MAX,
];
const MOST_CHANGES: u32 = 12;
const LONGEST: usize = 0x1_0000;
const LARGEST_BLOCK: usize = 256;
