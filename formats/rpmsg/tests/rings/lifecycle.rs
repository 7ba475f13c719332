//! docs/rpmsg-lifecycle.md, rule by rule.

use proptest::prelude::*;
use rpmsg::{
    DEVICE_LINE, DRIVER_LINE, DeviceLife, DeviceStep, Driver, DriverLife, DriverStep, Error,
    Quirks, RestartSign, Status,
};

use crate::support::{
    BUFFER, CAPACITY, ENTRY, Memory, assert_link_works_after_attaching_anew, layout, status,
};

const STATUS: u32 = ENTRY + 24;

fn driver_generation(memory: &Memory) -> u32 {
    memory.peek_u32(DRIVER_LINE + 4)
}

fn device_generation(memory: &Memory) -> u32 {
    memory.peek_u32(DEVICE_LINE + 4)
}

/// Steps the device until it waits or runs; what it did.
fn settle(life: &mut DeviceLife, memory: &Memory) -> Vec<DeviceStep> {
    let mut steps = Vec::new();
    for _ in 0..8 {
        let step = life.step(&memory.device());
        steps.push(step);
        if matches!(step, DeviceStep::Wait | DeviceStep::Run) {
            return steps;
        }
    }
    panic!("{steps:?}");
}

/// Both sides running.
fn running(memory: &Memory) -> (DriverLife, DeviceLife) {
    let mut device = DeviceLife::begin(&memory.device(), status());
    let mut driver = DriverLife::begin(&memory.driver(), status(), 1);
    settle(&mut device, memory);
    assert_eq!(driver.step(&memory.driver()), DriverStep::Prepare);
    driver.ready(&memory.driver());
    settle(&mut device, memory);
    assert_eq!(device.step(&memory.device()), DeviceStep::Run);
    (driver, device)
}

#[test]
fn l1_the_device_leaves_the_rings_alone_until_driver_ok() {
    let memory = Memory::new();
    let mut device = DeviceLife::begin(&memory.device(), status());
    for bits in [0_u8, 1, 3, 0x83, 0x87, 0x0b] {
        memory.poke(STATUS, &[bits]);
        assert_eq!(device.step(&memory.device()), DeviceStep::Wait, "{bits:#x}");
    }
    // What Linux' virtio writes at last.
    memory.poke(STATUS, &[7]);
    assert!(matches!(
        device.step(&memory.device()),
        DeviceStep::Attach(_)
    ));
    assert_eq!(device.step(&memory.device()), DeviceStep::Run);
}

#[test]
fn l2_the_devices_generation_follows_the_secure_worlds_seed() {
    let memory = Memory::new();
    memory.poke(DEVICE_LINE + 12, &41_u32.to_le_bytes());
    let first = DeviceLife::begin(&memory.device(), status());
    assert_eq!(first.generation(), 42);
    assert_eq!(device_generation(&memory), 42);
    // Started again without a load: its own line tells.
    assert_eq!(
        DeviceLife::begin(&memory.device(), status()).generation(),
        43
    );
    // Zero is no generation.
    memory.poke(DEVICE_LINE + 4, &u32::MAX.to_le_bytes());
    assert_eq!(
        DeviceLife::begin(&memory.device(), status()).generation(),
        1
    );
}

#[test]
fn l3_a_driver_takes_driver_ok_back_before_it_shows_its_generation() {
    let memory = Memory::new();
    memory.poke(STATUS, &[7, 2]);
    let first = DriverLife::begin(&memory.driver(), status(), 7);
    // The number of rings beside the status stays.
    assert_eq!(memory.peek::<2>(STATUS), [0, 2]);
    assert_eq!(first.generation(), (7 << 16) + 1);
    assert_eq!(driver_generation(&memory), first.generation());
    let second = DriverLife::begin(&memory.driver(), status(), 7);
    assert_ne!(second.generation(), first.generation());
}

