//! The statuses of an answer, and what they are in embedded-hal's words.

use core::fmt;

use embedded_hal::{digital, i2c, spi};

use crate::error::Error;

macro_rules! statuses {
    ( $( $( #[$doc:meta] )* $Name:ident = $number:literal, $text:literal; )+ ) => {
        /// What became of a request (rpmsg-services.md 2.7).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Status { $( $( #[$doc] )* $Name, )+ }

        impl Status {
            /// All of them.
            pub const ALL: &'static [Status] = &[ $( Status::$Name, )+ ];

            /// Its number in an answer.
            pub const fn number(self) -> u8 {
                match self { $( Status::$Name => $number, )+ }
            }

            /// The status of a number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $( $number => Some(Status::$Name), )+
                    _ => None,
                }
            }
        }

        impl fmt::Display for Status {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $( Status::$Name => $text, )+ })
            }
        }
    };
}

statuses! {
    /// It was done.
    Done = 0x00, "done";
    /// The device failed, and says no more.
    Failed = 0x01, "the device failed";
    /// A bus error, such as a start or stop condition in the wrong place.
    Bus = 0x02, "a bus error";
    /// Another master won the I2C bus.
    ArbitrationLoss = 0x03, "the arbitration was lost";
    /// Nobody has the I2C address.
    NoAcknowledgeAddress = 0x04, "nobody acknowledged the address";
    /// The I2C device did not take a byte.
    NoAcknowledgeData = 0x05, "a byte was not acknowledged";
    /// Either of the two.
    NoAcknowledge = 0x06, "no acknowledgement";
    /// Bytes came faster than they were taken.
    Overrun = 0x07, "an overrun";
    /// Another master drives the SPI bus.
    ModeFault = 0x08, "another master drives the bus";
    /// What was received does not fit the SPI bus' configuration.
    FrameFormat = 0x09, "what was received does not fit the configuration";
    /// The SPI device could not be selected or let go.
    ChipSelectFault = 0x0a, "the chip select failed";
    /// The request is of a version that the server does not know.
    VersionUnknown = 0x80, "the server does not know this version";
    /// The request breaks a rule of the format.
    Malformed = 0x81, "the request breaks a rule";
    /// The server does not do this.
    Unsupported = 0x82, "the server does not do this";
    /// There is no such line, or no such chip select.
    LineUnknown = 0x83, "there is no such line or chip select";
    /// The line goes in the other direction.
    WrongDirection = 0x84, "the line goes in the other direction";
}

impl Status {
    pub(crate) const fn of_refused(error: Error) -> Self {
        match error {
            Error::RequestVersion { .. } => Status::VersionUnknown,
            _ => Status::Malformed,
        }
    }

    pub(crate) const fn of_digital(_: digital::ErrorKind) -> Self {
        // embedded-hal 1.0 has no other kind.
        Status::Failed
    }

    pub(crate) const fn of_i2c(kind: i2c::ErrorKind) -> Self {
        use i2c::NoAcknowledgeSource::{Address, Data, Unknown};
        match kind {
            i2c::ErrorKind::Bus => Status::Bus,
            i2c::ErrorKind::ArbitrationLoss => Status::ArbitrationLoss,
            i2c::ErrorKind::NoAcknowledge(Address) => Status::NoAcknowledgeAddress,
            i2c::ErrorKind::NoAcknowledge(Data) => Status::NoAcknowledgeData,
            i2c::ErrorKind::NoAcknowledge(Unknown) => Status::NoAcknowledge,
            i2c::ErrorKind::Overrun => Status::Overrun,
            _ => Status::Failed,
        }
    }

    pub(crate) const fn of_spi(kind: spi::ErrorKind) -> Self {
        match kind {
            spi::ErrorKind::Overrun => Status::Overrun,
            spi::ErrorKind::ModeFault => Status::ModeFault,
            spi::ErrorKind::FrameFormat => Status::FrameFormat,
            spi::ErrorKind::ChipSelectFault => Status::ChipSelectFault,
            _ => Status::Failed,
        }
    }

    pub(crate) const fn to_i2c(self) -> i2c::ErrorKind {
        use i2c::NoAcknowledgeSource::{Address, Data, Unknown};
        match self {
            Status::Bus => i2c::ErrorKind::Bus,
            Status::ArbitrationLoss => i2c::ErrorKind::ArbitrationLoss,
            Status::NoAcknowledgeAddress => i2c::ErrorKind::NoAcknowledge(Address),
            Status::NoAcknowledgeData => i2c::ErrorKind::NoAcknowledge(Data),
            Status::NoAcknowledge => i2c::ErrorKind::NoAcknowledge(Unknown),
            Status::Overrun => i2c::ErrorKind::Overrun,
            _ => i2c::ErrorKind::Other,
        }
    }

    pub(crate) const fn to_spi(self) -> spi::ErrorKind {
        match self {
            Status::Overrun => spi::ErrorKind::Overrun,
            Status::ModeFault => spi::ErrorKind::ModeFault,
            Status::FrameFormat => spi::ErrorKind::FrameFormat,
            Status::ChipSelectFault => spi::ErrorKind::ChipSelectFault,
            _ => spi::ErrorKind::Other,
        }
    }
}
