//! The memory map: complete, as wide as the terminal, in its characters, and a figure that is well-formed whatever names say.

use firmware_signing::elf::Image;
use firmware_signing::inspect::{Found, inspect};
use firmware_signing::picture::{Kind, Look, Owner, Picture, Writers};
use firmware_signing::sample::{Chain, Elf};
use firmware_signing::{Options, sign};
use platform::{Core, File, Platform};
use proptest::prelude::{any, prop};
use proptest::{prop_assert, proptest};

fn platform() -> Platform {
    let file: File =
        toml::from_str(include_str!("../../ta/platforms/qemu-virt.toml")).expect("TOML");
    Platform::try_from(file).expect("a platform")
}

/// A virtio device with two vrings, then a trace buffer of this name; `None` puts all of it anywhere.
fn table(place: Option<[u32; 3]>, name: &[u8; 4]) -> Vec<u8> {
    let [first, second, trace] = place.unwrap_or([u32::MAX; 3]);
    let mut words = vec![1, 2, 0, 0, 24, 92];
    words.extend([3, 7, 0, 1, 0, 0, 2 << 8]);
    words.extend([first, 0x1000, 16, 0, 0, second, 0x1000, 16, 1, 0]);
    words.extend([2, trace, 0x100, 0]);
    words.extend([u32::from_le_bytes(*name), 0, 0, 0, 0, 0, 0, 0]);
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn firmware(place: Option<[u32; 3]>) -> Vec<u8> {
    Elf::qemu_virt()
        .with_resource_table(0x2120_0000, table(place, b"echo"))
        .build()
}

fn bundle(elf: &[u8], display_version: &str) -> Vec<u8> {
    let platform = platform();
    let class = platform.device_class().bytes();
    let chain = Chain::development(&[0], &[class], 9).expect("a chain");
    let options = Options {
        platform: &platform,
        cores: &[0],
        security_version: 3,
        display_version,
        build_id: None,
        sbom: None,
        keep_all: false,
        at: None,
        roots: &[],
    };
    sign(elf, &options, &chain.leaf.1, &chain.certificates()).expect("signed")
}

fn of_bundle(bytes: &[u8], core: Option<&Core>) -> Picture {
    match inspect(bytes).expect("readable") {
        Found::Bundle(bundle) => Picture::of_bundle("fw.cwfw", &bundle, core),
        other => panic!("{other:?}"),
    }
}

const ASCII: Look = Look {
    width: 80,
    unicode: false,
    colour: false,
};

#[test]
fn the_map_of_a_core_covers_all_of_its_memory_once() {
    let platform = platform();
    let core = &platform.cores()[0];
    for place in [None, Some([0x2120_2000, 0x2120_4000, 0x2120_1000])] {
        let picture = of_bundle(&bundle(&firmware(place), ""), Some(core));
        let mut at = 0x2100_0000;
        for band in picture.zones.iter().flat_map(|zone| &zone.bands) {
            assert_eq!(band.from, at, "{band:?}");
            assert!(band.to > band.from);
            at = band.to;
        }
        assert_eq!(at, 0x2200_0000, "the end of the shared window");
        assert_eq!(picture.notes, Vec::<String>::new());
        let kinds: Vec<Kind> = picture.zones[1]
            .bands
            .iter()
            .map(|band| band.kind)
            .collect();
        for kind in [Kind::Table, Kind::Trace, Kind::Vring, Kind::Buffers] {
            assert!(kinds.contains(&kind), "{kind:?} of {kinds:?}");
        }
    }
}

#[test]
fn who_may_write_follows_flags_and_windows() {
    let platform = platform();
    let picture = of_bundle(&bundle(&firmware(None), ""), Some(&platform.cores()[0]));
    let [private, shared] = picture.zones.as_slice() else {
        panic!("{:?}", picture.zones);
    };
    assert_eq!(
        (private.owner, shared.owner),
        (Owner::Private, Owner::Shared)
    );
    for band in &private.bands {
        let expected = match band.kind {
            Kind::Code => Writers::Nobody,
            _ => Writers::Core,
        };
        assert_eq!(band.writers, expected, "{band:?}");
    }
    assert!(
        shared
            .bands
            .iter()
            .all(|band| band.writers == Writers::CoreAndLinux)
    );
    let zeros = private.bands.iter().find(|band| band.kind == Kind::Zeros);
    let zeros = zeros.map(|band| (band.from, band.to));
    assert_eq!(
        zeros,
        Some((0x2100_4020, 0x2100_4040)),
        "behind the bytes of the data"
    );
}

#[test]
fn without_a_platform_the_map_shows_what_the_image_names() {
    let elf = firmware(Some([0x2120_2000, 0x2120_4000, 0x2120_1000]));
    let image = Image::parse(&elf).expect("an ELF");
    let drawn = Picture::of_elf("fw.elf", &image, None).draw(ASCII);
    let expected = "
address      memory                                           size  may write
0x21000000  +- as the image names it ------------------+
            |XX segment 0  r-x  code                   |      264 B  nobody
            |XX > entry 0x21000008                     |
0x21000108  +------------------------------------------+
            |   not used                               |   15.7 KiB
0x21004000  +------------------------------------------+
            |WW segment 1  rw-  data                   |       32 B  core
0x21004020  +------------------------------------------+
            |00 segment 1  rw-  zeros                  |       32 B  core
0x21004040  +------------------------------------------+
            |   not used                               |    1.9 MiB
            |                                          |
            |                                          |
0x21200000  +------------------------------------------+
            |TT resource table                         |      140 B  core, Linux
0x2120008c  +------------------------------------------+
            |   not used                               |    3.8 KiB
0x21201000  +------------------------------------------+
            |LL trace \"echo\"                           |      256 B  core, Linux
0x21201100  +------------------------------------------+
            |   not used                               |    3.7 KiB
0x21202000  +------------------------------------------+
            |VV vring 0 to Linux, 16 descriptors       |    4.1 KiB  core, Linux
0x21203086  +------------------------------------------+
            |   not used                               |    3.8 KiB
0x21204000  +------------------------------------------+
            |VV vring 1 to the core, 16 descriptors    |    4.1 KiB  core, Linux
0x21205086  +------------------------------------------+
";
    assert_eq!(drawn, expected);
}

#[test]
fn vrings_that_the_platform_places_are_noted_where_no_platform_is_given() {
    let elf = firmware(None);
    let image = Image::parse(&elf).expect("an ELF");
    let picture = Picture::of_elf("fw.elf", &image, None);
    let note =
        "3 vrings and trace buffers go where the platform puts them: give --platform and --core";
    assert_eq!(picture.notes, [note]);
    assert!(picture.draw(ASCII).ends_with(&format!("note: {note}\n")));
    assert!(picture.svg().contains(note));
}

#[test]
fn what_lies_outside_of_the_cores_memory_is_shown_as_not_loaded() {
    let platform = platform();
    let mut elf = Elf::qemu_virt();
    elf.segments[1].address = 0x3000_0000;
    let bytes = elf.build();
    let image = Image::parse(&bytes).expect("an ELF");
    let picture = Picture::of_elf("fw.elf", &image, Some(&platform.cores()[0]));
    let stray = picture.zones.last().expect("zones");
    assert_eq!(stray.owner, Owner::Stray);
    assert_eq!(stray.bands[0].from, 0x3000_0000);
    assert!(
        picture
            .draw(ASCII)
            .contains("no memory of the core: NOT LOADED")
    );
    assert!(picture.svg().contains("not loaded"));
}

#[test]
fn the_drawing_is_as_wide_as_the_terminal_and_no_wider_than_100() {
    let platform = platform();
    let picture = of_bundle(&bundle(&firmware(None), "1.0"), Some(&platform.cores()[0]));
    for unicode in [false, true] {
        for width in [68, 80, 93, 100, 250] {
            let look = Look {
                width,
                unicode,
                colour: false,
            };
            let drawn = picture.draw(look);
            let borders = drawn
                .lines()
                .filter(|line| line.contains("---") || line.contains("───"));
            let longest = drawn.lines().map(|line| line.chars().count()).max();
            // Behind the box stand 11 columns of size and 13 of who may write.
            let boxes: Vec<usize> = borders
                .map(|line| line.trim_end().chars().count())
                .collect();
            assert!(boxes.contains(&(width.min(100) - 24)), "{width}: {boxes:?}");
            assert!(longest <= Some(width.min(100)), "{width}: {longest:?}");
        }
        assert!(
            !picture
                .draw(Look {
                    width: 1,
                    unicode,
                    colour: false
                })
                .is_empty()
        );
    }
}

#[test]
fn a_terminal_without_unicode_gets_ascii_and_one_without_colour_no_escape() {
    let platform = platform();
    let picture = of_bundle(&bundle(&firmware(None), "1.0é"), Some(&platform.cores()[0]));
    let plain = picture.draw(ASCII);
    assert!(plain.is_ascii(), "{plain}");
    assert!(!plain.contains('\x1b'));
    let unicode = picture.draw(Look {
        unicode: true,
        ..ASCII
    });
    assert!(unicode.contains('█') && unicode.contains('╞') && !unicode.contains('\x1b'));
    let coloured = picture.draw(Look {
        colour: true,
        ..ASCII
    });
    assert!(coloured.contains("\x1b[34m") && coloured.contains("\x1b[0m"));
    let mut without = coloured;
    for code in ["0", "1", "2", "31", "32", "33", "34", "36"] {
        without = without.replace(&format!("\x1b[{code}m"), "");
    }
    let lines = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.trim_end().to_owned())
            .collect()
    };
    assert_eq!(
        lines(&without),
        lines(&plain),
        "colours change nothing else"
    );
}