#[test]
fn l3_no_word_of_the_devices_brings_a_drivers_generation_back() {
    let memory = Memory::new();
    let mut driver = DriverLife::begin(&memory.driver(), status(), 7);
    let mut seen = vec![driver.generation()];
    // Its own first one, none, the one that is to come, and a cleared page.
    let lies: [(u32, u32); 5] = [
        (4, (7 << 16) + 1),
        (4, 7 << 16),
        (0, 0),
        (4, 0),
        (4, (7 << 16) + 6),
    ];
    for (offset, word) in lies {
        memory.poke(DRIVER_LINE + offset, &word.to_le_bytes());
        driver = driver.again(&memory.driver(), status());
        assert!(!seen.contains(&driver.generation()), "{offset}: {word:#x}");
        assert_ne!(driver.generation(), word);
        assert_eq!(driver_generation(&memory), driver.generation());
        assert_eq!(memory.peek::<1>(STATUS), [0]);
        seen.push(driver.generation());
    }
}

#[test]
fn l8_a_handle_stays_stale_where_the_device_turns_the_generation_back() {
    let memory = Memory::new();
    let life = DriverLife::begin(&memory.driver(), status(), 7);
    let attach = |life: &DriverLife| {
        let quirks = Quirks::default();
        Driver::<_, CAPACITY>::attach(memory.driver(), layout(), BUFFER, life.generation(), quirks)
            .unwrap()
    };
    let mut link = attach(&life);
    let old = link.reserve().unwrap();
    let handle = life.generation();
    memory.poke(DRIVER_LINE + 4, &handle.wrapping_sub(1).to_le_bytes());
    let life = life.again(&memory.driver(), status());
    let mut link = attach(&life);
    let stale = Error::PeerRestarted {
        handle,
        link: life.generation(),
    };
    assert_eq!(link.commit(old, 1, 2, 3), Err(stale));
}

#[test]
fn l4_the_device_echoes_a_new_driver_once_it_is_off_the_rings() {
    let memory = Memory::new();
    let (_, mut device) = running(&memory);
    let driver = DriverLife::begin(&memory.driver(), status(), 1);
    let steps = settle(&mut device, &memory);
    assert_eq!(
        steps,
        [
            DeviceStep::Detach(RestartSign::Generation),
            DeviceStep::Kick,
            DeviceStep::Wait
        ]
    );
    assert_eq!(memory.peek_u32(DEVICE_LINE + 8), driver.generation());
}

#[test]
fn l5_the_driver_writes_no_ring_before_the_echo_or_its_time_limit() {
    let memory = Memory::new();
    let mut driver = DriverLife::begin(&memory.driver(), status(), 1);
    assert_eq!(driver.step(&memory.driver()), DriverStep::Wait);
    // An echo of an older generation is none.
    memory.poke(DEVICE_LINE, &0x4e47_5743_u32.to_le_bytes());
    memory.poke(DEVICE_LINE + 4, &5_u32.to_le_bytes());
    memory.poke(DEVICE_LINE + 8, &(driver.generation() - 1).to_le_bytes());
    assert_eq!(driver.step(&memory.driver()), DriverStep::Wait);
    // Nor does `ready` do anything before its time.
    driver.ready(&memory.driver());
    assert_eq!(memory.peek::<1>(STATUS), [0]);
    memory.poke(DEVICE_LINE + 8, &driver.generation().to_le_bytes());
    assert_eq!(driver.step(&memory.driver()), DriverStep::Prepare);
}

#[test]
fn l5_the_time_limit_serves_devices_that_speak_no_generations() {
    let memory = Memory::new();
    let mut driver = DriverLife::begin(&memory.driver(), status(), 1);
    driver.wait_no_longer(&memory.driver());
    assert_eq!(driver.step(&memory.driver()), DriverStep::Prepare);
    driver.ready(&memory.driver());
    assert_eq!(driver.step(&memory.driver()), DriverStep::Run);
    // One of ours that starts after all is a restart like any other.
    let mut device = DeviceLife::begin(&memory.device(), status());
    assert_eq!(
        driver.step(&memory.driver()),
        DriverStep::Restart(RestartSign::Generation)
    );
    let mut driver = DriverLife::begin(&memory.driver(), status(), 1);
    settle(&mut device, &memory);
    assert_eq!(driver.step(&memory.driver()), DriverStep::Prepare);
}

