//! The judgement over a trailer, as far as LOAD needs it.

use firmware_bundle::{FOOTER_SIZE, File, Footer, Plan};
use ta_protocol::Status;

use crate::actors::{Actors, OutOfBounds, Source};
use crate::load::{Scene, Tail};
use crate::record::Image;
use crate::sessions::Reason;

/// What a judged trailer leaves behind.
pub(crate) struct Judged {
    pub(crate) image: Image,
    pub(crate) plan: Plan,
    pub(crate) elf_size: u64,
}

impl<A: Actors> Scene<'_, A> {
    /// Copies the trailer once, judges it, and takes what LOAD needs from it.
    pub(crate) fn judge(&mut self, tail: &Tail<'_, A::Source>) -> Result<Judged, Reason> {
        unjudged(tail)
    }
}
fn unjudged<S, T>(_: &Tail<'_, S>) -> Result<T, Reason> {
    Err(Status::NotABundle.into())
}
