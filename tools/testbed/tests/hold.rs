//! What becomes of a held machine whose test is killed.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use testbed::machine::Watch;

#[test]
fn a_held_machine_dies_with_the_test_that_started_it() {
    let folder = tempfile::tempdir().unwrap();
    let said = fake_qemu(folder.path());
    let initrd = folder.path().join("initrd");
    fs::write(&initrd, "").unwrap();
    let mut test = Command::new("/bin/sh")
        .args(["-c", "\"$@\" & wait", "sh"])
        .arg(env!("CARGO_BIN_EXE_testbed-hold"))
        .arg(folder.path())
        .args(["kernel", "flash"])
        .args([&initrd, &folder.path().join("logs")])
        .arg("true")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(fs::File::open(said).unwrap())
        .read_line(&mut line)
        .unwrap();
    let ids = line.split_ascii_whitespace().map(|id| id.parse().unwrap());
    let watches: Vec<_> = ids.map(|id| Watch::process(id).unwrap()).collect();
    assert_eq!(watches.len(), 2, "{line}");
    test.kill().unwrap();
    test.wait().unwrap();
    for watch in watches {
        assert!(watch.is_gone(Duration::from_secs(10)));
    }
}

/// A QEMU that says by a pipe who it is and who started it, and then nothing: the holder waits for its greeting.
fn fake_qemu(root: &Path) -> std::path::PathBuf {
    let said = root.join("said");
    rustix::fs::mkfifoat(rustix::fs::CWD, &said, 0o600.into()).unwrap();
    let loader = root.join("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2");
    fs::create_dir_all(loader.parent().unwrap()).unwrap();
    let script = format!(
        "#!/bin/sh\necho $PPID $$ >{}\nexec sleep 60\n",
        said.display()
    );
    fs::write(&loader, script).unwrap();
    fs::set_permissions(&loader, fs::Permissions::from_mode(0o755)).unwrap();
    said
}
