//! The example of this crate, beside one of the library's.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

#[test]
fn the_example_of_an_async_echo_answers_a_driver() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("link");
    let echo = example("corewarden-async", "async_echo");
    let driver = example("corewarden", "driver");
    let start = Instant::now();
    let mut server = Example(Command::new(echo).arg(&path).spawn().unwrap());
    for word in ["hello", "again"] {
        let said = loop {
            // It has a time limit of its own.
            let asked = Command::new(&driver).arg(&path).arg(word).output().unwrap();
            // The echo may not listen yet.
            if asked.status.success() {
                break asked.stdout;
            }
            assert!(start.elapsed() < LONG, "nobody answers");
            assert_eq!(server.0.try_wait().unwrap(), None, "the echo ended");
        };
        assert_eq!(String::from_utf8(said).unwrap(), format!("{word}\n"));
    }
}

/// Cargo puts the examples beside the tests, but builds them only where all of a crate is tested.
fn example(package: &str, name: &str) -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline", "--package", package])
        .args(["--example", name])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(built.unwrap().success());
    let tests = std::env::current_exe().unwrap();
    let examples = tests.parent().unwrap().parent().unwrap().join("examples");
    examples.join(name)
}

/// An example that runs, until this is dropped.
struct Example(Child);

impl Drop for Example {
    fn drop(&mut self) {
        // What has ended needs no end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const LONG: Duration = Duration::from_secs(60);
