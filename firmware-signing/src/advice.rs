//! For every error its exit code and what to do about it.

use crate::Error;

impl Error {
    /// The exit code: 2 usage, 3 input malformed, 4 signature or digest wrong, 5 refused by chain or policy, 6 key or passphrase, 7 file
    /// system, 8 already signed or would overwrite.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::BuilderNotUri
            | Self::CeilingMissing
            | Self::CertificateMissing
            | Self::CertificateOfOtherKind { .. }
            | Self::CertificateOfTwoSigners
            | Self::CoreMissing
            | Self::CoreUnknown { .. }
            | Self::DateMalformed
            | Self::KeyNameEmpty
            | Self::DevicePlatformMissing
            | Self::DeviceRootMissing { .. }
            | Self::DisplayVersion { .. }
            | Self::NameMalformed
            | Self::NoTrustAnchor
            | Self::NotHexadecimal
            | Self::NotUuid
            | Self::PinInUri
            | Self::PairMalformed
            | Self::PlatformMissing
            | Self::RequestName
            | Self::RequestNameTwice
            | Self::ResignLosesSlot { .. }
            | Self::RootMissing
            | Self::SecondKeyMissing
            | Self::SecondSlotMissing
            | Self::SignaturesUnused
            | Self::UriMalformed
            | Self::VerbUnknown => 2,

            Self::Bundle(_)
            | Self::CertificateMalformed
            | Self::CsrMalformed
            | Self::DeviceField { .. }
            | Self::DeviceMalformed { .. }
            | Self::DeviceSchema { .. }
            | Self::ElfBigEndian
            | Self::ElfClass { .. }
            | Self::ElfHeader
            | Self::ElfMachine { .. }
            | Self::ElfNothingToLoad
            | Self::ElfResourceTableEmpty { .. }
            | Self::ElfSectionName { .. }
            | Self::ElfSectionNames { .. }
            | Self::ElfSectionOutside { .. }
            | Self::ElfSegmentFileLarger { .. }
            | Self::ElfSegmentWraps { .. }
            | Self::ElfSegmentsOverlap { .. }
            | Self::ElfSegmentsShareBytes { .. }
            | Self::ElfTooManyProgramHeaders { .. }
            | Self::ElfTruncated { .. }
            | Self::ElfTwoResourceTables { .. }
            | Self::ElfType { .. }
            | Self::InputEmpty
            | Self::InputTooLarge { .. }
            | Self::NoDigest
            | Self::NoMemoryMap
            | Self::NotElf
            | Self::LegacyLength { .. }
            | Self::LegacyNotSupported { .. }
            | Self::LegacyRecord { .. }
            | Self::LegacyVersion { .. }
            | Self::NotLegacy
            | Self::NotPrepared
            | Self::Platform(_)
            | Self::PlatformMalformed
            | Self::PreparedCut { .. }
            | Self::RequestMalformed
            | Self::RequestVersion { .. }
            | Self::SignatureMalformed { .. }
            | Self::SlotAlgorithm { .. }
            | Self::TrustUpdate(_)
            | Self::Unsigned => 3,

            Self::DigestOfChunk { .. }
            | Self::DigestOfRest
            | Self::ContentChanged
            | Self::LegacyDigest { .. }
            | Self::LegacyRow { .. }
            | Self::LegacySignature
            | Self::RequestDiffers
            | Self::SignatureNotOfKey { .. }
            | Self::SignatureWrong { .. }
            | Self::Slot {
                error: certificate_chain::Error::HighS | certificate_chain::Error::Signature,
                ..
            } => 4,

            Self::CertificateExpired { .. }
            | Self::CertificateNotEncodable
            | Self::CertificateNotYetValid { .. }
            | Self::Chain(_)
            | Self::CoreArchitecture { .. }
            | Self::ElfSegmentWritableExecutable { .. }
            | Self::EntryOutside { .. }
            | Self::NothingAtBootAddress { .. }
            | Self::Refused(_)
            | Self::ReleaseByDevelopment
            | Self::ResourceTable(_)
            | Self::ResourceTableNotAlone { .. }
            | Self::ResourceTablePlace { .. }
            | Self::SegmentInSharedWindow { .. }
            | Self::SegmentOutside { .. }
            | Self::SignerNotForCore { .. }
            | Self::Slot { .. }
            | Self::VectorTableMissing { .. }
            | Self::VectorTableReset { .. }
            | Self::VectorTableStack { .. } => 5,

