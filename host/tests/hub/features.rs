//! What two processes agree on (rpmsg-features.md, F10).

use std::sync::atomic::Ordering;

use corewarden::Error;
use corewarden::hub::{Hub, Options};
use corewarden::place::Geometry;
use rpmsg::{
    Driver, DriverLife, DriverStep, Features, LinkLayout, Quirks, SharedMemory, StatusWord,
    VringLayout, Window,
};

use crate::support::{Bench, Party, forever, long};

#[test]
fn f10_two_processes_agree_on_what_both_do_and_on_the_size_the_device_asks_for() {
    let name_service = Features::NAME_SERVICE;
    let both = name_service.with(Features::EVENT_INDEX);
    let all = Options::default().features;
    let names = ["name-service", "buffer-sizes", "event-index", "version-1"];
    let packed = all.with(Features::PACKED_RING);
    let packed_names = [&names[..], &["packed-ring"]].concat();
    for (device, driver, features, size) in [
        (all, all, &names[..], 1024),
        (packed, packed, &packed_names, 1024),
        (packed, all, &names[..], 1024),
        (all, packed, &names[..], 1024),
        (all, name_service, &names[..1], 512),
        (name_service, all, &names[..1], 512),
        (both, all, &["name-service", "event-index"], 512),
        (all, both, &["name-service", "event-index"], 512),
    ] {
        // The driver takes 512 where it is asked for nothing.
        let bench = Bench::of(Geometry {
            descriptors: 16,
            buffer_size: 1024,
            ..Geometry::default()
        });
        let device = Options {
            features: device,
            ..bench.options()
        };
        let hub = bench.device_with(device);
        let party = echo(hub);
        let driver = Options {
            features: driver,
            buffer_size: 512,
            ..bench.options()
        };
        let hub = bench.driver_with(driver);
        let echo = hub.connect("echo", long()).unwrap();
        for round in 0..40_u8 {
            let payload = vec![round; size - 16];
            echo.send(&payload, long()).unwrap();
            assert_eq!(echo.recv(long()).unwrap().payload, payload);
        }
        let too_long = rpmsg::Error::PayloadTooLong {
            end: size as u32 - 15,
            room: size as u32 - 16,
        };
        let sent = echo.send(&vec![0; size - 15], long());
        assert_eq!(sent, Err(Error::Rpmsg(too_long)));
        let agreed = hub.counters().agreed;
        assert_eq!(agreed.features, features);
        assert_eq!(agreed.buffer_to_driver as usize, size);
        assert_eq!(agreed.buffer_to_device as usize, size);
        drop(party);
    }
}

#[test]
fn f13_both_sides_of_a_symmetric_link_say_that_it_is_one_and_of_which_kind() {
    for bench in Bench::kinds() {
        let _party = echo(bench.device());
        let hub = bench.driver();
        let echo = hub.connect("echo", long()).unwrap();
        echo.send(b"?", long()).unwrap();
        assert_eq!(echo.recv(long()).unwrap().payload, b"?");
        let agreed = hub.counters().agreed;
        let has = |name: &str| agreed.features.iter().any(|has| has == name);
        assert_eq!(has("symmetric"), bench.geometry.symmetric);
        assert_eq!(
            has("packed-ring"),
            bench.features.has(Features::PACKED_RING)
        );
        assert_eq!(agreed.buffer_to_driver, bench.geometry.buffer_size);
    }
}

#[test]
fn f13_sides_of_which_one_alone_is_symmetric_or_packed_refuse_each_other_by_name() {
    let packed = Features::PACKED_RING;
    let (none, symmetric) = (Features::default(), Features::SYMMETRIC);
    for (device, driver, apart) in [
        ((true, none), (false, none), Some(symmetric)),
        ((false, none), (true, none), Some(symmetric)),
        ((true, packed), (true, none), Some(packed)),
        // The second side has its way.
        ((true, none), (true, packed), None),
    ] {
        let mut bench = Bench::new();
        let all = bench.features;
        (bench.geometry.symmetric, bench.features) = (device.0, all.with(device.1));
        let second = bench.device();
        (bench.geometry.symmetric, bench.features) = (driver.0, all.with(driver.1));
        let first = bench.driver();
        let refused = loop {
            second.pump().unwrap();
            first.pump().unwrap();
            if let Some(trouble) = first.trouble() {
                break Some(trouble);
            }
            if second.generation().is_some() {
                break None;
            }
        };
        let features = apart.map(Features::bits);
        let expected = features.map(|features| rpmsg::Error::FeaturesSymmetric { features });
        assert_eq!(refused, expected.map(Error::Rpmsg));
        assert_eq!(first.generation().is_none(), apart.is_some());
    }
}

#[test]
fn the_lines_of_two_processes_are_as_their_document_says() {
    let bench = Bench::new();
    let _party = echo(bench.device());
    let hub = bench.driver();
    hub.up(long()).unwrap();
    let line = |at| {
        let mut bytes = [0; 64];
        bench.window.copy_out(at, &mut bytes);
        bytes
    };
    let features = [0x03, 0, 0, 0x20, 0x01, 0, 0, 0];
    let config = [1, 11, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0];
    let offered = line(0xE80);
    assert_eq!(offered[..4], *b"CWFT");
    assert_eq!(offered[4..12], features);
    assert_eq!(offered[12..24], config);
    assert_eq!(offered[24..], [0; 40]);
    let accepted = line(0xEC0);
    assert_eq!(accepted[..12], offered[..12]);
    assert_eq!(accepted[12..], [0; 52]);
}

#[test]
fn a_driver_that_accepts_what_its_device_did_not_offer_is_refused_by_name() {
    let bench = Bench::new();
    let options = Options {
        features: Features::NAME_SERVICE,
        ..bench.options()
    };
    let hub = bench.device_with(options);
    // A driver of another make, by hand.
    let size = bench.geometry.window_size();
    let window = Window::new(0, size.try_into().unwrap()).unwrap();
    let status = StatusWord::new(&window, 0, 20, 2).unwrap();
    let mut life = DriverLife::begin(&bench.window, status, 1);
    while life.step(&bench.window) != DriverStep::Prepare {
        hub.pump().unwrap();
    }
    let ring = |at| VringLayout::new(&window, at, 256, 64).unwrap();
    let layout = LinkLayout::new(window, ring(0x1000), ring(0x2a80), 0x4500, 0x4_0000).unwrap();
    let quirks = Quirks::default();
    let link = Driver::<_, 256>::attach(&bench.window, layout, 512, life.generation(), quirks);
    let _ = link.unwrap().flush();
    for (at, word) in [(0, u32::from_le_bytes(*b"CWFT")), (4, 0b11), (8, 0)] {
        bench.window.store_u32(0xEC0 + at, word, Ordering::Relaxed);
    }
    life.ready(&bench.window);
    hub.pump().unwrap();
    let refused = rpmsg::Error::FeaturesNotOffered { features: 0b10 };
    assert_eq!(hub.trouble(), Some(Error::Rpmsg(refused)));
    assert_eq!(hub.generation(), None);
    // And is told so by a new generation (L9).
    assert!(matches!(
        life.step(&bench.window),
        DriverStep::Restart(rpmsg::RestartSign::Generation)
    ));
}

fn echo(hub: Hub) -> Party {
    Party::start(move |flag| {
        let endpoint = hub.serve("echo", forever().unless(flag))?;
        loop {
            let message = endpoint.recv(forever().unless(flag))?;
            endpoint.send_to(message.source, &message.payload, forever().unless(flag))?;
        }
    })
}
