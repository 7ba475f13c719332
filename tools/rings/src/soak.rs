//! Two processes over one window, for as long as wanted, either of them killed without a warning again and again.
//!
//! Every message is numbered and has a checksum. A side that receives judges each one: it follows the one before it, on
//! this link, and nothing else does. Whoever holds the meeting kills one side after the other, puts a new process in its
//! place, and judges what the survivor says of it: it was told of one restart; what a device had published before it died
//! has arrived; and of what a driver had published at most so much is missing as the ring holds, which the link's life
//! cycle allows (rpmsg-lifecycle.md, L8). Each side writes what it has done to a board of its own, which outlives it.

mod board;
mod judge;
mod message;
mod side;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use corewarden::Access;
use corewarden::peer::{Meeting, Role};
use corewarden::place::Geometry;

use self::board::{Board, Entry, Page};
pub(crate) use self::side::{Args as SideArgs, run as side};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many messages have to arrive, both ways together.
    #[arg(long, default_value_t = 1_000_000)]
    messages: u32,
    /// How often one of the two is killed.
    #[arg(long, default_value_t = 6)]
    kills: u32,
    /// Over packed rings.
    #[arg(long)]
    packed: bool,
    /// With each side's buffers its own.
    #[arg(long)]
    symmetric: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let folder = tempfile::tempdir().context("a folder for the two to meet in")?;
    let geometry = Geometry {
        symmetric: args.symmetric,
        ..Geometry::default()
    };
    let meeting = Meeting::at(&link(folder.path()), geometry, Access::default())?;
    let board = Board::make(&folder.path().join("board"), args.kills.saturating_add(3))?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let host = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                meeting.attend(Duration::from_millis(20))?;
            }
            Ok::<_, corewarden::Error>(())
        });
        let watch = Watch {
            folder: folder.path(),
            board: &board,
            packed: args.packed,
            may_miss: match args.symmetric {
                true => 0,
                false => geometry.descriptors.into(),
            },
            begin: Instant::now(),
            said: Instant::now(),
            moved: (0, Instant::now()),
            kills: Kills::default(),
        };
        let outcome = watch.over(args);
        done.store(true, Ordering::Relaxed);
        let hosted = host.join();
        outcome?;
        hosted
            .map_err(|_| anyhow!("the meeting panicked"))?
            .context("the meeting")
    })
}

/// What is seen of the two, and who is there.
struct Watch<'a> {
    folder: &'a Path,
    board: &'a Board,
    packed: bool,
    /// How many messages of a killed driver may be missing: as many as the ring holds, but for a symmetric link, on which what
    /// was published is received (rpmsg-rings.md, R18).
    may_miss: u32,
    begin: Instant,
    said: Instant,
    /// How many messages had arrived when last something did.
    moved: (u64, Instant),
    kills: Kills,
}

/// What the kills cost.
#[derive(Default)]
struct Kills {
    devices: u32,
    drivers: u32,
    /// Messages of killed drivers that were still in the ring.
    in_ring: u64,
    /// The longest time from a kill until messages went both ways again.
    longest: Duration,
}

/// One side in a process of its own, which is killed when this goes.
struct Process {
    role: Role,
    life: u32,
    child: Child,
}

impl<'a> Watch<'a> {
    fn over(mut self, args: &Args) -> Result<()> {
        let mut sides = [self.start(Role::Device, 1)?, self.start(Role::Driver, 2)?];
        self.both_talk(&mut sides)?;
        for kill in 0..args.kills {
            let rounds = u64::from(args.kills) + 1;
            let target = u64::from(args.messages) * (u64::from(kill) + 1) / rounds;
            while self.received() < target {
                self.wait(&mut sides)?;
            }
            self.kill(&mut sides, kill)?;
        }
        while self.received() < u64::from(args.messages) {
            self.wait(&mut sides)?;
        }
        self.board.stop();
        while !sides
            .iter()
            .all(|side| self.page(side).read(Entry::Done) == 1)
        {
            self.wait(&mut sides)?;
        }
        self.sum_up(args)
    }

    /// Kills one side, replaces it, and judges what the other says of it.
    fn kill(&mut self, sides: &mut [Process; 2], kill: u32) -> Result<()> {
        let [victim, survivor] = match kill.is_multiple_of(2) {
            true => [0, 1],
            false => [1, 0],
        };
        let told = self.page(&sides[survivor]).read(Entry::Told);
        let when = Instant::now();
        sides[victim].end()?;
        let (role, life) = (sides[victim].role, sides[victim].life);
        let dead = self.page(&sides[victim]);
        sides[victim] = self.start(role, kill + 3)?;
        while self.page(&sides[survivor]).read(Entry::Told) == told {
            self.wait(sides)?;
        }
        let page = self.page(&sides[survivor]);
        let times = page.read(Entry::Told) - told;
        ensure!(
            times == 1,
            "one restart of {role:?} {life} was told {times} times"
        );
        let ended = (page.read(Entry::EndedLife), page.read(Entry::EndedLink));
        ensure!(
            ended == (life, dead.read(Entry::Link)),
            "a restart of {role:?} {life} ended link {} of {}",
            ended.1,
            ended.0
        );
        let (sent, received) = (dead.read(Entry::Sent), page.read(Entry::EndedReceived));
        let missing = judge::missing(role, sent, received, self.may_miss)?;
        self.kills.in_ring += u64::from(missing);
        match role {
            Role::Device => self.kills.devices += 1,
            Role::Driver => self.kills.drivers += 1,
        }
        self.both_talk(sides)?;
        self.kills.longest = self.kills.longest.max(when.elapsed());
        Ok(())
    }

