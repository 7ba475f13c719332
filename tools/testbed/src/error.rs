//! The rules that fetching and building enforce, one variant each.

/// Why an input or a product of the test bed was refused.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A downloaded or cached file is not the one that the lock file names.
    #[error("checksum differs from the lock file's ({size} bytes, {expected} expected)")]
    ChecksumDiffers {
        /// Size of the file that was found.
        size: u64,
        /// Size that the lock file gives.
        expected: u64,
    },
    /// A name of an initramfs entry is empty, absolute, not normal or too long.
    #[error("initramfs: a name of {length} bytes is not a plain relative path")]
    InitramfsName {
        /// Length of the name.
        length: usize,
    },
    /// A file of an initramfs does not fit the archive's 32-bit size field.
    #[error("initramfs: {size} bytes do not fit one archive member")]
    InitramfsSize {
        /// Size of the file.
        size: usize,
    },
    /// A checksum in the lock file is not 64 lower-case hexadecimal digits.
    #[error("lock file: entry {entry}: malformed SHA-256")]
    LockChecksum {
        /// Position of the entry in the file.
        entry: usize,
    },
    /// Two entries of the lock file describe the same thing.
    #[error("lock file: entry {entry} repeats an earlier one")]
    LockDuplicate {
        /// Position of the second entry.
        entry: usize,
    },
    /// A name, version, architecture or suite contains a character that Debian's may not.
    #[error("lock file: entry {entry}: a field is empty or has a character that is not allowed")]
    LockField {
        /// Position of the entry in the file.
        entry: usize,
    },
    /// A group that the test bed needs has no entry.
    #[error("lock file: {missing} of {groups} groups have no entry")]
    LockGroupMissing {
        /// How many groups are empty.
        missing: usize,
        /// How many there are.
        groups: usize,
    },
    /// A path is not a plain relative one below `pool/`.
    #[error("lock file: entry {entry}: a path is not below pool/")]
    LockPath {
        /// Position of the entry in the file.
        entry: usize,
    },
    /// The lock file's own version is not known.
    #[error("lock file: version {found}, this program reads {expected}")]
    LockVersion {
        /// Version found.
        found: u32,
        /// Version understood.
        expected: u32,
    },
    /// The TA imports symbols that nothing in OP-TEE defines.
    #[error("TA: {count} undefined dynamic symbols")]
    TaImports {
        /// Number of undefined, non-weak symbols.
        count: usize,
    },
    /// The TA has constructors, which OP-TEE would not run as written.
    #[error("TA: section {index} holds constructors (.init_array)")]
    TaInitArray {
        /// Section number.
        index: usize,
    },
    /// The TA wants shared libraries; OP-TEE would take their names for UUIDs.
    #[error("TA: {count} needed libraries, there must be none")]
    TaNeedsLibraries {
        /// Number of DT_NEEDED entries.
        count: usize,
    },
    /// The TA has no header for OP-TEE to find.
    #[error("TA: no dynamic symbol `ta_head` among {symbols}")]
    TaNoHeader {
        /// Number of dynamic symbols.
        symbols: usize,
    },
    /// The file is not a position independent AArch64 ELF.
    #[error("TA: not a little-endian AArch64 ET_DYN ELF (type {kind}, machine {machine})")]
    TaNotDynamic {
        /// e_type.
        kind: u16,
        /// e_machine.
        machine: u16,
    },
    /// The file does not parse as ELF.
    #[error("TA: {size} bytes do not parse as ELF")]
    TaNotElf {
        /// Size of the file.
        size: usize,
    },
    /// A section of the TA is thread-local, which OP-TEE's loader would not set up.
    #[error("TA: section {index} is thread-local")]
    TaThreadLocal {
        /// Section number.
        index: usize,
    },
    /// The signed TA would be larger than allowed.
    #[error("TA: {size} bytes when signed, at most {limit} are allowed")]
    TaTooLarge {
        /// Size of the signed TA.
        size: u64,
        /// Limit.
        limit: u64,
    },
    /// A segment of the TA is both writable and executable.
    #[error("TA: segment {index} is writable and executable")]
    TaWritableCode {
        /// Program header number.
        index: usize,
    },
}
