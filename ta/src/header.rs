//! What OP-TEE reads of a TA before it runs it: UUID, flags, sizes, and the heap.
#![expect(
    unsafe_code,
    unreachable_pub,
    clippy::undocumented_unsafe_blocks,
    reason = "written by optee-utee-build under the names that OP-TEE looks for"
)]

include!(concat!(env!("OUT_DIR"), "/user_ta_header.rs"));
