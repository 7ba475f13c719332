//! One link with many endpoints, for many threads, in either role.
//!
//! A [`Hub`] owns a window and a doorbell and takes part in a link: as its driver (Linux towards a core) or as its device
//! (a process that serves another). It brings the link up, and up again after the peer has restarted. An [`Endpoint`] is a
//! handle of one generation of the link: when the peer restarts, what was received before can still be taken, and then
//! every call fails with [`Error::PeerRestarted`] until [`Endpoint::reopen`].
//!
//! There is no thread inside. Whoever waits also works: the first one to wait looks after the link for all, first by
//! looking at the rings for a moment ([`Options::spin`]), then asleep at the doorbell, and hands that duty on when it has
//! what it waited for. Each endpoint has a queue of its own. While every queue is full the messages stay in the ring, which
//! holds up the peer; an endpoint that is slower than the others holds up none of them: its further messages are lost,
//! which [`Error::MessagesLost`] says at their place.
//!
//! # Example
//!
//! Two parties in one program; `Hub::driver` and `Hub::device` are the same from the next process.
//!
//! ```
//! use std::time::Duration;
//!
//! use corewarden::doorbell::EventCounters;
//! use corewarden::hub::{Hub, Options};
//! use corewarden::place::{Geometry, Place};
//! use corewarden::shared_memory::Window;
//! use corewarden::Limit;
//!
//! let geometry = Geometry::default();
//! let (window, fd) = Window::memfd(geometry.window_size())?;
//! let other = Window::map(&fd, 0, geometry.window_size())?;
//! let (near, far) = EventCounters::pair()?;
//! let soon = || Limit::after(Duration::from_secs(20));
//!
//! let device = std::thread::spawn(move || {
//!     let place = Place::between_processes(&geometry, &other)?;
//!     let hub = Hub::device(place, other, far, Options::default())?;
//!     let greeter = hub.serve("greeter", soon())?;
//!     let name = greeter.recv(soon())?;
//!     greeter.send(&[b"hello ", name.payload.as_slice()].concat(), soon())
//! });
//!
//! let place = move |window: &Window| Place::between_processes(&geometry, window);
//! let hub = Hub::driver(place, window, near, Options::default())?;
//! let greeter = hub.connect("greeter", soon())?;
//! greeter.send(b"world", soon())?;
//! assert_eq!(greeter.recv(soon())?.payload, b"hello world");
//! device.join().unwrap()?;
//! # Ok::<(), corewarden::Error>(())
//! ```

mod counters;
mod endpoint;
mod inbox;
mod node;
mod pause;
mod side;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use rpmsg::{Features, ServiceName};
use rustix::event::{EventfdFlags, eventfd};

pub use self::counters::{Counters, EndpointCounters, Kicks, Seen, Traffic, Watcher};
pub use self::endpoint::Endpoint;
pub(crate) use self::endpoint::Post;
pub use self::inbox::Message;
pub(crate) use self::node::LinkPools;
use self::node::{Node, Purpose};
pub(crate) use self::side::ENDPOINTS;
use self::side::Side;
use crate::doorbell::{Doorbell, Rung, failed, readable};
use crate::error::{DoorbellOperation, Error, Waiting};
use crate::limit::Limit;
use crate::place::Place;
use crate::shared_memory::Window;

/// A service that the peer announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// Where it is served.
    pub address: u32,
}

/// How a hub does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of one buffer, its header of 16 included, of a driver whose device asks for no size.
    pub buffer_size: u32,
    /// What a device offers and a driver accepts, at most (rpmsg-features.md).
    pub features: Features,
    /// How long a driver waits until the device has left the rings alone. One that speaks no generations never says so,
    /// and after this time the rings are written all the same; but those of a symmetric link never are (rpmsg-rings.md, R17).
    pub handshake: Duration,
    /// How long a sleep may be at most (five times as long where a driver's link is up): peers that speak no generations come
    /// and go without a ring. Where the peer is known to speak them it may be long.
    pub look: Duration,
    /// Messages that may wait for one endpoint.
    pub queue: usize,
    /// How long to look at the rings before sleeping at the doorbell: about what being woken costs. Zero on a machine with
    /// one processor, where the peer could not run meanwhile.
    pub spin: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let alone = thread::available_parallelism().is_ok_and(|count| count.get() == 1);
        Options {
            buffer_size: 512,
            features: Features::NAME_SERVICE
                .with(Features::BUFFER_SIZES)
                .with(Features::EVENT_INDEX)
                .with(Features::VERSION_1),
            handshake: Duration::from_secs(1),
            look: Duration::from_millis(10),
            queue: 256,
            spin: Duration::from_micros(if alone { 0 } else { 20 }),
        }
    }
}

