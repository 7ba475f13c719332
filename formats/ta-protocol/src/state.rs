//! The state of one core, and the report that `STATE` writes.

use zerocopy::FromBytes;

use crate::{Error, Text, codes::codes, raw};

codes! {
    /// What the TA knows a core to be doing (ta-api.md 5.1).
    #[derive(Default)]
    pub enum CoreState {
        /// Halted, its private memory zero.
        #[default]
        Off = 0, "Off";
        /// Halted and isolated, a bundle is being loaded.
        Loading = 1, "Loading";
        /// Halted, private memory holds exactly the signed segments, the table is published.
        Loaded = 2, "Loaded";
        /// Released from reset, not yet seen running.
        Starting = 3, "Starting";
        /// Running.
        Running = 4, "Running";
        /// Stopped by a fault of its own.
        Crashed = 5, "Crashed";
        /// Halt asked for, not yet seen halted.
        Stopping = 6, "Stopping";
    }
}

/// What a session may know about its core (ta-api.md 4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateReport {
    /// What the core is doing.
    pub state: CoreState,
    /// The platform file allows this core to be loaded without isolation.
    pub insecure_isolation: bool,
    /// The platform file gives the core's control to somebody else.
    pub attach_only: bool,
    /// The device trusts development keys.
    pub development_role: bool,
    /// The core this session is bound to.
    pub core: u32,
    /// How often the core was started since the platform's own start.
    pub start_counter: u32,
    /// Under which isolation the bundle was loaded; 0 = never isolated.
    pub isolation_generation: u32,
    /// The loaded bundle's security version.
    pub security_version: u32,
    /// The loaded bundle's digest; zeros where nothing is loaded.
    pub bundle_digest: Digest,
    /// SHA-256 of the leaf's SubjectPublicKeyInfo; zeros where nothing is loaded.
    pub signer_key_id: [u8; 32],
    /// The loaded bundle's display version.
    pub display_version: Text<32>,
    /// The loaded bundle's build id.
    pub build_id: Text<64>,
}

/// The 48 bytes of a bundle digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub [u8; 48]);

impl Default for Digest {
    fn default() -> Self {
        Self([0; 48])
    }
}

impl StateReport {
    /// The length of the report in bytes.
    pub const LENGTH: usize = size_of::<raw::State>();
    /// The layout this code writes and reads.
    pub const LAYOUT_VERSION: u32 = 1;
    /// Flag bit: see [`StateReport::insecure_isolation`].
    pub const INSECURE_ISOLATION: u32 = 1;
    /// Flag bit: see [`StateReport::attach_only`].
    pub const ATTACH_ONLY: u32 = 1 << 1;
    /// Flag bit: see [`StateReport::development_role`].
    pub const DEVELOPMENT_ROLE: u32 = 1 << 2;

    /// The report as it travels.
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        let (display_version, display_version_length) = self.display_version.field();
        let (build_id, build_id_length) = self.build_id.field();
        let flag = |set: bool, bit: u32| if set { bit } else { 0 };
        let report = raw::State {
            layout_version: Self::LAYOUT_VERSION.into(),
            state: self.state.number().into(),
            flags: (flag(self.insecure_isolation, Self::INSECURE_ISOLATION)
                | flag(self.attach_only, Self::ATTACH_ONLY)
                | flag(self.development_role, Self::DEVELOPMENT_ROLE))
            .into(),
            core: self.core.into(),
            start_counter: self.start_counter.into(),
            isolation_generation: self.isolation_generation.into(),
            security_version: self.security_version.into(),
            display_version_length,
            build_id_length,
            reserved: 0.into(),
            bundle_digest: self.bundle_digest.0,
            signer_key_id: self.signer_key_id,
            display_version,
            build_id,
        };
        zerocopy::transmute!(report)
    }

    /// Reads a report; what this layout does not know is refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        // The version comes first, so that a longer report of a later layout is named as such.
        let version = bytes
            .first_chunk::<4>()
            .map(|field| u32::from_le_bytes(*field));
        if let Some(found) = version.filter(|found| *found != Self::LAYOUT_VERSION) {
            return Err(Error::LayoutVersion {
                found,
                known: Self::LAYOUT_VERSION,
            });
        }
        let Ok(report) = raw::State::read_from_bytes(bytes) else {
            return Err(Error::Length {
                found: bytes.len(),
                expected: Self::LENGTH,
            });
        };
        let flags = report.flags.get();
        let known = Self::INSECURE_ISOLATION | Self::ATTACH_ONLY | Self::DEVELOPMENT_ROLE;
        if flags & !known != 0 {
            return Err(Error::Reserved {
                offset: 8,
                value: flags & !known,
            });
        }
        if report.reserved.get() != 0 {
            return Err(Error::Reserved {
                offset: 30,
                value: report.reserved.get().into(),
            });
        }
        let number = report.state.get();
        let state = CoreState::from_number(number).ok_or(Error::UnknownState { number })?;
        let display_version =
            Text::from_field(report.display_version, report.display_version_length)
                .filter(|text| text.as_str().is_some())
                .ok_or(Error::Text { offset: 112 })?;
        let build_id = Text::from_field(report.build_id, report.build_id_length)
            .ok_or(Error::Text { offset: 144 })?;
        Ok(Self {
            state,
            insecure_isolation: flags & Self::INSECURE_ISOLATION != 0,
            attach_only: flags & Self::ATTACH_ONLY != 0,
            development_role: flags & Self::DEVELOPMENT_ROLE != 0,
            core: report.core.get(),
            start_counter: report.start_counter.get(),
            isolation_generation: report.isolation_generation.get(),
            security_version: report.security_version.get(),
            bundle_digest: Digest(report.bundle_digest),
            signer_key_id: report.signer_key_id,
            display_version,
            build_id,
        })
    }
}
