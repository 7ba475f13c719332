//! LOAD, whole or streamed: isolate, judge the trailer, then every byte of the file once, in its order.

use admission::Admitted;
use firmware_bundle::{Plan, Step};
use platform::{Core, Isolation, Platform};
use ta_protocol::{CoreState, MAX_CHUNK, Status, pta};

use crate::actors::{
    Actors, Cast, Clock as _, Failure, Memory as _, OutOfBounds, Piece, RegionList, Sha256 as _,
    Source,
};
use crate::record::Image;
use crate::regions;
use crate::sessions::{Reason, SessionId};
use crate::slot::{self, Slot};

/// A load under way.
pub(crate) struct Load<A: Actors> {
    /// Whose it is.
    pub(crate) session: SessionId,
    /// When its session last said something.
    pub(crate) touched: u64,
    plan: Plan,
    /// Where the client's bytes end and the padding begins, which was judged with the trailer.
    elf_size: u64,
    rest: A::Sha256,
    chunks: u64,
    image: Image,
}

/// The bytes wanted next; none if `length` is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl Wanted {
    /// Nothing more.
    pub(crate) const DONE: Self = Self {
        offset: 0,
        length: 0,
    };
}

/// The end of a file, as its client presents it.
pub(crate) struct Tail<'a, S> {
    /// Bytes of the whole file.
    pub(crate) file: u64,
    /// Holds the file's last bytes: `min(file, 64 KiB)` or more.
    pub(crate) source: &'a S,
}

/// What a command acts upon.
pub(crate) struct Scene<'a, A: Actors> {
    pub(crate) platform: &'a Platform,
    pub(crate) core: &'a Core,
    pub(crate) cast: &'a mut Cast<A>,
    pub(crate) slot: &'a mut Slot<A>,
    pub(crate) trailer: &'a mut [u8; firmware_bundle::MAX_TRAILER],
}

impl<A: Actors> Scene<'_, A> {
    /// Begins a load, or compares with what is loaded. On any error of a begun load all is wiped.
    pub(crate) fn begin(
        &mut self,
        session: SessionId,
        tail: &Tail<'_, A::Source>,
    ) -> Result<Wanted, Reason> {
        if self.slot.state == CoreState::Loaded {
            return self.compare(tail);
        }
        let begun = self
            .isolate()
            .and_then(|generation| self.open(session, tail, generation));
        self.or_wipe(begun)
    }

    /// Takes the pieces of the file that lie in `source`, whose first byte is at `base` of the file.
    /// Ends with the load done, or with the bytes wanted next.
    pub(crate) fn take(&mut self, source: &A::Source, base: u64) -> Result<Wanted, Reason> {
        let taken = self.steps(source, base);
        self.or_wipe(taken)
    }
}

