//! Clients and peers that behave badly, by design or by accident: none ends the server, and none is in another's way.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corewarden::client::{Client, Reason};
use corewarden::doorbell::EventCounters;
use corewarden::hub::{Endpoint, Hub, Options};
use corewarden::peer::{Role, join};
use corewarden::place::{Geometry, Place};
use corewarden::serve::{Config, Server};
use corewarden::shared_memory::Window;
use corewarden::{Error, Limit};
use rpmsg::SharedMemory;
use tempfile::TempDir;

use crate::support::{self, Bench, LONG, long, text};

#[test]
fn a_thousand_connections_to_one_service_leave_the_others_their_share() {
    let bench = Bench::new();
    let _core = bench.core();
    let server = bench.serve();
    let mut kept = vec![server.client()];
    let refused = Err(Error::ServerClosed {
        reason: Reason::TooManyClients,
    });
    let mut too_many = 0;
    for _ in 0..1000 {
        let client = Client::connect(&server.file("echo")).unwrap();
        match client
            .send(b"me too", long())
            .and_then(|()| client.recv(long()))
        {
            Ok(answer) => {
                assert_eq!(answer, b"me too");
                kept.push(client);
            }
            told => {
                assert_eq!(told, refused);
                too_many += 1;
            }
        }
    }
    // One endpoint is the terminal's; the rest is shared by two services.
    assert_eq!((kept.len(), too_many), (31, 970));
    let descriptors = Path::new("/proc")
        .join(server.child.id().to_string())
        .join("fd");
    let many = fs::read_dir(descriptors).unwrap().count();
    assert!(many < 100, "{many} descriptors");
    // After a restart the terminal has its endpoint again, whoever else wants one.
    let mut tty = open(&server.file("ttyCore"));
    tty.write_all(b"still").unwrap();
    let mut word = [0; 5];
    tty.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"still");
    for client in &kept {
        client.send(b"and we", long()).unwrap();
        assert_eq!(client.recv(long()).unwrap(), b"and we");
    }
    // Whoever leaves makes room.
    kept.truncate(30);
    server.client();
}

#[test]
fn a_client_that_floods_a_slow_core_leaves_the_others_their_turn() {
    let bench = Bench::new();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let _guard = Guard(&ended);
        let server = bench.serve();
        let core = slow_echo(&bench);
        let ended = &ended;
        scope.spawn(move || {
            // Two milliseconds for each message, and 256 of the flood's are there already.
            while let Ok(message) = core.recv(Limit::after(Duration::MAX).unless(ended)) {
                thread::sleep(Duration::from_millis(2));
                if message.payload == b"quick" {
                    let sent = core.send_to(message.source, b"answer", long());
                    sent.unwrap();
                }
            }
        });
        let flood = Client::connect(&server.file("echo")).unwrap();
        let quick = Client::connect(&server.file("echo")).unwrap();
        scope.spawn(move || {
            let forever = Limit::after(Duration::MAX).unless(ended);
            while flood.send(&[7; 100], forever).is_ok() {}
        });
        thread::sleep(Duration::from_millis(500));
        for _ in 0..3 {
            let asked = Instant::now();
            quick.send(b"quick", long()).unwrap();
            assert_eq!(quick.recv(long()).unwrap(), b"answer");
            assert!(asked.elapsed() < LONG / 4, "{:?}", asked.elapsed());
        }
    });
}

#[test]
fn what_a_client_sent_before_it_left_or_was_killed_arrives() {
    let bench = Bench::new();
    let server = bench.serve();
    let core = slow_echo(&bench);
    // More than the ring has buffers; the core takes none before the client is dead.
    let script = "import os,socket,sys\n\
        s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n\
        s.connect(sys.argv[1])\n\
        for n in range(264): s.send(b'%d'%n)\n\
        os.kill(os.getpid(),9)";
    let killed = Command::new("python3")
        .args(["-c", script])
        .arg(server.file("echo"))
        .status()
        .unwrap();
    assert_eq!(killed.code(), None);
    for number in 0..264 {
        assert_eq!(
            core.recv(long()).unwrap().payload,
            number.to_string().as_bytes()
        );
    }
}

#[test]
fn a_client_that_says_it_is_done_still_gets_its_answers() {
    let bench = Bench::new();
    let _core = bench.core();
    let server = bench.serve();
    server.client();
    let script = "import socket,sys\n\
        s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n\
        s.connect(sys.argv[1])\n\
        for n in range(50): s.send(b'%d'%n)\n\
        s.shutdown(socket.SHUT_WR)\n\
        for n in range(50): assert s.recv(1000)==b'%d'%n\n\
        print('all')";
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(server.file("echo"))
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), "all\n", "{}", text(&output.stderr));
    // It left, and its endpoint with it.
    let start = Instant::now();
    while server.counters()["endpoints"].as_array().unwrap().len() > 1 {
        assert!(start.elapsed() < LONG, "its endpoint is still open");
    }
}

