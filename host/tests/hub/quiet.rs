//! What may neither hold up others, nor keep a processor busy, nor leak.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use corewarden::hub::{Hub, Options, Seen};
use corewarden::place::Geometry;
use corewarden::{Error, Limit};
use rpmsg::SharedMemory;

use crate::support::{Bench, LONG, Party, forever, long};

#[test]
fn a_sender_whose_own_queue_is_full_keeps_nobody_out_of_the_hub() {
    let bench = Bench::of(SMALL);
    let narrow = Options {
        queue: 2,
        spin: Duration::ZERO,
        ..bench.options()
    };
    let device = bench.device_with(narrow);
    let _flood = Party::start(move |flag| {
        let endpoint = device.serve("flood", long().unless(flag))?;
        endpoint.recv(long().unless(flag))?;
        loop {
            endpoint.send(b"more", forever().unless(flag))?;
        }
    });
    let hub = bench.driver_with(narrow);
    let flood = hub.connect("flood", long()).unwrap();
    let _idle = hub.open(None, long()).unwrap();
    flood.send(b"go", long()).unwrap();
    thread::scope(|scope| {
        // The device takes nothing any more, so that the last of these waits for a buffer in vain.
        let blocked = scope.spawn(|| {
            let limit = Limit::after(Duration::from_secs(9));
            (0..9).try_for_each(|_| flood.send(b"?", limit))
        });
        while !blocked.is_finished() {
            let before = Instant::now();
            let _ = hub.counters();
            assert!(before.elapsed() < Duration::from_secs(5));
            thread::sleep(Duration::from_millis(20));
        }
        assert!(matches!(
            blocked.join().unwrap(),
            Err(Error::TimeLimit { .. })
        ));
    });
}

#[test]
fn a_buffer_that_nobody_wants_any_more_wakes_nobody_again_and_again() {
    for bench in Bench::kinds_of(SMALL) {
        let (go, stopped) = mpsc::channel::<()>();
        let device = bench.device();
        let _sink = Party::start(move |flag| {
            let endpoint = device.serve("sink", long().unless(flag))?;
            stopped.recv().unwrap();
            loop {
                endpoint.recv(forever().unless(flag))?;
            }
        });
        let hub = bench.driver();
        let sink = hub.connect("sink", long()).unwrap();
        while sink.try_send(None, b"x").unwrap() {}
        // The message that found no buffer is given up, and then there are buffers.
        go.send(()).unwrap();
        let spent = processor_time(|| {
            let waited = sink.recv(Limit::after(Duration::from_secs(1)));
            assert!(matches!(waited, Err(Error::TimeLimit { .. })));
        });
        assert!(spent < Duration::from_millis(100), "{spent:?} of a second");
        // The same for an event loop of another.
        while sink.try_send(None, b"x").unwrap() {}
        thread::sleep(Duration::from_millis(50));
        let mut awake = 0;
        for _ in 0..100 {
            if !hub.arm().unwrap() {
                awake += 1;
            }
            hub.heard().unwrap();
        }
        assert!(awake <= 2, "something to do {awake} times in 100");
    }
}

#[test]
fn endpoints_of_withdrawn_services_take_no_room_once_they_are_closed() {
    for bench in Bench::kinds() {
        let (device, hub) = (bench.device(), bench.driver());
        until(&[&device, &hub], || device.generation());
        for round in 0..100 {
            let service = device.try_serve("brief").unwrap().unwrap();
            let brief = until(&[&device, &hub], || hub.try_connect("brief").unwrap());
            drop(service);
            until(&[&device, &hub], || match brief.try_recv() {
                Ok(None) => None,
                Err(Error::ServiceWithdrawn { .. }) => Some(()),
                other => panic!("round {round}: {other:?}"),
            });
        }
    }
}

#[test]
fn a_withdrawal_that_finds_no_buffer_is_told_when_there_is_one() {
    for bench in Bench::kinds_of(SMALL) {
        let (device, hub) = (bench.device(), bench.driver());
        until(&[&device, &hub], || device.generation());
        let service = device.try_serve("brief").unwrap().unwrap();
        let brief = until(&[&device, &hub], || hub.try_connect("brief").unwrap());
        while service.try_send(Some(brief.address()), b"x").unwrap() {}
        drop(service);
        let mut taken = 0;
        let ended = until(&[&device, &hub], || match brief.try_recv() {
            Ok(Some(_)) => {
                taken += 1;
                None
            }
            Ok(None) => None,
            Err(error) => Some(error),
        });
        assert!(matches!(ended, Error::ServiceWithdrawn { .. }), "{ended:?}");
        assert!(taken >= usize::from(SMALL.descriptors) - 1);
        // The next one of the name is another.
        let _service = device.try_serve("brief").unwrap().unwrap();
        until(&[&device, &hub], || hub.try_connect("brief").unwrap());
        assert_eq!(hub.counters().lies, 0);
    }
}

