//! How hubs wait: by spinning, asleep, for others, and for tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use corewarden::hub::Options;
use corewarden::place::Geometry;

use crate::support::{Bench, Party, long};

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
    let bench = Bench::new();
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

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_task_is_woken_when_its_message_has_come() {
    let bench = Bench::new();
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

#[test]
fn a_task_that_waits_for_a_buffer_is_woken_when_one_is_free() {
    let bench = Bench::of(Geometry {
        descriptors: 2,
        buffer_size: 64,
        ..Geometry::default()
    });
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
