//! Every rule of docs/rpmsg-pool.md, refused and kept; both sides against a model; the notices over real rings.

mod window;

use std::collections::VecDeque;

use proptest::prelude::*;
use rpmsg::{Change, Device, Driver, Event, LinkLayout, Quirks, ServiceName, Session, VringLayout};
use rpmsg_pool::{Borrower, Error, Lender, Notice, PoolLayout, Refused};
use window::{BASE, Shared, window};

const COUNT: u16 = 4;
const SIZE: u32 = 256;
const AT: u64 = BASE + 0x4000;

fn layout() -> PoolLayout {
    PoolLayout::new(&window(), AT, COUNT, SIZE).expect("a pool")
}

fn sides(memory: &Shared) -> (Lender<&Shared, 4>, Borrower<&Shared, 4>) {
    memory.allow(0x4000..0x4000 + u32::from(COUNT) * SIZE);
    (
        Lender::new(memory, layout(), 7).expect("a lender"),
        Borrower::new(memory, layout(), 7).expect("a borrower"),
    )
}

/// The bytes of a notice.
fn notice(kind: u16, slot: u16, length: u32, sequence: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(kind.to_le_bytes());
    bytes.extend(slot.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(sequence.to_le_bytes());
    bytes
}

/// What the borrower says to a loan.
fn loan(
    borrower: &mut Borrower<&Shared, 4>,
    slot: u16,
    length: u32,
    sequence: u32,
) -> Result<rpmsg_pool::Loan, Error> {
    match Notice::parse(&notice(1, slot, length, sequence)) {
        Ok(Notice::Lent(lent)) => borrower.take(lent),
        other => panic!("{other:?}"),
    }
}

/// What the lender says to a return.
fn give(lender: &mut Lender<&Shared, 4>, slot: u16, sequence: u32) -> Result<(), Error> {
    match Notice::parse(&notice(2, slot, 0, sequence)) {
        Ok(Notice::Returned(returned)) => lender.take_back(returned),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pool_lies_in_the_window_on_whole_lines_p1() {
    let new = |address, count, size| PoolLayout::new(&window(), address, count, size);
    assert_eq!(new(AT, 0, 64), Err(Error::Count { count: 0 }));
    assert_eq!(new(AT, 257, 64), Err(Error::Count { count: 257 }));
    for (address, size) in [(AT, 0), (AT, 63), (AT, 96), (AT + 4, 64)] {
        assert_eq!(new(address, 4, size), Err(Error::Lines { address, size }));
    }
    let len = u64::from(window::SIZE);
    for (address, count, size, all) in [
        (BASE - 64, 1, 64, 64),
        (BASE + len - 64, 2, 64, 128),
        (BASE, 256, 0xffff_ffc0, 256 * 0xffff_ffc0_u64),
    ] {
        let outside = Error::Outside { address, len: all };
        assert_eq!(new(address, count, size), Err(outside));
    }
    let whole = new(BASE, 256, window::SIZE / 256).expect("all of the window");
    assert_eq!((whole.count(), whole.size()), (256, window::SIZE / 256));
    new(BASE + len - 64, 1, 64).expect("the last line");
    let memory = Shared::new();
    let few = Error::Capacity { count: 4, limit: 3 };
    assert_eq!(Lender::<_, 3>::new(&memory, layout(), 1).err(), Some(few));
    assert_eq!(Borrower::<_, 3>::new(&memory, layout(), 1).err(), Some(few));
    Lender::<_, 4>::new(&memory, layout(), 1).expect("room for all");
}

#[test]
fn pools_of_both_directions_do_not_overlap_p2() {
    let pool = |at, count, size| PoolLayout::new(&window(), BASE + at, count, size);
    let pool = |at, count, size| pool(at, count, size).expect("a pool");
    let middle = pool(0x4000, 4, 0x100);
    for (at, count, size) in [(0x4000, 4, 0x100), (0x3c00, 1, 0x440), (0x43c0, 9, 0x40)] {
        let overlap = |first, second| Err(Error::Overlap { first, second });
        let other = pool(at, count, size);
        let at = at as u32;
        assert_eq!(middle.check_apart(&other), overlap(0x4000, at));
        assert_eq!(other.check_apart(&middle), overlap(at, 0x4000));
    }
    for (at, count, size) in [(0x3c00, 1, 0x400), (0x4400, 256, 0x40)] {
        let other = pool(at, count, size);
        assert_eq!(middle.check_apart(&other), Ok(()));
        assert_eq!(other.check_apart(&middle), Ok(()));
    }
}

#[test]
fn a_notice_has_one_form_p3_p4_p6() {
    for len in (0..40).filter(|len| *len != 12) {
        let refused = Notice::parse(&vec![1; len]);
        assert_eq!(refused, Err(Error::NoticeLength { len }));
    }
    for kind in [0, 3, 0x100, u16::MAX] {
        let refused = Notice::parse(&notice(kind, 0, 1, 1));
        assert_eq!(refused, Err(Error::NoticeKind { kind }));
    }
    let long = Notice::parse(&notice(2, 3, 1, 1));
    assert_eq!(long, Err(Error::ReturnedLength { slot: 3, length: 1 }));
    for bytes in [notice(1, 2, 0xfff, 9), notice(2, 3, 0, u32::MAX)] {
        let notice = Notice::parse(&bytes).expect("a notice");
        assert_eq!(notice.to_bytes().as_slice(), bytes);
    }
}

#[test]
fn a_loan_is_of_a_slot_there_is_and_of_its_bytes_p5_p6() {
    let memory = Shared::new();
    let (mut lender, mut borrower) = sides(&memory);
    for (slot, sequence) in [(COUNT, 1), (u16::MAX, 2)] {
        let none = Error::Slot { slot, count: COUNT };
        assert_eq!(loan(&mut borrower, slot, 1, sequence), Err(none));
        assert_eq!(give(&mut lender, slot, 1), Err(none));
    }
    for (length, sequence) in [(0, 3), (SIZE + 1, 4), (u32::MAX, 5)] {
        let wrong = Error::Length {
            slot: 3,
            length,
            limit: SIZE,
        };
        assert_eq!(loan(&mut borrower, 3, length, sequence), Err(wrong));
    }
    assert_eq!(borrower.held(), 0);
    assert_eq!(
        loan(&mut borrower, 3, SIZE, 6).expect("all of it").length(),
        SIZE
    );
    assert_eq!(loan(&mut borrower, 0, 1, 7).expect("a byte").length(), 1);
}

#[test]
fn a_refused_loan_is_counted_and_goes_back_p7() {
    let memory = Shared::new();
    let (mut lender, _) = sides(&memory);
    // A borrower that thinks the pool smaller than it is.
    let small = PoolLayout::new(&window(), AT, 2, SIZE / 2).expect("a pool");
    let mut borrower: Borrower<_, 4> = Borrower::new(&memory, small, 7).expect("a borrower");
    let kept = lender.reserve().expect("a slot");
    for sequence in 1..=20 {
        let slot = lender.reserve().expect("none was lost");
        let lent = lender.lend(slot, SIZE).expect("lent");
        let long = Error::Length {
            slot: 1,
            length: SIZE,
            limit: SIZE / 2,
        };
        assert_eq!(borrower.take(lent), Err(long));
        let Ok(Notice::Returned(back)) = Notice::parse(&Notice::from(lent.refused()).to_bytes())
        else {
            panic!("no return");
        };
        lender.take_back(back).expect("it was lent");
        assert_eq!((lender.lent(), borrower.held()), (0, 0), "{sequence}");
    }
    let lent = lender.lend(kept, SIZE / 2).expect("lent");
    assert_eq!(borrower.take(lent).expect("a loan").length(), SIZE / 2);
}

#[test]
fn a_loan_whose_notice_did_not_go_out_is_recalled_with_its_number_p7() {
    let memory = Shared::new();
    let (mut lender, mut borrower) = sides(&memory);
    let (first, second) = (lender.reserve(), lender.reserve());
    let first = lender.lend(first.expect("a slot"), 8).expect("lent");
    let second = lender.lend(second.expect("a slot"), 8).expect("lent");
    let not_the_last = Error::Sequence {
        sequence: 1,
        last: 2,
    };
    assert_eq!(lender.recall(first), Err(not_the_last));
    let slot = lender.recall(second).expect("the last one");
    assert_eq!(lender.lent(), 1);
    let again = lender.lend(slot, 8).expect("lent");
    assert_eq!(again, second);
    let _held = borrower.take(first).expect("the first");
    let _held = borrower.take(again).expect("the second");
    lender.take_back(second.refused()).expect("it was lent");
    assert_eq!(lender.recall(second), Err(Error::NotHeld { slot: 1 }));
}

#[test]
fn loans_are_numbered_without_gaps_p7() {
    let memory = Shared::new();
    let (_, mut borrower) = sides(&memory);
    for sequence in [0, 2, u32::MAX] {
        let gap = Error::Sequence { sequence, last: 0 };
        assert_eq!(loan(&mut borrower, 0, 1, sequence), Err(gap));
    }
    let _held = loan(&mut borrower, 0, 1, 1).expect("the first");
    for sequence in [0, 1, 3] {
        let gap = Error::Sequence { sequence, last: 1 };
        assert_eq!(loan(&mut borrower, 1, 1, sequence), Err(gap));
    }
    let _held = loan(&mut borrower, 1, 1, 2).expect("the second");
}

#[test]
fn a_held_slot_is_not_lent_again_p8() {
    let memory = Shared::new();
    let (_, mut borrower) = sides(&memory);
    let held = loan(&mut borrower, 2, 8, 1).expect("a loan");
    let twice = Error::Repeated { slot: 2 };
    assert_eq!(loan(&mut borrower, 2, 8, 2), Err(twice));
    borrower.give_back(held).expect("given back");
    let _held = loan(&mut borrower, 2, 8, 3).expect("again");
}

#[test]
fn a_return_ends_the_loan_it_names_and_no_other_p9() {
    let memory = Shared::new();
    let (mut lender, _) = sides(&memory);
    let not_held = Err(Error::NotHeld { slot: 0 });
    assert_eq!(give(&mut lender, 0, 0), not_held);
    let slot = lender.reserve().expect("a slot");
    assert_eq!(give(&mut lender, 0, 0), not_held);
    assert_eq!(give(&mut lender, 0, 1), not_held);
    lender.lend(slot, 4).expect("lent");
    assert_eq!(give(&mut lender, 0, 2), not_held);
    assert_eq!(lender.lent(), 1);
    give(&mut lender, 0, 1).expect("given back");
    assert_eq!(give(&mut lender, 0, 1), not_held);
    // What was said of the loan before does not end the next one of the same slot.
    let slot = lender.reserve().expect("the same slot");
    lender.lend(slot, 4).expect("lent");
    assert_eq!(give(&mut lender, 0, 1), not_held);
    give(&mut lender, 0, 2).expect("given back");
}

#[test]
fn handles_of_another_generation_or_pool_are_refused_p10() {
    let memory = Shared::new();
    let (mut lender, mut borrower) = sides(&memory);
    let mut newer: Lender<_, 4> = Lender::new(&memory, layout(), 8).expect("a lender");
    let mut other: Lender<_, 4> = Lender::new(&memory, layout(), 7).expect("a lender");
    let old = Error::OtherGeneration {
        handle: 7,
        current: 8,
    };
    let foreign = |slot| Error::NotHeld { slot };
    let slot = lender.reserve().expect("a slot");
    assert_eq!(newer.write(&slot, 0, &[1]), Err(old));
    assert_eq!(other.write(&slot, 0, &[1]), Err(foreign(0)));
    // A refusal gives the handle back: the right pool still takes it.
    let slot = handle(newer.lend(slot, 1), old);
    let slot = handle(other.lend(slot, 1), foreign(0));
    let slot = handle(newer.abandon(slot), old);
    let slot = handle(other.abandon(slot), foreign(0));
    lender.abandon(slot).expect("its own");

    let held = loan(&mut borrower, 0, 8, 1).expect("a loan");
    let mut later: Borrower<_, 4> = Borrower::new(&memory, layout(), 8).expect("a borrower");
    let mut second: Borrower<_, 4> = Borrower::new(&memory, layout(), 7).expect("a borrower");
    assert_eq!(later.read(&held, 0, &mut [0; 4]), Err(old));
    assert_eq!(second.read(&held, 0, &mut [0; 4]), Err(foreign(0)));
    let held = handle(later.give_back(held), old);
    let held = handle(second.give_back(held), foreign(0));
    borrower.give_back(held).expect("its own");
}

/// The handle out of a refusal for this reason.
fn handle<T: std::fmt::Debug, H>(outcome: Result<T, Refused<H>>, why: Error) -> H {
    let Err(Refused { error, handle }) = outcome else {
        panic!("not refused");
    };
    assert_eq!(error, why);
    handle
}

#[test]
fn slots_come_back_and_a_pool_that_is_out_of_them_says_so() {
    let memory = Shared::new();
    let (mut lender, _) = sides(&memory);
    let slots: Vec<_> = (0..COUNT)
        .map(|_| lender.reserve().expect("a slot"))
        .collect();
    assert_eq!(lender.reserve(), Err(Error::NoSlot { count: COUNT }));
    for slot in slots {
        lender.abandon(slot).expect("back");
    }
    // A length that is none changes nothing.
    let mut slot = lender.reserve().expect("a slot");
    for length in [0, SIZE + 1] {
        let wrong = Error::Length {
            slot: 0,
            length,
            limit: SIZE,
        };
        slot = handle(lender.lend(slot, length), wrong);
    }
    assert_eq!(lender.lent(), 0);
    lender.lend(slot, SIZE).expect("lent");
}

#[test]
fn bytes_go_where_they_belong_and_nowhere_else() {
    let memory = Shared::new();
    let (mut lender, mut borrower) = sides(&memory);
    let _first = lender.reserve().expect("a slot");
    let slot = lender.reserve().expect("a slot");
    let past = |end, limit| Error::PastEnd {
        slot: 1,
        end,
        limit,
    };
    let misaligned = Error::Misaligned { offset: 2 };
    assert_eq!(lender.write(&slot, 2, &[1]), Err(misaligned));
    let long = vec![1; SIZE as usize];
    assert_eq!(lender.write(&slot, 4, &long), Err(past(SIZE + 4, SIZE)));
    let far = u32::MAX - 3;
    assert_eq!(lender.write(&slot, far, &long), Err(past(u32::MAX, SIZE)));
    lender.write(&slot, 0, b"head").expect("written");
    lender.write(&slot, SIZE - 4, b"tail").expect("written");
    let lent = lender.lend(slot, SIZE - 1).expect("lent");

    // The borrower's first loan, as far as it knows: the number is right.
    let held = borrower.take(lent).expect("a loan");
    let mut into = [0; 8];
    assert_eq!(borrower.read(&held, 0, &mut into[..4]), Ok(4));
    assert_eq!(borrower.read(&held, 2, &mut []), Err(misaligned));
    assert_eq!(borrower.read(&held, SIZE - 4, &mut into[4..]), Ok(3));
    assert_eq!(&into, b"headtai\0");
    for offset in [SIZE, u32::MAX - 3] {
        assert_eq!(borrower.read(&held, offset, &mut into), Ok(0));
    }
    assert_eq!(memory.bytes(0x4000 + SIZE..0x4000 + SIZE + 4), b"head");
}

/// Each byte of a notice becomes everything it can be. The memory ends the test at an access outside the pool.
#[test]
fn every_changed_notice_is_refused_by_name_or_stays_inside_the_pool() {
    let memory = Shared::new();
    let good = [notice(1, 1, 200, 2), notice(2, 0, 0, 1)];
    for (which, good) in good.iter().enumerate() {
        for at in 0..good.len() {
            for value in 0..=u8::MAX {
                let (mut lender, mut borrower) = sides(&memory);
                let slot = lender.reserve().expect("a slot");
                let first = lender.lend(slot, 100).expect("lent");
                let _held = borrower.take(first).expect("a loan");
                let mut bytes = good.clone();
                bytes[at] = value;
                let changed = bytes != *good;
                match Notice::parse(&bytes) {
                    Ok(Notice::Lent(lent)) => {
                        if let Ok(held) = borrower.take(lent) {
                            assert!(held.length() <= SIZE);
                            let mut into = vec![0; 0x1000];
                            let read = borrower.read(&held, 0, &mut into);
                            assert_eq!(read, Ok(held.length() as usize));
                        } else {
                            assert!(changed);
                        }
                    }
                    Ok(Notice::Returned(returned)) => {
                        let taken = lender.take_back(returned);
                        assert_eq!(taken.is_ok(), !changed && which == 1, "{bytes:?}");
                    }
                    Err(Error::NoticeKind { .. } | Error::ReturnedLength { .. }) => {
                        assert!(changed);
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Abandon,
    Lend { length: u32, fill: u8 },
    Reserve,
    Returned,
    Take,
    GiveBack { which: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        Just(Step::Abandon),
        (1..=SIZE, any::<u8>()).prop_map(|(length, fill)| Step::Lend { length, fill }),
        Just(Step::Reserve),
        Just(Step::Returned),
        Just(Step::Take),
        any::<usize>().prop_map(|which| Step::GiveBack { which }),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    /// Two honest sides, notices under way in between: every byte arrives, and no slot is ever two things at once.
    #[test]
    fn two_honest_sides_lose_nothing_in_any_order(steps in steps()) {
        let memory = Shared::new();
        let (mut lender, mut borrower) = sides(&memory);
        let (mut reserved, mut held) = (Vec::new(), Vec::new());
        let (mut there, mut back) = (VecDeque::new(), VecDeque::new());
        for step in steps {
            match step {
                Step::Reserve => {
                    let used = reserved.len() + there.len() + held.len() + back.len();
                    match lender.reserve() {
                        Ok(slot) => {
                            prop_assert!(used < usize::from(COUNT));
                            reserved.push(slot);
                        }
                        Err(error) => {
                            prop_assert_eq!(error, Error::NoSlot { count: COUNT });
                            prop_assert_eq!(used, usize::from(COUNT));
                        }
                    }
                }
                Step::Abandon => {
                    if let Some(slot) = reserved.pop() {
                        lender.abandon(slot).unwrap();
                    }
                }
                Step::Lend { length, fill } => {
                    if let Some(slot) = reserved.pop() {
                        lender.write(&slot, 0, &vec![fill; length as usize]).unwrap();
                        let lent = lender.lend(slot, length).unwrap();
                        there.push_back((Notice::from(lent).to_bytes(), length, fill));
                    }
                }
                Step::Take => {
                    if let Some((bytes, length, fill)) = there.pop_front() {
                        let Ok(Notice::Lent(lent)) = Notice::parse(&bytes) else { panic!() };
                        let loan = borrower.take(lent).unwrap();
                        prop_assert_eq!(loan.length(), length);
                        held.push((loan, length, fill));
                    }
                }
                Step::GiveBack { which } => {
                    if !held.is_empty() {
                        let (loan, length, fill) = held.swap_remove(which % held.len());
                        let mut into = vec![0; SIZE as usize];
                        prop_assert_eq!(borrower.read(&loan, 0, &mut into), Ok(length as usize));
                        prop_assert!(into[..length as usize].iter().all(|byte| *byte == fill));
                        let returned = borrower.give_back(loan).unwrap();
                        back.push_back(Notice::from(returned).to_bytes());
                    }
                }
                Step::Returned => {
                    if let Some(bytes) = back.pop_front() {
                        let Ok(Notice::Returned(returned)) = Notice::parse(&bytes) else { panic!() };
                        lender.take_back(returned).unwrap();
                    }
                }
            }
            prop_assert_eq!(lender.lent(), there.len() + held.len() + back.len());
            prop_assert_eq!(borrower.held(), held.len());
        }
    }

    /// Whatever the notices say, nothing outside the pool is touched; the memory sees to that.
    #[test]
    fn no_row_of_lies_reaches_outside_the_pool(
        notices in prop::collection::vec(
            (1..=2_u16, 0..6_u16, prop_oneof![0..=SIZE + 1, any::<u32>()], 0..12_u32),
            0..60,
        )
    ) {
        let memory = Shared::new();
        let (mut lender, mut borrower) = sides(&memory);
        for (kind, slot, length, sequence) in notices {
            if let Ok(slot) = lender.reserve() {
                let _ = lender.lend(slot, SIZE);
            }
            match Notice::parse(&notice(kind, slot, length, sequence)) {
                Ok(Notice::Lent(lent)) => {
                    if let Ok(loan) = borrower.take(lent) {
                        let mut into = vec![0; 0x1000];
                        prop_assert_eq!(borrower.read(&loan, 0, &mut into), Ok(length as usize));
                        if sequence % 2 == 0 {
                            borrower.give_back(loan).unwrap();
                        }
                    }
                }
                Ok(Notice::Returned(returned)) => {
                    let before = lender.lent();
                    let taken = lender.take_back(returned);
                    prop_assert_eq!(lender.lent() + usize::from(taken.is_ok()), before);
                }
                Err(_) => {}
            }
        }
    }
}

/// 1 MiB in slots of 128 KiB, its notices over both rings of a link.
#[test]
fn a_mebibyte_goes_over_real_rings_by_notices() {
    let memory = Shared::new();
    memory.allow(0..window::SIZE);
    let window = window();
    let ring = |at| VringLayout::new(&window, BASE + at, 8, 64).expect("a ring");
    let link = LinkLayout::new(window, ring(0x1000), ring(0x2000), BASE + 0x3000, 0x1000);
    let link = link.expect("a link");
    let quirks = Quirks::default();
    let linux = Driver::<_, 8>::attach(&memory, link, 256, 1, quirks).expect("a driver");
    let core = Device::<_, 8>::attach(&memory, link, 1, quirks).expect("a device");
    let (mut linux, mut core) = (
        Session::<_, _, 4>::new(linux),
        Session::<_, _, 4>::new(core),
    );

    let pool = PoolLayout::new(&window, AT, 3, 0x2_0000).expect("a pool");
    let mut lender = Lender::<_, 4>::new(&memory, pool, 1).expect("a lender");
    let mut borrower = Borrower::<_, 4>::new(&memory, pool, 1).expect("a borrower");

    let service = core.open(None).expect("an endpoint");
    let name = ServiceName::new("pictures").expect("a name");
    core.announce(&service, name, Change::Created)
        .expect("announced");
    let _ = core.flush();
    let mut bytes = [0; 256];
    let Ok(Some(Event::Service(announced))) = linux.poll(&mut bytes) else {
        panic!("no announcement");
    };
    let client = linux.open(None).expect("an endpoint");

    let picture: Vec<u8> = (0..1_u32 << 20)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut parts = picture.chunks(0x2_0000);
    let mut arrived = Vec::new();
    let mut waiting = parts.next();
    while arrived.len() < picture.len() {
        // As many as there are slots for; then the core has to give some back.
        while let Some(part) = waiting {
            let slot = match lender.reserve() {
                Ok(slot) => slot,
                Err(Error::NoSlot { count: 3 }) => break,
                Err(error) => panic!("{error}"),
            };
            lender.write(&slot, 0, part).expect("written");
            let lent = lender.lend(slot, part.len() as u32).expect("lent");
            let message = Notice::from(lent).to_bytes();
            linux
                .send(&client, announced.address, &message)
                .expect("sent");
            waiting = parts.next();
        }
        let _ = linux.flush();
        while let Some(event) = core.poll(&mut bytes).expect("an honest peer") {
            let Event::Message { header, copied } = event else {
                panic!("{event:?}");
            };
            let Ok(Notice::Lent(lent)) = Notice::parse(&bytes[..copied]) else {
                panic!("no loan");
            };
            let loan = borrower.take(lent).expect("a loan");
            let mut part = vec![0; loan.length() as usize];
            borrower.read(&loan, 0, &mut part).expect("read");
            arrived.extend(part);
            let returned = borrower.give_back(loan).expect("given back");
            let message = Notice::from(returned).to_bytes();
            core.send(&service, header.source, &message).expect("sent");
        }
        let _ = core.flush();
        while let Some(event) = linux.poll(&mut bytes).expect("an honest peer") {
            let Event::Message { copied, .. } = event else {
                panic!("{event:?}");
            };
            let Ok(Notice::Returned(returned)) = Notice::parse(&bytes[..copied]) else {
                panic!("no return");
            };
            lender.take_back(returned).expect("it was lent");
        }
    }
    assert_eq!(lender.lent(), 0);
    assert!(arrived == picture, "other bytes arrived");
}
