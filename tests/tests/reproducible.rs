//! Two machines' worth of environments make the same bundle, bit for bit.

use std::{
    fs::{self, File, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use firmware_signing::sample::Elf;
use tempfile::TempDir;
use tests::images::workspace;

#[test]
fn two_machines_make_the_same_bundle_bit_for_bit() {
    let folder = TempDir::new().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("mode");
    // Another user must be able to start it, wherever it was built.
    let program = folder.path().join("corewarden-sign");
    fs::copy(trycmd::cargo::cargo_bin("corewarden-sign-shown"), &program).expect("copied");

    let desk = lay_out(&folder.path().join("one"), SystemTime::now());
    let mut first = Command::new(&program);
    first
        .args(["sign", "motor.elf", "--out", "motor.cwfw", "--core", "m4"])
        .args(["--platform", "board.toml", "--security-version", "3"])
        .args(["--key", "signer.key", "--cert", "signer.pem"])
        .args(["--cert", "product-ca.pem", "--root", "root.pem"])
        .env_clear()
        .envs([("LC_ALL", "C"), ("TZ", "UTC"), ("HOME", "/root")])
        .current_dir(&desk);
    let first = bundle(&mut first, &desk.join("motor.cwfw"));

    // Long ago, deep below, as somebody else, with everything said by the environment and as absolute paths.
    let past = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * 365 * 30);
    let desk = lay_out(&folder.path().join("another/much deeper/FOLDER é"), past);
    let at = |name: &str| desk.join(name).display().to_string();
    let mut second = Command::new("/bin/sh");
    second
        .args(["-c", "umask 077; exec \"$@\"", "sh"])
        .arg(&program)
        .args([
            "--json",
            "sign",
            &at("motor.elf"),
            "--out",
            &at("motor.cwfw"),
        ])
        .args(["--at", "2031-05-05"])
        .env_clear()
        .envs([
            ("LC_ALL", "tr_TR.UTF-8"),
            ("LANG", "ja_JP.EUC-JP"),
            ("TZ", "Asia/Kathmandu"),
            ("HOME", "/nonexistent"),
            ("USER", "somebody"),
            ("HOSTNAME", "elsewhere"),
            ("SOURCE_DATE_EPOCH", "1"),
            ("TMPDIR", "/nonexistent"),
            ("COREWARDEN_CORE", "0"),
            ("COREWARDEN_SECURITY_VERSION", "3"),
        ])
        .env("COREWARDEN_PLATFORM", at("board.toml"))
        .env("COREWARDEN_KEY", at("signer.key"))
        .env(
            "COREWARDEN_CERT",
            format!("{}:{}", at("product-ca.pem"), at("signer.pem")),
        )
        .env("COREWARDEN_ROOT", at("root.pem"))
        .current_dir("/");
    if fs::metadata("/proc/self").expect("/proc").uid() == 0 {
        for path in [
            desk.clone(),
            desk.join("signer.key"),
            desk.join("motor.elf"),
        ] {
            std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY)).expect("chown");
        }
        second.uid(NOBODY).gid(NOBODY);
    }
    let second = bundle(&mut second, &desk.join("motor.cwfw"));
    assert!(first == second, "the same bytes");
}

/// A folder with the inputs, all of them last changed at `time`.
fn lay_out(desk: &Path, time: SystemTime) -> PathBuf {
    fs::create_dir_all(desk).expect("a folder");
    for (file, name) in [
        ("keys/dev-root.pem", "root.pem"),
        ("keys/dev-product-ca.pem", "product-ca.pem"),
        ("keys/dev-signer.pem", "signer.pem"),
        ("keys/dev-signer.key.pem", "signer.key"),
        ("ta/platforms/qemu-virt.toml", "board.toml"),
    ] {
        fs::copy(workspace().join(file), desk.join(name)).expect("copied");
    }
    fs::write(desk.join("motor.elf"), Elf::qemu_virt().build()).expect("written");
    for entry in fs::read_dir(desk).expect("a folder") {
        let path = entry.expect("an entry").path();
        let file = File::options().append(true).open(path).expect("opened");
        file.set_modified(time).expect("a time");
    }
    desk.to_owned()
}

fn bundle(command: &mut Command, path: &Path) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{talk}");
    fs::read(path).expect("the bundle")
}

/// The user of this name on every Debian system.
const NOBODY: u32 = 65534;
