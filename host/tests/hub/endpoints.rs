//! What endpoints promise while the link is up.

use std::sync::mpsc::channel;
use std::thread;

use corewarden::hub::{Hub, Options, Seen};
use corewarden::place::Geometry;
use corewarden::{Error, Waiting};
use rpmsg::{Announcement, Change, NAME_SERVICE_ADDRESS};

use crate::support::{Bench, Party, forever, long, shortly};

#[test]
fn messages_of_every_size_come_back_over_a_hub() {
    for bench in Bench::kinds() {
        let _echo = bench.echo();
        let hub = bench.driver();
        let echo = hub.connect("echo", long()).unwrap();
        for length in (0..=496).chain([496; 600]) {
            let payload: Vec<u8> = (0..length).map(|at| (at * 7 + length) as u8).collect();
            echo.send(&payload, long()).unwrap();
            let answer = echo.recv(long()).unwrap();
            assert_eq!(answer.payload, payload);
            assert_eq!(Some(answer.source), echo.peer());
        }
        let counters = hub.counters();
        assert_eq!((counters.sent.messages, counters.lies), (1097, 0));
        assert_eq!(counters.received, counters.sent);
        assert_eq!(counters.services, [("echo".to_owned(), 1024)]);
    }
}

#[test]
fn large_buffers_carry_large_messages() {
    for bench in Bench::kinds_of(Geometry {
        descriptors: 8,
        buffer_size: 0x8000,
        ..Geometry::default()
    }) {
        let _echo = bench.echo();
        let hub = bench.driver();
        let echo = hub.connect("echo", long()).unwrap();
        let payload: Vec<u8> = (0..0x7ff0_u32).map(|at| (at * 13) as u8).collect();
        echo.send(&payload, long()).unwrap();
        assert!(echo.recv(long()).unwrap().payload == payload);
        let refused = echo.send(&[0; 0x7ff1], long());
        let expected = rpmsg::Error::PayloadTooLong {
            end: 0x7ff1,
            room: 0x7ff0,
        };
        assert_eq!(refused, Err(Error::Rpmsg(expected)));
    }
}

#[test]
fn threads_on_endpoints_of_their_own_get_their_own_answers() {
    for bench in Bench::kinds() {
        let _echo = bench.echo();
        let hub = bench.driver();
        thread::scope(|scope| {
            for thread in 0..4_u32 {
                let hub = hub.clone();
                scope.spawn(move || {
                    let echo = hub.connect("echo", long()).unwrap();
                    for number in 0..500_u32 {
                        let payload = [thread.to_le_bytes(), number.to_le_bytes()].concat();
                        echo.send(&payload, long()).unwrap();
                        assert_eq!(echo.recv(long()).unwrap().payload, payload);
                    }
                });
            }
        });
        assert_eq!(hub.counters().received.messages, 2000);
    }
}

#[test]
fn threads_share_one_endpoint_and_each_message_comes_once() {
    for bench in Bench::kinds() {
        let _echo = bench.echo();
        let hub = bench.driver();
        let echo = hub.connect("echo", long()).unwrap();
        let mut received = thread::scope(|scope| {
            let takers = [(); 3].map(|()| {
                scope.spawn(|| {
                    let mut taken = Vec::new();
                    while taken.last() != Some(&u32::MAX) {
                        let payload = echo.recv(long()).unwrap().payload;
                        taken.push(u32::from_le_bytes(payload.try_into().unwrap()));
                    }
                    taken.pop();
                    taken
                })
            });
            for number in (0..900_u32).chain([u32::MAX; 3]) {
                echo.send(&number.to_le_bytes(), long()).unwrap();
                while hub
                    .counters()
                    .endpoints
                    .iter()
                    .any(|echo| echo.queued > 200)
                {
                    thread::yield_now();
                }
            }
            takers.map(|taker| taker.join().unwrap()).concat()
        });
        received.sort_unstable();
        assert!(received.into_iter().eq(0..900));
    }
}

