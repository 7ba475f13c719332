//! A device, a server and its clients.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use corewarden::client::Client;
use corewarden::hub::Options;
use corewarden::peer::{Meeting, Role, join};
use corewarden::place::Geometry;
use corewarden::{Access, Error, Limit};
use tempfile::TempDir;

/// A folder with a meeting, which lasts as long as this.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    done: Arc<AtomicBool>,
    meeting: Option<JoinHandle<()>>,
}

/// A device that echoes at `echo` and at `console`.
pub(crate) struct Core {
    crashed: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// The server's process, which is killed when this is dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) folder: PathBuf,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::of(Geometry::default())
    }

    fn of(geometry: Geometry) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link");
        let meeting = Meeting::at(&path, geometry, Access::default()).unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&done);
        let meeting = thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                meeting.attend(Duration::from_millis(20)).unwrap();
            }
        });
        let config = format!(
            "folder = \"{0}/run\"\npatience = 300\nqueue = 64\n\
             [link]\nmeeting = \"{0}/link\"\n\
             [[service]]\nname = \"echo\"\nmode = 0o640\n\
             [[service]]\nname = \"missing\"\n\
             [[service]]\nname = \"console\"\nface = \"tty\"\nfile = \"ttyCore\"\n",
            folder.path().display()
        );
        fs::write(folder.path().join("serve.toml"), config).unwrap();
        Bench {
            folder,
            done,
            meeting: Some(meeting),
        }
    }

    pub(crate) fn core(&self) -> Core {
        let path = self.folder.path().join("link");
        let crashed = Arc::new(AtomicBool::new(false));
        let hub = join(&path, Role::Device, Options::default(), long()).unwrap();
        let threads = ["echo", "console"].map(|service| {
            let (hub, crashed) = (hub.clone(), Arc::clone(&crashed));
            thread::spawn(move || {
                let forever = Limit::after(Duration::MAX).unless(&crashed);
                let outcome = (|| {
                    let mut endpoint = hub.serve(service, forever)?;
                    loop {
                        let answered = endpoint.recv(forever).and_then(|message| {
                            endpoint.send_to(message.source, &message.payload, forever)
                        });
                        match answered {
                            Err(Error::PeerRestarted { .. }) => endpoint.reopen(forever)?,
                            // The link goes with its endpoints, without a word, as if power was cut.
                            Err(Error::Interrupted) => {
                                std::mem::forget(endpoint);
                                return Err(Error::Interrupted);
                            }
                            answered => answered?,
                        }
                    }
                })();
                std::mem::forget(hub);
                assert_eq!(outcome, Err::<(), _>(Error::Interrupted));
            })
        });
        std::mem::forget(hub);
        Core {
            crashed,
            threads: threads.into(),
        }
    }

    pub(crate) fn serve(&self) -> Server {
        self.serve_after(":")
    }

    /// Serves where a shell has said something first.
    pub(crate) fn serve_after(&self, line: &str) -> Server {
        let child = Command::new("sh")
            .args(["-c", &format!("{line}; exec \"$0\" \"$@\"")])
            .arg(assert_cmd::cargo::cargo_bin!("corewarden"))
            .args(["serve", "--config", &self.config()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Server {
            child,
            folder: self.folder.path().join("run"),
        };
        let start = Instant::now();
        // Clients may come once the last socket is there.
        while Client::connect(&server.file("missing")).is_err() || !server.file("ttyCore").exists()
        {
            assert_eq!(server.child.try_wait().unwrap(), None, "the server ended");
            assert!(start.elapsed() < LONG, "the server does not listen");
            thread::sleep(Duration::from_millis(5));
        }
        server
    }

    pub(crate) fn config(&self) -> String {
        self.folder.path().join("serve.toml").display().to_string()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("corewarden"));
        command.args(arguments);
        command
    }

    pub(crate) fn corewarden(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        let _ = self.meeting.take().unwrap().join();
    }
}

impl Core {
    pub(crate) fn crash(mut self) {
        self.crashed.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.crashed.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Server {
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn control(&self) -> String {
        self.file("control").display().to_string()
    }

    /// A client of a service that answers; the first one may come before the link is up.
    pub(crate) fn client(&self) -> Client {
        let start = Instant::now();
        loop {
            let client = Client::connect(&self.file("echo")).unwrap();
            client.send(b"there?", long()).unwrap();
            match client.recv(long()) {
                Ok(answer) => {
                    assert_eq!(answer, b"there?");
                    return client;
                }
                Err(Error::ServerClosed { .. }) => assert!(start.elapsed() < LONG),
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(crate) fn counters(&self) -> serde_json::Value {
        let output = Command::new(assert_cmd::cargo::cargo_bin!("corewarden"))
            .args(["top", "--json", "--control", &self.control()])
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(crate) fn lost(&self) -> u64 {
        let counters = self.counters();
        let endpoints = counters["endpoints"].as_array().unwrap();
        endpoints.iter().filter_map(|e| e["lost"].as_u64()).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A core that is served.
pub(crate) fn served() -> (Bench, Core, Server) {
    served_over(false)
}

/// The same over a link that is symmetric or not.
pub(crate) fn served_over(symmetric: bool) -> (Bench, Core, Server) {
    let bench = Bench::of(Geometry {
        symmetric,
        ..Geometry::default()
    });
    let core = bench.core();
    let server = bench.serve();
    (bench, core, server)
}

/// Has a client ask, and be answered.
#[track_caller]
pub(crate) fn echoed(client: &Client, message: &[u8]) {
    client.send(message, long()).unwrap();
    assert_eq!(client.recv(long()).unwrap(), message);
}

/// What a script says to a socket.
pub(crate) fn python(script: &str, socket: &Path) -> Output {
    let mut python = Command::new("python3");
    python.args(["-c", script]).arg(socket).output().unwrap()
}

pub(crate) fn open(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

/// Sends a signal by the shell's own `kill`: a small system has no program of that name.
pub(crate) fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id());
    let killed = Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(killed.success());
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn long() -> Limit<'static> {
    Limit::after(LONG)
}

pub(crate) const LONG: Duration = Duration::from_secs(120);
