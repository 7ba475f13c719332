//! Reports travel both ways unchanged, and what their layout does not know is refused.

use proptest::prelude::{any, proptest};
use ta_protocol::{CoreState, Digest, Error, MAX_ROOTS, Root, RootsReport, StateReport, Text, pta};

/// A state report byte by byte. If this fails, do not change the test: clients have this layout.
#[rustfmt::skip]
const STATE_V1: [u8; 40] = [
    1, 0, 0, 0,             // 0: layout version
    4, 0, 0, 0,             // 4: Running
    0b110, 0, 0, 0,         // 8: attach-only, development role
    2, 0, 0, 0,             // 12: core id
    3, 0, 0, 0,             // 16: start counter
    4, 0, 0, 0,             // 20: isolation generation
    5, 0, 0, 0,             // 24: security version
    3,                      // 28: bytes of the display version
    2,                      // 29: bytes of the build id
    0, 0,                   // 30: reserved
    0x11, 0x11, 0x11, 0x11, // 32: bundle digest
    0x11, 0x11, 0x11, 0x11,
];

#[test]
fn a_state_report_has_its_golden_bytes() {
    let bytes = report().to_bytes();
    assert_eq!(bytes.len(), 208);
    assert_eq!(bytes[..40], STATE_V1);
    assert_eq!(bytes[32..80], [0x11; 48]);
    assert_eq!(bytes[80..112], [0x22; 32]);
    assert_eq!(&bytes[112..116], b"1.2\0");
    assert_eq!(&bytes[144..147], b"\xab\xcd\0");
    assert_eq!(StateReport::parse(&bytes), Ok(report()));
    let empty = StateReport::default();
    assert_eq!(StateReport::parse(&empty.to_bytes()), Ok(empty));
}

#[test]
fn a_state_report_with_anything_unknown_is_refused() {
    let cases = [
        (0, 2, Error::LayoutVersion { found: 2, known: 1 }),
        (4, 7, Error::UnknownState { number: 7 }),
        (
            8,
            8,
            Error::Reserved {
                offset: 8,
                value: 8,
            },
        ),
        (28, 33, Error::Text { offset: 112 }),
        (28, 2, Error::Text { offset: 112 }),
        (29, 65, Error::Text { offset: 144 }),
        (
            30,
            1,
            Error::Reserved {
                offset: 30,
                value: 1,
            },
        ),
        (
            31,
            1,
            Error::Reserved {
                offset: 30,
                value: 256,
            },
        ),
        (112, 0xff, Error::Text { offset: 112 }),
        (116, 1, Error::Text { offset: 112 }),
        (207, 1, Error::Text { offset: 144 }),
    ];
    for (offset, value, error) in cases {
        let mut bytes = report().to_bytes();
        bytes[offset] = value;
        assert_eq!(StateReport::parse(&bytes), Err(error), "{offset}");
    }
    let bytes = report().to_bytes();
    for found in [0, 3, 4, 207] {
        let error = Error::Length {
            found,
            expected: 208,
        };
        assert_eq!(StateReport::parse(&bytes[..found]), Err(error));
    }
}

#[test]
fn a_report_of_roots_travels_unchanged() {
    let roots = |count| (0..count).map(root).collect::<Vec<_>>();
    for count in [0, 1, MAX_ROOTS] {
        let mut buffer = [0xaa; 8 + 36 * MAX_ROOTS];
        let roots = roots(count);
        let length = RootsReport::write(5, roots.iter().copied(), &mut buffer).unwrap();
        assert_eq!(Some(length), RootsReport::length(count));
        let report = RootsReport::parse(&buffer[..length]).unwrap();
        assert_eq!(report.required_slots(), 5);
        assert_eq!(report.roots().collect::<Vec<_>>(), roots);
    }
    // If this fails, do not change the test: clients have this layout.
    let mut buffer = [0; 44];
    RootsReport::write(1, roots(1).into_iter(), &mut buffer).unwrap();
    assert_eq!(buffer[..9], [1, 0, 0, 0, 1, 0, 0, 0, 7]);
    assert_eq!(buffer[40..], [1, 0, 2, 1]);
}

#[test]
fn a_report_of_roots_that_does_not_fit_is_refused() {
    let roots = || [root(0), root(1)].into_iter();
    assert_eq!(RootsReport::write(1, roots(), &mut [0; 79]), None);
    assert_eq!(RootsReport::write(1, roots(), &mut [0; 80]), Some(80));
    let many = vec![root(0); MAX_ROOTS + 1];
    assert_eq!(
        RootsReport::write(1, many.into_iter(), &mut [0; 4096]),
        None
    );

    let length = |found, expected| Err(Error::Length { found, expected });
    assert_eq!(RootsReport::parse(&[0; 7]), length(7, 8));
    assert_eq!(RootsReport::parse(&[0; 9]), length(9, 8));
    assert_eq!(RootsReport::parse(&[1, 0, 0, 0, 0, 0, 0, 0]), length(8, 44));
    let error = Err(Error::Count {
        count: 17,
        limit: 16,
    });
    assert_eq!(RootsReport::parse(&[17, 0, 0, 0, 0, 0, 0, 0]), error);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in any::<Vec<u8>>()) {
        judge(&bytes);
    }

    #[test]
    fn any_bytes_of_the_right_length_are_read_without_a_panic(
        state in any::<u8>(),
        bytes in proptest::collection::vec(any::<u8>(), 207),
    ) {
        let mut report = [&[state % 3], &bytes[..]].concat();
        judge(&report);
        report[1..8].fill(0);
        report[9..12].fill(0);
        report[30..32].fill(0);
        judge(&report);
    }
}

#[test]
fn the_corpus_is_judged_without_a_panic() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let mut replayed = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        judge(&std::fs::read(file.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed >= 4, "{replayed} files in {folder}");
}

/// The fuzz entry point: whatever is accepted is written back to the same bytes.
fn judge(bytes: &[u8]) {
    if let Ok(report) = StateReport::parse(bytes) {
        assert_eq!(report.to_bytes(), bytes);
    }
    if let Ok(report) = RootsReport::parse(bytes) {
        let roots: Vec<_> = report.roots().collect();
        let mut back = vec![0; bytes.len()];
        let length = RootsReport::write(report.required_slots(), roots.into_iter(), &mut back);
        assert_eq!(length, Some(bytes.len()));
        assert_eq!(back, bytes);
    }
    if let Some(region) = bytes.first_chunk()
        && let Some(read) = pta::Region::from_bytes(region)
    {
        assert_eq!(&read.to_bytes(), region);
    }
}

fn report() -> StateReport {
    StateReport {
        state: CoreState::Running,
        insecure_isolation: false,
        attach_only: true,
        development_role: true,
        core: 2,
        start_counter: 3,
        isolation_generation: 4,
        security_version: 5,
        bundle_digest: Digest([0x11; 48]),
        signer_key_id: [0x22; 32],
        display_version: Text::new(b"1.2").unwrap(),
        build_id: Text::new(&[0xab, 0xcd]).unwrap(),
    }
}

fn root(index: usize) -> Root {
    Root {
        key_id: [7 + index as u8; 32],
        algorithm: 1,
        slot: 2,
        role: 1,
    }
}
