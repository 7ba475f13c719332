//! TF-A's firmware image package, and the flash that begins with BL1.
//!
//! The format is that of TF-A's `firmware_image_package.h`: a header, one entry of 40 bytes per image, an empty entry
//! that says where the file ends, then the images. Writing it here spares the build of fiptool, and OpenSSL for it.

/// One image and the UUID that TF-A looks it up by, in the package's own byte order.
pub(super) struct Image<'a> {
    pub(super) uuid: [u8; 16],
    pub(super) bytes: &'a [u8],
}

/// BL1 at the start and the package where QEMU's TF-A looks for it.
pub(super) fn flash(bl1: &[u8], images: &[Image<'_>]) -> Vec<u8> {
    let mut out = bl1.to_vec();
    out.resize(FIP_OFFSET, 0);
    out.extend_from_slice(&package(images));
    out
}

fn package(images: &[Image<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&HEADER_NAME.to_le_bytes());
    out.extend_from_slice(&SERIAL_NUMBER.to_le_bytes());
    out.extend_from_slice(&0u64.to_le_bytes());
    let mut offset = (HEADER_SIZE + ENTRY_SIZE * (images.len() + 1)) as u64;
    for image in images {
        let size = image.bytes.len() as u64;
        entry(&mut out, image.uuid, offset, size);
        offset += size;
    }
    entry(&mut out, [0; 16], offset, 0);
    for image in images {
        out.extend_from_slice(image.bytes);
    }
    out
}

fn entry(out: &mut Vec<u8>, uuid: [u8; 16], offset: u64, size: u64) {
    out.extend_from_slice(&uuid);
    for field in [offset, size, 0] {
        out.extend_from_slice(&field.to_le_bytes());
    }
}

pub(super) const BL2: [u8; 16] =
    *b"\x5f\xf9\xec\x0b\x4d\x22\x3e\x4d\xa5\x44\xc3\x9d\x81\xc7\x3f\x0a";
pub(super) const BL31: [u8; 16] =
    *b"\x47\xd4\x08\x6d\x4c\xfe\x98\x46\x9b\x95\x29\x50\xcb\xbd\x5a\x00";
pub(super) const BL32: [u8; 16] =
    *b"\x05\xd0\xe1\x89\x53\xdc\x13\x47\x8d\x2b\x50\x0a\x4b\x7a\x3e\x38";
pub(super) const BL32_EXTRA1: [u8; 16] =
    *b"\x0b\x70\xc2\x9b\x2a\x5a\x78\x40\x9f\x65\x0a\x56\x82\x73\x82\x88";

const FIP_OFFSET: usize = 0x40000;
const HEADER_NAME: u32 = 0xaa64_0001;
const SERIAL_NUMBER: u32 = 0x1234_5678;
const HEADER_SIZE: usize = 16;
const ENTRY_SIZE: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_laid_out_as_the_format_says() {
        let images = [
            Image {
                uuid: BL2,
                bytes: b"two",
            },
            Image {
                uuid: BL31,
                bytes: b"31",
            },
        ];
        let mut expected = Vec::new();
        expected.extend_from_slice(&[0x01, 0, 0x64, 0xaa, 0x78, 0x56, 0x34, 0x12]); // name, serial number
        expected.extend_from_slice(&[0; 8]); // flags
        for (uuid, offset, size) in [(BL2, 136u8, 3), (BL31, 139, 2), ([0; 16], 141, 0)] {
            expected.extend_from_slice(&uuid);
            expected.extend_from_slice(&[offset, 0, 0, 0, 0, 0, 0, 0, size, 0, 0, 0, 0, 0, 0, 0]);
            expected.extend_from_slice(&[0; 8]); // flags
        }
        expected.extend_from_slice(b"two31");
        assert_eq!(package(&images), expected);
    }

    #[test]
    fn the_package_begins_at_256_kib_of_the_flash() {
        let flash = flash(b"bl1", &[]);
        assert_eq!(flash[..4], *b"bl1\0");
        assert_eq!(flash[FIP_OFFSET..FIP_OFFSET + 4], HEADER_NAME.to_le_bytes());
    }
}