            Self::KeyAlgorithm
            | Self::KeyAmbiguous { .. }
            | Self::KeyEncrypted
            | Self::KeyLegacyEncryption
            | Self::KeyMalformed
            | Self::KeyMissing
            | Self::KeyNotOfCertificate { .. }
            | Self::KeyNotPrivate
            | Self::KeyPassphraseWrong
            | Self::KeyPublished { .. }
            | Self::KeyWithoutPublicHalf
            | Self::ModuleMissing
            | Self::ModuleUnusable
            | Self::LegacyKey { .. }
            | Self::LegacyKeyAlgorithm
            | Self::LegacyKeyNotPublic
            | Self::NoRandomness
            | Self::PassphraseNeeded
            | Self::PassphraseUnusable
            | Self::PinLocked
            | Self::PinNeeded
            | Self::PinNotSet
            | Self::PinWrong
            | Self::ProgramAnswer
            | Self::ProgramAnswerEmpty
            | Self::ProgramAnswerTooLong { .. }
            | Self::ProgramExit { .. }
            | Self::ProgramKilled { .. }
            | Self::ProgramNotStarted { .. }
            | Self::ProgramTooSlow { .. }
            | Self::ReleaseByPlainFile
            | Self::SignerFailed
            | Self::TokenAmbiguous { .. }
            | Self::TokenGone
            | Self::TokenInOneStep
            | Self::TokenMissing
            | Self::TokenRefused { .. }
            | Self::TokenUnusable => 6,

            Self::File { .. } | Self::Interrupted => 7,

