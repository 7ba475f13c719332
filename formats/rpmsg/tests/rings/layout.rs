//! Layouts a link can have, and those it cannot.

use proptest::prelude::*;
use rpmsg::{Error, LinkLayout, StatusWord, VringLayout, Window};

use crate::support::{BASE, BUFFERS, SIZE, TO_DEVICE, TO_DRIVER, window};

fn ring(at: u64, count: u32, align: u32) -> Result<VringLayout, Error> {
    VringLayout::new(&window(), BASE + at, count, align)
}

#[test]
fn a_window_must_not_wrap_and_begins_on_a_page() {
    assert!(Window::new(0xffff_ffff_ffff_f000, 0xfff).is_ok());
    for (address, len) in [
        (0xffff_ffff_ffff_f000, 0x1000),
        (0x800, 0x1000),
        (0x1000, 0),
    ] {
        assert_eq!(
            Window::new(address, len),
            Err(Error::WindowUnusable { address, len })
        );
    }
}

#[test]
fn a_ring_takes_the_bytes_linux_gives_it() {
    // Descriptors, alignment, bytes: as vring_size() computes them.
    for (count, align, len) in [
        (16_u32, 16_u32, 438_u64),
        (256, 16, 6678),
        (256, 4096, 10_246),
    ] {
        let wide = Window::new(0x1000_0000, 0x4000).unwrap();
        let last = 0x1000_0000 + 0x4000 - len;
        let fits = last & !u64::from(align - 1);
        assert!(VringLayout::new(&wide, fits, count, align).is_ok());
        assert!(VringLayout::new(&wide, fits + u64::from(align.max(16)), count, align).is_err());
    }
}

#[test]
fn a_ring_has_a_power_of_two_of_descriptors() {
    for count in [1_u32, 2, 256] {
        assert_eq!(
            ring(0x1000, count, 16).map(|ring| u32::from(ring.count())),
            Ok(count)
        );
    }
    for count in [0, 3, 255, 1 << 16, u32::MAX, 0x8000_0001] {
        assert_eq!(
            ring(0x1000, count, 16),
            Err(Error::RingSize {
                count,
                limit: 1 << 15
            })
        );
    }
}

#[test]
fn the_largest_ring_has_its_place() {
    let wide = Window::new(0, 1 << 20).unwrap();
    assert_eq!(
        VringLayout::new(&wide, 0, 1 << 15, 4096).unwrap().count(),
        1 << 15
    );
}

#[test]
fn a_ring_is_aligned_as_it_says() {
    for (at, align) in [
        (0x1008, 16),
        (0x1400, 0x800),
        (0x1000, 0),
        (0x1000, 48),
        (0x1000, 1 << 17),
    ] {
        assert_eq!(
            ring(at, 8, align),
            Err(Error::RingMisaligned {
                address: BASE + at,
                align
            })
        );
    }
    // open-amp's tables know alignments below a descriptor's.
    assert!(ring(0x1010, 8, 4).is_ok());
    assert!(ring(0x1004, 8, 4).is_err());
}

#[test]
fn a_ring_lies_inside_the_window() {
    let outside = |at: u64| VringLayout::new(&window(), at, 8, 16);
    for at in [
        BASE - 0x1000,
        BASE + u64::from(SIZE) - 16,
        BASE + u64::from(SIZE),
        0,
        0xffff_f000,
        !0xf,
    ] {
        assert!(matches!(outside(at), Err(Error::RingOutside { address, .. }) if address == at));
    }
}

#[test]
fn rings_and_buffers_are_disjoint() {
    let link = |one: u32, two: u32, buffers: u32, len: u32| {
        LinkLayout::new(
            window(),
            ring(u64::from(one), 8, 16).unwrap(),
            ring(u64::from(two), 8, 16).unwrap(),
            BASE + u64::from(buffers),
            len,
        )
    };
    let (one, two) = (TO_DRIVER.descriptors, TO_DEVICE.descriptors);
    assert!(link(one, two, BUFFERS.start, 0x400).is_ok());
    for (one, two, buffers, len) in [
        (one, one, BUFFERS.start, 0x400),
        (one, one + 16, BUFFERS.start, 0x400),
        (one, two, one, 0x400),
        (one, two, 0, 0x1001),
        (one, two, two + 4, 4),
    ] {
        assert!(matches!(
            link(one, two, buffers, len),
            Err(Error::RingOverlap { .. })
        ));
    }
    assert_eq!(
        link(one, two, SIZE - 4, 8),
        Err(Error::RingOutside {
            address: BASE + u64::from(SIZE) - 4,
            len: 8
        })
    );
}

#[test]
fn rings_of_another_window_are_refused() {
    let larger = Window::new(BASE, 2 * SIZE).unwrap();
    let far = VringLayout::new(&larger, BASE + u64::from(SIZE), 8, 16).unwrap();
    let near = ring(0x1000, 8, 16).unwrap();
    let layout = LinkLayout::new(window(), near, far, BASE + u64::from(BUFFERS.start), 0x400);
    assert!(matches!(layout, Err(Error::RingOutside { .. })));
}

#[test]
fn a_status_byte_stands_in_the_table_page_before_the_lines() {
    let status = |table, entry| StatusWord::new(&window(), table, entry, 2);
    assert!(status(BASE, 24).is_ok());
    assert!(status(BASE, 0xE00 - 28).is_ok());
    for (table, entry) in [
        (BASE, 0xE00 - 24),
        (BASE, 0xE00),
        (BASE, 25),
        (BASE, !3),
        (BASE + u64::from(SIZE), 24),
        (BASE - 0x1000, 24),
    ] {
        assert!(matches!(
            status(table, entry),
            Err(Error::RingOutside { .. })
        ));
    }
}

