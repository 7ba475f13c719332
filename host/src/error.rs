//! Every way in which the library can fail, with the numbers, and what to do about it.

use core::fmt;

use rpmsg::RestartSign;
use ta_protocol::{Command, CoreState, Status};

use crate::client::Reason;
use crate::ta::Origin;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The TA's answer is not what its interface promises.
    #[error("the TA's answer to {command} is malformed: {error}")]
    AnswerMalformed {
        /// The command.
        command: Command,
        /// What is wrong with the answer.
        error: ta_protocol::Error,
    },
    /// The firmware stopped by itself, or did not come up.
    #[error("the core crashed")]
    CoreCrashed,
    /// The core is in another state than the call needs.
    #[error("the core is {found}, not {wanted}")]
    CoreState {
        /// The core's state.
        found: CoreState,
        /// The state the call needs.
        wanted: CoreState,
    },
    /// Another driver has taken the link over, and we keep away for a while: two would take it from each other for ever.
    #[error("another driver has taken over the link of generation {generation:#x}")]
    Displaced {
        /// The generation that is gone.
        generation: u32,
    },
    /// The doorbell failed.
    #[error("cannot {operation} the doorbell: {}", ErrnoText(*errno))]
    Doorbell {
        /// What was tried.
        operation: DoorbellOperation,
        /// The system's reason.
        errno: i32,
    },
    /// No virtio-serial port has the name that the platform file gives.
    #[error("there is no virtio-serial port of the doorbell's name")]
    DoorbellMissing,
    /// The endpoint was closed to be opened anew, which failed.
    #[error("the endpoint is closed: it could not be opened anew")]
    EndpointClosed,
    /// The firmware bundle cannot be read.
    #[error("cannot read the firmware bundle: {}", ErrnoText(*errno))]
    FileRead {
        /// The system's reason.
        errno: i32,
    },
    /// The file does not have the bytes that the TA asks for; the file shrank, or the answer is wrong.
    #[error("the TA asks for {length} bytes at {offset} of a file of {file}")]
    FileRange {
        /// Where.
        offset: u64,
        /// How many.
        length: u64,
        /// The file's length.
        file: u64,
    },
    /// The TA does not come to an end with a file: it asked for more than the file has.
    #[error("the TA asked for {asked} bytes of a file of {file}")]
    FileTwice {
        /// Bytes asked for so far.
        asked: u64,
        /// The file's length.
        file: u64,
    },
    /// The caller's flag called the waiting off.
    #[error("interrupted")]
    Interrupted,
    /// What was handed out at a meeting is not a window and a doorbell.
    #[error("what was handed out is no window with a doorbell")]
    Invitation,
    /// The meeting is of another version than we are.
    #[error("the meeting hands out version {} of a link, and we know version 3", version.escape_ascii())]
    InvitationVersion {
        /// The last byte of its magic, a digit.
        version: u8,
    },
    /// The peer's rings broke a rule, which ended the link; a new one begins, after a pause where the last one broke soon, too.
    #[error("the peer broke the link: {0}")]
    LinkBroken(rpmsg::Error),
    /// Messages came faster than they were taken, and the endpoint's queue was full.
    #[error("{messages} messages were lost: they came faster than they were taken")]
    MessagesLost {
        /// How many.
        messages: u64,
    },
    /// The endpoint has nobody to send to yet: nobody has sent to it.
    #[error("the endpoint at {address} does not know yet whom to send to")]
    NoPeer {
        /// The endpoint's address.
        address: u32,
    },
    /// The link's place has no room for payloads beyond a buffer.
    #[error("the link has no pools")]
    NoPool,
    /// The firmware has no resource table, or no RPMsg device in it.
    #[error("the firmware has no RPMsg device")]
    NoRpmsgDevice,
    /// The secure world cannot be reached, or has no TA of ours.
    #[error("no TA to talk to: {origin} says {}", CodeText(*code))]
    NoTa {
        /// The code.
        code: u32,
        /// Who gave it.
        origin: Origin,
    },
    /// This build is for a machine that has no TEE client library.
    #[error("this build has no TEE client")]
    NoTeeClient,
    /// The core, or its firmware, started again: what was opened before is gone.
    #[error("the peer restarted: the link of generation {generation:#x} is gone{}", SignText(*sign))]
    PeerRestarted {
        /// The generation that is gone.
        generation: u32,
        /// How that was seen; `None` where it had been seen before.
        sign: Option<RestartSign>,
    },
    /// The pool, a notice of the peer's or a payload breaks a rule (rpmsg-pool.md).
    #[error("the pool: {0}")]
    Pool(rpmsg_pool::Error),
    /// The endpoint's queue could lose notices of a pool.
    #[error("an endpoint of this pool needs a queue of {needed} messages, not {queue}")]
    PoolQueue {
        /// Messages that may wait.
        queue: usize,
        /// Notices that may come.
        needed: usize,
    },
    /// The link's pools were taken into use before, and live as long as the link (rpmsg-pool.md, P10).
    #[error("the pools of this link are in use, or were")]
    PoolTaken,
    /// The platform file breaks a rule.
    #[error("the platform file is wrong: {0}")]
    Platform(platform::Error),
    /// The platform file has no core of this number.
    #[error("the platform file has no core {core}")]
    PlatformCore {
        /// The number.
        core: u32,
    },
    /// The TA refused, and said why.
    #[error("the TA refused {request}: {}", .status.explain(*first, *second))]
    Refused {
        /// What was asked.
        request: Request,
        /// Why.
        status: Status,
        /// The reason's first number.
        first: u64,
        /// The reason's second number.
        second: u64,
    },
    /// A request was refused with a code that is not in our list.
    #[error("{request} failed: {origin} says {}", CodeText(*code))]
    RefusedUnnamed {
        /// What was asked.
        request: Request,
        /// The code.
        code: u32,
        /// Who gave it.
        origin: Origin,
    },
    /// The master resource table breaks a rule.
    #[error("the resource table is wrong: {0}")]
    ResourceTable(resource_table::Error),
    /// The rings, or a message, break a rule.
    #[error("RPMsg: {0}")]
    Rpmsg(rpmsg::Error),
    /// The server ended the connection.
    #[error("the server ended the connection: {reason}")]
    ServerClosed {
        /// Why.
        reason: Reason,
    },
    /// The peer withdrew the service that the endpoint uses.
    #[error("the service at address {address} was withdrawn")]
    ServiceWithdrawn {
        /// Where it was.
        address: u32,
    },
    /// A Unix socket failed.
    #[error("cannot {operation}: {}", ErrnoText(*errno))]
    Socket {
        /// What was tried.
        operation: SocketOperation,
        /// The system's reason.
        errno: i32,
    },
    /// A pseudo-terminal failed.
    #[error("cannot {operation} the terminal: {}", ErrnoText(*errno))]
    Terminal {
        /// What was tried.
        operation: TerminalOperation,
        /// The system's reason.
        errno: i32,
    },
    /// Nothing happened in time.
    #[error("{waiting}: nothing for {milliseconds} ms")]
    TimeLimit {
        /// What was waited for.
        waiting: Waiting,
        /// How long.
        milliseconds: u64,
    },
    /// Shared memory cannot be mapped.
    #[error("cannot {operation}: {}", ErrnoText(*errno))]
    Window {
        /// What was tried.
        operation: WindowOperation,
        /// The system's reason.
        errno: i32,
    },
    /// The window is smaller than the platform file says.
    #[error("the shared window has {found:#x} bytes, the platform file says {needed:#x}")]
    WindowSize {
        /// Bytes mapped.
        found: u32,
        /// Bytes of the platform file.
        needed: u64,
    },
}

