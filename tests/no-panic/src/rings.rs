//! The rings, in both roles, over memory that holds anything.

use core::hint::black_box;
use core::sync::atomic::Ordering;

use rpmsg::{
    Agreement, Announcement, BufferSizes, Change, Coherence, Device, DeviceLife, DeviceQueue,
    DeviceStep, Driver, DriverLife, DriverQueue, DriverStep, Endpoint, Error, Event, Features,
    Kick, LinkLayout, Packed, PackedDevice, PackedDriver, Quirks, Ring, RxBuffer, ServiceName,
    Services, Session, SharedMemory, StatusWord, Symmetric, TxBuffer, VringLayout, Window,
};

/// Memory in which every load answers something else.
pub struct Anything;

impl Coherence for Anything {}

impl SharedMemory for Anything {
    fn load_u16(&self, at: u32, _: Ordering) -> u16 {
        black_box(at as u16)
    }

    fn load_u32(&self, at: u32, _: Ordering) -> u32 {
        black_box(at)
    }

    fn store_u16(&self, at: u32, value: u16, _: Ordering) {
        black_box((at, value));
    }

    fn store_u32(&self, at: u32, value: u32, _: Ordering) {
        black_box((at, value));
    }

    fn copy_in(&self, at: u32, from: &[u8]) {
        black_box((at, from));
    }

    fn copy_out(&self, at: u32, into: &mut [u8]) {
        black_box((at, into));
    }
}

type AnyDriver = Driver<Anything, 256>;
type AnyDevice = Device<Anything, 256>;
type AnyPackedDriver = PackedDriver<Anything, 256>;
type AnyPackedDevice = PackedDevice<Anything, 256>;
type AnySymmetric = Symmetric<Anything, 256>;
type AnyPackedSymmetric = Symmetric<Anything, 256, Packed>;
type DriverSession = Session<Anything, DriverQueue<256>, 4>;
type DeviceSession = Session<Anything, DeviceQueue<256>, 4>;

#[unsafe(no_mangle)]
pub fn ring_layout(
    window: (u64, u32),
    addresses: [u64; 3],
    counts: [u32; 2],
    align: u32,
) -> Result<LinkLayout, Error> {
    let window = Window::new(window.0, window.1)?;
    let [one, two, buffers] = addresses;
    let [first, second] = counts;
    let ring = |address, count| match align {
        0 => VringLayout::packed(&window, address, count),
        _ => VringLayout::new(&window, address, count, align),
    };
    let (to_driver, to_device) = (ring(one, first)?, ring(two, second)?);
    LinkLayout::new(window, to_driver, to_device, buffers, align)
}

#[unsafe(no_mangle)]
pub fn agreed(word: u32, config: &[u8], bits: u64, device: bool) -> Result<Features, Error> {
    let (offer, config) = Features::of_table(word, config)?;
    let bits = Features::from_bits(bits);
    let agreed = match device {
        false => Agreement::of_driver(offer, config, bits)?,
        true => Agreement::of_device(offer, config, bits)?,
    };
    black_box(agreed.sizes().map(Agreement::config));
    black_box(agreed.features().in_table());
    Ok(agreed.within(bits).features())
}

/// Instantiates a link's constructors for both kinds of rings.
macro_rules! attachments {
    ( $( $driver:ident, $device:ident, $alike:ident: $one:ty, $two:ty, $both:ty; )+ ) => { $(
        #[unsafe(no_mangle)]
        pub fn $driver(layout: LinkLayout, sizes: BufferSizes, at: u32, quirks: Quirks) -> Result<$one, Error> {
            <$one>::attach(Anything, layout, sizes, at, quirks)
        }

        #[unsafe(no_mangle)]
        pub fn $device(layout: LinkLayout, at: u32, quirks: Quirks) -> Result<$two, Error> {
            <$two>::attach(Anything, layout, at, quirks)
        }

        #[unsafe(no_mangle)]
        pub fn $alike(layout: LinkLayout, sizes: BufferSizes, at: u32, sending: Ring) -> Result<$both, Error> {
            <$both>::prepare(&Anything, &layout, sending, sizes)?;
            <$both>::attach(Anything, layout, sending, sizes, at)
        }
    )+ };
}

attachments! {
    split_driver, split_device, split_alike: AnyDriver, AnyDevice, AnySymmetric;
    packed_driver, packed_device, packed_alike: AnyPackedDriver, AnyPackedDevice, AnyPackedSymmetric;
}

