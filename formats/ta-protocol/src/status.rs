//! The one list of everything that can go wrong, and the numbers it travels as.
//!
//! To append: take the next free number, never one that was used before, and never reorder. Each line is
//! `Name = number, GLOBAL_PLATFORM_VALUE, "text", "meaning of the first number", "of the second";` where `""` says
//! that the number is unused (and 0). The table in docs/ta-api.md is generated: run the tests with `UPDATE=1` after appending.

use core::fmt;

use crate::global_platform;

/// Makes [`Status`] from the list.
macro_rules! statuses {
    ( $( $Name:ident = $number:literal, $gp:ident, $text:literal, $first:literal, $second:literal; )+ ) => {
        /// Why a command failed: never 0, never reused (ta-api.md 6).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Status {
            $( #[doc = $text] $Name, )+
        }

        impl Status {
            /// Every status, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$( Self::$Name, )+];

            /// The number that travels.
            pub const fn number(self) -> u32 {
                match self { $( Self::$Name => $number, )+ }
            }

            /// The status with this number.
            pub const fn from_number(number: u32) -> Option<Self> {
                match number {
                    $( $number => Some(Self::$Name), )+
                    _ => None,
                }
            }

            /// The name used in documents and headers.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$Name => stringify!($Name), )+ }
            }

            /// The status with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                $( if name == stringify!($Name) { return Some(Self::$Name); } )+
                None
            }

            /// What commands 1 to 6 and `OpenSession` return instead, as today's clients expect.
            pub const fn global_platform(self) -> u32 {
                match self { $( Self::$Name => global_platform::$gp, )+ }
            }

            /// The name of [`Status::global_platform`]'s value, without `TEE_ERROR_`.
            pub const fn global_platform_name(self) -> &'static str {
                match self { $( Self::$Name => stringify!($gp), )+ }
            }

            /// What happened, in words.
            pub const fn text(self) -> &'static str {
                match self { $( Self::$Name => $text, )+ }
            }

            /// What the two numbers of `LAST_ERROR` mean; empty where unused.
            pub const fn numbers(self) -> [&'static str; 2] {
                match self { $( Self::$Name => [$first, $second], )+ }
            }
        }
    };
}

impl Status {
    /// The text together with the two numbers of `LAST_ERROR`.
    pub const fn explain(self, first: u64, second: u64) -> Explanation {
        Explanation {
            status: self,
            values: [first, second],
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A status with its numbers, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    status: Status,
    values: [u64; 2],
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.status.text())?;
        let mut opened = false;
        for (meaning, value) in self.status.numbers().iter().zip(self.values) {
            if meaning.is_empty() {
                continue;
            }
            f.write_str(if opened { ", " } else { " (" })?;
            opened = true;
            // Small numbers are counts and versions, large ones addresses.
            if value < 0x1_0000 {
                write!(f, "{meaning} {value}")?;
            } else {
                write!(f, "{meaning} {value:#x}")?;
            }
        }
        f.write_str(if opened { ")" } else { "" })
    }
}

