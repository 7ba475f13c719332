//! What can be said on the command line.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::Error;
use crate::key::Algorithm;
use crate::pki::Date;

/// Sign firmware for coprocessors, and judge signed firmware as a device does.
#[derive(Debug, Parser)]
#[command(name = "corewarden-sign", version, after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Print JSON with a schema name and version
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print a completion script
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Show what a file is and says of itself; judges no signature
    Inspect(Inspect),
    /// Make a private key
    Keygen(Keygen),
    /// Make and show certificates
    #[command(subcommand)]
    Pki(PkiCommand),
    /// Sign an ELF: NAME.elf becomes NAME.cwfw
    Sign(Sign),
    /// Judge a bundle by a root certificate, and as a device's core would
    Verify(Verify),
}

#[derive(Debug, Subcommand)]
pub(super) enum PkiCommand {
    /// Make a root certificate, which signs itself
    Init(Init),
    /// Issue a product CA's or a signer's certificate
    Issue(Issue),
    /// Show certificates
    Show {
        /// PEM (any number of certificates) or DER
        certificate: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// A bundle, an ELF, or what sign_rproc_fw made
    pub(super) file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Keygen {
    /// File for the private key: PKCS#8 PEM, mode 0600, never overwritten
    #[arg(long)]
    pub(super) out: PathBuf,
    /// For which signatures
    #[arg(long, value_enum, default_value_t)]
    pub(super) algorithm: Algorithm,
    /// File for the public half as PEM
    #[arg(long)]
    pub(super) public_out: Option<PathBuf>,
    /// Do not encrypt the key
    #[arg(long, conflicts_with_all = ["passphrase_env", "passphrase_file", "passphrase_fd"])]
    pub(super) no_password: bool,
    /// Replace an existing --public-out
    #[arg(long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) passphrase: Passphrase,
}

#[derive(Debug, Args)]
pub(super) struct Passphrase {
    /// Environment variable that holds the key's passphrase
    #[arg(long, value_name = "NAME", conflicts_with_all = ["passphrase_file", "passphrase_fd"])]
    pub(super) passphrase_env: Option<String>,
    /// File whose first line is the key's passphrase
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_fd")]
    pub(super) passphrase_file: Option<PathBuf>,
    /// Open file descriptor whose first line is the key's passphrase
    #[arg(long, value_name = "NUMBER")]
    pub(super) passphrase_fd: Option<u32>,
}

#[derive(Debug, Args)]
pub(super) struct Subject {
    /// Name for people, as RFC 4514 writes it: CN=...,O=...
    #[arg(long)]
    pub(super) name: String,
    /// First moment of validity: 2026-11-20, 2026-11-20T12:00:00Z; now where it is left out
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(super) not_before: Option<Date>,
    /// Last moment of validity: a date or never
    #[arg(long, value_name = "DATE", value_parser = date, conflicts_with = "days")]
    pub(super) not_after: Option<Date>,
    /// Days of validity
    #[arg(long)]
    pub(super) days: Option<u32>,
    /// File for the certificate: PEM, or DER where the name ends in .der
    #[arg(long)]
    pub(super) out: PathBuf,
    /// Replace an existing output
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Debug, Args)]
pub(super) struct Init {
    /// The root's private key
    #[arg(long, env = "COREWARDEN_KEY", hide_env_values = true)]
    pub(super) key: PathBuf,
    #[command(flatten)]
    pub(super) subject: Subject,
    /// For which kind of device; every certificate below has the same
    #[arg(long, value_enum, default_value_t = RoleName::Development)]
    pub(super) role: RoleName,
    #[command(flatten)]
    pub(super) passphrase: Passphrase,
}

#[derive(Debug, Args)]
pub(super) struct Issue {
    /// What the certificate is for
    #[arg(long, value_enum)]
    pub(super) kind: KindName,
    /// The key it is for: its public half, or the unencrypted private key
    #[arg(long)]
    pub(super) key: PathBuf,
    /// The issuer's certificate
    #[arg(long, value_name = "CERTIFICATE")]
    pub(super) issuer: PathBuf,
    /// The issuer's private key
    #[arg(
        long,
        value_name = "KEY",
        env = "COREWARDEN_ISSUER_KEY",
        hide_env_values = true
    )]
    pub(super) issuer_key: PathBuf,
    #[command(flatten)]
    pub(super) subject: Subject,
    /// A core it may sign for (repeat for more)
    #[arg(long = "core", value_name = "ID", required = true)]
    pub(super) cores: Vec<u32>,
    /// A device class it may sign for (repeat for more)
    #[arg(long = "device-class", value_name = "UUID", required = true, value_parser = uuid)]
    pub(super) device_classes: Vec<[u8; 16]>,
    /// The highest security version it may sign
    #[arg(
        long,
        value_name = "VERSION",
        long_help = "The highest security version it may sign.\n\nThere is no default: devices remember the highest version they ran, so a \
                     stolen key without a ceiling could sign the highest number there is, and no later firmware would ever be accepted again."
    )]
    pub(super) max_version: u32,
    /// Generation of the signer, which a trust update can retire
    #[arg(long, default_value_t = 1)]
    pub(super) generation: u32,
    /// For which kind of device
    #[arg(long, value_enum, default_value_t = RoleName::Development)]
    pub(super) role: RoleName,
    #[command(flatten)]
    pub(super) passphrase: Passphrase,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum KindName {
    Leaf,
    ProductCa,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum RoleName {
    Development,
    Release,
}

#[derive(Debug, Args)]
pub(super) struct Sign {
    /// The ELF that the linker wrote
    pub(super) elf: PathBuf,
    /// The bundle; where it is left out, the ELF's name with .cwfw
    #[arg(long)]
    pub(super) out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) target: Target,
    /// The signer's private key
    #[arg(long, env = "COREWARDEN_KEY", hide_env_values = true)]
    pub(super) key: PathBuf,
    /// Certificates of the signer and its product CA, in any order (repeat for more files)
    #[arg(
        long = "cert",
        value_name = "CERTIFICATE",
        env = "COREWARDEN_CERT",
        hide_env_values = true,
        value_delimiter = ':',
        required = true
    )]
    pub(super) certificates: Vec<PathBuf>,
    /// Root certificate to judge the result by; where it is left out, the one the platform file names
    #[arg(
        long = "root",
        value_name = "CERTIFICATE",
        env = "COREWARDEN_ROOT",
        hide_env_values = true,
        value_delimiter = ':'
    )]
    pub(super) roots: Vec<PathBuf>,
    /// The version that may never go down on a device
    #[arg(long, value_name = "NUMBER")]
    pub(super) security_version: u32,
    /// The version people read, at most 32 bytes
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(super) display_version: String,
    /// Build id in hexadecimal; where it is left out, the ELF's own
    #[arg(long, value_name = "HEX")]
    pub(super) build_id: Option<String>,
    /// Keep what is neither loaded nor needed to map addresses to names
    #[arg(long)]
    pub(super) keep_all: bool,
    /// Judge the certificates' dates at this moment instead of now
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(super) at: Option<Date>,
    /// Replace an existing output
    #[arg(long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) passphrase: Passphrase,
}

