//! Layouts a link can have, and those it cannot.

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
