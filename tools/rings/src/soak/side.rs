//! One of the two: sends and receives as fast as it can, in two threads, until it is told to stop or dies.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use corewarden::hub::{Endpoint, Options};
use corewarden::peer::{Role, join};
use corewarden::{Error, Limit};
use rpmsg::Features;
use rustix::process::{Signal, set_parent_process_death_signal};

use super::PATIENCE;
use super::board::{Board, Entry, Page};
use super::judge::Judge;
use super::message::{Message, Stream};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long, value_parser = role)]
    role: Role,
    /// Which of all processes it is.
    #[arg(long)]
    life: u32,
    #[arg(long)]
    folder: PathBuf,
    #[arg(long)]
    packed: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    // Nobody is left behind where the one who judges is gone.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let board = Board::open(&args.folder.join("board"))?;
    let page = board.page(args.life);
    page.write(Entry::IsDriver, u32::from(args.role == Role::Driver));
    let mut options = Options {
        // A peer that is slow is not one that speaks no generations.
        handshake: PATIENCE,
        ..Options::default()
    };
    if args.packed {
        options.features = options.features.with(Features::PACKED_RING);
    }
    let hub = join(&super::link(&args.folder), args.role, options, soon())?;
    let mut endpoint = match args.role {
        Role::Device => hub.serve(SERVICE, soon()),
        Role::Driver => hub.connect(SERVICE, soon()),
    }
    .context("the first link")?;
    let mut side = Side {
        role: args.role,
        life: args.life,
        board: &board,
        page,
        judge: Judge::default(),
    };
    while let End::Restart = side.talk(&endpoint)? {
        endpoint
            .reopen(soon())
            .context("the link after a restart")?;
    }
    page.write(Entry::Done, 1);
    // An end in order would be a restart to the other side, which may not be done with us: who started us ends us.
    loop {
        thread::park();
    }
}

/// One life.
struct Side<'a> {
    role: Role,
    life: u32,
    board: &'a Board,
    page: Page<'a>,
    judge: Judge,
}

/// Why a side no longer talks on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The last message went, or came.
    Finished,
    /// The other side started anew, and we were told.
    Restart,
}

impl Side<'_> {
    /// Sends and receives on one link until it ends.
    fn talk(&mut self, endpoint: &Endpoint) -> Result<End> {
        self.page.write(Entry::Sent, 0);
        self.page.write(Entry::Received, 0);
        self.page.add(Entry::Link, 1);
        let stream = Stream {
            life: self.life,
            link: self.page.read(Entry::Link),
        };
        self.judge.begin_link();
        let (begin, may_begin) = channel();
        if self.role == Role::Driver {
            begin.send(())?;
        }
        let (board, page) = (self.board, self.page);
        let call_off = &AtomicBool::new(false);
        thread::scope(|scope| {
            let sender = scope.spawn(move || {
                let sent = send(endpoint, stream, board, page, &may_begin, call_off);
                // Neither of the two goes on where the other found something wrong.
                call_off.fetch_or(sent.is_err(), Ordering::Relaxed);
                sent
            });
            let received = self.receive(endpoint, begin, call_off);
            call_off.fetch_or(received.is_err(), Ordering::Relaxed);
            let sent = sender.join();
            let received = received?;
            let sent = sent.map_err(|_| anyhow!("the sender panicked"))??;
            Ok(match (received, sent) {
                (End::Finished, End::Finished) => End::Finished,
                _ => End::Restart,
            })
        })
    }

    /// Judges every message until the last, or until a restart is told.
    fn receive(
        &mut self,
        endpoint: &Endpoint,
        begin: Sender<()>,
        call_off: &AtomicBool,
    ) -> Result<End> {
        loop {
            match endpoint.recv(soon().unless(call_off)) {
                Ok(packet) => {
                    let message = Message::read(&packet.payload)?;
                    let is_first = self.judge.stream().is_none();
                    self.judge.take(&message)?;
                    if is_first {
                        self.page.write(Entry::PeerLife, message.stream.life);
                        // A driver's sender began without this.
                        let _ = begin.send(());
                    }
                    self.page.write(Entry::Received, self.judge.accounted());
                    self.page.add(Entry::Total, 1);
                    if message.is_last {
                        return Ok(End::Finished);
                    }
                }
                Err(Error::MessagesLost { messages }) => {
                    let messages = u32::try_from(messages)?;
                    self.judge.lose(messages);
                    self.page.write(Entry::Received, self.judge.accounted());
                    self.page.add(Entry::Lost, messages);
                }
                Err(Error::PeerRestarted { .. }) => {
                    let ended = self.judge.stream().unwrap_or(Stream { life: 0, link: 0 });
                    self.page.write(Entry::EndedLife, ended.life);
                    self.page.write(Entry::EndedLink, ended.link);
                    self.page
                        .write(Entry::EndedReceived, self.judge.accounted());
                    self.page.add(Entry::Told, 1);
                    return Ok(End::Restart);
                }
                Err(error) => bail!(
                    "receiving from {:?} after {} messages: {error}",
                    self.judge.stream(),
                    self.judge.accounted()
                ),
            }
        }
    }
}

/// Sends batches of changing size until it is told to stop, or until a restart is told.
fn send(
    endpoint: &Endpoint,
    stream: Stream,
    board: &Board,
    page: Page<'_>,
    may_begin: &Receiver<()>,
    call_off: &AtomicBool,
) -> Result<End> {
    // A server hears from its client first; where it does not, a restart came between.
    if may_begin.recv().is_err() {
        return Ok(End::Restart);
    }
    let mut batch = vec![Vec::new(); LARGEST_BATCH];
    let mut number: u32 = 0;
    loop {
        let stopped = board.is_stopped();
        let size = match stopped {
            true => 1,
            false => (number as usize).wrapping_mul(11) % LARGEST_BATCH + 1,
        };
        for bytes in &mut batch[..size] {
            let message = Message {
                stream,
                number,
                is_last: stopped,
            };
            message.write(bytes);
            number += 1;
        }
        let payloads = batch[..size].iter().map(Vec::as_slice);
        match endpoint.send_all(payloads, soon().unless(call_off)) {
            Ok(()) => page.write(Entry::Sent, number),
            Err(Error::PeerRestarted { .. }) => return Ok(End::Restart),
            Err(error) => bail!("sending {stream:?} after {number} messages: {error}"),
        }
        if stopped {
            return Ok(End::Finished);
        }
    }
}

fn role(word: &str) -> Result<Role, String> {
    match word {
        "device" => Ok(Role::Device),
        "driver" => Ok(Role::Driver),
        word => Err(format!("{word} is neither device nor driver")),
    }
}

fn soon() -> Limit<'static> {
    Limit::after(PATIENCE)
}

const SERVICE: &str = "soak";
const LARGEST_BATCH: usize = 48;
