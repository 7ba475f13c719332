//! The C headers, derived from the Rust definitions.
//!
//! `include/corewarden_ta.h` and `include/corewarden_pta.h` are what [`ta()`] and [`pta()`] write; a test compares them and
//! compiles both. C code on either side of the TA thereby has the same numbers without a generator in its build.

use core::fmt::{self, Display, Formatter};

use crate::{
    Command, CoreState, LOAD_TIMEOUT_MS, Login, MAX_CHUNK, MAX_ROOTS, MAX_SESSIONS, MAX_TAIL,
    MAX_WHOLE_FILE, Parameter, StateReport, Status, TA_UUID, Uuid, VERSION, capability, pta,
};

/// The header for clients of the TA.
pub fn ta() -> impl Display {
    Header(write_ta)
}

/// The header for the platform's PTA.
pub fn pta() -> impl Display {
    Header(write_pta)
}

struct Header(fn(&mut Formatter<'_>) -> fmt::Result);

impl Display for Header {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

fn write_ta(f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str(TA_HEAD)?;
    uuid(f, "COREWARDEN_TA_UUID", TA_UUID)?;

    f.write_str("\n/* Limits; ta-api.md 2.4, 3.1, 4.1, 4.4, 5.4. */\n")?;
    define(f, "TA_API", "VERSION", VERSION)?;
    define(f, "TA_MAX", "SESSIONS", MAX_SESSIONS)?;
    define(f, "TA_MAX", "WHOLE_FILE", MAX_WHOLE_FILE)?;
    define(f, "TA_MAX", "TAIL", MAX_TAIL)?;
    define(f, "TA_MAX", "CHUNK", MAX_CHUNK)?;
    define(f, "TA_MAX", "ROOTS", u32::try_from(MAX_ROOTS).unwrap_or(0))?;
    define(f, "TA", "LOAD_TIMEOUT_MS", LOAD_TIMEOUT_MS)?;

    f.write_str("\n/* Commands with the types of their slots; ta-api.md 3, 4. */\n")?;
    for command in Command::ALL {
        f.write_str("/*")?;
        for parameter in command.parameters() {
            write!(f, " {parameter}")?;
        }
        f.write_str(" */\n")?;
        define(f, "TA_CMD", command.name(), command.number())?;
    }

    f.write_str("\n/* Capability bits; ta-api.md 4.1. */\n")?;
    define(f, "TA_CAP", "STREAMING_LOAD", capability::STREAMING_LOAD)?;
    define(f, "TA_CAP", "MASTER_TABLE", capability::MASTER_TABLE)?;
    define(
        f,
        "TA_CAP",
        "ISOLATION_ENFORCED",
        capability::ISOLATION_ENFORCED,
    )?;
    define(f, "TA_CAP", "TEST_BUILD", capability::TEST_BUILD)?;

    f.write_str("\n/* Logins; ta-api.md 2.5. */\n")?;
    for login in Login::ALL {
        define(f, "TA_LOGIN", Screaming(login.name()), login.number())?;
    }

    f.write_str("\n/* States of a core; ta-api.md 5.1. */\n")?;
    for state in CoreState::ALL {
        define(f, "TA_CORE", Screaming(state.name()), state.number())?;
    }

    f.write_str("\n/* What STATE writes; ta-api.md 4.2. Little-endian. */\n")?;
    define(f, "TA_STATE", "LAYOUT_VERSION", StateReport::LAYOUT_VERSION)?;
    define(
        f,
        "TA_STATE",
        "INSECURE_ISOLATION",
        StateReport::INSECURE_ISOLATION,
    )?;
    define(f, "TA_STATE", "ATTACH_ONLY", StateReport::ATTACH_ONLY)?;
    define(
        f,
        "TA_STATE",
        "DEVELOPMENT_ROLE",
        StateReport::DEVELOPMENT_ROLE,
    )?;
    f.write_str(TA_REPORTS)?;

    f.write_str("\n/* Statuses, with what their two numbers mean; ta-api.md 6. */\n")?;
    for status in Status::ALL {
        write!(f, "/* {status}")?;
        let [first, second] = status.numbers();
        match (first, second) {
            ("", _) => {}
            (first, "") => write!(f, "; {first}")?,
            (first, second) => write!(f, "; {first}, {second}")?,
        }
        f.write_str(" */\n")?;
        define(f, "TA", Screaming(status.name()), status.number())?;
    }
    f.write_str("\n#endif /* COREWARDEN_TA_H */\n")
}

fn write_pta(f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str(PTA_HEAD)?;
    uuid(f, "COREWARDEN_PTA_CALLER_UUID", TA_UUID)?;
    uuid(f, "COREWARDEN_PTA_UPSTREAM_UUID", pta::UUID)?;
    uuid(f, "COREWARDEN_PTA_UUID", pta::EXTENSION_UUID)?;

    f.write_str("\n/* Commands of the upstream UUID; pta-api.md 2. */\n")?;
    for command in pta::Command::ALL {
        define(f, "PTA_UPSTREAM", command.name(), command.number())?;
    }

    f.write_str(
        "\n/* Commands of the extension, with the types of their slots; pta-api.md 3. */\n",
    )?;
    for command in pta::Extension::ALL {
        f.write_str("/*")?;
        for parameter in command.parameters() {
            write!(f, " {parameter}")?;
        }
        f.write_str(" */\n")?;
        define(f, "PTA", command.name(), command.number())?;
    }

    f.write_str("\n/* What VERSION answers; pta-api.md 3.1. */\n")?;
    define(f, "PTA", "VERSION_1_0", pta::EXTENSION_VERSION)?;
    define(f, "PTA", "BIT_COUNTERS", pta::EXTENSION_COUNTERS)?;

    f.write_str("\n/* What STATE answers; pta-api.md 3.3. */\n")?;
    for state in pta::LineState::ALL {
        define(f, "PTA", state.name(), state.number())?;
    }

    f.write_str("\n/* What ISOLATE lists; pta-api.md 3.2. Little-endian. */\n")?;
    define(f, "PTA_ACCESS", "SECURE", pta::access::SECURE_WORLD)?;
    define(f, "PTA_ACCESS", "CORE", pta::access::THIS_CORE)?;
    define(f, "PTA_ACCESS", "NORMAL", pta::access::NORMAL_WORLD)?;
    define(f, "PTA_ACCESS", "MASTERS", pta::access::OTHER_MASTERS)?;
    define(
        f,
        "PTA",
        "MAX_REGIONS",
        u32::try_from(pta::MAX_REGIONS).unwrap_or(0),
    )?;
    f.write_str(PTA_REGION)?;

    f.write_str("\n/* The longest record; pta-api.md 3.5. */\n")?;
    define(
        f,
        "PTA",
        "RECORD_SIZE",
        u32::try_from(pta::MAX_RECORD).unwrap_or(0),
    )?;
    f.write_str("\n#endif /* COREWARDEN_PTA_H */\n")
}

impl pta::Extension {
    /// The types of its slots (pta-api.md 3).
    pub const fn parameters(self) -> [Parameter; 4] {
        use Parameter::{MemrefInput, MemrefOutput, None, ValueInput, ValueOutput};
        match self {
            Self::Version => [ValueOutput, None, None, None],
            Self::Isolate => [ValueInput, ValueOutput, MemrefOutput, None],
            Self::State => [ValueInput, ValueOutput, ValueOutput, MemrefOutput],
            Self::Wipe => [ValueInput, None, None, None],
            Self::Record => [ValueInput, MemrefInput, None, None],
            Self::Counters => [ValueInput, ValueOutput, ValueOutput, ValueOutput],
        }
    }
}

fn define(f: &mut Formatter<'_>, group: &str, name: impl Display, value: u32) -> fmt::Result {
    writeln!(f, "#define COREWARDEN_{group}_{name} {value:#x}u")
}

fn uuid(f: &mut Formatter<'_>, name: &str, uuid: Uuid) -> fmt::Result {
    let (low, mid, high, node) = uuid.fields();
    write!(
        f,
        "/* {uuid} */\n#define {name} \\\n\t{{ {low:#010x}, {mid:#06x}, {high:#06x}, \\\n\t  {{"
    )?;
    for (index, byte) in node.iter().enumerate() {
        write!(f, "{} {byte:#04x}", if index == 0 { "" } else { "," })?;
    }
    f.write_str(" } }\n")
}

/// A name in camel case as C writes constants.
struct Screaming(&'static str);

impl Display for Screaming {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, character) in self.0.chars().enumerate() {
            if index > 0 && character.is_ascii_uppercase() {
                f.write_str("_")?;
            }
            write!(f, "{}", character.to_ascii_uppercase())?;
        }
        Ok(())
    }
}

const TA_HEAD: &str = "\
/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What clients and Corewarden's TA agree on; normative text: docs/ta-api.md.
 * Made from formats/ta-protocol: do not edit.
 */
#ifndef COREWARDEN_TA_H
#define COREWARDEN_TA_H

#include <stdint.h>

";

const TA_REPORTS: &str = "
struct corewarden_ta_state {
	uint32_t layout_version;
	uint32_t state;
	uint32_t flags;
	uint32_t core;
	uint32_t start_counter;
	uint32_t isolation_generation;
	uint32_t security_version;
	uint8_t display_version_length;
	uint8_t build_id_length;
	uint16_t reserved;
	uint8_t bundle_digest[48];
	uint8_t signer_key_id[32];
	uint8_t display_version[32];
	uint8_t build_id[64];
};

/* What TRUSTED_ROOTS writes: this, then the roots; ta-api.md 4.4. Little-endian. */
struct corewarden_ta_roots {
	uint32_t count;
	uint32_t required_slots;
};

struct corewarden_ta_root {
	uint8_t key_id[32];
	uint16_t algorithm;
	uint8_t slot;
	uint8_t role;
};
";

const PTA_HEAD: &str = "\
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Corewarden's TA and a platform's PTA agree on; normative text: docs/pta-api.md.
 * Made from formats/ta-protocol: do not edit.
 */
#ifndef COREWARDEN_PTA_H
#define COREWARDEN_PTA_H

#include <stdint.h>

";

const PTA_REGION: &str = "
struct corewarden_pta_region {
	uint64_t physical;
	uint64_t device;
	uint64_t size;
	uint32_t access;
	uint32_t reserved;
};
";
