//! The commands of the TA and the shape of their parameters.

use crate::codes::codes;

codes! {
    /// A command of the TA: 1 to 6 as clients of OP-TEE's `ta/remoteproc` know them, the rest ours.
    pub enum Command {
        /// Load a whole bundle from one memref (ta-api.md 3.1).
        LoadFw = 1, "LOAD_FW";
        /// Release the core from reset (ta-api.md 3.2).
        StartFw = 2, "START_FW";
        /// Halt the core and wipe it (ta-api.md 3.3).
        StopFw = 3, "STOP_FW";
        /// Where the resource table is published (ta-api.md 3.4).
        GetRscTable = 4, "GET_RSC_TABLE";
        /// Not implemented, as in the TA whose place we take (ta-api.md 3.5).
        GetCoredump = 5, "GET_COREDUMP";
        /// Wipe a core that does not run (ta-api.md 3.6).
        ReleaseFw = 6, "RELEASE_FW";
        /// Version, capabilities and limits (ta-api.md 4.1).
        Version = 0x100, "VERSION";
        /// The core's state report (ta-api.md 4.2).
        State = 0x101, "STATE";
        /// Why this session's last failed command failed (ta-api.md 4.3).
        LastError = 0x102, "LAST_ERROR";
        /// The roots this device pins (ta-api.md 4.4).
        TrustedRoots = 0x103, "TRUSTED_ROOTS";
        /// The sanitised table as it was published (ta-api.md 4.5).
        MasterTable = 0x104, "MASTER_TABLE";
        /// Begin a streamed load (ta-api.md 4.6).
        LoadBegin = 0x105, "LOAD_BEGIN";
        /// Hand over the piece asked for (ta-api.md 4.7).
        LoadContinue = 0x106, "LOAD_CONTINUE";
    }
}

impl Command {
    /// The parameter types this command takes, slot by slot; any other combination is refused.
    pub const fn parameters(self) -> [Parameter; 4] {
        use Parameter::{MemrefInput, MemrefOutput, None, ValueInput, ValueOutput};
        match self {
            Self::LoadFw => [ValueInput, MemrefInput, None, None],
            Self::StartFw | Self::StopFw | Self::ReleaseFw => [ValueInput, None, None, None],
            Self::GetRscTable => [ValueInput, ValueOutput, ValueOutput, None],
            Self::GetCoredump => [ValueInput, MemrefOutput, None, None],
            Self::Version => [ValueOutput, ValueOutput, None, None],
            Self::State | Self::TrustedRoots => [MemrefOutput, None, None, None],
            Self::LastError => [ValueOutput, ValueOutput, ValueOutput, None],
            Self::MasterTable => [MemrefOutput, ValueOutput, ValueOutput, None],
            Self::LoadBegin | Self::LoadContinue => {
                [ValueInput, MemrefInput, ValueOutput, ValueOutput]
            }
        }
    }

    /// True for commands 1 to 6: slot 0 names the core, and failures are told as GlobalPlatform values.
    pub const fn is_upstream(self) -> bool {
        self.number() < 0x100
    }

    /// True where the command changes something, so that an attach-only core refuses it.
    pub const fn acts(self) -> bool {
        match self {
            Self::LoadFw
            | Self::StartFw
            | Self::StopFw
            | Self::GetCoredump
            | Self::ReleaseFw
            | Self::LoadBegin
            | Self::LoadContinue => true,
            Self::GetRscTable
            | Self::Version
            | Self::State
            | Self::LastError
            | Self::TrustedRoots
            | Self::MasterTable => false,
        }
    }
}

/// The parameter types `OpenSession` takes: slot 0 carries the core id in `a` (ta-api.md 2.1).
pub const OPEN_SESSION: [Parameter; 4] = [
    Parameter::ValueInput,
    Parameter::None,
    Parameter::None,
    Parameter::None,
];

codes! {
    /// A parameter type, as GlobalPlatform numbers it (TEE Internal Core API 1.3.1, table 4-2).
    pub enum Parameter {
        /// Unused slot.
        None = 0, "NONE";
        /// Two words to the TA.
        ValueInput = 1, "VALUE_INPUT";
        /// Two words from the TA.
        ValueOutput = 2, "VALUE_OUTPUT";
        /// Two words both ways; no command takes it.
        ValueInout = 3, "VALUE_INOUT";
        /// Memory that the TA reads.
        MemrefInput = 5, "MEMREF_INPUT";
        /// Memory that the TA writes.
        MemrefOutput = 6, "MEMREF_OUTPUT";
        /// Memory both ways; no command takes it.
        MemrefInout = 7, "MEMREF_INOUT";
    }
}

/// The two words of a value parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The first word; the lower half of a 64-bit number.
    pub a: u32,
    /// The second word; the upper half of a 64-bit number.
    pub b: u32,
}

impl From<u64> for Words {
    fn from(value: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
        Self {
            a: u32::from_le_bytes([a, b, c, d]),
            b: u32::from_le_bytes([e, f, g, h]),
        }
    }
}

impl From<Words> for u64 {
    fn from(words: Words) -> Self {
        Self::from(words.a) | Self::from(words.b) << 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_bits_survive_the_two_words() {
        let words = Words::from(0x0123_4567_89ab_cdef);
        assert_eq!((words.a, words.b), (0x89ab_cdef, 0x0123_4567));
        assert_eq!(u64::from(words), 0x0123_4567_89ab_cdef);
    }

    #[test]
    fn every_command_is_found_by_number_and_by_name() {
        for command in Command::ALL {
            assert_eq!(Command::from_number(command.number()), Some(*command));
            assert_eq!(Command::from_name(command.name()), Some(*command));
        }
        assert_eq!(Command::from_number(0), None);
        assert_eq!(Command::from_number(7), None);
        assert_eq!(Command::from_number(0x107), None);
    }

    #[test]
    fn upstream_commands_name_the_core_first() {
        for command in Command::ALL {
            if command.is_upstream() {
                assert_eq!(command.parameters()[0], Parameter::ValueInput, "{command}");
            }
        }
    }
}
