//! Signals that would end the program wait while a temporary file is there.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::low_level::emulate_default_handler;

/// While one lives, a signal that would end the program waits; it takes its effect when the last one is dropped.
#[derive(Debug)]
pub(crate) struct Held(());

impl Held {
    pub(crate) fn new() -> Self {
        let signals = SIGNALS.get_or_init(Signals::watch);
        HOLDERS.fetch_add(1, Ordering::SeqCst);
        signals.at_once.store(false, Ordering::SeqCst);
        Self(())
    }

    /// Whether one waits: it is time to give up.
    pub(crate) fn came(&self) -> bool {
        let signals = SIGNALS.get();
        signals.is_some_and(|signals| signals.came.load(Ordering::SeqCst) != 0)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if HOLDERS.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        let Some(signals) = SIGNALS.get() else {
            return;
        };
        signals.at_once.store(true, Ordering::SeqCst);
        if let Ok(signal @ 1..) = i32::try_from(signals.came.load(Ordering::SeqCst)) {
            // Ends the program as if nothing had held it back; where that fails, an error says that it was interrupted.
            let _ = emulate_default_handler(signal);
        }
    }
}

struct Signals {
    /// Whether a signal ends the program at once, as it does without us.
    at_once: Arc<AtomicBool>,
    /// The signal that came, or 0.
    came: Arc<AtomicUsize>,
}

impl Signals {
    /// What cannot be watched ends the program at once, as ever.
    fn watch() -> Self {
        let signals = Self {
            at_once: Arc::new(AtomicBool::new(true)),
            came: Arc::new(AtomicUsize::new(0)),
        };
        let ignored = ignored();
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            // What nohup and shells have us ignore stays ignored.
            if ignored >> (signal - 1) & 1 == 0 {
                let _ = flag::register_conditional_default(signal, Arc::clone(&signals.at_once));
                let number = usize::try_from(signal).unwrap_or_default();
                let _ = flag::register_usize(signal, Arc::clone(&signals.came), number);
            }
        }
        // A file that grows beyond its limit is an error to report and no reason to die.
        let _ = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
        signals
    }
}

/// The signals that are ignored, one bit each (proc(5), SigIgn).
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

static HOLDERS: AtomicUsize = AtomicUsize::new(0);
static SIGNALS: OnceLock<Signals> = OnceLock::new();
