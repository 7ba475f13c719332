//! Why a report of the TA could not be read.

/// Why a report of the TA could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The report counts more entries than a device can have.
    #[error("{count} entries, at most {limit} are possible")]
    Count {
        /// Entries the report claims to have.
        count: u32,
        /// The most there can be.
        limit: u32,
    },
    /// The report has another layout than this code knows.
    #[error("layout version {found}, this code knows {known}")]
    LayoutVersion {
        /// The version in the report.
        found: u32,
        /// The version this code knows.
        known: u32,
    },
    /// The report is shorter or longer than its layout.
    #[error("{found} bytes, the layout has {expected}")]
    Length {
        /// Bytes found.
        found: usize,
        /// Bytes the layout has.
        expected: usize,
    },
    /// A reserved field or bit is set.
    #[error("reserved bits {value:#x} set at offset {offset}")]
    Reserved {
        /// Where in the report.
        offset: usize,
        /// What is set there.
        value: u32,
    },
    /// A text is longer than its field, is not UTF-8, or is followed by something else than zeros.
    #[error("the text at offset {offset} is malformed")]
    Text {
        /// Where in the report.
        offset: usize,
    },
    /// A core state that this code does not know.
    #[error("unknown core state {number}")]
    UnknownState {
        /// The number found.
        number: u32,
    },
}
