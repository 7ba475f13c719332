//! What a core does, and what is in it.

use std::fmt::{self, Display};

use platform::Platform;
use serde::Serialize;
use ta_protocol::{LOWEST_VERSION, Root, StateReport};

use super::{hex, printable};
use crate::ta::{TrustedRoots, Version};

/// What `status` shows.
#[derive(Clone, Debug, Serialize)]
pub struct StatusReport {
    /// The core.
    pub core: u32,
    /// What it does.
    pub state: &'static str,
    /// How often it was started since the platform's own start.
    pub starts: u32,
    /// Under which isolation the bundle was loaded; 0 where nothing is.
    pub isolation_generation: u32,
    /// The platform cannot isolate this core: whoever is root owns it.
    pub insecure_isolation: bool,
    /// The normal world does not control this core.
    pub attach_only: bool,
    /// The device trusts development keys.
    pub development: bool,
    /// What is loaded.
    pub bundle: Option<Bundle>,
    /// The version of the TA's interface.
    pub ta_version: String,
    /// What the TA can do.
    pub ta_capabilities: Vec<&'static str>,
    /// The lowest security version that the core still takes.
    pub floor: u32,
    /// Whom the device trusts.
    pub trusted: Trusted,
    /// The platform file, where it is at hand: with it `corewarden-sign verify --against` predicts what this device answers.
    pub platform: Option<platform::File>,
}

impl StatusReport {
    pub(in crate::cli) fn new(
        state: &StateReport,
        version: Version,
        roots: &TrustedRoots,
        platform: Option<&Platform>,
    ) -> Self {
        let can = version.capabilities;
        let all = [
            (can.streaming(), "streaming-load"),
            (can.master_table(), "master-table"),
            (can.isolation_enforced(), "isolation-enforced"),
            (can.test_build(), "test-build"),
        ];
        StatusReport {
            core: state.core,
            state: state.state.name(),
            starts: state.start_counter,
            isolation_generation: state.isolation_generation,
            insecure_isolation: state.insecure_isolation,
            attach_only: state.attach_only,
            development: state.development_role,
            bundle: Bundle::of(state),
            ta_version: format!("{}.{}", version.major, version.minor),
            ta_capabilities: all
                .into_iter()
                .filter_map(|(can, name)| can.then_some(name))
                .collect(),
            floor: LOWEST_VERSION,
            trusted: Trusted::new(roots),
            platform: platform.map(|platform| platform.file().clone()),
        }
    }
}

impl Display for StatusReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "core {}: {}, started {}",
            self.core,
            self.state,
            times(self.starts)
        )?;
        if self.insecure_isolation {
            writeln!(
                f,
                "  INSECURE    the platform cannot isolate this core: whoever is root in Linux owns it"
            )?;
        }
        if self.attach_only {
            writeln!(f, "  control     attach-only: not from here")?;
        }
        match &self.bundle {
            Some(bundle) => {
                bundle.fmt(f)?;
                writeln!(f, "  isolation   generation {}", self.isolation_generation)?;
            }
            None => writeln!(f, "  bundle      none")?,
        }
        writeln!(
            f,
            "TA {}: {}",
            self.ta_version,
            self.ta_capabilities.join(", ")
        )?;
        self.trusted.fmt(f)?;
        if self.development {
            writeln!(f, "this device trusts development keys: never ship it so")?;
        }
        Ok(())
    }
}

/// A loaded bundle.
#[derive(Clone, Debug, Serialize)]
pub struct Bundle {
    /// The version for people.
    pub display_version: String,
    /// The version that counts.
    pub security_version: u32,
    /// The build id, in hexadecimal digits.
    pub build_id: String,
    /// What was signed: the same for every signature of this bundle.
    pub digest: String,
    /// The key that signed it.
    pub signer_key_id: String,
}

impl Bundle {
    fn of(state: &StateReport) -> Option<Self> {
        let digest = state.bundle_digest.0;
        digest.iter().any(|byte| *byte != 0).then(|| Bundle {
            display_version: state
                .display_version
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            security_version: state.security_version,
            build_id: hex(state.build_id.as_bytes()),
            digest: hex(&digest),
            signer_key_id: hex(&state.signer_key_id),
        })
    }
}