/// A link taken into use; clones are the same link, and the last one lets it go.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// So many want the state, or are about to have it.
    wanted: AtomicUsize,
    /// Somebody has news for whoever waits, or the duty to look after the link is free.
    turn: Condvar,
    bell: Arc<dyn Doorbell>,
    /// Wakes the one who sleeps at the doorbell when another has taken in what it waits for.
    nudge: OwnedFd,
    spin: Duration,
}

struct State {
    node: Node,
    /// Who looks after the link, for all.
    watch: Watch,
    /// Whoever sleeps there has been woken, and has not noticed yet.
    nudged: bool,
    /// So many wait for whoever does.
    followers: usize,
    /// Somebody outside sleeps at the descriptor of the doorbell ([`Hub::arm`]).
    armed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    /// Nobody.
    Free,
    /// Somebody looks at the rings all the time.
    Awake,
    /// Somebody sleeps at the doorbell.
    Asleep,
}

enum Next<T> {
    Found(T),
    /// Looks again at once, and lets others have their turn first.
    Again,
    Follow(Duration),
    Sleep(Duration),
}

impl Hub {
    /// Drives a link; its place is looked for by `find` each time that a link begins, as another image may have been
    /// loaded meanwhile. Nothing happens before the first wait or [`Hub::pump`].
    ///
    /// # Errors
    /// [`Error::Doorbell`] where the system has no descriptor left.
    pub fn driver(
        find: impl FnMut(&Window) -> Result<Place, Error> + Send + 'static,
        window: Window,
        doorbell: impl Doorbell + 'static,
        options: Options,
    ) -> Result<Self, Error> {
        let bell: Arc<dyn Doorbell> = Arc::new(doorbell);
        Self::new(Side::driver(Box::new(find)), window, bell, options)
    }

    /// Is the device of a link.
    ///
    /// # Errors
    /// [`Error::Doorbell`] where the driver cannot be told.
    pub fn device(
        place: Place,
        window: Window,
        doorbell: impl Doorbell + 'static,
        options: Options,
    ) -> Result<Self, Error> {
        let bell: Arc<dyn Doorbell> = Arc::new(doorbell);
        let side = Side::device(place, &window, &*bell, &options)?;
        Self::new(side, window, bell, options)
    }

