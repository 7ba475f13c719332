//! Attacks that root in Linux would make, for the end-to-end tests. It runs in the test bed's Linux and nowhere else.

#[cfg(target_arch = "aarch64")]
mod devices;
#[cfg(target_arch = "aarch64")]
mod dma;
#[cfg(target_arch = "aarch64")]
mod kexec;
#[cfg(target_arch = "aarch64")]
mod lend;
#[cfg(target_arch = "aarch64")]
mod link;
#[cfg(target_arch = "aarch64")]
mod memory;
#[cfg(target_arch = "aarch64")]
mod pool;
#[cfg(target_arch = "aarch64")]
mod race;
#[cfg(target_arch = "aarch64")]
mod session;
#[cfg(target_arch = "aarch64")]
mod talk;
#[cfg(target_arch = "aarch64")]
mod user;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("probe: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(target_arch = "aarch64")]
fn run(arguments: &[String]) -> anyhow::Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["as", user, group, program @ ..] => user::become_user(user, group, program),
        ["bus", address] => memory::bus(address),
        ["read", address] => memory::read(address),
        ["write", address, value] => memory::write(address, value),
        ["devices", core, count] => devices::run(core, count),
        ["dma", address] => dma::run(address),
        ["echo", socket, count] => user::echo(socket, count),
        ["kexec", kernel, initrd] => kexec::run(kernel, initrd),
        ["lend", folder, value] => lend::run(folder, value),
        ["pool", core, count] => pool::run(core, count),
        ["session", core, steps @ ..] => session::run(core, steps),
        ["sessions", count, core] => session::many(count, core),
        ["stay", socket] => user::stay(socket),
        ["talk", core, first, over @ ..] => talk::run(core, first, over),
        ["race", core, file, count] => race::run(core, file, count),
        _ => anyhow::bail!("unknown attack {arguments:?}"),
    }
}

#[cfg(not(target_arch = "aarch64"))]
fn run(_: &[String]) -> anyhow::Result<()> {
    anyhow::bail!("this attacks the test bed's Linux; it does nothing on this machine")
}
