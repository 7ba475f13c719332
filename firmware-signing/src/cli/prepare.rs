//! `prepare`: what is to be signed for many images, in one request.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::inputs::{MAX_INPUT, Plan, name};
use super::options::{Chain, Content};
use super::report::{Report, Schema, list};
use crate::files::{self, Folder, Kind as FileKind, Staged};
use crate::pki::{Certificate, signer_among};
use crate::request::{self, FILE_NAME, Image, Prepared, Request, Wrapped, prepared_name};
use crate::sign::{SlotChain, draft};
use crate::{Error, Failure, Options, release};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Prepare {
    /// ELFs as the linker wrote them; their names without .elf name the images
    #[arg(required = true, value_name = "ELF")]
    elves: Vec<PathBuf>,
    /// Folder for the request and what belongs to it; made if it is not there
    #[arg(long, value_name = "FOLDER")]
    out_dir: PathBuf,
    #[command(flatten)]
    content: Content,
    #[command(flatten)]
    chain: Chain,
    /// Refuse what does not sign a release: published test keys, development certificates and roots
    #[arg(long)]
    release: bool,
    /// Replace existing outputs
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &Prepare) -> Result<Report, Failure> {
    let (elves, folder) = (&arguments.elves, &arguments.out_dir);
    let names = names(elves)?;
    let kind = FileKind::Output {
        force: arguments.force,
    };
    let inputs: Vec<&Path> = elves.iter().map(PathBuf::as_path).collect();
    let request_path = folder.join(FILE_NAME);
    files::check_output(&request_path, kind, &inputs)?;
    for name in &names {
        let message = folder.join(format!("{name}.message"));
        files::check_output(&folder.join(prepared_name(name)), kind, &inputs)?;
        files::check_output(&message, kind, &inputs)?;
    }
    let plan = Plan::read(&arguments.content, &arguments.chain)?;
    let mut slots = vec![SlotChain::new(0, &signer_among(&plan.given)?, &plan.given)?];
    if !plan.second_given.is_empty() {
        let second = &plan.second_given;
        slots.push(SlotChain::new(1, &signer_among(second)?, second)?);
    }
    if arguments.release {
        let pinned: Vec<Certificate> = plan.pinned.iter().map(|(_, root)| root.clone()).collect();
        for slot in &slots {
            release::check_certificates(&slot.certificates, &pinned)?;
        }
    }
    let roots = plan.roots();
    let options = plan.options(&arguments.content, &roots);

    let _made = Folder::make(folder)?;
    let mut images = Vec::with_capacity(names.len());
    let mut staged = Vec::with_capacity(2 * names.len() + 1);
    for (path, name) in elves.iter().zip(&names) {
        let elf = files::read(path, MAX_INPUT)?;
        let failed = Failure::at(path);
        let wrapped = wrapped(elf, &options, &slots).map_err(&failed)?;
        let bytes = wrapped.parts().concat();
        let prepared = Prepared::read(&bytes).map_err(&failed)?;
        let image = Image::of(name, &prepared).map_err(&failed)?;
        let message = folder.join(&image.message_file);
        staged.push(Staged::new(&folder.join(&image.prepared), kind, &[&bytes])?);
        staged.push(Staged::new(&message, kind, &[&prepared.message()])?);
        images.push(image);
    }
    let request = Request::new(images);
    let json = request.to_json();
    staged.push(Staged::new(&request_path, kind, &[json.as_bytes()])?);
    files::publish(staged)?;
    Ok(Report::of(Answer {
        request: name(&request_path),
        images: request.images,
    }))
}

fn wrapped(
    elf: Vec<u8>,
    options: &Options<'_>,
    slots: &[SlotChain],
) -> Result<Wrapped<'static>, Error> {
    let wrapped = Wrapped::new(draft(elf, options, slots.to_vec())?)?;
    // What a device would refuse is found before anybody walks to the token.
    wrapped.judge(options)?;
    Ok(wrapped)
}

fn names(elves: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let mut names = Vec::with_capacity(elves.len());
    for path in elves {
        let name = match path.extension() {
            Some(extension) if extension == "elf" => path.file_stem(),
            _ => path.file_name(),
        };
        // What is not UTF-8 is refused for its replacement characters.
        names.push(name.unwrap_or_default().to_string_lossy().into_owned());
    }
    if names.len() > request::MAX_IMAGES {
        let detail = format!("{} images, not 1 to {}", names.len(), request::MAX_IMAGES);
        return Err(Failure::from(Error::RequestMalformed).with_detail(detail));
    }
    request::check_names(names.iter().map(String::as_str))
        .map_err(|(error, name)| Failure::from(error).with_detail(name))?;
    Ok(names)
}

#[derive(Debug, Serialize)]
struct Answer {
    request: String,
    images: Vec<Image>,
}

impl Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} to sign", self.request, self.images.len())?;
        for image in &self.images {
            let summary = &image.summary;
            writeln!(
                f,
                "{}: core {}, security version {} ({})",
                image.message_file,
                list(&summary.cores),
                summary.security_version,
                summary.display_version
            )?;
            for wanted in &image.signatures {
                writeln!(
                    f,
                    "  {} by key {} into {}",
                    wanted.algorithm, wanted.key_id, wanted.signature_file
                )?;
            }
        }
        Ok(())
    }
}

impl Schema for Answer {
    const NAME: &'static str = "corewarden-sign/prepare";
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign prepare motor.elf pump.elf --out-dir request --platform board.toml --core m4 \\
      --cert signer.pem --cert product-ca.pem --root root.pem --security-version 3
  corewarden-sign prepare motor.elf --out-dir request --platform two-slots.toml --core m4 \\
      --cert signer.pem:product-ca.pem --root root.pem --security-version 3 \\
      --second-cert second.pem:second-ca.pem --second-root second-root.pem

Then sign each .message file, for instance with openssl dgst -sha256 -sign KEY, and go on with
`attach`. What is signed, and how OpenSSL and pkcs11-tool sign it: docs/two-step-signing.md.";
