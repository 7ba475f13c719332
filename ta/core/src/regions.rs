//! Does the PTA's list say what the platform file says: private memory reached by nobody else?

use ta_protocol::Status;
use ta_protocol::pta::{Region, access};

use crate::actors::{Isolation, RegionList};
use crate::sessions::Reason;

/// One range of the platform file, as both sides see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) physical: u64,
    pub(crate) device: u64,
    pub(crate) size: u64,
}

impl From<&platform::Region> for Range {
    fn from(region: &platform::Region) -> Self {
        Self {
            physical: region.physical(),
            device: region.device(),
            size: region.size(),
        }
    }
}

impl From<&platform::Window> for Range {
    fn from(window: &platform::Window) -> Self {
        Self {
            physical: window.physical(),
            device: window.device(),
            size: window.size(),
        }
    }
}

/// Checks that the list is whole and each entry well-formed (pta-api.md 3.2).
pub(crate) fn check_list(isolation: Isolation, list: &RegionList) -> Result<(), Reason> {
    let malformed =
        |entry: u64| Reason::new(Status::IsolationList, entry, isolation.entries.into());
    let mut held: u32 = 0;
    for entry in list.iter() {
        if Region::from_bytes(entry).is_none() {
            return Err(malformed(held.into()));
        }
        held = held.saturating_add(1);
    }
    if held == isolation.entries {
        Ok(())
    } else {
        Err(malformed(held.into()))
    }
}

/// Checks one private region of the platform file against the list.
///
/// The core must see this memory there and nothing else, and nobody but the core and the secure world may
/// reach it, by any entry.
pub(crate) fn check_private(
    list: &RegionList,
    private: Range,
    window: Range,
) -> Result<(), Reason> {
    for entry in regions(list).filter(|entry| device_overlap(entry, private)) {
        if physical_overlap(&entry, window) {
            return Err(Reason::new(
                Status::IsolationRegionShared,
                entry.physical,
                entry.size,
            ));
        }
    }
    for entry in regions(list) {
        let ours = device_overlap(&entry, private) || physical_overlap(&entry, private);
        if ours && entry.access != access::SECURE_WORLD | access::THIS_CORE {
            return Err(Reason::new(
                Status::IsolationRegionExposed,
                entry.physical,
                entry.access.into(),
            ));
        }
        if ours && !same_distance(&entry, private) {
            return Err(Reason::new(
                Status::IsolationMismatch,
                entry.physical,
                entry.device,
            ));
        }
    }
    if regions(list).any(|entry| covers(&entry, private)) {
        Ok(())
    } else {
        Err(Reason::new(
            Status::IsolationRegionMissing,
            private.physical,
            private.size,
        ))
    }
}

/// The well-formed entries; [`check_list`] refuses a list with others.
fn regions(list: &RegionList) -> impl Iterator<Item = Region> {
    list.iter().filter_map(Region::from_bytes)
}

/// Whether both addresses of an entry are as far from the region's as each other.
fn same_distance(entry: &Region, private: Range) -> bool {
    entry.physical.wrapping_sub(private.physical) == entry.device.wrapping_sub(private.device)
}

/// Whether one entry holds all of `private`.
fn covers(entry: &Region, private: Range) -> bool {
    let into = private.physical.checked_sub(entry.physical);
    let end = into.and_then(|into| into.checked_add(private.size));
    end.is_some_and(|end| end <= entry.size)
}

fn device_overlap(entry: &Region, range: Range) -> bool {
    overlap(entry.device, entry.size, range.device, range.size)
}

fn physical_overlap(entry: &Region, range: Range) -> bool {
    overlap(entry.physical, entry.size, range.physical, range.size)
}