#[test]
fn l6_driver_ok_comes_with_the_echo_of_the_device_the_rings_are_for() {
    let memory = Memory::new();
    let (driver, device) = running(&memory);
    assert_eq!(memory.peek::<1>(STATUS), [Status::READY.bits()]);
    assert_eq!(memory.peek_u32(DRIVER_LINE + 8), device.generation());
    assert_eq!(memory.peek_u32(DEVICE_LINE + 8), driver.generation());
}

#[test]
fn l7_a_device_does_not_join_rings_prepared_for_its_predecessor() {
    let memory = Memory::new();
    let mut old = DeviceLife::begin(&memory.device(), status());
    let mut driver = DriverLife::begin(&memory.driver(), status(), 1);
    settle(&mut old, &memory);
    assert_eq!(driver.step(&memory.driver()), DriverStep::Prepare);
    // The core starts anew between the echo and DRIVER_OK.
    let mut new = DeviceLife::begin(&memory.device(), status());
    driver.ready(&memory.driver());
    let steps = settle(&mut new, &memory);
    assert_eq!(steps, [DeviceStep::Kick, DeviceStep::Wait]);
    assert_eq!(
        driver.step(&memory.driver()),
        DriverStep::Restart(RestartSign::Generation)
    );
    let mut driver = DriverLife::begin(&memory.driver(), status(), 1);
    settle(&mut new, &memory);
    assert_eq!(driver.step(&memory.driver()), DriverStep::Prepare);
    driver.ready(&memory.driver());
    settle(&mut new, &memory);
    assert_eq!(new.step(&memory.device()), DeviceStep::Run);
}

#[test]
fn l8_a_restarted_device_is_noticed_and_reported_as_said_by_itself() {
    let memory = Memory::new();
    let (mut driver, _) = running(&memory);
    let _new = DeviceLife::begin(&memory.device(), status());
    let DriverStep::Restart(sign) = driver.step(&memory.driver()) else {
        panic!("not noticed");
    };
    assert_eq!(sign, RestartSign::Generation);
    assert!(!sign.is_inferred());
}

#[test]
fn l9_a_device_whose_rings_broke_asks_for_new_ones() {
    let memory = Memory::new();
    let (mut driver, mut device) = running(&memory);
    device.renew(&memory.device());
    // It stays off the old ones.
    assert_eq!(settle(&mut device, &memory), [DeviceStep::Wait]);
    assert_eq!(
        driver.step(&memory.driver()),
        DriverStep::Restart(RestartSign::Generation)
    );
    let mut driver = DriverLife::begin(&memory.driver(), status(), 1);
    settle(&mut device, &memory);
    assert_eq!(driver.step(&memory.driver()), DriverStep::Prepare);
    assert_link_works_after_attaching_anew(&memory);
}

#[test]
fn l9_a_foreign_driver_that_broke_the_rings_is_shunned_until_its_reset() {
    let memory = Memory::new();
    let mut device = DeviceLife::begin(&memory.device(), status());
    memory.poke(STATUS, &[7]);
    settle(&mut device, &memory);
    device.renew(&memory.device());
    for _ in 0..5 {
        assert_eq!(device.step(&memory.device()), DeviceStep::Wait);
    }
    memory.poke(STATUS, &[0]);
    assert_eq!(device.step(&memory.device()), DeviceStep::Wait);
    memory.poke(STATUS, &[7]);
    assert!(matches!(
        device.step(&memory.device()),
        DeviceStep::Attach(_)
    ));
}

#[test]
fn l10_detaching_takes_the_rings_from_the_device() {
    let memory = Memory::new();
    let (driver, mut device) = running(&memory);
    driver.detach(&memory.driver());
    assert_eq!(memory.peek::<1>(STATUS), [0]);
    let steps = settle(&mut device, &memory);
    assert_eq!(steps[0], DeviceStep::Detach(RestartSign::Generation));
    // Linux' kernel only resets the status.
    let (_, mut device) = running(&memory);
    memory.poke(STATUS, &[0]);
    assert_eq!(
        device.step(&memory.device()),
        DeviceStep::Detach(RestartSign::StatusReset)
    );
}

