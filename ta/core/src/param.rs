//! The four parameters of a command, in neutral types.

use ta_protocol::{Parameter, Words};

use crate::Actors;

/// The parameters of one call; an entry that was not passed is [`Param::None`].
pub type Params<A> = [Param<<A as Actors>::Source, <A as Actors>::Sink>; 4];

/// One parameter of a command. The variants are GlobalPlatform's parameter types.
#[derive(Debug)]
pub enum Param<I, O> {
    /// Not used.
    None,
    /// Two numbers from the client.
    ValueInput {
        /// First number.
        a: u32,
        /// Second number.
        b: u32,
    },
    /// Two numbers to the client.
    ValueOutput {
        /// First number.
        a: u32,
        /// Second number.
        b: u32,
    },
    /// Two numbers both ways. No command takes it.
    ValueInOut {
        /// First number.
        a: u32,
        /// Second number.
        b: u32,
    },
    /// A buffer from the client.
    MemrefInput(I),
    /// A buffer to the client.
    MemrefOutput {
        /// The buffer.
        memory: O,
        /// Set by the call: bytes written, or needed if the buffer was too short.
        size: u64,
    },
    /// A buffer both ways. No command takes it.
    MemrefInOut,
}

impl<I, O> Param<I, O> {
    /// Its type.
    pub const fn kind(&self) -> Parameter {
        match self {
            Self::None => Parameter::None,
            Self::ValueInput { .. } => Parameter::ValueInput,
            Self::ValueOutput { .. } => Parameter::ValueOutput,
            Self::ValueInOut { .. } => Parameter::ValueInout,
            Self::MemrefInput(_) => Parameter::MemrefInput,
            Self::MemrefOutput { .. } => Parameter::MemrefOutput,
            Self::MemrefInOut => Parameter::MemrefInout,
        }
    }

    /// Sets a value output to a number.
    pub(crate) fn answer(&mut self, number: u64) {
        let words = Words::from(number);
        self.answer_words(words.a, words.b);
    }

    /// Sets a value output.
    pub(crate) fn answer_words(&mut self, first: u32, second: u32) {
        if let Self::ValueOutput { a, b } = self {
            *a = first;
            *b = second;
        }
    }
}
