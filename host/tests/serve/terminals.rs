//! Services as pseudo-terminals.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use corewarden::doorbell::EventCounters;
use corewarden::hub::Options;
use corewarden::peer::{Role, join};
use rpmsg::SharedMemory;
use rustix::fs::OFlags;

use crate::inside::Inside;
use crate::support::{Bench, LONG, long, open, served, text};

#[test]
fn a_terminal_carries_every_byte_both_ways_and_outlives_a_restart() {
    let bench = Bench::new();
    let core = bench.core();
    let server = bench.serve();
    let path = server.file("ttyCore");
    let mut tty = open(&path);
    // More than a message, and every byte that a line discipline would change.
    let sent: Vec<u8> = (0..2000_u32).map(|at| at as u8).collect();
    tty.write_all(&sent).unwrap();
    let mut received = vec![0; sent.len()];
    tty.read_exact(&mut received).unwrap();
    assert!(received == sent);
    core.crash();
    let generation = server.counters()["generation"].clone();
    let _core = bench.core();
    while server.counters()["generation"] == generation
        || !server.counters()["endpoints"]
            .to_string()
            .contains("console")
    {
        thread::sleep(Duration::from_millis(10));
    }
    tty.write_all(b"again").unwrap();
    let mut word = [0; 5];
    tty.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"again");
}

#[test]
fn picocom_shows_what_the_core_answers_to_what_is_typed() {
    let (_bench, _core, server) = served();
    server.client();
    // Twice: the terminal is as it was when the first one left.
    for typed in ["hello core\r", "\x03 and once more\r"] {
        let mut picocom = Command::new("picocom")
            .args(["--quiet", "--exit-after", "3000"])
            .arg(server.file("ttyCore"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut keys = picocom.stdin.take().unwrap();
        keys.write_all(typed.as_bytes()).unwrap();
        drop(keys);
        // It ends once nothing has come for that long.
        let output = picocom.wait_with_output().unwrap();
        assert_eq!(
            (text(&output.stdout).as_str(), output.status.code()),
            (typed, Some(0))
        );
    }
}

#[test]
fn a_driver_whose_buffers_hold_nothing_does_not_end_the_server() {
    let (inside, bell) = Inside::console();
    let driver = inside.driver(bell, Options::default());
    let mut console = driver.connect("console", long()).unwrap();
    let mut tty = open(&inside.file("console"));
    console.send(b"1", long()).unwrap();
    tty.read_exact(&mut [0]).unwrap();
    // Every descriptor of ring 0 says that its buffer has no room for a header.
    for descriptor in 0..256 {
        let length = 0x1000 + descriptor * 16 + 8;
        inside.window.store_u32(length, 8, Ordering::Release);
    }
    tty.write_all(b"kept ").unwrap();
    thread::sleep(Duration::from_millis(200));
    assert!(!inside.is_finished());
    // The next driver means well.
    drop((console, driver));
    let (bell, _) = EventCounters::pair().unwrap();
    let options = Options {
        handshake: Duration::from_millis(100),
        ..Options::default()
    };
    let driver = inside.driver(bell, options);
    console = driver.connect("console", long()).unwrap();
    console.send(b"2", long()).unwrap();
    tty.read_exact(&mut [0]).unwrap();
    tty.write_all(b"and good").unwrap();
    let mut typed = Vec::new();
    while typed.len() < 13 {
        typed.extend(console.recv(long()).unwrap().payload);
    }
    assert_eq!(typed, b"kept and good");
}

#[test]
fn what_is_typed_before_anybody_listens_keeps_no_processor_busy() {
    let (inside, bell) = Inside::console();
    let driver = inside.driver(bell, Options::default());
    let console = driver.connect("console", long()).unwrap();
    let mut tty = open(&inside.file("console"));
    tty.write_all(b"typed").unwrap();
    // On a busy machine one of these may be unlucky; one who never sleeps is busy in each.
    let quiet = (0..10).any(|_| {
        let (begun, before) = (Instant::now(), inside.processor_time());
        thread::sleep(Duration::from_millis(200));
        inside.processor_time() - before < begun.elapsed() / 5
    });
    assert!(quiet, "the server never sleeps");
    console.send(b"who is there?", long()).unwrap();
    assert_eq!(console.recv(long()).unwrap().payload, b"typed");
}

#[test]
fn what_a_core_has_no_buffer_for_goes_to_its_successor() {
    let bench = Bench::new();
    let server = bench.serve();
    let path = bench.folder.path().join("link");
    let device = || {
        let hub = join(&path, Role::Device, Options::default(), long()).unwrap();
        (hub.serve("console", long()).unwrap(), hub)
    };
    // It takes nothing.
    let first = device();
    let mut tty = File::options()
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(server.file("ttyCore"))
        .unwrap();
    let numbers: Vec<_> = (0..100_000_u32).flat_map(u32::to_be_bytes).collect();
    let sent = || {
        let counters = server.counters();
        let endpoints = counters["endpoints"].as_array().unwrap();
        let console = endpoints.iter().find(|one| one["service"] == "console");
        let sent = &console?["sent"];
        Some((sent["messages"].as_u64()?, sent["bytes"].as_u64()?))
    };
    let (mut typed, mut full) = (0, 0);
    // Twice in a row, with everything moved in between.
    while full < 2 {
        match tty.write(&numbers[typed..]) {
            Ok(length) => (typed, full) = (typed + length, 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                full = if sent().is_some_and(|(messages, _)| messages == 256) {
                    full + 1
                } else {
                    0
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    let (_, gone) = sent().unwrap();
    let gone = usize::try_from(gone).unwrap();
    assert!(gone + 4096 < typed, "{gone} of {typed}");
    drop(first);
    let (console, _hub) = device();
    let mut taken = Vec::new();
    while taken.len() < typed - gone {
        taken.extend(console.recv(long()).unwrap().payload);
    }
    assert!(taken == numbers[gone..typed]);
}

#[test]
fn what_a_core_said_before_it_restarted_waits_for_whoever_reads_the_terminal() {
    let bench = Bench::new();
    let server = bench.serve();
    let path = bench.folder.path().join("link");
    let hub = join(&path, Role::Device, Options::default(), long()).unwrap();
    let console = hub.serve("console", long()).unwrap();
    let mut tty = open(&server.file("ttyCore"));
    tty.write_all(b"hello").unwrap();
    let to = console.recv(long()).unwrap().source;
    // More than a terminal holds, and less than the queue.
    for number in 0..60_u8 {
        console.send_to(to, &[number; 400], long()).unwrap();
    }
    let start = Instant::now();
    while server.counters()["received"]["messages"] != 60 {
        assert!(start.elapsed() < LONG, "it is not taken in");
    }
    drop((console, hub));
    // By this the server finds that the link is gone.
    tty.write_all(b"more").unwrap();
    thread::sleep(Duration::from_millis(300));
    let (said, heard) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut all = vec![0; 60 * 400];
        said.send(tty.read_exact(&mut all).map(|()| all))
    });
    let all = heard.recv_timeout(Duration::from_secs(30)).unwrap();
    let expected: Vec<_> = (0..60_u8).flat_map(|number| [number; 400]).collect();
    assert!(all.unwrap() == expected);
}
