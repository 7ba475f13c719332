//! Both rings of one RPMsg device: buffers to send and receive, headers, one flush for all of it.

use crate::error::Error;
use crate::layout::{Area, BufferSizes, LinkLayout, Ring};
use crate::memory::SharedMemory;
use crate::raw::{self, Header};
use crate::ring::engine::{Engine, Nothing, Slot};
use crate::ring::wire::Plan;
use crate::ring::{DeviceQueue, DriverQueue, Kick, Packed, Queue, Quirks, RingKind, Split};

/// A link in the driver's role over split rings: it owns the buffers, and receives on ring 0.
pub type Driver<M, const N: usize> = Link<M, DriverQueue<N>>;

/// A link in the device's role over split rings: it borrows the buffers, and receives on ring 1.
pub type Device<M, const N: usize> = Link<M, DeviceQueue<N>>;

/// A link in the driver's role over packed rings.
pub type PackedDriver<M, const N: usize> = Link<M, DriverQueue<N, Packed>>;

/// A link in the device's role over packed rings.
pub type PackedDevice<M, const N: usize> = Link<M, DeviceQueue<N, Packed>>;

/// A link between two of our own sides, each of which owns the buffers it sends in (rpmsg-rings.md, R16 to R18).
pub type Symmetric<M, const N: usize, K = Split> = Link<M, DeviceQueue<N, K>, DriverQueue<N, K>>;

/// Both rings of an RPMsg device, from one side.
///
/// Sending and returning buffers take effect at [`Link::flush`], which publishes each ring once. A buffer is a value: sending or
/// releasing it consumes it, and one that is dropped instead stays out of use until the link is attached anew.
#[derive(Debug)]
pub struct Link<M, R, T = R> {
    memory: M,
    area: Area,
    generation: u32,
    receive: R,
    transmit: T,
    #[expect(dead_code, reason = "only a `Result` of a link looks at it")]
    joined: Joined,
}

/// In the bits that this does not use a `Result` of a link says whether it is one. In those of another field the compiler would
/// not see that an attachment which cannot fail did not, and would copy the link once more.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
enum Joined {
    Yes,
}

/// A buffer to write a message into.
///
/// Holding one tells you that its bytes lie in the window and that nobody else uses them, as far as the peer keeps its word.
/// Who gives it back has it no more:
///
/// ```compile_fail
/// fn twice<M: rpmsg::SharedMemory, Q: rpmsg::Queue>(link: &mut rpmsg::Link<M, Q>, buffer: rpmsg::TxBuffer) {
///     let _ = link.commit(buffer, 1024, 1025, 0);
///     let _ = link.abandon(buffer);
/// }
/// ```
#[must_use = "a dropped buffer is lost until the link is attached anew: commit or abandon it"]
#[derive(Debug, PartialEq, Eq)]
pub struct TxBuffer {
    slot: Slot,
    generation: u32,
}

/// A message received, still in its buffer.
///
/// Holding one tells you that its payload lies inside the window; the peer may still change the payload's bytes. Who gives
/// it back has it no more:
///
/// ```compile_fail
/// fn after<M: rpmsg::SharedMemory, Q: rpmsg::Queue>(link: &mut rpmsg::Link<M, Q>, buffer: rpmsg::RxBuffer) {
///     let _ = link.release(buffer);
///     let _ = link.read(&buffer, 0, &mut [0; 4]);
/// }
/// ```
#[must_use = "a dropped buffer is lost until the link is attached anew: release it"]
#[derive(Debug, PartialEq, Eq)]
pub struct RxBuffer {
    slot: Slot,
    header: Header,
    generation: u32,
}

impl<M: SharedMemory, const N: usize, K: RingKind> Link<M, DriverQueue<N, K>> {
    /// Writes both rings empty, and offers a buffer for each descriptor of ring 0.
    ///
    /// Only while the device leaves the rings alone (rpmsg-lifecycle.md, L5), which learns of them by [`crate::DriverLife::ready`]
    /// and the kick after it. `generation` marks the handles of this attachment.
    pub fn attach(
        memory: M,
        layout: LinkLayout,
        sizes: impl Into<BufferSizes>,
        generation: u32,
        quirks: Quirks,
    ) -> Result<Self, Error> {
        let sizes = sizes.into().checked()?;
        let area = buffers(&layout, sizes)?;
        let [receiving, sending] = plans::<N, K>(&layout, Ring::ToDriver, [true, false], quirks)?;
        for plan in [&receiving, &sending] {
            DriverQueue::<N, K>::lay(&memory, &layout, plan, sizes);
        }
        let mut receive = DriverQueue::start(&memory, &layout, &receiving, sizes);
        let transmit = DriverQueue::start(&memory, &layout, &sending, sizes);
        receive.offer_all(&memory);
        // The kick for them is the one after `ready`.
        receive.show(&memory);
        Ok(Self::new(memory, area, generation, receive, transmit))
    }
}