impl Display for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none = |text: &str| {
            if text.is_empty() {
                "none".to_owned()
            } else {
                printable(text)
            }
        };
        writeln!(
            f,
            "  bundle      version {}, security version {}",
            or_none(&self.display_version),
            self.security_version
        )?;
        writeln!(f, "  build id    {}", or_none(&self.build_id))?;
        writeln!(f, "  digest      {}", self.digest)?;
        writeln!(f, "  signed by   {}", self.signer_key_id)
    }
}

/// Whom a device trusts.
#[derive(Clone, Debug, Serialize)]
pub struct Trusted {
    /// The slots in which a bundle must be signed.
    pub required_slots: Vec<u32>,
    /// The root keys.
    pub roots: Vec<Roots>,
}

/// One root key that a device trusts.
#[derive(Clone, Debug, Serialize)]
pub struct Roots {
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub key_id: String,
    /// Its algorithm, numbered as in the bundle format.
    pub algorithm: u16,
    /// The slot it stands for.
    pub slot: u8,
    /// Made for development, never for a product.
    pub development: bool,
}

impl Trusted {
    fn new(roots: &TrustedRoots) -> Self {
        let root = |root: &Root| Roots {
            key_id: hex(&root.key_id),
            algorithm: root.algorithm,
            slot: root.slot,
            development: root.role == 0,
        };
        Trusted {
            required_slots: (0..u32::BITS)
                .filter(|slot| roots.required_slots & 1 << slot != 0)
                .collect(),
            roots: roots.roots.iter().map(root).collect(),
        }
    }
}

impl Display for Trusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for root in &self.roots {
            let required = if self.required_slots.contains(&root.slot.into()) {
                "required"
            } else {
                "optional"
            };
            let role = if root.development {
                ", development"
            } else {
                ""
            };
            writeln!(
                f,
                "trusts {} for slot {} ({required}{role})",
                root.key_id, root.slot
            )?;
        }
        Ok(())
    }
}

/// What `load` shows.
#[derive(Clone, Debug, Serialize)]
pub struct LoadReport {
    /// The core.
    pub core: u32,
    /// What it does now.
    pub state: &'static str,
    /// The file.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// How long it took.
    pub milliseconds: f64,
    /// What is loaded now.
    pub bundle: Option<Bundle>,
}

impl LoadReport {
    pub(in crate::cli) fn new(
        state: &StateReport,
        file: String,
        bytes: u64,
        milliseconds: f64,
    ) -> Self {
        LoadReport {
            core: state.core,
            state: state.state.name(),
            file,
            bytes,
            milliseconds,
            bundle: Bundle::of(state),
        }
    }
}

impl Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "core {}: {}, {} bytes of {} in {:.1} ms",
            self.core, self.state, self.bytes, self.file, self.milliseconds
        )?;
        match &self.bundle {
            Some(bundle) => bundle.fmt(f),
            None => Ok(()),
        }
    }
}

/// What `start`, `stop` and `release` show.
#[derive(Clone, Debug, Serialize)]
pub struct CoreReport {
    /// The core.
    pub core: u32,
    /// What was done.
    pub action: &'static str,
    /// What the core does now.
    pub state: &'static str,
    /// How often it was started since the platform's own start.
    pub starts: u32,
    /// How long it took.
    pub milliseconds: f64,
}

impl CoreReport {
    pub(in crate::cli) fn new(
        state: &StateReport,
        action: &'static str,
        milliseconds: f64,
    ) -> Self {
        CoreReport {
            core: state.core,
            action,
            state: state.state.name(),
            starts: state.start_counter,
            milliseconds,
        }
    }
}

impl Display for CoreReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CoreReport {
            core,
            action,
            state,
            milliseconds,
            ..
        } = self;
        writeln!(
            f,
            "core {core}: {state}, {action} took {milliseconds:.1} ms"
        )
    }
}

fn times(count: u32) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}
