//! Payloads beyond a buffer over a hub (rpmsg-pool.md), with peers of every kind.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use corewarden::hub::{Endpoint, Hub, Options};
use corewarden::place::Geometry;
use corewarden::pool::{Pool, Refused};
use corewarden::{Error, Limit, Waiting};
use rpmsg::SharedMemory;

use crate::support::{Bench, Party, forever, long, shortly};

#[test]
fn payloads_beyond_a_buffer_come_back_over_the_pools() {
    for bench in Bench::kinds_of(geometry()) {
        let _echo = echo(&bench);
        let pool = pool(&bench.driver());
        assert_eq!(pool.room(), SIZE);
        for length in (1..=SIZE).step_by(997).chain([SIZE - 3, SIZE]) {
            let payload = pattern(length, u64::from(length));
            pool.send(&payload, long()).unwrap();
            let loan = pool.recv(long()).unwrap();
            assert_eq!((loan.length(), pool.held()), (length, 1));
            assert!(loan.to_vec().unwrap() == payload);
            let mut middle = [0; 64];
            let at = (length / 2) & !3;
            let read = loan.read(at, &mut middle).unwrap();
            let rest = &payload[at as usize..];
            assert_eq!(middle[..read], rest[..rest.len().min(64)]);
            assert_eq!(loan.read((length + 4) & !3, &mut middle), Ok(0));
            loan.release().unwrap();
            assert_eq!(pool.held(), 0);
        }
        assert_eq!(pool.hub().counters().lies, 0);
    }
}

#[test]
fn a_sender_waits_for_a_slot_as_long_as_its_limit_says() {
    for bench in Bench::kinds_of(geometry()) {
        let (far, near) = pair(&bench);
        for number in 0..SLOTS {
            near.send(&pattern(100, number.into()), long()).unwrap();
        }
        let none = Error::TimeLimit {
            waiting: Waiting::Slot,
            milliseconds: 30,
        };
        assert_eq!(near.send(&[1], shortly()), Err(none));
        assert!(near.try_reserve().unwrap().is_none());
        assert_eq!(near.lent(), usize::from(SLOTS));
        // What is held is held, in any order; what goes back is there again.
        let mut loans: Vec<_> = (0..SLOTS).map(|_| far.recv(long()).unwrap()).collect();
        assert!(far.try_recv().unwrap().is_none());
        assert!(near.try_reserve().unwrap().is_none());
        let third = loans.remove(2);
        assert_eq!(third.to_vec().unwrap(), pattern(100, 2));
        thread::scope(|scope| {
            let sender = scope.spawn(|| near.send(&[7; 8], long()));
            third.release().unwrap();
            sender.join().unwrap().unwrap();
        });
        // A dropped loan goes back by itself, and so does a dropped draft.
        drop(loans);
        for _ in 0..2 {
            let drafts: Vec<_> = (1..SLOTS).map(|_| near.reserve(long()).unwrap()).collect();
            assert!(near.try_reserve().unwrap().is_none());
            drop(drafts);
        }
        assert_eq!(far.recv(long()).unwrap().to_vec().unwrap(), [7; 8]);
    }
}

#[test]
fn a_pool_is_settled_once_nothing_is_lent_and_every_return_is_told() {
    for bench in Bench::kinds_of(Geometry {
        descriptors: 2,
        ..geometry()
    }) {
        let (far, near) = pair(&bench);
        let not_yet = |waiting| {
            Err(Error::TimeLimit {
                waiting,
                milliseconds: 30,
            })
        };
        let mut loans = Vec::new();
        for _ in 0..SLOTS {
            near.send(b"held", long()).unwrap();
            loans.push(far.recv(long()).unwrap());
        }
        assert_eq!(near.settle(shortly()), not_yet(Waiting::Slot));
        // The ring to the driver has two buffers, so two of the returns cannot be told.
        drop(loans);
        assert_eq!(far.settle(shortly()), not_yet(Waiting::SendBuffer));
        thread::scope(|scope| {
            let other = scope.spawn(|| near.settle(long()));
            far.settle(long()).unwrap();
            other.join().unwrap().unwrap();
        });
        assert_eq!((near.lent(), far.held()), (0, 0));
    }
}