            Self::AlreadySigned | Self::KeyExists | Self::OutputExists | Self::OutputIsInput => 8,
        }
    }

    /// What to do about it, where that is not plain from the error.
    pub const fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::AlreadySigned => "sign the ELF that the linker wrote",
            Self::CeilingMissing => "give it with --max-version, some years of releases ahead",
            Self::BuilderNotUri => "write it like https://ci.example/runner/7",
            Self::CertificateExpired { .. } => "issue a new one for the same key with `pki issue`",
            Self::CertificateMissing => {
                "give the signer's certificate and its product CA's with --cert"
            }
            Self::CertificateNotYetValid { .. } => "check the machine's clock",
            Self::CertificateOfTwoSigners => "give those of the signer to be and its product CA",
            Self::CoreArchitecture { .. } => "build for the core, or name another one with --core",
            Self::CoreMissing => "name one with --core",
            Self::CoreUnknown { .. } => "see the [[core]] entries of the platform file",
            Self::DateMalformed => "write 2026-11-20, 2026-11-20T12:00:00Z or never",
            Self::DeviceField { .. } | Self::DeviceMalformed { .. } | Self::DeviceSchema { .. } => {
                "write it on the device: corewarden status --json > device.json"
            }
            Self::DevicePlatformMissing => {
                "give the device's platform file with --platform, here or to `corewarden status`"
            }
            Self::DeviceRootMissing { .. } => "give it with --root",
            Self::ElfBigEndian | Self::ElfClass { .. } | Self::ElfMachine { .. } => {
                "build for little-endian Arm, AArch64 or RISC-V"
            }
            Self::ElfNothingToLoad => "link with a script that puts the code into memory",
            Self::ElfResourceTableEmpty { .. } => {
                "keep it as loaded data in the linker script: .resource_table : { KEEP(*(.resource_table)) } > SHARED"
            }
            Self::ElfSegmentWritableExecutable { .. } => {
                "separate code and data in the linker script: one PHDRS entry with FLAGS(5), one with FLAGS(6)"
            }
            Self::ElfSegmentsOverlap { .. } | Self::ElfSegmentsShareBytes { .. } => {
                "give each section its own space in the linker script, its load address (AT>) too"
            }
            Self::ElfTruncated { .. } | Self::ElfSectionOutside { .. } => "link or copy it again",
            Self::ElfType { .. } => "link it as an executable (no -r, -shared or -pie)",
            Self::EntryOutside { .. } => {
                "name a function in .text with ENTRY(...) in the linker script"
            }
            Self::File { kind, .. } => match kind {
                std::io::ErrorKind::NotFound => "check the name",
                std::io::ErrorKind::PermissionDenied => "check who may use it",
                std::io::ErrorKind::IsADirectory => "name a file in it",
                std::io::ErrorKind::StorageFull
                | std::io::ErrorKind::FileTooLarge
                | std::io::ErrorKind::QuotaExceeded => "make room, or write somewhere else",
                std::io::ErrorKind::ReadOnlyFilesystem => "write somewhere else",
                _ => return None,
            },
            Self::KeyAlgorithm => {
                "make one with `keygen`, or openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"
            }
            Self::KeyAmbiguous { .. } => "add the id of one of them to the URI: id=...",
            Self::KeyEncrypted => "give its public half: openssl pkey -in KEY -pubout",
            Self::KeyExists => "choose another name, or remove it yourself",
            Self::KeyLegacyEncryption => {
                "convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out NEW"
            }
            Self::KeyMissing => "name one of its keys by object=... or id=...",
            Self::KeyNameEmpty => "give a file, a pkcs11: URI or exec:PROGRAM",
            Self::KeyNotOfCertificate { .. } => "give the certificate that was issued for this key",
            Self::KeyPublished { .. } => "make one of your own with `keygen`, or on a token",
            Self::KeyWithoutPublicHalf => {
                "put the key's certificate on the token under the same id"
            }
            Self::ModuleMissing => {
                "give its path: module-path=... in the URI, or the environment variable COREWARDEN_PKCS11_MODULE"
            }
            Self::NameMalformed => "write it as RFC 4514 has it: CN=...,O=...",
            Self::NoDigest => "sign it first",
            Self::NoTrustAnchor => "give the root certificate with --root",
            Self::NotElf => "give the ELF that the linker wrote, not a .bin or .hex",
            Self::NothingAtBootAddress { .. } | Self::VectorTableMissing { .. } => {
                "place the vector table first: .vectors ORIGIN(CODE) : { KEEP(*(.vectors)) } in the linker script, in an executable segment"
            }
            Self::OutputExists => "choose another name, or say --force",
            Self::OutputIsInput => "choose another name for the output",
            Self::PassphraseNeeded => {
                "give --passphrase-env, --passphrase-file or --passphrase-fd (or --no-password for a new key)"
            }
            Self::LegacyKey { .. } | Self::LegacyKeyAlgorithm | Self::LegacySignature => {
                "give the public half of the key that signed it"
            }
            Self::LegacyKeyNotPublic => "give its public half: openssl pkey -in KEY -pubout",
            Self::LegacyNotSupported { .. } => "sign the ELFs that the linker wrote",
            Self::NotPrepared => "name one that `prepare` wrote",
            Self::PreparedCut { .. } => "copy it again",
            Self::RequestDiffers => "prepare again; a request is never edited by hand",
            Self::RequestName | Self::RequestNameTwice => {
                "rename the ELF, or prepare it on its own"
            }
            Self::PinInUri => {
                "give it by --pin-env, --pin-file or --pin-fd, or name a file with pin-source="
            }
            Self::PinLocked => "unlock it with the security officer's PIN, by the token's own tool",
            Self::PinNeeded => {
                "give --pin-env, --pin-file or --pin-fd, or name a file with pin-source= in the URI"
            }
            Self::PinNotSet => "set it by the token's own tool",
            Self::PinWrong => "check it before the next try: tokens lock themselves after a few",
            Self::ProgramAnswer | Self::ProgramAnswerEmpty | Self::ProgramAnswerTooLong { .. } => {
                "see docs/signing-program.md for what it has to answer"
            }
            Self::ProgramExit { .. } | Self::ProgramKilled { .. } => "see what it said above",
            Self::ProgramTooSlow { .. } => "give it more with --signer-timeout",
            Self::ReleaseByDevelopment => {
                "issue certificates with `pki issue --role release` below a release root"
            }
            Self::ReleaseByPlainFile => {
                "encrypt it: openssl pkcs8 -topk8 -scrypt -in KEY -out NEW, or keep it on a token"
            }
            Self::ResourceTableNotAlone { .. } => {
                "give .resource_table a segment and a 4 KiB page of its own in the linker script: . = ALIGN(0x1000) before and after it"
            }
            Self::ResourceTablePlace { .. } => {
                "place .resource_table there in the linker script: MEMORY { SHARED : ORIGIN = <that address>, LENGTH = 4K }"
            }
            Self::ResignLosesSlot { .. } => {
                "name the signer with --second-key, or `strip` the bundle and sign the ELF"
            }
            Self::RootMissing => "give it with --root",
            Self::SecondKeyMissing => "name it with --second-key",
            Self::SecondSlotMissing => "prepare it with --second-cert",
            Self::SignaturesUnused => "leave out --signatures, or the keys",
            Self::SegmentInSharedWindow { .. } => {
                "move it to a private region in the linker script; vrings and buffers need no section"
            }
            Self::SegmentOutside { .. } => {
                "move it there in the linker script: MEMORY { ... } and, for initialised data, its load address (AT>)"
            }
            Self::SignatureMalformed { .. } => "give the file as openssl or pkcs11-tool wrote it",
            Self::SignatureWrong { .. } => {
                "sign the 64 bytes of the .message file with the key that the request names: openssl dgst -sha256 -sign KEY -out SIGNATURE MESSAGE"
            }
            Self::SignatureNotOfKey { .. } => {
                "check that key and certificate belong together, and who signed"
            }
            Self::TokenAmbiguous { .. } => "add token=... or serial=... to the URI",
            Self::TokenGone => "insert it again",
            Self::TokenInOneStep => "sign in two steps: `prepare`, pkcs11-tool --sign, `attach`",
            Self::TokenMissing => {
                "check token=... and serial=... in the URI, and that the token is inserted"
            }
            Self::Unsigned => "give it to `attach`, with its request",
            Self::UriMalformed => "write pkcs11:token=...;object=...",
            Self::SignerNotForCore { .. } => {
                "issue a certificate with the core's --core and the platform's --device-class"
            }
            Self::VectorTableReset { .. } => {
                "put the reset handler, as a Thumb function, into the second word"
            }
            Self::VectorTableStack { .. } => {
                "put the end of the stack, in private memory, into the first word"
            }
            Self::VerbUnknown => "`corewarden-sign --help` lists them",
            Self::Slot {
                error: certificate_chain::Error::ChainLength { .. },
                ..
            } => "give the signer's certificate and its product CA's with --cert",
            Self::Slot {
                error: certificate_chain::Error::UnknownRoot,
                ..
            } => "name the root that signed the product CA with --root",
            Self::Bundle(_) | Self::DigestOfChunk { .. } | Self::DigestOfRest => {
                "copy the bundle again, or sign the ELF anew"
            }
            Self::CertificateMalformed => "give X.509 certificates as PEM or DER",
            Self::ElfHeader
            | Self::ElfSectionName { .. }
            | Self::ElfSectionNames { .. }
            | Self::ElfSegmentFileLarger { .. }
            | Self::ElfSegmentWraps { .. }
            | Self::ElfTooManyProgramHeaders { .. }
            | Self::ElfTwoResourceTables { .. } => "link it again, with another linker script",
            Self::InputEmpty => "make it again",
            Self::InputTooLarge { .. } => "check that this is the right file",
            Self::KeyMalformed => "give a private key as PEM or DER, PKCS#8 or SEC1",
            Self::KeyPassphraseWrong => "give the passphrase that it was encrypted with",
            Self::Platform(_) | Self::PlatformMalformed => "mend the platform file",
            Self::PlatformMissing => "name its file with --platform",
            Self::Chain(_) => "see what `pki show` says of the certificate",
            Self::CsrMalformed => "give a PKCS#10 request as PEM or DER",
            Self::LegacyDigest { .. } | Self::LegacyRow { .. } => {
                "copy it again from where it was signed"
            }
            Self::LegacyLength { .. }
            | Self::LegacyRecord { .. }
            | Self::LegacyVersion { .. }
            | Self::NotLegacy => "give a file of format v1 as sign_rproc_fw.py wrote it",
            Self::NoMemoryMap => "give a bundle or an ELF",
            Self::RequestMalformed | Self::RequestVersion { .. } => "make it anew with `prepare`",
            Self::TrustUpdate(_) => "make it anew with `trust-update make`",
            Self::Refused(_) => "sign it for this device, or judge it for another",
            _ => return None,
        })
    }
}