impl<A: Actors> Scene<'_, A> {
    /// Shuts everybody else out, and proves it against the platform file. Answers with the generation.
    fn isolate(&mut self) -> Result<u32, Reason> {
        // What was recorded is about to be overwritten.
        slot::record(self.core, self.cast, &[])?;
        let mut list = RegionList::new();
        let isolation = match self.cast.memory.isolate(self.core.id(), &mut list) {
            Ok(isolation) if isolation.generation != 0 => isolation,
            // Generation 0 is that of a core which was never isolated (pta-api.md 3.3), whatever the list says: START
            // could not tell it from isolation that was lost.
            Ok(_) | Err(Failure::NOT_SUPPORTED) => {
                return match self.core.isolation() {
                    Isolation::InsecureNone => Ok(0),
                    Isolation::Required => {
                        Err(Reason::new(Status::NotIsolated, self.core.id().into(), 0))
                    }
                };
            }
            Err(failure) => return Err(slot::extension_failed(pta::Extension::Isolate, failure)),
        };
        regions::check_list(isolation, &list)?;
        for private in self.core.private_regions() {
            regions::check_private(&list, private.into(), self.core.shared().into())?;
        }
        Ok(isolation.generation)
    }

    /// Judges the trailer, and puts the load under way. The judgement is the deepest call of the TA: nothing large
    /// may lie in a frame above it, so this has one of its own, and so has what follows it.
    #[inline(never)]
    fn open(
        &mut self,
        session: SessionId,
        tail: &Tail<'_, A::Source>,
        generation: u32,
    ) -> Result<Wanted, Reason> {
        let now = self.cast.clock.now();
        self.judge(tail, |admitted, slot| {
            take_up(slot, session, admitted, generation, now)
        })
    }

    /// LOAD while Loaded: success for the same bundle, and nothing is touched either way (ta-api.md 3.1).
    #[inline(never)]
    fn compare(&mut self, tail: &Tail<'_, A::Source>) -> Result<Wanted, Reason> {
        let core = self.core.id();
        self.judge(tail, |admitted, slot| match slot.image {
            Some(loaded) if loaded.digest.0 == *admitted.digest() => Ok(Wanted::DONE),
            _ => Err(Reason::new(Status::OtherBundleLoaded, core.into(), 0)),
        })
    }

    /// Takes all steps whose bytes lie in `source`, then closes the load if there are no more.
    fn steps(&mut self, source: &A::Source, base: u64) -> Result<Wanted, Reason> {
        let end = base.saturating_add(source.length());
        let not_begun = Reason::new(Status::LoadNotBegun, self.core.id().into(), 0);
        let load = self.slot.load.as_mut().ok_or(not_begun)?;
        while let Some(step) = load.plan.current() {
            if load.client_end(&step) > end {
                break;
            }
            load.step(&step, self.core.id(), self.cast, source, base)?;
            load.plan.advance();
        }
        load.touched = self.cast.clock.now();
        if load.plan.current().is_some() {
            return Ok(load.wanted());
        }
        self.close()?;
        Ok(Wanted::DONE)
    }

    /// Every byte is where it belongs: zero the rest, publish the table, remember what it was.
    fn close(&mut self) -> Result<(), Reason> {
        let not_begun = Reason::new(Status::LoadNotBegun, self.core.id().into(), 0);
        let load = self.slot.load.take().ok_or(not_begun)?;
        if load.rest.finish() != *load.plan.rest_digest() {
            return Err(Status::RestDigest.into());
        }
        for region in self.core.private_regions() {
            for (device, size) in load.plan.gaps(region.device(), region.size()) {
                self.zero(device, size)?;
            }
        }
        let window = self.core.shared();
        for area in [window.table(), window.vrings()] {
            if let Some(span) = window.device_span_of(area) {
                self.zero(span.start(), span.size())?;
            }
        }
        self.slot.publish(self.core, self.cast)?;
        self.slot.publish_seed(self.core, self.cast)?;
        slot::record(self.core, self.cast, &load.image.to_record())?;
        self.slot.image = Some(load.image);
        self.slot.state = CoreState::Loaded;
        Ok(())
    }

    /// Zeroes a range, in pieces that no platform is long about.
    fn zero(&mut self, device: u64, size: u64) -> Result<(), Reason> {
        let (mut at, mut left) = (device, size);
        while left > 0 {
            let piece = left.min(MAX_CHUNK.into());
            self.cast
                .memory
                .zero(self.core.id(), at, piece)
                .map_err(|failure| slot::failed(pta::Command::SetMemory, failure))?;
            at = at.saturating_add(piece);
            left = left.saturating_sub(piece);
        }
        Ok(())
    }

    /// Passes a success on; after an error all is wiped, and the error stays the one to tell (ta-api.md 5.3).
    fn or_wipe<T>(&mut self, result: Result<T, Reason>) -> Result<T, Reason> {
        if result.is_err() {
            self.slot.master.clear();
            // If the wipe fails the core stays Stopping, and the next command tries again.
            let _ = self.slot.wipe(self.core, self.cast);
        }
        result
    }
}