#[test]
fn a_receiver_waits_for_a_loan_as_long_as_its_limit_says() {
    for bench in Bench::kinds_of(geometry()) {
        let (far, _near) = pair(&bench);
        let none = Error::TimeLimit {
            waiting: Waiting::Loan,
            milliseconds: 30,
        };
        assert_eq!(far.recv(shortly()).err(), Some(none));
        assert!(far.try_recv().unwrap().is_none());
        let flag = std::sync::atomic::AtomicBool::new(true);
        let called_off = far.recv(forever().unless(&flag)).err();
        assert_eq!(called_off, Some(Error::Interrupted));
    }
}

#[test]
fn a_draft_that_cannot_be_lent_comes_back_with_what_was_written() {
    for bench in Bench::kinds_of(Geometry {
        descriptors: 2,
        ..geometry()
    }) {
        let (far, near) = pair(&bench);
        let mut draft = near.reserve(long()).unwrap();
        draft.write(0, b"kept").unwrap();
        for length in [0, SIZE + 1] {
            let Err(Refused { error, handle }) = draft.lend(length, long()) else {
                panic!("lent");
            };
            let wrong = rpmsg_pool::Error::Length {
                slot: 0,
                length,
                limit: SIZE,
            };
            assert_eq!(error, Error::Pool(wrong));
            draft = handle;
        }
        // The peer takes nothing in, so its ring is full after two notices; the third draft keeps its turn.
        for _ in 0..2 {
            near.send(b"before", long()).unwrap();
        }
        let Err(Refused { error, handle }) = draft.lend(4, shortly()) else {
            panic!("lent");
        };
        let full = Error::TimeLimit {
            waiting: Waiting::SendBuffer,
            milliseconds: 30,
        };
        assert_eq!(error, full);
        assert_eq!(near.lent(), 2);
        for _ in 0..2 {
            assert_eq!(far.recv(long()).unwrap().to_vec().unwrap(), b"before");
        }
        handle.lend(4, long()).map_err(Refused::reason).unwrap();
        assert_eq!(far.recv(long()).unwrap().to_vec().unwrap(), b"kept");
    }
}

#[test]
fn what_does_not_fit_a_slot_is_refused_and_nothing_is_sent() {
    for bench in Bench::kinds_of(geometry()) {
        let (far, near) = pair(&bench);
        let past = |end| {
            Err(Error::Pool(rpmsg_pool::Error::PastEnd {
                slot: 0,
                end,
                limit: SIZE,
            }))
        };
        let long_payload = vec![1; SIZE as usize + 1];
        assert_eq!(near.send(&long_payload, long()), past(SIZE + 1));
        let mut draft = near.reserve(long()).unwrap();
        assert_eq!(draft.write(SIZE, &[1]), past(SIZE + 1));
        let misaligned = rpmsg_pool::Error::Misaligned { offset: 2 };
        assert_eq!(draft.write(2, &[1]), Err(Error::Pool(misaligned)));
        drop(draft);
        let empty = rpmsg_pool::Error::Length {
            slot: 0,
            length: 0,
            limit: SIZE,
        };
        assert_eq!(near.send(&[], long()), Err(Error::Pool(empty)));
        near.send(&[2; 3], long()).unwrap();
        assert_eq!(far.recv(long()).unwrap().to_vec().unwrap(), [2; 3]);
        assert_eq!(near.hub().counters().sent.messages, 1);
    }
}