#[test]
fn answers_that_arrived_before_a_restart_reach_a_client_that_goes_on_sending() {
    let bench = Bench::new();
    let server = bench.serve();
    let core = slow_echo(&bench);
    // It sends on without reading, until nobody takes it any more, and reads then.
    let script = "import socket,sys,time\n\
        s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n\
        s.connect(sys.argv[1])\n\
        s.settimeout(60)\n\
        s.send(b'hello')\n\
        try:\n\
        \x20 while True: s.send(b'more'); time.sleep(0.001)\n\
        except OSError: pass\n\
        for n in range(60): assert s.recv(1000)==bytes([n])*400\n\
        m,a,f,_=s.recvmsg(1000,socket.CMSG_SPACE(4))\n\
        print(len(m),len(a))";
    let client = Command::new("python3")
        .args(["-c", script])
        .arg(server.file("echo"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let to = core.recv(long()).unwrap().source;
    for number in 0..60_u8 {
        core.send_to(to, &[number; 400], long()).unwrap();
    }
    drop(core);
    let output = client.wait_with_output().unwrap();
    assert_eq!(text(&output.stdout), "0 1\n");
}

#[test]
fn what_nobody_read_yet_outlives_a_send_that_fails() {
    let bench = Bench::new();
    let server = bench.serve();
    let core = slow_echo(&bench);
    let client = Client::connect(&server.file("echo")).unwrap();
    client.send(b"hello", long()).unwrap();
    let to = core.recv(long()).unwrap().source;
    for number in 0..60_u8 {
        core.send_to(to, &[number; 400], long()).unwrap();
    }
    drop(core);
    let told = loop {
        match client.send(b"more", Limit::after(Duration::from_millis(1))) {
            Ok(()) | Err(Error::TimeLimit { .. }) => {}
            Err(told) => break told,
        }
    };
    assert!(matches!(told, Error::ServerClosed { .. }), "{told}");
    for number in 0..60_u8 {
        assert_eq!(client.recv(long()).unwrap(), [number; 400]);
    }
    assert_eq!(client.recv(long()), Err(told));
    assert_eq!(client.send(b"more", long()), Err(told));
}

#[test]
fn descriptors_that_a_client_sends_along_are_closed() {
    let bench = Bench::new();
    let _core = bench.core();
    let server = bench.serve();
    server.client();
    let script = "import array,os,socket,sys\n\
        s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n\
        s.connect(sys.argv[1])\n\
        fds=array.array('i',[os.open('/dev/null',0) for n in range(100)])\n\
        for n in range(200):\n\
        \x20 s.sendmsg([b'x'],[(socket.SOL_SOCKET,socket.SCM_RIGHTS,fds[:n%100+1])])\n\
        \x20 assert s.recv(10)==b'x'";
    let sent = Command::new("python3")
        .args(["-c", script])
        .arg(server.file("echo"))
        .status()
        .unwrap();
    assert!(sent.success());
    let descriptors = Path::new("/proc")
        .join(server.child.id().to_string())
        .join("fd");
    let links = fs::read_dir(descriptors)
        .unwrap()
        .map(|fd| fs::read_link(fd.unwrap().path()));
    // Its own standard input and output may be that.
    assert!(
        links
            .filter(|link| link
                .as_ref()
                .is_ok_and(|link| link == Path::new("/dev/null")))
            .count()
            <= 3
    );
}

#[test]
fn a_caller_that_asks_for_captures_and_never_reads_is_let_go() {
    let bench = Bench::new();
    let _core = bench.core();
    let server = bench.serve();
    let script = "import socket,sys\n\
        s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n\
        s.connect(sys.argv[1])\n\
        try:\n\
        \x20 for n in range(100000): s.send(b'capture')\n\
        except OSError: print('let go')";
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(server.control())
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), "let go\n");
    server.client();
    // Nor are there more callers than some.
    let start = Instant::now();
    let call = |_| loop {
        // So many at once do not fit before the door.
        if let Ok(caller) = Client::connect(Path::new(&server.control())) {
            return caller;
        }
        assert!(start.elapsed() < LONG, "nobody is let in");
    };
    let callers: Vec<_> = (0..200).map(call).collect();
    let let_go = |caller: &&Client| {
        let told = caller.recv(Limit::after(Duration::ZERO));
        matches!(told, Err(Error::ServerClosed { .. }))
    };
    while callers.iter().filter(let_go).count() < 180 {
        assert!(start.elapsed() < LONG, "more than 20 are kept");
    }
    drop(callers);
    server.counters();
}