#[test]
fn a_slow_endpoint_holds_up_no_other_and_is_told_what_it_lost() {
    for bench in Bench::kinds() {
        let _echo = bench.echo();
        let options = Options {
            queue: 10,
            ..bench.options()
        };
        let hub = bench.driver_with(options);
        let slow = hub.connect("echo", long()).unwrap();
        let quick = hub.connect("echo", long()).unwrap();
        for number in 0..1000_u32 {
            slow.send(&number.to_le_bytes(), long()).unwrap();
            quick.send(b"quick", long()).unwrap();
            assert_eq!(quick.recv(long()).unwrap().payload, b"quick");
        }
        for number in 0..10_u32 {
            assert_eq!(slow.recv(long()).unwrap().payload, number.to_le_bytes());
        }
        let lost = Error::MessagesLost { messages: 990 };
        assert_eq!(slow.recv(long()), Err(lost));
        slow.send(b"on", long()).unwrap();
        assert_eq!(slow.recv(long()).unwrap().payload, b"on");
        assert_eq!(hub.counters().endpoints[0].lost, 990);
    }
}

#[test]
fn an_only_endpoint_that_is_slow_holds_up_its_peer_and_loses_nothing() {
    for bench in Bench::kinds_of(Geometry {
        descriptors: 8,
        buffer_size: 64,
        ..Geometry::default()
    }) {
        let _echo = bench.echo();
        let options = Options {
            queue: 4,
            ..bench.options()
        };
        let hub = bench.driver_with(options);
        let echo = hub.connect("echo", long()).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..2000_u32 {
                    echo.send(&number.to_le_bytes(), long()).unwrap();
                }
            });
            for number in 0..2000_u32 {
                assert_eq!(echo.recv(long()).unwrap().payload, number.to_le_bytes());
            }
        });
    }
}

#[test]
fn a_batch_goes_out_with_at_most_one_kick() {
    for bench in Bench::kinds() {
        let _echo = bench.echo();
        let hub = bench.driver();
        let echo = hub.connect("echo", long()).unwrap();
        let before = hub.counters();
        let payloads: Vec<_> = (0..200_u32).map(u32::to_le_bytes).collect();
        echo.send_all(payloads.iter().map(|payload| &payload[..]), long())
            .unwrap();
        let after = hub.counters();
        assert_eq!(after.sent.messages - before.sent.messages, 200);
        assert!(after.kicks.rung - before.kicks.rung <= 1);
        for payload in payloads {
            assert_eq!(echo.recv(long()).unwrap().payload, payload);
        }
    }
}

#[test]
fn a_sender_waits_for_a_buffer_no_longer_than_asked_and_goes_on_when_there_is_one() {
    for bench in Bench::kinds_of(Geometry {
        descriptors: 4,
        buffer_size: 64,
        ..Geometry::default()
    }) {
        let (go, stopped) = std::sync::mpsc::channel::<()>();
        let device = bench.device();
        let party = Party::start(move |flag| {
            let endpoint = device.serve("sink", long().unless(flag))?;
            stopped.recv().unwrap();
            for number in 0..5_u8 {
                assert_eq!(endpoint.recv(long())?.payload, [number]);
            }
            Ok(())
        });
        let hub = bench.driver();
        let sink = hub.connect("sink", long()).unwrap();
        for number in 0..4_u8 {
            sink.send(&[number], long()).unwrap();
        }
        assert_eq!(sink.try_send(None, &[4]), Ok(false));
        let expected = Error::TimeLimit {
            waiting: Waiting::SendBuffer,
            milliseconds: 30,
        };
        assert_eq!(sink.send(&[4], shortly()), Err(expected));
        go.send(()).unwrap();
        sink.send(&[4], long()).unwrap();
        party.end().unwrap();
    }
}