#[test]
fn many_threads_share_both_pools_and_nothing_is_lost() {
    for bench in Bench::kinds_of(geometry()) {
        let _echo = echo(&bench);
        let pool = pool(&bench.driver());
        let sum = AtomicU64::new(0);
        thread::scope(|scope| {
            for part in 0..3_u64 {
                let (pool, sum) = (&pool, &sum);
                scope.spawn(move || {
                    for number in 0..200 {
                        let seed = part * 1000 + number;
                        pool.send(&pattern(2000, seed), long()).unwrap();
                    }
                });
                scope.spawn(move || {
                    for _ in 0..200 {
                        let bytes = pool.recv(long()).unwrap().to_vec().unwrap();
                        let seed = u64::from_le_bytes(bytes[..8].try_into().unwrap());
                        assert!(bytes == pattern(2000, seed));
                        sum.fetch_add(seed, Ordering::Relaxed);
                    }
                });
            }
        });
        let sent: u64 = (0..3).map(|part| part * 1000 * 200 + 199 * 100).sum();
        assert_eq!(sum.into_inner(), sent);
        let counters = pool.hub().counters();
        assert_eq!((counters.lies, counters.restarts), (0, 0));
    }
}

#[test]
fn pools_are_taken_once_where_there_are_some_and_the_queue_has_room_p10() {
    let plain = Bench::new();
    let _echo = plain.echo();
    let none = Pool::new(plain.driver().connect("echo", long()).unwrap());
    assert_eq!(none.err(), Some(Error::NoPool));

    let bench = bench();
    let _device = echo(&bench);
    let short = Options {
        queue: 7,
        ..bench.options()
    };
    let hub = bench.driver_with(short);
    let refused = Pool::new(hub.open(None, long()).unwrap());
    let queue = Error::PoolQueue {
        queue: 7,
        needed: 8,
    };
    assert_eq!(refused.err(), Some(queue));
    drop(hub);
    let hub = bench.driver();
    let first = Pool::new(hub.open(None, long()).unwrap()).unwrap();
    let open = || hub.open(None, long()).unwrap();
    assert_eq!(Pool::new(open()).err(), Some(Error::PoolTaken));
    drop(first);
    // What the first one lent may still be under way.
    assert_eq!(Pool::new(open()).err(), Some(Error::PoolTaken));
}

#[test]
fn a_restart_ends_every_handle_and_gives_every_slot_back_p10() {
    for bench in Bench::kinds_of(geometry()) {
        let device = echo(&bench);
        let mut near = pool(&bench.driver());
        for round in 0..5_u64 {
            near.send(&pattern(3000, round), long()).unwrap();
            let loan = near.recv(long()).unwrap();
            let mut draft = near.reserve(long()).unwrap();
            let _lost = near.reserve(long()).unwrap();
            let generation = near.hub().generation();
            // A word of its line is what a restart is; a second device beside the first would write over its echo.
            let line = rpmsg::DEVICE_LINE + 4;
            let before = bench.window.load_u32(line, Ordering::Acquire);
            bench.window.store_u32(line, before + 1, Ordering::Release);
            while near.hub().generation() == generation {
                near.hub().pump().unwrap();
            }
            let gone = |error: Option<Error>| {
                assert!(
                    matches!(error, Some(Error::PeerRestarted { .. })),
                    "{error:?}"
                );
            };
            gone(loan.to_vec().err());
            gone(draft.write(0, &[1]).err());
            gone(draft.lend(1, long()).map_err(Refused::reason).err());
            gone(loan.release().err());
            gone(near.reserve(long()).err());
            gone(near.recv(long()).err());
            gone(near.settle(long()).err());
            drop(_lost);
            near.reopen(long()).unwrap();
            assert_eq!((near.lent(), near.held()), (0, 0));
            let all: Vec<_> = (0..SLOTS).map(|_| near.reserve(long()).unwrap()).collect();
            drop(all);
        }
        device.end().unwrap_err();
    }
}

