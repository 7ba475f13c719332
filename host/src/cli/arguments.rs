//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// Load, start and stop coprocessors through the secure world, and talk RPMsg with them.
#[derive(Debug, Parser)]
#[command(name = "corewarden", version, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// The core, by the number it has in the platform file.
    #[arg(long, global = true, value_name = "ID", default_value_t = 0)]
    pub core: u32,
    /// The file that describes this machine.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "/etc/corewarden/platform.toml"
    )]
    pub platform: PathBuf,
    /// Print one JSON document instead of text, errors included.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what the core does, what is loaded, and whom the device trusts.
    #[command(after_help = "Example:\n  corewarden status --json")]
    Status,
    /// Load a firmware bundle into the core.
    ///
    /// The secure world authenticates it; if anything is wrong, nothing is loaded and the reason is shown.
    #[command(after_help = "Example:\n  corewarden load /lib/firmware/motor.cwfw")]
    Load(Load),
    /// Start the loaded firmware and wait until it runs.
    #[command(after_help = "Example:\n  corewarden start --timeout 2000")]
    Start(Wait),
    /// Stop the core and wait until its memory is wiped.
    #[command(after_help = "Example:\n  corewarden stop")]
    Stop(Wait),
    /// Wipe what is loaded; the core must not run.
    #[command(after_help = "Example:\n  corewarden release")]
    Release,
    /// Attach to the running core, and list its services or measure one that echoes.
    #[command(
        after_help = "Examples:\n  corewarden attach\n  corewarden attach --ping 100 --size 64"
    )]
    Attach(Attach),
    /// Show the resource table as the secure world keeps it.
    #[command(after_help = "Example:\n  corewarden rsc-table --json")]
    RscTable,
    /// Hold a link, and let applications reach its services by sockets and terminals.
    ///
    /// It serves until it is asked to end. What is served, and to whom, stands in a TOML file; see docs/rpmsg-host.md.
    #[command(after_help = "Example:\n  corewarden serve --config /etc/corewarden/serve.toml")]
    Serve(Serve),
    /// Show what goes over the link of a server: live on a terminal, once otherwise.
    #[command(after_help = "Example:\n  corewarden top --json")]
    Top(Top),
    /// Write what goes over the link of a server to a pcapng file, which Wireshark opens.
    #[command(
        after_help = "Examples:\n  corewarden capture motor.pcapng\n  corewarden capture - | wireshark -k -i -"
    )]
    Capture(Capture),
    /// Print a completion script for a shell.
    #[command(
        after_help = "Example:\n  corewarden completions bash > /etc/bash_completion.d/corewarden"
    )]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Options of `load`.
#[derive(Args, Debug)]
pub struct Load {
    /// The firmware bundle, made by corewarden-sign.
    pub file: PathBuf,
    /// Hand the whole bundle over at once, as clients of OP-TEE's own TA do; up to 8 MiB.
    #[arg(long)]
    pub whole: bool,
}

/// Options of the commands that wait.
#[derive(Args, Debug)]
pub struct Wait {
    /// How long to wait.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 5000)]
    pub timeout: u64,
}

/// Options of `serve`.
#[derive(Args, Debug)]
pub struct Serve {
    /// The file that says what is served.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/corewarden/serve.toml"
    )]
    pub config: PathBuf,
}

/// Options of `top`.
#[derive(Args, Debug)]
pub struct Top {
    /// The control socket of the server.
    #[arg(long, value_name = "SOCKET", default_value = "/run/corewarden/control")]
    pub control: PathBuf,
    /// How often to look, on a terminal.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1000)]
    pub every: u64,
}

/// Options of `capture`.
#[derive(Args, Debug)]
pub struct Capture {
    /// The file to write; `-` for standard output.
    pub file: PathBuf,
    /// The control socket of the server.
    #[arg(long, value_name = "SOCKET", default_value = "/run/corewarden/control")]
    pub control: PathBuf,
    /// End after so many packets.
    #[arg(long, value_name = "COUNT")]
    pub packets: Option<u64>,
}

/// Options of `attach`.
#[derive(Args, Debug)]
pub struct Attach {
    /// Send so many messages and check what comes back.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub ping: Option<u32>,
    /// Bytes of each message.
    #[arg(long, value_name = "BYTES", default_value_t = 64, requires = "ping")]
    pub size: u32,
    /// The service to ping.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "corewarden-echo",
        requires = "ping"
    )]
    pub service: String,
    /// How long to wait for the link, for the service, and for each answer.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 2000)]
    pub timeout: u64,
    /// Ring through this character device instead of the port that the platform file names.
    #[arg(long, value_name = "DEVICE")]
    pub doorbell: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Examples:
  corewarden load motor.cwfw && corewarden start
  corewarden attach --ping 100
  corewarden stop

Exit codes:
    0  done
    2  wrong usage
    3  a file is wrong: the platform file, or a core that is not in it
    4  the TA refused; the reason is shown
    5  no OP-TEE, no TA, or one that does not answer as it should
    6  the core or its firmware: crashed, silent, restarted, or a lie in shared memory
    7  the file system: a file or device cannot be opened, read or mapped
  130  interrupted";
