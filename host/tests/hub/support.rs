//! Two parties of one window.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use corewarden::doorbell::EventCounters;
use corewarden::hub::{Hub, Options};
use corewarden::place::{Geometry, Place};
use corewarden::shared_memory::Window;
use corewarden::{Error, Limit};
use rpmsg::Features;

/// A window and the two counters of its doorbells.
pub(crate) struct Bench {
    pub(crate) geometry: Geometry,
    /// What both sides want of the rings.
    pub(crate) features: Features,
    pub(crate) window: Window,
    file: OwnedFd,
    bells: (EventCounters, EventCounters),
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::of(Geometry::default())
    }

    /// One of each kind of link: over split rings and over packed ones, with the driver's buffers and with each side's own.
    pub(crate) fn kinds() -> [Self; 4] {
        Self::kinds_of(Geometry::default())
    }

    pub(crate) fn kinds_of(geometry: Geometry) -> [Self; 4] {
        [(false, false), (false, true), (true, false), (true, true)].map(|(symmetric, packed)| {
            let mut bench = Self::of(Geometry {
                symmetric,
                ..geometry
            });
            if packed {
                bench.features = bench.features.with(Features::PACKED_RING);
            }
            bench
        })
    }

    pub(crate) fn of(geometry: Geometry) -> Self {
        let (window, file) = Window::memfd(geometry.window_size()).unwrap();
        Bench {
            geometry,
            features: Options::default().features,
            window,
            file,
            bells: EventCounters::pair().unwrap(),
        }
    }

    /// Both sides speak generations, so that every sleep but a flag's may be as long as it likes: what is slept through is
    /// found by a time limit.
    pub(crate) fn options(&self) -> Options {
        Options {
            look: LONG,
            buffer_size: self.geometry.buffer_size,
            features: self.features,
            handshake: LONG,
            ..Options::default()
        }
    }

    pub(crate) fn driver(&self) -> Hub {
        self.driver_with(self.options())
    }

    pub(crate) fn driver_with(&self, options: Options) -> Hub {
        let geometry = self.geometry;
        let find = move |window: &Window| Place::between_processes(&geometry, window);
        Hub::driver(find, self.mapping(), again(&self.bells.0), options).unwrap()
    }

    pub(crate) fn device(&self) -> Hub {
        self.device_with(self.options())
    }

    pub(crate) fn device_with(&self, options: Options) -> Hub {
        let window = self.mapping();
        let place = Place::between_processes(&self.geometry, &window).unwrap();
        Hub::device(place, window, again(&self.bells.1), options).unwrap()
    }

    /// A device in a thread, which sends everything back at the service `echo`, to one driver after the other.
    pub(crate) fn echo(&self) -> Party {
        let hub = self.device();
        Party::start(move |flag| {
            let mut endpoint = hub.serve("echo", forever().unless(flag))?;
            loop {
                let answered = endpoint.recv(forever().unless(flag)).and_then(|message| {
                    endpoint.send_to(message.source, &message.payload, forever().unless(flag))
                });
                match answered {
                    Err(Error::PeerRestarted { .. }) => endpoint.reopen(forever().unless(flag))?,
                    answered => answered?,
                }
            }
        })
    }

    fn mapping(&self) -> Window {
        Window::map(&self.file, 0, self.geometry.window_size()).unwrap()
    }
}

/// One end of a pair of doorbells, once more.
fn again(bell: &EventCounters) -> EventCounters {
    let (ours, theirs) = bell.parts();
    let copy = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().unwrap();
    EventCounters::from_parts(copy(ours), copy(theirs))
}

/// A party in a thread of its own, which ends when this is dropped.
pub(crate) struct Party {
    flag: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Party {
    pub(crate) fn start(
        work: impl FnOnce(&AtomicBool) -> Result<(), Error> + Send + 'static,
    ) -> Self {
        let flag = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&flag);
        Party {
            flag,
            thread: Some(thread::spawn(move || work(&seen))),
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Calls the work off; how it ended.
    pub(crate) fn end(mut self) -> Result<(), Error> {
        self.flag.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        self.flag.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn long() -> Limit<'static> {
    Limit::after(LONG)
}

pub(crate) fn forever() -> Limit<'static> {
    Limit::after(Duration::MAX)
}

pub(crate) fn shortly() -> Limit<'static> {
    Limit::after(Duration::from_millis(30))
}

pub(crate) const LONG: Duration = Duration::from_secs(30);
