//! What the TA answers, with types.

use ta_protocol::{Root, Status, capability};

/// What a TA can do beyond the commands of today's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(pub(super) u32);

impl Capabilities {
    /// It takes a bundle in pieces.
    #[must_use]
    pub fn streaming(self) -> bool {
        self.0 & capability::STREAMING_LOAD != 0
    }

    /// It gives out the master resource table.
    #[must_use]
    pub fn master_table(self) -> bool {
        self.0 & capability::MASTER_TABLE != 0
    }

    /// It loads only where the platform isolates the core.
    #[must_use]
    pub fn isolation_enforced(self) -> bool {
        self.0 & capability::ISOLATION_ENFORCED != 0
    }

    /// It is a test build, never to be shipped.
    #[must_use]
    pub fn test_build(self) -> bool {
        self.0 & capability::TEST_BUILD != 0
    }

    /// The bits as they came.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}

/// The TA's interface version and its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Changes when a client has to change.
    pub major: u16,
    /// Changes when something is added.
    pub minor: u16,
    /// What it can do.
    pub capabilities: Capabilities,
    /// How much of a bundle's end it wants first.
    pub tail: u32,
    /// The largest piece that it asks for.
    pub chunk: u32,
}

/// The reason of the last refusal in this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastError {
    /// Why.
    pub status: Status,
    /// The reason's first number.
    pub first: u64,
    /// The reason's second number.
    pub second: u64,
}

/// The resource table as the secure world keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterTable {
    /// Its bytes, as they were published.
    pub bytes: Vec<u8>,
    /// Where the copy stands that Linux and the core share.
    pub physical: u64,
    /// How large that copy is.
    pub size: u32,
}

/// The roots that a TA trusts, and the signatures it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedRoots {
    /// Bit n is set where a bundle must have a signature in slot n.
    pub required_slots: u32,
    /// The roots.
    pub roots: Vec<Root>,
}

/// How far a load has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes given to the TA.
    pub done: u64,
    /// Bytes of the bundle.
    pub total: u64,
}