#[test]
fn l11_a_foreign_peers_restart_is_inferred_and_says_so() {
    let index = |index, last| Error::PeerIndex {
        ring: rpmsg::Ring::ToDriver,
        index,
        last,
        outstanding: 8,
    };
    for (error, sign) in [
        (index(0, 9), Some(RestartSign::RingZeroed)),
        (index(3, 9), Some(RestartSign::IndexBackwards)),
        (index(5000, 9), None),
        (
            Error::UsedNotOffered {
                ring: rpmsg::Ring::ToDriver,
                id: 1,
            },
            None,
        ),
    ] {
        assert_eq!(error.restart_sign(), sign);
        assert!(sign.is_none_or(RestartSign::is_inferred));
    }
}

#[test]
fn l12_a_device_written_over_by_one_that_is_gone_takes_a_new_generation() {
    for later in [0, 1, 2_u32] {
        let memory = Memory::new();
        let (driver, mut old) = running(&memory);
        let mut device = DeviceLife::begin(&memory.device(), status());
        let mut driver = driver.again(&memory.driver(), status());
        settle(&mut device, &memory);
        // The one before lives for a moment longer, and answers the driver over the new one's answer.
        settle(&mut old, &memory);
        let stands = old.generation() + later;
        memory.poke(DEVICE_LINE + 4, &stands.to_le_bytes());
        assert_eq!(driver.step(&memory.driver()), DriverStep::Prepare);
        driver.ready(&memory.driver());
        let before = device.generation();
        let steps = settle(&mut device, &memory);
        if later == 1 {
            // What stands there is its own.
            assert!(matches!(
                steps[..],
                [DeviceStep::Attach(_), DeviceStep::Run]
            ));
            continue;
        }
        assert_eq!(steps, [DeviceStep::Kick, DeviceStep::Wait]);
        assert_ne!(device.generation(), before);
        assert_ne!(device.generation(), stands);
        assert_eq!(device_generation(&memory), device.generation());
        let restart = DriverStep::Restart(RestartSign::Generation);
        assert_eq!(driver.step(&memory.driver()), restart);
        let mut driver = driver.again(&memory.driver(), status());
        settle(&mut device, &memory);
        assert_eq!(driver.step(&memory.driver()), DriverStep::Prepare);
        driver.ready(&memory.driver());
        settle(&mut device, &memory);
        assert_eq!(device.step(&memory.device()), DeviceStep::Run);
        assert_eq!(driver.step(&memory.driver()), DriverStep::Run);
    }
}

#[test]
fn l12_a_cleared_table_page_is_a_restart_once_the_driver_runs() {
    let cleared = DriverStep::Restart(RestartSign::TableCleared);
    let memory = Memory::new();
    let (mut driver, _) = running(&memory);
    memory.poke(0, &[0; 0x1000]);
    assert_eq!(driver.step(&memory.driver()), cleared);
    // Cleared while it waited or prepared: it sees that right after DRIVER_OK.
    let mut driver = DriverLife::begin(&memory.driver(), status(), 1);
    memory.poke(0, &[0; 0x1000]);
    assert_eq!(driver.step(&memory.driver()), DriverStep::Wait);
    driver.wait_no_longer(&memory.driver());
    assert_eq!(driver.step(&memory.driver()), DriverStep::Prepare);
    driver.ready(&memory.driver());
    assert_eq!(driver.step(&memory.driver()), cleared);
}

#[test]
fn nothing_a_core_writes_keeps_a_driver_from_its_time_limit() {
    for line in [DRIVER_LINE, DEVICE_LINE] {
        for word in [0_u32, 1, 0x4e47_5743, u32::MAX] {
            let memory = Memory::new();
            let mut driver = DriverLife::begin(&memory.driver(), status(), 1);
            for at in 0..16 {
                memory.poke(line + 4 * at, &word.to_le_bytes());
            }
            assert_eq!(driver.step(&memory.driver()), DriverStep::Wait);
            driver.wait_no_longer(&memory.driver());
            assert_eq!(driver.step(&memory.driver()), DriverStep::Prepare);
        }
    }
}