impl<M: SharedMemory, const N: usize, K: RingKind> Link<M, DeviceQueue<N, K>> {
    /// Joins the rings the driver prepared.
    ///
    /// Only once the driver has said DRIVER_OK (rpmsg-lifecycle.md, L7). `generation` marks the handles of this attachment.
    pub fn attach(
        memory: M,
        layout: LinkLayout,
        generation: u32,
        quirks: Quirks,
    ) -> Result<Self, Error> {
        let Some(area) = layout.area() else {
            return Err(Error::BuffersDoNotFit {
                buffers: raw::HEADER_SIZE.into(),
                area: layout.buffers_end.wrapping_sub(layout.buffers),
            });
        };
        let [receiving, sending] = plans::<N, K>(&layout, Ring::ToDevice, [false, true], quirks)?;
        let receive = DeviceQueue::start(&memory, &receiving);
        let transmit = DeviceQueue::start(&memory, &sending);
        Ok(Self::new(memory, area, generation, receive, transmit))
    }
}

impl<M: SharedMemory, const N: usize, K: RingKind> Link<M, DeviceQueue<N, K>, DriverQueue<N, K>> {
    /// Writes the ring empty that we send in.
    ///
    /// Only while the peer leaves it alone (rpmsg-rings.md, R17): a life's driver at [`crate::DriverStep::Prepare`], its device
    /// at [`crate::DeviceStep::Prepare`].
    pub fn prepare(
        memory: &M,
        layout: &LinkLayout,
        sending: Ring,
        sizes: impl Into<BufferSizes>,
    ) -> Result<(), Error> {
        let sizes = sizes.into().checked()?;
        buffers(layout, sizes)?;
        let [_, plan] = symmetric::<N, K>(layout, sending)?;
        DriverQueue::<N, K>::lay(memory, layout, &plan, sizes);
        Ok(())
    }

    /// Takes the ring that we prepared and the one that the peer did, of which neither carried anything yet.
    ///
    /// A life's driver does so before [`crate::DriverLife::ready`], its device at [`crate::DeviceStep::Attach`]. Both give the same
    /// sizes. `generation` marks the handles of this attachment.
    pub fn attach(
        memory: M,
        layout: LinkLayout,
        sending: Ring,
        sizes: impl Into<BufferSizes>,
        generation: u32,
    ) -> Result<Self, Error> {
        let sizes = sizes.into().checked()?;
        let area = buffers(&layout, sizes)?;
        let [receiving, sending] = symmetric::<N, K>(&layout, sending)?;
        let receive = DeviceQueue::start(&memory, &receiving);
        let transmit = DriverQueue::start(&memory, &layout, &sending, sizes);
        Ok(Self::new(memory, area, generation, receive, transmit))
    }
}

/// Where both sides' buffers may be, if that has room for one of these sizes for each descriptor.
fn buffers(layout: &LinkLayout, sizes: BufferSizes) -> Result<Area, Error> {
    // No overflow: at most 2^15 times 2^32, twice.
    let all = |ring| u64::from(sizes.of(ring)).wrapping_mul(layout.ring(ring).count().into());
    let buffers = all(Ring::ToDriver).wrapping_add(all(Ring::ToDevice));
    // The area's start decides the alignment of every buffer.
    let area = layout.buffers_end.wrapping_sub(layout.buffers);
    let does_not_fit = Error::BuffersDoNotFit { buffers, area };
    if buffers > area.into() || layout.buffers & 3 != 0 {
        return Err(does_not_fit);
    }
    layout.area().ok_or(does_not_fit)
}

/// The plans of a side that owns the buffers it sends in, as the other one does.
fn symmetric<const N: usize, K: RingKind>(
    link: &LinkLayout,
    sending: Ring,
) -> Result<[Plan<'_>; 2], Error> {
    plans::<N, K>(link, sending.other(), [false; 2], Quirks::default())
}

