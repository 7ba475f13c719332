//! What the host itself must have: cross compiler, make, and the tools that OP-TEE's build calls.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::{
    Result,
    process::{SYSTEM_PATH, system_command},
};

/// Debian packages that building the test bed needs and that are not installed.
pub fn missing_packages() -> Result<Vec<&'static str>> {
    let output = system_command("dpkg-query")
        .args(["--show", "--showformat", "${db:Status-Abbrev} ${Package}\n"])
        .args(PACKAGES)
        .output()
        .context(
            "cannot start dpkg-query; the test bed is made of Debian packages and runs on Debian",
        )?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(absent_in(&text))
}

/// Installs packages with apt, as root or through sudo. `confirm` is shown the command and may refuse it.
pub fn install_packages(packages: &[&str], confirm: &dyn Fn(&str) -> bool) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let prefix: &[&str] = if rustix::process::geteuid().is_root() {
        &[]
    } else if exists("sudo") {
        &["sudo"]
    } else {
        bail!(
            "these packages are missing, and there is neither root nor sudo: {}",
            packages.join(" ")
        );
    };
    let update = [prefix, &["apt-get", "update", "-q"]].concat();
    let install = [
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "install",
        "-y",
        "-q",
        "--no-install-recommends",
    ];
    let install = [prefix, &install, packages].concat();
    if !confirm(&format!("{} && {}", update.join(" "), install.join(" "))) {
        bail!(
            "nothing was installed, and the test bed needs these packages: {}",
            packages.join(" ")
        );
    }
    for words in [update, install] {
        // What goes wrong is said on stderr; the rest is a page of package names.
        let status = Command::new(words[0])
            .args(&words[1..])
            .env("PATH", SYSTEM_PATH)
            .stdout(Stdio::null())
            .status()
            .with_context(|| format!("cannot start {}", words[0]))?;
        if !status.success() {
            bail!("`{}` ended with {status}", words.join(" "));
        }
    }
    Ok(())
}

/// Refuses a folder that OP-TEE's makefiles would take apart.
pub fn fit_for_make(folder: &Path) -> Result<()> {
    let text = folder.as_os_str().as_encoded_bytes();
    if text
        .iter()
        .any(|byte| byte.is_ascii_whitespace() || b":#$%'\"\\`;&|<>()*?".contains(byte))
    {
        bail!(
            "{}: OP-TEE is built by make, which takes no spaces or special characters in paths; move this folder",
            folder.display()
        );
    }
    Ok(())
}

/// Packages of [`PACKAGES`] that the answer of dpkg-query does not call installed.
fn absent_in(text: &str) -> Vec<&'static str> {
    let installed = |name: &str| {
        text.lines().any(|line| {
            line.strip_prefix("ii")
                .is_some_and(|rest| rest.trim() == name)
        })
    };
    PACKAGES
        .into_iter()
        .filter(|name| !installed(name))
        .collect()
}

fn exists(program: &str) -> bool {
    SYSTEM_PATH
        .split(':')
        .any(|folder| std::path::Path::new(folder).join(program).exists())
}

/// The same names in bookworm and trixie.
const PACKAGES: [&str; 15] = [
    "device-tree-compiler",
    "dpkg-dev",
    "gcc-aarch64-linux-gnu",
    "libc6-dev-arm64-cross",
    "make",
    // Fills the tokens of the signer's tests.
    "opensc",
    // The independent judge of chains and signatures in the signer's tests.
    "openssl",
    // Types at a terminal of `corewarden serve` in a test; 45 kB to download.
    "picocom",
    "python3-cryptography",
    // What OP-TEE's sign_rproc_fw.py, the other signing tool in the tests, imports.
    "python3-pycryptodome",
    "python3-pyelftools",
    // The token of the signer's tests.
    "softhsm2",
    // Reads the captures of `corewarden capture` in a test; 21 MB to download.
    "tshark",
    "valgrind",
    "xz-utils",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_make_takes_apart_is_refused() {
        assert!(fit_for_make(Path::new("/home/jörg/cw-1.0_a")).is_ok());
        for path in ["/home/a b/cw", "/home/a:b", "/home/$x"] {
            let error = fit_for_make(Path::new(path)).unwrap_err().to_string();
            assert!(error.starts_with(path), "{error}");
        }
    }

    #[test]
    fn only_fully_installed_packages_count() {
        let text = "ii  make\nrc  xz-utils\nun  dpkg-dev\nii  python3-cryptography\n";
        let absent = absent_in(text);
        assert!(!absent.contains(&"make") && !absent.contains(&"python3-cryptography"));
        assert!(absent.contains(&"xz-utils") && absent.contains(&"dpkg-dev"));
    }
}
