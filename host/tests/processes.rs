//! Two real processes over one window, each killed without a warning again and again.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use corewarden::hub::{Endpoint, Options};
use corewarden::peer::{Meeting, Role, join};
use corewarden::place::Geometry;
use corewarden::pool::Pool;
use corewarden::{Access, Error, Limit, SocketOperation};
use rpmsg::Features;

#[test]
fn two_processes_talk_again_whenever_either_of_them_was_killed() {
    let name = "two_processes_talk_again_whenever_either_of_them_was_killed";
    kill_again_and_again(name, Geometry::default(), echo, drive);
}

#[test]
fn two_processes_talk_again_over_packed_rings_whenever_either_of_them_was_killed() {
    let name = "two_processes_talk_again_over_packed_rings_whenever_either_of_them_was_killed";
    kill_again_and_again(name, Geometry::default(), echo_packed, drive_packed);
}

#[test]
fn two_processes_talk_again_over_a_symmetric_link_whenever_either_of_them_was_killed() {
    let name = "two_processes_talk_again_over_a_symmetric_link_whenever_either_of_them_was_killed";
    kill_again_and_again(name, SYMMETRIC, echo, drive);
}

#[test]
fn two_processes_talk_again_over_a_packed_symmetric_link_whenever_either_of_them_was_killed() {
    let name =
        "two_processes_talk_again_over_a_packed_symmetric_link_whenever_either_of_them_was_killed";
    kill_again_and_again(name, SYMMETRIC, echo_packed, drive_packed);
}

#[test]
fn two_processes_lend_again_whenever_either_of_them_was_killed() {
    let name = "two_processes_lend_again_whenever_either_of_them_was_killed";
    let geometry = Geometry {
        slots: SLOTS,
        slot_size: 0x8000,
        ..Geometry::default()
    };
    kill_again_and_again(name, geometry, echo_pool, drive_pool);
}

/// Runs both sides in processes of their own, which are this test once more, and kills one of them each round.
fn kill_again_and_again(test: &str, geometry: Geometry, device: fn(&Path), driver: fn(&Path)) {
    if let Ok(role) = std::env::var(ROLE) {
        let path = std::env::var(PLACE).unwrap();
        return match role.as_str() {
            "device" => device(Path::new(&path)),
            _ => driver(Path::new(&path)),
        };
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("link");
    let meeting = Meeting::at(&path, geometry, Access::default()).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                meeting.attend(Duration::from_millis(20)).unwrap();
            }
        });
        // Set however this ends, or the scope waits for ever.
        let _guard = Guard(&done);
        let start = |role| Process::start(test, role, &path);
        let mut device = start("device");
        let mut driver = start("driver");
        driver.see_progress();
        for round in 0..KILLS {
            if round % 2 == 0 {
                device = start("device");
            } else {
                driver = start("driver");
            }
            driver.see_progress();
        }
        drop((device, driver));
    });
}

#[test]
fn nobody_joins_where_nobody_meets_or_a_stranger_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("link");
    let joined = join(&path, Role::Driver, Options::default(), long()).map(|_| ());
    let expected = Error::Socket {
        operation: SocketOperation::Connect,
        errno: 2,
    };
    assert_eq!(joined, Err(expected));
    let stranger = Meeting::at(&path, Geometry::default(), Access::default()).unwrap();
    let second = Meeting::at(&path, Geometry::default(), Access::default()).map(|_| ());
    let busy = Error::Socket {
        operation: SocketOperation::Lock,
        errno: 11,
    };
    assert_eq!(second, Err(busy));
    drop(stranger);
    let script = "import socket,sys\n\
        s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n\
        s.bind(sys.argv[1]);s.listen();print('ready',flush=True)\n\
        c,_=s.accept();c.recv(100);c.send(b'go away');c.recv(100)";
    let joined = join_at(script, &path);
    assert_eq!(joined, Err(Error::Invitation));
}

#[test]
fn a_doorbell_that_is_no_socket_is_not_taken() {
    // A pipe would ring for ever once its other end is gone.
    let joined = join_by("struct.pack('<4s5I',b'CWL3',256,512,0,0,0)", "os.pipe()");
    assert_eq!(joined, Err(Error::Invitation));
}

