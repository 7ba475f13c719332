//! One thing that is wrong, where it is, and what mends it.

use serde::Serialize;

use crate::Error;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It can be signed and loaded, but hardly does what is wanted.
    Warning,
    /// It is not signed, and no device would load it.
    Error,
}

impl Severity {
    /// The name used in reports and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule is broken.
    pub rule: Rule,
    /// What is wrong, with its numbers.
    pub message: String,
    /// The first address it is about and the first behind it, where it is about any.
    pub addresses: Option<(u64, u64)>,
    /// What to change, most often a line of the linker script.
    pub fix: String,
}

impl Finding {
    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.rule.severity()
    }

    /// What signing would say.
    pub(super) fn of(rule: Rule, error: &Error) -> Self {
        Self {
            rule,
            message: error.to_string(),
            addresses: None,
            fix: error.advice().unwrap_or("see the platform file").to_owned(),
        }
    }
}

/// Makes the list of rules with their names, and a severity for each.
macro_rules! rules {
    ($( $(#[$doc:meta])* $Variant:ident = $name:literal, $severity:ident; )+) => {
        /// What an image has to keep to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule {
            $( $(#[$doc])* $Variant, )+
        }

        impl Rule {
            /// All rules.
            pub const ALL: &'static [Self] = &[$( Self::$Variant, )+];

            /// The name, which never changes its meaning.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$Variant => $name, )+ }
            }

            /// How bad it is to break it.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $( Self::$Variant => Severity::$severity, )+ }
            }
        }
    };
}

rules! {
    /// The image is for the core's processor.
    Architecture = "architecture", Error;
    /// A core with a fixed boot address finds an executable segment there.
    BootAddress = "boot-address", Error;
    /// The buffers' area holds a buffer for every descriptor, of 512 bytes or of the size asked for.
    Buffers = "buffers", Warning;
    /// The entry point lies in an executable segment.
    Entry = "entry", Error;
    /// A core that begins with a vector table begins where the ELF's entry says.
    EntryNotReset = "entry-not-reset", Warning;
    /// The vectors of faults and interrupts are Thumb addresses of executable segments.
    ExceptionVector = "exception-vector", Warning;
    /// The image takes no more memory than a bundle may.
    ImageSize = "image-size", Error;
    /// Notify ids are in range and taken once.
    NotifyId = "notify-id", Error;
    /// Whatever else signing refuses.
    NotLoadable = "not-loadable", Error;
    /// The reset vector leads into an executable segment.
    ResetOutside = "reset-outside", Error;
    /// The reset vector has the Thumb bit.
    ResetThumb = "reset-thumb", Error;
    /// The resource table has its page for itself.
    ResourceTableAlone = "resource-table-alone", Error;
    /// The resource table has the form that Linux and OpenAMP agree on.
    ResourceTableForm = "resource-table-form", Error;
    /// There is a resource table.
    ResourceTableMissing = "resource-table-missing", Warning;
    /// The resource table is on the table page of the shared window.
    ResourceTablePlace = "resource-table-place", Error;
    /// The platform allows what the resource table announces.
    ResourceTablePolicy = "resource-table-policy", Error;
    /// RPMsg devices that ask for buffer sizes do so in a known form, and for sizes that buffers can have.
    RpmsgBufferSizes = "rpmsg-buffer-sizes", Warning;
    /// RPMsg devices offer the name service.
    RpmsgNameService = "rpmsg-name-service", Warning;
    /// RPMsg devices have two vrings.
    RpmsgVrings = "rpmsg-vrings", Warning;
    /// Segments that are moved before they run are moved into the core's memory.
    RunAddress = "run-address", Warning;
    /// There are no more segments than a bundle may have.
    SegmentCount = "segment-count", Error;
    /// No segment lies in memory that Linux can write.
    SegmentInSharedWindow = "segment-in-shared-window", Error;
    /// Every segment lies in one private region.
    SegmentOutside = "segment-outside", Error;
    /// No segment is both writable and executable.
    SegmentWritableExecutable = "segment-writable-executable", Error;
    /// No two segments take the same memory.
    SegmentsOverlap = "segments-overlap", Error;
    /// No two segments are filled from the same bytes.
    SegmentsShareBytes = "segments-share-bytes", Error;
    /// The initial stack pointer is a multiple of 8, as AAPCS32 wants it.
    StackAlignment = "stack-alignment", Warning;
    /// The initial stack pointer is a multiple of 4 and ends memory of the core's own.
    StackOutside = "stack-outside", Error;
    /// The stack does not begin in code or in data with values.
    StackOverImage = "stack-over-image", Warning;
    /// There is room for a stack.
    StackRoom = "stack-room", Warning;
    /// Trace buffers lie in the trace area of the shared window and do not overlap.
    Trace = "trace", Error;
    /// The vector table is aligned as VTOR wants it.
    VectorTableAlignment = "vector-table-alignment", Warning;
    /// The vector table has its first two words in the file.
    VectorTableMissing = "vector-table-missing", Error;
    /// A vring's alignment is a power of two, and its address keeps it.
    VringAlignment = "vring-alignment", Error;
    /// A vring's size is a power of two.
    VringDescriptors = "vring-descriptors", Error;
    /// Vrings lie in the vring area of the shared window.
    VringOutside = "vring-outside", Error;
    /// No two vrings overlap.
    VringOverlap = "vring-overlap", Error;
    /// The vring area has room for the vrings that are placed by the secure world.
    VringSpace = "vring-space", Error;
}