#[test]
fn a_driver_whose_buffers_hold_nothing_does_not_end_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "folder = {:?}\n[link]\nmeeting = \"nowhere\"\nrole = \"device\"\n\
         [[service]]\nname = \"console\"\nface = \"tty\"\nannounce = true\n",
        folder.path()
    );
    let geometry = Geometry::default();
    let (window, fd) = Window::memfd(geometry.window_size()).unwrap();
    let ours = Window::map(&fd, 0, geometry.window_size()).unwrap();
    let (near, far) = EventCounters::pair().unwrap();
    let place = move |window: &Window| Place::between_processes(&geometry, window);
    let device = Hub::device(place(&ours).unwrap(), ours, far, Options::default()).unwrap();
    let mut server = Server::new(&Config::parse(&config).unwrap(), device).unwrap();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let _guard = Guard(&ended);
        let running = scope.spawn(|| server.run(&ended));
        let driver = Hub::driver(place, window.clone(), near, Options::default()).unwrap();
        let mut console = driver.connect("console", long()).unwrap();
        let mut tty = open(&folder.path().join("console"));
        console.send(b"1", long()).unwrap();
        tty.read_exact(&mut [0]).unwrap();
        // Every descriptor of ring 0 says that its buffer has no room for a header.
        for descriptor in 0..256 {
            window.store_u32(0x1000 + descriptor * 16 + 8, 8, Ordering::Release);
        }
        tty.write_all(b"lost").unwrap();
        thread::sleep(Duration::from_millis(200));
        assert!(!running.is_finished(), "{:?}", running.join());
        // The next driver means well.
        drop((console, driver));
        let (near, _) = EventCounters::pair().unwrap();
        let options = Options {
            handshake: Duration::from_millis(100),
            ..Options::default()
        };
        let driver = Hub::driver(place, window.clone(), near, options).unwrap();
        console = driver.connect("console", long()).unwrap();
        console.send(b"2", long()).unwrap();
        tty.read_exact(&mut [0]).unwrap();
        tty.write_all(b"good").unwrap();
        assert_eq!(console.recv(long()).unwrap().payload, b"good");
    });
}

#[test]
fn answers_for_a_client_that_has_left_do_not_hold_up_the_core() {
    let geometry = Geometry {
        descriptors: 4,
        ..Geometry::default()
    };
    let options = Options {
        queue: 4,
        ..Options::default()
    };
    let (folder, mut server, device, _) = echo_inside(geometry, options);
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let _guard = Guard(&ended);
        scope.spawn(|| server.run(&ended));
        let echo = device.serve("echo", long()).unwrap();
        let client = Client::connect(&folder.path().join("echo")).unwrap();
        for number in 0..60 {
            client.send(&[number], long()).unwrap();
        }
        drop(client);
        let soon = Limit::after(Duration::from_secs(30));
        for number in 0..60 {
            let message = echo.recv(soon).unwrap();
            assert_eq!(message.payload, [number]);
            echo.send_to(message.source, &message.payload, soon)
                .unwrap();
        }
    });
}

#[test]
fn a_core_that_writes_the_drivers_line_does_not_end_the_server() {
    let (folder, mut server, device, window) = echo_inside(Geometry::default(), Options::default());
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let _guard = Guard(&ended);
        let running = scope.spawn(|| server.run(&ended));
        let mut echo = device.serve("echo", long()).unwrap();
        let client = Client::connect(&folder.path().join("echo")).unwrap();
        client.send(b"1", long()).unwrap();
        echo.recv(long()).unwrap();
        window.store_u32(0xe04, 7, Ordering::Release);
        let reason = Reason::LinkBroken;
        assert_eq!(client.recv(long()), Err(Error::ServerClosed { reason }));
        // It gives way for a while, and drives again.
        let again = scope.spawn(|| {
            loop {
                let client = Client::connect(&folder.path().join("echo")).unwrap();
                client.send(b"2", long()).unwrap();
                match client.recv(long()) {
                    Err(Error::ServerClosed { .. }) => {}
                    answer => break answer,
                }
            }
        });
        let answered = loop {
            match echo.recv(long()) {
                Ok(message) => break echo.send_to(message.source, b"3", long()),
                Err(Error::PeerRestarted { .. }) => echo.reopen(long()).unwrap(),
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(answered, Ok(()));
        assert_eq!(again.join().unwrap().unwrap(), b"3");
        assert!(!running.is_finished());
    });
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
    tty.write_all(b"lost").unwrap();
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

#[test]
fn files_that_are_no_sockets_stay_and_their_services_are_refused_by_name() {
    let bench = Bench::new();
    let run = bench.folder.path().join("run");
    fs::create_dir(&run).unwrap();
    for make in [
        |at: &Path| fs::write(at, "precious").unwrap(),
        |at: &Path| fs::create_dir(at).unwrap(),
        |at: &Path| std::os::unix::fs::symlink("/dev/null", at).unwrap(),
    ] {
        make(&run.join("echo"));
        let output = bench.corewarden(&["serve", "--config", &bench.config()]);
        assert_eq!(output.status.code(), Some(7));
        let said = text(&output.stderr);
        assert!(
            said.contains("run/echo: cannot listen at the socket: File exists"),
            "{said}"
        );
        let left: Vec<_> = fs::read_dir(&run)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["echo"]);
        let there = run.join("echo");
        if fs::symlink_metadata(&there).unwrap().is_dir() {
            fs::remove_dir(there).unwrap();
        } else {
            fs::remove_file(there).unwrap();
        }
    }
}

