//! What holds for all bytes.

use platform::{Core, Span};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use resource_table::{ANY, Entry, MAX_NOTIFY_ID, Sanitised, SharedView, Table};

use crate::{
    fuzz::judge,
    sample::{Sample, platform},
};

proptest! {
    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in vec(any::<u8>(), 0..400)) {
        judge(&bytes);
    }

    #[test]
    fn any_edits_of_a_good_table_are_judged_without_a_panic(
        (base, edits) in (0..samples().len(), vec((0..400_usize, word()), 1..6)),
    ) {
        let mut sample = samples().swap_remove(base);
        for (place, value) in edits {
            let offset = place % (sample.bytes().len() - 3);
            sample.word(offset, value);
        }
        judge(sample.bytes());
    }

    #[test]
    fn any_shared_copy_of_a_good_table_is_judged_and_never_leads_outside(
        edits in vec((0..137_usize, word()), 0..6),
    ) {
        let platform = platform();
        let core = platform.core(0).unwrap();
        let master = Sample::openamp();
        let mut shared = master.clone();
        for (offset, value) in edits {
            shared.word(offset, value);
        }
        let master = Table::parse(master.bytes()).unwrap();
        if let Ok(view) = SharedView::read(&master, shared.bytes(), core) {
            let area = core.shared().device_span_of(core.shared().vrings()).unwrap();
            for (vdev, fixed) in view.vdevs().zip(master.vdevs()) {
                assert_eq!(vdev.driver_features & !fixed.device_features, 0);
                for (vring, fixed) in vdev.vrings().zip(fixed.vrings()) {
                    let span = Span::new(vring.device_address.into(), fixed.size().unwrap());
                    assert!(area.contains(&span.unwrap()));
                }
            }
        }
    }
}

/// Walks a published table by the rules, with arithmetic of its own.
pub(crate) fn holds_what_it_promises(published: &Sanitised, core: &Core) {
    let table = published.table().unwrap();
    // Publishing what is published changes nothing.
    assert_eq!(&table.sanitise(core).unwrap(), published);
    let window = core.shared();
    let area = |area: platform::Area| {
        let start = window.device() + area.offset();
        (start, start + area.size())
    };
    let mut taken: Vec<(u64, u64)> = Vec::new();
    let mut take = |within: (u64, u64), start: u32, size: u64| {
        let (start, end) = (u64::from(start), u64::from(start) + size);
        assert!(size > 0 && within.0 <= start && end <= within.1);
        assert!(taken.iter().all(|(a, b)| end <= *a || *b <= start));
        taken.push((start, end));
    };
    let mut notify_ids = Vec::new();
    for entry in table.entries() {
        match entry {
            Entry::Other { .. } => panic!("{entry:?}"),
            Entry::Trace(trace) => take(
                area(window.trace()),
                trace.device_address,
                trace.length.into(),
            ),
            Entry::Vdev(vdev) => {
                assert!(core.table_policy().allows_vdev(vdev.id));
                assert_eq!((vdev.status, vdev.driver_features), (0, 0));
                assert!(vdev.notify_id <= MAX_NOTIFY_ID);
                for vring in vdev.vrings() {
                    assert!(vring.descriptors.is_power_of_two() && vring.align.is_power_of_two());
                    assert_eq!(vring.device_address % vring.align, 0);
                    take(
                        area(window.vrings()),
                        vring.device_address,
                        vring.size().unwrap(),
                    );
                    assert!(vring.notify_id <= MAX_NOTIFY_ID);
                    assert!(!notify_ids.contains(&vring.notify_id));
                    notify_ids.push(vring.notify_id);
                }
            }
        }
    }
}

fn samples() -> Vec<Sample> {
    vec![
        Sample::openamp(),
        Sample::with_memory_entry(0),
        Sample::with_memory_entry(200),
        Sample::with_vdevs(3, 16),
        Sample::with_traces([ANY, 0x2120_1400], 0x100),
    ]
}

/// Words that are near what the rules turn on.
fn word() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<u32>(),
        0..600_u32,
        (0..32_u32).prop_map(|bit| 1 << bit),
        (0..0x60_u32).prop_map(|page| 0x2120_0000 + page * 0x400),
        Just(ANY),
    ]
}
