#![no_std]
#![no_main]
//! The smallest echo device: what the ring engine costs a Cortex-M4.
//!
//! It waits for DRIVER_OK, announces one service at a fixed address and sends every message for it back, copied from buffer to
//! buffer. All checks of the engine are there; what the peers' figures leave out is left out too: resource table, log, counters
//! and generations. `cargo xtask bench footprint` builds it, lets it answer in QEMU and counts its bytes.

mod hardware;

use core::mem::MaybeUninit;

use rpmsg::{
    Announcement, Change, Device, Error, LinkLayout, NAME_SERVICE_ADDRESS, Quirks, Ring, RxBuffer,
    ServiceName, StatusWord, TxBuffer, VringLayout, Window,
};

use hardware::{SIZE, Shared, WINDOW, forget_bell, ring_bell, sleep};

/// A link with rings of 8 descriptors.
type Link = Device<Shared, 8>;

/// Serves one driver after the other.
fn serve(place: &mut MaybeUninit<Link>) -> ! {
    loop {
        forget_bell();
        if STATUS.load(&Shared).is_ready()
            && let Ok(link) = Device::attach(Shared, LAYOUT, 1, Quirks::default())
        {
            // A broken link answers nothing until the driver resets the device, as one without generations has to.
            let _ = work(place.write(link));
        }
        sleep();
    }
}

/// Answers until the driver lets go.
fn work(link: &mut Link) -> Result<(), Error> {
    link.wake_on_buffer(true)?;
    link.send(ADDRESS, NAME_SERVICE_ADDRESS, &ANNOUNCEMENT)?;
    while STATUS.load(&Shared).is_ready() {
        forget_bell();
        let answered = echo(link);
        let kick = link.flush();
        for ring in [Ring::ToDriver, Ring::ToDevice] {
            if kick.wants(ring) {
                ring_bell(ring.number());
            }
        }
        // Without a message, or a buffer for its answer, there is nothing to do; who lied has to ring again.
        if !matches!(answered, Ok(true)) {
            sleep();
        }
    }
    Ok(())
}

/// Answers one message; whether there was one.
fn echo(link: &mut Link) -> Result<bool, Error> {
    // First the buffer: a message that is taken is answered.
    let answer = link.reserve()?;
    match link.receive() {
        Ok(Some(message)) => {
            let result = reply(link, &message, answer);
            link.release(message)?;
            result.and(Ok(true))
        }
        nothing => {
            link.abandon(answer)?;
            nothing.and(Ok(false))
        }
    }
}

/// Sends a message back where it came from.
fn reply(link: &mut Link, message: &RxBuffer, answer: TxBuffer) -> Result<(), Error> {
    let header = message.header();
    if header.destination != ADDRESS {
        return link.abandon(answer);
    }
    let mut piece = [0; 16];
    let mut at = 0;
    while let Ok(len @ 1..) = link.read(message, at, &mut piece) {
        let copied = link.write(&answer, at, piece.get(..len).unwrap_or_default());
        if copied.is_err() {
            // Longer than the buffer for the answer, as `commit` will find too.
            break;
        }
        at += 16;
    }
    link.commit(answer, ADDRESS, header.source, header.len)
}

/// Where everything is; what does not fit does not compile.
const LAYOUT: LinkLayout = {
    let (Ok(to_driver), Ok(to_device)) = (
        VringLayout::new(&SEEN, BASE + 0x1000, 8, 16),
        VringLayout::new(&SEEN, BASE + 0x1200, 8, 16),
    ) else {
        panic!("the rings do not fit")
    };
    match LinkLayout::new(SEEN, to_driver, to_device, BASE + 0x2000, 16 * 512) {
        Ok(layout) => layout,
        Err(_) => panic!("the buffers do not fit"),
    }
};
const SEEN: Window = match Window::new(BASE, SIZE) {
    Ok(window) => window,
    Err(_) => panic!("no window"),
};
const BASE: u64 = WINDOW as u64;
/// The status byte of the vdev entry at 24 bytes into the first page.
const STATUS: StatusWord = match StatusWord::new(&SEEN, BASE, 24, 2) {
    Ok(status) => status,
    Err(_) => panic!("no status"),
};
const ADDRESS: u32 = 1024;
const ANNOUNCEMENT: [u8; 40] = {
    let Ok(name) = ServiceName::new("corewarden-echo") else {
        panic!("no name")
    };
    let announcement = Announcement {
        name,
        address: ADDRESS,
        change: Change::Created,
    };
    announcement.to_bytes()
};
