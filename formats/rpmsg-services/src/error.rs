//! Every rule that a message can break.

/// A broken rule of docs/rpmsg-services.md, with the numbers that broke it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// All operations of an I2C request go to one address (rpmsg-services.md 4.4).
    #[error("operation {operation} goes to address field {found:#06x}, the first to {first:#06x}")]
    AddressChanges {
        /// The operation, from 0 on.
        operation: usize,
        /// The first operation's field.
        first: u16,
        /// This one's.
        found: u16,
    },
    /// The field holds neither a 7-bit nor a 10-bit address (rpmsg-services.md 4.3).
    #[error("address field {found:#06x} is no I2C address")]
    AddressEncoding {
        /// The field.
        found: u16,
    },
    /// No I2C device can have the address that the caller gave (rpmsg-services.md 4.3).
    #[error("no I2C device has address {address:#x}")]
    AddressRange {
        /// The address.
        address: u16,
    },
    /// An answer has the length that its request asked for, or that of a head (rpmsg-services.md 2.6).
    #[error("an answer of {found} bytes instead of {expected}")]
    AnswerLength {
        /// Bytes received.
        found: usize,
        /// Bytes there should be.
        expected: usize,
    },
    /// The answer is to another request (rpmsg-services.md 2.5).
    #[error("an answer to request {found} instead of {expected}")]
    AnswerSequence {
        /// The number received.
        found: u16,
        /// The request's.
        expected: u16,
    },
    /// The answer's status is not in the list (rpmsg-services.md 2.7).
    #[error("an answer with the unknown status {found:#04x}")]
    AnswerStatus {
        /// The status.
        found: u8,
    },
    /// What the request asks for does not fit into one answer (rpmsg-services.md 2.3).
    #[error("an answer of {found} bytes, the limit is {limit}")]
    AnswerTooLong {
        /// Bytes it would have.
        found: usize,
        /// Bytes it can have.
        limit: usize,
    },
    /// An answer has a head (rpmsg-services.md 2.1).
    #[error("an answer of {found} bytes, a head has 4")]
    AnswerTooShort {
        /// Bytes received.
        found: usize,
    },
    /// A line's level is 0 or 1, its direction 0 to 2 (rpmsg-services.md 3.4).
    #[error("an answer with the unknown value {found}")]
    AnswerValue {
        /// The value.
        found: u8,
    },
    /// The answer is of another version (rpmsg-services.md 2.2).
    #[error("an answer of version {found}, ours is 1")]
    AnswerVersion {
        /// The version.
        found: u8,
    },
    /// Words have 8 bits (rpmsg-services.md 5.2).
    #[error("words of {found} bits instead of 8")]
    BitsPerWord {
        /// The width asked for.
        found: u8,
    },
    /// A transport called back into the client that uses it.
    #[error("the client is in use already")]
    Busy,
    /// All pauses of a request together are bounded (rpmsg-services.md 5.4).
    #[error("pauses of {found} ns, the limit is {limit}")]
    DelayTooLong {
        /// Nanoseconds.
        found: u64,
        /// The most there may be.
        limit: u32,
    },
    /// An operation moves bytes or waits (rpmsg-services.md 5.3).
    #[error("operation {operation} moves bytes and waits {delay} ns")]
    DelayWithBytes {
        /// The operation, from 0 on.
        operation: usize,
        /// Nanoseconds.
        delay: u32,
    },
    /// The line goes in the other direction, or in none (rpmsg-services.md 3.5).
    #[error("line {line} has direction {found}, not {expected}")]
    Direction {
        /// The line.
        line: u16,
        /// Its direction.
        found: u8,
        /// The direction that the caller needs.
        expected: u8,
    },
    /// Every operation but the last says that the rest fails with it (rpmsg-services.md 4.5).
    #[error("operation {operation} has flags {flags:#x}: FAIL_NEXT on all but the last")]
    FailNext {
        /// The operation, from 0 on.
        operation: usize,
        /// Its flags.
        flags: u32,
    },
    /// An operation has flags that mean nothing (rpmsg-services.md 4.5).
    #[error("operation {operation} has unknown flags {flags:#x}")]
    FlagsUnknown {
        /// The operation, from 0 on.
        operation: usize,
        /// Its flags.
        flags: u32,
    },
    /// The number of operations is bounded (rpmsg-services.md 3.2, 4.2 and 5.2).
    #[error("{found} operations, {least} to {most} are possible")]
    OperationCount {
        /// Operations.
        found: usize,
        /// The fewest.
        least: usize,
        /// The most.
        most: usize,
    },
    /// A request ends where its last part ends (rpmsg-services.md 2.3).
    #[error("a request of {found} bytes instead of {expected}")]
    RequestLength {
        /// Bytes there are.
        found: usize,
        /// Bytes that its fields tell of.
        expected: usize,
    },
    /// A request fits into one buffer (rpmsg-services.md 2.3).
    #[error("a request of {found} bytes, the limit is {limit}")]
    RequestTooLong {
        /// Bytes.
        found: usize,
        /// The most there may be.
        limit: usize,
    },
    /// A request has a head, without which there is nobody to answer (rpmsg-services.md 2.1).
    #[error("a request of {found} bytes, a head has 4")]
    RequestTooShort {
        /// Bytes received.
        found: usize,
    },
    /// The request is of another version (rpmsg-services.md 2.2).
    #[error("a request of version {found}, ours is 1")]
    RequestVersion {
        /// The version.
        found: u8,
    },
    /// Reserved bytes are zero (rpmsg-services.md 5.2).
    #[error("reserved bytes hold {found:#06x}")]
    Reserved {
        /// What they hold.
        found: u16,
    },
    /// The type of a GPIO request is one of VirtIO's (rpmsg-services.md 3.3).
    #[error("GPIO request type {found} is unknown")]
    TypeUnknown {
        /// The type.
        found: u16,
    },
    /// The value of a GPIO request is a level where one is set, and zero otherwise (rpmsg-services.md 3.3).
    #[error("value {found} in a GPIO request, the limit is {limit}")]
    ValueRange {
        /// The value.
        found: u32,
        /// The highest there may be.
        limit: u32,
    },
}
