//! A ceremony: many images are signed with a key on a token, by one login and one request.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use firmware_signing::sample::Elf;
use tests::images::workspace;

/// A folder with the images, and SoftHSM's token in it.
pub(crate) struct Ceremony<'a> {
    signer: &'a Path,
    folder: PathBuf,
}

impl<'a> Ceremony<'a> {
    /// Lays the images out below `folder`, and puts the development key on a new token.
    pub(crate) fn new(signer: &'a Path, folder: &Path) -> Result<Self> {
        let this = Self {
            signer,
            folder: folder.join("ceremony"),
        };
        let tokens = this.folder.join("tokens");
        fs::create_dir_all(&tokens)?;
        fs::write(
            this.folder.join("softhsm2.conf"),
            format!(
                "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
                tokens.display()
            ),
        )?;
        let (key, pin) = (key("dev-signer.key.pem"), format!("--pin={PIN}"));
        this.softhsm(&[
            "--init-token",
            "--free",
            "--label=cw",
            "--so-pin=8765",
            &pin,
        ])?;
        this.softhsm(&[
            "--import",
            &key,
            "--token=cw",
            "--label=signer",
            "--id=01",
            &pin,
        ])?;
        let elf = Elf::qemu_virt().build();
        for image in 0..IMAGES {
            fs::write(this.image(image), &elf)?;
        }
        Ok(this)
    }

    /// What is measured, by name.
    pub(crate) fn commands(&self) -> Vec<(String, Vec<String>)> {
        let platform = workspace().join("ta/platforms/qemu-virt.toml");
        let images = (0..IMAGES).map(|image| self.image(image).display().to_string());
        let request = self.folder.join("request");
        let prepare = self
            .words(&[
                "prepare",
                "--force",
                "--core",
                "m4",
                "--security-version",
                "3",
            ])
            .chain(["--out-dir".to_owned(), request.display().to_string()])
            .chain(["--platform".to_owned(), platform.display().to_string()])
            .chain(["--cert".to_owned(), key("dev-signer.pem")])
            .chain(["--cert".to_owned(), key("dev-product-ca.pem")])
            .chain(["--root".to_owned(), key("dev-root.pem")])
            .chain(images)
            .collect();
        let attach = self
            .words(&[
                "attach",
                "--force",
                "--key",
                "pkcs11:token=cw;object=signer",
            ])
            .chain(["--root".to_owned(), key("dev-root.pem")])
            .chain([request.join("request.json").display().to_string()])
            .collect();
        vec![
            ("ceremony-prepare".to_owned(), prepare),
            ("ceremony-attach".to_owned(), attach),
        ]
    }

    fn words(&self, arguments: &[&str]) -> impl Iterator<Item = String> {
        let words = [
            "/usr/bin/env".to_owned(),
            format!(
                "SOFTHSM2_CONF={}",
                self.folder.join("softhsm2.conf").display()
            ),
            format!("COREWARDEN_PKCS11_MODULE={MODULE}"),
            format!("COREWARDEN_PIN={PIN}"),
            self.signer.display().to_string(),
        ];
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        words.into_iter().chain(arguments)
    }

    fn image(&self, number: usize) -> PathBuf {
        self.folder.join(format!("motor-{number}.elf"))
    }

    fn softhsm(&self, arguments: &[&str]) -> Result<()> {
        let output = Command::new("softhsm2-util")
            .args(arguments)
            .env("SOFTHSM2_CONF", self.folder.join("softhsm2.conf"))
            .output()
            .context("softhsm2-util does not start")?;
        ensure!(
            output.status.success(),
            "softhsm2-util {} ended with {}: {}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

fn key(name: &str) -> String {
    workspace().join("keys").join(name).display().to_string()
}

/// Images of one request.
pub(crate) const IMAGES: usize = 200;
const PIN: &str = "4711";
/// Where Debian installs it.
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
