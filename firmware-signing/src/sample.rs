//! Small ELFs and chains made in memory, for tests of everybody who judges bundles.

use crate::Error;
use crate::key::{Algorithm, PrivateKey, Signer};
use crate::pki::{self, Certificate, Date, Kind, Role, Scope, Subject};

/// An ELF to be written, right or wrong as its fields say.
#[derive(Clone, Debug)]
pub struct Elf {
    /// ELF64 instead of ELF32.
    pub wide: bool,
    /// `e_machine`.
    pub machine: u16,
    /// `e_type`.
    pub kind: u16,
    /// `e_entry`.
    pub entry: u64,
    /// Program headers with their bytes.
    pub segments: Vec<Segment>,
    /// Sections, besides the null section and the one of names.
    pub sections: Vec<Section>,
}

/// A program header with its bytes.
#[derive(Clone, Debug)]
pub struct Segment {
    /// `p_type`: 1 is LOAD, 4 is NOTE.
    pub kind: u32,
    /// `p_flags`: 1 execute, 2 write, 4 read.
    pub flags: u32,
    /// `p_paddr` and `p_vaddr`.
    pub address: u64,
    /// `p_memsz`.
    pub memory_size: u64,
    /// What lies in the file.
    pub bytes: Vec<u8>,
}

/// A section: either within a segment or with bytes of its own.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// `sh_type`: 1 PROGBITS, 2 SYMTAB, 3 STRTAB, 8 NOBITS.
    pub kind: u32,
    /// `sh_flags`: 2 is ALLOC.
    pub flags: u64,
    /// `sh_addr`.
    pub address: u64,
    /// `sh_link`.
    pub link: u32,
    /// `sh_info`.
    pub info: u32,
    /// `sh_entsize`.
    pub entry_size: u64,
    /// Where its bytes are.
    pub content: Content,
}

/// Where a section's bytes are.
#[derive(Clone, Debug)]
pub enum Content {
    /// The bytes of the segment with this index.
    OfSegment(usize),
    /// Its own.
    Own(Vec<u8>),
}

impl Elf {
    /// A Cortex-M image of one executable segment: vector table, then `code` bytes of it, then data at `data_address`.
    pub fn cortex_m(address: u64, stack: u32, code: usize, data_address: u64) -> Self {
        // Whoever asks for an address above 4 GiB gets a vector table that no core has; that is for the judge to say.
        let reset = address.wrapping_add(8) as u32 | 1;
        let mut text = Vec::with_capacity(8 + code);
        text.extend(stack.to_le_bytes());
        text.extend(reset.to_le_bytes());
        // `b .`, over and over.
        text.extend([0xfe, 0xe7].iter().cycle().take(code.max(2)));
        Self {
            wide: false,
            machine: goblin::elf::header::EM_ARM,
            kind: goblin::elf::header::ET_EXEC,
            entry: u64::from(reset),
            segments: vec![
                Segment::load(5, address, text),
                Segment {
                    memory_size: 64,
                    ..Segment::load(6, data_address, (0..32).collect())
                },
            ],
            sections: Vec::new(),
        }
    }

    /// An image that core 0 of `qemu-virt` takes.
    pub fn qemu_virt() -> Self {
        Self::cortex_m(0x2100_0000, 0x2120_0000, 256, 0x2100_4000)
    }

    /// Adds a resource table at `address`, in a segment and a section of its own.
    #[must_use]
    pub fn with_resource_table(mut self, address: u64, table: Vec<u8>) -> Self {
        self.sections.push(Section {
            name: ".resource_table",
            kind: 1,
            flags: 2,
            address,
            link: 0,
            info: 0,
            entry_size: 0,
            content: Content::OfSegment(self.segments.len()),
        });
        self.segments.push(Segment::load(6, address, table));
        self
    }

