//! A core in a thread: the device's role of a real link, over its own mapping of the window.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use corewarden::doorbell::{BytePort, Doorbell};
use corewarden::hub::{Hub, Options};
use corewarden::place::{Place, Slots, Target};
use corewarden::shared_memory::Window;
use corewarden::{Error, Limit, Waiting};
use platform::{Core, Platform};
use rpmsg::{
    Change, Device, DeviceLife, DeviceQueue, DeviceStep, Endpoint, Event, Kick, LinkLayout, Quirks,
    Ring, ServiceName, Session, SharedMemory, StatusWord, VringLayout,
};
use rpmsg_pool::{Borrower, Lender, Loan, Notice, PoolLayout};

/// What the firmware does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Sends it back.
    Echo,
    /// Sends it back with its last byte changed.
    Change,
    /// Keeps it.
    Silence,
    /// Announces nonsense, then sends everything back.
    Nonsense,
    /// Sends it back, and knows nothing of generations: only DRIVER_OK counts.
    Plain,
    /// Takes it for a notice of the pool, and lends back what was lent.
    Pool,
}

/// The shared window of the test platform, with a published table.
pub(crate) struct Board {
    pub(crate) platform: Platform,
    pub(crate) window: Window,
    master: Vec<u8>,
    far: Window,
    bell: (BytePort, BytePort),
}

/// A running core; it halts when this is dropped.
pub(crate) struct Firmware {
    halt: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

pub(crate) fn platform() -> Platform {
    // With room for 512 buffers of 2048 bytes.
    let text = include_str!("../../../ta/platforms/qemu-virt.toml");
    let text = text.replace("size = 0x40000 }", "size = 0x100000 }");
    Platform::try_from(toml::from_str::<platform::File>(&text).unwrap()).unwrap()
}

/// The table as the secure world keeps it: one RPMsg device with two rings of 256, which offers its services and no more.
pub(crate) fn master() -> Vec<u8> {
    master_offering(1, &[])
}

/// The same with these features and this configuration.
fn master_offering(features: u32, config: &[u8]) -> Vec<u8> {
    let length = u32::try_from(config.len()).unwrap();
    let vdev = [3, 7, 0, features, 0, length, 0x200];
    let rings = [
        [VRING_0, 0x1000, DESCRIPTORS, 0, 0],
        [VRING_1, 0x1000, DESCRIPTORS, 1, 0],
    ];
    let words = [1, 1, 0, 0, ENTRY].into_iter().chain(vdev);
    words
        .chain(rings.into_iter().flatten())
        .flat_map(u32::to_le_bytes)
        .chain(config.iter().copied())
        .collect()
}

impl Board {
    pub(crate) fn new() -> Self {
        Self::offering(1, &[])
    }

    /// One whose firmware offers these features, with this configuration.
    pub(crate) fn offering(features: u32, config: &[u8]) -> Self {
        let platform = platform();
        let size = usize::try_from(platform.core(0).unwrap().shared().size()).unwrap();
        let (window, fd) = Window::memfd(size).unwrap();
        let far = Window::map(&fd, 0, size).unwrap();
        let board = Board {
            platform,
            window,
            master: master_offering(features, config),
            far,
            bell: BytePort::pair().unwrap(),
        };
        board.publish();
        board
    }

    /// What the secure world does at LOAD: a clean table page.
    pub(crate) fn publish(&self) {
        self.far.copy_in(0, &[0; 0x1000]);
        self.far.copy_in(0, &self.master);
    }

    pub(crate) fn core(&self) -> &Core {
        self.platform.core(0).unwrap()
    }

    /// Releases the core, and gives a handle to Linux' end of its doorbell.
    pub(crate) fn start(&self, manner: Manner) -> (Firmware, BytePort) {
        let (near, far) = (&self.bell.0, &self.bell.1);
        let firmware = Firmware::start(self.far.clone(), far.try_clone().unwrap(), manner);
        (firmware, near.try_clone().unwrap())
    }

    pub(crate) fn attach(&self, doorbell: BytePort, limit: Limit<'_>) -> Result<Hub, Error> {
        let hub = self.driver(doorbell, LONG)?;
        // Why there is no link is told before the time is over.
        loop {
            match hub.up(Limit::after(Duration::from_millis(50))) {
                Err(Error::TimeLimit { .. }) => limit.slice(LONG, Waiting::Link)?,
                up => return up.map(|_| hub),
            };
        }
    }

    pub(crate) fn driver(&self, doorbell: BytePort, handshake: Duration) -> Result<Hub, Error> {
        let options = Options {
            handshake,
            queue: 1024,
            ..Options::default()
        };
        self.driver_at(doorbell, options)
    }

