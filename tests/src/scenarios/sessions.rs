//! Sessions, states, and clients that die or misbehave.

use anyhow::{Result, ensure};
use ta_protocol::Status;

use crate::{board::Board, bundles::expected_memory, images::PRIVATE, suite::Test, tests};

pub(super) const TESTS: &[Test] = tests![
    a_start_before_a_load_is_refused,
    a_load_while_running_is_refused,
    another_bundle_while_one_is_loaded_is_refused,
    a_seventeenth_session_is_refused,
    an_unknown_core_leaves_no_state_behind,
    an_unknown_command_is_not_supported,
    the_commands_of_todays_clients_answer_as_they_did,
    a_command_with_another_core_id_than_the_sessions_is_refused,
    wrong_parameters_are_refused,
    a_client_killed_at_any_point_leaves_the_core_in_order,
    a_bundle_changed_while_it_is_loaded_is_refused_or_loaded_as_signed,
];

fn a_start_before_a_load_is_refused(board: &mut Board) -> Result<()> {
    expect(board, "start", Status::BadState)
}

fn a_load_while_running_is_refused(board: &mut Board) -> Result<()> {
    board.run_firmware("echo.cwfw")?;
    expect(board, "load /fw/echo.cwfw", Status::BadState)?;
    expect(board, "load /fw/echo-v2.cwfw", Status::BadState)?;
    ensure!(board.state()? == "Running", "it runs on");
    board.ping(3)?;
    Ok(())
}

fn another_bundle_while_one_is_loaded_is_refused(board: &mut Board) -> Result<()> {
    board.load("echo.cwfw")?;
    expect(board, "load /fw/echo-v2.cwfw", Status::OtherBundleLoaded)?;
    let memory = expected_memory(board.bundles.file("echo.cwfw")?, PRIVATE.start, 0x20_0000)?;
    board.expect_private(&memory)
}

fn a_seventeenth_session_is_refused(board: &mut Board) -> Result<()> {
    let text = board.succeed("probe sessions 17 0")?;
    let answers: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("session "))
        .collect();
    ensure!(answers.len() == 17, "17 answers: {text}");
    for line in &answers[..16] {
        ensure!(line.contains(" 0x00000000"), "sixteen are open: {line}");
    }
    ensure!(answers[16].contains("0xffff000d"), "BUSY: {}", answers[16]);
    ensure!(board.state()? == "Off", "and all are closed again");
    Ok(())
}

fn an_unknown_core_leaves_no_state_behind(board: &mut Board) -> Result<()> {
    for core in [7, 8, 0x7fff_ffff] {
        let text = board.succeed(&format!("probe session {core} 0x101,mo:512"))?;
        ensure!(text.contains("open 0xffff000a"), "NOT_SUPPORTED: {text}");
    }
    // Many of them do not use up what sessions are made of.
    board.succeed(
        "i=0; while [ $i -lt 40 ]; do probe session 77 2,vi:77:0 >/dev/null; i=$((i+1)); done",
    )?;
    board.load("echo.cwfw").map(drop)
}

fn an_unknown_command_is_not_supported(board: &mut Board) -> Result<()> {
    let text = board.succeed("probe session 0 99,vi:0:0 0x1ff,vo 0xf001")?;
    ensure!(
        text.contains("invoke 0x63 0xffff000a"),
        "as commands 1 to 6 answer: {text}"
    );
    let unsupported = format!("{:#010x}", Status::UnsupportedCommand.number());
    ensure!(
        text.contains(&format!("invoke 0x1ff {unsupported}")),
        "{text}"
    );
    ensure!(
        text.contains(&format!("invoke 0xf001 {unsupported}")),
        "no test command in the product: {text}"
    );
    Ok(())
}

fn the_commands_of_todays_clients_answer_as_they_did(board: &mut Board) -> Result<()> {
    let text = board.succeed(
        "probe session 0 3,vi:0:0 1,vi:0:0,mi:/fw/echo.cwfw 4,vi:0:0,vo,vo 2,vi:0:0 sleep:300 3,vi:0:0 sleep:50 5,vi:0:0,mo:64 6,vi:0:0",
    )?;
    for answer in [
        "invoke 0x1 0x00000000",
        "invoke 0x4 0x00000000 value=0x80000000,0x0",
        "invoke 0x2 0x00000000",
        "invoke 0x3 0x00000000",
        "invoke 0x5 0xffff0009",
        "invoke 0x6 0x00000000",
    ] {
        ensure!(text.contains(answer), "{answer} in {text}");
    }
    Ok(())
}

