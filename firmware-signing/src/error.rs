//! What can go wrong, with its numbers, its exit code and what to do about it.

use thiserror::Error;

use crate::elf::Machine;
use crate::pki::Date;

/// Why the tool refused or failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// The input is a bundle already.
    #[error("already signed")]
    AlreadySigned,
    /// What ran a build is not named by a URI.
    #[error("the builder is not named by a URI")]
    BuilderNotUri,
    /// The bundle breaks a rule of its format.
    #[error(transparent)]
    Bundle(#[from] firmware_bundle::Error),
    /// A signer's certificate would have no highest version.
    #[error(
        "no highest security version was given: devices remember the highest one they ran, so who steals a key without a ceiling can sign \
         the highest number there is, and no later firmware is accepted again"
    )]
    CeilingMissing,
    /// A certificate's validity has ended.
    #[error("the certificate expired on {not_after} (judged at {at})")]
    CertificateExpired {
        /// Its last moment.
        not_after: Date,
        /// The moment asked about.
        at: Date,
    },
    /// A certificate is not PEM or DER, or not X.509 version 3.
    #[error("not a readable certificate")]
    CertificateMalformed,
    /// No certificate was given.
    #[error("no certificate for the key")]
    CertificateMissing,
    /// A name, date or number cannot be put into a certificate.
    #[error("the certificate cannot be encoded")]
    CertificateNotEncodable,
    /// A certificate's validity has not begun.
    #[error("the certificate is valid only from {not_before} (judged at {at})")]
    CertificateNotYetValid {
        /// Its first moment.
        not_before: Date,
        /// The moment asked about.
        at: Date,
    },
    /// A certificate of another place in the chain than is asked for.
    #[error("not a certificate of a {wanted}")]
    CertificateOfOtherKind {
        /// The place.
        wanted: certificate_chain::Kind,
    },
    /// Certificates of several signers where one will sign.
    #[error("certificates of more than one signer")]
    CertificateOfTwoSigners,
    /// A certificate or its chain breaks a rule of the profile.
    #[error(transparent)]
    Chain(#[from] certificate_chain::Error),
    /// Signing anew would change more than the signer.
    #[error("the content would not stay the same")]
    ContentChanged,
    /// The image is for another processor than the core.
    #[error("the image is for {image}, core {core} is {architecture}", image = image.name(), architecture = crate::place::name_of(*architecture))]
    CoreArchitecture {
        /// What the image says.
        image: Machine,
        /// The core's id.
        core: u32,
        /// What the platform file says.
        architecture: platform::Architecture,
    },
    /// No core was named.
    #[error("no core named")]
    CoreMissing,
    /// The platform has no such core.
    #[error("the platform has no core of this id or name; it has {count}")]
    CoreUnknown {
        /// How many it has.
        count: usize,
    },
    /// A certificate request is not PEM or DER, or contradicts itself.
    #[error("not a readable certificate request")]
    CsrMalformed,
    /// A date is not written as `2026-11-20`, `2026-11-20T12:00:00Z` or `never`.
    #[error("not a date")]
    DateMalformed,
    /// A field of a device's report has a value that none has.
    #[error("the device's report is malformed: {field}")]
    DeviceField {
        /// Which field.
        field: &'static str,
    },
    /// A device's report is not the JSON it should be.
    #[error("not a device's report (line {line}, column {column})")]
    DeviceMalformed {
        /// Where reading stopped.
        line: usize,
        /// Where in that line.
        column: usize,
    },
    /// A device's report does not say where its memory is.
    #[error("the device's report holds no platform")]
    DevicePlatformMissing,
    /// The answer depends on a root whose certificate is not at hand.
    #[error(
        "the device trusts a root (key {}) whose certificate was not given",
        crate::hex(key_id)
    )]
    DeviceRootMissing {
        /// SHA-256 of the root's public key.
        key_id: [u8; 32],
    },
    /// Another kind of report, or one of a later version.
    #[error("not version {expected} of the schema corewarden.status", expected = crate::against::VERSION)]
    DeviceSchema {
        /// Its version.
        version: u32,
    },
    /// The bytes of a segment are not those that were signed.
    #[error("segment {segment}: the bytes at {offset:#x} are not those that were signed")]
    DigestOfChunk {
        /// Its place in the manifest.
        segment: u8,
        /// Where the chunk begins in the file.
        offset: u64,
    },
    /// A byte outside the segments is not what was signed.
    #[error("a byte that is not loaded (headers, symbols) is not what was signed")]
    DigestOfRest,
    /// A display version that no manifest can hold.
    #[error(
        "{length} bytes of display version; it is at most 32 bytes of text without control characters"
    )]
    DisplayVersion {
        /// As it was given.
        length: usize,
    },
    /// The ELF is for a big-endian processor.
    #[error("a big-endian ELF; only little-endian cores are supported")]
    ElfBigEndian,
    /// Neither ELF32 nor ELF64.
    #[error("ELF class {class}, which is neither 32 nor 64 bit")]
    ElfClass {
        /// As the file says.
        class: u8,
    },
    /// The file header contradicts itself.
    #[error("the ELF header is not valid")]
    ElfHeader,
    /// A processor without support.
    #[error("ELF machine {machine} is not Arm, AArch64 or RISC-V of a fitting class")]
    ElfMachine {
        /// As the file says.
        machine: u16,
    },
    /// No segment takes memory.
    #[error("the ELF has no LOAD segment: nothing to load")]
    ElfNothingToLoad,
    /// `.resource_table` has no bytes in the file, or is not loaded.
    #[error("section {section} (.resource_table) has no loaded bytes")]
    ElfResourceTableEmpty {
        /// Its number.
        section: usize,
    },
    /// The name of a section lies outside the name table.
    #[error("the name of section {section} lies at {offset:#x}, outside the table of names")]
    ElfSectionName {
        /// Its number.
        section: usize,
        /// Where its name should begin.
        offset: u64,
    },
    /// The table of section names is missing.
    #[error("section {index} should hold the section names, but does not")]
    ElfSectionNames {
        /// `e_shstrndx`.
        index: u16,
    },
    /// A section lies outside the file.
    #[error("section {section} ends at {end:#x}, the file at {file:#x}")]
    ElfSectionOutside {
        /// Its number.
        section: usize,
        /// Where it ends.
        end: u64,
        /// Length of the file.
        file: u64,
    },
    /// A segment has more bytes in the file than in memory.
    #[error("segment {segment} has {file:#x} bytes in the file, but {memory:#x} in memory")]
    ElfSegmentFileLarger {
        /// Number of its program header.
        segment: usize,
        /// Bytes in the file.
        file: u64,
        /// Bytes in memory.
        memory: u64,
    },
    /// A segment wraps around the end of the address space.
    #[error("segment {segment} wraps: {size:#x} bytes at {address:#x}")]
    ElfSegmentWraps {
        /// Number of its program header.
        segment: usize,
        /// Where it begins.
        address: u64,
        /// Bytes in memory.
        size: u64,
    },
    /// A segment is both writable and executable.
    #[error("segment {segment} at {address:#x} is both writable and executable")]
    ElfSegmentWritableExecutable {
        /// Number of its program header.
        segment: usize,
        /// Where it begins.
        address: u64,
    },
    /// Two segments want the same memory.
    #[error("segments {first} and {second} overlap in {from:#x}..{to:#x}")]
    ElfSegmentsOverlap {
        /// Number of the lower one's program header.
        first: usize,
        /// Number of the other's.
        second: usize,
        /// First common address.
        from: u64,
        /// End of the common addresses.
        to: u64,
    },
    /// Two segments are filled from the same bytes.
    #[error("segments {first} and {second} share the bytes {from:#x}..{to:#x} of the file")]
    ElfSegmentsShareBytes {
        /// Number of the lower one's program header.
        first: usize,
        /// Number of the other's.
        second: usize,
        /// First common offset.
        from: u64,
        /// End of the common bytes.
        to: u64,
    },
    /// More program headers than any firmware has.
    #[error("{count} program headers, more than {limit}")]
    ElfTooManyProgramHeaders {
        /// As the file says.
        count: usize,
        /// The most that are read.
        limit: usize,
    },
    /// A table or segment lies outside the file.
    #[error("the ELF is cut off: {end:#x} bytes are needed, the file has {file:#x}")]
    ElfTruncated {
        /// Where the missing part ends.
        end: u64,
        /// Length of the file.
        file: u64,
    },
    /// More than one `.resource_table`.
    #[error("sections {first} and {second} are both .resource_table")]
    ElfTwoResourceTables {
        /// Number of the first.
        first: usize,
        /// Number of the second.
        second: usize,
    },
    /// An object file, a library or a core dump.
    #[error("ELF type {found}, not an executable (2)")]
    ElfType {
        /// As the file says.
        found: u16,
    },
    /// The entry point is in no executable segment.
    #[error("the entry point {entry:#x} is in no executable segment")]
    EntryOutside {
        /// `e_entry` without the Thumb bit.
        entry: u64,
    },
    /// The operating system refused a file.
    #[error("{}", os.map_or_else(|| (*kind).into(), std::io::Error::from_raw_os_error))]
    File {
        /// What it said.
        kind: std::io::ErrorKind,
        /// Its number for that.
        os: Option<i32>,
    },
    /// A file without bytes.
    #[error("an empty file")]
    InputEmpty,
    /// The input is longer than any valid one.
    #[error("more than {limit} bytes")]
    InputTooLarge {
        /// The most that are read.
        limit: u64,
    },
    /// A key of another algorithm or curve.
    #[error("not a P-256, P-384 or Ed25519 key")]
    KeyAlgorithm,
    /// A name fits several keys of a token.
    #[error("the token has {count} keys of this name")]
    KeyAmbiguous {
        /// How many.
        count: usize,
    },
    /// Only the public half of a key is needed, and the file with it is encrypted.
    #[error("the key is encrypted")]
    KeyEncrypted,
    /// A signal came while a file was written.
    #[error("interrupted: nothing was written")]
    Interrupted,
    /// A private key would be overwritten.
    #[error("a file of this name exists, and keys are never overwritten")]
    KeyExists,
    /// "Proc-Type: 4,ENCRYPTED": OpenSSL's old encryption, with a weak key derivation.
    #[error("the key is encrypted in OpenSSL's old way")]
    KeyLegacyEncryption,
    /// No key could be read.
    #[error("not a readable private key")]
    KeyMalformed,
    /// The token has no such key.
    #[error("the token has no such key")]
    KeyMissing,
    /// A key is named by nothing.
    #[error("the name of the key is empty")]
    KeyNameEmpty,
    /// Key and certificate do not belong together.
    #[error(
        "the key ({}) is not the certificate's ({})",
        crate::hex(key),
        crate::hex(certificate)
    )]
    KeyNotOfCertificate {
        /// SHA-256 of the key's public half.
        key: [u8; 32],
        /// SHA-256 of the certificate's public key.
        certificate: [u8; 32],
    },
    /// A public key or a certificate where a private key is needed.
    #[error("this is the public half; a private key is needed")]
    KeyNotPrivate,
    /// The passphrase does not open the key.
    #[error("the passphrase does not open the key")]
    KeyPassphraseWrong,
    /// Anybody has this key.
    #[error("this is {name}, a published test key")]
    KeyPublished {
        /// Whose key it is.
        name: &'static str,
    },
    /// A token keeps a private key without its public half.
    #[error("the token has neither the public half of the key nor its certificate")]
    KeyWithoutPublicHalf,
    /// No PKCS#11 module was found.
    #[error("no PKCS#11 module")]
    ModuleMissing,
    /// A PKCS#11 module does not begin.
    #[error("not a usable PKCS#11 module")]
    ModuleUnusable,
    /// A segment is not what sign_rproc_fw signed.
    #[error("the bytes of program header {row} are not those that sign_rproc_fw signed")]
    LegacyDigest {
        /// Number of the program header.
        row: usize,
    },
    /// The public key is for another kind of signature.
    #[error("the file is signed with {file}, the key is for {key}")]
    LegacyKey {
        /// As the file says.
        file: &'static str,
        /// The key's.
        key: &'static str,
    },
    /// A key that sign_rproc_fw cannot sign with.
    #[error("the key is neither RSA nor P-256")]
    LegacyKeyAlgorithm,
    /// A private key or a certificate where a public key is needed.
    #[error("not a public key")]
    LegacyKeyNotPublic,
    /// The parts of a file of sign_rproc_fw do not fill it.
    #[error("the parts of the sign_rproc_fw file end at {end:#x}, the file at {file:#x}")]
    LegacyLength {
        /// Where the parts end.
        end: u64,
        /// Length of the file.
        file: u64,
    },
    /// Something of sign_rproc_fw's format that does not fit a bundle.
    #[error("{what} cannot be converted")]
    LegacyNotSupported {
        /// What it is.
        what: &'static str,
    },
    /// A record of sign_rproc_fw's list is missing, twice there, or wrong.
    #[error("record {kind:#x} of the sign_rproc_fw file is missing, twice there, or malformed")]
    LegacyRecord {
        /// Its type.
        kind: u32,
    },
    /// A program header is not what sign_rproc_fw signed.
    #[error("program header {row} is not the one that sign_rproc_fw signed")]
    LegacyRow {
        /// Its number.
        row: usize,
    },
    /// The signature of sign_rproc_fw does not hold.
    #[error("the signature of sign_rproc_fw does not hold with this key")]
    LegacySignature,
    /// Another version of sign_rproc_fw's format.
    #[error("sign_rproc_fw format v{found}, not v1")]
    LegacyVersion {
        /// As the file says.
        found: u32,
    },
    /// A distinguished name is not written as RFC 4514 has it.
    #[error("not a distinguished name")]
    NameMalformed,
    /// Only a bundle has a digest.
    #[error("no firmware bundle, and so without a digest")]
    NoDigest,
    /// Only bundles and ELFs say what they put where.
    #[error("no firmware bundle and no ELF, and so without a memory map")]
    NoMemoryMap,
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers")]
    NoRandomness,
    /// `verify` without a root.
    #[error(
        "integrity only: every byte is what its manifest says, but nothing is known about who signed it"
    )]
    NoTrustAnchor,
    /// Something else than ELF.
    #[error("not an ELF file")]
    NotElf,
    /// Not an even number of hexadecimal digits.
    #[error("not hexadecimal")]
    NotHexadecimal,
    /// Not a file of sign_rproc_fw.
    #[error("not a file that sign_rproc_fw made")]
    NotLegacy,
    /// Not a bundle that `prepare` made.
    #[error("not a bundle that `prepare` made")]
    NotPrepared,
    /// Not a UUID as people write it.
    #[error("not a UUID")]
    NotUuid,
    /// A core with a fixed boot address finds no segment there.
    #[error("no executable segment begins at the core's boot address {address:#x}")]
    NothingAtBootAddress {
        /// The boot address.
        address: u64,
    },
    /// An output exists.
    #[error("the output exists")]
    OutputExists,
    /// The output would replace the input.
    #[error("the output is the input")]
    OutputIsInput,
    /// Not `WHAT=NUMBER`.
    #[error("not written as WHAT=NUMBER")]
    PairMalformed,
    /// The key is encrypted, and nobody said with what.
    #[error("a passphrase is needed, and there is no terminal to ask for it")]
    PassphraseNeeded,
    /// What was typed twice differs, or is empty.
    #[error("the passphrase is empty, or differs from its repetition")]
    PassphraseUnusable,
    /// A URI holds a PIN.
    #[error("the URI holds a PIN, which every process and log can read")]
    PinInUri,
    /// The token has locked itself.
    #[error("the token's PIN is locked")]
    PinLocked,
    /// The token wants a PIN, and nobody said which.
    #[error("a PIN is needed, and there is no terminal to ask for it")]
    PinNeeded,
    /// The token has no PIN yet, or an expired one.
    #[error("the token's PIN was never set, or has expired")]
    PinNotSet,
    /// The token refuses the PIN.
    #[error("the PIN is wrong")]
    PinWrong,
    /// The platform file breaks a rule.
    #[error("the platform file breaks a rule: {0}")]
    Platform(#[from] platform::Error),
    /// The platform file is not TOML, or lacks something.
    #[error("not a platform file")]
    PlatformMalformed,
    /// A core or a floor, but no machine it belongs to.
    #[error("no platform named")]
    PlatformMissing,
    /// A signing program's answer is not what was asked for.
    #[error("the signing program's answer is malformed")]
    ProgramAnswer,
    /// A signing program said nothing.
    #[error("the signing program gave no answer")]
    ProgramAnswerEmpty,
    /// A signing program says too much.
    #[error("the signing program's answer is longer than {limit} bytes")]
    ProgramAnswerTooLong {
        /// The most that is read.
        limit: u64,
    },
    /// A signing program failed.
    #[error("the signing program ended with exit code {code}")]
    ProgramExit {
        /// Its exit code.
        code: i32,
    },
    /// A signing program was killed.
    #[error("the signing program was ended by signal {signal}")]
    ProgramKilled {
        /// The signal's number.
        signal: i32,
    },
    /// A signing program could not be started or listened to.
    #[error("the signing program could not be run: {}", os.map_or_else(|| (*kind).into(), std::io::Error::from_raw_os_error))]
    ProgramNotStarted {
        /// What the operating system said.
        kind: std::io::ErrorKind,
        /// Its number for that.
        os: Option<i32>,
    },
    /// A signing program takes too long.
    #[error("the signing program gave no answer within {seconds} s, and was ended")]
    ProgramTooSlow {
        /// The time it had.
        seconds: u64,
    },
    /// A device would refuse the bundle.
    #[error(transparent)]
    Refused(admission::Refusal),
    /// A certificate for development where a release is signed.
    #[error("a certificate with the development role does not sign a release")]
    ReleaseByDevelopment,
    /// A key file without encryption where a release is signed.
    #[error("the key file is not encrypted, and does not sign a release")]
    ReleaseByPlainFile,
    /// A prepared bundle is cut off.
    #[error("the prepared bundle is cut off after {size} bytes")]
    PreparedCut {
        /// What is there.
        size: u64,
    },
    /// A request says something else than the prepared bundle.
    #[error("the request is not what `prepare` wrote: it differs from the prepared bundle")]
    RequestDiffers,
    /// A request is not JSON, or lacks something.
    #[error("not a signing request")]
    RequestMalformed,
    /// A name of an image that may not be one of a file everywhere.
    #[error(
        "a name for an image has up to 128 letters, digits and . _ + -, and begins with none of . and -"
    )]
    RequestName,
    /// Two images of one name.
    #[error("two images of one name")]
    RequestNameTwice,
    /// A request of another version.
    #[error("a signing request of version {found}; this tool knows version 1")]
    RequestVersion {
        /// As the request says.
        found: u32,
    },
    /// Signing anew would leave a slot unsigned.
    #[error("the bundle is signed in slot {slot}, and nobody is named to sign it there anew")]
    ResignLosesSlot {
        /// The slot.
        slot: u8,
    },
    /// The resource table breaks a rule.
    #[error("resource table: {0}")]
    ResourceTable(#[from] resource_table::Error),
    /// The resource table has company on its page.
    #[error(
        "the resource table at {address:#x} is not alone on its page: segment {segment} has {from:#x}..{to:#x}"
    )]
    ResourceTableNotAlone {
        /// Its device address.
        address: u64,
        /// Number of the program header of the segment in its way.
        segment: usize,
        /// Where that begins.
        from: u64,
        /// Where it ends.
        to: u64,
    },
    /// The resource table is not where the shared window wants it.
    #[error(
        "the resource table is linked at {address:#x}, but belongs at {page:#x}, the table page of the shared window"
    )]
    ResourceTablePlace {
        /// Its device address.
        address: u64,
        /// Device address of the table page.
        page: u64,
    },
    /// No root was given, and none that the platform file names was found.
    #[error("no root certificate to judge the result by")]
    RootMissing,
    /// Certificates for slot 1, and nobody to sign it.
    #[error("certificates of a second signer are given, but no second key")]
    SecondKeyMissing,
    /// A key for slot 1, which was not prepared.
    #[error("a second key is given, but the image was prepared for one signature")]
    SecondSlotMissing,
    /// A segment is loaded into memory that Linux can write.
    #[error(
        "segment {segment} ({from:#x}..{to:#x}) lies in the shared window, which Linux can write"
    )]
    SegmentInSharedWindow {
        /// Number of its program header.
        segment: usize,
        /// Where it begins.
        from: u64,
        /// Where it ends.
        to: u64,
    },
    /// A segment lies outside the core's private memory.
    #[error(
        "segment {segment} ({from:#x}..{to:#x}) is in no private region of the core; the first is {region:#x}..{region_end:#x}"
    )]
    SegmentOutside {
        /// Number of its program header.
        segment: usize,
        /// Where it begins.
        from: u64,
        /// Where it ends.
        to: u64,
        /// Where the first private region begins.
        region: u64,
        /// Where it ends.
        region_end: u64,
    },
    /// A signature does not verify with the key that should have made it.
    #[error("the signature does not verify with the key {}", crate::hex(key))]
    SignatureNotOfKey {
        /// SHA-256 of the key's public half.
        key: [u8; 32],
    },
    /// A signature is neither DER nor raw.
    #[error(
        "signature slot {slot}: {length} bytes are neither DER nor the {raw} bytes of a raw signature"
    )]
    SignatureMalformed {
        /// The slot.
        slot: u8,
        /// How many bytes there are.
        length: u64,
        /// How many a raw signature has.
        raw: u64,
    },
    /// A signature is not one over the message by the signer's key.
    #[error(
        "signature slot {slot}: the signature is not one over the image's message by the signer's key"
    )]
    SignatureWrong {
        /// The slot.
        slot: u8,
    },
    /// A folder of signatures, and no slot whose signature would be read from it.
    #[error("a folder of signatures is given, but keys sign all of it")]
    SignaturesUnused,
    /// The signer answered with an error.
    #[error("the key could not sign")]
    SignerFailed,
    /// The signer's certificate names other cores or device classes.
    #[error("the signer may not sign for core {core} of this platform")]
    SignerNotForCore {
        /// The core's id.
        core: u32,
    },
    /// A signature or its chain is refused.
    #[error("signature slot {slot}: {error}")]
    Slot {
        /// The slot.
        slot: u8,
        /// Why.
        error: certificate_chain::Error,
    },
    /// A slot names another algorithm than its signer's key has.
    #[error("signature slot {slot} is for another algorithm than its signer's key, {}", algorithm.name())]
    SlotAlgorithm {
        /// The slot.
        slot: u8,
        /// The key's.
        algorithm: crate::key::Algorithm,
    },
    /// A name fits several tokens.
    #[error("{count} tokens fit")]
    TokenAmbiguous {
        /// How many.
        count: usize,
    },
    /// The token went away.
    #[error("the token was removed")]
    TokenGone,
    /// The key wants its PIN before each signature, which takes two steps, and the token signs in one.
    #[error(
        "the key asks for its PIN before each signature (CKA_ALWAYS_AUTHENTICATE), and this token's module does not sign in parts then"
    )]
    TokenInOneStep,
    /// No token fits.
    #[error("no such token")]
    TokenMissing,
    /// The token answered with an error.
    #[error("the token answered {code:?}")]
    TokenRefused {
        /// PKCS#11's name for it.
        code: cryptoki::error::RvError,
    },
    /// The module cannot do what is asked.
    #[error("the token cannot be used")]
    TokenUnusable,
    /// A prepared bundle where something to sign is asked for.
    #[error("prepared for signing already")]
    Unsigned,
    /// A trust update breaks a rule of its format.
    #[error(transparent)]
    TrustUpdate(#[from] ::trust_update::Error),
    /// A URI is not one of RFC 7512.
    #[error("not a PKCS#11 URI")]
    UriMalformed,
    /// No vector table in the file.
    #[error(
        "no vector table at {table:#x}: the executable segment there has fewer than 8 bytes in the file"
    )]
    VectorTableMissing {
        /// Where it should be.
        table: u64,
    },
    /// The reset vector leads nowhere.
    #[error(
        "the vector table at {table:#x} has reset vector {reset:#x}, which is no Thumb address in an executable segment"
    )]
    VectorTableReset {
        /// Device address of the vector table.
        table: u64,
        /// Its second word.
        reset: u64,
    },
    /// The initial stack pointer is no place for a stack.
    #[error(
        "the vector table at {table:#x} sets the stack pointer to {stack:#x}, which is not the end of private memory of the core"
    )]
    VectorTableStack {
        /// Device address of the vector table.
        table: u64,
        /// Its first word.
        stack: u64,
    },
    /// There is no verb of this name.
    #[error("no verb of this name")]
    VerbUnknown,
}

impl From<firmware_bundle::SlotRefused<certificate_chain::Error>> for Error {
    fn from(refused: firmware_bundle::SlotRefused<certificate_chain::Error>) -> Self {
        Self::Slot {
            slot: refused.slot,
            error: refused.error,
        }
    }
}

impl From<admission::Refusal> for Error {
    fn from(refusal: admission::Refusal) -> Self {
        match refusal {
            admission::Refusal::Bundle(error) => Self::Bundle(error),
            admission::Refusal::Chain { slot, error } => Self::Slot { slot, error },
            admission::Refusal::Table(error) => Self::ResourceTable(error),
            refusal => Self::Refused(refusal),
        }
    }
}
