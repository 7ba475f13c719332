//! `serve`, and the two commands that ask a server: `top` and `capture`.

use std::fs::{self, DirBuilder, File};
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, Instant};

use platform::Platform;
use rustix::net::Shutdown;
use ta_protocol::CoreState;

use super::arguments::{Capture, Top};
use super::commands::{Job, read_platform};
use super::failure::Failure;
use super::machine::{Machine, ThisMachine};
use super::report::{CaptureReport, Report, ServeReport, TopReport};
use crate::agreement::KNOWN;
use crate::doorbell::readable;
use crate::error::{Error, Waiting};
use crate::hub::{Counters, Hub, Options};
use crate::limit::Limit;
use crate::peer::join;
use crate::place::{Place, Target};
use crate::serve::{CAPTURE, COUNTERS, Config, Link, Server};
use crate::shared_memory::Window;
use crate::socket::{connect, receive, send};
use crate::ta::Client;

impl Job<'_> {
    pub(super) fn serve(&self, machine: &mut dyn Machine, file: &Path) -> Result<Report, Failure> {
        let name = file.display().to_string();
        let text = fs::read_to_string(file).map_err(|error| Failure::unreadable(file, &error))?;
        let config = Config::parse(&text)
            .map_err(|wrong| Failure::file_wrong(format!("{name}: {wrong}")))?;
        // Whatever the umask is: who may write there could put sockets of their own in the place of ours.
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&config.folder);
        made.map_err(|error| Failure::unreadable(&config.folder, &error))?;
        let hub = match &config.link {
            Link::Core(core) => self.hub_of(machine, *core, &config)?,
            Link::Meeting(place, role) => {
                let joined = join(place, *role, options(&config), self.limit(JOIN));
                joined.map_err(|error| Failure::from(error).about(&place.display().to_string()))?
            }
        };
        let mut server = Server::new(&config, hub.clone())
            .map_err(|(error, path)| Failure::from(error).about(&path.display().to_string()))?;
        let start = Instant::now();
        server.run(self.interrupted)?;
        let report = ServeReport {
            seconds: start.elapsed().as_secs(),
            clients: server.clients(),
            counters: hub.counters(),
        };
        Ok(Report::Serve(Box::new(report)))
    }

    /// A hub that attaches to a core, and asks the TA anew at each attach: another image may run by then.
    fn hub_of(&self, machine: &mut dyn Machine, id: u32, config: &Config) -> Result<Hub, Failure> {
        let platform = read_platform(&self.arguments.platform)?;
        let core = platform.core(id).ok_or(Error::PlatformCore { core: id })?;
        // A machine without a TA will never have one; a core that does not run may do so later.
        drop(Client::open(machine.transport()?, id)?);
        let (window, bell) = (machine.window(core)?, machine.doorbell(core)?);
        let options = options(config);
        let find = move |window: &Window| find(&platform, id, window, options.handshake);
        Ok(Hub::driver(find, window, bell, options)?)
    }

    pub(super) fn top(&self, top: &Top) -> Result<Report, Failure> {
        let ask = || -> Result<Counters, Failure> {
            counters(&top.control, self.limit(ANSWER)).map_err(|error| about(error, &top.control))
        };
        let mut report = TopReport::new(ask()?);
        if !self.arguments.json && io::stdout().is_terminal() {
            loop {
                let mut out = io::stdout().lock();
                let drawn = write!(out, "\x1b[H\x1b[J{report}").and_then(|()| out.flush());
                drop(out);
                let since = Instant::now();
                let pause = Limit::after(Duration::from_millis(top.every)).unless(self.interrupted);
                while let Ok(slice) = pause.slice(Duration::from_millis(50), Waiting::Message) {
                    std::thread::sleep(slice);
                }
                // A terminal that is gone needs nothing any more.
                if drawn.is_err() || self.is_interrupted() {
                    break;
                }
                report = report.next(ask()?, since.elapsed());
            }
        }
        Ok(Report::Top(Box::new(report)))
    }

    pub(super) fn capture(&self, capture: &Capture) -> Result<Report, Failure> {
        let about = |error| about(error, &capture.control);
        // First, so that nothing is overwritten where there is nothing to capture.
        let server = connect(&capture.control).map_err(about)?;
        send(&server, CAPTURE, &[]).map_err(about)?;
        let to_stdout = capture.file == Path::new("-");
        let mut file: Box<dyn Write> = if to_stdout {
            Box::new(io::stdout())
        } else {
            let file = File::create(&capture.file);
            Box::new(file.map_err(|error| Failure::unwritable(&capture.file, &error))?)
        };
        let mut limit = Limit::after(Duration::MAX).unless(self.interrupted);
        let mut packets = 0;
        let mut header = true;
        while capture.packets.is_none_or(|wanted| packets < wanted) {
            let block = match packet(&server, limit) {
                Ok(Some(block)) => block,
                // What there is is a whole capture.
                Ok(None) => break,
                // Ctrl-C: what has come is taken, and nothing comes behind it.
                Err(Error::Interrupted) => {
                    // Where that fails the server is gone, and its end comes by itself.
                    let _ = rustix::net::shutdown(&server, Shutdown::Read);
                    limit = Limit::after(Duration::from_millis(ANSWER));
                    continue;
                }
                Err(error) => return Err(about(error)),
            };
            let written = file.write_all(&block).and_then(|()| file.flush());
            written.map_err(|error| Failure::unwritable(&capture.file, &error))?;
            packets += u64::from(!header);
            header = false;
        }
        Ok(Report::Capture(CaptureReport {
            file: capture.file.display().to_string(),
            packets,
            quiet: to_stdout,
        }))
    }
}