/// Instantiates a link's methods for both roles.
macro_rules! links {
    ( $( $name:ident, $commit:ident, $send:ident, $read:ident, $release:ident, $wake:ident: $link:ty; )+ ) => { $(
        #[unsafe(no_mangle)]
        pub fn $name(link: &mut $link) -> Result<(TxBuffer, Option<RxBuffer>), Error> {
            let buffer = link.reserve()?;
            black_box(buffer.capacity());
            Ok((buffer, link.receive()?))
        }

        #[unsafe(no_mangle)]
        pub fn $commit(link: &mut $link, buffer: TxBuffer, at: u32, bytes: &[u8], len: u16) -> Result<(), Error> {
            link.write(&buffer, at, bytes)?;
            if bytes.is_empty() {
                return link.abandon(buffer);
            }
            link.commit(buffer, at, at, len)
        }

        #[unsafe(no_mangle)]
        pub fn $send(link: &mut $link, one: u32, two: u32, bytes: &[u8]) -> Result<Kick, Error> {
            link.send(one, two, bytes)?;
            Ok(link.flush())
        }

        #[unsafe(no_mangle)]
        pub fn $read(link: &mut $link, buffer: &RxBuffer, at: u32, into: &mut [u8]) -> Result<usize, Error> {
            black_box(buffer.header());
            link.read(buffer, at, into)
        }

        #[unsafe(no_mangle)]
        pub fn $release(link: &mut $link, buffer: RxBuffer) -> Result<(), Error> {
            link.release(buffer)
        }

        #[unsafe(no_mangle)]
        pub fn $wake(link: &mut $link, wanted: bool) -> Result<bool, Error> {
            Ok(link.wake_on_message(wanted)? && link.wake_on_buffer(wanted)?)
        }
    )+ };
}

links! {
    driver_take, driver_commit, driver_send, driver_read, driver_release, driver_wake: AnyDriver;
    device_take, device_commit, device_send, device_read, device_release, device_wake: AnyDevice;
    packed_driver_take, packed_driver_commit, packed_driver_send, packed_driver_read, packed_driver_release, packed_driver_wake: AnyPackedDriver;
    packed_device_take, packed_device_commit, packed_device_send, packed_device_read, packed_device_release, packed_device_wake: AnyPackedDevice;
    alike_take, alike_commit, alike_send, alike_read, alike_release, alike_wake: AnySymmetric;
    packed_alike_take, packed_alike_commit, packed_alike_send, packed_alike_read, packed_alike_release, packed_alike_wake: AnyPackedSymmetric;
}

/// Instantiates a session's methods for both roles.
macro_rules! sessions {
    ( $( $open:ident, $close:ident, $tell:ident, $poll:ident: $session:ty; )+ ) => { $(
        #[unsafe(no_mangle)]
        pub fn $open(session: &mut $session, address: Option<u32>) -> Result<Endpoint, Error> {
            session.open(address)
        }

        #[unsafe(no_mangle)]
        pub fn $close(session: &mut $session, endpoint: Endpoint) -> Result<(), Error> {
            session.close(endpoint)
        }

        #[unsafe(no_mangle)]
        pub fn $tell(session: &mut $session, endpoint: &Endpoint, name: &str, bytes: &[u8]) -> Result<Kick, Error> {
            session.announce(endpoint, ServiceName::new(name)?, Change::Created)?;
            session.send(endpoint, endpoint.address(), bytes)?;
            Ok(session.flush())
        }

        #[unsafe(no_mangle)]
        pub fn $poll(session: &mut $session, into: &mut [u8]) -> Result<Option<Event>, Error> {
            session.poll(into)
        }
    )+ };
}

sessions! {
    driver_open, driver_close, driver_tell, driver_poll: DriverSession;
    device_open, device_close, device_tell, device_poll: DeviceSession;
}

#[unsafe(no_mangle)]
pub fn names(message: &[u8], services: &mut Services<8>, prefix: &str) -> Result<(), Error> {
    let announcement = Announcement::parse(message)?;
    black_box(announcement.to_bytes());
    black_box(announcement.name.instance_of(prefix));
    services.apply(&announcement)?;
    black_box(services.address_of(&announcement.name));
    for (name, address) in services.iter() {
        black_box((name.as_str(), address));
    }
    Ok(())
}

#[unsafe(no_mangle)]
pub fn life_status(
    window: &Window,
    table: u64,
    entry: u32,
    vrings: u8,
) -> Result<StatusWord, Error> {
    let word = StatusWord::new(window, table, entry, vrings)?;
    black_box(word.load(&Anything));
    word.accept(&Anything, word.accepted(&Anything));
    Ok(word)
}

#[unsafe(no_mangle)]
pub fn life_driver(status: StatusWord, seed: u32) -> DriverLife {
    DriverLife::begin(&Anything, status, seed)
}

#[unsafe(no_mangle)]
pub fn life_driver_again(life: DriverLife, status: StatusWord) -> DriverLife {
    life.again(&Anything, status)
}

#[unsafe(no_mangle)]
pub fn life_driver_step(life: &mut DriverLife) -> DriverStep {
    life.wait_no_longer(&Anything);
    life.ready(&Anything);
    life.step(&Anything)
}

#[unsafe(no_mangle)]
pub fn life_driver_detach(life: DriverLife) {
    life.detach(&Anything);
}

#[unsafe(no_mangle)]
pub fn life_device(status: StatusWord) -> DeviceLife {
    DeviceLife::begin(&Anything, status)
}

#[unsafe(no_mangle)]
pub fn life_device_symmetric(life: DeviceLife) -> DeviceLife {
    life.symmetric()
}

#[unsafe(no_mangle)]
pub fn life_device_step(life: &mut DeviceLife) -> DeviceStep {
    life.renew(&Anything);
    life.ready(&Anything);
    life.step(&Anything)
}
