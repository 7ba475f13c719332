//! The TA's logic and the judgement.

use admission::{Admitted, Refusal};
use firmware_bundle::File;
use ta_core::{Cast, Device, Params, SessionId, Slot, Storage, Ta};
use ta_protocol::Status;

use crate::actors::Anybody;

type AnyTa = Ta<'static, Anybody>;

#[unsafe(no_mangle)]
pub fn ta_slot() -> Slot<Anybody> {
    Slot::new()
}

#[unsafe(no_mangle)]
pub fn ta_new(
    device: Device<'static>,
    cast: Cast<Anybody>,
    storage: Storage<'static, Anybody>,
) -> Option<AnyTa> {
    Ta::new(device, cast, storage)
}

#[unsafe(no_mangle)]
pub fn ta_open(ta: &mut AnyTa, login: u32, params: &Params<Anybody>) -> Result<SessionId, Status> {
    ta.open_session(login, params)
}

#[unsafe(no_mangle)]
pub fn ta_close(ta: &mut AnyTa, session: u32) {
    ta.close_session(SessionId::from_number(session));
}

#[unsafe(no_mangle)]
pub fn ta_invoke(ta: &mut AnyTa, session: u32, command: u32, params: &mut Params<Anybody>) -> u32 {
    ta.invoke(SessionId::from_number(session), command, params)
}

#[unsafe(no_mangle)]
pub fn ta_core_of(ta: &mut AnyTa, session: u32) -> Option<u32> {
    ta.core_of(SessionId::from_number(session))
}

#[unsafe(no_mangle)]
pub fn admit<'a>(
    file: &File<'a>,
    check: &Anybody,
    device: &admission::Device<'_>,
) -> Result<Admitted<'a>, Refusal> {
    admission::admit(file, check, device)
}

#[unsafe(no_mangle)]
pub fn refusal(refusal: &Refusal) -> (Status, u64, u64) {
    refusal.status()
}

#[unsafe(no_mangle)]
pub fn status(number: u32) -> (u32, Option<Status>) {
    let status = Status::from_number(number);
    (status.map_or(0, Status::global_platform), status)
}
