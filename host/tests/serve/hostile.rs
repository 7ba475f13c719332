//! Clients and peers that behave badly, by design or by accident: none ends the server, and none is in another's way.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corewarden::client::{Client, Reason};
use corewarden::hub::{Endpoint, Options};
use corewarden::peer::{Role, join};
use corewarden::place::Geometry;
use corewarden::{Error, Limit};
use rpmsg::SharedMemory;

use crate::inside::Inside;
use crate::support::{Bench, LONG, echoed, long, open, python, served, signal, text};

#[test]
fn a_thousand_connections_to_one_service_leave_the_others_their_share() {
    let (_bench, _core, server) = served();
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
        echoed(client, b"and we");
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
    let killed = python(script, &server.file("echo")).status;
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
    let (_bench, _core, server) = served();
    server.client();
    let script = "import socket,sys\n\
        s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n\
        s.connect(sys.argv[1])\n\
        for n in range(50): s.send(b'%d'%n)\n\
        s.shutdown(socket.SHUT_WR)\n\
        for n in range(50): assert s.recv(1000)==b'%d'%n\n\
        print('all')";
    let output = python(script, &server.file("echo"));
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
fn a_reason_that_nobody_ever_writes_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    // A pipe for a file, whose other end stays open.
    let script = "import os,socket,sys\n\
        s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n\
        s.bind(sys.argv[1]);s.listen()\n\
        c,_=s.accept();socket.send_fds(c,[b''],[os.pipe()[0]]);c.recv(100)";
    let mut server = Command::new("python3")
        .args(["-c", script])
        .arg(&path)
        .spawn()
        .unwrap();
    let start = Instant::now();
    let client = loop {
        match Client::connect(&path) {
            Ok(client) => break client,
            Err(_) => assert!(start.elapsed() < LONG, "the script does not listen"),
        }
    };
    let (said, told) = std::sync::mpsc::channel();
    thread::spawn(move || said.send(client.recv(long())));
    let told = told.recv_timeout(LONG / 4);
    server.kill().unwrap();
    server.wait().unwrap();
    let reason = Reason::Unknown;
    assert_eq!(told, Ok(Err(Error::ServerClosed { reason })));
}

#[test]
fn descriptors_that_a_client_sends_along_are_closed() {
    let (_bench, _core, server) = served();
    server.client();
    let script = "import array,os,socket,sys\n\
        s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n\
        s.connect(sys.argv[1])\n\
        fds=array.array('i',[os.open('/dev/null',0) for n in range(100)])\n\
        for n in range(200):\n\
        \x20 s.sendmsg([b'x'],[(socket.SOL_SOCKET,socket.SCM_RIGHTS,fds[:n%100+1])])\n\
        \x20 assert s.recv(10)==b'x'";
    let sent = python(script, &server.file("echo")).status;
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
    let (_bench, _core, server) = served();
    let script = "import socket,sys\n\
        s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n\
        s.connect(sys.argv[1])\n\
        try:\n\
        \x20 for n in range(100000): s.send(b'capture')\n\
        except OSError: print('let go')";
    let output = python(script, Path::new(&server.control()));
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
fn answers_for_a_client_that_has_left_do_not_hold_up_the_core() {
    let geometry = Geometry {
        descriptors: 4,
        ..Geometry::default()
    };
    let options = Options {
        queue: 4,
        ..Options::default()
    };
    let (inside, device) = Inside::echo(geometry, options);
    let echo = device.serve("echo", long()).unwrap();
    let client = Client::connect(&inside.file("echo")).unwrap();
    for number in 0..60 {
        client.send(&[number], long()).unwrap();
    }
    drop(client);
    for number in 0..60 {
        let message = echo.recv(long()).unwrap();
        assert_eq!(message.payload, [number]);
        let sent = echo.send_to(message.source, &message.payload, long());
        assert_eq!(sent, Ok(()));
    }
}

#[test]
fn a_core_that_writes_the_drivers_line_does_not_end_the_server() {
    let (inside, device) = Inside::echo(Geometry::default(), Options::default());
    let mut echo = device.serve("echo", long()).unwrap();
    let client = Client::connect(&inside.file("echo")).unwrap();
    client.send(b"1", long()).unwrap();
    echo.recv(long()).unwrap();
    inside.window.store_u32(0xe04, 7, Ordering::Release);
    let reason = Reason::LinkBroken;
    assert_eq!(client.recv(long()), Err(Error::ServerClosed { reason }));
    // It gives way for a while, and drives again.
    thread::scope(|scope| {
        let again = scope.spawn(|| {
            loop {
                let client = Client::connect(&inside.file("echo")).unwrap();
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
    });
    assert!(!inside.is_finished());
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
fn nobody_else_may_write_into_a_folder_that_the_server_makes() {
    let bench = Bench::new();
    let _core = bench.core();
    let _server = bench.serve_after("umask 0");
    let folder = fs::metadata(bench.folder.path().join("run")).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o755);
}

#[test]
fn a_hangup_ends_a_server_in_order_and_one_under_nohup_not_at_all() {
    let bench = Bench::new();
    let _core = bench.core();
    let mut server = bench.serve();
    let client = server.client();
    signal(&server.child, "HUP");
    let reason = Reason::ServerEnded;
    assert_eq!(client.recv(long()), Err(Error::ServerClosed { reason }));
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    let run = bench.folder.path().join("run");
    assert_eq!(fs::read_dir(run).unwrap().count(), 0);
    let server = bench.serve_after("trap '' HUP");
    let client = server.client();
    signal(&server.child, "HUP");
    echoed(&client, b"still");
}

#[test]
fn a_capture_that_cannot_be_written_or_asked_for_says_so_and_spoils_nothing() {
    let (bench, _core, server) = served();
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

/// The service `echo` of a core that takes a message only when it is asked to; its driver is the server.
fn slow_echo(bench: &Bench) -> Endpoint {
    let path = bench.folder.path().join("link");
    let hub = join(&path, Role::Device, Options::default(), long()).unwrap();
    hub.serve("echo", long()).unwrap()
}

struct Guard<'a>(&'a AtomicBool);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
