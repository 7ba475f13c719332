//! The owner of a link: a process that holds window and doorbell, and lets applications reach their service.
//!
//! Each service is a Unix socket of packets or a pseudo-terminal, with an owner and a mode of its own; an application that
//! may open it needs no root, and never sees the window. One loop looks after all of them without ever waiting for one:
//! who is slow keeps its own messages waiting and loses its connection when its queue is full, and is told so. When the
//! peer restarts, clients are closed with that as the reason, and terminals go on with the next link.

mod client;
mod config;
mod control;
mod tty;

use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use self::client::{Client, turn_away};
pub use self::config::{Config, Face, Link, Service, Wrong};
pub(crate) use self::control::{CAPTURE, COUNTERS};
use self::control::{Caller, Seen};
use self::tty::Tty;
use crate::client::Reason;
use crate::error::{Error, SocketOperation};
use crate::hub::Hub;
use crate::socket::Listener;

/// A server at its work.
pub struct Server {
    hub: Hub,
    patience: Duration,
    control: Listener,
    callers: Vec<Caller>,
    seen: Seen,
    posts: Vec<Post>,
    clients: Vec<Client>,
    terminals: Vec<Tty>,
    clients_so_far: u64,
}

/// Where the clients of a service come.
struct Post {
    service: Service,
    listener: Listener,
}

/// How far somebody got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// There is more to do at once.
    Busy,
    /// Nothing to do until something happens.
    Idle,
    /// Nothing to do ever more.
    Closed,
}

impl Server {
    /// Opens everything that the configuration names. The control socket comes first: it is also what keeps a second server
    /// out of the folder.
    ///
    /// # Errors
    /// [`Error::Socket`] and [`Error::Terminal`], each with the file that cannot be opened.
    pub fn new(config: &Config, hub: Hub) -> Result<Self, (Error, PathBuf)> {
        let control = config.control_socket();
        let listen = |path: PathBuf, access| match Listener::bind(&path, access) {
            Ok(listener) => Ok(listener),
            Err(error) => Err((error, path)),
        };
        let mut server = Server {
            hub,
            patience: config.patience,
            control: listen(control, config.control)?,
            callers: Vec::new(),
            seen: Seen::default(),
            posts: Vec::new(),
            clients: Vec::new(),
            terminals: Vec::new(),
            clients_so_far: 0,
        };
        for service in &config.services {
            let path = config.folder.join(&service.file);
            match service.face {
                Face::Raw => server.posts.push(Post {
                    service: service.clone(),
                    listener: listen(path, service.access)?,
                }),
                Face::Tty => {
                    let tty = Tty::open(service, &config.folder);
                    server.terminals.push(tty.map_err(|error| (error, path))?);
                }
            }
        }
        Ok(server)
    }

    /// Clients that came so far.
    #[must_use]
    pub fn clients(&self) -> u64 {
        self.clients_so_far
    }

    /// Serves until the flag is set; then tells the clients, and removes what was made.
    ///
    /// # Errors
    /// Where the link is gone for good: [`Error::Doorbell`].
    pub fn run(&mut self, called_off: &AtomicBool) -> Result<(), Error> {
        let outcome = self.serve(called_off);
        for client in &mut self.clients {
            client.end(Reason::ServerEnded);
            client.step(&self.hub);
        }
        outcome
    }

    fn serve(&mut self, called_off: &AtomicBool) -> Result<(), Error> {
        while !called_off.load(Ordering::Relaxed) {
            self.look_after_all()?;
        }
        Ok(())
    }

    fn look_after_all(&mut self) -> Result<(), Error> {
        // One that was displaced gives way for a while, and drives again (rpmsg-lifecycle.md, L12).
        match self.hub.heard() {
            Err(error) if !matches!(error, Error::Displaced { .. }) => return Err(error),
            _ => {}
        }
        let busy = self.step()?;
        // Armed last: what the steps took and sent is part of what is armed for.
        let armed = match self.hub.arm() {
            Err(Error::Displaced { .. }) => false,
            armed => armed?,
        };
        // Who is gone is seen where others sleep, so that is passed in any case.
        self.sleep(match armed && !busy {
            true => self.hub.patience(),
            false => Duration::ZERO,
        })
    }

    /// Gives everybody a turn; whether somebody wants another at once.
    fn step(&mut self) -> Result<bool, Error> {
        let mut busy = self.take_in()?;
        let hub = &self.hub;
        self.clients.retain_mut(|client| {
            let step = client.step(hub);
            busy |= step == Step::Busy;
            step != Step::Closed
        });
        // Whoever comes first gets the buffers that are free; that is another one each time.
        if !self.clients.is_empty() {
            self.clients.rotate_left(1);
        }
        for terminal in &mut self.terminals {
            busy |= terminal.step(hub)? == Step::Busy;
        }
        let seen = self.seen.take();
        let captured = self.callers.iter().any(Caller::is_capturing);
        self.callers
            .retain_mut(|caller| caller.step(hub, &seen) != Step::Closed);
        let capturing = self.callers.iter().any(Caller::is_capturing);
        if captured != capturing {
            hub.watch(capturing.then(|| self.seen.watcher()));
        }
        Ok(busy)
    }

