//! Ranges of addresses.

/// A range of addresses: holding one tells you that it is not empty and that its end does not wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u64,
    end: u64,
}

impl Span {
    /// `size` bytes from `start`.
    pub fn new(start: u64, size: u64) -> Option<Self> {
        let end = start.checked_add(size)?;
        (size > 0).then_some(Self { start, end })
    }

    /// The first address.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The first address behind it.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether `inner` lies in it as a whole.
    pub fn contains(&self, inner: &Self) -> bool {
        self.start <= inner.start && inner.end <= self.end
    }

    /// Whether they have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// How far `address` lies behind the start, if it lies in the range.
    pub fn offset_of(&self, address: u64) -> Option<u64> {
        address
            .checked_sub(self.start)
            .filter(|_| address < self.end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn an_empty_or_wrapping_range_is_refused() {
        assert!(Span::new(0, 1).is_some());
        assert!(Span::new(u64::MAX - 1, 1).is_some());
        assert_eq!(Span::new(4, 0), None);
        assert_eq!(Span::new(u64::MAX, 2), None);
    }

    #[test]
    fn neighbours_do_not_overlap() {
        let (low, high) = (Span::new(0, 4).unwrap(), Span::new(4, 4).unwrap());
        assert!(!low.overlaps(&high) && !high.overlaps(&low));
        assert!(Span::new(3, 2).unwrap().overlaps(&low));
        assert!(Span::new(3, 2).unwrap().overlaps(&high));
    }

    proptest! {
        #[test]
        fn containing_means_overlapping(a in 0..64_u64, b in 1..64_u64, c in 0..64_u64, d in 1..64_u64) {
            let (one, two) = (Span::new(a, b).unwrap(), Span::new(c, d).unwrap());
            let common = (one.start()..one.end()).filter(|at| two.offset_of(*at).is_some()).count() as u64;
            assert_eq!(one.overlaps(&two), common > 0);
            assert_eq!(one.contains(&two), common == two.size());
        }

        #[test]
        fn any_numbers_are_judged(start in any::<u64>(), size in any::<u64>(), address in any::<u64>()) {
            if let Some(span) = Span::new(start, size) {
                assert_eq!(span.size(), size);
                assert_eq!(span.offset_of(address).is_some(), address >= start && address - start < size);
            }
        }
    }
}
