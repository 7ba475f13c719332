//! Which of the two parties of a link we are, and what it takes to have one.

use std::time::Instant;

use rpmsg::{
    Agreement, BufferSizes, Device, DeviceLife, DeviceQueue, DeviceStep, Driver, DriverLife,
    DriverQueue, DriverStep, Event, Kick, Packed, PackedDevice, PackedDriver, Quirks, RestartSign,
    Ring, Session, Split, Symmetric,
};

use super::Options;
use crate::agreement::Agreed;
use crate::doorbell::Doorbell;
use crate::error::Error;
use crate::place::{Place, Rings};
use crate::shared_memory::{SharedMemory, Window};

/// Finds the place of a driver's link, at each attach anew: another image may have been loaded.
pub(super) type Find = Box<dyn FnMut(&Window) -> Result<Place, Error> + Send>;

/// One party, and how far it has come.
pub(super) enum Side {
    Device { place: Place, life: DeviceLife },
    Driver { find: Find, stage: Stage },
}

pub(super) enum Stage {
    /// Nothing was begun, or the last attempt failed; not before this, and after this one.
    Idle(Option<Instant>, Option<DriverLife>),
    /// The device was asked off the rings.
    Quieting {
        place: Place,
        life: DriverLife,
        /// `None`: it may take as long as it likes.
        until: Option<Instant>,
    },
    Live {
        place: Place,
        life: DriverLife,
    },
}

/// What a step led to.
pub(super) enum Turn {
    /// Nothing to do but to wait.
    Rest,
    /// A link begins, in this generation, on these terms.
    Up(Lane, u32, Agreed),
    /// The link is over; step again.
    Down(RestartSign),
    /// Another device answers the driver, too.
    Contested,
    /// Another driver has taken the device away from us.
    Displaced,
    /// There is no link, for this reason.
    Trouble(Error),
}

/// The endpoints' way to the rings, in either role.
pub(super) enum Lane {
    Device(Box<Session<Window, DeviceQueue<DESCRIPTORS>, ENDPOINTS>>),
    Driver(Box<Session<Window, DriverQueue<DESCRIPTORS>, ENDPOINTS>>),
    PackedDevice(Box<Session<Window, DeviceQueue<DESCRIPTORS, Packed>, ENDPOINTS>>),
    PackedDriver(Box<Session<Window, DriverQueue<DESCRIPTORS, Packed>, ENDPOINTS>>),
    PackedSymmetric(Box<Either<Packed>>),
    Symmetric(Box<Either<Split>>),
}

/// A session of either side of a symmetric link.
type Either<K> =
    Session<Window, DeviceQueue<DESCRIPTORS, K>, ENDPOINTS, DriverQueue<DESCRIPTORS, K>>;

impl Side {
    pub(super) fn device(
        place: Place,
        memory: &Window,
        bell: &dyn Doorbell,
        options: &Options,
    ) -> Result<Self, Error> {
        place.terms.offer(memory, options.features);
        let mut life = DeviceLife::begin(memory, place.status);
        if place.terms.is_symmetric() {
            life = life.symmetric();
        }
        place.ring_all(bell)?;
        Ok(Side::Device { place, life })
    }

    pub(super) fn driver(find: Find) -> Self {
        Side::Driver {
            find,
            stage: Stage::Idle(None, None),
        }
    }

    /// Goes on as far as the peer allows (rpmsg-lifecycle.md, L3 to L8).
    pub(super) fn step(
        &mut self,
        memory: &Window,
        bell: &dyn Doorbell,
        options: &Options,
    ) -> Result<Turn, Error> {
        match self {
            Side::Device { place, life } => step_device(place, life, memory, bell, options),
            Side::Driver { find, stage } => step_driver(find, stage, memory, bell, options),
        }
    }

    /// The rings broke a rule: begins again (L9), so far that the peer is told.
    pub(super) fn renew(
        &mut self,
        memory: &Window,
        bell: &dyn Doorbell,
        options: &Options,
    ) -> Result<(), Error> {
        match self {
            Side::Device { place, life } => {
                life.renew(memory);
                place.ring_all(bell)
            }
            Side::Driver { find, stage } => {
                *stage = Stage::Idle(None, stage.end().map(|(_, life)| life));
                // Where its place cannot be found, the next step says so.
                step_driver(find, stage, memory, bell, options).map(drop)
            }
        }
    }

