//! The family of actors: ring's SHA-256, the TEE's clock, and the PTA.
#![expect(unsafe_code, reason = "the clock is read through the TEE's API")]

use certificate_chain::Checker;
use optee_utee_sys::{TEE_GetSystemTime, TEE_Time};
use ring::digest::{Context, SHA256};
use ta_core::actors::{self, Actors};

use crate::client::{Sink, Source};
use crate::pta::Platform;

/// The real parties.
#[derive(Debug)]
pub(crate) struct Parties;

impl Actors for Parties {
    type Source = Source;
    type Sink = Sink;
    type Memory = Platform;
    type Reset = Platform;
    type Clock = Clock;
    type Signatures = Checker;
    type Sha256 = Sha256;
}

/// The TEE's system time, which never goes back while the TA lives.
#[derive(Debug)]
pub(crate) struct Clock;

impl actors::Clock for Clock {
    fn now(&self) -> u64 {
        let mut time = TEE_Time {
            seconds: 0,
            millis: 0,
        };
        // SAFETY: `time` is valid for writing.
        unsafe { TEE_GetSystemTime(&mut time) };
        u64::from(time.seconds) * 1000 + u64::from(time.millis)
    }
}

/// ring's SHA-256.
pub(crate) struct Sha256(Context);

impl actors::Sha256 for Sha256 {
    fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(self) -> [u8; 32] {
        let mut digest = [0; 32];
        for (to, from) in digest.iter_mut().zip(self.0.finish().as_ref()) {
            *to = *from;
        }
        digest
    }
}