#[test]
fn lies_of_a_borrower_are_counted_by_name_and_cost_nothing() {
    for bench in Bench::kinds_of(geometry()) {
        let (liar, near) = liar(&bench);
        let pool = Pool::new(near.connect("liar", long()).unwrap()).unwrap();
        pool.send(&[1; 100], long()).unwrap();
        let lent = liar.recv(long()).unwrap();
        assert_eq!(lent.payload, notice(1, 0, 100, 1));
        let wrong = |message: Vec<u8>, error: rpmsg_pool::Error| {
            liar.send(&message, long()).unwrap();
            let lies = near.counters().lies;
            while near.counters().lies == lies {
                drop(pool.try_reserve().unwrap());
            }
            assert_eq!(near.counters().last_lie, Some(error.to_string()));
            assert_eq!(pool.lent(), 1);
        };
        let not_held = |slot| rpmsg_pool::Error::NotHeld { slot };
        wrong(notice(2, 0, 0, 2), not_held(0));
        wrong(notice(2, 1, 0, 1), not_held(1));
        wrong(
            notice(2, 4, 0, 1),
            rpmsg_pool::Error::Slot { slot: 4, count: 4 },
        );
        let length = rpmsg_pool::Error::ReturnedLength { slot: 0, length: 9 };
        wrong(notice(2, 0, 9, 1), length);
        wrong(
            notice(3, 0, 0, 1),
            rpmsg_pool::Error::NoticeKind { kind: 3 },
        );
        wrong(vec![1; 5], rpmsg_pool::Error::NoticeLength { len: 5 });
        liar.send(&notice(2, 0, 0, 1), long()).unwrap();
        while pool.lent() == 1 {
            drop(pool.try_reserve().unwrap());
        }
        // Doubled: it is not lent any more.
        liar.send(&notice(2, 0, 0, 1), long()).unwrap();
        while near.counters().lies < 7 {
            drop(pool.try_reserve().unwrap());
        }
        assert_eq!(near.counters().last_lie, Some(not_held(0).to_string()));
        let all: Vec<_> = (0..SLOTS).map(|_| pool.reserve(long()).unwrap()).collect();
        assert_eq!(all.len(), 4);
    }
}

#[test]
fn a_refused_loan_goes_back_at_once_and_the_next_one_is_taken() {
    for bench in Bench::kinds_of(geometry()) {
        let (liar, near) = liar(&bench);
        let pool = Pool::new(near.connect("liar", long()).unwrap()).unwrap();
        pool.send(&[1], long()).unwrap();
        liar.recv(long()).unwrap();
        let mut sequence = 0;
        for _ in 0..100 {
            for (slot, length) in [(0, 0), (1, SIZE + 1), (4, 8), (u16::MAX, 8)] {
                sequence += 1;
                let lent = notice(1, slot, length, sequence);
                liar.send(&lent, long()).unwrap();
                assert_eq!(pool.recv(Limit::after(Duration::ZERO)).err(), {
                    Some(Error::TimeLimit {
                        waiting: Waiting::Loan,
                        milliseconds: 0,
                    })
                });
                let back = loop {
                    if let Some(back) = liar.try_recv().unwrap() {
                        break back;
                    }
                    assert!(pool.try_recv().unwrap().is_none());
                };
                assert_eq!(back.payload, notice(2, slot, 0, sequence));
            }
            sequence += 1;
            liar.send(&notice(1, 2, 8, sequence), long()).unwrap();
            let held = pool.recv(long()).unwrap();
            // Lent twice at a time.
            sequence += 1;
            liar.send(&notice(1, 2, 8, sequence), long()).unwrap();
            while near.counters().last_lie.as_deref() != Some("slot 2 is lent twice") {
                assert!(pool.try_recv().unwrap().is_none());
            }
            let back = liar.recv(long()).unwrap();
            assert_eq!(back.payload, notice(2, 2, 0, sequence));
            held.release().unwrap();
            let back = liar.recv(long()).unwrap();
            assert_eq!(back.payload, notice(2, 2, 0, sequence - 1));
        }
        assert_eq!((near.counters().lies, pool.held()), (500, 0));
    }
}