#[test]
fn a_service_that_fits_no_buffer_is_refused_by_name() {
    let bench = Bench::of(Geometry {
        descriptors: 4,
        buffer_size: 32,
        ..Geometry::default()
    });
    let (device, hub) = (bench.device(), bench.driver());
    until(&[&device, &hub], || device.generation());
    let expected = rpmsg::Error::PayloadTooLong { end: 40, room: 16 };
    let refused = device.try_serve("any").map(|_| ());
    assert_eq!(refused, Err(Error::Rpmsg(expected)));
}

#[test]
fn buffers_that_fit_nothing_are_the_drivers_lies_and_cost_no_sender_a_message() {
    let its_own = |bench: &Bench| bench.geometry.symmetric;
    for bench in Bench::kinds().into_iter().filter(|bench| !its_own(bench)) {
        let (device, hub) = (bench.device(), bench.driver());
        until(&[&device, &hub], || device.generation());
        for id in [0, 1, 3, 5, 8] {
            make_too_small(&bench, id);
        }
        let service = device.try_serve("brief").unwrap().unwrap();
        let brief = until(&[&device, &hub], || hub.try_connect("brief").unwrap());
        for number in 0..3 {
            let sent = service.try_send(Some(brief.address()), &[number]);
            assert_eq!(sent, Ok(true));
        }
        drop(service);
        for number in 0..3 {
            let message = until(&[&hub], || brief.try_recv().unwrap());
            assert_eq!(message.payload, [number]);
        }
        let ended = until(&[&hub], || brief.try_recv().err());
        assert!(matches!(ended, Error::ServiceWithdrawn { .. }), "{ended:?}");
        let counters = device.counters();
        assert_eq!((counters.lies, counters.restarts), (5, 0));
        let lie = "ring 0: buffer 8 has 8 bytes, a header needs 16";
        assert_eq!(counters.last_lie.as_deref(), Some(lie));
    }
}

#[test]
fn a_driver_that_offers_nothing_else_is_waited_for_no_longer_than_asked() {
    let bench = Bench::of(SMALL);
    let (device, hub) = (bench.device(), bench.driver());
    until(&[&device, &hub], || device.generation());
    for id in 0..SMALL.descriptors.into() {
        make_too_small(&bench, id);
    }
    let limit = Limit::after(Duration::from_millis(50));
    let served = device.serve("brief", limit).map(|_| ());
    assert!(matches!(served, Err(Error::TimeLimit { .. })), "{served:?}");
    let plain = device.open(None, long()).unwrap();
    let sent = plain.send_to(1, b"x", limit.again(Duration::from_millis(50)));
    assert!(matches!(sent, Err(Error::TimeLimit { .. })), "{sent:?}");
    assert_eq!(device.counters().lies, u64::from(SMALL.descriptors));
}

#[test]
fn messages_of_a_device_that_ended_are_kept_beyond_a_full_queue() {
    for bench in Bench::kinds_of(SMALL) {
        let device = bench.device();
        let options = Options {
            queue: 1,
            ..bench.options()
        };
        let hub = bench.driver_with(options);
        until(&[&device, &hub], || device.generation());
        let service = device.try_serve("brief").unwrap().unwrap();
        let brief = until(&[&device, &hub], || hub.try_connect("brief").unwrap());
        let mut sent = 0_u8;
        while service.try_send(Some(brief.address()), &[sent]).unwrap() {
            sent += 1;
            hub.pump().unwrap();
        }
        drop((service, device));
        hub.pump().unwrap();
        for number in 0..sent {
            let message = brief.try_recv().unwrap().unwrap();
            assert_eq!(message.payload, [number]);
        }
        assert!(matches!(brief.try_recv(), Err(Error::PeerRestarted { .. })));
    }
}

#[test]
fn a_watcher_that_panics_costs_no_message_its_bytes() {
    for bench in Bench::kinds() {
        let _echo = bench.echo();
        let hub = bench.driver();
        let echo = hub.connect("echo", long()).unwrap();
        hub.watch(Some(Box::new(|_, seen| {
            if let Seen::Message {
                outgoing: false, ..
            } = seen
            {
                panic!("a defect of the watcher");
            }
        })));
        echo.send(b"first", long()).unwrap();
        let watched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| echo.recv(long())));
        assert!(watched.is_err());
        hub.watch(None);
        echo.send(b"second", long()).unwrap();
        while echo.recv(long()).unwrap().payload != b"second" {}
    }
}