#[test]
fn the_figure_is_well_formed_and_shows_every_band_inside_itself() {
    let platform = platform();
    for core in [None, Some(&platform.cores()[0])] {
        let hostile = "1.0 <script>&\"'";
        let picture = of_bundle(&bundle(&firmware(None), hostile), core);
        let svg = picture.svg();
        let document = roxmltree::Document::parse(&svg).expect("well-formed XML");
        let root = document.root_element();
        assert_eq!(root.tag_name().name(), "svg");
        let number = |node: &roxmltree::Node<'_, '_>, name: &str| {
            node.attribute(name)
                .and_then(|value| value.parse::<f64>().ok())
        };
        let (width, height) = (number(&root, "width"), number(&root, "height"));
        let mut bands = 0;
        for node in document
            .descendants()
            .filter(|node| node.has_tag_name("rect"))
        {
            let (Some(y), Some(tall)) = (number(&node, "y"), number(&node, "height")) else {
                continue;
            };
            assert!(y >= 0.0 && Some(y + tall) <= height, "{node:?}");
            let (x, wide) = (number(&node, "x"), number(&node, "width"));
            assert!(x.zip(wide).map(|(x, wide)| x + wide) <= width, "{node:?}");
            bands += usize::from(wide == Some(400.0));
        }
        let expected: usize = picture.zones.iter().map(|zone| zone.bands.len()).sum();
        assert_eq!(bands, expected);
        let texts: Vec<&str> = document
            .descendants()
            .filter_map(|node| node.text())
            .collect();
        assert!(texts.iter().any(|text| text.contains(hostile)), "{texts:?}");
        assert!(
            !document
                .descendants()
                .any(|node| node.has_tag_name("script"))
        );
        let outside = ["href=", "<image", "@import", "url(http", "<script"];
        assert!(
            outside.iter().all(|part| !svg.contains(part)),
            "it needs no other file"
        );
    }
}

proptest! {
    /// Whatever bytes an image has: drawn without a panic, and the figure stays XML.
    #[test]
    fn any_image_that_can_be_inspected_can_be_drawn(changes in prop::collection::vec((0..700_usize, any::<u8>()), 1..5)) {
        let platform = platform();
        let mut bytes = firmware(Some([0x2120_2000, 0x2120_4000, 0x2120_1000]));
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if let Ok(Found::Elf(image)) = inspect(&bytes) {
            for core in [None, Some(&platform.cores()[0])] {
                let picture = Picture::of_elf("fw.elf", &image, core);
                prop_assert!(picture.draw(ASCII).is_ascii());
                let svg = picture.svg();
                prop_assert!(roxmltree::Document::parse(&svg).is_ok(), "{svg}");
            }
        }
    }
}
