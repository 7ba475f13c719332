//! Each command, from its arguments to its report.

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use platform::{Core, Platform};
use ta_protocol::{CoreState, MAX_WHOLE_FILE};

use super::arguments::{Arguments, Attach, Command, Load, Wait};
use super::failure::Failure;
use super::link::Link;
use super::machine::Machine;
use super::meter::Meter;
use super::ping::Ping;
use super::report::{
    AttachReport, CoreReport, LoadReport, Report, ServiceReport, StatusReport, TableReport,
};
use crate::error::Error;
use crate::limit::Limit;
use crate::place::Target;
use crate::ta::{Client, Transport};

/// Does a command. The flag ends all waiting.
///
/// # Errors
/// A failure with its exit code.
pub fn run(
    arguments: &Arguments,
    machine: &mut dyn Machine,
    interrupted: &AtomicBool,
) -> Result<Report, Failure> {
    let job = Job {
        arguments,
        interrupted,
    };
    match &arguments.command {
        Command::Status => job.status(machine),
        Command::Load(load) => job.load(machine, load),
        Command::Start(wait) => job.start(machine, wait),
        Command::Stop(wait) => job.stop(machine, wait),
        Command::Release => job.release(machine),
        Command::Attach(attach) => job.attach(machine, attach),
        Command::RscTable => job.table(machine),
        Command::Serve(serve) => job.serve(machine, &serve.config),
        Command::Top(top) => job.top(top),
        Command::Capture(capture) => job.capture(capture),
        Command::Completions { .. } => Err(Failure::usage(
            "completions are printed by the program itself".to_owned(),
        )),
    }
}

pub(super) struct Job<'a> {
    pub(super) arguments: &'a Arguments,
    pub(super) interrupted: &'a AtomicBool,
}

type Session = Client<Box<dyn Transport>>;

impl<'a> Job<'a> {
    fn status(&self, machine: &mut dyn Machine) -> Result<Report, Failure> {
        let mut client = self.open(machine)?;
        let (version, state) = (client.version()?, client.state()?);
        let roots = client.trusted_roots()?;
        // What it says of the secure world needs no file; what programs predict from it does.
        let platform = read_platform(&self.arguments.platform).ok();
        let report = StatusReport::new(&state, version, &roots, platform.as_ref());
        Ok(Report::Status(Box::new(report)))
    }

