//! What a firmware asks for in its table, and what the driver makes of it (rpmsg-features.md, F4 to F9, F11 and F12).

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::firmware::{Board, ENTRY, LONG, Manner};
use corewarden::hub::Options;
use corewarden::{Error, Limit};
use rpmsg::{Agreement, BufferSizes, Features, Ring, SharedMemory};

#[test]
fn a_firmware_that_asks_for_larger_buffers_gets_them_in_linux_form_and_in_nuttx() {
    let sizes = BufferSizes {
        to_driver: 2048,
        to_device: 1024,
    };
    let linux = Agreement::config(sizes);
    let mut nuttx = [0; 64];
    nuttx[..4].copy_from_slice(&1024_u32.to_le_bytes());
    nuttx[4..8].copy_from_slice(&2048_u32.to_le_bytes());
    for (offer, config, accepted, name) in [
        (0b11, &linux[..], 0b11, "buffer-sizes"),
        (0b1111, &nuttx[..], 0b101, "buffer-sizes-nuttx"),
    ] {
        let board = Board::offering(offer, config);
        let (_firmware, bell) = board.start(Manner::Echo);
        let link = board.attach(bell, long()).unwrap();
        assert_eq!(link.counters().agreed.features, ["name-service", name]);
        assert_eq!(link.counters().agreed.buffer_to_driver, 2048);
        assert_eq!(link.counters().agreed.buffer_to_device, 1024);
        assert_eq!(accepted_word(&board), accepted);
        let echo = link.connect("corewarden-echo", long()).unwrap();
        for length in [0, 496, 497, 1007, 1008] {
            let payload: Vec<u8> = (0..length).map(|at| (at * 7 + length) as u8).collect();
            echo.send(&payload, long()).unwrap();
            let answer = echo.recv(long()).unwrap();
            assert_eq!(answer.payload, payload);
        }
        let sent = echo.send(&[0; 1009], long());
        let too_long = rpmsg::Error::PayloadTooLong {
            end: 1009,
            room: 1008,
        };
        assert_eq!(sent, Err(Error::Rpmsg(too_long)));
        assert_eq!((link.counters().lies, link.counters().unclaimed), (0, 0));
    }
}

#[test]
fn what_a_firmware_offers_and_we_do_not_know_is_not_accepted() {
    // NuttX' acknowledgement, indirect descriptors, and bits that nobody knows.
    for offer in [0b11, 1 | 1 << 28, 1 | 1 << 30 | 1 << 20] {
        let board = Board::offering(offer, &[]);
        let (_firmware, bell) = board.start(Manner::Echo);
        let link = board.attach(bell, long()).unwrap();
        assert_eq!(link.counters().agreed.features, ["name-service"]);
        assert_eq!(link.counters().agreed.buffer_to_driver, 512);
        assert_eq!(accepted_word(&board), 1);
        link.connect("corewarden-echo", long()).unwrap();
    }
}

#[test]
fn a_firmware_that_asks_for_what_cannot_be_is_refused_by_name_and_its_rings_left_alone() {
    let sizes = |to_driver, to_device| BufferSizes {
        to_driver,
        to_device,
    };
    let form = rpmsg::Error::ConfigForm {
        features: 0b11,
        len: 4,
    };
    let size = rpmsg::Error::BufferSize {
        ring: Ring::ToDriver,
        size: 1022,
    };
    let room = rpmsg::Error::BuffersDoNotFit {
        buffers: 256 * (2048 + 2052),
        area: 0x10_0000,
    };
    let upper = rpmsg::Error::ConfigForm {
        features: 1 | 1 << 31,
        len: 3,
    };
    for (offer, config, error) in [
        (0b11, &[0, 2, 0, 0][..], form),
        (0b11, &Agreement::config(sizes(1022, 512)), size),
        (0b11, &Agreement::config(sizes(2048, 2052)), room),
        (1 | 1 << 31, &[5, 0, 0], upper),
    ] {
        let board = Board::offering(offer, config);
        let (_firmware, bell) = board.start(Manner::Echo);
        let attached = board.attach(bell, long()).map(|_| ());
        assert_eq!(attached, Err(Error::Rpmsg(error)));
        assert_eq!(accepted_word(&board), 0);
        let mut rings = [0; 0x6000];
        board.window.copy_out(0x2000, &mut rings);
        assert!(rings.iter().all(|byte| *byte == 0));
    }
}

#[test]
fn a_core_that_rewrites_its_offer_in_the_shared_table_changes_nothing() {
    let config = Agreement::config(1024.into());
    let board = Board::offering(0b11, &config);
    let (_firmware, bell) = board.start(Manner::Echo);
    let (offer, size) = (ENTRY + 12, ENTRY + 28 + 2 * 20);
    board.window.store_u32(offer, 0b1_0001, Ordering::Relaxed);
    board.window.store_u32(size, 0xffff_0b01, Ordering::Relaxed);
    let link = board.attach(bell, long()).unwrap();
    assert_eq!(link.counters().agreed.buffer_to_driver, 1024);
    assert_eq!(accepted_word(&board), 0b11);
    link.connect("corewarden-echo", long()).unwrap();
    let place = board.place(0, &board.window).unwrap();
    assert_eq!(place.table_changed_at(), Some(offer));
}

/// The core does not run yet; what its rings will be is written all the same.
#[test]
fn f12_packed_rings_lie_where_the_split_ones_would_for_a_driver_that_has_them() {
    let without = Options::default().features;
    let packed = without.with(Features::PACKED_RING);
    let modern = Features::VERSION_1.with(Features::PACKED_RING);
    let some = packed.without(Features::VERSION_1);
    // Accepted, above 31, the marks of the first descriptor; a split ring has its number for a next one there.
    for (features, word, upper, marks) in [
        (packed, 1 | 1 << 29 | 1 << 31, 0b101, 0x82),
        (without, 1 | 1 << 29 | 1 << 31, 0b001, 0),
        (some, 1 | 1 << 29, 0, 0),
    ] {
        let [_, offered] = modern.in_table();
        let board = Board::offering(1 | 1 << 29 | 1 << 31, &offered.to_le_bytes());
        let hub = board.driver_with(Options {
            features,
            handshake: Duration::ZERO,
            ..Options::default()
        });
        hub.unwrap().up(long()).unwrap();
        assert_eq!(accepted_word(&board), word);
        let at = |offset| board.window.load_u32(offset, Ordering::Relaxed);
        assert_eq!(at(0xec8), upper);
        assert_eq!(at(0x2000 + 12) >> 16, marks, "{features:?}");
    }
}

/// What stands in the shared table as accepted.
fn accepted_word(board: &Board) -> u32 {
    board.window.load_u32(ENTRY + 16, Ordering::Relaxed)
}

fn long() -> Limit<'static> {
    Limit::after(LONG)
}
