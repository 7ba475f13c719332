//! A client whose second thread changes the bundle while the TA loads it.
#![expect(
    unsafe_code,
    reason = "maps bytes that change under the reader, which is the attack"
)]

use std::{
    fs::{self, File, OpenOptions},
    io::BufRead,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use corewarden::ta::{Parameter, Transport};
use memmap2::MmapOptions;

use crate::{
    memory::number,
    session::{client, code},
};

/// Loads the bundle `count` times while another thread flips its bytes and flips them back. After each success it waits
/// for a line on standard input, so that the memory can be compared, and releases the core.
pub(crate) fn run(core: &str, bundle: &str, count: &str) -> Result<()> {
    let core = u32::try_from(number(core)?)?;
    let content = fs::read(bundle).with_context(|| bundle.to_owned())?;
    let shared = SharedFile::new(&content)?;
    // SAFETY: the mapping is only handed to the TEE driver as the address of a buffer; that its bytes change meanwhile
    // is the point, and nothing in this program reads them through the slice.
    let mapping = unsafe { MmapOptions::new().map(&shared.file)? };
    let mut transport = client()?;
    println!("open {}", code(transport.open(core)));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let flipper = scope.spawn(|| flip(&shared.file, &content, &done));
        let outcome = load_all(&mut transport, core, &mapping, number(count)?);
        done.store(true, Ordering::Relaxed);
        flipper.join().ok().context("the flipping thread died")??;
        outcome
    })
}

fn load_all(transport: &mut impl Transport, core: u32, bundle: &[u8], count: u64) -> Result<()> {
    let (mut loaded, mut refused) = (0, 0);
    let mut answers = std::io::stdin().lock().lines();
    for _ in 0..count {
        let mut parameters = [
            Parameter::ValueInput { a: core, b: 0 },
            Parameter::MemoryInput(bundle),
            Parameter::None,
            Parameter::None,
        ];
        match transport.invoke(1, &mut parameters) {
            Ok(()) => {
                loaded += 1;
                println!("race loaded");
                answers.next().context("nobody answers")??;
                let mut release = [
                    Parameter::ValueInput { a: core, b: 0 },
                    Parameter::None,
                    Parameter::None,
                    Parameter::None,
                ];
                println!("race released {}", code(transport.invoke(6, &mut release)));
            }
            Err(failure) => {
                refused += 1;
                println!("race refused {}", code(Err(failure)));
            }
        }
    }
    println!("race end loaded={loaded} refused={refused}");
    Ok(())
}

/// Flips a byte, keeps it so for a moment, flips it back, and leaves the bundle whole for a longer one.
fn flip(file: &File, content: &[u8], done: &AtomicBool) -> Result<()> {
    let begin = Instant::now();
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    while !done.load(Ordering::Relaxed) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state = state.wrapping_add(u64::from(begin.elapsed().subsec_nanos()));
        let at = usize::try_from(state % content.len() as u64)?;
        file.write_all_at(&[content[at] ^ 0x20], at as u64)?;
        thread::sleep(Duration::from_micros(state >> 20 & 0x7ff));
        file.write_all_at(&[content[at]], at as u64)?;
        thread::sleep(Duration::from_micros(state >> 32 & 0x7fff));
    }
    Ok(())
}

/// A file in memory, gone when it is dropped.
struct SharedFile {
    file: File,
    path: PathBuf,
}

impl SharedFile {
    fn new(content: &[u8]) -> Result<Self> {
        let path = PathBuf::from(format!("/tmp/race-{}", std::process::id()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        file.write_all_at(content, 0)?;
        Ok(Self { file, path })
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            eprintln!("probe: {} stays: {error}", self.path.display());
        }
    }
}
