//! Raw commands, with any parameters, in one session or in many.

use std::{fs, io::Read, thread, time::Duration};

use anyhow::{Context, Result, bail};
use corewarden::ta::{Failure, Parameter, Teec, Transport};

use crate::memory::number;

/// Opens a session for `core` and does the steps; one line of output for each.
///
/// A step is `COMMAND,P0,P1,P2,P3` with parameters `-`, `vi:A:B`, `vo`, `mi:FILE` (`mi:` for no bytes), `mo:SIZE`;
/// missing ones are `-`. `sleep:MS` waits; `hold` waits until standard input ends.
pub(crate) fn run(core: &str, steps: &[&str]) -> Result<()> {
    let mut transport = client()?;
    let opened = transport.open(u32::try_from(number(core)?)?);
    println!("open {}", code(opened));
    if opened.is_err() {
        return Ok(());
    }
    for step in steps {
        match *step {
            "hold" => {
                println!("holding");
                std::io::stdin().read_to_end(&mut Vec::new())?;
            }
            step => match step.strip_prefix("sleep:") {
                Some(time) => thread::sleep(Duration::from_millis(number(time)?)),
                None => println!("{}", invoke(&mut transport, step)?),
            },
        }
    }
    Ok(())
}

/// Opens `count` sessions for `core` and keeps them all open to the end.
pub(crate) fn many(count: &str, core: &str) -> Result<()> {
    let core = u32::try_from(number(core)?)?;
    let mut open = Vec::new();
    for index in 1..=number(count)? {
        let mut transport = client()?;
        println!("session {index} {}", code(transport.open(core)));
        open.push(transport);
    }
    Ok(())
}

pub(crate) fn client() -> Result<Teec> {
    match Teec::new() {
        Ok(client) => Ok(client),
        Err(failure) => bail!("no TEE: {}", code(Err(failure))),
    }
}

pub(crate) fn code(result: Result<(), Failure>) -> String {
    match result {
        Ok(()) => "0x00000000".to_owned(),
        Err(failure) => format!("{:#010x} {:?}", failure.code, failure.origin),
    }
}

fn invoke(transport: &mut Teec, step: &str) -> Result<String> {
    let mut fields = step.split(',');
    let command = u32::try_from(number(fields.next().context("no command")?)?)?;
    let mut inputs: [Vec<u8>; 4] = Default::default();
    let kinds: [&str; 4] = core::array::from_fn(|_| fields.next().unwrap_or("-"));
    for (kind, input) in kinds.iter().zip(&mut inputs) {
        if let Some(file) = kind.strip_prefix("mi:").filter(|file| !file.is_empty()) {
            *input = fs::read(file).with_context(|| file.to_owned())?;
        } else if let Some(size) = kind.strip_prefix("mo:") {
            *input = vec![0; usize::try_from(number(size)?)?];
        }
    }
    let mut parameters: [Parameter<'_>; 4] = Default::default();
    for ((kind, input), parameter) in kinds.iter().zip(&mut inputs).zip(&mut parameters) {
        *parameter = match kind.split(':').collect::<Vec<_>>().as_slice() {
            ["-"] => Parameter::None,
            ["vi", a, b] => Parameter::ValueInput {
                a: u32::try_from(number(a)?)?,
                b: u32::try_from(number(b)?)?,
            },
            ["vo"] => Parameter::value_output(),
            ["mi", _] => Parameter::MemoryInput(input),
            ["mo", _] => Parameter::memory_output(input),
            _ => bail!("unknown parameter {kind}"),
        };
    }
    let result = transport.invoke(command, &mut parameters);
    let mut line = format!("invoke {command:#x} {}", code(result));
    for parameter in &parameters {
        match parameter {
            Parameter::ValueOutput { a, b } => line.push_str(&format!(" value={a:#x},{b:#x}")),
            Parameter::MemoryOutput { used, .. } => line.push_str(&format!(" used={used}")),
            _ => {}
        }
    }
    Ok(line)
}
