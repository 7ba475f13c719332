//! The judgement over a trailer, as far as LOAD needs it.

use admission::{Admitted, Device};
use firmware_bundle::{FOOTER_SIZE, File, Footer, MAX_TRAILER};
use ta_protocol::{Digest, LOWEST_VERSION, Status, Text};

use crate::actors::{Actors, OutOfBounds, Source};
use crate::load::{Scene, Tail};
use crate::record::Image;
use crate::sessions::Reason;
use crate::slot::Slot;

impl<A: Actors> Scene<'_, A> {
    /// Copies the trailer once, judges it, and lets `take` have what it needs while the trailer is there. Plan and
    /// table are larger than the TA's stack can hold several times, so they are not returned.
    pub(crate) fn judge<T>(
        &mut self,
        tail: &Tail<'_, A::Source>,
        take: impl FnOnce(&Admitted<'_>, &mut Slot<A>) -> Result<T, Reason>,
    ) -> Result<T, Reason> {
        let file = copy(tail, self.trailer)?;
        let device = Device {
            platform: self.platform,
            core: self.core,
            floor: LOWEST_VERSION,
        };
        match &admission::admit(&file, &self.cast.signatures, &device) {
            Ok(admitted) => take(admitted, self.slot),
            Err(refusal) => Err(refusal.status().into()),
        }
    }
}

impl Image {
    /// What is told of a bundle. Its isolation and start counter are the caller's to set.
    pub(crate) fn of(admitted: &Admitted<'_>) -> Result<Self, Reason> {
        let manifest = admitted.manifest();
        let malformed = Reason::from(Status::ManifestMalformed);
        let size = admitted.table().map_or(0, |table| table.bytes().len());
        let address = manifest.resource_table().map_or(0, |(address, _)| address);
        Ok(Self {
            digest: Digest(*admitted.digest()),
            signer: admitted.signer().key_id,
            display_version: Text::new(manifest.display_version().as_bytes()).ok_or(malformed)?,
            build_id: Text::new(manifest.build_id()).ok_or(malformed)?,
            security_version: manifest.security_version(),
            generation: 0,
            starts: 0,
            table: (address, u32::try_from(size).map_err(|_| malformed)?),
        })
    }
}

/// Copies the end of a file to the end of `trailer`: first the footer, then what it says lies before it. No
/// byte is read twice, so none can differ from the one that is judged.
fn copy<'t, S: Source>(
    tail: &Tail<'_, S>,
    trailer: &'t mut [u8; MAX_TRAILER],
) -> Result<File<'t>, Reason> {
    let held = tail.source.length();
    let footer_size = size(tail.file.min(length(FOOTER_SIZE)));
    read(tail, footer_size, last(trailer, footer_size))?;
    let found = Footer::of(&File {
        length: tail.file,
        head: &[],
        tail: last(trailer, footer_size),
    });
    let Ok(footer) = found else {
        // Judged as it is. The first bytes say what a file without a footer is, where they are at hand.
        let (head, end) = trailer.split_at_mut_checked(HEAD).unwrap_or_default();
        let shown = held == tail.file && held > length(FOOTER_SIZE);
        let head = if shown { head } else { &mut [] };
        tail.source
            .read(0, head)
            .map_err(|OutOfBounds| short(tail))?;
        let before = end.len().saturating_sub(footer_size);
        return Ok(File {
            length: tail.file,
            head,
            tail: end.get(before..).unwrap_or_default(),
        });
    };
    let all = footer.trailer_size();
    let fresh = all.saturating_sub(footer_size);
    let place = last(trailer, all).get_mut(..fresh).unwrap_or_default();
    read(tail, all, place)?;
    Ok(File {
        length: tail.file,
        head: &[],
        tail: last(trailer, all),
    })
}

/// Reads from `before_end` bytes before the file's end.
fn read<S: Source>(tail: &Tail<'_, S>, before_end: usize, into: &mut [u8]) -> Result<(), Reason> {
    let at = tail.source.length().checked_sub(length(before_end));
    let at = at.ok_or(short(tail))?;
    tail.source
        .read(at, into)
        .map_err(|OutOfBounds| short(tail))
}

/// The last `count` bytes of the buffer.
fn last(trailer: &mut [u8; MAX_TRAILER], count: usize) -> &mut [u8] {
    let before = trailer.len().saturating_sub(count);
    trailer.get_mut(before..).unwrap_or_default()
}

fn short<S: Source>(tail: &Tail<'_, S>) -> Reason {
    let needed = tail.file.min(length(MAX_TRAILER));
    Reason::new(Status::WrongLength, needed, tail.source.length())
}

fn length(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

fn size(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// What is read of a file's beginning, to name what it is.
const HEAD: usize = 4;
