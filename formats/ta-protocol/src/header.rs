//! The C headers, derived from the Rust definitions.