impl Error {
    /// What to do about it, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match *self {
            Error::Refused {
                status: Status::BadState,
                first,
                ..
            } => hint_for_state(first),
            Error::Refused { status, .. } => hint_for(status),
            Error::NoTa { code, .. } => Some(match code {
                ACCESS_DENIED => {
                    "may this user open /dev/tee0? root, or a member of the group `tee`, may"
                }
                ITEM_NOT_FOUND => "is OP-TEE running (/dev/tee0) and built with the early TA?",
                OUT_OF_MEMORY => "the secure world ran out of memory; try again",
                TARGET_DEAD => {
                    "the TA panicked; a new session finds it restarted: see `corewarden status`"
                }
                _ => "is OP-TEE running (/dev/tee0) and built with the early TA?",
            }),
            Error::NoTeeClient => Some("build for aarch64-unknown-linux-gnu to talk to OP-TEE"),
            Error::CoreCrashed => Some("stop the core, and load its firmware anew"),
            Error::CoreState {
                wanted: CoreState::Running,
                ..
            } => Some("load and start the firmware first"),
            Error::Doorbell {
                operation: DoorbellOperation::Open,
                errno: EBUSY,
            } => Some("another program is attached to this core; one can be at a time"),
            Error::DoorbellMissing => {
                Some("see /sys/class/virtio-ports/*/name, and the platform file")
            }
            Error::EndpointClosed => Some("open the endpoint anew once more"),
            Error::Invitation => Some("is it a meeting of corewarden that listens there?"),
            Error::InvitationVersion { .. } => {
                Some("both programs have to be of the same version of corewarden")
            }
            Error::Socket {
                operation: SocketOperation::Lock,
                errno: EAGAIN,
            } => Some("another process listens there; one can at a time"),
            Error::Socket {
                operation: SocketOperation::Connect,
                ..
            } => Some("does the one who listens run, and may this user write to its socket?"),
            Error::NoRpmsgDevice => {
                Some("the firmware must have a virtio device of id 7 in its resource table")
            }
            Error::Displaced { .. } => Some("one program can drive a link at a time"),
            Error::LinkBroken(_) | Error::PeerRestarted { .. } => {
                Some("attach again, or open the endpoint anew")
            }
            Error::MessagesLost { .. } => Some("take messages sooner, or give the queue more room"),
            Error::NoPeer { .. } => Some("wait for a message first, or name the address"),
            Error::TimeLimit { waiting, .. } => match waiting {
                Waiting::CoreToStart | Waiting::CoreToStop => Some("see `corewarden status`"),
                _ => Some(
                    "is the firmware running and does it serve its rings? see `corewarden status`",
                ),
            },
            Error::Window { .. } => {
                Some("mapping shared memory takes root, and a kernel with /dev/mem")
            }
            _ => None,
        }
    }
}