#[test]
fn an_invitation_of_another_version_or_to_a_link_of_no_kind_is_refused_by_name() {
    let bell = "[end.detach() for end in socket.socketpair(socket.AF_UNIX,socket.SOCK_DGRAM)]";
    for (invitation, expected) in [
        ("struct.pack('<4s5I',b'CWL3',256,512,0,0,1)", Ok(())),
        ("struct.pack('<4s4I',b'CWL2',256,512,0,0)", older(b'2')),
        ("struct.pack('<4s9I',b'CWL4',*range(9))", older(b'4')),
        ("struct.pack('<4s5I',b'CWL3',256,512,0,0,2)", stranger()),
        ("struct.pack('<4s4I',b'CWL3',256,512,0,0)", stranger()),
        ("struct.pack('<4s5I',b'CWXX',256,512,0,0,1)", stranger()),
    ] {
        assert_eq!(join_by(invitation, bell), expected, "{invitation}");
    }
    fn older(version: u8) -> Result<(), Error> {
        Err(Error::InvitationVersion { version })
    }
    fn stranger() -> Result<(), Error> {
        Err(Error::Invitation)
    }
}

#[test]
fn guests_that_say_nothing_hold_up_no_other() {
    // A fifth of a second for each of the silent ones would be three.
    let spent = join_behind_silent_guests();
    assert!(spent < Duration::from_millis(2800), "{spent:?}");
}

fn join_behind_silent_guests() -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("link");
    let meeting = Meeting::at(&path, Geometry::default(), Access::default()).unwrap();
    let silent: Vec<_> = (0..15)
        .map(|_| {
            let kind = rustix::net::SocketType::SEQPACKET;
            let guest = rustix::net::socket(rustix::net::AddressFamily::UNIX, kind, None).unwrap();
            let at = rustix::net::SocketAddrUnix::new(&path).unwrap();
            rustix::net::connect(&guest, &at).unwrap();
            guest
        })
        .collect();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let begun = Instant::now();
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                meeting.attend(Duration::from_millis(20)).unwrap();
            }
        });
        let _guard = Guard(&done);
        join(&path, Role::Driver, Options::default(), long()).unwrap();
        drop(silent);
        begun.elapsed()
    })
}

#[test]
fn the_examples_of_a_device_and_a_driver_talk_to_each_other() {
    let told = examples_say("device", "driver", &["hello", "again"]);
    assert_eq!(told, ["hello\n", "again\n"]);
}

#[test]
fn the_example_reads_a_sensor_of_the_other_side() {
    assert_eq!(examples_say("board", "sensor", &[""]), ["21.5 °C\n"]);
}

#[test]
fn the_example_of_a_terminal_shows_what_is_typed() {
    let folder = tempfile::tempdir().unwrap();
    let (link, terminals) = (folder.path().join("link"), folder.path().join("terminals"));
    let start = Instant::now();
    let _device = Example(example("device").arg(&link).spawn().unwrap());
    // The device may not listen yet.
    let (mut server, path) = loop {
        let mut command = example("tty");
        command.arg(&link).arg(&terminals).stdout(Stdio::piped());
        let mut server = Example(command.spawn().unwrap());
        let mut line = String::new();
        let said = server.0.stdout.take().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        if line.ends_with("ttyEcho\n") {
            break (server, line);
        }
        assert!(start.elapsed() < LONG, "the device does not listen");
    };
    // Python opens it as a program for terminals does; what hangs is killed.
    let script = "import os,sys,signal,tty\n\
        signal.alarm(60)\n\
        fd=os.open(sys.argv[1],os.O_RDWR|os.O_NOCTTY)\n\
        tty.setraw(fd)\n\
        os.write(fd,b'typed')\n\
        got=b''\n\
        while len(got)<5: got+=os.read(fd,5)\n\
        print(got.decode())";
    let output = Command::new("python3")
        .args(["-c", script, path.trim()])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "typed\n");
    // The shell's own: a small system has no program of that name.
    let kill = format!("kill -INT {}", server.0.id());
    let killed = Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(killed.success() && server.0.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(&terminals).unwrap().count(), 0);
}

