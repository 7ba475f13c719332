//! The attach path of the library against a firmware in a thread, over real rings.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::firmware::{Board, ENTRY, LONG, Manner, master, status};
use corewarden::doorbell::BytePort;
use corewarden::shared_memory::Window;
use corewarden::{Error, Limit, Waiting};
use rpmsg::{RestartSign, SharedMemory, Status};

#[test]
fn messages_of_every_size_come_back_as_they_were_sent() {
    let board = Board::new();
    let (_firmware, bell) = board.start(Manner::Echo);
    let link = board.attach(bell, long()).unwrap();
    let echo = link.connect("corewarden-echo", long()).unwrap();
    for length in (0..=496).chain([496; 500]) {
        let payload: Vec<u8> = (0..length).map(|at| (at * 7 + length) as u8).collect();
        echo.send(&payload, long()).unwrap();
        let answer = echo.recv(long()).unwrap();
        assert_eq!(Some(answer.source), echo.peer());
        assert_eq!(answer.payload, payload);
    }
    let counters = link.counters();
    assert_eq!((counters.lies, counters.unclaimed), (0, 0));
}

#[test]
fn more_messages_than_buffers_are_sent_and_none_is_lost() {
    let board = Board::new();
    let (_firmware, bell) = board.start(Manner::Echo);
    let link = board.attach(bell, long()).unwrap();
    let echo = link.connect("corewarden-echo", long()).unwrap();
    for number in 0..900_u32 {
        echo.send(&number.to_le_bytes(), long()).unwrap();
    }
    for number in 0..900_u32 {
        let answer = echo.recv(long()).unwrap();
        assert_eq!(answer.payload, number.to_le_bytes());
    }
}

#[test]
fn a_firmware_that_starts_later_is_waited_for() {
    let board = Board::new();
    let (near, far) = BytePort::pair().unwrap();
    let window = board.window.clone();
    let later = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        crate::firmware::Firmware::start(window, far, Manner::Echo)
    });
    let link = board.attach(near, long()).unwrap();
    link.connect("corewarden-echo", long()).unwrap();
    drop(later.join().unwrap());
}

#[test]
fn a_firmware_that_knows_no_generations_is_served_after_the_time_for_the_handshake() {
    let board = Board::new();
    let (_firmware, bell) = board.start(Manner::Plain);
    let link = board.driver(bell, Duration::from_millis(30)).unwrap();
    let echo = link.connect("corewarden-echo", long()).unwrap();
    echo.send(b"hello", long()).unwrap();
    assert_eq!(echo.recv(long()).unwrap().payload, b"hello");
}

#[test]
fn detaching_takes_driver_ok_back_and_attaching_again_works() {
    let board = Board::new();
    let (_firmware, bell) = board.start(Manner::Echo);
    let again = bell.try_clone().unwrap();
    let link = board.attach(bell, long()).unwrap();
    assert_eq!(status().load(&board.window), Status::READY);
    drop(link);
    assert_eq!(status().load(&board.window), Status::RESET);
    let link = board.attach(again, long()).unwrap();
    link.connect("corewarden-echo", long()).unwrap();
}

#[test]
fn a_restarted_firmware_is_reported_and_can_be_attached_anew() {
    let board = Board::new();
    let (firmware, bell) = board.start(Manner::Echo);
    let link = board.attach(bell, long()).unwrap();
    let mut echo = link.connect("corewarden-echo", long()).unwrap();
    let generation = link.generation().unwrap();
    drop(firmware);
    let _firmware = board.start(Manner::Echo);
    let gone = Error::PeerRestarted {
        generation,
        sign: Some(RestartSign::Generation),
    };
    assert_eq!(echo.recv(long()), Err(gone));
    assert_eq!(echo.send(b"x", long()), Err(gone));
    echo.reopen(long()).unwrap();
    echo.send(b"x", long()).unwrap();
    assert_eq!(echo.recv(long()).unwrap().payload, b"x");
    assert_ne!(link.generation(), Some(generation));
}

#[test]
fn another_load_under_an_attached_driver_is_reported_and_its_page_left_alone() {
    let board = Board::new();
    let (firmware, bell) = board.start(Manner::Echo);
    let link = board.attach(bell, long()).unwrap();
    let echo = link.connect("corewarden-echo", long()).unwrap();
    drop(firmware);
    board.publish();
    let gone = Error::PeerRestarted {
        generation: link.generation().unwrap(),
        sign: Some(RestartSign::TableCleared),
    };
    assert_eq!(echo.recv(long()), Err(gone));
    drop((echo, link));
    let mut page = [0; 0xe00];
    board.window.copy_out(0, &mut page);
    assert_eq!(page[..master().len()], master());
    assert!(page[master().len()..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_second_driver_takes_the_link_away_from_the_first() {
    let board = Board::new();
    let (_firmware, bell) = board.start(Manner::Echo);
    let again = bell.try_clone().unwrap();
    let first = board.attach(bell, long()).unwrap();
    let generation = first.generation().unwrap();
    let second = board.attach(again, long()).unwrap();
    assert_eq!(first.pump(), Err(Error::Displaced { generation }));
    drop(first);
    second.connect("corewarden-echo", long()).unwrap();
}

#[test]
fn a_silent_firmware_is_waited_for_no_longer_than_asked() {
    let board = Board::new();
    let (_firmware, bell) = board.start(Manner::Silence);
    let link = board.attach(bell, long()).unwrap();
    let echo = link.connect("corewarden-echo", long()).unwrap();
    echo.send(b"anyone?", long()).unwrap();
    let answer = echo.recv(Limit::after(Duration::from_millis(30)));
    let expected = Error::TimeLimit {
        waiting: Waiting::Message,
        milliseconds: 30,
    };
    assert_eq!(answer, Err(expected));
}

#[test]
fn a_service_that_is_not_announced_is_waited_for_no_longer_than_asked() {
    let board = Board::new();
    let (_firmware, bell) = board.start(Manner::Echo);
    let link = board.attach(bell, long()).unwrap();
    link.connect("corewarden-echo", long()).unwrap();
    let service = link.connect("another", Limit::after(Duration::from_millis(30)));
    let expected = Error::TimeLimit {
        waiting: Waiting::Service,
        milliseconds: 30,
    };
    assert_eq!(service.map(|_| ()), Err(expected));
    let known: Vec<_> = link
        .services()
        .iter()
        .map(|known| known.name.to_string())
        .collect();
    assert_eq!(known, ["corewarden-echo"]);
}

#[test]
fn waiting_is_called_off_by_the_flag() {
    let board = Board::new();
    let (_firmware, bell) = board.start(Manner::Silence);
    let link = board.attach(bell, long()).unwrap();
    let echo = link.open(None, long()).unwrap();
    let flag = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(30));
            flag.store(true, Ordering::Relaxed);
        });
        let answer = echo.recv(long().unless(&flag));
        assert_eq!(answer, Err(Error::Interrupted));
    });
}