#[derive(Debug, Args)]
pub(super) struct Target {
    /// The platform file (TOML) of the machine
    #[arg(
        long,
        value_name = "FILE",
        env = "COREWARDEN_PLATFORM",
        hide_env_values = true
    )]
    pub(super) platform: PathBuf,
    /// The core, by name or id (repeat for more)
    #[arg(
        long = "core",
        value_name = "CORE",
        env = "COREWARDEN_CORE",
        hide_env_values = true,
        required = true
    )]
    pub(super) cores: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The bundle
    pub(super) file: PathBuf,
    /// A root certificate to trust (repeat for more)
    #[arg(
        long = "root",
        value_name = "CERTIFICATE",
        env = "COREWARDEN_ROOT",
        hide_env_values = true,
        value_delimiter = ':'
    )]
    pub(super) roots: Vec<PathBuf>,
    /// The platform file (TOML) of the machine to judge for
    #[arg(long, value_name = "FILE", requires = "core")]
    pub(super) platform: Option<PathBuf>,
    /// The core to judge for, by name or id
    #[arg(long, value_name = "CORE", requires = "platform")]
    pub(super) core: Option<String>,
    /// The lowest security version the device still takes
    // Without a device there is nothing to compare it to; ignoring it would be a false "accepted".
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 0,
        requires = "platform"
    )]
    pub(super) floor: u32,
    /// Judge the certificates' dates at this moment instead of now
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(super) at: Option<Date>,
}

impl ValueEnum for Algorithm {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let value = PossibleValue::new(self.name());
        Some(match self {
            Self::EcdsaP256 => value.alias("p256"),
            Self::EcdsaP384 => value.alias("p384"),
            Self::Ed25519 => value,
        })
    }
}

fn date(text: &str) -> Result<Date, Error> {
    text.parse()
}

fn uuid(text: &str) -> Result<[u8; 16], Error> {
    let uuid = ta_protocol::Uuid::from_text(&text.to_ascii_lowercase()).ok_or(Error::NotUuid)?;
    Ok(uuid.bytes())
}

const AFTER_HELP: &str = "\
Examples:
  corewarden-sign keygen --out signer.key --public-out signer.pub
  corewarden-sign sign motor.elf --platform board.toml --core m4 --key signer.key \\
      --cert signer.pem --cert product-ca.pem --root root.pem --security-version 3
  corewarden-sign verify motor.cwfw --root root.pem --platform board.toml --core m4

Exit codes:
  0  done
  2  usage: an option is missing or wrong
  3  the input is malformed or cut off
  4  a signature or digest is wrong
  5  refused by the chain, the platform or the device's policy
  6  the key or its passphrase does not do
  7  the file system said no
  8  already signed, or something would be overwritten";
