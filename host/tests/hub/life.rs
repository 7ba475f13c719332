//! Restarts of either side, lies, and what handles say then (rpmsg-lifecycle.md).

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use corewarden::hub::{Hub, Options};
use corewarden::shared_memory::Window;
use corewarden::{Error, Limit};
use rpmsg::{RestartSign, SharedMemory};

use crate::support::{Bench, Party, forever, long, shortly};

#[test]
fn a_device_that_restarts_ends_old_handles_and_reopening_works() {
    for bench in Bench::kinds() {
        let device = bench.echo();
        let hub = bench.driver();
        let mut echo = hub.connect("echo", long()).unwrap();
        let generation = hub.generation().unwrap();
        echo.send(b"before", long()).unwrap();
        while hub.counters().received.messages == 0 {
            hub.pump().unwrap();
        }
        drop(device);
        let _device = bench.echo();
        while hub.generation() == Some(generation) {
            hub.pump().unwrap();
        }
        // What was received before stays received.
        assert_eq!(echo.recv(long()).unwrap().payload, b"before");
        let gone = Error::PeerRestarted {
            generation,
            sign: Some(RestartSign::Generation),
        };
        assert_eq!(echo.recv(long()), Err(gone));
        assert_eq!(echo.send(b"lost", long()), Err(gone));
        assert_eq!(echo.try_recv(), Err(gone));
        echo.reopen(long()).unwrap();
        echo.send(b"after", long()).unwrap();
        assert_eq!(echo.recv(long()).unwrap().payload, b"after");
        assert_ne!(hub.generation(), Some(generation));
        assert_eq!(hub.counters().restarts, 1);
    }
}

#[test]
fn what_a_device_sent_before_it_ended_is_received() {
    for bench in Bench::kinds() {
        let device = bench.device();
        let party = Party::start(move |flag| {
            let service = device.serve("brief", long().unless(flag))?;
            service.recv(long().unless(flag))?;
            for number in 0..100_u8 {
                service.send(&[number], long())?;
            }
            Ok(())
        });
        let hub = bench.driver();
        let brief = hub.connect("brief", long()).unwrap();
        brief.send(b"go", long()).unwrap();
        while !party.is_finished() {
            std::thread::yield_now();
        }
        party.end().unwrap();
        for number in 0..100_u8 {
            assert_eq!(brief.recv(long()).unwrap().payload, [number]);
        }
        assert!(matches!(
            brief.recv(long()),
            Err(Error::PeerRestarted { .. })
        ));
    }
}

#[test]
fn a_driver_that_restarts_ends_the_devices_handles_and_serving_again_works() {
    for bench in Bench::kinds() {
        let device = bench.device();
        let party = Party::start(move |flag| {
            let mut service = device.serve("count", long().unless(flag))?;
            for number in 0..3_u32 {
                loop {
                    match service.recv(forever().unless(flag)) {
                        Ok(_) => service.send(&number.to_le_bytes(), long())?,
                        Err(Error::PeerRestarted { .. }) => break,
                        Err(error) => return Err(error),
                    }
                }
                service.reopen(forever().unless(flag))?;
            }
            Ok(())
        });
        for number in 0..3_u32 {
            let hub = bench.driver();
            let count = hub.connect("count", long()).unwrap();
            count.send(&[], long()).unwrap();
            assert_eq!(count.recv(long()).unwrap().payload, number.to_le_bytes());
        }
        assert_eq!(party.end(), Err(Error::Interrupted));
    }
}

#[test]
fn a_driver_that_another_displaced_says_so_and_does_not_fight_back() {
    for bench in Bench::kinds() {
        let _echo = bench.echo();
        let first = bench.driver();
        let echo = first.connect("echo", long()).unwrap();
        let second = bench.driver();
        let other = second.connect("echo", long()).unwrap();
        let generation = first.generation().unwrap();
        let displaced = Error::Displaced { generation };
        assert_eq!(first.pump(), Err(displaced));
        assert_eq!(echo.recv(long()), Err(displaced));
        assert_eq!(first.up(long()), Err(displaced));
        drop((echo, first));
        other.send(b"still here", long()).unwrap();
        assert_eq!(other.recv(long()).unwrap().payload, b"still here");
        assert_eq!(second.counters().restarts, 0);
    }
}