    /// A driver of a core that does not run.
    pub(crate) fn driver_with(&self, options: Options) -> Result<Hub, Error> {
        self.driver_at(self.bell.0.try_clone().unwrap(), options)
    }

    fn driver_at(&self, doorbell: BytePort, options: Options) -> Result<Hub, Error> {
        let place = self.place(0, &self.window)?;
        Hub::driver(move |_| Ok(place), self.window.clone(), doorbell, options)
    }

    pub(crate) fn place(&self, device: usize, window: &Window) -> Result<Place, Error> {
        let target = Target {
            core: self.core(),
            master: &self.master,
            starts: 1,
            device,
            handshake: LONG,
        };
        Place::find(&target, window)
    }
}

impl Firmware {
    pub(crate) fn start(window: Window, bell: BytePort, manner: Manner) -> Self {
        let halt = Arc::new(AtomicBool::new(false));
        let halted = Arc::clone(&halt);
        let thread = thread::spawn(move || {
            let mut core = Machine::new(window, bell, manner);
            while !halted.load(Ordering::Relaxed) {
                core.step();
            }
        });
        Firmware {
            halt,
            thread: Some(thread),
        }
    }
}

impl Drop for Firmware {
    fn drop(&mut self) {
        self.halt.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

struct Machine {
    window: Window,
    bell: BytePort,
    manner: Manner,
    layout: LinkLayout,
    life: Life,
    service: Option<Service>,
}

enum Life {
    Generations(DeviceLife),
    Plain { attached: bool },
}

struct Service {
    session: Session<Window, DeviceQueue<256>, 2>,
    endpoint: Endpoint,
    waiting: VecDeque<Message>,
    pools: Pools,
}

/// For whom, and what.
type Message = (u32, Vec<u8>);

/// The firmware's sides of both pools, and what it has to lend back.
struct Pools {
    lender: Lender<Window, 4>,
    borrower: Borrower<Window, 4>,
    loans: VecDeque<(u32, Loan)>,
}

impl Machine {
    fn new(window: Window, mut bell: BytePort, manner: Manner) -> Self {
        let life = match manner {
            Manner::Plain => Life::Plain { attached: false },
            _ => Life::Generations(DeviceLife::begin(&window, status())),
        };
        ring_both(&mut bell);
        Machine {
            window,
            bell,
            manner,
            layout: layout(),
            life,
            service: None,
        }
    }

    fn step(&mut self) {
        match self.life.step(&self.window) {
            DeviceStep::Wait | DeviceStep::Prepare => self.rest(),
            DeviceStep::Kick => ring_both(&mut self.bell),
            DeviceStep::Attach(generation) => {
                let link = Device::attach(
                    self.window.clone(),
                    self.layout,
                    generation,
                    Quirks::default(),
                );
                let mut session = Session::new(link.unwrap());
                let endpoint = session.open(None).unwrap();
                if self.manner == Manner::Nonsense {
                    session.send(&endpoint, 53, &[0xff; 40]).unwrap();
                    session.send(&endpoint, 53, b"short").unwrap();
                    session.send(&endpoint, 77, b"for nobody").unwrap();
                }
                let name = ServiceName::new("corewarden-echo").unwrap();
                session.announce(&endpoint, name, Change::Created).unwrap();
                ring(&mut self.bell, session.flush());
                self.service = Some(Service {
                    session,
                    endpoint,
                    waiting: VecDeque::new(),
                    pools: Pools::new(&self.window, generation),
                });
            }
            DeviceStep::Run => self.work(),
            DeviceStep::Detach(_) => self.service = None,
        }
    }

    fn work(&mut self) {
        let manner = self.manner;
        let idle = match &mut self.service {
            Some(service) => match service.work(manner) {
                Ok(idle) => {
                    ring(&mut self.bell, service.session.flush());
                    idle
                }
                Err(error) => panic!("the driver broke the link: {error}"),
            },
            None => true,
        };
        if idle {
            self.rest();
        }
    }

    fn rest(&mut self) {
        // The other end may be closed between two drivers.
        if self.bell.wait(Duration::from_millis(2)).is_err() {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Life {
    fn step(&mut self, window: &Window) -> DeviceStep {
        let attached = match self {
            Life::Generations(life) => return life.step(window),
            Life::Plain { attached } => attached,
        };
        let before = std::mem::replace(attached, status().load(window).is_ready());
        match (before, *attached) {
            (false, false) => DeviceStep::Wait,
            (false, true) => DeviceStep::Attach(1),
            (true, true) => DeviceStep::Run,
            (true, false) => DeviceStep::Detach(rpmsg::RestartSign::StatusReset),
        }
    }
}

impl Service {
    fn work(&mut self, manner: Manner) -> Result<bool, rpmsg::Error> {
        for _ in 0..64 {
            while let Some((to, bytes)) = self.waiting.front() {
                match self.session.send(&self.endpoint, *to, bytes) {
                    Ok(()) => {
                        self.waiting.pop_front();
                    }
                    Err(rpmsg::Error::NoBuffer { .. }) => {
                        self.session.link().wake_on_buffer(true)?;
                        return Ok(true);
                    }
                    Err(error) => return Err(error),
                }
            }
            let mut room = [0; 4096];
            match self.session.poll(&mut room)? {
                None => return Ok(true),
                Some(Event::Service(_)) => {}
                Some(Event::Message { header, copied }) => {
                    let mut bytes = room[..copied].to_vec();
                    if manner == Manner::Pool {
                        let answers = self.pools.answer(header.source, &bytes).unwrap();
                        self.waiting.extend(answers);
                        continue;
                    }
                    if let (Manner::Change, Some(last)) = (manner, bytes.last_mut()) {
                        *last ^= 1;
                    }
                    if manner != Manner::Silence {
                        self.waiting.push_back((header.source, bytes));
                    }
                }
            }
        }
        Ok(false)
    }
}

impl Pools {
    fn new(window: &Window, generation: u32) -> Self {
        let [to_device, to_driver] = slots().map(|slots| {
            PoolLayout::new(&device_window(), slots.address, slots.count, slots.size).unwrap()
        });
        Pools {
            lender: Lender::new(window.clone(), to_driver, generation).unwrap(),
            borrower: Borrower::new(window.clone(), to_device, generation).unwrap(),
            loans: VecDeque::new(),
        }
    }

    /// Takes in one notice, and lends back as much as there are slots for: the bytes in the reverse order.
    fn answer(&mut self, from: u32, notice: &[u8]) -> Result<Vec<Message>, rpmsg_pool::Error> {
        match Notice::parse(notice)? {
            Notice::Lent(lent) => self.loans.push_back((from, self.borrower.take(lent)?)),
            Notice::Returned(returned) => self.lender.take_back(returned)?,
        }
        let mut notices = Vec::new();
        while !self.loans.is_empty()
            && let Ok(slot) = self.lender.reserve()
            && let Some((to, loan)) = self.loans.pop_front()
        {
            let mut bytes = vec![0; loan.length() as usize];
            self.borrower.read(&loan, 0, &mut bytes)?;
            bytes.reverse();
            self.lender.write(&slot, 0, &bytes)?;
            let returned = Notice::from(self.borrower.give_back(loan)?);
            let lent = Notice::from(self.lender.lend(slot, bytes.len() as u32)?);
            notices.extend([returned, lent].map(|notice| (to, notice.to_bytes().to_vec())));
        }
        Ok(notices)
    }
}

/// Where the firmware has its pools: to the device, and to the driver.
pub(crate) fn slots() -> [Slots; 2] {
    [0x80_0000, 0xa0_0000].map(|offset| Slots {
        address: WINDOW + offset,
        count: 4,
        size: 0x4_0000,
    })
}

pub(crate) fn status() -> StatusWord {
    StatusWord::new(&device_window(), WINDOW, ENTRY, 2).unwrap()
}

fn layout() -> LinkLayout {
    let window = device_window();
    let ring = |at: u32| VringLayout::new(&window, at.into(), DESCRIPTORS, 0x1000).unwrap();
    LinkLayout::new(
        window,
        ring(VRING_0),
        ring(VRING_1),
        WINDOW + 0x10000,
        0x10_0000,
    )
    .unwrap()
}

fn device_window() -> rpmsg::Window {
    rpmsg::Window::new(WINDOW, 0xe0_0000).unwrap()
}

fn ring(bell: &mut BytePort, kick: Kick) {
    for (ring, notify_id) in [(Ring::ToDriver, 0), (Ring::ToDevice, 1)] {
        if kick.wants(ring) {
            let _ = bell.ring(notify_id);
        }
    }
}

fn ring_both(bell: &mut BytePort) {
    for notify_id in [0, 1] {
        let _ = bell.ring(notify_id);
    }
}

pub(crate) const LONG: Duration = Duration::from_secs(20);
const WINDOW: u64 = 0x2120_0000;
const VRING_0: u32 = 0x2120_2000;
const VRING_1: u32 = 0x2120_5000;
const DESCRIPTORS: u32 = 256;
/// Where the vdev entry begins.
pub(crate) const ENTRY: u32 = 20;
