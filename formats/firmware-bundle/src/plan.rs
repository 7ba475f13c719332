//! The way through the file: every byte before the manifest once, in order, as part of a segment or as rest.

use crate::{CHUNK, MAX_CHUNKS, MAX_SEGMENTS, Manifest, Segment};

/// What to do with the next bytes of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// They are one chunk of a segment: copy them to `address`, then compare the copy with `digest` (bundle-format.md 10.3).
    Chunk {
        /// Where the bytes lie in the file.
        offset: u64,
        /// How many, at most [`CHUNK`].
        size: u64,
        /// Device address to copy them to.
        address: u64,
        /// Index of the segment.
        segment: u8,
        /// SHA-256 of the bytes.
        digest: [u8; 32],
    },
    /// They are loaded nowhere: feed them to the one digest that is compared with [`Plan::rest_digest`] at the end
    /// (bundle-format.md 10.2).
    Rest {
        /// Where the bytes lie in the file.
        offset: u64,
        /// How many, at most [`CHUNK`].
        size: u64,
    },
}

impl Step {
    /// Where its bytes lie in the file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        match self {
            Step::Chunk { offset, .. } | Step::Rest { offset, .. } => *offset,
        }
    }

    /// How many bytes it takes from the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Step::Chunk { size, .. } | Step::Rest { size, .. } => *size,
        }
    }
}

/// Holding a `Plan` tells you how to load what a manifest lists, each segment exactly once and nothing else
/// (bundle-format.md 10.5). It owns what it needs, so the trailer may go; about 5 KiB.
#[derive(Clone, Debug)]
pub struct Plan {
    at: u64,
    end: u64,
    rest_digest: [u8; 32],
    segments: [Option<Segment>; MAX_SEGMENTS],
    digests: [[u8; 32]; MAX_CHUNKS],
}

impl Plan {
    /// The plan of a manifest, at its first step.
    #[must_use]
    pub fn of(manifest: &Manifest<'_>) -> Plan {
        let mut plan = Plan {
            at: 0,
            end: manifest
                .elf_size()
                .saturating_add(crate::footer::padding_after(manifest.elf_size())),
            rest_digest: *manifest.rest_digest(),
            segments: [None; MAX_SEGMENTS],
            digests: [[0; 32]; MAX_CHUNKS],
        };
        for (place, segment) in plan.segments.iter_mut().zip(manifest.segments()) {
            *place = Some(segment);
        }
        for (place, digest) in plan.digests.iter_mut().zip(manifest.digests()) {
            *place = *digest;
        }
        plan
    }

    /// The step at hand; `None` once every byte before the manifest was stepped over (bundle-format.md 10.1).
    #[must_use]
    pub fn current(&self) -> Option<Step> {
        if self.at >= self.end {
            return None;
        }
        let mut rest_end = self.end;
        let mut first_digest = 0usize;
        for (index, segment) in (0..=u8::MAX).zip(self.segments()) {
            let into = self.at.checked_sub(segment.file_offset);
            match into {
                Some(into) if into < segment.file_size => {
                    let chunk =
                        usize::try_from(into.checked_div(CHUNK).unwrap_or(0)).unwrap_or(usize::MAX);
                    // A digest that is missing is one that no bytes have: the copy is refused.
                    let digest = self.digests.get(first_digest.saturating_add(chunk));
                    return Some(Step::Chunk {
                        offset: self.at,
                        size: segment.file_size.saturating_sub(into).min(CHUNK),
                        address: segment.address.saturating_add(into),
                        segment: index,
                        digest: digest.copied().unwrap_or([0; 32]),
                    });
                }
                None if segment.file_size != 0 => rest_end = rest_end.min(segment.file_offset),
                _ => {}
            }
            first_digest = first_digest.saturating_add(segment.chunks());
        }
        Some(Step::Rest {
            offset: self.at,
            size: rest_end.saturating_sub(self.at).min(CHUNK),
        })
    }

    /// Goes on to the step after the current one.
    pub fn advance(&mut self) {
        if let Some(step) = self.current() {
            self.at = self.at.saturating_add(step.size());
        }
    }

    /// What the digest over all [`Step::Rest`] bytes must be.
    #[must_use]
    pub fn rest_digest(&self) -> &[u8; 32] {
        &self.rest_digest
    }

    /// Segments by ascending device address.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().flatten()
    }

    /// The bytes of a region that no chunk fills, by ascending address: they must become zero (bundle-format.md 10.4).
    #[must_use]
    pub fn gaps(&self, region: u64, size: u64) -> Gaps<'_> {
        Gaps {
            segments: &self.segments,
            at: region,
            end: region.saturating_add(size),
        }
    }
}

impl Iterator for Plan {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let step = self.current();
        self.advance();
        step
    }
}

/// See [`Plan::gaps`]: (device address, size) pairs.
#[derive(Clone, Debug)]
pub struct Gaps<'a> {
    segments: &'a [Option<Segment>],
    at: u64,
    end: u64,
}

impl Iterator for Gaps<'_> {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        while self.at < self.end {
            let from = self.at;
            let next = match self.segments.split_first() {
                Some((Some(segment), rest)) => {
                    self.segments = rest;
                    Some(segment)
                }
                _ => None,
            };
            // Segments ascend, so what lies before this one is covered by none.
            let to = next.map_or(self.end, |segment| segment.address.clamp(from, self.end));
            self.at = next.map_or(self.end, |segment| segment.loaded_end().max(to));
            if from < to {
                return Some((from, to.saturating_sub(from)));
            }
        }
        None
    }
}
