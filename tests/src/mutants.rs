//! Files that a device refuses, each for its own reason: made of one good firmware, and signed anew where a rule behind the
//! signature is to be met.

use std::{collections::BTreeMap, ops::Range};

use anyhow::Result;
use firmware_signing::{Options, sign};
use platform::Platform;

use crate::bundles::{self, Identity, Mutant, scope};

/// By name: all of them are for core 0, which `echo`, the signed `elf`, is for.
///
/// # Errors
/// Where `echo` is no bundle of at least two segments whose resource table has a virtio device first and a trace buffer second.
pub fn of(
    elf: &[u8],
    echo: &[u8],
    developer: &Identity,
    platform: &Platform,
) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut add = |name: &str, bytes: Vec<u8>| files.insert(name.to_owned(), bytes);
    add("empty.cwfw", Vec::new());
    add("format-v1.cwfw", format_v1(elf));
    let elf_size = bundles::trailer(echo)?.footer().elf_size();
    add("stripped.cwfw", echo[..usize::try_from(elf_size)?].to_vec());
    add("echo.elf", elf.to_vec());

    let foreign = Identity::foreign(&scope(platform, 1000)?)?;
    let options = Options {
        platform,
        cores: &[0],
        security_version: 7,
        display_version: "1.0.0",
        build_id: None,
        sbom: None,
        keep_all: false,
        at: None,
        roots: &[],
    };
    add(
        "foreign-root.cwfw",
        sign(elf, &options, &foreign.key, &foreign.chain)?,
    );
    for (name, mutant) in signed_anew(echo)? {
        add(name, mutant.sign(&developer.key)?);
    }
    let mut wrong = echo.to_vec();
    let signature = wrong.len() - firmware_bundle::FOOTER_SIZE - 64;
    wrong[signature] ^= 1;
    add("wrong-signature.cwfw", wrong);
    Ok(files)
}

/// Mutants of a bundle that its own signer has to sign.
fn signed_anew(echo: &[u8]) -> Result<Vec<(&'static str, Mutant)>> {
    let mutant = || Mutant::of(echo);
    let last = mutant()?.segments() - 1;
    let address = |segment| mutant()?.segment_field(segment, bundles::ADDRESS);
    let into_the_second = address(1)? - address(0)? + 1;
    // In the table the device's entry comes first: its first vring's address and its type. Then a trace buffer, which becomes a vendor's.
    let table = bundles::table(echo)?;
    let entry = |at: Range<usize>| -> Result<usize> {
        Ok(usize::try_from(u32::from_le_bytes(table[at].try_into()?))?)
    };
    let (device, trace) = (entry(16..20)?, entry(20..24)?);
    Ok(vec![
        (
            "above-ceiling.cwfw",
            mutant()?.set(12, &1001u32.to_le_bytes())?,
        ),
        ("other-core.cwfw", mutant()?.set(192, &2u32.to_le_bytes())?),
        ("other-class.cwfw", mutant()?.set(16, &[0x11; 16])?),
        (
            "critical-extension.cwfw",
            mutant()?.add_extension(0x7fff, true, &[0; 16])?,
        ),
        (
            "plain-extension.cwfw",
            mutant()?.add_extension(0x7fff, false, &[0; 16])?,
        ),
        (
            "reserved-extension.cwfw",
            mutant()?.add_extension(1, true, &[0; 16])?,
        ),
        (
            "entry-in-window.cwfw",
            mutant()?.set(bundles::ENTRY, &0x2121_0001u64.to_le_bytes())?,
        ),
        (
            "segment-outside.cwfw",
            mutant()?.set_segment(last, bundles::ADDRESS, 0x2300_0000)?,
        ),
        (
            "segment-in-window.cwfw",
            mutant()?.set_segment(last, bundles::ADDRESS, 0x2121_0000)?,
        ),
        (
            "overlap.cwfw",
            mutant()?.set_segment(0, bundles::MEMORY_SIZE, into_the_second)?,
        ),
        (
            "table-elsewhere.cwfw",
            mutant()?.set(48, &0x2120_8000u64.to_le_bytes())?,
        ),
        (
            "vring-outside.cwfw",
            mutant()?.set_table(device + 28, &0x2130_0000u32.to_le_bytes())?,
        ),
        (
            "table-vendor.cwfw",
            mutant()?.set_table(trace, &128u32.to_le_bytes())?,
        ),
    ])
}

/// What sign_rproc_fw makes: its header, and the ELF behind it.
fn format_v1(elf: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [
        0x3543_a468u32,
        1,
        0,
        0,
        u32::try_from(elf.len()).unwrap_or(0),
    ] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(elf);
    bytes
}
