//! The service `corewarden-echo`: whatever it is sent, it answers.

use rpmsg::{
    Agreement, BufferSizes, Change, DeviceLife, DeviceQueue, DeviceStep, Endpoint, Error, Event,
    Features, Kick, Link, LinkLayout, Quirks, Ring, RingKind, ServiceName, Session, Split,
    StatusWord, VringLayout, Window,
};

use crate::memory::{Shared, ring_bell};
use crate::startup::{die, sleep, uptime_ms};
use crate::trace::{self, Health};
use crate::{board, table};

/// What an image does differently from the others.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    /// Shown in the log and in the health block.
    pub version: u32,
    /// Put in front of every answer.
    pub prefix: &'static [u8],
    /// Dies so many milliseconds after start.
    pub dies_after_ms: Option<u32>,
    /// Writes a hostile resource table over the published one whenever the driver lets go.
    pub poisons_table: bool,
    /// The buffers it wants instead of what the driver takes by itself.
    pub asks_for: Option<BufferSizes>,
    /// Offers packed rings with event indices, beside the split ones that every image has.
    pub packed: bool,
}

impl Image {
    /// What the others differ from.
    pub const PLAIN: Self = Self {
        version: 1,
        prefix: b"",
        dies_after_ms: None,
        poisons_table: false,
        asks_for: None,
        packed: false,
    };
}

/// What an image does with messages.
pub trait Serve: Sized {
    /// Its endpoints on a new link.
    fn new(layout: LinkLayout, generation: u32) -> Result<Self, Error>;

    /// Answers a batch, or as much of it as there are buffers for, and counts the answers. Whoever waits in it asks whether the
    /// link still runs, and gives up where it does not.
    fn work(
        &mut self,
        prefix: &[u8],
        answered: &mut u32,
        runs: &dyn Fn() -> bool,
    ) -> Result<(), Error>;

    /// Publishes what was sent and received.
    fn flush(&mut self) -> Kick;
}

/// Echoes for ever.
pub fn serve(image: Image) -> ! {
    serve_with::<Service<Split>>(
        image,
        ["corewarden-echo version 1", "corewarden-echo version 2"],
    )
}

/// Serves for ever; the lines are what the log says of versions 1 and 2.
pub fn serve_with<S: Serve>(image: Image, lines: [&str; 2]) -> ! {
    trace::show(Health::Bulk, bulk_checksum());
    trace::show(Health::Version, image.version);
    trace::show(Health::Magic, trace::HEALTH_MAGIC);
    trace::line(match image.version {
        1 => lines[0],
        _ => lines[1],
    });
    match Core::<S>::new(image) {
        Ok(core) => core.run(),
        Err(_) => {
            trace::line("layout refused");
            die()
        }
    }
}

struct Core<S> {
    image: Image,
    split: LinkLayout,
    packed: LinkLayout,
    status: StatusWord,
    life: DeviceLife,
    service: Option<S>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    answered: u32,
    attached: u32,
    refused: u32,
    broken: u32,
}

impl<S: Serve> Core<S> {
    fn new(image: Image) -> Result<Self, Error> {
        let base = u64::from(board::WINDOW);
        let window = Window::new(base, board::WINDOW_SIZE)?;
        let count = board::descriptors(image.asks_for);
        let split = |at| VringLayout::new(&window, at, count, board::RING_ALIGN);
        // In less room than a split one (rpmsg-features.md, F12).
        let packed = |at| VringLayout::packed(&window, at, count);
        let link = |ring: &dyn Fn(u64) -> Result<VringLayout, Error>| {
            LinkLayout::new(
                window,
                ring(base + u64::from(board::VRING_TO_DRIVER))?,
                ring(base + u64::from(board::VRING_TO_DEVICE))?,
                base + u64::from(board::BUFFERS),
                board::WINDOW_SIZE - board::BUFFERS,
            )
        };
        let status = StatusWord::new(&window, base, table::VDEV_ENTRY, table::VRINGS)?;
        let life = DeviceLife::begin(&Shared, status);
        ring_both();
        Ok(Self {
            image,
            split: link(&split)?,
            packed: link(&packed)?,
            status,
            life,
            service: None,
            counts: Counts::default(),
        })
    }

    fn run(mut self) -> ! {
        loop {
            let now = uptime_ms();
            trace::show(Health::Uptime, now);
            if self.image.dies_after_ms.is_some_and(|limit| now >= limit) {
                die();
            }
            match self.life.step(&Shared) {
                DeviceStep::Wait | DeviceStep::Prepare => sleep(),
                DeviceStep::Kick => ring_both(),
                DeviceStep::Attach(generation) => self.attach(generation),
                DeviceStep::Run => self.work(),
                DeviceStep::Detach(_) => self.detach(),
            }
        }
    }

    fn attach(&mut self, generation: u32) {
        trace::line("attached");
        self.counts.attached = self.counts.attached.wrapping_add(1);
        trace::show(Health::Attached, self.counts.attached);
        let link = self.agreed().map(|agreed| self.rings(&agreed));
        match link.and_then(|layout| S::new(layout, generation)) {
            Ok(service) => self.service = Some(service),
            Err(_) => self.give_up(),
        }
    }

    /// What the driver accepted, if it may (rpmsg-features.md, F3).
    fn agreed(&self) -> Result<Agreement, Error> {
        let (config, len) = table::config(&self.image);
        let accepted = self.status.accepted(&Shared);
        let agreed = Agreement::of_device(table::offer(&self.image), &config[..len], accepted)?;
        if agreed.sizes().is_some() {
            trace::line("buffer sizes agreed");
        }
        Ok(agreed)
    }

