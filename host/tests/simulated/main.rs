//! The library and its commands against a firmware in a thread, over real rings.

mod features;
mod firmware;
mod link;
mod ping;
mod pool;