    fn new(
        side: Side,
        window: Window,
        bell: Arc<dyn Doorbell>,
        options: Options,
    ) -> Result<Self, Error> {
        let nudge = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
            .map_err(|errno| failed(DoorbellOperation::Open, errno))?;
        let node = Node::new(window, Arc::clone(&bell), options, side);
        Ok(Hub {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    node,
                    watch: Watch::Free,
                    nudged: false,
                    followers: 0,
                    armed: false,
                }),
                wanted: AtomicUsize::new(0),
                turn: Condvar::new(),
                bell,
                nudge,
                spin: options.spin,
            }),
        })
    }

    /// Waits until a link is up; its generation.
    ///
    /// # Errors
    /// [`Error::TimeLimit`], or why there is no link where that is known.
    pub fn up(&self, limit: Limit<'_>) -> Result<u32, Error> {
        let up = self.shared.wait(limit, Waiting::Link, |node| {
            Ok(node.is_up().then(|| node.generation()))
        });
        self.or_trouble(up)
    }

    /// Opens an endpoint for a service of the peer, once that is announced. An instance's name is
    /// `service-instance`.
    ///
    /// # Errors
    /// [`Error::TimeLimit`] where it is not announced, [`Error::Rpmsg`] where the name cannot be one or there are too many
    /// endpoints.
    pub fn connect(&self, service: &str, limit: Limit<'_>) -> Result<Endpoint, Error> {
        let name = ServiceName::new(service).map_err(Error::Rpmsg)?;
        let opened = self
            .shared
            .wait(limit, Waiting::Service, |node| match node.service(&name) {
                Some(address) => node.open(&Purpose::Client(name, address)),
                None => Ok(None),
            });
        self.endpoint(opened, Purpose::Client(name, 0))
    }

    /// Opens an endpoint and announces it as a service. It talks to whoever talks to it first, and to others by
    /// [`Endpoint::send_to`].
    ///
    /// # Errors
    /// [`Error::TimeLimit`] where there is no link to announce it on, [`Error::Rpmsg`] where the name cannot be one or
    /// there are too many endpoints.
    pub fn serve(&self, service: &str, limit: Limit<'_>) -> Result<Endpoint, Error> {
        let name = ServiceName::new(service).map_err(Error::Rpmsg)?;
        self.open_for(Purpose::Server(name), limit)
    }

    /// Opens an endpoint at a fixed address, or at a free one.
    ///
    /// # Errors
    /// [`Error::TimeLimit`] where there is no link, [`Error::Rpmsg`] where the address is taken or there are too many
    /// endpoints.
    pub fn open(&self, address: Option<u32>, limit: Limit<'_>) -> Result<Endpoint, Error> {
        self.open_for(Purpose::Plain(address), limit)
    }

    fn open_for(&self, purpose: Purpose, limit: Limit<'_>) -> Result<Endpoint, Error> {
        let opened = self
            .shared
            .wait(limit, Waiting::Link, |node| node.open(&purpose));
        self.endpoint(opened, purpose)
    }

    fn endpoint(
        &self,
        opened: Result<(u64, u32), Error>,
        purpose: Purpose,
    ) -> Result<Endpoint, Error> {
        let (id, address) = self.or_trouble(opened)?;
        Ok(Endpoint::new(self.clone(), id, address, purpose))
    }

    /// Why there is no link says more than how long there was none.
    fn or_trouble<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        match outcome {
            Err(Error::TimeLimit { .. }) => {
                let trouble = self.shared.lock().node.trouble();
                outcome.map_err(|error| trouble.unwrap_or(error))
            }
            outcome => outcome,
        }
    }

    /// The services that the peer has announced so far.
    #[must_use]
    pub fn services(&self) -> Vec<Service> {
        let state = self.shared.lock();
        let services = state.node.services();
        services
            .map(|(name, address)| Service { name, address })
            .collect()
    }

    /// The generation of the link, while one is up.
    #[must_use]
    pub fn generation(&self) -> Option<u32> {
        let state = self.shared.lock();
        state.node.is_up().then(|| state.node.generation())
    }

    /// Why no link begins, where that is known.
    #[must_use]
    pub fn trouble(&self) -> Option<Error> {
        self.shared.lock().node.trouble()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.lock().node.counters()
    }

    /// Shows everything that goes over the link to a watcher, in place of the one before. It is called in the middle of the
    /// work: it must neither wait nor call the hub.
    pub fn watch(&self, watcher: Option<Watcher>) {
        self.shared.lock().node.watch(watcher);
    }

    /// Takes in what has come, without waiting.
    ///
    /// # Errors
    /// [`Error::Doorbell`], [`Error::Displaced`].
    pub fn pump(&self) -> Result<(), Error> {
        self.shared.now(Node::pump)
    }

    /// For a program with an event loop of its own: prepares for sleep at the hub's descriptor, for [`Hub::patience`] at
    /// most. `false` where there is something to pump already; after waking, [`Hub::heard`] comes first.
    ///
    /// # Errors
    /// As [`Hub::pump`].
    pub fn arm(&self) -> Result<bool, Error> {
        let mut state = self.shared.lock();
        let ready = state.node.prepare_sleep();
        state.armed = ready == Ok(false);
        self.shared.tell_and_leave(state);
        ready.map(|ready| !ready)
    }

    /// Takes the rings that have come, and pumps.
    ///
    /// # Errors
    /// As [`Hub::pump`].
    pub fn heard(&self) -> Result<(), Error> {
        let rung = self.shared.bell.drain()?;
        self.shared.lock().armed = false;
        self.shared.now(|node| {
            if rung == Rung::Yes {
                node.heard();
            }
            node.pump()
        })
    }

    /// How long a sleep may be, for peers that come and go without a ring.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.shared.lock().node.slice()
    }

    /// Wakes a task at the next change: of the link, of the services, of free buffers.
    pub fn wake_at_news(&self, waker: &Waker) {
        self.shared.lock().node.wake_at_news(waker);
    }

    /// Wakes every task that waits, to see for itself what a call says now.
    pub fn alarm(&self) {
        let wakers = self.shared.lock().node.all_wakers();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The service's endpoint, if it is announced now.
    ///
    /// # Errors
    /// As [`Hub::connect`], without its time limit.
    pub fn try_connect(&self, service: &str) -> Result<Option<Endpoint>, Error> {
        let name = ServiceName::new(service).map_err(Error::Rpmsg)?;
        let opened = self.shared.now(|node| match node.service(&name) {
            Some(address) => node.open(&Purpose::Client(name, address)),
            None => Ok(None),
        })?;
        Ok(opened.map(|(id, address)| {
            Endpoint::new(self.clone(), id, address, Purpose::Client(name, address))
        }))
    }

    /// An endpoint at a fixed address, or at a free one, if there is a link now.
    ///
    /// # Errors
    /// As [`Hub::open`], without its time limit.
    pub fn try_open(&self, address: Option<u32>) -> Result<Option<Endpoint>, Error> {
        let purpose = Purpose::Plain(address);
        let opened = self.shared.now(|node| node.open(&purpose))?;
        Ok(opened.map(|(id, address)| Endpoint::new(self.clone(), id, address, purpose)))
    }

    /// An endpoint that serves, if there is a link now.
    ///
    /// # Errors
    /// As [`Hub::serve`], without its time limit.
    pub fn try_serve(&self, service: &str) -> Result<Option<Endpoint>, Error> {
        let name = ServiceName::new(service).map_err(Error::Rpmsg)?;
        let opened = self.shared.now(|node| node.open(&Purpose::Server(name)))?;
        Ok(opened
            .map(|(id, address)| Endpoint::new(self.clone(), id, address, Purpose::Server(name))))
    }
}

