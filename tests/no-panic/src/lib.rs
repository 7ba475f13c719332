//! Links our formats and the TA's logic alone, to prove that no panic is in them.
//!
//! The panic handler calls a function that does not exist. Whatever can panic reaches the handler, so the
//! library links only if nothing can. Every entry is exported and takes arguments that the optimiser cannot
//! know; generic ones are instantiated with actors whose answers it cannot know either. certificate-chain is
//! not called: its foreign parsing and cryptography lie outside the proof, behind their trait.
//!
//! `--cfg plant="…"` puts a panic in: a proof that cannot fail proves nothing.
#![no_std]

mod actors;
mod formats;
mod planted;
mod pool;
mod rings;
mod runtime;
mod services;
mod trusted;