/// Joins whatever a script of Python hands out at a path.
fn join_at(script: &str, path: &Path) -> Result<(), Error> {
    let mut python = Command::new("python3")
        .args(["-c", script])
        .arg(path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(python.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let joined = join(path, Role::Device, Options::default(), long()).map(|_| ());
    python.wait().unwrap();
    joined
}

/// Joins whoever hands out this invitation, a window as it should be, and one end of this doorbell, in words of Python.
fn join_by(invitation: &str, bell: &str) -> Result<(), Error> {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "import fcntl,os,socket,struct,sys\n\
         w=os.memfd_create('w',os.MFD_ALLOW_SEALING);os.ftruncate(w,1<<20);fcntl.fcntl(w,1033,2)\n\
         s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n\
         s.bind(sys.argv[1]);s.listen();print('ready',flush=True)\n\
         c,_=s.accept();c.recv(100);b={bell}\n\
         socket.send_fds(c,[{invitation}],[w,b[0]]);c.recv(100)"
    );
    join_at(&script, &folder.path().join("link"))
}

/// What an example prints for each argument, beside another that serves it.
fn examples_say(server: &str, client: &str, arguments: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("link");
    let start = Instant::now();
    let mut server = Example(example(server).arg(&path).spawn().unwrap());
    let ask = |argument: &&str| loop {
        // It has a time limit of its own.
        let asked = example(client).arg(&path).arg(argument).output().unwrap();
        // The server may not listen yet.
        if asked.status.success() {
            return String::from_utf8(asked.stdout).unwrap();
        }
        assert!(start.elapsed() < LONG, "nobody answers");
        assert_eq!(server.0.try_wait().unwrap(), None, "the server ended");
    };
    arguments.iter().map(ask).collect()
}

/// Cargo puts the examples beside the tests, but builds them only where all of a crate is tested.
fn example(name: &str) -> Command {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline", "--example", name])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(built.unwrap().success());
    let tests = std::env::current_exe().unwrap();
    let examples = tests.parent().unwrap().parent().unwrap().join("examples");
    Command::new(examples.join(name))
}

/// An example that runs, until this is dropped.
struct Example(Child);

impl Drop for Example {
    fn drop(&mut self) {
        // What has ended needs no end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The device: sends everything back, to one driver after the other.
fn echo(path: &Path) {
    echo_with(path, Options::default());
}

fn echo_packed(path: &Path) {
    echo_with(path, packed());
}

fn echo_with(path: &Path, options: Options) {
    let hub = join(path, Role::Device, options, long()).unwrap();
    let mut endpoint = hub.serve("echo", forever()).unwrap();
    loop {
        let answered = endpoint
            .recv(forever())
            .and_then(|message| endpoint.send_to(message.source, &message.payload, forever()));
        match answered {
            Ok(()) => {}
            Err(Error::PeerRestarted { .. }) => endpoint.reopen(forever()).unwrap(),
            Err(error) => panic!("device: {error}"),
        }
    }
}

/// The driver: counts up, and says how far it is. What was under way at a restart it sends again.
fn drive(path: &Path) {
    drive_with(path, Options::default());
}

fn drive_packed(path: &Path) {
    drive_with(path, packed());
}

fn drive_with(path: &Path, options: Options) {
    let hub = join(path, Role::Driver, options, long()).unwrap();
    let mut endpoint = hub.connect("echo", long()).unwrap();
    let wanted = options.features.has(Features::PACKED_RING);
    let agreed = hub.counters().agreed.features;
    assert_eq!(agreed.contains(&"packed-ring".to_owned()), wanted);
    let mut number = 0_u64;
    loop {
        match once(&endpoint, number) {
            Ok(()) => number += 1,
            Err(Error::PeerRestarted { .. } | Error::ServiceWithdrawn { .. }) => {
                endpoint.reopen(long()).unwrap();
            }
            Err(error) => panic!("driver: {error}"),
        }
        if number.is_multiple_of(STRIDE) {
            println!("{PROGRESS}{number}");
        }
    }
}

fn once(endpoint: &Endpoint, number: u64) -> Result<(), Error> {
    let payload: Vec<u8> = (0..60_u64)
        .flat_map(|at| (number ^ (at << 32)).to_le_bytes())
        .collect();
    endpoint.send(&payload, long())?;
    let answer = endpoint.recv(long())?;
    assert!(
        answer.payload == payload,
        "message {number} came back changed"
    );
    Ok(())
}

/// The device of a pool: sends every payload back.
fn echo_pool(path: &Path) {
    let hub = join(path, Role::Device, Options::default(), long()).unwrap();
    let mut pool = Pool::new(hub.serve("pool", forever()).unwrap()).unwrap();
    loop {
        let answered = pool.recv(forever()).and_then(|loan| {
            let bytes = loan.to_vec()?;
            loan.release()?;
            pool.send(&bytes, forever())
        });
        match answered {
            Ok(()) => {}
            Err(Error::PeerRestarted { .. }) => reopen(&mut pool),
            Err(error) => panic!("device: {error}"),
        }
    }
}

/// The driver of a pool: as [`drive`], with as many payloads under way as there are slots.
fn drive_pool(path: &Path) {
    let hub = join(path, Role::Driver, Options::default(), long()).unwrap();
    let mut pool = Pool::new(hub.connect("pool", long()).unwrap()).unwrap();
    let mut number = 0_u64;
    loop {
        match lend_all(&pool, number) {
            Ok(()) => number += 1,
            Err(Error::PeerRestarted { .. } | Error::ServiceWithdrawn { .. }) => reopen(&mut pool),
            Err(error) => panic!("driver: {error}"),
        }
        if number.is_multiple_of(POOL_STRIDE) {
            println!("{PROGRESS}{}", number / POOL_STRIDE * STRIDE);
        }
    }
}

fn lend_all(pool: &Pool, number: u64) -> Result<(), Error> {
    let payload = |part: u64| -> Vec<u8> {
        let words = (0..2_500_u64).map(|at| number ^ (part << 32) ^ (at << 40));
        words.flat_map(u64::to_le_bytes).collect()
    };
    for part in 0..SLOTS {
        pool.send(&payload(part.into()), long())?;
    }
    for part in 0..SLOTS {
        let loan = pool.recv(long())?;
        let same = loan.to_vec()? == payload(part.into());
        assert!(same, "payload {part} of round {number} came back changed");
    }
    Ok(())
}

/// Goes on with the next link: whatever was under way, every slot is there again. A peer that is killed once more may take
/// them away meanwhile.
fn reopen(pool: &mut Pool) {
    loop {
        let reopened = pool.reopen(long()).and_then(|()| {
            assert_eq!((pool.lent(), pool.held()), (0, 0));
            let drafts: Result<Vec<_>, _> = (0..SLOTS).map(|_| pool.reserve(long())).collect();
            drafts.map(drop)
        });
        match reopened {
            Ok(()) => return,
            Err(Error::PeerRestarted { .. } | Error::ServiceWithdrawn { .. }) => {}
            Err(error) => panic!("reopen: {error}"),
        }
    }
}

/// One side in a process of its own, which is killed when this is dropped or replaced.
struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    fn start(test: &str, role: &str, path: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "--nocapture", "--test-threads=1"])
            .arg(test)
            .env(ROLE, role)
            .env(PLACE, path)
            .stdout(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (said, lines) = mpsc::channel();
        // Ends with the process, or when nobody listens any more.
        thread::spawn(move || output.lines().try_for_each(|line| said.send(line.unwrap())));
        Process { child, lines }
    }

    /// Waits until the driver has come further by three strides: what it had said before a kill counts for none.
    fn see_progress(&mut self) {
        let (begun, mut first) = (Instant::now(), None);
        // Twice as long as the driver waits for anything.
        let left = || (2 * LONG).saturating_sub(begun.elapsed());
        while let Ok(line) = self.lines.recv_timeout(left()) {
            let Some((_, number)) = line.split_once(PROGRESS) else {
                continue;
            };
            let number: u64 = number.parse().unwrap();
            if number >= *first.get_or_insert(number) + 3 * STRIDE {
                return;
            }
        }
        panic!("the driver ended, or came no further");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Kill is SIGKILL: nothing of the process runs any more.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

struct Guard<'a>(&'a AtomicBool);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What it takes to have packed rings: that both sides want them.
fn packed() -> Options {
    let options = Options::default();
    Options {
        features: options.features.with(Features::PACKED_RING),
        ..options
    }
}

fn long() -> Limit<'static> {
    Limit::after(LONG)
}

fn forever() -> Limit<'static> {
    Limit::after(Duration::MAX)
}

const LONG: Duration = Duration::from_secs(60);
const ROLE: &str = "COREWARDEN_TEST_ROLE";
const PLACE: &str = "COREWARDEN_TEST_PLACE";
const PROGRESS: &str = "echoed ";
const STRIDE: u64 = 100;
const POOL_STRIDE: u64 = 2;
const SLOTS: u16 = 4;
const SYMMETRIC: Geometry = Geometry {
    descriptors: 256,
    buffer_size: 512,
    slots: 0,
    slot_size: 0,
    symmetric: true,
};
const KILLS: u32 = 20;