/// The doorbell's descriptor, readable once the peer has rung.
impl AsFd for Hub {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.bell.as_fd()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.wanted.fetch_add(1, Ordering::Relaxed);
        // A panic of a watcher leaves the state as whole as it was before the call.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.wanted.fetch_sub(1, Ordering::Relaxed);
        state
    }

    /// A lock goes to whoever asks first, which is the one who has just let it go.
    fn give_way(&self) {
        for _ in 0..TURNS {
            std::hint::spin_loop();
            if self.wanted.load(Ordering::Relaxed) == 0 {
                return;
            }
            thread::yield_now();
        }
    }

    /// One call without waiting.
    fn now<T>(&self, call: impl FnOnce(&mut Node) -> Result<T, Error>) -> Result<T, Error> {
        let mut state = self.lock();
        let outcome = call(&mut state.node);
        self.tell_and_leave(state);
        outcome
    }

    /// Whoever is woken may be one who calls the hub at once.
    fn tell_and_leave(&self, mut state: MutexGuard<'_, State>) {
        let wakers = self.tell(&mut state);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Repeats a call until it has something, and looks after the link meanwhile or leaves that to whoever does.
    fn wait<T>(
        &self,
        limit: Limit<'_>,
        waiting: Waiting,
        mut call: impl FnMut(&mut Node) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let mut since = None;
        let mut state = self.lock();
        loop {
            let next = self.look(&mut state, limit, waiting, &mut since, &mut call);
            let wakers = self.tell(&mut state);
            match next {
                Ok(Next::Follow(slice)) if wakers.is_empty() => {
                    state.followers += 1;
                    let waited = self.turn.wait_timeout(state, slice);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                    state.followers -= 1;
                }
                Ok(Next::Follow(_)) => {
                    drop(state);
                    wakers.into_iter().for_each(Waker::wake);
                    state = self.lock();
                }
                Ok(Next::Again) => {
                    drop(state);
                    wakers.into_iter().for_each(Waker::wake);
                    self.give_way();
                    state = self.lock();
                    state.watch = Watch::Free;
                }
                Ok(Next::Sleep(slice)) => {
                    drop(state);
                    wakers.into_iter().for_each(Waker::wake);
                    let rung = self.sleep(slice);
                    state = self.lock();
                    state.watch = Watch::Free;
                    if std::mem::take(&mut state.nudged) {
                        // There is a nudge to take, so this neither waits nor fails.
                        let _ = rustix::io::read(&self.nudge, &mut [0; 8]);
                    }
                    match rung {
                        Ok(Rung::Yes) => state.node.heard(),
                        Ok(Rung::No) => {}
                        Err(error) => return Err(self.leave(state, Vec::new(), error)),
                    }
                }
                Ok(Next::Found(found)) => return Ok(self.leave(state, wakers, found)),
                Err(error) => return Err(self.leave(state, wakers, error)),
            }
        }
    }

    /// Hands the duty to look after the link on, if it is free.
    fn leave<T>(&self, state: MutexGuard<'_, State>, wakers: Vec<Waker>, outcome: T) -> T {
        if state.watch == Watch::Free && state.followers > 0 {
            self.turn.notify_one();
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        outcome
    }

    /// What a caller that waits has to do next; `since` when it looks at the rings, if it does.
    fn look<T>(
        &self,
        state: &mut State,
        limit: Limit<'_>,
        waiting: Waiting,
        since: &mut Option<Instant>,
        call: &mut impl FnMut(&mut Node) -> Result<Option<T>, Error>,
    ) -> Result<Next<T>, Error> {
        if let Some(found) = call(&mut state.node)? {
            return Ok(Next::Found(found));
        }
        state.node.pump()?;
        if let Some(found) = call(&mut state.node)? {
            return Ok(Next::Found(found));
        }
        let slice = limit.slice(state.node.slice(), waiting)?;
        if state.watch != Watch::Free {
            *since = None;
            return Ok(Next::Follow(slice));
        }
        let begun = match *since {
            Some(begun) => begun,
            None => {
                if !self.spin.is_zero() && !state.armed {
                    state.node.prepare_spin()?;
                }
                *since.insert(Instant::now())
            }
        };
        if begun.elapsed() < self.spin {
            state.watch = Watch::Awake;
            return Ok(Next::Again);
        }
        *since = None;
        if state.node.prepare_sleep()? {
            state.watch = Watch::Awake;
            return Ok(Next::Again);
        }
        state.watch = Watch::Asleep;
        Ok(Next::Sleep(slice))
    }

    fn sleep(&self, slice: Duration) -> Result<Rung, Error> {
        if !readable(&[self.bell.as_fd(), self.nudge.as_fd()], slice)? {
            return Ok(Rung::No);
        }
        self.bell.drain()
    }

    /// Wakes the threads that wait for what was taken in, and says which tasks do. Those who sleep at the doorbell are to be
    /// rung for what comes next, whoever took in what came last.
    #[must_use]
    fn tell(&self, state: &mut State) -> Vec<Waker> {
        // An error comes again in the call of whoever is woken for it.
        let asleep = state.watch == Watch::Asleep || state.armed;
        let more = asleep && state.node.prepare_sleep() != Ok(false);
        if more {
            state.node.have_news();
        }
        let (news, wakers) = state.node.news();
        if news {
            if state.followers > 0 {
                self.turn.notify_all();
            }
            if state.watch == Watch::Asleep && !std::mem::replace(&mut state.nudged, true) {
                // It is empty, so this neither waits nor fails.
                let _ = rustix::io::write(&self.nudge, &1_u64.to_ne_bytes());
            }
        }
        wakers
    }
}

/// How often one who looks all the time lets others go first, who may be many.
const TURNS: u32 = 100;
