//! The simulated core: a thread behind a reset line, with the device's role of RPMsg.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use corewarden::{
    doorbell::{BytePort, Doorbell},
    shared_memory::Window as Mapping,
};
use rpmsg::{
    Change, Device, DeviceLife, DeviceQueue, DeviceStep, Endpoint, Error, Event, Kick, LinkLayout,
    Quirks, Ring, ServiceName, Session, StatusWord, VringLayout, Window,
};
use ta_core::fake::Model;
use ta_protocol::pta::LineState;

use crate::elf::DESCRIPTORS;

/// A core that echoes at the service `corewarden-echo` while its reset line is released.
pub(crate) struct SimulatedCore {
    window: Mapping,
    place: Place,
    doorbell: Option<BytePort>,
    running: Option<(Arc<AtomicBool>, JoinHandle<BytePort>)>,
}

/// Where the rings are, as the core sees them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Device address of the window.
    pub(crate) base: u64,
    /// Bytes of it.
    pub(crate) size: u32,
    /// Offset of the first ring.
    pub(crate) vrings: u32,
    /// Offset of the buffers.
    pub(crate) buffers: u32,
}

impl SimulatedCore {
    /// A core that sees the window and has one end of the doorbell.
    pub(crate) fn new(window: Mapping, place: Place, doorbell: BytePort) -> Self {
        Self {
            window,
            place,
            doorbell: Some(doorbell),
            running: None,
        }
    }
}

impl Model for SimulatedCore {
    fn release(&mut self) {
        let Some(doorbell) = self.doorbell.take() else {
            return;
        };
        let held = Arc::new(AtomicBool::new(false));
        let (window, place, line) = (self.window.clone(), self.place, Arc::clone(&held));
        let thread = thread::spawn(move || {
            let mut bell = Bell(doorbell);
            // Where the layout is refused the core sits there, as real firmware would.
            if let Err(error) = serve(&window, place, &mut bell, &line) {
                eprintln!("simulated core: {error}");
            }
            bell.0
        });
        self.running = Some((held, thread));
    }

    fn hold(&mut self) {
        if let Some((held, thread)) = self.running.take() {
            held.store(true, Ordering::Relaxed);
            self.doorbell = thread.join().ok();
        }
    }

    fn look(&mut self) -> LineState {
        match &self.running {
            Some((_, thread)) if thread.is_finished() => LineState::Crashed,
            Some(_) => LineState::Running,
            None => LineState::Halted,
        }
    }
}

impl Drop for SimulatedCore {
    fn drop(&mut self) {
        self.hold();
    }
}

struct Bell(BytePort);

impl Bell {
    fn ring(&mut self, kick: Kick) {
        for ring in [Ring::ToDriver, Ring::ToDevice] {
            if kick.wants(ring) {
                self.ring_one(ring);
            }
        }
    }

    fn ring_both(&mut self) {
        self.ring_one(Ring::ToDriver);
        self.ring_one(Ring::ToDevice);
    }

    fn ring_one(&mut self, ring: Ring) {
        let notify_id = match ring {
            Ring::ToDriver => 0,
            Ring::ToDevice => 1,
        };
        // Nobody at the other end: nobody to ring.
        let _ = self.0.ring(notify_id);
    }

    fn sleep(&mut self) {
        if self.0.wait(TICK).is_err() {
            thread::sleep(TICK);
        }
    }
}

fn serve(memory: &Mapping, place: Place, bell: &mut Bell, held: &AtomicBool) -> Result<(), Error> {
    let window = Window::new(place.base, place.size)?;
    let ring = |at: u32| VringLayout::new(&window, place.base + u64::from(at), DESCRIPTORS, 0x1000);
    let layout = LinkLayout::new(
        window,
        ring(place.vrings)?,
        ring(place.vrings + RING_SIZE)?,
        place.base + u64::from(place.buffers),
        place.size - place.buffers,
    )?;
    let status = StatusWord::new(&window, place.base, VDEV_ENTRY, 2)?;
    let mut life = DeviceLife::begin(memory, status);
    let mut service: Option<Service<'_>> = None;
    bell.ring_both();
    while !held.load(Ordering::Relaxed) {
        match life.step(memory) {
            DeviceStep::Wait | DeviceStep::Prepare => bell.sleep(),
            DeviceStep::Kick => bell.ring_both(),
            DeviceStep::Attach(generation) => match Service::new(memory, layout, generation) {
                Ok(begun) => service = Some(begun),
                Err(_) => {
                    life.renew(memory);
                    bell.ring_both();
                }
            },
            DeviceStep::Detach(_) => service = None,
            DeviceStep::Run => {
                let Some(begun) = &mut service else {
                    bell.sleep();
                    continue;
                };
                let outcome = begun.work();
                bell.ring(begun.session.flush());
                match outcome {
                    Ok(0) => bell.sleep(),
                    Ok(_) => {}
                    Err(error) if error.breaks_link() => {
                        service = None;
                        life.renew(memory);
                        bell.ring_both();
                    }
                    // A lie that harms nobody: the message is dropped.
                    Err(_) => {}
                }
            }
        }
    }
    Ok(())
}

struct Service<'w> {
    session: Session<&'w Mapping, DeviceQueue<{ DESCRIPTORS as usize }>, 2>,
    endpoint: Endpoint,
    announced: bool,
}

impl<'w> Service<'w> {
    fn new(memory: &'w Mapping, layout: LinkLayout, generation: u32) -> Result<Self, Error> {
        let mut session = Session::new(Device::attach(
            memory,
            layout,
            generation,
            Quirks::default(),
        )?);
        Ok(Self {
            endpoint: session.open(None)?,
            session,
            announced: false,
        })
    }

    /// Answers what there is; how many messages that were.
    fn work(&mut self) -> Result<u32, Error> {
        if !self.announced {
            let name = ServiceName::new("corewarden-echo")?;
            match self.session.announce(&self.endpoint, name, Change::Created) {
                Ok(()) => self.announced = true,
                Err(Error::NoBuffer { .. }) => return Ok(0),
                Err(error) => return Err(error),
            }
        }
        let mut answered = 0;
        let mut bytes = [0; 512];
        while let Some(event) = self.session.poll(&mut bytes)? {
            if let Event::Message { header, copied } = event {
                let payload = bytes.get(..copied).unwrap_or_default();
                self.session.send(&self.endpoint, header.source, payload)?;
                answered += 1;
            }
        }
        Ok(answered)
    }
}

/// The vdev's entry in the table of [`crate::firmware`].
const VDEV_ENTRY: u32 = 20;
/// A ring of 256 descriptors at page alignment.
const RING_SIZE: u32 = 0x3000;
/// A core that sleeps wakes up by its timer at the latest.
const TICK: Duration = Duration::from_millis(1);