#[test]
fn a_path_too_long_for_a_socket_is_refused_and_nothing_is_left() {
    let bench = Bench::new();
    let config = fs::read_to_string(bench.config()).unwrap();
    let config = config.replace("/run\"", &format!("/{}\"", "r".repeat(100)));
    fs::write(bench.config(), config).unwrap();
    let output = bench.corewarden(&["serve", "--config", &bench.config()]);
    assert_eq!(output.status.code(), Some(7));
    let said = text(&output.stderr);
    assert!(
        said.contains("control: cannot listen at the socket: File name too long"),
        "{said}"
    );
    let folder = bench.folder.path().join("r".repeat(100));
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
}

#[test]
fn a_hangup_ends_a_server_in_order_and_one_under_nohup_not_at_all() {
    let bench = Bench::new();
    let _core = bench.core();
    let mut server = bench.serve();
    let client = server.client();
    let hang_up = |server: &support::Server| {
        let kill = format!("kill -HUP {}", server.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    };
    hang_up(&server);
    let reason = Reason::ServerEnded;
    assert_eq!(client.recv(long()), Err(Error::ServerClosed { reason }));
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    let run = bench.folder.path().join("run");
    assert_eq!(fs::read_dir(run).unwrap().count(), 0);
    let server = bench.serve_by(&mut {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]);
        command.arg(assert_cmd::cargo::cargo_bin!("corewarden"));
        command
    });
    let client = server.client();
    hang_up(&server);
    client.send(b"still", long()).unwrap();
    assert_eq!(client.recv(long()).unwrap(), b"still");
}

#[test]
fn a_capture_that_cannot_be_written_or_asked_for_says_so_and_spoils_nothing() {
    let bench = Bench::new();
    let _core = bench.core();
    let server = bench.serve();
    let client = server.client();
    let capture = |file: &str, control: &str| {
        let mut command = bench.command(&["capture", file, "--control", control]);
        command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut full = capture("/dev/full", &server.control());
    while full.try_wait().unwrap().is_none() {
        client.send(b"captured", long()).unwrap();
        client.recv(long()).unwrap();
    }
    let full = full.wait_with_output().unwrap();
    assert_eq!(full.status.code(), Some(7), "{}", text(&full.stderr));
    assert!(
        text(&full.stderr).contains("cannot write /dev/full: No space left on device"),
        "{}",
        text(&full.stderr)
    );
    let before = bench.folder.path().join("before.pcapng");
    fs::write(&before, "an older capture").unwrap();
    let nobody = capture(before.to_str().unwrap(), "/nowhere/control")
        .wait_with_output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(7));
    assert_eq!(fs::read_to_string(before).unwrap(), "an older capture");
}

fn open(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

/// The service `echo` of a core that takes a message only when it is asked to; its driver is the server.
fn slow_echo(bench: &Bench) -> Endpoint {
    let path = bench.folder.path().join("link");
    let hub = join(&path, Role::Device, Options::default(), long()).unwrap();
    hub.serve("echo", long()).unwrap()
}

/// A server of a core's `echo` in this program, its folder, and the core with its window.
fn echo_inside(geometry: Geometry, options: Options) -> (TempDir, Server, Hub, Window) {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "folder = {:?}\n[link]\nmeeting = \"nowhere\"\n[[service]]\nname = \"echo\"\n",
        folder.path()
    );
    let (window, fd) = Window::memfd(geometry.window_size()).unwrap();
    let ours = Window::map(&fd, 0, geometry.window_size()).unwrap();
    let (near, far) = EventCounters::pair().unwrap();
    let place = move |window: &Window| Place::between_processes(&geometry, window);
    let device = Hub::device(place(&window).unwrap(), window.clone(), far, options).unwrap();
    let driver = Hub::driver(place, ours, near, options).unwrap();
    let server = Server::new(&Config::parse(&config).unwrap(), driver).unwrap();
    (folder, server, device, window)
}

struct Guard<'a>(&'a AtomicBool);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
