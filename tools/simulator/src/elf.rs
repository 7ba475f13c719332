//! A firmware ELF made without a cross compiler.

use platform::Platform;

/// An ELF for core 0 with a vector table, some code, and a resource table in the shared window: what the core's compiler and
/// linker would make, in little. `None` where the platform has no such core.
pub fn firmware(platform: &Platform) -> Option<Vec<u8>> {
    let core = platform.core(0)?;
    let private = core.private_regions().first()?;
    let window = core.shared();
    let base = u32::try_from(private.device()).ok()?;
    let table_at = u32::try_from(window.device()).ok()?;

    let mut code = Vec::new();
    code.extend((base + 0x1_0000).to_le_bytes()); // initial stack pointer
    code.extend((base + 0x101).to_le_bytes()); // reset handler, Thumb
    code.resize(0x100, 0);
    // wfi; b .-2: what an idle core does
    code.extend([0x30, 0xbf, 0xfd, 0xe7].iter().cycle().take(0x3f00));
    let table = resource_table(table_at);

    let mut elf = Vec::new();
    elf.extend(b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0");
    elf.extend(2u16.to_le_bytes()); // ET_EXEC
    elf.extend(40u16.to_le_bytes()); // EM_ARM
    elf.extend(1u32.to_le_bytes());
    elf.extend((base + 0x101).to_le_bytes()); // e_entry
    elf.extend(52u32.to_le_bytes()); // e_phoff
    let sections_at = CODE_AT + length(&code) + length(&table) + length(NAMES);
    elf.extend(sections_at.to_le_bytes());
    elf.extend(0x0500_0200u32.to_le_bytes()); // e_flags: EABI 5
    for half in [52u16, 32, 2, 40, 4, 3] {
        elf.extend(half.to_le_bytes());
    }
    let table_offset = CODE_AT + length(&code);
    for (offset, address, size, flags) in [
        (CODE_AT, base, length(&code), 5u32),
        (table_offset, table_at, length(&table), 6),
    ] {
        for word in [1, offset, address, address, size, size, flags, 4] {
            elf.extend(word.to_le_bytes());
        }
    }
    elf.resize(CODE_AT as usize, 0);
    elf.extend(&code);
    elf.extend(&table);
    elf.extend(NAMES);
    let names_offset = table_offset + length(&table);
    for (name, kind, flags, address, offset, size) in [
        (0u32, 0u32, 0u32, 0, 0, 0),
        (1, 1, 6, base, CODE_AT, length(&code)),
        (7, 1, 3, table_at, table_offset, length(&table)),
        (23, 3, 0, 0, names_offset, length(NAMES)),
    ] {
        for word in [name, kind, flags, address, offset, size, 0, 0, 4, 0] {
            elf.extend(word.to_le_bytes());
        }
    }
    Some(elf)
}

/// One RPMsg device with two rings wherever the platform puts them.
fn resource_table(_at: u32) -> Vec<u8> {
    let ring = |notify_id: u32| [ANY, 0x1000, DESCRIPTORS, notify_id, 0];
    let mut words = vec![1, 1, 0, 0, 20];
    words.extend([
        3,
        rpmsg::VIRTIO_ID_RPMSG,
        0,
        rpmsg::Features::NAME_SERVICE.in_table()[0],
        0,
        0,
        2 << 8,
    ]);
    words.extend(ring(0));
    words.extend(ring(1));
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

const CODE_AT: u32 = 0x1000;
const NAMES: &[u8] = b"\0.text\0.resource_table\0.shstrtab\0\0\0\0";
/// "Anywhere", in a resource table.
const ANY: u32 = 0xffff_ffff;
pub(crate) const DESCRIPTORS: u32 = 256;