/// What the TA was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// One of its commands.
    Command(Command),
    /// A session for a core.
    OpenSession,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Command(command) => write!(f, "{command}"),
            Request::OpenSession => f.write_str("to open a session"),
        }
    }
}

macro_rules! named {
    ( $( #[$outer:meta] )* pub enum $Name:ident { $( #[$inner:meta] $Variant:ident => $text:literal, )+ } ) => {
        $( #[$outer] )*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $Name { $( #[$inner] $Variant, )+ }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $( $Name::$Variant => $text, )+ })
            }
        }
    };
}

named! {
    /// What was tried with a doorbell.
    pub enum DoorbellOperation {
        /// Opening it.
        Open => "open",
        /// Ringing.
        Ring => "ring",
        /// Waiting for the other side to ring.
        Wait => "wait at",
    }
}

named! {
    /// What was tried with a Unix socket.
    pub enum SocketOperation {
        /// Taking in a client.
        Accept => "accept at the socket",
        /// Giving it its place, owner and mode.
        Bind => "listen at the socket",
        /// Reaching the one who listens.
        Connect => "connect to the socket",
        /// Being the only one at that place.
        Lock => "be the only one at the socket",
        /// Taking a packet.
        Receive => "receive from the socket",
        /// Sending a packet.
        Send => "send to the socket",
    }
}

named! {
    /// What was tried with a pseudo-terminal.
    pub enum TerminalOperation {
        /// Giving it its name in the folder.
        Name => "name",
        /// Making it, with its owner and mode.
        Open => "open",
        /// Taking what was written to it.
        Read => "read",
        /// Giving it something to be read.
        Write => "write to",
    }
}

named! {
    /// What was tried with shared memory.
    pub enum WindowOperation {
        /// Making memory for one.
        Create => "make shared memory",
        /// Mapping it.
        Map => "map shared memory",
        /// Opening the file it is mapped from.
        Open => "open /dev/mem",
        /// Taking over what another process made.
        TakeOver => "use the other side's shared memory",
        /// Finding and opening a UIO device.
        Uio => "open the UIO device",
    }
}