#[test]
fn a_driver_whose_line_was_written_by_another_keeps_away_for_a_while_and_then_drives_again() {
    let bench = Bench::new();
    let _echo = bench.echo();
    let hub = bench.driver();
    let mut echo = hub.connect("echo", long()).unwrap();
    let generation = hub.generation().unwrap();
    let displaced = Error::Displaced { generation };
    let begun = Instant::now();
    // A device can do that as well as another driver.
    bench
        .window
        .store_u32(DRIVER_GENERATION, 7, Ordering::Release);
    while hub.generation().is_none_or(|now| now == generation) {
        match hub.pump() {
            Ok(()) => {}
            Err(error) => assert_eq!(error, displaced),
        }
        std::thread::sleep(hub.patience().min(Duration::from_millis(20)));
    }
    assert!(
        begun.elapsed() > Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(echo.recv(long()), Err(displaced));
    echo.reopen(long()).unwrap();
    echo.send(b"again", long()).unwrap();
    assert_eq!(echo.recv(long()).unwrap().payload, b"again");
}

#[test]
fn a_generation_that_the_peer_turned_back_comes_not_twice() {
    for bench in Bench::kinds() {
        let _echo = bench.echo();
        let hub = bench.driver();
        let mut seen = Vec::new();
        for _ in 0..3 {
            let generation = hub.up(long()).unwrap();
            assert!(!seen.contains(&generation), "{generation} again");
            seen.push(generation);
            // The line's magic: the next generation begins as if there had been none.
            bench
                .window
                .store_u32(DRIVER_GENERATION - 4, 0, Ordering::Release);
            while hub.generation() == Some(generation) {
                hub.pump().unwrap();
            }
        }
    }
}

#[test]
fn a_lie_in_the_ring_ends_the_link_by_name_and_the_next_one_works() {
    let [split, _, symmetric, _] = Bench::kinds();
    for (bench, peers) in [(split, USED_INDEX_0), (symmetric, AVAILABLE_INDEX_0)] {
        let _echo = bench.echo();
        let hub = bench.driver();
        let mut echo = hub.connect("echo", long()).unwrap();
        let index = bench.window.load_u16(peers, Ordering::Acquire);
        bench
            .window
            .store_u16(peers, index.wrapping_add(0x4000), Ordering::Release);
        match echo.recv(long()) {
            Err(Error::LinkBroken(rpmsg::Error::PeerIndex { ring, .. })) => {
                assert_eq!(ring, rpmsg::Ring::ToDriver);
            }
            other => panic!("{other:?}"),
        }
        echo.reopen(long()).unwrap();
        echo.send(b"again", long()).unwrap();
        assert_eq!(echo.recv(long()).unwrap().payload, b"again");
        let counters = hub.counters();
        assert_eq!((counters.lies, counters.restarts), (1, 1));
    }
}

#[test]
fn l9_a_device_that_lies_on_every_link_is_left_alone_for_longer_each_time() {
    let [split, _, symmetric, _] = Bench::kinds();
    for (bench, peers) in [(split, USED_INDEX_0), (symmetric, AVAILABLE_INDEX_0)] {
        let (device, hub) = (bench.device(), bench.driver());
        for _ in 0..1000 {
            device.pump().unwrap();
            hub.pump().unwrap();
            if hub.generation().is_some() && device.generation().is_some() {
                bench.window.store_u16(peers, 0x4000, Ordering::Release);
            }
        }
        // The first lie costs nothing; as many as that would take longer than a minute.
        let links = hub.counters().links;
        assert!((2..6).contains(&links), "{links} links");
        let trouble = hub.trouble();
        assert!(matches!(trouble, Some(Error::LinkBroken(_))), "{trouble:?}");
        // The device knows at once that the link is gone.
        assert_eq!(device.generation(), None);
        let up = hub.up(shortly());
        assert_eq!(up.err(), trouble);
        // Another one in its place is followed before the shortest pause would end.
        drop(device);
        let device = bench.device();
        let served = thread::spawn(move || device.up(long()).map(drop));
        hub.up(Limit::after(Duration::from_secs(4))).unwrap();
        served.join().unwrap().unwrap();
    }
}

#[test]
fn l12_two_devices_of_one_window_do_not_take_the_link_from_each_other_all_the_time() {
    for bench in Bench::kinds() {
        let (one, other, hub) = (bench.device(), bench.device(), bench.driver());
        for _ in 0..1000 {
            for hub in [&one, &other, &hub] {
                hub.pump().unwrap();
            }
        }
        let links = hub.counters().links;
        assert!((1..20).contains(&links), "{links} links");
    }
}

#[test]
fn a_device_that_a_driver_lied_to_serves_the_next_link() {
    let [split, _, symmetric, _] = Bench::kinds();
    for bench in [split, symmetric] {
        let device = bench.device();
        let party = Party::start(move |flag| {
            let mut service = device.serve("echo", long().unless(flag))?;
            let broken = loop {
                match service.recv(forever().unless(flag)) {
                    Ok(_) => {}
                    Err(Error::LinkBroken(error)) => break error,
                    Err(error) => return Err(error),
                }
            };
            assert!(matches!(broken, rpmsg::Error::PeerIndex { .. }), "{broken}");
            service.reopen(long().unless(flag))?;
            let message = service.recv(long().unless(flag))?;
            service.send(&message.payload, long())
        });
        let hub = bench.driver();
        let mut echo = hub.connect("echo", long()).unwrap();
        bench
            .window
            .store_u16(AVAILABLE_INDEX_1, 0x4000, Ordering::Release);
        // The device drops the link and takes a new generation, which the driver sees (L9).
        assert!(matches!(
            echo.recv(long()),
            Err(Error::PeerRestarted { .. })
        ));
        echo.reopen(long()).unwrap();
        echo.send(b"again", long()).unwrap();
        assert_eq!(echo.recv(long()).unwrap().payload, b"again");
        party.end().unwrap();
    }
}

#[test]
fn letting_go_of_a_hub_is_seen_by_the_peer_at_once() {
    for bench in Bench::kinds() {
        let device = bench.device();
        let party = Party::start(move |flag| {
            let service = device.serve("any", long().unless(flag))?;
            service.recv(long().unless(flag)).map(|_| ())
        });
        let hub = bench.driver();
        hub.connect("any", long()).unwrap();
        drop(hub);
        while !party.is_finished() {
            std::thread::yield_now();
        }
        let sign = Some(RestartSign::Generation);
        let ended = party.end();
        assert!(
            matches!(ended, Err(Error::PeerRestarted { sign: seen, .. }) if seen == sign),
            "{ended:?}"
        );
    }
}

#[test]
fn a_driver_says_why_no_link_begins_and_tries_again() {
    let bench = Bench::new();
    let _echo = bench.echo();
    let geometry = bench.geometry;
    let mut failures = 2;
    let find = move |window: &Window| {
        failures -= 1;
        if failures >= 0 {
            return Err(Error::NoRpmsgDevice);
        }
        corewarden::place::Place::between_processes(&geometry, window)
    };
    let (near, _far) = corewarden::doorbell::EventCounters::pair().unwrap();
    let options = Options {
        handshake: Duration::from_millis(10),
        ..bench.options()
    };
    let hub = Hub::driver(find, bench.window.clone(), near, options).unwrap();
    assert_eq!(hub.up(shortly()), Err(Error::NoRpmsgDevice));
    assert_eq!(hub.trouble(), Some(Error::NoRpmsgDevice));
    hub.up(long()).unwrap();
    assert_eq!(hub.trouble(), None);
}

#[test]
fn a_device_that_does_not_run_is_waited_for_and_then_the_rings_wait_for_it() {
    let bench = Bench::new();
    let options = Options {
        handshake: Duration::from_millis(10),
        ..bench.options()
    };
    let hub = bench.driver_with(options);
    hub.up(long()).unwrap();
    let _echo = bench.echo();
    let echo = hub.connect("echo", long()).unwrap();
    echo.send(b"late", long()).unwrap();
    assert_eq!(echo.recv(long()).unwrap().payload, b"late");
}

#[test]
fn r17_a_first_side_waits_for_the_second_however_short_the_time_for_the_handshake_is() {
    for bench in Bench::kinds() {
        if !bench.geometry.symmetric {
            continue;
        }
        let options = Options {
            handshake: Duration::ZERO,
            ..bench.options()
        };
        let hub = bench.driver_with(options);
        let mut rings = vec![0; 0x3500];
        let blank = rings.clone();
        for _ in 0..10 {
            hub.pump().unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
        bench.window.copy_out(0x1000, &mut rings);
        assert!(rings == blank, "nothing is written where another may read");
        assert_eq!(hub.generation(), None);
        let _echo = bench.echo();
        let echo = hub.connect("echo", long()).unwrap();
        echo.send(b"late", long()).unwrap();
        assert_eq!(echo.recv(long()).unwrap().payload, b"late");
    }
}

#[test]
fn r18_what_either_side_of_a_symmetric_link_sent_before_it_was_gone_is_received() {
    for bench in Bench::kinds() {
        if !bench.geometry.symmetric {
            continue;
        }
        let (device, driver) = (bench.device(), bench.driver());
        let both = [&device, &driver];
        let pump = || both.iter().for_each(|hub| hub.pump().unwrap());
        while device.generation().is_none() {
            pump();
        }
        let far = device.open(Some(9), long()).unwrap();
        let near = driver.open(Some(8), long()).unwrap();
        for number in 0..100_u8 {
            assert_eq!(near.try_send(Some(9), &[number]), Ok(true));
        }
        drop((near, driver));
        for number in 0..100_u8 {
            assert_eq!(far.recv(long()).unwrap().payload, [number]);
        }
        assert!(matches!(far.recv(long()), Err(Error::PeerRestarted { .. })));
    }
}

#[test]
fn waiting_on_a_hub_is_called_off_by_the_flag() {
    let bench = Bench::new();
    let hub = bench.driver();
    let flag = std::sync::atomic::AtomicBool::new(true);
    let up = hub.up(Limit::after(Duration::MAX).unless(&flag));
    assert_eq!(up, Err(Error::Interrupted));
}

/// Where the driver's generation stands.
const DRIVER_GENERATION: u32 = 0xe04;
/// Where the index of ring 0's available part stands.
const AVAILABLE_INDEX_0: u32 = 0x1000 + 0x1000 + 2;
/// Where the index of ring 0's used part stands in the default geometry: behind 256 descriptors, the available part, and
/// up to the next line of 64.
const USED_INDEX_0: u32 = 0x1000 + 0x1240 + 2;
/// Where the index of ring 1's available part stands.
const AVAILABLE_INDEX_1: u32 = 0x1000 + 0x1a80 + 0x1000 + 2;