/// The queue we receive on, which is that ring's, and the one we send in; whether the ring's device fills the buffers of each.
fn plans<const N: usize, K: RingKind>(
    link: &LinkLayout,
    receiving: Ring,
    device_fills: [bool; 2],
    quirks: Quirks,
) -> Result<[Plan<'_>; 2], Error> {
    let [first, second] = device_fills;
    let outbound = Quirks {
        used_ring_prefilled: false,
        ..quirks
    };
    Ok([
        Plan::new::<N, K>(link, receiving, first, true, quirks)?,
        // Buffers to send in are looked for when needed; nobody has to wake us for them.
        Plan::new::<N, K>(link, receiving.other(), second, false, outbound)?,
    ])
}

impl<M, R, T> Link<M, R, T> {
    fn new(memory: M, area: Area, generation: u32, receive: R, transmit: T) -> Self {
        Self {
            area,
            memory,
            generation,
            receive,
            transmit,
            joined: Joined::Yes,
        }
    }
}

impl<M: SharedMemory, R: Queue, T: Queue> Link<M, R, T> {
    /// The generation given at attach.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The window's memory.
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    /// A buffer to send in.
    #[inline]
    pub fn reserve(&mut self) -> Result<TxBuffer, Error> {
        let slot = match self.transmit.take(&self.memory, &self.area) {
            Ok(slot) => slot,
            Err(why) => return Err(self.no_buffer(why)),
        };
        self.transmit.hold(slot.id);
        Ok(TxBuffer {
            slot,
            generation: self.generation,
        })
    }

    /// Writes `bytes` into the payload from `offset` (a multiple of 4) on.
    #[inline]
    pub fn write(&self, buffer: &TxBuffer, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        self.current(buffer.generation)?;
        if offset & 3 != 0 {
            return Err(Error::Misaligned { offset });
        }
        let room = buffer.capacity();
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let end = offset.saturating_add(len);
        if end > room {
            return Err(Error::PayloadTooLong { end, room });
        }
        // Inside the buffer, by the line above.
        let at = payload(&buffer.slot).wrapping_add(offset);
        self.memory.copy_in(at, bytes);
        Ok(())
    }

    /// Sends a buffer with `len` bytes of payload, at the next flush.
    #[inline]
    pub fn commit(
        &mut self,
        buffer: TxBuffer,
        source: u32,
        destination: u32,
        len: u16,
    ) -> Result<(), Error> {
        self.current(buffer.generation)?;
        let slot = buffer.slot;
        if u32::from(len) > slot.room {
            return self.too_long(slot.id, slot.at, slot.room, usize::from(len));
        }
        let (header, filled) = heading(source, destination, len);
        self.memory.store_words(slot.at, header);
        self.memory.clean(slot.at, filled);
        self.transmit.give(&self.memory, slot.id, filled)
    }

    /// Puts a buffer back unsent.
    pub fn abandon(&mut self, buffer: TxBuffer) -> Result<(), Error> {
        self.current(buffer.generation)?;
        self.transmit.keep(buffer.slot)
    }