named! {
    /// What a caller waited for.
    pub enum Waiting {
        /// The firmware comes up.
        CoreToStart => "waiting for the core to start",
        /// The core halts and its memory is wiped.
        CoreToStop => "waiting for the core to stop",
        /// A link with the peer begins.
        Link => "waiting for the link to come up",
        /// The one who holds a meeting answers.
        Invitation => "waiting for the window",
        /// The TA takes the bundle.
        Load => "loading",
        /// A message comes.
        Message => "waiting for a message",
        /// The peer lends something.
        Loan => "waiting for a loan",
        /// The peer gives a buffer back.
        SendBuffer => "waiting for a free buffer",
        /// The peer announces a service.
        Service => "waiting for the service to be announced",
        /// The peer gives a slot of the pool back.
        Slot => "waiting for a free slot",
    }
}

/// The system's words for an error number.
struct ErrnoText(i32);

impl fmt::Display for ErrnoText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("it ended too early"),
            errno => fmt::Display::fmt(&std::io::Error::from_raw_os_error(errno), f),
        }
    }
}

/// How a restart was seen.
struct SignText(Option<RestartSign>);

impl fmt::Display for SignText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            None => "",
            Some(RestartSign::Generation) => " (the firmware says so)",
            Some(RestartSign::IndexBackwards) => " (inferred: an index went backwards)",
            Some(RestartSign::RingZeroed) => " (inferred: a ring was zeroed)",
            Some(RestartSign::StatusReset) => " (the driver was reset)",
            Some(RestartSign::TableCleared) => {
                " (another firmware was loaded, or another driver attached)"
            }
        })
    }
}

/// A command refused in a state says which one it was (ta-api.md 6).
fn hint_for_state(number: u64) -> Option<&'static str> {
    let state = CoreState::from_number(u32::try_from(number).ok()?)?;
    Some(match state {
        CoreState::Off => "the core is off: load firmware first",
        CoreState::Loading => {
            "a load is under way: wait for it, or until it is given up after 30 s"
        }
        CoreState::Loaded => "firmware is loaded and not started: start it, or release it first",
        CoreState::Starting => "the core is starting: wait a moment",
        CoreState::Running => "the core is running: stop it first",
        CoreState::Crashed => "the core crashed: stop it first",
        CoreState::Stopping => "the core is stopping: wait a moment",
    })
}

/// GlobalPlatform's word for a code, where users meet it.
struct CodeText(u32);

impl fmt::Display for CodeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            ACCESS_DENIED => "access denied",
            BUSY => "busy",
            COMMUNICATION => "communication failed",
            ITEM_NOT_FOUND => "not found",
            OUT_OF_MEMORY => "out of memory",
            TARGET_DEAD => "the TA panicked",
            code => return write!(f, "{code:#x}"),
        };
        write!(f, "{name} ({:#x})", self.0)
    }
}

fn hint_for(status: Status) -> Option<&'static str> {
    Some(match status {
        Status::AttachOnly => {
            "the platform file gives this core's control to somebody else; attach still works"
        }
        Status::BareElf | Status::NotABundle => {
            "sign it: corewarden-sign sign; strip before signing, not after"
        }
        Status::LegacyFormat => "sign it anew: corewarden-sign sign",
        Status::LoadInProgress => "wait for the other load, or until it is given up after 30 s",
        Status::LoginNotAllowed => "the platform file says which logins may use this core",
        Status::OtherBundleLoaded => "release what is loaded first: corewarden release",
        Status::OtherCore => "sign it for this core, or pass --core",
        Status::TooManySessions => "close another session first",
        Status::UnknownCore => "see the platform file for the cores there are",
        Status::UnknownRoot => {
            "sign with a chain of a root that the device trusts: corewarden status lists them"
        }
        Status::VersionAboveCeiling => {
            "the signer's certificate has a ceiling; sign with one that has a higher one"
        }
        Status::TableUnknown => "the TA did not load this core: load and start its firmware",
        _ => return None,
    })
}

const ACCESS_DENIED: u32 = 0xffff_0001;
/// What Linux says to the second one who opens a virtio-serial port.
const EBUSY: i32 = 16;
/// What Linux says to whoever finds a lock taken.
const EAGAIN: i32 = 11;
const BUSY: u32 = 0xffff_000d;
const COMMUNICATION: u32 = 0xffff_000e;
const ITEM_NOT_FOUND: u32 = 0xffff_0008;
const OUT_OF_MEMORY: u32 = 0xffff_000c;
const TARGET_DEAD: u32 = 0xffff_3024;
