//! What tells two bundles apart, field by field. Signatures are left aside: two makers of the same image differ in nothing else.

use certificate_chain::sha256;
use firmware_bundle::{Extension, Manifest, SbomDigest, Segment};
use serde::Serialize;

use crate::key::key_id;
use crate::pki::Certificate;
use crate::resign::Whole;
use crate::sign::SlotChain;
use crate::{hex, uuid};

/// A field that differs; `None` where one of the bundles does not have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its name, as `inspect` calls it.
    pub field: String,
    /// In the first bundle.
    pub first: Option<String>,
    /// In the second one.
    pub second: Option<String>,
}

/// Everything in which two bundles differ but their signatures; who signed only where `signers` says so.
pub fn diff(first: &Whole<'_>, second: &Whole<'_>, signers: bool) -> Vec<Difference> {
    let (first, second) = (fields(first, signers), fields(second, signers));
    let value = |fields: &Fields, name: &str| {
        let found = fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.clone())
    };
    let mut names: Vec<&String> = first.iter().map(|(field, _)| field).collect();
    for (field, _) in &second {
        if !names.contains(&field) {
            names.push(field);
        }
    }
    names
        .into_iter()
        .map(|field| Difference {
            first: value(&first, field),
            second: value(&second, field),
            field: field.clone(),
        })
        .filter(|one| one.first != one.second)
        .collect()
}

type Fields = Vec<(String, String)>;

fn fields(bundle: &Whole<'_>, signers: bool) -> Fields {
    let manifest = bundle.manifest();
    let mut fields = Vec::new();
    let mut put = |name: &str, value: String| fields.push((name.to_owned(), value));
    put("device class", uuid(manifest.device_class()));
    let cores: Vec<String> = manifest.core_ids().map(|core| core.to_string()).collect();
    put("cores", cores.join(", "));
    put("security version", manifest.security_version().to_string());
    put("display version", manifest.display_version().to_owned());
    put("build id", hex(manifest.build_id()));
    put("entry point", format!("{:#x}", manifest.entry()));
    if let Some(address) = manifest.vector_table() {
        put("vector table", format!("{address:#x}"));
    }
    put("ELF part, bytes", bundle.elf().len().to_string());
    put("bytes that are not loaded", hex(manifest.rest_digest()));
    if let Some((address, table)) = manifest.resource_table() {
        put("resource table, address", format!("{address:#x}"));
        let digest = hex(&sha256(&[table]));
        put(
            "resource table, bytes",
            format!("{} ({digest})", table.len()),
        );
    }
    fields.extend(segments(manifest));
    fields.extend(manifest.extensions().map(|one| extension(&one)));
    if signers {
        fields.extend(bundle.slots().iter().flat_map(signer));
    }
    fields
}

fn segments(manifest: &Manifest<'_>) -> Fields {
    let mut fields = Vec::new();
    let mut digests = manifest.digests().iter();
    for (index, segment) in manifest.segments().enumerate() {
        let Segment {
            address,
            memory_size,
            file_offset,
            file_size,
            access,
        } = segment;
        let mut put = |name: &str, value: String| {
            fields.push((format!("segment {index}, {name}"), value));
        };
        put("address", format!("{address:#x}"));
        put("bytes in memory", format!("{memory_size:#x}"));
        put("file offset", format!("{file_offset:#x}"));
        put("bytes in the file", format!("{file_size:#x}"));
        put("access", access_of(access.bits()));
        let chunks = file_size.div_ceil(firmware_bundle::CHUNK);
        for chunk in 0..chunks {
            let digest = digests.next().map(|digest| hex(digest));
            put(
                &format!("content from {:#x}", chunk * firmware_bundle::CHUNK),
                digest.unwrap_or_default(),
            );
        }
    }
    fields
}

fn access_of(bits: u32) -> String {
    [(4, 'r'), (2, 'w'), (1, 'x')]
        .map(|(bit, letter)| if bits & bit == 0 { '-' } else { letter })
        .iter()
        .collect()
}

fn extension(extension: &Extension<'_>) -> (String, String) {
    let name = match extension.kind {
        SbomDigest::KIND => "SBOM digest".to_owned(),
        kind => format!("extension {kind:#x}"),
    };
    (name, hex(extension.value))
}

fn signer(slot: &SlotChain) -> Fields {
    let named = |name: &str| format!("slot {}, {name}", slot.number);
    let mut fields = vec![(named("algorithm"), slot.algorithm.name().to_owned())];
    for (place, certificate) in ["signer", "product CA", "third certificate"]
        .iter()
        .zip(&slot.certificates)
    {
        let key = certificate.public_key().unwrap_or_default();
        let subject = Certificate::subject(certificate);
        let value = format!(
            "{subject}, key {}, certificate {}",
            hex(&key_id(&key)),
            hex(&sha256(&[certificate.der()]))
        );
        fields.push((named(place), value));
    }
    fields
}