fn a_command_with_another_core_id_than_the_sessions_is_refused(board: &mut Board) -> Result<()> {
    let text = board.succeed("probe session 0 1,vi:1:0,mi:/fw/echo.cwfw 0x102,vo,vo,vo")?;
    ensure!(
        text.contains("invoke 0x1 0xffff0006"),
        "BAD_PARAMETERS: {text}"
    );
    ensure!(
        text.contains(&format!("value={:#x}", Status::WrongCore.number())),
        "by name: {text}"
    );
    Ok(())
}

fn wrong_parameters_are_refused(board: &mut Board) -> Result<()> {
    for step in [
        "1,vi:0:0",
        "1,vi:0:0,vo",
        "1",
        "2,vi:0:0,vi:0:0",
        "4,vi:0:0,vo",
        "1,mi:/fw/echo.cwfw,vi:0:0",
    ] {
        let text = board.succeed(&format!("probe session 0 {step}"))?;
        ensure!(text.contains("0xffff0006"), "{step}: {text}");
    }
    for step in ["0x101", "0x101,vo", "0x105,vi:0:0", "0x106,vi:0:0,mi:,vo"] {
        let text = board.succeed(&format!("probe session 0 {step}"))?;
        ensure!(
            text.contains(&format!("{:#010x}", Status::BadParameters.number())),
            "{step}: {text}"
        );
    }
    Ok(())
}

/// Kills a client by SIGKILL after each step of its work, and inside LOAD at several moments.
fn a_client_killed_at_any_point_leaves_the_core_in_order(board: &mut Board) -> Result<()> {
    let load = "1,vi:0:0,mi:/fw/echo.cwfw";
    for (steps, state) in [
        ("hold".to_owned(), "Off"),
        (format!("{load} hold"), "Loaded"),
        (format!("{load} 2,vi:0:0 sleep:300 hold"), "Running"),
        (
            format!("{load} 2,vi:0:0 sleep:300 3,vi:0:0 sleep:50 hold"),
            "Off",
        ),
    ] {
        board.core_off()?;
        board.succeed(&format!(
            "mkfifo -m 600 /tmp/never 2>/dev/null; (probe session 0 {steps} < /tmp/never > /tmp/held &) ; exec 9>/tmp/never; \
             i=0; until grep -q holding /tmp/held || [ $i -gt 100 ]; do usleep 50000; i=$((i+1)); done; \
             killall -9 probe; usleep 50000; exec 9>&-; grep -q holding /tmp/held"
        ))?;
        let found = board.state()?;
        ensure!(
            found == state,
            "after [{steps}] and SIGKILL the core is {found}, not {state}"
        );
    }
    for delay in [1, 5, 10, 20, 30, 40, 60] {
        board.core_off()?;
        board.shell(&format!(
            "corewarden load /fw/echo-largest.cwfw > /dev/null & usleep {delay}000; kill -9 $! 2>/dev/null; wait $! 2>/dev/null"
        ))?;
        let state = board.state()?;
        ensure!(
            state == "Off" || state == "Loaded",
            "killed {delay} ms into LOAD: {state}"
        );
        if state == "Off" {
            board.expect_wiped()?;
        }
    }
    board.core_off()?;
    board.load("echo.cwfw").map(drop)
}

/// A hundred loads while another thread flips bytes of the bundle. After each success the memory is what was signed.
fn a_bundle_changed_while_it_is_loaded_is_refused_or_loaded_as_signed(
    board: &mut Board,
) -> Result<()> {
    let memory = expected_memory(
        board.bundles.file("echo-64k.cwfw")?,
        PRIVATE.start,
        0x20_0000,
    )?;
    board.succeed("rm -f /tmp/answers; mkfifo /tmp/answers")?;
    board
        .machine
        .type_line("(probe race 0 /fw/echo-64k.cwfw 100 < /tmp/answers &); exec 9>/tmp/answers")?;
    let (mut loaded, mut refused) = (0, 0);
    let end = loop {
        let line = board
            .machine
            .expect("race ", std::time::Duration::from_secs(60))?
            .text;
        if line.contains("race loaded") {
            loaded += 1;
            board.expect_private(&memory)?;
            board.machine.type_line("echo >&9")?;
        } else if line.contains("race refused") {
            refused += 1;
            ensure!(!line.contains("0x00000000"), "{line}");
        } else if line.contains("race end") {
            break line;
        }
    };
    board.succeed("exec 9>&-")?;
    ensure!(
        loaded + refused == 100,
        "{loaded} + {refused} of 100: {end}"
    );
    ensure!(
        loaded > 0 && refused > 0,
        "some of each: {loaded} loaded, {refused} refused"
    );
    println!("    {loaded} of 100 loaded as signed, {refused} refused");
    Ok(())
}

fn expect(board: &mut Board, arguments: &str, status: Status) -> Result<()> {
    let refusal = board.refused(arguments)?;
    ensure!(
        refusal.status == status,
        "{arguments}: {:?}, not {status:?}",
        refusal.status
    );
    Ok(())
}
