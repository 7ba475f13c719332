//! Endpoints for tasks, against a device that is another hub of the same program.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use corewarden::Error;
use corewarden::doorbell::EventCounters;
use corewarden::hub::{Hub, Message, Options};
use corewarden::place::{Geometry, Place};
use corewarden::shared_memory::Window;
use corewarden_async::{AsyncEndpoint, AsyncHub};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

#[tokio::test]
async fn a_stream_and_a_sink_carry_an_echo() {
    for symmetric in [false, true] {
        let (driver, device) = pair(Geometry {
            symmetric,
            ..Geometry::default()
        });
        let _echo = echo(device);
        let mut endpoint = soon(driver.connect("echo")).await.unwrap();
        for number in 0..200_u32 {
            endpoint.send(number.to_le_bytes().to_vec()).await.unwrap();
            let answer = soon(endpoint.next()).await.unwrap().unwrap();
            assert_eq!(answer.payload, number.to_le_bytes());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_get_their_own_answers() {
    let (driver, device) = pair(Geometry::default());
    let _echo = echo(device);
    let tasks: Vec<_> = (0..8_u32)
        .map(|task| {
            let driver = driver.clone();
            tokio::spawn(async move {
                let endpoint = driver.connect("echo").await.unwrap();
                for number in 0..50_u32 {
                    let payload = [task.to_le_bytes(), number.to_le_bytes()].concat();
                    endpoint.send_now(&payload).await.unwrap();
                    assert_eq!(endpoint.recv().await.unwrap().payload, payload);
                }
            })
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap();
    }
}

#[tokio::test]
async fn more_messages_than_buffers_wait_in_the_sink_and_all_arrive() {
    for symmetric in [false, true] {
        let (driver, device) = pair(Geometry {
            descriptors: 4,
            buffer_size: 64,
            symmetric,
            ..Geometry::default()
        });
        let sink = tokio::spawn(async move {
            let endpoint = device.serve("sink").await?;
            for number in 0..600_u32 {
                let message = endpoint.recv().await?;
                assert_eq!(message.payload, number.to_le_bytes());
            }
            endpoint.send_now(b"all").await?;
            // The answer is under way until it was received.
            endpoint.recv().await.map(|_| ())
        });
        let mut endpoint = soon(driver.connect("sink")).await.unwrap();
        let mut numbers =
            futures_util::stream::iter((0..600_u32).map(|n| Ok(n.to_le_bytes().to_vec())));
        soon(endpoint.send_all(&mut numbers)).await.unwrap();
        assert_eq!(soon(endpoint.recv()).await.unwrap().payload, b"all");
        endpoint.send_now(b"end").await.unwrap();
        soon(sink).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_restart_is_told_to_waiting_tasks_and_reopening_works() {
    for symmetric in [false, true] {
        let bench = Bench::new(Geometry {
            symmetric,
            ..Geometry::default()
        });
        let first = echo(bench.device());
        let driver = bench.driver();
        let mut endpoint = soon(driver.connect("echo")).await.unwrap();
        let restart = async {
            first.abort();
            assert!(first.await.unwrap_err().is_cancelled());
            let _second = echo(bench.device());
        };
        let (told, ()) = tokio::join!(soon(endpoint.recv()), restart);
        assert!(
            matches!(
                told,
                Err(Error::PeerRestarted { .. } | Error::ServiceWithdrawn { .. })
            ),
            "{told:?}"
        );
        soon(endpoint.reopen()).await.unwrap();
        endpoint.send_now(b"again").await.unwrap();
        assert_eq!(soon(endpoint.recv()).await.unwrap().payload, b"again");
    }
}

#[tokio::test]
async fn bytes_of_any_length_pass_in_pieces_and_end_with_the_service() {
    let (driver, device) = pair(Geometry {
        descriptors: 16,
        buffer_size: 128,
        ..Geometry::default()
    });
    let server = tokio::spawn(async move {
        let endpoint = device.serve("console").await?;
        let mut console = endpoint.into_bytes();
        let mut received = vec![0; 100_000];
        console.read_exact(&mut received).await.unwrap();
        received.reverse();
        console.write_all(&received).await.unwrap();
        let mut word = [0; 3];
        console.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"bye");
        drop(console);
        Ok::<_, Error>(device)
    });
    let endpoint = soon(driver.connect("console")).await.unwrap();
    let mut console = endpoint.into_bytes();
    let sent: Vec<u8> = (0..100_000_u32).map(|at| ((at * 7) >> 3) as u8).collect();
    soon(console.write_all(&sent)).await.unwrap();
    let mut received = vec![0; sent.len()];
    soon(console.read_exact(&mut received)).await.unwrap();
    received.reverse();
    assert!(received == sent);
    soon(console.write_all(b"bye")).await.unwrap();
    let mut rest = Vec::new();
    assert_eq!(soon(console.read_to_end(&mut rest)).await.unwrap(), 0);
    let gone = soon(console.write_all(b"?")).await.unwrap_err();
    assert_eq!(gone.kind(), std::io::ErrorKind::BrokenPipe);
    soon(server).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_message_that_fits_no_buffer_is_refused_and_the_sink_goes_on() {
    let (driver, device) = pair(Geometry::default());
    let _echo = echo(device);
    let mut endpoint = soon(driver.connect("echo")).await.unwrap();
    let expected = rpmsg::Error::PayloadTooLong {
        end: 497,
        room: 496,
    };
    let refused = endpoint.send(vec![0; 497]).await;
    assert_eq!(refused, Err(Error::Rpmsg(expected)));
    endpoint.send(b"fits".to_vec()).await.unwrap();
    assert_eq!(soon(endpoint.recv()).await.unwrap().payload, b"fits");
}

#[tokio::test]
async fn nothing_is_kept_of_whoever_gives_up_waiting_for_a_silent_peer() {
    let (driver, device) = pair(Geometry::default());
    let silent = tokio::spawn(async move { device.serve("silent").await });
    let mut endpoint = soon(driver.connect("silent")).await.unwrap();
    let _silent = soon(silent).await.unwrap().unwrap();
    gives_up(endpoint.recv());
    gives_up(driver.connect("nobody"));
    // A stream and its endpoint are one, so the last one that waited may stay.
    let asked = [(); 3].map(|()| asks(&mut endpoint.next()));
    assert!(asked.iter().map(Arc::strong_count).sum::<usize>() <= 4);
    while endpoint.endpoint().try_send(None, b"more").unwrap() {}
    gives_up(endpoint.send_now(b"no room"));
    gives_up(endpoint.send_to(1, b"no room"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_that_are_given_up_lose_and_double_nothing() {
    const COUNT: u32 = 2000;
    let (driver, device) = pair(Geometry {
        descriptors: 4,
        buffer_size: 64,
        ..Geometry::default()
    });
    let sink = tokio::spawn(async move {
        let mut endpoint = device.serve("sink").await?;
        for number in 0..COUNT {
            let payload = loop {
                // By turns as a stream, whose waits last from one poll to the next, and by itself.
                let message = match number % 2 {
                    0 => briefly(number, endpoint.recv()).await,
                    _ => briefly(number, endpoint.next()).await.and_then(|next| next),
                };
                if let Some(message) = message {
                    break message?.payload;
                }
            };
            assert_eq!(payload, number.to_le_bytes());
        }
        endpoint.send_now(b"all").await?;
        endpoint.recv().await.map(|_| ())
    });
    let endpoint = soon(driver.connect("sink")).await.unwrap();
    let numbers = async {
        for number in 0..COUNT {
            // What was given up was not sent.
            let payload = number.to_le_bytes();
            let sent = loop {
                let sending = endpoint.send_now(&payload);
                if let Some(sent) = briefly(number, sending).await {
                    break sent;
                }
            };
            assert_eq!(sent, Ok(()));
        }
    };
    soon(numbers).await;
    assert_eq!(soon(endpoint.recv()).await.unwrap().payload, b"all");
    endpoint.send_now(b"end").await.unwrap();
    soon(sink).await.unwrap().unwrap();
}

/// What comes within a few turns of the other tasks, if anything does.
async fn briefly<T>(turns: u32, work: impl Future<Output = T>) -> Option<T> {
    let pause = async {
        for _ in 0..=turns % 5 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        found = work => Some(found),
        () = pause => None,
    }
}

#[tokio::test]
async fn a_stream_that_is_polled_again_looks_again_whoever_else_runs() {
    let (driver, device) = pair(Geometry::default());
    let device = tokio::spawn(async move { device.serve("plain").await });
    let mut endpoint = soon(driver.connect("plain")).await.unwrap();
    let device = soon(device).await.unwrap().unwrap();
    assert!(endpoint.next().now_or_never().is_none());
    // The task that looks after the link has had no turn since.
    let to = Some(endpoint.endpoint().address());
    assert_eq!(device.endpoint().try_send(to, b"here"), Ok(true));
    let message = endpoint.next().now_or_never().flatten();
    assert_eq!(message.unwrap().unwrap().payload, b"here");
}

/// Waits once, and no more.
#[track_caller]
fn gives_up<T>(wait: impl Future<Output = T>) {
    let waker = asks(&mut std::pin::pin!(wait));
    assert_eq!(Arc::strong_count(&waker), 1);
}

/// Polls a future for a task of its own, of which this is what is kept.
#[track_caller]
fn asks<T>(wait: &mut (impl Future<Output = T> + Unpin)) -> Arc<Task> {
    let task = Arc::new(Task);
    let waker = Waker::from(Arc::clone(&task));
    let polled = Pin::new(wait).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    task
}

#[derive(Debug)]
struct Task;

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

/// Sends everything back, for as long as the task lives.
fn echo(device: AsyncHub) -> tokio::task::JoinHandle<Result<(), Error>> {
    tokio::spawn(async move {
        let endpoint = device.serve("echo").await?;
        loop {
            let message: Message = endpoint.recv().await?;
            endpoint.send_to(message.source, &message.payload).await?;
        }
    })
}

struct Bench {
    geometry: Geometry,
    file: std::os::fd::OwnedFd,
    bells: (EventCounters, EventCounters),
}

impl Bench {
    fn new(geometry: Geometry) -> Self {
        let (_, file) = Window::memfd(geometry.window_size()).unwrap();
        let bells = EventCounters::pair().unwrap();
        Bench {
            geometry,
            file,
            bells,
        }
    }

    fn driver(&self) -> AsyncHub {
        let geometry = self.geometry;
        let options = Options {
            buffer_size: geometry.buffer_size,
            handshake: LONG,
            ..Options::default()
        };
        let find = move |window: &Window| Place::between_processes(&geometry, window);
        let hub = Hub::driver(find, self.window(), again(&self.bells.0), options);
        AsyncHub::new(hub.unwrap()).unwrap()
    }

    fn device(&self) -> AsyncHub {
        let window = self.window();
        let place = Place::between_processes(&self.geometry, &window).unwrap();
        let hub = Hub::device(place, window, again(&self.bells.1), Options::default());
        AsyncHub::new(hub.unwrap()).unwrap()
    }

    fn window(&self) -> Window {
        Window::sealed(&self.file, self.geometry.window_size()).unwrap()
    }
}

fn pair(geometry: Geometry) -> (AsyncHub, AsyncHub) {
    let bench = Bench::new(geometry);
    (bench.driver(), bench.device())
}

fn again(bell: &EventCounters) -> EventCounters {
    let (ours, theirs) = bell.parts();
    let copy = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().unwrap();
    EventCounters::from_parts(copy(ours), copy(theirs))
}

/// Nothing here takes as long as this, whatever else the machine does.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(LONG, work).await.expect("it hangs")
}

const LONG: Duration = Duration::from_secs(60);

/// Endpoints go from task to task.
const _: fn() = || {
    fn sent<T: Send + Sync + 'static>() {}
    sent::<AsyncHub>();
    sent::<AsyncEndpoint>();
};