    /// Lets go: a driver says so (L10), a device's next generation stands for its absence.
    pub(super) fn leave(&mut self, memory: &Window, bell: &dyn Doorbell) -> Result<(), Error> {
        match self {
            Side::Device { place, life } => {
                life.renew(memory);
                place.ring_all(bell)
            }
            Side::Driver { stage, .. } => {
                let Some((place, life)) = stage.end() else {
                    return Ok(());
                };
                // A page that was cleared, or is another's, is left as it is.
                if own_line(&place, memory) != Some(life.generation()) {
                    return Ok(());
                }
                life.detach(memory);
                place.ring_all(bell)
            }
        }
    }

    /// Rings for what was published.
    pub(super) fn ring(&self, kick: Kick, bell: &dyn Doorbell) -> Result<(), Error> {
        match self.place() {
            Some(place) => place.ring(kick, bell),
            None => Ok(()),
        }
    }

    pub(super) fn place(&self) -> Option<&Place> {
        match self {
            Side::Device { place, .. }
            | Side::Driver {
                stage: Stage::Live { place, .. } | Stage::Quieting { place, .. },
                ..
            } => Some(place),
            Side::Driver { .. } => None,
        }
    }

    /// When something has to be done without the peer's doing.
    pub(super) fn next_turn(&self) -> Option<Instant> {
        match self {
            Side::Driver {
                stage: Stage::Idle(next, _) | Stage::Quieting { until: next, .. },
                ..
            } => *next,
            _ => None,
        }
    }

    /// Whether the rings still say what they said before the peer restarted. Nobody writes a driver's before it says so (L5, L7), nor those
    /// of a symmetric link (rpmsg-rings.md, R18); another device's driver may have gone on at its time limit (L5).
    pub(super) fn keeps_the_last(&self, sign: RestartSign) -> bool {
        match self {
            Side::Device { place, .. } => place.terms.is_symmetric(),
            Side::Driver { .. } => sign == RestartSign::Generation,
        }
    }

    /// The generation that the device says it has, for a driver that knows where.
    pub(super) fn device_generation(&self, memory: &Window) -> Option<u32> {
        match self {
            Side::Device { .. } => None,
            Side::Driver { .. } => self.place()?.device_generation(memory),
        }
    }

    pub(super) fn is_driver(&self) -> bool {
        matches!(self, Side::Driver { .. })
    }
}

impl Stage {
    /// Ends what there is of a link.
    fn end(&mut self) -> Option<(Place, DriverLife)> {
        match std::mem::replace(self, Stage::Idle(None, None)) {
            Stage::Idle(..) => None,
            Stage::Quieting { place, life, .. } | Stage::Live { place, life } => {
                Some((place, life))
            }
        }
    }
}

fn step_device(
    place: &Place,
    life: &mut DeviceLife,
    memory: &Window,
    bell: &dyn Doorbell,
    options: &Options,
) -> Result<Turn, Error> {
    // A driver that changes its mind all the time keeps us no longer than this.
    for _ in 0..STEPS {
        let generation = life.generation();
        match life.step(memory) {
            DeviceStep::Wait | DeviceStep::Run => return Ok(Turn::Rest),
            DeviceStep::Kick => {
                place.ring_all(bell)?;
                // Somebody else wrote our line, who may be gone or may not (L12).
                if life.generation() != generation {
                    return Ok(Turn::Contested);
                }
            }
            DeviceStep::Prepare => {
                let foreseen = place.terms.foreseen(options.features);
                let prepared = foreseen.and_then(|agreement| {
                    let sizes = sizes(&agreement, options);
                    prepare(place.rings(&agreement), memory, Ring::ToDriver, sizes)
                });
                if let Err(error) = prepared {
                    return Ok(Turn::Trouble(Error::Rpmsg(error)));
                }
                life.ready(memory);
                place.ring_all(bell)?;
            }
            DeviceStep::Detach(sign) => return Ok(Turn::Down(sign)),
            DeviceStep::Attach(generation) => {
                let link = place.terms.accepted(memory, options.features);
                let link = link.and_then(|agreement| {
                    let sizes = sizes(&agreement, options);
                    let lane = Lane::device(place.rings(&agreement), memory, sizes, generation)?;
                    Ok((lane, agreement))
                });
                return match link {
                    Ok((lane, agreement)) => {
                        let agreed = Agreed::new(agreement.features(), agreement.sizes());
                        Ok(Turn::Up(lane, generation, agreed))
                    }
                    Err(error) => {
                        life.renew(memory);
                        place.ring_all(bell)?;
                        Ok(Turn::Trouble(Error::Rpmsg(error)))
                    }
                };
            }
        }
    }
    Ok(Turn::Rest)
}