    /// The file: headers, segments at offsets of 16, sections, section names, section headers.
    pub fn build(&self) -> Vec<u8> {
        let (header, entry) = if self.wide { (64, 56) } else { (52, 32) };
        let mut file = vec![0; header + entry * self.segments.len()];
        let mut offsets = Vec::new();
        for segment in &self.segments {
            file.resize(file.len().next_multiple_of(16), 0);
            offsets.push(file.len());
            file.extend(&segment.bytes);
        }
        let mut sections: Vec<(u64, u64)> = Vec::new();
        for section in &self.sections {
            sections.push(match &section.content {
                Content::OfSegment(index) => (
                    offsets[*index] as u64,
                    self.segments[*index].bytes.len() as u64,
                ),
                Content::Own(bytes) => {
                    let offset = file.len() as u64;
                    file.extend(bytes);
                    (offset, bytes.len() as u64)
                }
            });
        }
        let mut names = vec![0];
        let mut name = |text: &str| {
            let at = names.len() as u32;
            names.extend(text.as_bytes());
            names.push(0);
            at
        };
        let mut headers = vec![SectionHeader::default()];
        for (section, (offset, size)) in self.sections.iter().zip(sections) {
            headers.push(SectionHeader {
                name: name(section.name),
                kind: section.kind,
                flags: section.flags,
                address: section.address,
                offset,
                size,
                link: section.link,
                info: section.info,
                entry_size: section.entry_size,
            });
        }
        let last = name(".shstrtab");
        headers.push(SectionHeader {
            name: last,
            kind: 3,
            offset: file.len() as u64,
            size: names.len() as u64,
            ..SectionHeader::default()
        });
        file.extend(&names);
        file.resize(file.len().next_multiple_of(8), 0);
        let table = file.len() as u64;
        for header in &headers {
            header.write(self.wide, &mut file);
        }
        self.write_headers(&mut file, &offsets, table, headers.len() as u16);
        file
    }

    fn write_headers(&self, file: &mut [u8], offsets: &[usize], table: u64, sections: u16) {
        let class = if self.wide { 2 } else { 1 };
        let mut out = vec![
            0x7f, b'E', b'L', b'F', class, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        let (header, entry, section) = if self.wide {
            (64u16, 56u16, 64u16)
        } else {
            (52, 32, 40)
        };
        out.extend(self.kind.to_le_bytes());
        out.extend(self.machine.to_le_bytes());
        out.extend(1u32.to_le_bytes());
        for word in [self.entry, u64::from(header), table] {
            push(&mut out, self.wide, word);
        }
        out.extend(0u32.to_le_bytes());
        let count = self.segments.len() as u16;
        for half in [header, entry, count, section, sections, sections - 1] {
            out.extend(half.to_le_bytes());
        }
        for (segment, &offset) in self.segments.iter().zip(offsets) {
            let (offset, size) = (offset as u64, segment.bytes.len() as u64);
            out.extend(segment.kind.to_le_bytes());
            if self.wide {
                out.extend(segment.flags.to_le_bytes());
            }
            for word in [
                offset,
                segment.address,
                segment.address,
                size,
                segment.memory_size,
            ] {
                push(&mut out, self.wide, word);
            }
            if !self.wide {
                out.extend(segment.flags.to_le_bytes());
            }
            push(&mut out, self.wide, 16);
        }
        file[..out.len()].copy_from_slice(&out);
    }
}

impl Segment {
    /// A LOAD segment that takes as much memory as it has bytes.
    pub fn load(flags: u32, address: u64, bytes: Vec<u8>) -> Self {
        Self {
            kind: 1,
            flags,
            address,
            memory_size: bytes.len() as u64,
            bytes,
        }
    }
}

/// What OP-TEE's sign_rproc_fw would make of an ELF32, format v1, signed with a P-256 key.
pub fn sign_rproc_fw(elf: &[u8], signer: &dyn Signer) -> Result<Vec<u8>, Error> {
    let image = crate::elf::Image::parse(elf)?;
    let mut rows = Vec::new();
    for header in &image.program_headers {
        for field in [
            u64::from(header.p_type),
            header.p_offset,
            header.p_vaddr,
            header.p_paddr,
            header.p_filesz,
            header.p_memsz,
            u64::from(header.p_flags),
            header.p_align,
        ] {
            push(&mut rows, false, field);
        }
        let bytes = elf.get(header.file_range()).unwrap_or_default();
        rows.extend(certificate_chain::sha256(&[bytes]));
    }
    let mut padded = elf.to_vec();
    padded.resize(padded.len().next_multiple_of(8), 0);
    let size = padded.len() as u64;
    let mut list = Vec::new();
    let records = [
        (1, vec![2]),
        (3, vec![1]),
        (4, vec![1]),
        (2, vec![1]),
        (0x10, rows),
    ];
    for (kind, value) in records
        .into_iter()
        .chain([(5, size.to_le_bytes()[..4].to_vec())])
    {
        push(&mut list, false, kind);
        push(&mut list, false, value.len() as u64);
        list.extend(value);
        list.resize(list.len().next_multiple_of(8), 0);
    }
    let mut file = Vec::new();
    let magic = u64::from(crate::sign_rproc_fw::MAGIC);
    for word in [magic, 1, list.len() as u64, 64, size] {
        push(&mut file, false, word);
    }
    file.extend(list);
    let signature = signer.sign(&file)?;
    file.extend(signature);
    file.extend(padded);
    Ok(file)
}

/// Root, product CA and leaf with their keys.
pub struct Chain {
    /// The root and its key.
    pub root: (Certificate, PrivateKey),
    /// The product CA and its key.
    pub product_ca: (Certificate, PrivateKey),
    /// The signer and its key.
    pub leaf: (Certificate, PrivateKey),
}

impl Chain {
    /// A fresh chain of role development whose signer may sign for these cores and classes up to `ceiling`.
    pub fn development(cores: &[u32], classes: &[[u8; 16]], ceiling: u32) -> Result<Self, Error> {
        Self::development_of([Algorithm::default(); 3], cores, classes, ceiling)
    }

