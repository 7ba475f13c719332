//! Programs of a user who is not root, and knows of the core only what `corewarden serve` lets through.

use std::{os::unix::process::CommandExt, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use corewarden::{Error, Limit, client::Client};

use crate::memory::number;

/// Becomes a program of this user and group, and of no other group.
pub(crate) fn become_user(user: &str, group: &str, program: &[&str]) -> Result<()> {
    let (name, arguments) = program.split_first().context("no program")?;
    let (user, group) = (
        u32::try_from(number(user)?)?,
        u32::try_from(number(group)?)?,
    );
    let error = Command::new(name)
        .args(arguments)
        .uid(user)
        .gid(group)
        .exec();
    bail!("{name}: {error}")
}

/// Sends messages of every length to a service that says what it is told, and compares.
pub(crate) fn echo(socket: &str, count: &str) -> Result<()> {
    let (client, count) = (Client::connect(Path::new(socket))?, number(count)?);
    for number in 0..count {
        let length = 1 + usize::try_from(number % 496)?;
        let sent: Vec<u8> = (0..length)
            .map(|at| (at * 7) as u8 ^ number as u8)
            .collect();
        client.send(&sent, Limit::after(PATIENCE))?;
        let answer = client.recv(Limit::after(PATIENCE))?;
        ensure!(answer == sent, "echo {number}: {answer:x?}");
    }
    println!("{count} echoes");
    Ok(())
}

/// Has one echo, and then waits for the end of the connection: why it ended.
pub(crate) fn stay(socket: &str) -> Result<()> {
    let client = Client::connect(Path::new(socket))?;
    client.send(b"here", Limit::after(PATIENCE))?;
    ensure!(client.recv(Limit::after(PATIENCE))? == b"here", "no echo");
    println!("stays");
    match client.recv(Limit::after(PATIENCE)) {
        Err(Error::ServerClosed { reason }) => println!("told {}", reason.word()),
        other => bail!("{other:?}"),
    }
    Ok(())
}

/// How long the core may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
