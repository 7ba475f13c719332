//! `corewarden serve` before the real core: users without rights, terminals, captures, restarts, and the core as a client of
//! Linux' pins and buses (rpmsg-host.md).

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};

use crate::{board::Board, images::workspace, suite::Test, tests};

pub(super) const TESTS: &[Test] = tests![
    users_reach_the_core_by_the_files_that_are_theirs,
    a_terminal_to_the_core_works,
    a_capture_of_the_core_from_its_start_is_read_by_tshark,
    clients_are_told_of_a_restart_of_the_core_and_terminals_go_on,
    a_server_that_was_killed_is_replaced_by_the_next_one,
    the_core_uses_pins_and_buses_of_a_users_program,
];

fn users_reach_the_core_by_the_files_that_are_theirs(board: &mut Board) -> Result<()> {
    board.run_firmware("devices.cwfw")?;
    serve(board)?;
    announced(board)?;
    let before = board.machine.rings();
    let said = board.succeed(&format!("{APP} probe echo {RAW} 200"))?;
    ensure!(said.contains("200 echoes"), "{said}");
    let after = board.machine.rings();
    ensure!(
        after.to_core >= before.to_core + 200 && after.to_linux >= before.to_linux + 200,
        "the echoes came from elsewhere: {before:?}, then {after:?}"
    );
    let counted = board.corewarden("top")?;
    ensure!(
        counted["received"]["messages"] == 200 && counted["sent"]["messages"] == 200,
        "{counted}"
    );
    ensure!(
        counted["kicks"]["rung"].as_u64() >= Some(200) && counted["lies"] == 0,
        "{counted}"
    );
    for (user, command) in [
        (OTHER, "probe echo /run/corewarden/rpmsg-raw 1"),
        (OTHER, "corewarden top"),
        (APP, "corewarden capture /dev/null"),
        (APP, "sh -c '</run/corewarden/ttyCore'"),
    ] {
        let output = board.shell(&format!("{user} {command}"))?;
        ensure!(
            output.status != 0 && output.text().contains("ermission denied"),
            "{user} {command} ended with {}: {}",
            output.status,
            output.text()
        );
    }
    end(board)
}

fn a_terminal_to_the_core_works(board: &mut Board) -> Result<()> {
    board.run_firmware("devices.cwfw")?;
    serve(board)?;
    // A letter too many is taken back.
    terminal(board, "uptimef\\177\\r", "[0-9] ms")?;
    terminal(board, "help\\r", "borrow or uptime, please")?;
    end(board)
}

fn a_capture_of_the_core_from_its_start_is_read_by_tshark(board: &mut Board) -> Result<()> {
    serve(board)?;
    board.succeed(
        "corewarden capture /tmp/core.pcapng >/tmp/capture 2>&1 & until [ -s /tmp/core.pcapng ]; do usleep 20000; done",
    )?;
    board.run_firmware("devices.cwfw")?;
    announced(board)?;
    board.succeed(&format!("{APP} probe echo {RAW} 3"))?;
    // With the server's end it has everything.
    end(board)?;
    let said = board.succeed("until grep packets /tmp/capture; do usleep 20000; done")?;
    ensure!(said.contains("core.pcapng: "), "{said}");
    let capture = pull(board, "/tmp/core.pcapng")?;
    let shown = tshark(&capture)?;
    // What the core alone can have said, and what came back from it.
    for name in [
        "rpmsg-gpio",
        "rpmsg-i2c",
        "rpmsg-spi",
        "rpmsg-raw",
        "rpmsg-tty",
    ] {
        let announced = format!("announces {name} at ");
        ensure!(shown.contains(&announced), "no {announced:?}: {shown}");
    }
    for words in ["link up", "kick"] {
        ensure!(shown.contains(words), "no {words:?}: {shown}");
    }
    for (way, length) in [("sent", 1), ("received", 1), ("sent", 3), ("received", 3)] {
        let found = shown.lines().any(|line| {
            line.contains(&format!("{way} ")) && line.ends_with(&format!(", {length} bytes"))
        });
        ensure!(found, "no message of {length} bytes was {way}: {shown}");
    }
    Ok(())
}

fn clients_are_told_of_a_restart_of_the_core_and_terminals_go_on(board: &mut Board) -> Result<()> {
    board.run_firmware("devices.cwfw")?;
    serve(board)?;
    for _ in 0..2 {
        announced(board)?;
        board.succeed(&format!(
            "{APP} probe stay {RAW} >/tmp/stay 2>&1 & until grep stays /tmp/stay; do usleep 20000; done"
        ))?;
        terminal(board, "uptime\\r", "[0-9] ms")?;
        board.corewarden("stop")?;
        board.run_firmware("devices.cwfw")?;
        let told = board.succeed("until grep told /tmp/stay; do usleep 20000; done")?;
        ensure!(told.contains("told peer-restarted"), "{told}");
    }
    terminal(board, "uptime\\r", "[0-9] ms")?;
    board.succeed(&format!("{APP} probe echo {RAW} 10"))?;
    let counted = board.corewarden("top")?;
    ensure!(
        counted["links"] == 3 && counted["restarts"] == 2,
        "{counted}"
    );
    end(board)
}

fn a_server_that_was_killed_is_replaced_by_the_next_one(board: &mut Board) -> Result<()> {
    board.run_firmware("devices.cwfw")?;
    for _ in 0..2 {
        serve(board)?;
        announced(board)?;
        board.succeed(&format!("{APP} probe echo {RAW} 10"))?;
        board.succeed("kill -9 $(cat /tmp/serve.pid); [ -e /run/corewarden/rpmsg-raw ]")?;
    }
    serve(board)?;
    terminal(board, "uptime\\r", "[0-9] ms")?;
    board.succeed(&format!("{APP} probe echo {RAW} 10"))?;
    end(board)
}