fn step_driver(
    find: &mut Find,
    stage: &mut Stage,
    memory: &Window,
    bell: &dyn Doorbell,
    options: &Options,
) -> Result<Turn, Error> {
    let now = Instant::now();
    let again = now.checked_add(RETRY);
    match std::mem::replace(stage, Stage::Idle(None, None)) {
        Stage::Idle(Some(not_before), last) if now < not_before => {
            *stage = Stage::Idle(Some(not_before), last);
            Ok(Turn::Rest)
        }
        Stage::Idle(_, last) => match find(memory) {
            Ok(place) => {
                let life = match last {
                    Some(last) => last.again(memory, place.status),
                    None => DriverLife::begin(memory, place.status, place.starts),
                };
                // A side of a symmetric link takes no ring that the other one may still be on (rpmsg-rings.md, R17).
                let until = match place.terms.is_symmetric() {
                    true => None,
                    false => now.checked_add(options.handshake),
                };
                *stage = Stage::Quieting { place, life, until };
                place.ring_all(bell)?;
                Ok(Turn::Rest)
            }
            Err(error) => {
                *stage = Stage::Idle(again, last);
                Ok(Turn::Trouble(error))
            }
        },
        Stage::Quieting {
            place,
            mut life,
            until,
        } => {
            if own_line(&place, memory) != Some(life.generation()) {
                // Cleared, or another driver's: the first is begun again, the second left alone.
                *stage = Stage::Idle(None, Some(life));
                return Ok(gone(&place, memory, RestartSign::TableCleared));
            }
            if until.is_some_and(|until| now >= until) {
                life.wait_no_longer(memory);
            }
            if life.step(memory) != DriverStep::Prepare {
                *stage = Stage::Quieting { place, life, until };
                return Ok(Turn::Rest);
            }
            let generation = life.generation();
            let link = place.terms.agree(memory, options.features);
            let link = link.and_then(|agreement| {
                let sizes = sizes(&agreement, options);
                let lane = Lane::driver(place.rings(&agreement), memory, sizes, generation)?;
                Ok((lane, agreement, sizes))
            });
            let (mut lane, agreement, sizes) = match link {
                Ok(link) => link,
                Err(error) => {
                    *stage = Stage::Idle(again, Some(life));
                    return Ok(Turn::Trouble(Error::Rpmsg(error)));
                }
            };
            place.terms.accept(memory, &place.status, &agreement);
            // Publishes the offered buffers; the kick for them is the one below, which the device cannot miss.
            let _ = lane.flush();
            life.ready(memory);
            if let Err(error) = place.ring_all(bell) {
                *stage = Stage::Idle(again, Some(life));
                return Err(error);
            }
            *stage = Stage::Live { place, life };
            let agreed = Agreed::new(agreement.features(), Some(sizes));
            Ok(Turn::Up(lane, generation, agreed))
        }
        Stage::Live { place, mut life } => match life.step(memory) {
            DriverStep::Restart(sign) => {
                *stage = Stage::Idle(None, Some(life));
                Ok(gone(&place, memory, sign))
            }
            DriverStep::Wait | DriverStep::Prepare | DriverStep::Run => {
                *stage = Stage::Live { place, life };
                Ok(Turn::Rest)
            }
        },
    }
}

/// A link that is gone: by a restart, unless another driver's line stands where ours did.
fn gone(place: &Place, memory: &Window, sign: RestartSign) -> Turn {
    match (sign, own_line(place, memory)) {
        (RestartSign::TableCleared, Some(_)) => Turn::Displaced,
        _ => Turn::Down(sign),
    }
}

/// The generation in the driver's line of the table page, whoever wrote it.
fn own_line(place: &Place, memory: &Window) -> Option<u32> {
    place.driver_generation(memory)
}

/// The same call in either role.
macro_rules! session {
    ($lane:expr, $session:ident => $call:expr) => {
        match $lane {
            Lane::Device($session) => $call,
            Lane::Driver($session) => $call,
            Lane::PackedDevice($session) => $call,
            Lane::PackedDriver($session) => $call,
            Lane::PackedSymmetric($session) => $call,
            Lane::Symmetric($session) => $call,
        }
    };
}

impl Lane {
    /// A device's, or the second side's of a symmetric link.
    fn device(
        rings: Rings,
        memory: &Window,
        sizes: BufferSizes,
        generation: u32,
    ) -> Result<Self, rpmsg::Error> {
        let (layout, memory, quirks) = (rings.layout, memory.clone(), Quirks::default());
        if rings.symmetric {
            return Lane::symmetric(rings, memory, Ring::ToDriver, sizes, generation);
        }
        Ok(match rings.packed {
            false => {
                let link = Device::attach(memory, layout, generation, quirks)?;
                Lane::Device(Box::new(Session::new(link)))
            }
            true => {
                let link = PackedDevice::attach(memory, layout, generation, quirks)?;
                Lane::PackedDevice(Box::new(Session::new(link)))
            }
        })
    }