    /// Takes in who has come, a few at a time: those who are there already come next.
    fn take_in(&mut self) -> Result<bool, Error> {
        let mut busy = false;
        for post in &self.posts {
            let service = &post.service;
            let here = |client: &&Client| *client.service() == service.name;
            for _ in 0..TURN {
                let Some(fd) = post.listener.accept()? else {
                    break;
                };
                busy = true;
                if self.clients.iter().filter(here).count() >= service.clients {
                    turn_away(&fd);
                    continue;
                }
                let client = Client::new(fd, service.name, service.announce, self.patience);
                self.clients.push(client);
                self.clients_so_far += 1;
            }
        }
        for _ in 0..TURN {
            let Some(fd) = self.control.accept()? else {
                break;
            };
            busy = true;
            if self.callers.len() < CALLERS {
                self.callers.push(Caller::new(fd));
            }
        }
        Ok(busy)
    }

    /// Sleeps until there is something for somebody, at most this long.
    fn sleep(&mut self, rest: Duration) -> Result<(), Error> {
        let watch = |client: &'_ Client| client.interest().is_some();
        let mut fds: Vec<_> = self
            .clients
            .iter()
            .filter_map(|client| Some(watched(client.as_fd(), client.interest()?)))
            .collect();
        fds.extend(
            self.terminals
                .iter()
                .map(|tty| watched(tty.as_fd(), tty.interest())),
        );
        fds.extend(
            self.callers
                .iter()
                .map(|caller| watched(caller.as_fd(), caller.interest())),
        );
        let listeners = self.posts.iter().map(|post| &post.listener);
        fds.extend(
            listeners
                .chain([&self.control])
                .map(|listener| watched(listener.as_fd(), PollFlags::IN)),
        );
        fds.push(watched(self.hub.as_fd(), PollFlags::IN));
        let rest = Timespec::try_from(rest).unwrap_or_default();
        match poll(&mut fds, Some(&rest)) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(()),
            Err(errno) => {
                return Err(Error::Socket {
                    operation: SocketOperation::Receive,
                    errno: errno.raw_os_error(),
                });
            }
        }
        let closed = PollFlags::HUP | PollFlags::ERR;
        let gone: Vec<_> = fds
            .iter()
            .map(|fd| fd.revents().intersects(closed))
            .collect();
        let clients = self.clients.iter_mut().filter(|client| watch(client));
        for (client, _) in clients.zip(gone).filter(|(_, gone)| *gone) {
            client.leave();
        }
        Ok(())
    }
}

fn watched(fd: BorrowedFd<'_>, interest: PollFlags) -> PollFd<'_> {
    PollFd::from_borrowed_fd(fd, interest)
}

/// So many are taken in at once; more come with the next turn.
const TURN: usize = 16;
/// So many may watch and capture at a time.
const CALLERS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limit;
    use crate::client::Client;
    use crate::doorbell::EventCounters;
    use crate::hub::Options;
    use crate::place::{Geometry, Place};
    use crate::shared_memory::Window;

    #[test]
    fn a_client_that_leaves_a_server_which_never_rests_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "folder = {:?}\n[link]\nmeeting = \"nowhere\"\n[[service]]\nname = \"echo\"\n",
            folder.path()
        );
        let geometry = Geometry::default();
        let (window, _) = Window::memfd(geometry.window_size()).unwrap();
        let (near, far) = EventCounters::pair().unwrap();
        let options = Options {
            queue: 10_000,
            ..Options::default()
        };
        let place = move |window: &Window| Place::between_processes(&geometry, window);
        let device = Hub::device(place(&window).unwrap(), window.clone(), far, options).unwrap();
        let hub = Hub::driver(place, window, near, options).unwrap();
        let mut server = Server::new(&Config::parse(&config).unwrap(), hub.clone()).unwrap();
        let echo = loop {
            server.look_after_all().unwrap();
            device.pump().unwrap();
            if let Some(echo) = device.try_serve("echo").unwrap() {
                break echo;
            }
        };
        let mut enter = || {
            let client = Client::connect(&folder.path().join("echo")).unwrap();
            client.send(b"hello", Limit::after(Duration::ZERO)).unwrap();
            loop {
                server.look_after_all().unwrap();
                if let Some(message) = echo.try_recv().unwrap() {
                    break (client, message.source);
                }
            }
        };
        let (_stays, to) = enter();
        let (leaves, _) = enter();
        // So much for one of them that others have their turn many times, and nothing that its client has to read.
        let waits = || hub.counters().endpoints[0].queued;
        while waits() < 5000 {
            while echo.try_send(Some(to), b"").unwrap() {}
            hub.pump().unwrap();
        }
        drop(leaves);
        for _ in 0..4 {
            server.look_after_all().unwrap();
        }
        assert!(waits() > 1000);
        assert_eq!(hub.counters().endpoints.len(), 1);
    }
}