#[test]
fn instances_of_a_service_are_endpoints_of_their_own() {
    for bench in Bench::kinds() {
        let device = bench.device();
        let _party = Party::start(move |flag| {
            let left = device.serve("motor-left", long().unless(flag))?;
            let right = device.serve("motor-right", long().unless(flag))?;
            for endpoint in [right, left] {
                let message = endpoint.recv(long().unless(flag))?;
                assert!(message.payload.is_empty());
                endpoint.send(&endpoint.address().to_le_bytes(), long())?;
            }
            Ok(())
        });
        let hub = bench.driver();
        let right = hub.connect("motor-right", long()).unwrap();
        let left = hub.connect("motor-left", long()).unwrap();
        let names: Vec<_> = hub.services().iter().map(|s| s.name.to_string()).collect();
        assert_eq!(names, ["motor-left", "motor-right"]);
        let instances: Vec<_> = hub
            .services()
            .iter()
            .map(|s| s.name.instance_of("motor").map(str::to_owned))
            .collect();
        assert_eq!(
            instances,
            [Some("left".to_owned()), Some("right".to_owned())]
        );
        for endpoint in [&right, &left] {
            endpoint.send(&[], long()).unwrap();
            let address = endpoint.recv(long()).unwrap().payload;
            assert_eq!(
                Some(address),
                endpoint.peer().map(|a| a.to_le_bytes().to_vec())
            );
        }
    }
}

#[test]
fn an_endpoint_that_nobody_wrote_to_knows_nobody_to_send_to() {
    for bench in Bench::kinds() {
        let _echo = bench.echo();
        let hub = bench.driver();
        let endpoint = hub.open(Some(77), long()).unwrap();
        let expected = Error::NoPeer { address: 77 };
        assert_eq!(endpoint.send(b"?", long()), Err(expected));
        let echo = hub.connect("echo", long()).unwrap();
        endpoint
            .send_to(echo.peer().unwrap(), b"!", long())
            .unwrap();
        assert_eq!(endpoint.recv(long()).unwrap().payload, b"!");
        assert_eq!(endpoint.peer(), echo.peer());
        let taken = hub.open(Some(77), long()).map(|_| ());
        let expected = rpmsg::Error::AddressTaken { address: 77 };
        assert_eq!(taken, Err(Error::Rpmsg(expected)));
    }
}

#[test]
fn a_service_that_is_withdrawn_ends_the_endpoints_that_use_it() {
    for bench in Bench::kinds() {
        let device = bench.device();
        let party = Party::start(move |flag| {
            let endpoint = device.serve("brief", long().unless(flag))?;
            endpoint.recv(long().unless(flag))?;
            endpoint.send(b"last", long())?;
            drop(endpoint);
            let other = device.serve("other", long())?;
            other.recv(long().unless(flag)).map(|_| ())
        });
        let hub = bench.driver();
        let brief = hub.connect("brief", long()).unwrap();
        brief.send(b"go", long()).unwrap();
        let other = hub.connect("other", long()).unwrap();
        assert_eq!(brief.recv(long()).unwrap().payload, b"last");
        let expected = Error::ServiceWithdrawn { address: 1024 };
        assert_eq!(brief.recv(long()), Err(expected));
        assert_eq!(brief.send(b"?", long()), Err(expected));
        other.send(b"end", long()).unwrap();
        party.end().unwrap();
    }
}

#[test]
fn a_service_that_nobody_announces_is_waited_for_no_longer_than_asked_by_a_hub() {
    for bench in Bench::kinds() {
        let _echo = bench.echo();
        let hub = bench.driver();
        hub.up(long()).unwrap();
        let missing = hub.connect("missing", shortly()).map(|_| ());
        let expected = Error::TimeLimit {
            waiting: Waiting::Service,
            milliseconds: 30,
        };
        assert_eq!(missing, Err(expected));
        assert!(hub.try_connect("missing").unwrap().is_none());
    }
}

