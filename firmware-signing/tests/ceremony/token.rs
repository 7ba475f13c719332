//! SoftHSM as the token, OpenSC as the tool that fills it.

use std::fs;
use std::process::Command;

use super::{Desk, expect, text};

/// SoftHSM's module as Debian installs it.
pub(crate) const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
pub(crate) const PIN: &str = "4711";

/// A token with its own folder.
pub(crate) struct Token {
    pub(crate) desk: Desk,
}

impl Token {
    pub(crate) fn new() -> Self {
        let desk = Desk::new();
        fs::create_dir(desk.path("tokens")).expect("a folder");
        let folder = desk.path("tokens").display().to_string();
        desk.write(
            "softhsm2.conf",
            format!(
                "directories.tokendir = {folder}\nobjectstore.backend = file\nlog.level = ERROR\n"
            ),
        );
        let this = Self { desk };
        this.add_token("cw");
        this
    }

    pub(crate) fn add_token(&self, label: &str) {
        self.tool(&format!(
            "softhsm2-util --init-token --free --so-pin 87654321 --pin {PIN} --label {label}"
        ));
    }

    /// A tool of Debian's: softhsm2-util or pkcs11-tool.
    pub(crate) fn tool(&self, line: &str) {
        let mut words = line.split(' ');
        let program = words.next().expect("a program");
        let output = Command::new(program)
            .args(words)
            .current_dir(self.desk.folder())
            .env("SOFTHSM2_CONF", self.desk.path("softhsm2.conf"))
            .output()
            .unwrap_or_else(|error| {
                panic!("{program}: {error}; `cargo xtask check` installs softhsm2 and opensc")
            });
        let all = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "{line}: {all}");
    }

    pub(crate) fn pkcs11_tool(&self, words: &str) {
        self.tool(&format!(
            "pkcs11-tool --module {MODULE} --token-label cw --login --pin {PIN} {words}"
        ));
    }

    pub(crate) fn generate(&self, kind: &str, label: &str, id: &str) {
        self.pkcs11_tool(&format!(
            "--keypairgen --key-type {kind} --label {label} --id {id}"
        ));
    }

    /// The program with the token, its module and its PIN in the environment.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = self.desk.command(line);
        command
            .env("SOFTHSM2_CONF", self.desk.path("softhsm2.conf"))
            .env("COREWARDEN_PKCS11_MODULE", MODULE)
            .env("COREWARDEN_PIN", PIN);
        command
    }

    #[track_caller]
    pub(crate) fn expect(&self, code: i32, line: &str) -> String {
        expect(self.command(line).output().expect("it runs"), code)
    }
}