    /// Sends a copy of `bytes`, at the next flush.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub fn send(&mut self, source: u32, destination: u32, bytes: &[u8]) -> Result<(), Error> {
        let slot = match self.transmit.take(&self.memory, &self.area) {
            Ok(slot) => slot,
            Err(why) => return Err(self.no_buffer(why)),
        };
        let fitting = u16::try_from(bytes.len()).ok();
        let Some(len) = fitting.filter(|len| u32::from(*len) <= slot.room) else {
            return self.too_long(slot.id, slot.at, slot.room, bytes.len());
        };
        // Inside the buffer, by the lines above.
        let (header, filled) = heading(source, destination, len);
        self.memory.store_message(slot.at, header, bytes);
        self.memory.clean(slot.at, filled);
        self.transmit.pass(&self.memory, slot.id, filled);
        Ok(())
    }

    /// Sends copies of as many of `payloads` as there are buffers for, at the next flush; how many that were.
    #[inline]
    pub fn send_all<'a>(
        &mut self,
        source: u32,
        destination: u32,
        payloads: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<usize, Error> {
        let mut count: usize = 0;
        for bytes in payloads {
            match self.send(source, destination, bytes) {
                Ok(()) => count = count.saturating_add(1),
                Err(Error::NoBuffer { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    /// Takes at most `limit` messages; `take` gets each header, and the payload as far as `into` has room. The buffers go back
    /// at the next flush. How many messages that were.
    #[inline]
    pub fn receive_all(
        &mut self,
        limit: usize,
        into: &mut [u8],
        mut take: impl FnMut(Header, &[u8]),
    ) -> Result<usize, Error> {
        let mut count: usize = 0;
        while count < limit {
            let found = self.next(|memory, ring, slot, header| {
                let copied = copy_out(memory, slot.at, header.len, into);
                ring.pass(memory, slot.id, size(&slot));
                take(header, into.get(..copied).unwrap_or_default());
            })?;
            if found.is_none() {
                break;
            }
            count = count.saturating_add(1);
        }
        Ok(count)
    }

    /// The next message, if there is one.
    ///
    /// A message whose lengths are lies goes back at once and is an error; the one after it can be received.
    #[inline]
    pub fn receive(&mut self) -> Result<Option<RxBuffer>, Error> {
        let generation = self.generation;
        self.next(|_, ring, slot, header| {
            ring.hold(slot.id);
            RxBuffer {
                slot,
                header,
                generation,
            }
        })
    }

    /// Copies payload from `offset` (a multiple of 4) on into `into`; how many bytes there were.
    #[inline]
    pub fn read(&self, buffer: &RxBuffer, offset: u32, into: &mut [u8]) -> Result<usize, Error> {
        self.current(buffer.generation)?;
        if offset & 3 != 0 {
            return Err(Error::Misaligned { offset });
        }
        let Some(rest) = u32::from(buffer.header.len).checked_sub(offset) else {
            return Ok(0);
        };
        let len = usize::try_from(rest).unwrap_or(usize::MAX).min(into.len());
        if let Some(into) = into.get_mut(..len) {
            // Inside the message, whose length `judge` has bounded.
            let at = payload(&buffer.slot).wrapping_add(offset);
            self.memory.copy_out(at, into);
        }
        Ok(len)
    }

    /// Returns a received buffer to the peer, at the next flush.
    #[inline]
    pub fn release(&mut self, buffer: RxBuffer) -> Result<(), Error> {
        self.current(buffer.generation)?;
        let slot = buffer.slot;
        self.receive.give(&self.memory, slot.id, size(&slot))
    }

    /// Publishes what was sent and what was released, each ring once; who has to be kicked for it (rpmsg-lifecycle.md, L13).
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub fn flush(&mut self) -> Kick {
        let Self {
            memory,
            receive,
            transmit,
            ..
        } = self;
        // Messages first, as somebody may be waiting for them; one fence is for both rings.
        match (transmit.show(memory), receive.show(memory)) {
            (0, 0) => Kick::NONE,
            (0, returned) => receive.kick(fenced(memory), returned),
            (sent, 0) => transmit.kick(fenced(memory), sent),
            (sent, returned) => {
                let kick = transmit.kick(fenced(memory), sent);
                kick.and(receive.kick(memory, returned))
            }
        }
    }

    /// Asks for a kick at the next message, or for none; `true` if a message is there already and must be polled for before
    /// sleeping (rpmsg-lifecycle.md, L14).
    pub fn wake_on_message(&mut self, wanted: bool) -> Result<bool, Error> {
        wake(&mut self.receive, &self.memory, wanted)
    }

    /// Asks for a kick when a buffer to send in comes back, or for none, which is so at first; `true` if one is there already
    /// (rpmsg-lifecycle.md, L15).
    pub fn wake_on_buffer(&mut self, wanted: bool) -> Result<bool, Error> {
        wake(&mut self.transmit, &self.memory, wanted)
    }

    /// Gives the next message to `found` if its lengths are true, which holds its buffer or passes it back; one whose are not
    /// goes back at once.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn next<F>(
        &mut self,
        found: impl FnOnce(&M, &mut R, Slot, Header) -> F,
    ) -> Result<Option<F>, Error> {
        let Self {
            memory,
            area,
            receive,
            ..
        } = self;
        let slot = match receive.take(memory, area) {
            Ok(slot) => slot,
            Err(why) => {
                return match receive.refusal(why) {
                    Some(error) => Err(error),
                    None => Ok(None),
                };
            }
        };
        // Peers say 16 + payload or the whole buffer; both are bounds, neither is the message's length.
        let room = slot.filled.wrapping_sub(raw::HEADER_SIZE);
        if room > slot.room {
            return Err(self.misfilled(slot.id, size(&slot), slot.filled));
        }
        memory.invalidate(slot.at, slot.filled);
        let header = Header::from_words(memory.load_words(slot.at));
        if u32::from(header.len) > room {
            return Err(self.overlong(slot.id, size(&slot), header.len, room));
        }
        Ok(Some(found(memory, receive, slot, header)))
    }

    /// Why there is no buffer to send in.
    #[inline(always)]
    fn no_buffer(&self, why: Nothing) -> Error {
        let ring = self.transmit.ring();
        match self.transmit.refusal(why) {
            Some(error) => error,
            None => Error::NoBuffer { ring },
        }
    }

    /// Puts a buffer back that is too short for what was to be sent.
    #[cold]
    fn too_long(&mut self, id: u16, at: u32, room: u32, len: usize) -> Result<(), Error> {
        self.transmit.hold(id);
        let filled = 0;
        self.transmit.keep(Slot {
            id,
            at,
            room,
            filled,
        })?;
        let end = u32::try_from(len).unwrap_or(u32::MAX);
        let room = room.min(MAX_PAYLOAD);
        Err(Error::PayloadTooLong { end, room })
    }

    /// Returns a message that says it is longer than what was delivered.
    #[cold]
    fn overlong(&mut self, id: u16, size: u32, len: u16, room: u32) -> Error {
        self.receive.pass(&self.memory, id, size);
        let ring = self.receive.ring();
        Error::MessageLength { ring, len, room }
    }

    /// Returns a buffer in which there is no message; which rule the length of what was delivered breaks.
    #[cold]
    fn misfilled(&mut self, id: u16, size: u32, len: u32) -> Error {
        self.receive.pass(&self.memory, id, size);
        let ring = self.receive.ring();
        if len > size {
            return Error::UsedLength {
                ring,
                id,
                len,
                size,
            };
        }
        Error::MessageWithoutHeader { ring, len }
    }

    #[inline]
    fn current(&self, handle: u32) -> Result<(), Error> {
        if handle == self.generation {
            return Ok(());
        }
        Err(Error::PeerRestarted {
            handle,
            link: self.generation,
        })
    }
}

impl TxBuffer {
    /// Bytes of payload it can carry.
    pub const fn capacity(&self) -> u32 {
        // A length is 16 bits wide.
        let room = self.slot.room;
        if room > MAX_PAYLOAD {
            MAX_PAYLOAD
        } else {
            room
        }
    }
}

impl RxBuffer {
    /// Whose message it is, for whom, and how long.
    pub const fn header(&self) -> Header {
        self.header
    }
}

/// Asks for kicks, or for none, and looks whether there is something to take already.
fn wake<M: SharedMemory, Q: Queue>(queue: &mut Q, memory: &M, wanted: bool) -> Result<bool, Error> {
    if !queue.is_broken() {
        queue.wish(memory, wanted);
    }
    if queue.is_ready(memory) {
        return Ok(true);
    }
    match queue.refusal(queue.nothing()) {
        Some(error) => Err(error),
        None => Ok(false),
    }
}

/// The memory after a full fence: what was shown before is seen by whoever wrote what is read now.
#[inline]
fn fenced<M: SharedMemory>(memory: &M) -> &M {
    memory.fence();
    memory
}

/// Copies the payload of the message that [`Link::next`] gave, as far as there is room.
#[cfg_attr(target_pointer_width = "64", inline(always))]
pub(crate) fn copy_out<M: SharedMemory>(memory: &M, at: u32, len: u16, into: &mut [u8]) -> usize {
    let len = usize::from(len).min(into.len());
    if let Some(into) = into.get_mut(..len) {
        // Inside the message, whose length `next` has bounded.
        memory.copy_out(at.wrapping_add(raw::HEADER_SIZE), into);
    }
    len
}

#[inline]
const fn payload(slot: &Slot) -> u32 {
    slot.at.wrapping_add(raw::HEADER_SIZE)
}

/// What stands in front of a payload, and how many bytes both have.
#[inline]
fn heading(source: u32, destination: u32, len: u16) -> ([u32; 4], u32) {
    let header = Header {
        source,
        destination,
        len,
        flags: 0,
    };
    let filled = raw::HEADER_SIZE.wrapping_add(u32::from(len));
    (header.to_words(), filled)
}

/// Bytes of the whole buffer, which ends inside the window.
#[inline]
pub(crate) const fn size(slot: &Slot) -> u32 {
    slot.room.wrapping_add(raw::HEADER_SIZE)
}

const MAX_PAYLOAD: u32 = 0xffff;
