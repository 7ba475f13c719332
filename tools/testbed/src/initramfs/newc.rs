//! The "newc" cpio format, as Linux' `buffer-format.rst` describes it.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// One thing in the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// A regular file: permission bits and contents.
    File(u32, Vec<u8>),
    /// A directory.
    Folder,
    /// A symbolic link and what it points to.
    Link(String),
}

impl Node {
    pub(super) fn file(mode: u32, bytes: Vec<u8>) -> Self {
        Self::File(mode & 0o7777, bytes)
    }

    fn mode(&self) -> u32 {
        match self {
            Self::File(mode, _) => 0o100_000 | mode,
            Self::Folder => 0o040_755,
            Self::Link(_) => 0o120_777,
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::File(_, bytes) => bytes,
            Self::Folder => &[],
            Self::Link(target) => target.as_bytes(),
        }
    }
}

/// The archive of `nodes`; a map's order puts each folder before what is in it.
pub(super) fn archive(nodes: &BTreeMap<String, Node>) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for (index, (name, node)) in nodes.iter().enumerate() {
        let plain = !name.is_empty()
            && name.len() < NAME_LIMIT
            && !name.contains('\0')
            && name.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !plain {
            return Err(Error::InitramfsName { length: name.len() }.into());
        }
        member(&mut out, index + 1, name, node.mode(), node.bytes())?;
    }
    member(&mut out, 0, TRAILER, 0, &[])?;
    Ok(out)
}

fn member(out: &mut Vec<u8>, inode: usize, name: &str, mode: u32, bytes: &[u8]) -> Result<()> {
    let size =
        u32::try_from(bytes.len()).map_err(|_| Error::InitramfsSize { size: bytes.len() })?;
    let links = if mode & 0o170_000 == 0o040_000 { 2 } else { 1 };
    let (inode, name_size) = (inode as u32, name.len() as u32 + 1);
    // magic, then: inode, mode, uid, gid, links, mtime, size, device (2), special device (2), name size, check sum
    let fields = [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0];
    out.extend_from_slice(b"070701");
    for field in fields {
        out.extend_from_slice(format!("{field:08X}").as_bytes());
    }
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    pad(out);
    out.extend_from_slice(bytes);
    pad(out);
    Ok(())
}

/// Headers and contents begin at multiples of four.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

const NAME_LIMIT: usize = 4096;
const TRAILER: &str = "TRAILER!!!";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_laid_out_as_the_format_says() {
        let nodes = BTreeMap::from([("ab".to_owned(), Node::file(0o644, b"hello".to_vec()))]);
        let archive = archive(&nodes).unwrap();
        let mut expected = Vec::new();
        expected.extend_from_slice(b"070701"); // magic
        expected.extend_from_slice(b"00000001"); // inode
        expected.extend_from_slice(b"000081A4"); // regular file, 0644
        expected.extend_from_slice(b"0000000000000000"); // root, root
        expected.extend_from_slice(b"00000001"); // one link
        expected.extend_from_slice(b"00000000"); // no time
        expected.extend_from_slice(b"00000005"); // size
        expected.extend_from_slice(b"00000000000000000000000000000000"); // devices
        expected.extend_from_slice(b"00000003"); // name with its zero
        expected.extend_from_slice(b"00000000"); // no check sum
        expected.extend_from_slice(b"ab\0\0"); // 113 bytes, padded to 116 with one zero more
        expected.resize(expected.len().next_multiple_of(4), 0);
        expected.extend_from_slice(b"hello\0\0\0");
        assert_eq!(archive[..expected.len()], expected);
        assert!(
            archive[expected.len()..]
                .windows(TRAILER.len())
                .any(|w| w == TRAILER.as_bytes())
        );
        assert_eq!(archive.len() % 4, 0);
    }

    #[test]
    fn names_that_are_not_plain_are_refused() {
        for name in ["", "/etc", "a/../b", "a//b", "."] {
            let nodes = BTreeMap::from([(name.to_owned(), Node::Folder)]);
            let error = archive(&nodes).unwrap_err();
            let length = name.len();
            assert_eq!(
                error.downcast_ref(),
                Some(&Error::InitramfsName { length }),
                "{name}"
            );
        }
    }
}
