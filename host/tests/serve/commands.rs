//! What the server does for its clients, and the commands that ask it.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use corewarden::client::{Client, Reason};
use corewarden::{Error, Limit};

use crate::support::{Bench, LONG, echoed, long, python, served, served_over, signal, text};

#[test]
fn any_language_talks_to_a_service_by_its_socket() {
    let (_bench, _core, server) = served();
    let script = "import socket,sys\n\
        s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n\
        s.connect(sys.argv[1])\n\
        for n in range(100):\n\
        \x20 s.send(b'%d'%n)\n\
        \x20 assert s.recv(1000)==b'%d'%n\n\
        print('echoed')";
    let output = python(script, &server.file("echo"));
    assert_eq!(text(&output.stdout), "echoed\n", "{}", text(&output.stderr));
    let mode = fs::metadata(server.file("echo"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn a_message_that_is_kept_takes_no_more_memory_than_its_bytes() {
    let (_bench, _core, server) = served();
    let client = server.client();
    client.send(b"small", long()).unwrap();
    assert!(client.recv(long()).unwrap().capacity() < 100);
}

#[test]
fn a_slow_client_holds_up_no_other_and_is_told_why_it_ends() {
    let (_bench, _core, server) = served();
    let slow = server.client();
    let quick = server.client();
    let start = Instant::now();
    let mut ended = false;
    while !ended {
        // Never reads, so that everything on the way to it fills up.
        ended = match slow.send(&[7; 400], Limit::after(Duration::from_millis(1))) {
            Ok(()) | Err(Error::TimeLimit { .. }) => false,
            Err(_) => true,
        };
        echoed(&quick, b"quick");
        ended |= server.lost() > 0;
        assert!(start.elapsed() < LONG, "it never ends");
    }
    let told = loop {
        match slow.recv(long()) {
            Ok(message) => assert_eq!(message, [7; 400]),
            Err(told) => break told,
        }
    };
    let reason = Reason::MessagesLost;
    assert_eq!(told, Error::ServerClosed { reason });
    echoed(&quick, b"still");
}

#[test]
fn clients_are_told_of_a_restart_and_the_service_comes_back() {
    let bench = Bench::new();
    let core = bench.core();
    let server = bench.serve();
    let client = server.client();
    echoed(&client, b"one");
    core.crash();
    let _core = bench.core();
    let reason = Reason::PeerRestarted;
    assert_eq!(client.recv(long()), Err(Error::ServerClosed { reason }));
    let again = server.client();
    echoed(&again, b"two");
}

#[test]
fn what_cannot_be_sent_or_is_not_announced_ends_a_client_by_name() {
    let (_bench, _core, server) = served();
    let client = server.client();
    client.send(&[0; 497], long()).unwrap();
    let reason = Reason::MessageTooLong;
    assert_eq!(client.recv(long()), Err(Error::ServerClosed { reason }));
    let nobody = Client::connect(&server.file("missing")).unwrap();
    let reason = Reason::NoService;
    assert_eq!(nobody.recv(long()), Err(Error::ServerClosed { reason }));
}

#[test]
fn one_server_at_a_time_and_a_killed_one_leaves_nothing_in_the_way() {
    let bench = Bench::new();
    let _core = bench.core();
    let first = bench.serve();
    first.client();
    let second = bench.corewarden(&["serve", "--config", &bench.config()]);
    assert_eq!(second.status.code(), Some(7));
    let said = text(&second.stderr);
    assert!(said.contains("control: cannot be the only one"), "{said}");
    assert!(said.contains("another process listens there"), "{said}");
    drop(first);
    assert!(bench.folder.path().join("run/echo").exists(), "killed");
    let again = bench.serve();
    let client = again.client();
    echoed(&client, b"back");
}

#[test]
fn a_server_that_is_asked_to_end_tells_its_clients_and_cleans_up() {
    let bench = Bench::new();
    let _core = bench.core();
    let mut server = bench.serve();
    let client = server.client();
    echoed(&client, b"hello");
    signal(&server.child, "TERM");
    let reason = Reason::ServerEnded;
    assert_eq!(client.recv(long()), Err(Error::ServerClosed { reason }));
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    let left: Vec<_> = fs::read_dir(bench.folder.path().join("run"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn top_counts_for_people_and_as_json_without_escapes_off_a_terminal() {
    for symmetric in [false, true] {
        let (bench, _core, server) = served_over(symmetric);
        let client = server.client();
        for _ in 0..10 {
            client.send(b"1234", long()).unwrap();
            client.recv(long()).unwrap();
        }
        let counters = server.counters();
        assert_eq!(counters["schema"], "corewarden.top");
        assert_eq!(counters["role"], "driver");
        let endpoints = counters["endpoints"].as_array().unwrap();
        let echo = endpoints.iter().find(|e| e["service"] == "echo").unwrap();
        // The first question was whether anybody is there.
        assert_eq!(echo["received"]["messages"], 11);
        assert_eq!(echo["sent"]["bytes"], 46);
        let top = bench.corewarden(&["top", "--control", &server.control()]);
        let shown = text(&top.stdout);
        assert!(
            shown.starts_with("driver: link of generation 0x"),
            "{shown}"
        );
        assert!(shown.contains("service   echo at "), "{shown}");
        let kind = if symmetric { ", symmetric" } else { "" };
        let agreed = format!(
            "agreed    name-service, buffer-sizes, event-index, version-1{kind}; buffers of 512 bytes to the driver, 512 to the device"
        );
        assert!(shown.contains(&agreed), "{shown}");
        assert!(!shown.contains('\x1b'), "{shown}");
        let nobody = bench.corewarden(&["top", "--control", "/nowhere/control"]);
        assert_eq!(nobody.status.code(), Some(7));
        let said = text(&nobody.stderr);
        assert!(
            said.starts_with("corewarden: /nowhere/control: cannot connect"),
            "{said}"
        );
    }
}

#[test]
fn a_capture_is_read_by_tshark_with_our_dissector() {
    for symmetric in [false, true] {
        let (bench, _core, server) = served_over(symmetric);
        let client = server.client();
        let file = bench.folder.path().join("link.pcapng");
        let mut capture = bench
            .command(&[
                "capture",
                file.to_str().unwrap(),
                "--control",
                &server.control(),
            ])
            .args(["--packets", "20"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        while capture.try_wait().unwrap().is_none() {
            echoed(&client, b"captured");
        }
        let mut said = String::new();
        capture.stdout.unwrap().read_to_string(&mut said).unwrap();
        assert!(said.ends_with("link.pcapng: 20 packets\n"), "{said}");
        let output = tshark(&file)
            .args(["-Y", "cwrpmsg.kind == 0", "-T", "fields"])
            .args([
                "-e",
                "cwrpmsg.direction",
                "-e",
                "cwrpmsg.dst",
                "-e",
                "cwrpmsg.payload",
            ])
            .output()
            .unwrap();
        let shown = text(&output.stdout);
        let hex = "6361707475726564";
        let counters = server.counters();
        let announced = counters["services"].as_array().unwrap();
        let echo = announced.iter().find(|one| one[0] == "echo").unwrap();
        let echo = echo[1].to_string();
        assert!(
            shown.contains(&format!("0\t{echo}\t{hex}\n")),
            "{shown}{}",
            text(&output.stderr)
        );
        let back = shown
            .lines()
            .filter(|line| line.starts_with('1') && line.ends_with(hex));
        assert!(back.count() > 0, "{shown}");
    }
}

#[test]
fn an_announcement_is_shown_in_clear_text_by_tshark() {
    let bench = Bench::new();
    let server = bench.serve();
    let file = bench.folder.path().join("link.pcapng");
    let mut capture = bench
        .command(&["capture", file.to_str().unwrap()])
        .args(["--control", &server.control(), "--packets", "30"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // It begins before the link does.
    while !fs::metadata(&file).is_ok_and(|file| file.len() > 0) {
        assert_eq!(capture.try_wait().unwrap(), None, "the capture ended");
        thread::sleep(Duration::from_millis(5));
    }
    let _core = bench.core();
    // Both, before clients fill the capture.
    let announced = |name: &str| {
        let counters = server.counters();
        let services = counters["services"].as_array().unwrap();
        services.iter().any(|service| service[0] == name)
    };
    while !announced("echo") || !announced("console") {
        thread::sleep(Duration::from_millis(5));
    }
    while capture.try_wait().unwrap().is_none() {
        drop(server.client());
    }
    let output = tshark(&file).output().unwrap();
    let shown = text(&output.stdout);
    for announced in ["announces echo at ", "announces console at "] {
        assert!(shown.contains(announced), "{shown}{}", text(&output.stderr));
    }
}

#[test]
fn a_capture_that_is_asked_to_end_takes_what_has_come() {
    let (bench, _core, server) = served();
    let client = server.client();
    let file = bench.folder.path().join("link.pcapng");
    let capture = bench
        .command(&["capture", file.to_str().unwrap()])
        .args(["--control", &server.control()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    while !fs::metadata(&file).is_ok_and(|file| file.len() > 0) {
        thread::sleep(Duration::from_millis(5));
    }
    // It sleeps while everything happens, so that the signal is the first thing it sees.
    signal(&capture, "STOP");
    for _ in 0..10 {
        echoed(&client, b"captured");
    }
    // Answered once all that was seen before is on its way.
    server.counters();
    signal(&capture, "INT");
    signal(&capture, "CONT");
    let output = capture.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let capture = fs::read(&file).unwrap();
    let captured = capture.windows(8).filter(|bytes| bytes == b"captured");
    assert_eq!(captured.count(), 20);
}

/// Reads `capture` with our dissector. Wireshark since 4.4 runs no Lua for root, so root becomes somebody else, who may read copies only.
fn tshark(capture: &Path) -> Command {
    let folder = capture.with_file_name("wireshark");
    let (script, copy) = (folder.join("dissector.lua"), folder.join("link.pcapng"));
    fs::create_dir(&folder).unwrap();
    let dissector = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/corewarden-rpmsg.lua");
    fs::copy(dissector, &script).unwrap();
    fs::copy(capture, &copy).unwrap();
    let mut command = Command::new("tshark");
    if fs::metadata(&folder).unwrap().uid() == 0 {
        for path in [&folder, &script, &copy] {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let above = capture.parent().unwrap();
        fs::set_permissions(above, fs::Permissions::from_mode(0o711)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    command
        .env("HOME", &folder)
        .arg("-X")
        .arg(format!("lua_script:{}", script.display()))
        .arg("-r")
        .arg(copy);
    command
}

#[test]
fn the_commands_of_the_guide_do_what_it_says() {
    let bench = Bench::new();
    let _core = bench.core();
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rpmsg-host.md");
    let guide = fs::read_to_string(guide).unwrap();
    let block = |kind: &str| {
        let (_, behind) = guide.split_once(&format!("```{kind}\n")).unwrap();
        behind.split_once("```").unwrap().0
    };
    let folder = bench.folder.path();
    fs::write(folder.join("serve.toml"), block("toml")).unwrap();
    fs::write(folder.join("talk.py"), block("python")).unwrap();
    let program = assert_cmd::cargo::cargo_bin!("corewarden");
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let output = Command::new("bash")
        .args(["-euc", block("sh")])
        .env("PATH", path)
        // Set, it parts a line from its end, and `capture` may write in between.
        .env_remove("PYTHONUNBUFFERED")
        .current_dir(folder)
        .output()
        .unwrap();
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{shown}{said}");
    assert!(shown.contains("hello\n"), "{shown}");
    assert!(shown.contains("motor.pcapng: 4 packets"), "{shown}");
    assert!(shown.contains("\"schema\":\"corewarden.top\""), "{shown}");
    assert!(shown.contains("served "), "{shown}");
}

#[test]
fn a_configuration_that_breaks_a_rule_is_refused_in_one_line() {
    let bench = Bench::new();
    let file = bench.folder.path().join("wrong.toml");
    fs::write(&file, "[link]\n").unwrap();
    let output = bench.corewarden(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    let expected = format!(
        "corewarden: {}: [link] names none of `core` and `meeting`; exactly one, please\n",
        file.display()
    );
    assert_eq!(text(&output.stderr), expected);
}

const NOBODY: u32 = 65534;
