//! Actors whose answers the optimiser cannot know.

use core::hint::black_box;

use certificate_chain::Signer;
use firmware_bundle::{MESSAGE_SIZE, SignatureCheck, Slot};
use ta_core::actors::{
    Actors, Clock, Failure, Isolation, Memory, OutOfBounds, Piece, RecordBuffer, RegionList, Reset,
    Sha256, Sight, Sink, Source,
};

/// Everybody at once.
pub struct Anybody {
    failure: Result<(), Failure>,
    bounds: Result<(), OutOfBounds>,
    isolation: Result<Isolation, Failure>,
    sight: Result<Sight, Failure>,
    record: RecordBuffer,
    regions: RegionList,
    signer: Result<Signer, certificate_chain::Error>,
    number: u64,
}

impl Actors for Anybody {
    type Source = Anybody;
    type Sink = Anybody;
    type Memory = Anybody;
    type Reset = Anybody;
    type Clock = Anybody;
    type Signatures = Anybody;
    type Sha256 = Hash;
}

impl Source for Anybody {
    fn length(&self) -> u64 {
        black_box(self.number)
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Result<(), OutOfBounds> {
        black_box((at, into));
        if cfg!(plant = "ta") {
            assert!(black_box(at) != 0);
        }
        black_box(self.bounds)
    }
}

impl Sink for Anybody {
    fn capacity(&self) -> u64 {
        black_box(self.number)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), OutOfBounds> {
        black_box((at, bytes));
        black_box(self.bounds)
    }
}

impl Memory for Anybody {
    type Source = Anybody;

    fn isolate(&mut self, core: u32, list: &mut RegionList) -> Result<Isolation, Failure> {
        black_box(core);
        list.clone_from(black_box(&self.regions));
        black_box(self.isolation)
    }

    fn copy_hashed(
        &mut self,
        core: u32,
        from: Piece<'_, Anybody>,
        device: u64,
        digest: &[u8; 32],
    ) -> Result<(), Failure> {
        black_box((core, from, device, digest));
        black_box(self.failure)
    }

    fn zero(&mut self, core: u32, device: u64, length: u64) -> Result<(), Failure> {
        black_box((core, device, length));
        black_box(self.failure)
    }

    fn wipe(&mut self, core: u32) -> Result<(), Failure> {
        black_box(core);
        black_box(self.failure)
    }

    fn record(&mut self, core: u32, bytes: &[u8]) -> Result<(), Failure> {
        black_box((core, bytes));
        black_box(self.failure)
    }
}

impl Reset for Anybody {
    fn start(&mut self, core: u32) -> Result<(), Failure> {
        black_box(core);
        black_box(self.failure)
    }

    fn stop(&mut self, core: u32) -> Result<(), Failure> {
        black_box(core);
        black_box(self.failure)
    }

    fn state(&mut self, core: u32, record: &mut RecordBuffer) -> Result<Sight, Failure> {
        black_box(core);
        record.clone_from(black_box(&self.record));
        black_box(self.sight)
    }
}

impl Clock for Anybody {
    fn now(&self) -> u64 {
        black_box(self.number)
    }
}

impl SignatureCheck for Anybody {
    type Signer = Signer;
    type Error = certificate_chain::Error;

    fn sha384(&self, parts: [&[u8]; 3]) -> [u8; 48] {
        black_box(parts);
        black_box([0; 48])
    }

    fn check(
        &self,
        slot: &Slot<'_>,
        message: &[u8; MESSAGE_SIZE],
    ) -> Result<Signer, certificate_chain::Error> {
        for certificate in slot.chain() {
            black_box(certificate);
        }
        black_box((slot.number(), slot.algorithm(), slot.signature(), message));
        black_box(self.signer)
    }
}

impl trust_update::SignatureCheck for Anybody {
    type Error = certificate_chain::Error;

    fn sha384(&self, bytes: &[u8]) -> [u8; 48] {
        black_box(bytes);
        black_box([0; 48])
    }

    fn check(
        &self,
        signature: &trust_update::Signature<'_>,
        message: &[u8; trust_update::MESSAGE_SIZE],
    ) -> Result<(), certificate_chain::Error> {
        black_box((signature, message));
        black_box(self.signer).map(drop)
    }
}

/// A hash nobody can know.
pub struct Hash([u8; 32]);

impl Sha256 for Hash {
    fn new() -> Self {
        Self(black_box([0; 32]))
    }

    fn update(&mut self, bytes: &[u8]) {
        black_box(bytes);
    }

    fn finish(self) -> [u8; 32] {
        black_box(self.0)
    }
}