    /// A driver's, or the first side's of a symmetric link; writes what rings are its to write.
    fn driver(
        rings: Rings,
        memory: &Window,
        sizes: BufferSizes,
        generation: u32,
    ) -> Result<Self, rpmsg::Error> {
        let (layout, memory, quirks) = (rings.layout, memory.clone(), Quirks::default());
        if rings.symmetric {
            prepare(rings, &memory, Ring::ToDevice, sizes)?;
            return Lane::symmetric(rings, memory, Ring::ToDevice, sizes, generation);
        }
        Ok(match rings.packed {
            false => {
                let link = Driver::attach(memory, layout, sizes, generation, quirks)?;
                Lane::Driver(Box::new(Session::new(link)))
            }
            true => {
                let link = PackedDriver::attach(memory, layout, sizes, generation, quirks)?;
                Lane::PackedDriver(Box::new(Session::new(link)))
            }
        })
    }

    /// Either side's, which sends in this ring.
    fn symmetric(
        rings: Rings,
        memory: Window,
        sending: Ring,
        sizes: BufferSizes,
        generation: u32,
    ) -> Result<Self, rpmsg::Error> {
        let layout = rings.layout;
        Ok(match rings.packed {
            false => {
                let link = Symmetric::attach(memory, layout, sending, sizes, generation)?;
                Lane::Symmetric(Box::new(Session::new(link)))
            }
            true => {
                let link = Symmetric::attach(memory, layout, sending, sizes, generation)?;
                Lane::PackedSymmetric(Box::new(Session::new(link)))
            }
        })
    }

    pub(super) fn open(&mut self, address: Option<u32>) -> Result<rpmsg::Endpoint, rpmsg::Error> {
        session!(self, session => session.open(address))
    }

    pub(super) fn close(&mut self, endpoint: rpmsg::Endpoint) -> Result<(), rpmsg::Error> {
        session!(self, session => session.close(endpoint))
    }

    pub(super) fn announce(
        &mut self,
        endpoint: &rpmsg::Endpoint,
        name: rpmsg::ServiceName,
        change: rpmsg::Change,
    ) -> Result<(), rpmsg::Error> {
        session!(self, session => session.announce(endpoint, name, change))
    }

    pub(super) fn send(
        &mut self,
        endpoint: &rpmsg::Endpoint,
        to: u32,
        bytes: &[u8],
    ) -> Result<(), rpmsg::Error> {
        session!(self, session => session.send(endpoint, to, bytes))
    }

    pub(super) fn poll(&mut self, room: &mut [u8]) -> Result<Option<Event>, rpmsg::Error> {
        session!(self, session => session.poll(room))
    }

    pub(super) fn flush(&mut self) -> Kick {
        session!(self, session => session.flush())
    }

    pub(super) fn wake_on_message(&mut self, wanted: bool) -> Result<bool, rpmsg::Error> {
        session!(self, session => session.link().wake_on_message(wanted))
    }

    pub(super) fn wake_on_buffer(&mut self, wanted: bool) -> Result<bool, rpmsg::Error> {
        session!(self, session => session.link().wake_on_buffer(wanted))
    }
}

/// Writes the ring empty in which our side of a symmetric link sends (rpmsg-rings.md, R17).
fn prepare(
    rings: Rings,
    memory: &Window,
    sending: Ring,
    sizes: BufferSizes,
) -> Result<(), rpmsg::Error> {
    let layout = &rings.layout;
    match rings.packed {
        false => Symmetric::<_, DESCRIPTORS>::prepare(memory, layout, sending, sizes),
        true => Symmetric::<_, DESCRIPTORS, Packed>::prepare(memory, layout, sending, sizes),
    }
}

/// What was agreed on, or what is ours to say.
fn sizes(agreement: &Agreement, options: &Options) -> BufferSizes {
    agreement.sizes().unwrap_or(options.buffer_size.into())
}

/// Bytes the largest message can have.
pub(super) fn largest_message(memory: &Window) -> usize {
    usize::from(u16::MAX).min(usize::try_from(memory.size()).unwrap_or(usize::MAX))
}

/// How long a driver waits after an attempt that failed.
const RETRY: std::time::Duration = std::time::Duration::from_millis(100);
const STEPS: u32 = 8;
/// The longest ring a resource table may have.
pub(super) const DESCRIPTORS: usize = resource_table::MAX_DESCRIPTORS as usize;
pub(crate) const ENDPOINTS: usize = 64;
