//! The tables of docs/rpmsg-services.md, byte for byte.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// rpmsg-services.md 2.1: in front of every message.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Head {
    /// 0: format version.
    pub(crate) version: u8,
    /// 1: of a request the number of its operations, of an answer its status.
    pub(crate) word: u8,
    /// 2: the client's number of the request.
    pub(crate) sequence: U16,
}

/// rpmsg-services.md 3.1: VirtIO's `virtio_gpio_request`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct GpioRequest {
    /// 0: what to do.
    pub(crate) kind: U16,
    /// 2: the line.
    pub(crate) line: U16,
    /// 4: the level to set.
    pub(crate) value: U32,
}

/// rpmsg-services.md 4.1: VirtIO's `virtio_i2c_out_hdr`, with the length in the place of its padding.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct I2cOperation {
    /// 0: the address as it stands on the bus.
    pub(crate) address: U16,
    /// 2: bytes to write or to read.
    pub(crate) length: U16,
    /// 4: [`I2C_FAIL_NEXT`], [`I2C_READ`].
    pub(crate) flags: U32,
}

/// rpmsg-services.md 5.1: which device.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct SpiHead {
    /// 0: the device.
    pub(crate) chip_select: u8,
    /// 1: always 8.
    pub(crate) bits_per_word: u8,
    /// 2: zero.
    pub(crate) reserved: U16,
}

/// rpmsg-services.md 5.1: one operation.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct SpiOperation {
    /// 0: bytes to write.
    pub(crate) write: U16,
    /// 2: bytes to read.
    pub(crate) read: U16,
    /// 4: nanoseconds to wait, where there is nothing to write or read.
    pub(crate) delay: U32,
}

pub(crate) const VERSION: u8 = 1;
pub(crate) const HEAD: usize = size_of::<Head>();
/// Bytes behind the head of the longest message.
pub(crate) const ROOM: usize = 492;

// VirtIO 1.3, 5.18.6: VIRTIO_GPIO_MSG_*.
pub(crate) const GPIO_NAMES: u16 = 1;
pub(crate) const GPIO_DIRECTION: u16 = 2;
pub(crate) const GPIO_SET_DIRECTION: u16 = 3;
pub(crate) const GPIO_VALUE: u16 = 4;
pub(crate) const GPIO_SET_VALUE: u16 = 5;
pub(crate) const GPIO_IRQ_TYPE: u16 = 6;

// VirtIO 1.3, 5.16.6: VIRTIO_I2C_FLAGS_*.
pub(crate) const I2C_FAIL_NEXT: u32 = 1;
pub(crate) const I2C_READ: u32 = 2;

/// The only width of a word so far.
pub(crate) const SPI_BITS: u8 = 8;
/// All pauses of a request together, in nanoseconds: nobody holds a server up.
pub(crate) const SPI_DELAYS: u32 = 10_000_000;