    /// The same with the algorithms of root, product CA and leaf.
    pub fn development_of(
        algorithms: [Algorithm; 3],
        cores: &[u32],
        classes: &[[u8; 16]],
        ceiling: u32,
    ) -> Result<Self, Error> {
        let scope = |kind| Scope::new(kind, cores, classes, ceiling, 1, Role::Development);
        Self::issue_of(algorithms, &scope(Kind::ProductCa)?, &scope(Kind::Leaf)?)
    }

    /// A fresh chain with these scopes; a leaf outside its product CA's is refused.
    pub fn issue(product_ca: &Scope, leaf: &Scope) -> Result<Self, Error> {
        Self::issue_of([Algorithm::default(); 3], product_ca, leaf)
    }

    fn issue_of(
        algorithms: [Algorithm; 3],
        product_ca: &Scope,
        leaf: &Scope,
    ) -> Result<Self, Error> {
        let subject = |name: &str| Subject {
            name: format!("CN={name},O=made for one test"),
            not_before: Date::EPOCH,
            not_after: Date::NEVER,
        };
        let [root_key, ca_key, leaf_key] = algorithms.map(PrivateKey::generate);
        let (root_key, ca_key, leaf_key) = (root_key?, ca_key?, leaf_key?);
        let root = pki::issue_root(&subject("root"), None, &root_key)?;
        let ca = pki::issue_product_ca(
            &subject("product CA"),
            ca_key.public_key(),
            product_ca,
            (&root, &root_key),
        )?;
        let signer = pki::issue_leaf(
            &subject("signer"),
            leaf_key.public_key(),
            leaf,
            (&ca, &ca_key),
        )?;
        Ok(Self {
            root: (root, root_key),
            product_ca: (ca, ca_key),
            leaf: (signer, leaf_key),
        })
    }

    /// The certificates of a bundle: the leaf, then the product CA.
    pub fn certificates(&self) -> [Certificate; 2] {
        [self.leaf.0.clone(), self.product_ca.0.clone()]
    }
}

#[derive(Default)]
struct SectionHeader {
    name: u32,
    kind: u32,
    flags: u64,
    address: u64,
    offset: u64,
    size: u64,
    link: u32,
    info: u32,
    entry_size: u64,
}

impl SectionHeader {
    fn write(&self, wide: bool, out: &mut Vec<u8>) {
        out.extend(self.name.to_le_bytes());
        out.extend(self.kind.to_le_bytes());
        for word in [self.flags, self.address, self.offset, self.size] {
            push(out, wide, word);
        }
        out.extend(self.link.to_le_bytes());
        out.extend(self.info.to_le_bytes());
        push(out, wide, 1);
        push(out, wide, self.entry_size);
    }
}

/// A word of the class; ELF32 keeps the lower half.
fn push(out: &mut Vec<u8>, wide: bool, word: u64) {
    let size = if wide { 8 } else { 4 };
    out.extend(&word.to_le_bytes()[..size]);
}