statuses! {
    // Sessions and commands.
    BadParameters = 0x8000_0001, BAD_PARAMETERS, "the parameters do not fit the command", "slot", "type or value found";
    UnsupportedCommand = 0x8000_0002, NOT_SUPPORTED, "the TA does not know this command", "command", "";
    UnknownCore = 0x8000_0003, NOT_SUPPORTED, "the platform has no such core", "core", "";
    WrongCore = 0x8000_0004, BAD_PARAMETERS, "the session is bound to another core", "core named", "core of the session";
    LoginNotAllowed = 0x8000_0005, ACCESS_DENIED, "the platform does not let this login use the core", "login", "core";
    TooManySessions = 0x8000_0006, BUSY, "every session is taken", "limit", "";
    AttachOnly = 0x8000_0007, ACCESS_DENIED, "the core is attach-only: the normal world does not control it", "core", "command";
    BadState = 0x8000_0008, BAD_STATE, "the core's state does not allow the command", "state", "command";
    ShortBuffer = 0x8000_0009, SHORT_BUFFER, "the output buffer is too short", "bytes needed", "bytes given";
    OutOfMemory = 0x8000_000A, OUT_OF_MEMORY, "the TA's heap is exhausted", "bytes asked for", "";
    NotImplemented = 0x8000_000B, NOT_IMPLEMENTED, "the command has no implementation", "command", "";
    PlatformFailed = 0x8000_000C, GENERIC, "the platform (PTA) answered with an error", "PTA command", "its return value";
    PlatformInvalid = 0x8000_000D, GENERIC, "the platform file inside the TA is invalid", "rule of bundle-format.md, or 0", "value found";
    TableUnknown = 0x8000_000E, NO_DATA, "the TA did not load this core, so it knows no resource table of it", "core", "";

    // Loading.
    LoadInProgress = 0x8000_000F, BUSY, "another load of this core is under way", "core", "";
    LoadNotBegun = 0x8000_0010, BAD_STATE, "this session has no load under way", "core", "";
    LoadAborted = 0x8000_0011, BAD_STATE, "the load was aborted and everything wiped", "core", "";
    LoadTimedOut = 0x8000_0012, BAD_STATE, "the load was given up: no command came in time", "milliseconds passed", "limit";
    WrongOffset = 0x8000_0013, BAD_PARAMETERS, "not the offset that was asked for", "offset asked for", "offset given";
    WrongLength = 0x8000_0014, BAD_PARAMETERS, "not the length that was asked for", "length asked for", "length given";
    OtherBundleLoaded = 0x8000_0015, BAD_STATE, "another bundle is loaded: release it first", "core", "";
    ChunkDigest = 0x8000_0016, SECURITY, "the digest of a chunk does not match", "chunk", "device address";
    RestDigest = 0x8000_0017, SECURITY, "the digest of the bytes outside the segments does not match", "", "";
    FileTooLarge = 0x8000_0018, BAD_PARAMETERS, "the file is longer than supported", "length", "limit";

    // Isolation.
    NotIsolated = 0x8000_0019, SECURITY, "the platform does not isolate the core", "core", "";
    IsolationList = 0x8000_001A, SECURITY, "the platform's isolation list is malformed", "entry", "entries";
    IsolationRegionMissing = 0x8000_001B, SECURITY, "a private region is missing from the platform's isolation list", "physical address", "size";
    IsolationRegionExposed = 0x8000_001C, SECURITY, "somebody else than the secure world and the core may reach a private region", "physical address", "access bits";
    IsolationRegionShared = 0x8000_001D, SECURITY, "a private region lies in the shared window", "physical address", "size";
    IsolationMismatch = 0x8000_001E, SECURITY, "a private region is not where the platform file has it", "physical address", "device address";
    GenerationChanged = 0x8000_001F, SECURITY, "the isolation changed since the load", "generation at load", "generation now";

    // The file and its footer.
    EmptyFile = 0x8000_0020, BAD_PARAMETERS, "the file is empty", "", "";
    NotABundle = 0x8000_0021, BAD_PARAMETERS, "not a firmware bundle (or stripped after signing?)", "file length", "";
    BareElf = 0x8000_0022, BAD_PARAMETERS, "an ELF without a signed trailer: not a firmware bundle (or stripped after signing?)", "file length", "";
    LegacyFormat = 0x8000_0023, NOT_SUPPORTED, "signed in sign_rproc_fw's format v1: sign it anew as a firmware bundle", "", "";
    FormatVersion = 0x8000_0024, NOT_SUPPORTED, "a format version that this TA does not know", "version", "";
    FooterMalformed = 0x8000_0025, BAD_FORMAT, "the footer is malformed", "rule of bundle-format.md (706 is 7.6)", "value found";
    TrailerTooLarge = 0x8000_0026, BAD_FORMAT, "the trailer is longer than allowed", "length", "limit";
    TrailerMalformed = 0x8000_0027, BAD_FORMAT, "a part of the trailer is malformed", "rule of bundle-format.md (706 is 7.6)", "value found";

    // Certificates and signatures.
    CertificateMalformed = 0x8000_0028, SECURITY, "a certificate does not keep to the profile", "certificate", "rule of bundle-format.md (1109 is 11.9)";
    UnknownRoot = 0x8000_0029, SIGNATURE_INVALID, "the chain ends at no root that this device trusts", "slot", "";
    ChainInvalid = 0x8000_002A, SIGNATURE_INVALID, "a certificate is not signed by the one above it", "certificate", "slot";
    ScopeExceedsParent = 0x8000_002B, SECURITY, "a certificate claims more than the one above it may give", "certificate", "slot";
    DevelopmentSigner = 0x8000_002C, SECURITY, "a development key signed for a release device", "certificate", "";
    CriticalExtension = 0x8000_002D, SECURITY, "a certificate has a critical extension that is not known", "certificate", "slot";
    SlotMissing = 0x8000_002E, SIGNATURE_INVALID, "a required signature slot is missing", "slot", "";
    SignatureInvalid = 0x8000_002F, SIGNATURE_INVALID, "a signature does not verify", "slot", "";
    AlgorithmUnsupported = 0x8000_0030, NOT_SUPPORTED, "a signature algorithm that is not supported yet", "algorithm", "slot";
    // Of TAs from before second signatures; this one does not answer it.
    SlotUnsupported = 0x8000_0031, NOT_SUPPORTED, "a second signature slot is not supported yet", "slot", "";

    // The manifest and its target.
    ManifestMalformed = 0x8000_0032, BAD_FORMAT, "the manifest is malformed", "rule of bundle-format.md (706 is 7.6)", "value found";
    ExtensionUnknown = 0x8000_0033, NOT_SUPPORTED, "an unknown extension is marked critical", "type", "";
    ExtensionUnsupported = 0x8000_0034, NOT_SUPPORTED, "a reserved extension is not supported yet", "type", "";
    OtherCore = 0x8000_0035, ACCESS_DENIED, "the bundle is for another core", "core", "";
    OtherDeviceClass = 0x8000_0036, ACCESS_DENIED, "the bundle is for another device class", "", "";
    CoreNotInScope = 0x8000_0037, ACCESS_DENIED, "the signer may not sign for this core", "core", "";
    DeviceClassNotInScope = 0x8000_0038, ACCESS_DENIED, "the signer may not sign for this device class", "", "";
    VersionAboveCeiling = 0x8000_0039, ACCESS_DENIED, "the security version is above the signer's ceiling", "version", "ceiling";
    VersionBelowFloor = 0x8000_003A, ACCESS_DENIED, "the security version is below what this device accepts", "version", "floor";

    // Segments.
    SegmentOutside = 0x8000_003B, ACCESS_DENIED, "a segment lies outside the core's private regions", "segment", "device address";
    SegmentInShared = 0x8000_003C, ACCESS_DENIED, "a segment lies in the shared window", "segment", "device address";
    SegmentsOverlap = 0x8000_003D, BAD_FORMAT, "two segments overlap", "segment", "device address";
    SegmentWritableExecutable = 0x8000_003E, ACCESS_DENIED, "a segment is writable and executable", "segment", "device address";
    EntryOutside = 0x8000_003F, ACCESS_DENIED, "the entry point lies in no executable segment", "entry", "";
    VectorTable = 0x8000_0040, ACCESS_DENIED, "the vector table is not where the core begins", "vector table", "boot address";
    InitialStack = 0x8000_0041, ACCESS_DENIED, "the initial stack pointer lies outside the core's private regions", "stack pointer", "";

    // The resource table.
    TableTruncated = 0x8000_0042, BAD_FORMAT, "the resource table is cut off", "entry", "bytes missing";
    TableTooLarge = 0x8000_0043, BAD_FORMAT, "the resource table is longer than allowed", "length", "limit";
    TableVersion = 0x8000_0044, BAD_FORMAT, "a resource table version that is not known", "version", "";
    TableEntries = 0x8000_0045, BAD_FORMAT, "the resource table has more entries, devices or rings than allowed", "count", "limit";
    TableReserved = 0x8000_0046, BAD_FORMAT, "a reserved field of the resource table is set", "offset", "value";
    TableOrder = 0x8000_0047, BAD_FORMAT, "entries of the resource table overlap, are unsorted or unaligned", "entry", "offset";
    TableEntryType = 0x8000_0048, ACCESS_DENIED, "a resource table entry type is not allowed", "entry", "type";
    TableName = 0x8000_0049, BAD_FORMAT, "a name in the resource table is malformed", "entry", "";
    TableVdev = 0x8000_004A, ACCESS_DENIED, "the platform does not allow this virtio device", "entry", "device id";
    TableVrings = 0x8000_004B, BAD_FORMAT, "a virtio device has more vrings than Linux takes", "entry", "vrings";
    TableConfig = 0x8000_004C, BAD_FORMAT, "a virtio device's configuration space is longer than allowed", "entry", "length";
    VringGeometry = 0x8000_004D, BAD_FORMAT, "a vring's size is no bounded power of two", "entry", "descriptors";
    VringAlignment = 0x8000_004E, BAD_FORMAT, "a vring's alignment is no bounded power of two, or its address does not keep it", "entry", "alignment or address";
    VringOutside = 0x8000_004F, ACCESS_DENIED, "a vring lies outside the vring area of the shared window", "entry", "device address";
    VringOverlap = 0x8000_0050, ACCESS_DENIED, "two vrings overlap", "entry", "device address";
    VringNoSpace = 0x8000_0051, ACCESS_DENIED, "the vring area has no space left", "entry", "bytes needed";
    NotifyId = 0x8000_0052, BAD_FORMAT, "a notify id is repeated or out of range", "entry", "notify id";
    TraceOutside = 0x8000_0053, ACCESS_DENIED, "a trace buffer lies outside the trace area of the shared window", "entry", "device address";
    TraceOverlap = 0x8000_0054, ACCESS_DENIED, "two trace buffers overlap, or there is no space left", "entry", "device address";
    TableNotOnItsPage = 0x8000_0055, ACCESS_DENIED, "the resource table is not on the table page of the shared window", "device address", "table page";
    TableShared = 0x8000_0056, SECURITY, "the shared resource table holds what nobody may write there", "offset", "value";

    // Where the core begins, and the shape of chain and signature.
    BootAddress = 0x8000_0057, ACCESS_DENIED, "no executable segment begins at the core's boot address", "boot address", "";
    VectorTableMissing = 0x8000_0058, ACCESS_DENIED, "the core begins with a vector table and the bundle names none", "", "";
    VectorTableOutside = 0x8000_0059, ACCESS_DENIED, "the vector table lies in no executable segment", "vector table", "";
    ChainLength = 0x8000_005A, SECURITY, "a chain is not a leaf and its product CA", "certificates", "";
    SignatureHighS = 0x8000_005B, SIGNATURE_INVALID, "a signature is not in its canonical form (high s)", "slot", "";
    SlotsShareKey = 0x8000_005C, SECURITY, "two signature slots are signed by the same key", "slot", "";
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, string::ToString};

    use super::*;

    #[test]
    fn every_status_is_found_by_its_number_and_by_its_name() {
        for status in Status::ALL {
            assert_eq!(Status::from_number(status.number()), Some(*status));
            assert_eq!(Status::from_name(status.name()), Some(*status));
        }
        assert_eq!(Status::from_number(0), None);
        assert_eq!(Status::from_number(0x8000_0000), None);
        assert_eq!(Status::from_name("Success"), None);
    }

    #[test]
    fn numbers_rise_by_one_from_0x80000001_and_so_are_never_used_twice() {
        for (index, status) in Status::ALL.iter().enumerate() {
            assert_eq!(status.number() as usize, 0x8000_0001 + index, "{status:?}");
        }
        let last = Status::ALL.last().unwrap().number();
        assert_eq!(Status::from_number(last + 1), None);
    }

    #[test]
    fn texts_differ_and_no_failure_is_told_as_success() {
        let texts: BTreeSet<_> = Status::ALL.iter().map(|status| status.text()).collect();
        assert_eq!(texts.len(), Status::ALL.len());
        for status in Status::ALL {
            assert_ne!(status.global_platform(), global_platform::SUCCESS);
            assert!(!status.text().ends_with('.'), "{status:?}");
            assert!(!status.numbers()[0].is_empty() || status.numbers()[1].is_empty());
        }
    }

    #[test]
    fn an_explanation_names_the_numbers_that_have_a_meaning() {
        assert_eq!(
            Status::VersionAboveCeiling.explain(9, 7).to_string(),
            "the security version is above the signer's ceiling (version 9, ceiling 7)"
        );
        assert_eq!(
            Status::SegmentOutside.explain(1, 0x2100_0000).to_string(),
            "a segment lies outside the core's private regions (segment 1, device address 0x21000000)"
        );
        assert_eq!(
            Status::EmptyFile.explain(0, 0).to_string(),
            "the file is empty"
        );
    }
}
