//! What a hub counts, and what it shows of its traffic to whoever watches.

use serde::{Deserialize, Serialize};

use crate::agreement::Agreed;

/// Everything that a hub counted since it was made.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// `driver` or `device`.
    pub role: String,
    /// The present link's generation; 0 while there is none.
    pub generation: u32,
    /// What the present link's two sides agreed on, or those of the last one.
    #[serde(default)]
    pub agreed: Agreed,
    /// Links that began.
    pub links: u64,
    /// Links that ended because the peer restarted or broke them.
    pub restarts: u64,
    /// Messages received.
    pub received: Traffic,
    /// Messages sent.
    pub sent: Traffic,
    /// Times that the buffers ran out, so that somebody had to wait for one.
    pub no_buffer: u64,
    /// Batches published, each with one kick or none.
    pub batches: u64,
    /// Kicks, by us and by the peer.
    pub kicks: Kicks,
    /// Messages that broke a rule and were dropped.
    pub lies: u64,
    /// The last rule that was broken.
    pub last_lie: Option<String>,
    /// Messages for an address at which nobody listens.
    pub unclaimed: u64,
    /// The services that the peer has announced, and where.
    pub services: Vec<(String, u32)>,
    /// The endpoints that are open.
    pub endpoints: Vec<EndpointCounters>,
}

/// Messages in one direction.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// How many.
    pub messages: u64,
    /// Bytes of payload.
    pub bytes: u64,
}

impl Traffic {
    pub(super) fn add(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }
}

/// Doorbells.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Kicks {
    /// Rung by us.
    pub rung: u64,
    /// Left out because the peer asked for none.
    pub spared: u64,
    /// Times we woke from sleep because the peer rang.
    pub heard: u64,
}

/// One endpoint's share.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct EndpointCounters {
    /// Our address.
    pub address: u32,
    /// The service it uses or serves.
    pub service: Option<String>,
    /// Messages received.
    pub received: Traffic,
    /// Messages sent.
    pub sent: Traffic,
    /// Messages that wait to be taken.
    pub queued: usize,
    /// Messages that were dropped because the queue was full.
    pub lost: u64,
}

/// Something that went over the link, as a watcher sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// A message; the ring's own framing is not part of the payload.
    Message {
        /// Whether we sent it.
        outgoing: bool,
        /// Who sent it.
        source: u32,
        /// For whom.
        destination: u32,
        /// What it says.
        payload: &'a [u8],
    },
    /// A doorbell of ours, or one that woke us.
    Kick {
        /// Whether we rang.
        outgoing: bool,
    },
    /// A link begins.
    Up,
    /// The link is over.
    Down,
}

/// Whoever watches: the link's generation, and what was seen.
pub type Watcher = Box<dyn FnMut(u32, Seen<'_>) + Send>;