#[test]
fn every_task_that_waits_at_one_endpoint_is_woken() {
    for bench in Bench::kinds() {
        let _echo = bench.echo();
        let hub = bench.driver();
        let echo = hub.connect("echo", long()).unwrap();
        let counts = [(); 2].map(|()| Arc::new(Count(AtomicUsize::new(0))));
        for count in &counts {
            let waker = Waker::from(Arc::clone(count));
            let polled = echo.poll_recv(&mut Context::from_waker(&waker));
            assert_eq!(polled, Poll::Pending);
        }
        echo.send(b"for one of them", long()).unwrap();
        while hub.counters().received.messages == 0 {
            hub.pump().unwrap();
        }
        assert_eq!(counts.map(|count| count.0.load(Ordering::SeqCst)), [1, 1]);
    }
}

#[test]
fn whoever_is_woken_and_whoever_says_what_is_to_be_sent_may_call_the_hub() {
    let (done, ended) = mpsc::channel();
    let caller = thread::spawn(move || {
        let bench = Bench::new();
        let _echo = bench.echo();
        let hub = bench.driver();
        let echo = hub.connect("echo", long()).unwrap();
        let waker = Waker::from(Arc::new(Caller(hub.clone())));
        let polled = echo.poll_recv(&mut Context::from_waker(&waker));
        assert_eq!(polled, Poll::Pending);
        let payloads = [&b"one"[..], b"two"].into_iter().inspect(|_| {
            assert!(hub.generation().is_some());
        });
        echo.send_all(payloads, long()).unwrap();
        while hub.counters().received.messages < 2 {
            hub.pump().unwrap();
        }
        done.send(()).unwrap();
    });
    ended.recv_timeout(LONG).unwrap();
    caller.join().unwrap();
}

#[test]
fn a_handshake_without_end_is_waited_for_without_end() {
    for bench in Bench::kinds() {
        let options = Options {
            handshake: Duration::MAX,
            ..bench.options()
        };
        let hub = bench.driver_with(options);
        for _ in 0..10 {
            hub.pump().unwrap();
        }
        assert_eq!(hub.generation(), None);
        let _echo = bench.echo();
        hub.connect("echo", long()).unwrap();
    }
}

#[test]
fn a_link_that_began_in_place_of_a_broken_one_is_not_ended_for_it() {
    let bench = Bench::new();
    let device = bench.device();
    let first = bench.driver();
    until(&[&device, &first], || device.generation());
    let service = device.try_serve("any").unwrap().unwrap();
    let any = until(&[&device, &first], || first.try_connect("any").unwrap());
    // The index of the next driver's ring is behind that of this one.
    assert_eq!(any.try_send(None, b"x"), Ok(true));
    until(&[&device], || service.try_recv().unwrap());
    let second = bench.driver_with(Options {
        handshake: Duration::from_millis(1),
        ..bench.options()
    });
    while second.generation().is_none() {
        second.pump().unwrap();
    }
    // Looks at the ring first, whose index went backwards, and finds by that that there is another link.
    device.arm().unwrap();
    device.arm().unwrap();
    assert_eq!(device.counters().links, 2);
    assert_eq!(device.counters().restarts, 1);
}

#[test]
fn how_often_buffers_ran_out_is_counted_once_for_each_time() {
    for bench in Bench::kinds_of(SMALL) {
        let (device, hub) = (bench.device(), bench.driver());
        until(&[&device, &hub], || device.generation());
        let _service = device.try_serve("sink").unwrap().unwrap();
        let sink = until(&[&device, &hub], || hub.try_connect("sink").unwrap());
        while sink.try_send(None, b"x").unwrap() {}
        for _ in 0..5 {
            assert_eq!(sink.try_send(None, b"x"), Ok(false));
        }
        assert_eq!(hub.counters().no_buffer, 1);
    }
}

/// Gives a buffer of ring 0 a length that has no room for a header.
fn make_too_small(bench: &Bench, id: u32) {
    let length = RING_0 + 16 * id + 8;
    bench.window.store_u32(length, 8, Ordering::Release);
}

/// How long a processor worked for this thread.
fn processor_time(work: impl FnOnce()) -> Duration {
    let spent = || {
        let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        let nanoseconds = times.split_whitespace().next().unwrap();
        Duration::from_nanos(nanoseconds.parse().unwrap())
    };
    let before = spent();
    work();
    spent() - before
}

/// Has hubs do their work in turn until there is something.
fn until<T>(hubs: &[&Hub], mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < LONG {
        for hub in hubs {
            hub.pump().unwrap();
        }
        if let Some(found) = found() {
            return found;
        }
    }
    panic!("it never comes");
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// One who looks at the hub at once when woken.
struct Caller(Hub);

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        let _ = self.0.counters();
    }
}

const SMALL: Geometry = Geometry {
    descriptors: 4,
    buffer_size: 64,
    slots: 0,
    slot_size: 0,
    symmetric: false,
};
/// Where the descriptors of ring 0 stand.
const RING_0: u32 = 0x1000;
