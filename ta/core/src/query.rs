//! The commands that only tell.

use platform::{Control, Isolation, Role};
use ta_protocol::{
    MAX_CHUNK, MAX_ROOTS, MAX_TAIL, RootsReport, StateReport, Status, VERSION, capability,
};

use crate::actors::{Actors, OutOfBounds, Sink};
use crate::load::Scene;
use crate::param::{Param, Params};
use crate::sessions::Reason;
use crate::ta::Ta;

impl<A: Actors> Ta<'_, A> {
    /// ta-api.md 4.1
    pub(crate) fn version(&self, params: &mut Params<A>) -> Result<(), Reason> {
        let device = self.device();
        let cores = device.platform.cores();
        let mut bits = capability::STREAMING_LOAD | capability::MASTER_TABLE;
        if cores
            .iter()
            .all(|core| core.isolation() == Isolation::Required)
        {
            bits |= capability::ISOLATION_ENFORCED;
        }
        if device.test_build {
            bits |= capability::TEST_BUILD;
        }
        let [version, limits, ..] = params;
        version.answer_words(VERSION, bits);
        limits.answer_words(MAX_TAIL, MAX_CHUNK);
        Ok(())
    }

    /// ta-api.md 4.4
    pub(crate) fn trusted_roots(&self, params: &mut Params<A>) -> Result<(), Reason> {
        let device = self.device();
        let mut report = [0; ROOTS_REPORT];
        let required = device.platform.required_slots();
        let roots = device.roots.iter().copied();
        let written = RootsReport::write(required, roots, &mut report)
            .and_then(|length| report.get(..length))
            .ok_or(Reason::from(Status::PlatformInvalid))?;
        let [buffer, ..] = params;
        buffer.answer_bytes(written)
    }
}

impl<A: Actors> Scene<'_, A> {
    /// ta-api.md 3.4
    pub(crate) fn table_place(&mut self, params: &mut Params<A>) -> Result<(), Reason> {
        let (physical, size) = self.published()?;
        let [_, address, length, _] = params;
        address.answer(physical);
        length.answer(size.into());
        Ok(())
    }

    /// ta-api.md 4.5
    pub(crate) fn master_table(&mut self, params: &mut Params<A>) -> Result<(), Reason> {
        let (physical, size) = self.published()?;
        let master = self.slot.master.bytes();
        if u32::try_from(master.len()) != Ok(size) {
            // Loaded by an earlier instance of this TA, and the shared copy is nobody's word.
            return Err(self.table_unknown());
        }
        let [buffer, address, length, _] = params;
        buffer.answer_bytes(master)?;
        address.answer(physical);
        length.answer(size.into());
        Ok(())
    }

    /// ta-api.md 4.2
    pub(crate) fn report(&mut self, params: &mut Params<A>) -> Result<(), Reason> {
        let mut report = StateReport {
            state: self.slot.state,
            insecure_isolation: self.core.isolation() == Isolation::InsecureNone,
            attach_only: self.core.control() == Control::AttachOnly,
            development_role: self.platform.role() == Role::Development,
            core: self.core.id(),
            start_counter: self.slot.starts,
            ..StateReport::default()
        };
        if let Some(image) = &self.slot.image {
            report.isolation_generation = image.generation;
            report.security_version = image.security_version;
            report.bundle_digest = image.digest;
            report.signer_key_id = image.signer;
            report.display_version = image.display_version;
            report.build_id = image.build_id;
        }
        let [buffer, ..] = params;
        buffer.answer_bytes(&report.to_bytes())
    }

    /// Physical address and size of the published table; zeros if the image has none.
    fn published(&self) -> Result<(u64, u32), Reason> {
        let image = self.slot.image.as_ref().ok_or(self.table_unknown())?;
        let (device, size) = image.table;
        if size == 0 {
            return Ok((0, 0));
        }
        let physical = self.core.to_physical(device, size.into());
        Ok((physical.ok_or(self.table_unknown())?, size))
    }

    fn table_unknown(&self) -> Reason {
        Reason::new(Status::TableUnknown, self.core.id().into(), 0)
    }
}

impl<I, O: Sink> Param<I, O> {
    /// Writes all of `bytes`, or tells how long the buffer must be.
    fn answer_bytes(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        let needed = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let Self::MemrefOutput { memory, size } = self else {
            return Err(Status::BadParameters.into());
        };
        *size = needed;
        let short = Reason::new(Status::ShortBuffer, needed, memory.capacity());
        if needed > memory.capacity() {
            return Err(short);
        }
        memory.write(0, bytes).map_err(|OutOfBounds| short)
    }
}

/// A report of as many roots as a device can have.
const ROOTS_REPORT: usize = 8 + 36 * MAX_ROOTS;