#[test]
fn a_gap_in_the_loans_ends_the_pool_until_the_link_begins_anew_p7() {
    for bench in Bench::kinds_of(geometry()) {
        let (liar, near) = liar(&bench);
        let pool = Pool::new(near.connect("liar", long()).unwrap()).unwrap();
        pool.send(&[1], long()).unwrap();
        liar.recv(long()).unwrap();
        liar.send(&notice(1, 0, 8, 2), long()).unwrap();
        let gap = rpmsg_pool::Error::Sequence {
            sequence: 2,
            last: 0,
        };
        assert_eq!(pool.recv(long()).err(), Some(Error::Pool(gap)));
        assert_eq!(pool.reserve(long()).err(), Some(Error::Pool(gap)));
        let again = Pool::new(near.open(None, long()).unwrap());
        assert_eq!(again.err(), Some(Error::PoolTaken));
        drop((pool, near));
        let near = bench.driver();
        let opened = thread::spawn(move || Pool::new(near.open(None, long()).unwrap()).map(drop));
        while !opened.is_finished() {
            liar.hub().pump().unwrap();
        }
        opened.join().unwrap().unwrap();
    }
}

#[test]
fn a_lender_that_listens_to_no_answer_is_heard_no_more_and_harms_nobody_else() {
    for bench in Bench::kinds_of(Geometry {
        descriptors: 8,
        ..geometry()
    }) {
        let (liar, near) = liar(&bench);
        let other = liar.hub().serve("other", long()).unwrap();
        let pool = Pool::new(near.connect("liar", long()).unwrap()).unwrap();
        let fine = near.connect("other", long()).unwrap();
        pool.send(&[1], long()).unwrap();
        fine.send(b"hello", long()).unwrap();
        other.recv(long()).unwrap();
        // So many refusals that their answers fill the ring, which the liar does not empty, and the pool's patience.
        let mut sequence = 0;
        for _ in 0..64 {
            sequence += 1;
            let lent = notice(1, 9, 8, sequence);
            if !liar.try_send(None, &lent).unwrap() {
                break;
            }
            assert!(pool.try_recv().unwrap().is_none());
        }
        let lies = near.counters().lies;
        for _ in 0..100 {
            assert!(pool.try_recv().unwrap().is_none());
        }
        assert_eq!(near.counters().lies, lies);
        assert!(lies <= 8 + u64::from(SLOTS), "{lies} answers wait");
        other.send(b"for the other one", long()).unwrap();
        assert_eq!(fine.recv(long()).unwrap().payload, b"for the other one");
        // Once it listens, it is heard again.
        while near.counters().lies < sequence.into() {
            while liar.try_recv().unwrap().is_some() {}
            assert!(pool.try_recv().unwrap().is_none());
        }
    }
}

#[test]
fn bytes_that_change_while_they_are_read_stay_bytes_of_the_slot() {
    for bench in Bench::kinds_of(geometry()) {
        let (liar, near) = liar(&bench);
        let pool = Pool::new(near.connect("liar", long()).unwrap()).unwrap();
        pool.send(&[1], long()).unwrap();
        liar.recv(long()).unwrap();
        liar.send(&notice(1, 3, SIZE, 1), long()).unwrap();
        let loan = pool.recv(long()).unwrap();
        for byte in [0xee, 0x11] {
            bench.window.copy_in(SLOT_3, &[byte; SIZE as usize]);
            assert!(loan.to_vec().unwrap() == [byte; SIZE as usize]);
        }
    }
}

#[test]
fn a_draft_that_is_written_when_its_link_ends_writes_nothing_into_the_next_one() {
    // Not each time is it in the middle of its work.
    for _ in 0..8 {
        write_across_a_restart();
    }
}

