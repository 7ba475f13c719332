//! The shared table poisoned by the core between two attaches.

use resource_table::{ANY, Error, SharedView, Table};

use crate::sample::{Sample, TRACE, VDEV, VRING0, VRING1, platform};

#[test]
fn the_published_copy_is_taken_as_it_is() {
    let view = read(&Sample::openamp()).unwrap();
    assert_eq!(view.changed_at(), None);
    let vdev = view.vdevs().next().unwrap();
    assert_eq!(
        (vdev.status, vdev.driver_features, vdev.notify_id),
        (0, 0, 0)
    );
    let vrings: Vec<_> = vdev.vrings().collect();
    assert_eq!(vrings[0].device_address, 0x2120_2000);
    assert_eq!(
        (vrings[1].device_address, vrings[1].notify_id),
        (0x2120_5000, 1)
    );
}

#[test]
fn what_a_driver_writes_is_taken() {
    let mut shared = Sample::openamp();
    shared.word(VDEV + 8, 9);
    shared.word(VDEV + 16, 1);
    shared.word(VDEV + 24, 0x0000_0207);
    shared.word(VRING0, 0x2120_5000);
    shared.word(VRING1, 0x2120_2000);
    shared.word(VRING1 + 12, 255);
    let view = read(&shared).unwrap();
    assert_eq!(view.changed_at(), None);
    let vdev = view.vdevs().next().unwrap();
    assert_eq!(
        (vdev.status, vdev.driver_features, vdev.notify_id),
        (7, 1, 9)
    );
    let vrings: Vec<_> = vdev.vrings().collect();
    assert_eq!(vrings[0].device_address, 0x2120_5000);
    assert_eq!(
        (vrings[1].device_address, vrings[1].notify_id),
        (0x2120_2000, 255)
    );
}

#[test]
fn poison_in_a_changeable_field_is_named() {
    let length = 10246;
    let cases = [
        (
            VDEV + 16,
            3,
            Error::Features {
                offset: 40,
                features: 2,
            },
        ),
        (
            VDEV + 24,
            0x0000_0210,
            Error::SharedStatus {
                offset: 48,
                status: 0x10,
            },
        ),
        (
            VDEV + 24,
            0x0000_02ff,
            Error::SharedStatus {
                offset: 48,
                status: 0xff,
            },
        ),
        (VDEV + 8, 256, Error::NotifyId { entry: 0, id: 256 }),
        (VDEV + 8, ANY, Error::NotifyId { entry: 0, id: ANY }),
        (VRING1 + 12, 0, Error::NotifyId { entry: 0, id: 0 }),
        (VRING1 + 12, 256, Error::NotifyId { entry: 0, id: 256 }),
        (
            VRING0,
            0x2120_2010,
            Error::AddressAlignment {
                entry: 0,
                address: 0x2120_2010,
                align: 0x1000,
            },
        ),
        (
            VRING0,
            0x2100_0000,
            Error::VringOutside {
                entry: 0,
                address: 0x2100_0000,
                length,
            },
        ),
        (
            VRING0,
            0x2120_1000,
            Error::VringOutside {
                entry: 0,
                address: 0x2120_1000,
                length,
            },
        ),
        (
            VRING0,
            0xffff_f000,
            Error::VringOutside {
                entry: 0,
                address: 0xffff_f000,
                length,
            },
        ),
        (
            VRING1,
            0x2120_4000,
            Error::VringOverlap {
                entry: 0,
                address: 0x2120_4000,
            },
        ),
    ];
    for (offset, value, error) in cases {
        let mut shared = Sample::openamp();
        shared.word(offset, value);
        assert_eq!(read(&shared).unwrap_err(), error);
    }
}

#[test]
fn poison_in_a_fixed_field_has_no_effect_and_is_told() {
    let fixed = [
        (0, 2),                     // version
        (4, 200),                   // entries
        (16, 0xffff_ffff),          // an offset
        (VDEV, 1),                  // type
        (VDEV + 4, 1),              // device id
        (VDEV + 12, 0xffff_ffff),   // offered features
        (VDEV + 20, 0xffff_ffff),   // length of the configuration space
        (VDEV + 24, 0x0000_ff00),   // number of vrings
        (VRING0 + 4, 0),            // alignment
        (VRING0 + 8, 0xffff_ffff),  // descriptors
        (VRING1 + 16, 0x4000_0000), // physical address
        (TRACE + 4, 0x4000_0000),   // trace
        (TRACE + 40, 0xffff_ffff),  // name
    ];
    let clean: Vec<_> = read(&Sample::openamp()).unwrap().vdevs().collect();
    for (offset, value) in fixed {
        let mut shared = Sample::openamp();
        shared.word(offset, value);
        let view = read(&shared).unwrap();
        assert_eq!(view.vdevs().collect::<Vec<_>>(), clean);
        let changed = view.changed_at().unwrap() as usize;
        assert!(
            (offset..offset + 4).contains(&changed),
            "{offset}: {changed}"
        );
    }
}

#[test]
fn a_copy_shorter_than_the_master_is_refused() {
    let mut shared = Sample::openamp();
    shared.cut_to(139);
    let error = Error::Truncated {
        entry: None,
        needed: 140,
        found: 139,
    };
    assert_eq!(read(&shared).unwrap_err(), error);
    // Linux rewrites up to 1 KiB behind the table: what lies there is nobody's.
    shared = Sample::openamp();
    shared.pad_to(0x400);
    shared.word(0x200, 1);
    assert_eq!(read(&shared).unwrap().changed_at(), None);
}

fn read(shared: &Sample) -> Result<SharedView, Error> {
    let master = Sample::openamp();
    let master = Table::parse(master.bytes()).unwrap();
    SharedView::read(&master, shared.bytes(), platform().core(0).unwrap())
}
