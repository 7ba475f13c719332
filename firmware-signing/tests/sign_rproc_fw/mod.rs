//! Files as OP-TEE's sign_rproc_fw makes them, format v1, by the rules of that format.

use ring::digest::{SHA256, digest};

/// Such a file, its parts to be changed before it is signed.
pub(crate) struct Legacy {
    pub(crate) magic: u32,
    pub(crate) version: u32,
    pub(crate) records: Vec<(u32, Vec<u8>)>,
    pub(crate) image: Vec<u8>,
}

impl Legacy {
    pub(crate) fn of(elf: &[u8], scheme: u8) -> Self {
        let mut image = elf.to_vec();
        image.resize(image.len().next_multiple_of(8), 0);
        let size = image.len() as u32;
        Self {
            magic: 0x3543_a468,
            version: 1,
            records: vec![
                (1, vec![scheme]),
                (3, vec![1]),
                (4, vec![1]),
                (5, size.to_le_bytes().to_vec()),
                (2, vec![1]),
                (0x10, rows(elf)),
            ],
            image,
        }
    }

    /// What the signature covers, of which it is `signature_size` bytes long.
    pub(crate) fn signed(&self, signature_size: u32) -> Vec<u8> {
        let mut list = Vec::new();
        for (kind, value) in &self.records {
            list.extend(kind.to_le_bytes());
            list.extend((value.len() as u32).to_le_bytes());
            list.extend(value);
            list.resize(list.len().next_multiple_of(8), 0);
        }
        let size = self.image.len() as u32;
        let mut signed = Vec::new();
        for word in [
            self.magic,
            self.version,
            list.len() as u32,
            signature_size,
            size,
        ] {
            signed.extend(word.to_le_bytes());
        }
        signed.extend(list);
        signed
    }

    /// The whole file.
    pub(crate) fn file(&self, signature: &[u8]) -> Vec<u8> {
        let signed = self.signed(signature.len() as u32);
        [&signed, signature, &self.image].concat()
    }
}

/// A copy of every program header with the SHA-256 of its bytes.
fn rows(elf: &[u8]) -> Vec<u8> {
    let half = |at: usize| usize::from(u16::from_le_bytes([elf[at], elf[at + 1]]));
    let word =
        |at: usize| u32::from_le_bytes(elf[at..at + 4].try_into().expect("4 bytes")) as usize;
    let mut rows = Vec::new();
    for index in 0..half(44) {
        let at = word(28) + 32 * index;
        let (offset, size) = (word(at + 4), word(at + 16));
        rows.extend(&elf[at..at + 32]);
        rows.extend(digest(&SHA256, &elf[offset..offset + size]).as_ref());
    }
    rows
}