#[test]
fn nonsense_is_counted_and_does_no_harm() {
    let board = Board::new();
    let (_firmware, bell) = board.start(Manner::Nonsense);
    let link = board.attach(bell, long()).unwrap();
    link.connect("corewarden-echo", long()).unwrap();
    let odd = link.counters();
    assert_eq!((odd.lies, odd.unclaimed), (2, 1));
    let last = rpmsg::Error::AnnouncementLength { len: 5 };
    assert_eq!(odd.last_lie, Some(last.to_string()));
}

#[test]
fn an_index_that_runs_ahead_ends_the_link_and_the_device_is_told() {
    let board = Board::new();
    let (_firmware, bell) = board.start(Manner::Silence);
    let link = board.attach(bell, long()).unwrap();
    let echo = link.connect("corewarden-echo", long()).unwrap();
    let generation = link.generation();
    board
        .window
        .store_u16(USED_INDEX_0, 0x7777, Ordering::Relaxed);
    let expected = rpmsg::Error::PeerIndex {
        ring: rpmsg::Ring::ToDriver,
        index: 0x7777,
        last: 1,
        outstanding: 256,
    };
    assert_eq!(echo.recv(long()), Err(Error::LinkBroken(expected)));
    // It has the next link by the next generation.
    link.connect("corewarden-echo", long()).unwrap();
    assert_ne!(link.generation(), generation);
}

#[test]
fn a_ring_that_was_zeroed_is_reported_as_an_inferred_restart() {
    let board = Board::new();
    let (_firmware, bell) = board.start(Manner::Silence);
    let link = board.attach(bell, long()).unwrap();
    let echo = link.connect("corewarden-echo", long()).unwrap();
    board.window.store_u16(USED_INDEX_0, 0, Ordering::Relaxed);
    let expected = Error::PeerRestarted {
        generation: link.generation().unwrap(),
        sign: Some(RestartSign::RingZeroed),
    };
    assert_eq!(echo.recv(long()), Err(expected));
    assert!(
        expected
            .to_string()
            .ends_with("(inferred: a ring was zeroed)")
    );
}

#[test]
fn a_message_longer_than_a_buffer_is_refused() {
    let board = Board::new();
    let (_firmware, bell) = board.start(Manner::Echo);
    let link = board.attach(bell, long()).unwrap();
    let endpoint = link.open(None, long()).unwrap();
    let sent = endpoint.send_to(1024, &[0; 497], long());
    let expected = rpmsg::Error::PayloadTooLong {
        end: 497,
        room: 496,
    };
    assert_eq!(sent, Err(Error::Rpmsg(expected)));
}

#[test]
fn a_shared_table_that_leads_a_ring_into_private_memory_is_refused() {
    let board = Board::new();
    let (_firmware, bell) = board.start(Manner::Echo);
    let ring_0 = ENTRY + 28;
    board
        .window
        .store_u32(ring_0, 0x2100_0000, Ordering::Relaxed);
    let attached = board.attach(bell, long()).map(|_| ());
    let expected = resource_table::Error::VringOutside {
        entry: 0,
        address: 0x2100_0000,
        length: 10246,
    };
    assert_eq!(attached, Err(Error::ResourceTable(expected)));
}

#[test]
fn a_fixed_field_poisoned_in_the_shared_table_has_no_effect_and_is_reported() {
    let board = Board::new();
    let (_firmware, bell) = board.start(Manner::Echo);
    let descriptors = ENTRY + 28 + 8;
    board
        .window
        .store_u32(descriptors, 0x8000_0001, Ordering::Relaxed);
    let link = board.attach(bell, long()).unwrap();
    link.connect("corewarden-echo", long()).unwrap();
    let place = board.place(0, &board.window).unwrap();
    assert_eq!(place.table_changed_at(), Some(descriptors));
}

#[test]
fn a_window_smaller_than_the_platform_file_says_is_refused() {
    let (window, _fd) = Window::memfd(0x1000).unwrap();
    let expected = Error::WindowSize {
        found: 0x1000,
        needed: 0xe0_0000,
    };
    assert_eq!(Board::new().place(0, &window).err(), Some(expected));
}

#[test]
fn a_device_that_the_table_does_not_have_is_refused() {
    let board = Board::new();
    let missing = board.place(1, &board.window).err();
    assert_eq!(missing, Some(Error::NoRpmsgDevice));
}

fn long() -> Limit<'static> {
    Limit::after(LONG)
}

/// Where the firmware writes how many buffers of ring 0 it has used.
const USED_INDEX_0: u32 = 0x4002;
