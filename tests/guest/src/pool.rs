//! Payloads beyond a buffer, lent to the core and lent back by it, honestly and not (rpmsg-pool.md).

use anyhow::{Result, ensure};
use corewarden::{
    Error, Limit,
    hub::{Endpoint, Hub},
    place::Slots,
    pool::{Loan, Pool},
};

use crate::{
    link::{PATIENCE, features, hub_at},
    memory::number,
};

/// Exchanges `count` payloads, has each rule broken by the core, and each time goes on; one line of output for each.
pub(crate) fn run(core: &str, count: &str) -> Result<()> {
    let slots = |address| Slots {
        address,
        count: 4,
        size: LARGEST as u32,
    };
    let hub = hub_at(
        u32::try_from(number(core)?)?,
        features(),
        None,
        move |place| place.with_pools(slots(TO_DEVICE), slots(TO_DRIVER)),
    )?;
    let mut pool = Pool::new(hub.connect("corewarden-pool", soon())?)?;
    let mut lies = hub.connect("corewarden-lies", soon())?;
    let count = usize::try_from(number(count)?)?;
    exchange(&pool, count)?;
    println!("{count} payloads of up to {LARGEST} bytes right");
    for rule in [3, 4, 5, 6, 8, 9] {
        let said = lie(&hub, &pool, &lies, rule)?;
        exchange(&pool, 8)?;
        println!("P{rule}: {said}; then 8 payloads right");
    }
    over(&hub, &mut pool, &mut lies)?;
    exchange(&pool, 8)?;
    println!("a new link: 8 payloads right");
    pool.settle(soon())?;
    ensure!(pool.lent() == 0 && pool.held() == 0, "slots are missing");
    Ok(())
}

/// Lends payloads, as many at a time as there are slots, and checks what is lent back.
fn exchange(pool: &Pool, count: usize) -> Result<()> {
    for first in (0..count).step_by(4) {
        let numbers = first..count.min(first + 4);
        for number in numbers.clone() {
            pool.send(&payload(number), soon())?;
        }
        for number in numbers {
            check(&pool.recv(soon())?, number)?;
        }
    }
    Ok(())
}

/// One is as long as a slot, others are shorter than a buffer of the rings.
fn payload(number: usize) -> Vec<u8> {
    let length = match number % 4 {
        0 => LARGEST,
        1 => 5 + number * 37 % 500,
        _ => 5 + number.wrapping_mul(2_654_435_761) % (LARGEST - 5),
    };
    let bytes = (0..length - 4).map(|at| (at ^ at >> 8 ^ number) as u8);
    stamped(bytes)
}

/// Every bit turned, and the checksum of that.
fn check(loan: &Loan<'_>, number: usize) -> Result<()> {
    let sent = payload(number);
    let (body, _) = sent.split_at(sent.len() - 4);
    let answer = loan.to_vec()?;
    ensure!(
        answer == stamped(body.iter().map(|byte| !byte)),
        "the answer to {} bytes is wrong, {} bytes",
        sent.len(),
        answer.len()
    );
    Ok(())
}

/// FNV-1a behind the bytes.
fn stamped(bytes: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut all: Vec<u8> = bytes.collect();
    let hash = all.iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    all.extend(hash.to_le_bytes());
    all
}

/// What is counted of a core that broke a rule once.
fn lie(hub: &Hub, pool: &Pool, lies: &Endpoint, rule: u8) -> Result<String> {
    let before = hub.counters().lies;
    lies.send(&[rule], soon())?;
    // The honest one of the two with the same slot.
    let held = match rule {
        8 => Some(pool.recv(soon())?),
        _ => None,
    };
    let limit = soon();
    while hub.counters().lies == before {
        ensure!(pool.try_recv()?.is_none(), "P{rule}: taken for a loan");
        limit.slice(PATIENCE, corewarden::Waiting::Loan)?;
    }
    drop(held);
    let counters = hub.counters();
    ensure!(counters.lies == before + 1, "{} lies", counters.lies);
    Ok(counters.last_lie.unwrap_or_default())
}

/// Breaks the order of loans, after which nothing of the pool is believed, and begins a new link.
fn over(hub: &Hub, pool: &mut Pool, lies: &mut Endpoint) -> Result<()> {
    lies.send(&[7], soon())?;
    let why = pool.recv(soon()).err();
    ensure!(matches!(why, Some(Error::Pool(_))), "{why:?}");
    ensure!(pool.send(&[0; 64], soon()).err() == why, "and it stays so");
    println!("P7: {}", why.map(|why| why.to_string()).unwrap_or_default());
    let before = hub.generation();
    lies.send(&[0], soon())?;
    let gone = lies.recv(soon()).err();
    ensure!(
        matches!(gone, Some(Error::PeerRestarted { .. })),
        "{gone:?}"
    );
    lies.reopen(soon())?;
    pool.reopen(soon())?;
    ensure!(hub.generation() != before, "it is the same link");
    Ok(())
}

fn soon() -> Limit<'static> {
    Limit::after(PATIENCE)
}

/// Where the firmware has its slots.
const TO_DEVICE: u64 = 0x2120_0000 + 0x80_0000;
const TO_DRIVER: u64 = 0x2120_0000 + 0xa0_0000;
const LARGEST: usize = 0x4_0000;