/// What a ring of so many descriptors takes, as VirtIO 1.3, 2.7.2 says, beside what no ring can be.
#[derive(Clone, Copy, Debug)]
struct Asked {
    address: u64,
    count: u32,
    align: u32,
}

impl Asked {
    fn len(self) -> u32 {
        let available_end = 16 * self.count + 6 + 2 * self.count;
        available_end.next_multiple_of(self.align.max(4)) + 6 + 8 * self.count
    }

    /// The rule it breaks in a window, if any.
    fn broken_rule(self, window: Place) -> Option<Error> {
        let Self {
            address,
            count,
            align,
        } = self;
        if !count.is_power_of_two() || count > 1 << 15 {
            let limit = 1 << 15;
            return Some(Error::RingSize { count, limit });
        }
        if !align.is_power_of_two()
            || align > 1 << 16
            || !address.is_multiple_of(align.max(16).into())
        {
            return Some(Error::RingMisaligned { address, align });
        }
        let len = self.len();
        (!window.holds(address, len)).then_some(Error::RingOutside { address, len })
    }
}

#[derive(Clone, Copy, Debug)]
struct Place {
    address: u64,
    len: u32,
}

impl Place {
    fn end(self) -> u128 {
        u128::from(self.address) + u128::from(self.len)
    }

    fn holds(self, address: u64, len: u32) -> bool {
        let part = Self { address, len };
        address >= self.address && part.end() <= self.end()
    }

    fn is_clear_of(self, other: Self) -> bool {
        self.end() <= other.address.into() || other.end() <= self.address.into()
    }
}

/// A window, at the bottom, in the middle and at the top of all addresses.
fn a_window() -> impl Strategy<Value = Place> {
    let pages = prop_oneof![0..4_u64, any::<u64>(), u64::MAX - 0x40..=u64::MAX];
    (pages, 1..0x2_0000_u32).prop_map(|(page, len)| Place {
        address: page << 12,
        len,
    })
}

/// An address in a window, or near it, or anywhere.
fn an_address(window: Place) -> impl Strategy<Value = u64> {
    let offset = 0..=u64::from(window.len) + 0x100;
    let near = (offset, 0..9_u32).prop_map(move |(offset, zeros)| {
        let before = window.address.wrapping_sub(0x80);
        before.wrapping_add(offset) >> zeros << zeros
    });
    prop_oneof![9 => near, 1 => any::<u64>()]
}

fn a_ring(window: Place) -> impl Strategy<Value = Asked> {
    let power = |largest: u32| (0..=largest).prop_map(|bits| 1_u32 << bits);
    let count = prop_oneof![8 => power(5), 2 => power(16), 1 => any::<u32>()];
    let align = prop_oneof![8 => power(8), 2 => power(17), 1 => any::<u32>()];
    (an_address(window), count, align).prop_map(|(address, count, align)| Asked {
        address,
        count,
        align,
    })
}

fn a_ring_in_a_window() -> impl Strategy<Value = (Place, Asked)> {
    a_window().prop_flat_map(|window| (Just(window), a_ring(window)))
}

/// A window, two rings that lie in it, and buffers that need not; some of them overlap.
fn a_link() -> impl Strategy<Value = (Place, [Asked; 2], Place)> {
    let window = (any::<u32>(), 0x1000..0x4000_u32).prop_map(|(page, len)| Place {
        address: u64::from(page) << 12,
        len,
    });
    window.prop_flat_map(|window| {
        let ring = || {
            let steps = (0..=4_u32, 2..=7_u32, 0..0x40_u64);
            steps.prop_filter_map("leaves the window", move |(bits, step, place)| {
                let asked = Asked {
                    address: window.address + place * 0x100,
                    count: 1 << bits,
                    align: 1 << step,
                };
                asked.broken_rule(window).is_none().then_some(asked)
            })
        };
        let buffers = (an_address(window), 0..0x1000_u32);
        let buffers = buffers.prop_map(|(address, len)| Place { address, len });
        (Just(window), [ring(), ring()], buffers)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn a_ring_is_accepted_where_it_breaks_no_rule_and_refused_by_the_first_one_that_it_breaks(
        (place, asked) in a_ring_in_a_window()
    ) {
        let window = Window::new(place.address, place.len);
        if place.end() > u64::MAX.into() {
            let Place { address, len } = place;
            prop_assert_eq!(window, Err(Error::WindowUnusable { address, len }));
            return Ok(());
        }
        let ring = VringLayout::new(&window.unwrap(), asked.address, asked.count, asked.align);
        match asked.broken_rule(place) {
            None => prop_assert_eq!(u32::from(ring.unwrap().count()), asked.count),
            Some(error) => prop_assert_eq!(ring, Err(error)),
        }
    }

    #[test]
    fn a_link_is_accepted_where_its_parts_lie_inside_the_window_and_apart(
        (place, rings, buffers) in a_link()
    ) {
        let window = Window::new(place.address, place.len).unwrap();
        let [one, two] = rings.map(|asked| {
            VringLayout::new(&window, asked.address, asked.count, asked.align).unwrap()
        });
        let link = LinkLayout::new(window, one, two, buffers.address, buffers.len);
        let [one, two] = rings.map(|asked| Place { address: asked.address, len: asked.len() });
        let apart = one.is_clear_of(two) && one.is_clear_of(buffers) && two.is_clear_of(buffers);
        if !place.holds(buffers.address, buffers.len) {
            let Place { address, len } = buffers;
            prop_assert_eq!(link, Err(Error::RingOutside { address, len }));
        } else if apart {
            prop_assert!(link.is_ok());
        } else {
            let named = matches!(link, Err(Error::RingOverlap { .. }));
            prop_assert!(named, "{:?}", link);
        }
    }
}