/// Where the link of the firmware is that runs now.
fn find(
    platform: &Platform,
    id: u32,
    window: &Window,
    handshake: Duration,
) -> Result<Place, Error> {
    let core = platform.core(id).ok_or(Error::PlatformCore { core: id })?;
    let mut client = Client::open(ThisMachine::default().transport()?, id)?;
    let state = client.state()?;
    if state.state != CoreState::Running {
        return Err(Error::CoreState {
            found: state.state,
            wanted: CoreState::Running,
        });
    }
    let master = client.master_table()?;
    let target = Target {
        core,
        master: &master.bytes,
        starts: state.start_counter,
        device: 0,
        handshake,
    };
    Place::find(&target, window)
}

fn options(config: &Config) -> Options {
    Options {
        features: KNOWN,
        queue: config.queue,
        // The loop of a server sleeps at many doors at once.
        spin: Duration::ZERO,
        ..Options::default()
    }
}

fn counters(control: &Path, limit: Limit<'_>) -> Result<Counters, Error> {
    let server = connect(control)?;
    send(&server, COUNTERS, &[])?;
    let document = packet(&server, limit)?.unwrap_or_default();
    serde_json::from_slice(&document).map_err(|_| Error::Invitation)
}

/// The server's next packet; `None` at its end.
fn packet(server: &OwnedFd, limit: Limit<'_>) -> Result<Option<Vec<u8>>, Error> {
    let mut room = vec![0; LONGEST];
    loop {
        let slice = limit.slice(Duration::from_millis(100), Waiting::Message)?;
        if !readable(&[server.as_fd()], slice)? {
            continue;
        }
        match receive(server, &mut room)? {
            Some(packet) if packet.length == 0 => return Ok(None),
            Some(packet) => {
                room.truncate(packet.length);
                return Ok(Some(room));
            }
            None => {}
        }
    }
}

fn about(error: Error, path: &Path) -> Failure {
    Failure::from(error).about(&path.display().to_string())
}

/// How long to wait for the one who holds the meeting, in milliseconds.
const JOIN: u64 = 5000;
/// How long a server may take to answer.
const ANSWER: u64 = 5000;
/// The largest packet of a server.
const LONGEST: usize = 0x4_0000;
