//! A server in this program, and the other side of its link.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use corewarden::Error;
use corewarden::doorbell::EventCounters;
use corewarden::hub::{Hub, Options};
use corewarden::place::{Geometry, Place};
use corewarden::serve::{Config, Server};
use corewarden::shared_memory::Window;
use tempfile::TempDir;

/// A server of one service in a thread, which ends when this is dropped.
pub(crate) struct Inside {
    pub(crate) window: Window,
    geometry: Geometry,
    folder: TempDir,
    ended: Arc<AtomicBool>,
    server: Option<JoinHandle<Result<(), Error>>>,
    /// Where the system says how long that thread ran.
    schedstat: PathBuf,
}

impl Inside {
    /// A server of a core's `echo`, and the core.
    pub(crate) fn echo(geometry: Geometry, options: Options) -> (Self, Hub) {
        let (window, ours) = windows(geometry);
        let (near, far) = EventCounters::pair().unwrap();
        let place = Place::between_processes(&geometry, &window).unwrap();
        let device = Hub::device(place, window.clone(), far, options).unwrap();
        let driver = drive(geometry, ours, near, options);
        let inside = Self::start("name = \"echo\"", driver, window, geometry);
        (inside, device)
    }

    /// A server that announces the terminal `console`, and the bell of its driver.
    pub(crate) fn console() -> (Self, EventCounters) {
        let geometry = Geometry::default();
        let (window, ours) = windows(geometry);
        let (near, far) = EventCounters::pair().unwrap();
        let place = Place::between_processes(&geometry, &ours).unwrap();
        let device = Hub::device(place, ours, far, Options::default()).unwrap();
        let service = "name = \"console\"\nface = \"tty\"\nannounce = true";
        (Self::start(service, device, window, geometry), near)
    }

    pub(crate) fn driver(&self, bell: EventCounters, options: Options) -> Hub {
        drive(self.geometry, self.window.clone(), bell, options)
    }

    fn start(service: &str, hub: Hub, window: Window, geometry: Geometry) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "folder = {:?}\n[link]\nmeeting = \"nowhere\"\n[[service]]\n{service}\n",
            folder.path()
        );
        let mut server = Server::new(&Config::parse(&config).unwrap(), hub).unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        let (here, thread) = std::sync::mpsc::channel();
        let server = thread::spawn(move || {
            here.send(fs::read_link("/proc/thread-self").unwrap())
                .unwrap();
            server.run(&seen)
        });
        let thread = PathBuf::from("/proc").join(thread.recv().unwrap());
        Inside {
            window,
            geometry,
            folder,
            ended,
            server: Some(server),
            schedstat: thread.join("schedstat"),
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.server.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// How long a processor has worked for the server.
    pub(crate) fn processor_time(&self) -> Duration {
        let times = fs::read_to_string(&self.schedstat).unwrap();
        let nanoseconds = times.split_whitespace().next().unwrap();
        Duration::from_nanos(nanoseconds.parse().unwrap())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let ended = self.server.take().unwrap().join();
        if !thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

/// Two mappings of one window.
fn windows(geometry: Geometry) -> (Window, Window) {
    let (window, fd) = Window::memfd(geometry.window_size()).unwrap();
    let other = Window::map(&fd, 0, geometry.window_size()).unwrap();
    (window, other)
}

fn drive(geometry: Geometry, window: Window, bell: EventCounters, options: Options) -> Hub {
    let place = move |window: &Window| Place::between_processes(&geometry, window);
    Hub::driver(place, window, bell, options).unwrap()
}