impl<A: Actors> Load<A> {
    /// The longest stretch of the file that holds whole steps and at most [`MAX_CHUNK`] bytes.
    pub(crate) fn wanted(&self) -> Wanted {
        let mut ahead = self.plan.clone();
        let Some(first) = ahead.current() else {
            return Wanted::DONE;
        };
        let offset = first.offset();
        let mut end = offset;
        while let Some(step) = ahead.current() {
            let to = self.client_end(&step);
            if to.saturating_sub(offset) > MAX_CHUNK.into() {
                break;
            }
            end = to;
            ahead.advance();
        }
        Wanted {
            offset,
            length: end.saturating_sub(offset),
        }
    }

    /// Where the bytes of a step end that the client has to bring.
    fn client_end(&self, step: &Step) -> u64 {
        step.offset().saturating_add(step.size()).min(self.elf_size)
    }

    fn step(
        &mut self,
        step: &Step,
        core: u32,
        cast: &mut Cast<A>,
        source: &A::Source,
        base: u64,
    ) -> Result<(), Reason> {
        // A piece that begins before the step is a piece that was not asked for.
        let outside = Reason::new(Status::WrongOffset, step.offset(), base);
        match *step {
            Step::Chunk {
                offset,
                size,
                address,
                digest,
                ..
            } => {
                let from = Piece::Client {
                    source,
                    at: offset.checked_sub(base).ok_or(outside)?,
                    length: size,
                };
                let copied = cast.memory.copy_hashed(core, from, address, &digest);
                copied.map_err(|failure| match failure {
                    Failure::DIGEST => Reason::new(Status::ChunkDigest, self.chunks, address),
                    failure => slot::failed(pta::Command::LoadSegmentSha256, failure),
                })?;
                self.chunks = self.chunks.saturating_add(1);
                Ok(())
            }
            Step::Rest { offset, size } => {
                let end = self.client_end(step);
                let mut at = offset;
                let mut buffer = [0; REST_PIECE];
                while at < end {
                    let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
                    let piece = buffer.get_mut(..left.min(REST_PIECE)).unwrap_or_default();
                    let from = at.checked_sub(base).ok_or(outside)?;
                    source.read(from, piece).map_err(|OutOfBounds| outside)?;
                    self.rest.update(piece);
                    at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
                }
                // The padding came with the trailer, and is zero.
                let padding = offset.saturating_add(size).saturating_sub(end.max(offset));
                let zeros = usize::try_from(padding).unwrap_or(0);
                self.rest
                    .update([0; PADDING].get(..zeros).unwrap_or_default());
                Ok(())
            }
        }
    }
}

/// Takes plan and table from the trailer while it is there.
#[inline(never)]
fn take_up<A: Actors>(
    slot: &mut Slot<A>,
    session: SessionId,
    admitted: &Admitted<'_>,
    generation: u32,
    now: u64,
) -> Result<Wanted, Reason> {
    let mut image = Image::of(admitted)?;
    image.generation = generation;
    image.starts = slot.starts;
    slot.master.clear();
    if let Some(table) = admitted.table() {
        slot.master.keep(table.bytes(), image.table.0);
    }
    let load = slot.load.insert(Load {
        session,
        touched: now,
        plan: admitted.plan(),
        elf_size: admitted.manifest().elf_size(),
        rest: A::Sha256::new(),
        chunks: 0,
        image,
    });
    let wanted = load.wanted();
    slot.state = CoreState::Loading;
    // How an earlier load of this session ended is no answer for this one.
    if slot.given_up.is_some_and(|(of, _)| of == session) {
        slot.given_up = None;
    }
    Ok(wanted)
}

/// Bytes that are hashed at a time where they are loaded nowhere.
const REST_PIECE: usize = 0x1000;
/// The longest padding (bundle-format.md 1.1).
const PADDING: usize = 15;