    fn rings(&self, agreed: &Agreement) -> LinkLayout {
        let features = agreed.features();
        let layout = if features.has(Features::PACKED_RING) {
            trace::line("packed rings agreed");
            self.packed
        } else {
            self.split
        };
        match features.has(Features::EVENT_INDEX) {
            true => layout.with_event_index(),
            false => layout,
        }
    }

    fn detach(&mut self) {
        trace::line("detached");
        self.service = None;
        if self.image.poisons_table {
            poison(&self.image);
        }
    }

    fn work(&mut self) {
        let Some(service) = &mut self.service else {
            return sleep();
        };
        let before = self.counts.answered;
        // Of a link that runs a copy sees the same signs, and leaves them to be acted upon.
        let runs = || matches!(self.life.clone().step(&Shared), DeviceStep::Run);
        let result = service.work(self.image.prefix, &mut self.counts.answered, &runs);
        ring(service.flush());
        match result {
            Ok(()) => {}
            Err(error) if error.breaks_link() => return self.give_up(),
            Err(_) => {
                self.counts.refused = self.counts.refused.wrapping_add(1);
                return trace::show(Health::Refused, self.counts.refused);
            }
        }
        trace::show(Health::Answered, self.counts.answered);
        if self.counts.answered == before {
            sleep();
        }
    }

    /// The rings cannot be used any more: asks the driver to prepare them anew.
    fn give_up(&mut self) {
        trace::line("rings broken");
        self.service = None;
        self.counts.broken = self.counts.broken.wrapping_add(1);
        trace::show(Health::Broken, self.counts.broken);
        self.life.renew(&Shared);
        ring_both();
    }
}

/// The echo over one kind of rings.
pub struct Service<K: RingKind> {
    session: Wire<K>,
    endpoint: Endpoint,
    announced: bool,
    /// An answer for which there was no buffer yet.
    waiting: Option<(u32, usize)>,
    bytes: [u8; LARGEST],
}

impl<K: RingKind> Serve for Service<K> {
    fn new(layout: LinkLayout, generation: u32) -> Result<Self, Error> {
        let link =
            Link::<_, DeviceQueue<_, K>>::attach(Shared, layout, generation, Quirks::default())?;
        let mut session = Session::new(link);
        Ok(Self {
            endpoint: session.open(None)?,
            session,
            announced: false,
            waiting: None,
            bytes: [0; LARGEST],
        })
    }

    fn work(
        &mut self,
        prefix: &[u8],
        answered: &mut u32,
        _: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        if !self.announced {
            let name = ServiceName::new("corewarden-echo")?;
            self.announced = self
                .sent(|session, endpoint, _| session.announce(endpoint, name, Change::Created))?;
        }
        for _ in 0..BATCH {
            if let Some((to, len)) = self.waiting {
                if !self
                    .sent(|session, endpoint, bytes| session.send(endpoint, to, &bytes[..len]))?
                {
                    return Ok(());
                }
                self.waiting = None;
                *answered = answered.wrapping_add(1);
            }
            let (front, rest) = self.bytes.split_at_mut(prefix.len());
            front.copy_from_slice(prefix);
            match self.session.poll(rest)? {
                Some(Event::Message { header, copied }) => {
                    self.waiting = Some((header.source, prefix.len() + copied));
                }
                Some(Event::Service(_)) => {}
                None => return Ok(()),
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Kick {
        self.session.flush()
    }
}

impl<K: RingKind> Service<K> {
    /// Whether there was a buffer to send in; if not, its return wakes us.
    fn sent(
        &mut self,
        send: impl FnOnce(&mut Wire<K>, &Endpoint, &[u8]) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        match send(&mut self.session, &self.endpoint, &self.bytes) {
            Ok(()) => Ok(true),
            Err(Error::NoBuffer { .. }) => {
                self.session.link().wake_on_buffer(true)?;
                Ok(false)
            }
            // The answer is longer than the driver's buffer; it gets none.
            Err(error @ Error::PayloadTooLong { .. }) => {
                self.waiting = None;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }
}

type Wire<K> = Session<Shared, DeviceQueue<{ board::DESCRIPTORS as usize }, K>, 2>;

/// Rings for what was published.
pub fn ring(kick: Kick) {
    if kick.wants(Ring::ToDriver) {
        ring_bell(table::NOTIFY_TO_DRIVER);
    }
    if kick.wants(Ring::ToDevice) {
        ring_bell(table::NOTIFY_TO_DEVICE);
    }
}

fn ring_both() {
    ring_bell(table::NOTIFY_TO_DRIVER);
    ring_bell(table::NOTIFY_TO_DEVICE);
}

/// A table that looks well, and would lead its reader into private memory and out of every array.
fn poison(image: &Image) {
    use core::sync::atomic::Ordering;
    use rpmsg::SharedMemory;

    trace::line("table poisoned");
    let mut at = 0;
    for (index, word) in table::words(image).into_iter().enumerate() {
        let value = match index {
            2 | 3 => 0xffff_ffff,
            // Where the rings are: in private memory, and nowhere.
            13 => 0x2100_0000,
            18 => 0,
            // Alignment and size of the rings.
            14 | 19 => 3,
            15 | 20 => 0x8000_0001,
            // Where the log is, and how long.
            24 => 0x2100_0000,
            25 => 0xffff_ffff,
            _ => word,
        };
        // The status byte is the driver's.
        if index != 12 {
            Shared.store_u32(at, value, Ordering::Relaxed);
        }
        at += 4;
    }
}

fn bulk_checksum() -> u32 {
    BULK.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// What makes this image as large as a product's; see `build.rs`.
static BULK: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bulk.bin"));

const LARGEST: usize = 1024;
const BATCH: usize = 64;
