//! Both sides of a pool, over memory that holds anything.

use core::hint::black_box;

use rpmsg::Window;
use rpmsg_pool::{Borrower, Error, Lender, Lent, Loan, Notice, PoolLayout, Returned, Slot};

use crate::rings::Anything;

type AnyLender = Lender<Anything, 256>;
type AnyBorrower = Borrower<Anything, 256>;

#[unsafe(no_mangle)]
pub fn pool_layout(
    window: &Window,
    address: u64,
    count: u16,
    size: u32,
    other: &PoolLayout,
) -> Result<PoolLayout, Error> {
    let layout = PoolLayout::new(window, address, count, size)?;
    layout.check_apart(other)?;
    Ok(layout)
}

#[unsafe(no_mangle)]
pub fn pool_sides(layout: PoolLayout, at: u32) -> Result<(AnyLender, AnyBorrower), Error> {
    Ok((
        Lender::new(Anything, layout, at)?,
        Borrower::new(Anything, layout, at)?,
    ))
}

#[unsafe(no_mangle)]
pub fn pool_lend(
    lender: &mut AnyLender,
    other: Slot,
    at: u32,
    bytes: &[u8],
) -> Result<[u8; 12], Error> {
    let slot = lender.reserve()?;
    lender.write(&slot, at, bytes)?;
    lender.abandon(other)?;
    let lent = lender.lend(slot, at)?;
    Ok(Notice::from(lent).to_bytes())
}

#[unsafe(no_mangle)]
pub fn pool_recall(lender: &mut AnyLender, lent: Lent) -> Result<Slot, Error> {
    lender.recall(lent)
}

#[unsafe(no_mangle)]
pub fn pool_take_back(lender: &mut AnyLender, returned: Returned) -> Result<usize, Error> {
    lender.take_back(returned)?;
    Ok(lender.lent())
}

#[unsafe(no_mangle)]
pub fn pool_notice(message: &[u8]) -> Result<Notice, Error> {
    Notice::parse(message)
}

#[unsafe(no_mangle)]
pub fn pool_take(borrower: &mut AnyBorrower, lent: Lent) -> Result<Loan, Returned> {
    borrower.take(lent).map_err(|_| lent.refused())
}

#[unsafe(no_mangle)]
pub fn pool_read(
    borrower: &AnyBorrower,
    loan: &Loan,
    at: u32,
    into: &mut [u8],
) -> Result<usize, Error> {
    borrower.read(loan, at, into)
}

#[unsafe(no_mangle)]
pub fn pool_give_back(borrower: &mut AnyBorrower, loan: Loan) -> Result<[u8; 12], Error> {
    let returned = borrower.give_back(loan)?;
    black_box(borrower.held());
    Ok(Notice::from(returned).to_bytes())
}
