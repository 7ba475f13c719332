//! The way to the trusted application in neutral types, whoever carries them.

use core::fmt;

/// One of the four parameters of a command, as GlobalPlatform's client API has them.
#[derive(Debug, Default)]
pub enum Parameter<'a> {
    /// Not used.
    #[default]
    None,
    /// Two numbers for the TA.
    ValueInput {
        /// The first number.
        a: u32,
        /// The second number.
        b: u32,
    },
    /// Two numbers from the TA.
    ValueOutput {
        /// The first number.
        a: u32,
        /// The second number.
        b: u32,
    },
    /// Bytes for the TA.
    MemoryInput(&'a [u8]),
    /// Room for bytes from the TA.
    MemoryOutput {
        /// The room.
        buffer: &'a mut [u8],
        /// How much of it the TA used, or, with a short buffer, how much it needs.
        used: usize,
    },
}

impl Parameter<'static> {
    /// An empty place for two numbers.
    #[must_use]
    pub fn value_output() -> Self {
        Parameter::ValueOutput { a: 0, b: 0 }
    }

    /// A number of 64 bits: low half first.
    #[must_use]
    pub fn number(value: u64) -> Self {
        let [a0, a1, a2, a3, b0, b1, b2, b3] = value.to_le_bytes();
        Parameter::ValueInput {
            a: u32::from_le_bytes([a0, a1, a2, a3]),
            b: u32::from_le_bytes([b0, b1, b2, b3]),
        }
    }
}

impl<'a> Parameter<'a> {
    /// Room for bytes from the TA.
    #[must_use]
    pub fn memory_output(buffer: &'a mut [u8]) -> Self {
        Parameter::MemoryOutput { buffer, used: 0 }
    }

    /// The two numbers, of a value; zeros for everything else.
    #[must_use]
    pub fn values(&self) -> (u32, u32) {
        match *self {
            Parameter::ValueInput { a, b } | Parameter::ValueOutput { a, b } => (a, b),
            _ => (0, 0),
        }
    }

    /// The number of 64 bits that the two halves make.
    #[must_use]
    pub fn wide(&self) -> u64 {
        let (low, high) = self.values();
        u64::from(low) | u64::from(high) << 32
    }

    /// How many bytes the TA used or asks for; 0 for everything but an output buffer.
    #[must_use]
    pub fn used(&self) -> usize {
        match self {
            Parameter::MemoryOutput { used, .. } => *used,
            _ => 0,
        }
    }
}

/// Who refused, as GlobalPlatform counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The client library or the driver on this side.
    Api,
    /// What lies between the two worlds.
    Communication,
    /// OP-TEE itself, before the TA saw the command.
    Tee,
    /// The TA.
    TrustedApplication,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Api => "the client library",
            Origin::Communication => "the way between the worlds",
            Origin::Tee => "the secure world",
            Origin::TrustedApplication => "the trusted application",
        })
    }
}

/// A return code other than success, and who gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The code: GlobalPlatform's, or for commands from 0x100 a status of ours.
    pub code: u32,
    /// Who gave it.
    pub origin: Origin,
}

/// One session with the TA: libteec on a device, the TA's logic in process in tests and in the simulator.
///
/// A transport without a session may be opened; dropping it closes the session, as the death of a client does.
pub trait Transport {
    /// Opens the session for one core.
    ///
    /// # Errors
    /// The code of whoever refused.
    fn open(&mut self, core: u32) -> Result<(), Failure>;

    /// Lets the TA do one command. Outputs are filled even where the code is an error, as far as the TA wrote them.
    ///
    /// # Errors
    /// The code of whoever refused.
    fn invoke(&mut self, command: u32, parameters: &mut [Parameter<'_>; 4]) -> Result<(), Failure>;

    /// Closes the session; nothing happens where none is open.
    fn close(&mut self);
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn open(&mut self, core: u32) -> Result<(), Failure> {
        (**self).open(core)
    }

    fn invoke(&mut self, command: u32, parameters: &mut [Parameter<'_>; 4]) -> Result<(), Failure> {
        (**self).invoke(command, parameters)
    }

    fn close(&mut self) {
        (**self).close();
    }
}