fn write_across_a_restart() {
    let bench = Bench::of(Geometry {
        slots: 1,
        slot_size: 16 << 20,
        ..Geometry::default()
    });
    let (far, near) = pair(&bench);
    let mut old = near.reserve(long()).unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let bytes = vec![0xaa; 16 << 20];
            loop {
                if let Err(ended) = old.write(0, &bytes) {
                    break ended;
                }
            }
        });
        thread::sleep(Duration::from_millis(20));
        drop(far);
        let device = bench.device();
        let served = scope.spawn(move || Pool::new(device.serve("pool", long())?));
        let next = loop {
            match near.hub().connect("pool", long()).and_then(Pool::new) {
                // The old link may not be known to be over.
                Err(
                    Error::PeerRestarted { .. } | Error::PoolTaken | Error::ServiceWithdrawn { .. },
                ) => {}
                pool => break pool.unwrap(),
            }
        };
        // The bytes that the older one comes to last.
        next.send(&[0xbb; 4096], long()).unwrap();
        let ended = writer.join().unwrap();
        assert!(matches!(ended, Error::PeerRestarted { .. }), "{ended:?}");
        let far = served.join().unwrap().unwrap();
        assert!(far.recv(long()).unwrap().to_vec().unwrap() == [0xbb; 4096]);
    });
}

/// Both sides of both pools, each in its hub; the driver is known to the device.
fn pair(bench: &Bench) -> (Pool, Pool) {
    let device = bench.device();
    let hub = bench.driver();
    let served = thread::spawn(move || device.serve("pool", long()).unwrap());
    let near = pool(&hub);
    (Pool::new(served.join().unwrap()).unwrap(), near)
}

fn pool(hub: &Hub) -> Pool {
    Pool::new(hub.connect("pool", long()).unwrap()).unwrap()
}

/// A device that sends every payload back, on one link after the other.
fn echo(bench: &Bench) -> Party {
    let hub = bench.device();
    Party::start(move |flag| {
        let mut pool = loop {
            match Pool::new(hub.serve("pool", forever().unless(flag))?) {
                // A driver may come for a moment only.
                Err(Error::PeerRestarted { .. }) => {}
                pool => break pool?,
            }
        };
        loop {
            let answered = pool.recv(forever().unless(flag)).and_then(|loan| {
                let bytes = loan.to_vec()?;
                loan.release()?;
                pool.send(&bytes, forever().unless(flag))
            });
            match answered {
                Err(Error::PeerRestarted { .. }) => pool.reopen(forever().unless(flag))?,
                answered => answered?,
            }
        }
    })
}

/// A device that writes its notices itself, and the driver which it lies to.
fn liar(bench: &Bench) -> (Endpoint, Hub) {
    let device = bench.device();
    let hub = bench.driver();
    let served = thread::spawn(move || device.serve("liar", long()).unwrap());
    hub.up(long()).unwrap();
    (served.join().unwrap(), hub)
}

fn notice(kind: u16, slot: u16, length: u32, sequence: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(kind.to_le_bytes());
    bytes.extend(slot.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(sequence.to_le_bytes());
    bytes
}

/// Bytes that begin with their own number.
fn pattern(length: u32, seed: u64) -> Vec<u8> {
    let words = (0..).map(|at: u64| seed.wrapping_add(at.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let bytes = words.flat_map(u64::to_le_bytes);
    bytes.take(length as usize).collect()
}

fn bench() -> Bench {
    Bench::of(geometry())
}

fn geometry() -> Geometry {
    Geometry {
        slots: SLOTS,
        slot_size: SIZE,
        ..Geometry::default()
    }
}

const SLOTS: u16 = 4;
/// More than a piece of the copying.
const SIZE: u32 = 0x1_0040;
/// Where the driver reads the last slot of the device's: behind the buffers of the default geometry.
const SLOT_3: u32 = 0x4_4500 + 7 * SIZE;
