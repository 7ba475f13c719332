//! Two real processes over one window, each of them killed: a short run of what `cargo xtask soak` does for long.

use std::process::Command;

#[test]
fn two_processes_lose_and_double_nothing_whichever_of_them_is_killed() {
    let kinds: [&[&str]; 4] = [
        &[],
        &["--packed"],
        &["--symmetric"],
        &["--symmetric", "--packed"],
    ];
    for kind in kinds {
        let output = Command::new(env!("CARGO_BIN_EXE_rings"))
            .args(["soak", "--messages", "20000", "--kills", "6"])
            .args(kind)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{kind:?}: {said}{errors}");
        assert!(
            said.contains("3 devices and 3 drivers killed, each told once to the other side"),
            "{kind:?}: {said}"
        );
    }
}