    /// Waits until both have received on the link that there is now.
    fn both_talk(&mut self, sides: &mut [Process; 2]) -> Result<()> {
        while !sides.iter().all(|side| {
            let page = self.page(side);
            let of = sides.iter().find(|other| other.life != side.life);
            of.is_some_and(|of| page.read(Entry::PeerLife) == of.life)
                && page.read(Entry::Received) >= ENOUGH
        }) {
            self.wait(sides)?;
        }
        Ok(())
    }

    /// Looks again a little later: whether both are there, and whether anything moves.
    fn wait(&mut self, sides: &mut [Process; 2]) -> Result<()> {
        thread::sleep(LOOK);
        for side in sides {
            if let Some(status) = side.child.try_wait()? {
                bail!("{:?} {} ended with {status}", side.role, side.life);
            }
        }
        let received = self.received();
        if received != self.moved.0 {
            self.moved = (received, Instant::now());
        }
        ensure!(
            self.moved.1.elapsed() < PATIENCE,
            "nothing has arrived for {} s: a message or a ring of the doorbell was lost",
            PATIENCE.as_secs()
        );
        if self.said.elapsed() >= SAY {
            self.said = Instant::now();
            self.say();
        }
        Ok(())
    }

    fn say(&self) {
        let [to_device, to_driver] = self.ways();
        let time = self.begin.elapsed().as_secs_f64();
        let received = to_device + to_driver;
        let rate = received as f64 / time / 1e6;
        println!(
            "{time:6.0} s: {received} messages, {to_driver} to the driver and {to_device} to the device, \
             {rate:.2} million/s, {} kills",
            self.kills.devices + self.kills.drivers
        );
    }

    fn sum_up(&self, args: &Args) -> Result<()> {
        self.say();
        let told: u32 = self.pages().map(|page| page.read(Entry::Told)).sum();
        ensure!(
            told == args.kills,
            "{told} restarts were told, and {} were made",
            args.kills
        );
        let lost: u32 = self.pages().map(|page| page.read(Entry::Lost)).sum();
        let Kills {
            devices,
            drivers,
            in_ring,
            longest,
        } = self.kills;
        println!(
            "every message once, in order and whole; {devices} devices and {drivers} drivers killed, each told once to the \
             other side;"
        );
        println!(
            "of killed devices all they had published arrived, but for {lost} that were told as lost; {in_ring} of killed \
             drivers were in the ring;"
        );
        println!(
            "from a kill until messages went both ways again at most {} ms",
            longest.as_millis()
        );
        Ok(())
    }

    fn start(&self, role: Role, life: u32) -> Result<Process> {
        let word = match role {
            Role::Device => "device",
            Role::Driver => "driver",
        };
        let child = Command::new(std::env::current_exe()?)
            .args(["soak-side", "--role", word, "--life", &life.to_string()])
            .arg("--folder")
            .arg(self.folder)
            .args(self.packed.then_some("--packed"))
            .stdin(Stdio::null())
            .spawn()
            .context("a side does not start")?;
        Ok(Process { role, life, child })
    }

    fn page(&self, side: &Process) -> Page<'a> {
        self.board.page(side.life)
    }

    /// The pages of all lives so far.
    fn pages(&self) -> impl Iterator<Item = Page<'_>> {
        (1..self.board.lives()).map(|life| self.board.page(life))
    }

    fn received(&self) -> u64 {
        self.ways().iter().sum()
    }

    /// How many messages have arrived at devices, and at drivers.
    fn ways(&self) -> [u64; 2] {
        let mut ways = [0; 2];
        for page in self.pages() {
            let way = usize::from(page.read(Entry::IsDriver) == 1);
            ways[way] += u64::from(page.read(Entry::Total));
        }
        ways
    }
}

impl Process {
    /// SIGKILL: when this returns, nothing of the process runs any more.
    fn end(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where it cannot be killed it has ended already.
        let _ = self.end();
    }
}

/// Where the two meet.
fn link(folder: &Path) -> PathBuf {
    folder.join("link")
}

/// How often is looked at the two.
const LOOK: Duration = Duration::from_millis(5);
/// How often something is said.
const SAY: Duration = Duration::from_secs(2);
/// Far longer than anything takes on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);
/// So many messages make a link that works.
const ENOUGH: u32 = 300;
