//! How hubs wait: by spinning, asleep, for others, and for tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use corewarden::Error;
use corewarden::hub::Options;
use corewarden::place::Geometry;

use crate::support::{Bench, Party, forever, long};

#[test]
fn a_hub_that_never_spins_and_one_that_always_spins_lose_nothing() {
    for spin in [Duration::ZERO, Duration::from_secs(60)] {
        let bench = Bench::new();
        let _echo = bench.echo();
        let options = Options {
            spin,
            ..bench.options()
        };
        let hub = bench.driver_with(options);
        let echo = hub.connect("echo", long()).unwrap();
        for number in 0..300_u32 {
            echo.send(&number.to_le_bytes(), long()).unwrap();
            assert_eq!(echo.recv(long()).unwrap().payload, number.to_le_bytes());
        }
        if !spin.is_zero() {
            assert_eq!(hub.counters().kicks.heard, 0, "one who looks needs no bell");
        }
    }
}

#[test]
fn what_one_thread_takes_in_wakes_the_one_asleep_at_the_doorbell() {
    for bench in Bench::kinds() {
        let _echo = bench.echo();
        let hub = bench.driver();
        let sleeper = hub.connect("echo", long()).unwrap();
        let other = hub.connect("echo", long()).unwrap();
        thread::scope(|scope| {
            let asleep = scope.spawn(|| {
                (0..200).for_each(|number: u32| {
                    let message = sleeper.recv(long()).unwrap();
                    assert_eq!(message.payload, number.to_le_bytes());
                });
            });
            for number in 0..200_u32 {
                sleeper.send(&number.to_le_bytes(), long()).unwrap();
                other.send(b"mine", long()).unwrap();
                while other.try_recv().unwrap().is_none() {}
            }
            asleep.join().unwrap();
        });
    }
}

#[test]
fn nobody_sleeps_through_a_message_or_a_buffer_on_either_side() {
    for bench in Bench::kinds_of(Geometry {
        descriptors: 4,
        buffer_size: 64,
        ..Geometry::default()
    }) {
        let options = Options {
            queue: 1000,
            spin: Duration::ZERO,
            ..bench.options()
        };
        let device = bench.device_with(options);
        // Nobody calls this off, so that nothing but the doorbell ends its sleep.
        let echo = thread::spawn(move || {
            let echo = device.serve("echo", long())?;
            loop {
                let message = echo.recv(long())?;
                echo.send_to(message.source, &message.payload, long())?;
            }
        });
        let hub = bench.driver_with(options);
        let endpoints = [(); 3].map(|()| hub.connect("echo", long()).unwrap());
        thread::scope(|scope| {
            for echo in &endpoints {
                // More than there are buffers, by a thread of its own.
                scope.spawn(|| {
                    for number in 0..300_u32 {
                        echo.send(&number.to_le_bytes(), long()).unwrap();
                        if number % 50 == 0 {
                            thread::sleep(Duration::from_millis(2));
                        }
                    }
                });
                scope.spawn(|| {
                    for number in 0..300_u32 {
                        assert_eq!(echo.recv(long()).unwrap().payload, number.to_le_bytes());
                    }
                });
            }
        });
        drop((endpoints, hub));
        let ended: Result<(), Error> = echo.join().unwrap();
        assert!(
            matches!(ended, Err(Error::PeerRestarted { .. })),
            "{ended:?}"
        );
    }
}

#[test]
fn whoever_looks_at_the_rings_all_the_time_lets_others_in() {
    for bench in Bench::kinds() {
        let _echo = bench.echo();
        let options = Options {
            spin: Duration::from_secs(60),
            ..bench.options()
        };
        let hub = bench.driver_with(options);
        let [looks, waits] = [(); 2].map(|()| hub.connect("echo", long()).unwrap());
        let flag = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| looks.recv(long().unless(&flag)));
            let begun = Instant::now();
            for number in 0..200_u32 {
                waits.send(&number.to_le_bytes(), long()).unwrap();
                assert_eq!(waits.recv(long()).unwrap().payload, number.to_le_bytes());
            }
            let spent = begun.elapsed();
            flag.store(true, Ordering::Relaxed);
            assert!(spent < Duration::from_secs(20), "{spent:?}");
        });
    }
}

#[test]
fn closing_the_only_full_endpoint_is_noticed_by_whoever_sleeps() {
    for bench in Bench::kinds() {
        let device = bench.device();
        let _party = Party::start(move |flag| {
            let service = device.serve("flood", long().unless(flag))?;
            service.recv(long().unless(flag))?;
            service.send_all([&b"x"[..]; 10], long())?;
            let _later = device.serve("later", long().unless(flag))?;
            service.recv(forever().unless(flag)).map(|_| ())
        });
        let options = Options {
            queue: 2,
            spin: Duration::ZERO,
            ..bench.options()
        };
        let hub = bench.driver_with(options);
        let flood = hub.connect("flood", long()).unwrap();
        flood.send(b"go", long()).unwrap();
        while hub.counters().received.messages < 2 {
            hub.pump().unwrap();
        }
        thread::scope(|scope| {
            let later = scope.spawn(|| hub.connect("later", long()).map(|_| ()));
            thread::sleep(Duration::from_millis(100));
            // The announcement waits in the ring behind what has no room.
            drop(flood);
            assert_eq!(later.join().unwrap(), Ok(()));
        });
    }
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_task_is_woken_when_its_message_has_come() {
    for bench in Bench::kinds() {
        let _echo = bench.echo();
        let hub = bench.driver();
        let echo = hub.connect("echo", long()).unwrap();
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        assert_eq!(echo.poll_recv(&mut context), Poll::Pending);
        echo.send(b"ping", long()).unwrap();
        while count.0.load(Ordering::SeqCst) == 0 {
            hub.pump().unwrap();
        }
        let Poll::Ready(Ok(message)) = echo.poll_recv(&mut context) else {
            panic!("woken for nothing");
        };
        assert_eq!(message.payload, b"ping");
    }
}

#[test]
fn a_task_that_waits_for_a_buffer_is_woken_when_one_is_free() {
    for bench in Bench::kinds_of(Geometry {
        descriptors: 2,
        buffer_size: 64,
        ..Geometry::default()
    }) {
        let (go, stopped) = std::sync::mpsc::channel::<()>();
        let device = bench.device();
        let _party = Party::start(move |flag| {
            let endpoint = device.serve("sink", long().unless(flag))?;
            stopped.recv().unwrap();
            (0..3).try_for_each(|_| endpoint.recv(long()).map(|_| ()))
        });
        let hub = bench.driver();
        let sink = hub.connect("sink", long()).unwrap();
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        for _ in 0..2 {
            assert_eq!(
                sink.poll_send(None, b"x", &mut context),
                Poll::Ready(Ok(()))
            );
        }
        assert_eq!(sink.poll_send(None, b"x", &mut context), Poll::Pending);
        go.send(()).unwrap();
        let mut woken = 0;
        loop {
            // Each wake is worth another try, and nothing else is.
            while count.0.load(Ordering::SeqCst) == woken {
                if hub.arm().unwrap() {
                    thread::yield_now();
                }
                hub.heard().unwrap();
            }
            woken = count.0.load(Ordering::SeqCst);
            match sink.poll_send(None, b"x", &mut context) {
                Poll::Ready(sent) => break assert_eq!(sent, Ok(())),
                Poll::Pending => {}
            }
        }
    }
}