#[test]
fn a_watcher_sees_services_come_and_go_on_either_side() {
    for bench in Bench::kinds() {
        let driver = bench.driver();
        let device = bench.device();
        let watch = |hub: &Hub| {
            let (note, notes) = channel();
            hub.watch(Some(Box::new(move |_, seen| {
                if let Seen::Message {
                    outgoing,
                    destination: NAME_SERVICE_ADDRESS,
                    payload,
                    ..
                } = seen
                {
                    let announcement = Announcement::parse(payload).unwrap();
                    let name = announcement.name.as_str().to_owned();
                    note.send((outgoing, name, announcement.change)).unwrap();
                }
            })));
            notes
        };
        let (at_driver, at_device) = (watch(&driver), watch(&device));
        let _party = Party::start(move |flag| {
            let endpoint = device.serve("comes-and-goes", forever().unless(flag))?;
            endpoint.recv(forever().unless(flag))?;
            drop(endpoint);
            device
                .open(None, forever().unless(flag))?
                .recv(forever().unless(flag))
                .map(drop)
        });
        let endpoint = driver.connect("comes-and-goes", long()).unwrap();
        endpoint.send(b"go", long()).unwrap();
        let address = endpoint.peer().unwrap();
        let gone = endpoint.recv(long()).unwrap_err();
        assert_eq!(gone, Error::ServiceWithdrawn { address });
        for (notes, outgoing) in [(at_driver, false), (at_device, true)] {
            for change in [Change::Created, Change::Destroyed] {
                let noted = notes.try_recv().unwrap();
                assert_eq!(noted, (outgoing, "comes-and-goes".to_owned(), change));
            }
        }
    }
}

#[test]
fn an_endpoint_that_could_not_be_opened_anew_says_so_and_can_be_asked_again() {
    for bench in Bench::kinds() {
        let device = bench.device();
        let (go, stopped) = channel::<()>();
        let party = Party::start(move |flag| {
            let first = device.serve("brief", long().unless(flag))?;
            first.recv(long().unless(flag))?;
            drop(first);
            stopped.recv().unwrap();
            let second = device.serve("brief", long().unless(flag))?;
            second.recv(forever().unless(flag)).map(drop)
        });
        let hub = bench.driver();
        let mut brief = hub.connect("brief", long()).unwrap();
        brief.send(b"go", long()).unwrap();
        assert!(matches!(
            brief.recv(long()),
            Err(Error::ServiceWithdrawn { .. })
        ));
        let refused = brief.reopen(shortly());
        assert!(matches!(refused, Err(Error::TimeLimit { .. })));
        assert_eq!(brief.recv(long()), Err(Error::EndpointClosed));
        assert_eq!(brief.send(b"?", long()), Err(Error::EndpointClosed));
        // Its address is another's by now, who keeps it.
        let address = brief.address();
        let other = hub.open(Some(address), long()).unwrap();
        go.send(()).unwrap();
        brief.reopen(long()).unwrap();
        assert_eq!(brief.try_recv(), Ok(None));
        assert_eq!(hub.open(Some(address), long()).err(), {
            Some(Error::Rpmsg(rpmsg::Error::AddressTaken { address }))
        });
        drop(other);
        brief.send(b"end", long()).unwrap();
        party.end().unwrap();
    }
}

#[test]
fn an_endpoint_that_found_no_other_link_yet_still_says_how_its_own_ended() {
    let bench = Bench::new();
    let device = bench.echo();
    let hub = bench.driver();
    let mut echo = hub.connect("echo", long()).unwrap();
    drop(device);
    let gone = echo.recv(long()).unwrap_err();
    assert!(matches!(gone, Error::PeerRestarted { sign: Some(_), .. }));
    let refused = echo.reopen(shortly());
    assert!(matches!(refused, Err(Error::TimeLimit { .. })));
    assert_eq!(echo.recv(long()), Err(gone));
}