/// Whether two ranges share a byte. A range past the end of the address space reaches to its end.
fn overlap(a: u64, a_size: u64, b: u64, b_size: u64) -> bool {
    a < b.saturating_add(b_size) && b < a.saturating_add(a_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: Range = Range {
        physical: 0x0ee0_0000,
        device: 0x2100_0000,
        size: 0x20_0000,
    };
    const WINDOW: Range = Range {
        physical: 0x8000_0000,
        device: 0x2120_0000,
        size: 0xe0_0000,
    };
    const ALONE: u32 = access::SECURE_WORLD | access::THIS_CORE;
    const SHARED: (u64, u64, u64, u32) = (0x8000_0000, 0x2120_0000, 0xe0_0000, access::ALL);

    fn list(entries: &[(u64, u64, u64, u32)]) -> RegionList {
        let mut list = RegionList::new();
        for &(physical, device, size, access) in entries {
            list.push(
                Region {
                    physical,
                    device,
                    size,
                    access,
                }
                .to_bytes(),
            )
            .unwrap();
        }
        list
    }

    fn check(entries: &[(u64, u64, u64, u32)]) -> Result<(), Reason> {
        check_private(&list(entries), PRIVATE, WINDOW)
    }

    #[test]
    fn a_region_listed_as_the_platform_file_says_is_private() {
        assert_eq!(
            check(&[(0x0ee0_0000, 0x2100_0000, 0x20_0000, ALONE), SHARED]),
            Ok(())
        );
        let larger = (0x0ed0_0000, 0x20f0_0000, 0x30_0000, ALONE);
        assert_eq!(check(&[SHARED, larger]), Ok(()));
    }

    #[test]
    fn a_region_that_others_reach_or_that_we_do_not_reach_is_refused() {
        let half = [access::SECURE_WORLD, access::THIS_CORE, 0];
        let wide = [
            ALONE | access::NORMAL_WORLD,
            ALONE | access::OTHER_MASTERS,
            access::ALL,
        ];
        for reach in half.into_iter().chain(wide) {
            let reason = Reason::new(Status::IsolationRegionExposed, 0x0ee0_0000, reach.into());
            assert_eq!(
                check(&[(0x0ee0_0000, 0x2100_0000, 0x20_0000, reach)]),
                Err(reason)
            );
        }
    }

    #[test]
    fn a_second_entry_over_the_same_memory_cannot_widen_the_access() {
        let good = (0x0ee0_0000, 0x2100_0000, 0x20_0000, ALONE);
        let wide = (0x0eff_f000, 0x4000_0000, 0x2000, access::ALL);
        let reason = Reason::new(
            Status::IsolationRegionExposed,
            0x0eff_f000,
            access::ALL.into(),
        );
        assert_eq!(check(&[good, wide]), Err(reason));
    }

    #[test]
    fn a_region_that_is_missing_or_listed_in_part_is_refused() {
        let missing = Err(Reason::new(
            Status::IsolationRegionMissing,
            0x0ee0_0000,
            0x20_0000,
        ));
        assert_eq!(check(&[]), missing);
        assert_eq!(check(&[SHARED]), missing);
        assert_eq!(
            check(&[(0x0ee0_0000, 0x2100_0000, 0x1f_f000, ALONE)]),
            missing
        );
        assert_eq!(
            check(&[(0x0ee0_1000, 0x2100_1000, 0x20_0000, ALONE)]),
            missing
        );
    }

    #[test]
    fn a_region_that_the_core_sees_elsewhere_is_refused() {
        for (physical, device) in [
            (0x0ee0_0000, 0x2100_1000),
            (0x0ee0_1000, 0x2100_0000),
            (0x0ee0_0000, 0x1000_0000),
        ] {
            let reason = Reason::new(Status::IsolationMismatch, physical, device);
            assert_eq!(check(&[(physical, device, 0x20_0000, ALONE)]), Err(reason));
        }
    }

    #[test]
    fn a_region_in_the_shared_window_is_refused_whatever_its_access_bits_say() {
        let reason = Reason::new(Status::IsolationRegionShared, 0x8010_0000, 0x20_0000);
        assert_eq!(
            check(&[(0x8010_0000, 0x2100_0000, 0x20_0000, ALONE)]),
            Err(reason)
        );
    }

    #[test]
    fn a_list_is_whole_and_its_entries_have_no_unknown_bits() {
        let good = list(&[SHARED]);
        let of = |entries| Isolation {
            generation: 1,
            entries,
        };
        assert_eq!(check_list(of(1), &good), Ok(()));
        let longer = Reason::new(Status::IsolationList, 1, 17);
        assert_eq!(check_list(of(17), &good), Err(longer));
        let mut bad = good;
        bad.push([0xff; ta_protocol::pta::REGION_LENGTH]).unwrap();
        assert_eq!(
            check_list(of(2), &bad),
            Err(Reason::new(Status::IsolationList, 1, 2))
        );
    }
}
