//! The five functions that OP-TEE calls.
#![expect(
    unsafe_code,
    reason = "entry points are found by their C names and take C's pointers"
)]

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr;

use optee_utee_sys::{
    TEE_GetPropertyAsIdentity, TEE_Identity, TEE_PARAM_TYPE_GET, TEE_PROPSET_CURRENT_CLIENT,
    TEE_Param, TEE_UUID,
};
use ta_core::{Cast, Param, Params, SessionId, Ta};
use ta_protocol::global_platform::{BAD_STATE, SUCCESS};
use ta_protocol::{Parameter, Status};

use crate::client::{Sink, Source};
use crate::device;
use crate::parties::{Clock, Parties};
use crate::pta::Platform;

/// Makes the TA. OP-TEE calls it once in the life of an instance, before anything else.
// SAFETY: the name is the one of GlobalPlatform's API, and no other function has it.
#[unsafe(no_mangle)]
extern "C" fn TA_CreateEntryPoint() -> u32 {
    let Some(parts) = device::unpack() else {
        return Status::PlatformInvalid.global_platform();
    };
    let platform = Platform::new();
    let cast = Cast {
        memory: platform.clone(),
        reset: platform,
        clock: Clock,
        signatures: parts.signatures,
    };
    let Some(ta) = Ta::new(parts.device, cast, parts.storage) else {
        return Status::PlatformInvalid.global_platform();
    };
    // SAFETY: see `Instance`: no other call is under way, so no other reference exists.
    let instance = unsafe { &mut *INSTANCE.0.get() };
    *instance = Some(ta);
    SUCCESS
}

/// Never called while the instance is kept alive; what it holds ends with it.
// SAFETY: the name is the one of GlobalPlatform's API, and no other function has it.
#[unsafe(no_mangle)]
extern "C" fn TA_DestroyEntryPoint() {}

/// # Safety
/// `params` points to four parameters of these types, and `context` to a place for a pointer.
// SAFETY: the name is the one of GlobalPlatform's API, and no other function has it.
#[unsafe(no_mangle)]
unsafe extern "C" fn TA_OpenSessionEntryPoint(
    types: u32,
    params: *mut [TEE_Param; 4],
    context: *mut *mut c_void,
) -> u32 {
    // SAFETY: the caller's promise.
    let raw = unsafe { *params };
    // SAFETY: OP-TEE keeps the buffers mapped for the time of this call, and the parameters end with it.
    let neutral = unsafe { neutral(types, &raw) };
    let login = match login() {
        Ok(login) => login,
        Err(answer) => return answer,
    };
    let Some(ta) = instance() else {
        return BAD_STATE;
    };
    match ta.open_session(login, &neutral) {
        Ok(session) => {
            let number = session.number() as usize;
            // SAFETY: the caller's promise.
            unsafe { *context = ptr::without_provenance_mut(number) };
            SUCCESS
        }
        Err(status) => status.global_platform(),
    }
}

// SAFETY: the name is the one of GlobalPlatform's API, and no other function has it.
#[unsafe(no_mangle)]
extern "C" fn TA_CloseSessionEntryPoint(context: *mut c_void) {
    if let Some(ta) = instance() {
        ta.close_session(session(context));
    }
}

/// # Safety
/// `params` points to four parameters of these types.
// SAFETY: the name is the one of GlobalPlatform's API, and no other function has it.
#[unsafe(no_mangle)]
unsafe extern "C" fn TA_InvokeCommandEntryPoint(
    context: *mut c_void,
    command: u32,
    types: u32,
    params: *mut [TEE_Param; 4],
) -> u32 {
    // SAFETY: the caller's promise.
    let mut raw = unsafe { *params };
    // SAFETY: OP-TEE keeps the buffers mapped for the time of this call, and the parameters end with it.
    let mut neutral = unsafe { neutral(types, &raw) };
    let Some(ta) = instance() else {
        return BAD_STATE;
    };
    #[cfg(corewarden_test)]
    let answer = match crate::testing::invoke(ta, session(context), command, &mut neutral) {
        Some(answer) => answer,
        None => ta.invoke(session(context), command, &mut neutral),
    };
    #[cfg(not(corewarden_test))]
    let answer = ta.invoke(session(context), command, &mut neutral);
    for (raw, neutral) in raw.iter_mut().zip(&neutral) {
        match neutral {
            Param::ValueOutput { a, b } => {
                raw.value.a = *a;
                raw.value.b = *b;
            }
            Param::MemrefOutput { size, .. } => raw.memref.size = *size as usize,
            Param::None
            | Param::ValueInput { .. }
            | Param::ValueInOut { .. }
            | Param::MemrefInput(_)
            | Param::MemrefInOut => {}
        }
    }
    // SAFETY: the caller's promise.
    unsafe { *params = raw };
    answer
}

