//! OpenSSL as the judge.

use std::path::Path;
use std::process::Command;

/// OpenSSL in `folder`: whether it succeeded, and all it said.
pub(crate) fn openssl(folder: &Path, arguments: &str) -> (bool, String) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("openssl is installed");
    let all = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&all).into_owned(),
    )
}

pub(crate) fn good(folder: &Path, arguments: &str) -> String {
    let (success, text) = openssl(folder, arguments);
    assert!(success, "{arguments}: {text}");
    text
}