    fn load(&self, machine: &mut dyn Machine, load: &Load) -> Result<Report, Failure> {
        let unreadable = |error| Failure::bundle_unreadable(&load.file, &error);
        let mut file = File::open(&load.file).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
        }
        if load.whole && metadata.len() > MAX_WHOLE_FILE.into() {
            let message = format!(
                "{} bytes are more than the {MAX_WHOLE_FILE} that go in one piece: load without --whole",
                metadata.len()
            );
            return Err(Failure::usage(message));
        }
        // Reading a file is no part of the command: what is timed is the Trusted Application.
        let whole = match load.whole {
            true => Some(fs::read(&load.file).map_err(unreadable)?),
            false => None,
        };
        let mut client = self.open(machine)?;
        let start = Instant::now();
        let meter = Meter::show("loading");
        let loaded = if let Some(bytes) = whole {
            client.load_whole(&bytes)
        } else {
            let limit = Limit::after(Duration::MAX).unless(self.interrupted);
            client.load(&mut file, limit, |progress| {
                meter.progress(progress.done, progress.total);
            })
        };
        drop(meter);
        let name = load.file.display().to_string();
        loaded.map_err(|error| Failure::from(error).about(&name))?;
        let milliseconds = milliseconds(start);
        let state = client.state()?;
        let report = LoadReport::new(&state, name, metadata.len(), milliseconds);
        Ok(Report::Load(report))
    }

    fn start(&self, machine: &mut dyn Machine, wait: &Wait) -> Result<Report, Failure> {
        let mut client = self.open(machine)?;
        let start = Instant::now();
        let _meter = Meter::show("waiting for the core to start");
        let state = client.start(self.limit(wait.timeout))?;
        let report = CoreReport::new(&state, "start", milliseconds(start));
        Ok(Report::Core(report))
    }

    fn stop(&self, machine: &mut dyn Machine, wait: &Wait) -> Result<Report, Failure> {
        let mut client = self.open(machine)?;
        let start = Instant::now();
        let _meter = Meter::show("waiting for the core to stop");
        let state = client.stop(self.limit(wait.timeout))?;
        let report = CoreReport::new(&state, "stop", milliseconds(start));
        Ok(Report::Core(report))
    }

    fn release(&self, machine: &mut dyn Machine) -> Result<Report, Failure> {
        let mut client = self.open(machine)?;
        let start = Instant::now();
        client.release()?;
        let took = milliseconds(start);
        let report = CoreReport::new(&client.state()?, "release", took);
        Ok(Report::Core(report))
    }

    fn table(&self, machine: &mut dyn Machine) -> Result<Report, Failure> {
        let mut client = self.open(machine)?;
        let table = client.master_table()?;
        let report = TableReport::new(client.core(), &table)?;
        Ok(Report::Table(report))
    }

    fn attach(&self, machine: &mut dyn Machine, attach: &Attach) -> Result<Report, Failure> {
        let platform = read_platform(&self.arguments.platform)?;
        let core = self.core_of(&platform)?;
        let mut client = self.open(machine)?;
        let state = client.state()?;
        if state.state != CoreState::Running {
            let error = Error::CoreState {
                found: state.state,
                wanted: CoreState::Running,
            };
            return Err(error.into());
        }
        let master = client.master_table()?;
        drop(client);
        let target = Target {
            core,
            master: &master.bytes,
            starts: state.start_counter,
            device: 0,
            handshake: Duration::from_millis(attach.timeout),
        };
        let _meter = Meter::show("talking to the firmware");
        let start = Instant::now();
        let (window, doorbell) = (machine.window(core)?, machine.doorbell(core)?);
        // The handshake may use up its own time and the rest still has some.
        let limit = self.limit(attach.timeout.saturating_mul(2));
        let link = Link::attach(&target, window, doorbell, limit)?;
        let took = milliseconds(start);
        match attach.ping {
            Some(count) => self.ping(link, attach, count),
            None => self.list(&link, attach, took),
        }
    }

    /// Attaches, and waits a moment for announcements.
    fn list(&self, link: &Link, attach: &Attach, took: f64) -> Result<Report, Failure> {
        let limit = self.limit(attach.timeout.min(LISTEN));
        match link.service(NO_SERVICE, limit) {
            Ok(_) | Err(Error::TimeLimit { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let report = AttachReport {
            core: self.arguments.core,
            generation: link.generation,
            agreed: link.agreed.clone(),
            milliseconds: took,
            services: link
                .hub
                .services()
                .iter()
                .map(ServiceReport::from)
                .collect(),
            oddities: link.oddities(),
        };
        Ok(Report::Attach(report))
    }

    fn ping(&self, link: Link, attach: &Attach, count: u32) -> Result<Report, Failure> {
        let service = link.service(&attach.service, self.limit(attach.timeout))?;
        let mut ping = Ping::new(link, service, attach.size);
        for _ in 0..count {
            ping.once(self.limit(attach.timeout))?;
        }
        Ok(Report::Ping(ping.end(self.arguments.core)))
    }

    fn open(&self, machine: &mut dyn Machine) -> Result<Session, Failure> {
        let transport = machine.transport()?;
        Ok(Client::open(transport, self.arguments.core)?)
    }

    fn core_of<'p>(&self, platform: &'p Platform) -> Result<&'p Core, Failure> {
        let core = self.arguments.core;
        let found = platform.core(core).ok_or(Error::PlatformCore { core });
        found.map_err(|error| {
            Failure::from(error).about(&self.arguments.platform.display().to_string())
        })
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    pub(super) fn limit(&self, milliseconds: u64) -> Limit<'a> {
        Limit::after(Duration::from_millis(milliseconds)).unless(self.interrupted)
    }
}

pub(super) fn read_platform(path: &Path) -> Result<Platform, Failure> {
    let text =
        fs::read_to_string(path).map_err(|error| Failure::platform_unreadable(path, &error))?;
    let file: platform::File =
        toml::from_str(&text).map_err(|error| Failure::platform_wrong(path, error))?;
    Platform::try_from(file).map_err(|error| Failure::platform_wrong(path, error))
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_micros() as f64 / 1000.0
}

/// How long `attach` without a ping listens for announcements.
const LISTEN: u64 = 500;
/// A name that no firmware announces: waiting for it is listening.
const NO_SERVICE: &str = "~";