/// The one instance.
struct Instance(UnsafeCell<Option<Ta<'static, Parties>>>);

// SAFETY: OP-TEE enters a TA that is not marked as concurrent by one thread at a time, and never again while
// a call is under way. So entry points see it one after the other.
unsafe impl Sync for Instance {}

static INSTANCE: Instance = Instance(UnsafeCell::new(None));

fn instance() -> Option<&'static mut Ta<'static, Parties>> {
    // SAFETY: see `Instance`; each entry point asks once, so no other reference exists.
    unsafe { &mut *INSTANCE.0.get() }.as_mut()
}

fn session(context: *mut c_void) -> SessionId {
    // A number that is too large names no session, as does 0.
    SessionId::from_number(u32::try_from(context.addr()).unwrap_or(0))
}

/// Who opens the session, as OP-TEE vouches for it.
fn login() -> Result<u32, u32> {
    let node = [0; 8];
    let uuid = TEE_UUID {
        timeLow: 0,
        timeMid: 0,
        timeHiAndVersion: 0,
        clockSeqAndNode: node,
    };
    let mut identity = TEE_Identity { login: 0, uuid };
    let name = c"gpd.client.identity".as_ptr();
    // SAFETY: the name ends with a zero, and `identity` is valid for writing.
    let answer =
        unsafe { TEE_GetPropertyAsIdentity(TEE_PROPSET_CURRENT_CLIENT, name, &mut identity) };
    if answer == SUCCESS {
        Ok(identity.login)
    } else {
        Err(answer)
    }
}

/// The parameters in neutral types.
///
/// # Safety
/// They are of these types, of the command under way, and the result does not outlive it.
unsafe fn neutral(types: u32, raw: &[TEE_Param; 4]) -> Params<Parties> {
    let mut slot = 0;
    raw.map(|param| {
        let kind = TEE_PARAM_TYPE_GET(types, slot);
        slot += 1;
        // SAFETY: the caller's promise.
        unsafe { one(kind, param) }
    })
}

/// # Safety
/// The parameter is of this type, of the command under way, and the result does not outlive it.
unsafe fn one(kind: u32, param: TEE_Param) -> Param<Source, Sink> {
    // SAFETY: both forms of the union are plain numbers, and every bit pattern is one.
    let value = unsafe { param.value };
    // SAFETY: as above.
    let memref = unsafe { param.memref };
    match Parameter::from_number(kind) {
        Some(Parameter::ValueInput) => Param::ValueInput {
            a: value.a,
            b: value.b,
        },
        // What the client left there is not told back to it by a command that fails.
        Some(Parameter::ValueOutput) => Param::ValueOutput { a: 0, b: 0 },
        Some(Parameter::MemrefInput) => {
            // SAFETY: it is a MEMREF_INPUT by the caller's promise.
            Param::MemrefInput(unsafe { Source::new(memref) })
        }
        Some(Parameter::MemrefOutput) => Param::MemrefOutput {
            // SAFETY: it is a MEMREF_OUTPUT by the caller's promise.
            memory: unsafe { Sink::new(memref) },
            size: memref.size as u64,
        },
        Some(Parameter::MemrefInout) => Param::MemrefInOut,
        Some(Parameter::None) => Param::None,
        // Numbers that are no parameter type count as one that no command takes.
        Some(Parameter::ValueInout) | None => Param::ValueInOut { a: 0, b: 0 },
    }
}
