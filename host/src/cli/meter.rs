//! A sign of life for whoever waits at a terminal.

use std::io::{IsTerminal, Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Shows on a terminal what is going on, from the second second on, until it is dropped.
pub(super) struct Meter {
    percent: Arc<AtomicU64>,
    running: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Meter {
    pub(super) fn show(what: &'static str) -> Self {
        let percent = Arc::new(AtomicU64::new(UNKNOWN));
        let running = stderr().is_terminal().then(|| {
            let (stop, stopped) = channel::<()>();
            let percent = Arc::clone(&percent);
            let start = Instant::now();
            let line = thread::spawn(move || {
                let mut shown = false;
                while stopped.recv_timeout(STEP) == Err(RecvTimeoutError::Timeout) {
                    let seconds = start.elapsed().as_secs();
                    if seconds > 0 {
                        shown = true;
                        draw(what, seconds, percent.load(Ordering::Relaxed));
                    }
                }
                if shown {
                    // A terminal that is gone needs no clean line.
                    let _ = write!(stderr(), "\r\x1b[K");
                }
            });
            (stop, line)
        });
        Meter { percent, running }
    }

    pub(super) fn progress(&self, done: u64, total: u64) {
        let percent = done.saturating_mul(100) / total.max(1);
        self.percent.store(percent, Ordering::Relaxed);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some((stop, line)) = self.running.take() {
            drop(stop);
            // The thread only draws; if it failed, there is nothing to clean up.
            let _ = line.join();
        }
    }
}

fn draw(what: &str, seconds: u64, percent: u64) {
    let _ = match percent {
        UNKNOWN => write!(stderr(), "\r\x1b[K{what} ... {seconds} s"),
        percent => write!(stderr(), "\r\x1b[K{what} ... {percent} %, {seconds} s"),
    };
}

const STEP: Duration = Duration::from_millis(200);
const UNKNOWN: u64 = u64::MAX;