fn the_core_uses_pins_and_buses_of_a_users_program(board: &mut Board) -> Result<()> {
    board.run_firmware("devices.cwfw")?;
    serve(board)?;
    announced(board)?;
    let said = terminal(board, "borrow\\r", "ms")?;
    ensure!(said.contains("no answer for 0 ms"), "nobody lends: {said}");
    // What the core must say was thought of here, and what the program must say is the core's own time.
    for _ in 0..2 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let value = now.subsec_nanos();
        board.succeed(&format!(
            "{APP} probe lend {FOLDER} {value} >/tmp/lent 2>&1 & echo $! >/tmp/lend.pid; \
             until grep lends /tmp/lent; do usleep 20000; done"
        ))?;
        for _ in 0..2 {
            let said = terminal(board, "borrow\\r", "received")?;
            let lent = board.succeed("cat /tmp/lent")?;
            let (high, other) = match value & 1 {
                0 => ("low", "high"),
                _ => ("high", "low"),
            };
            for words in [
                format!("line 0 is {high}, line 1 set {other}"),
                format!("i2c has {value:08x}, given "),
            ] {
                ensure!(said.contains(&words), "no {words:?}: {said}");
            }
            ensure!(lent.contains(&format!("line set {other}")), "{lent}");
            let given = hex_behind(&said, "given ")?;
            ensure!(lent.contains(&format!("chip given {given:08x}")), "{lent}");
            let spi = format!("spi sent {given:08x}, received {:08x}", !given);
            ensure!(said.contains(&spi), "no {spi:?}: {said}");
        }
        // Whoever lends next announces anew.
        board.succeed("kill $(cat /tmp/lend.pid)")?;
    }
    end(board)
}

/// Starts the server, as root.
fn serve(board: &mut Board) -> Result<()> {
    board.succeed(
        "corewarden serve --config /etc/corewarden/serve.toml >/tmp/serve 2>&1 & echo $! >/tmp/serve.pid; \
         until corewarden top >/dev/null 2>&1; do usleep 20000; done",
    )?;
    Ok(())
}

/// Waits for what the core announces last.
fn announced(board: &mut Board) -> Result<()> {
    board.succeed("until corewarden top | grep -q 'rpmsg-tty at'; do usleep 20000; done")?;
    Ok(())
}

/// Ends the server in order, and the core.
fn end(board: &mut Board) -> Result<()> {
    let said = board.succeed(
        "kill $(cat /tmp/serve.pid); while [ -e /run/corewarden/control ]; do usleep 20000; done; \
         ls /run/corewarden; until grep served /tmp/serve; do usleep 20000; done",
    )?;
    ensure!(said.starts_with("served "), "{said}");
    board.corewarden("stop")?;
    board.expect_wiped()
}

/// Types at the terminal as a member of its group, and waits for this pattern; what is to be seen by then.
fn terminal(board: &mut Board, keys: &str, until: &str) -> Result<String> {
    board.succeed(&format!(
        "until [ -e {FOLDER}/ttyCore ]; do usleep 20000; done; \
         {{ printf '{keys}' | {DIALOUT} microcom {FOLDER}/ttyCore >/tmp/shown 2>&1 & }}; \
         until grep -q '{until}' /tmp/shown; do usleep 20000; done; kill $!; cat /tmp/shown"
    ))
}

/// A file of the guest, by its console.
fn pull(board: &mut Board, path: &str) -> Result<Vec<u8>> {
    let text = board.succeed(&format!("hexdump -ve '16/1 \"%02x \" \"\\n\"' {path}"))?;
    let bytes = text.split_whitespace();
    bytes
        .map(|byte| u8::from_str_radix(byte, 16).with_context(|| format!("{byte:?} of {path}")))
        .collect()
}

/// What tshark shows of a capture with our dissector. Wireshark since 4.4 runs no Lua for root, so root becomes nobody.
fn tshark(capture: &[u8]) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let (script, file) = (
        folder.path().join("dissector.lua"),
        folder.path().join("core.pcapng"),
    );
    fs::copy(workspace().join("docs/corewarden-rpmsg.lua"), &script)?;
    fs::write(&file, capture)?;
    let mut command = Command::new("tshark");
    if fs::metadata(&file)?.uid() == 0 {
        for path in [folder.path(), &script, &file] {
            chown(path, Some(NOBODY), Some(NOBODY))?;
        }
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command
        .env("HOME", folder.path())
        .arg("-X")
        .arg(format!("lua_script:{}", script.display()))
        .arg("-r")
        .arg(&file)
        .output()
        .context("tshark does not start")?;
    let (shown, said) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "tshark: {shown}{said}");
    Ok(shown)
}

fn hex_behind(text: &str, words: &str) -> Result<u32> {
    let (_, rest) = text
        .split_once(words)
        .with_context(|| format!("no {words:?}: {text}"))?;
    let number = rest.get(..8).context("a number of eight digits")?;
    Ok(u32::from_str_radix(number, 16)?)
}

const NOBODY: u32 = 65534;
const FOLDER: &str = "/run/corewarden";
const RAW: &str = "/run/corewarden/rpmsg-raw";
/// Users without rights, as /etc/passwd has them.
const APP: &str = "probe as 1000 1000";
const OTHER: &str = "probe as 1001 1001";
const DIALOUT: &str = "probe as 1001 20";