#[test]
fn attachments_of_the_device_never_share_a_generation() {
    let memory = Memory::new();
    let mut device = DeviceLife::begin(&memory.device(), status());
    let mut seen = Vec::new();
    for _ in 0..5 {
        memory.poke(STATUS, &[7]);
        let DeviceStep::Attach(generation) = device.step(&memory.device()) else {
            panic!("not attached");
        };
        assert!(!seen.contains(&generation));
        seen.push(generation);
        memory.poke(STATUS, &[0]);
        settle(&mut device, &memory);
    }
}

#[derive(Clone, Debug)]
enum Happening {
    DriverSteps,
    DeviceSteps,
    LinuxRestarts,
    CoreRestarts,
    ImageLoaded,
    LinuxDetaches,
    RingsBreak,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => Just(Happening::DriverSteps),
        8 => Just(Happening::DeviceSteps),
        1 => Just(Happening::LinuxRestarts),
        1 => Just(Happening::CoreRestarts),
        1 => Just(Happening::ImageLoaded),
        1 => Just(Happening::LinuxDetaches),
        1 => Just(Happening::RingsBreak),
    ]
}

proptest! {
    /// Whatever happens in whatever order: the driver never writes rings on which the device is, and in the end both run.
    #[test]
    fn the_rings_are_never_rewritten_under_the_device(happenings in prop::collection::vec(happening(), 0..80)) {
        let memory = Memory::new();
        let begin = || DriverLife::begin(&memory.driver(), status(), 3);
        let mut driver = Some(begin());
        let mut device = DeviceLife::begin(&memory.device(), status());
        let mut device_is_on_the_rings = false;
        let quiet = std::iter::repeat_n([Happening::DriverSteps, Happening::DeviceSteps], 12).flatten();
        for happening in happenings.into_iter().chain([Happening::LinuxRestarts]).chain(quiet) {
            match happening {
                Happening::DriverSteps => {
                    let Some(life) = &mut driver else { continue };
                    match life.step(&memory.driver()) {
                        DriverStep::Prepare => {
                            prop_assert!(!device_is_on_the_rings);
                            life.ready(&memory.driver());
                        }
                        DriverStep::Restart(_) => driver = Some(begin()),
                        DriverStep::Wait | DriverStep::Run => {}
                    }
                }
                Happening::DeviceSteps => match device.step(&memory.device()) {
                    DeviceStep::Attach(_) => device_is_on_the_rings = true,
                    DeviceStep::Run => prop_assert!(device_is_on_the_rings),
                    DeviceStep::Detach(_) => device_is_on_the_rings = false,
                    DeviceStep::Wait | DeviceStep::Kick => prop_assert!(!device_is_on_the_rings),
                    DeviceStep::Prepare => prop_assert!(false, "on a link that is not symmetric"),
                },
                Happening::LinuxRestarts => driver = Some(begin()),
                Happening::CoreRestarts | Happening::ImageLoaded => {
                    if matches!(happening, Happening::ImageLoaded) {
                        memory.poke(0, &[0; 0x1000]);
                        memory.poke(DEVICE_LINE + 12, &9_u32.to_le_bytes());
                    }
                    device = DeviceLife::begin(&memory.device(), status());
                    device_is_on_the_rings = false;
                }
                Happening::LinuxDetaches => {
                    if let Some(life) = driver.take() {
                        life.detach(&memory.driver());
                    }
                }
                Happening::RingsBreak => {
                    device.renew(&memory.device());
                    device_is_on_the_rings = false;
                }
            }
        }
        prop_assert_eq!(driver.unwrap().step(&memory.driver()), DriverStep::Run);
        prop_assert_eq!(device.step(&memory.device()), DeviceStep::Run);
    }
}
