//! The return values of GlobalPlatform (TEE Internal Core API 1.3.1, 3.3.1) that commands 1 to 6 use.

/// The command did what it says.
pub const SUCCESS: u32 = 0x0000_0000;
/// A stored object or a table is damaged.
pub const CORRUPT_OBJECT: u32 = 0xF010_0001;
/// No other value fits.
pub const GENERIC: u32 = 0xFFFF_0000;
/// The caller or the image may not do this.
pub const ACCESS_DENIED: u32 = 0xFFFF_0001;
/// The data does not have the form it must have.
pub const BAD_FORMAT: u32 = 0xFFFF_0005;
/// A parameter has the wrong type or value.
pub const BAD_PARAMETERS: u32 = 0xFFFF_0006;
/// Not now: the state does not allow it.
pub const BAD_STATE: u32 = 0xFFFF_0007;
/// The command is known and has no implementation.
pub const NOT_IMPLEMENTED: u32 = 0xFFFF_0009;
/// The request is valid and not supported here.
pub const NOT_SUPPORTED: u32 = 0xFFFF_000A;
/// Something that must be there is missing.
pub const NO_DATA: u32 = 0xFFFF_000B;
/// The heap is exhausted.
pub const OUT_OF_MEMORY: u32 = 0xFFFF_000C;
/// Somebody else uses it.
pub const BUSY: u32 = 0xFFFF_000D;
/// A security rule is broken.
pub const SECURITY: u32 = 0xFFFF_000F;
/// The output buffer is too short; its length tells how much is needed.
pub const SHORT_BUFFER: u32 = 0xFFFF_0010;
/// A signature does not verify.
pub const SIGNATURE_INVALID: u32 = 0xFFFF_3072;
