#![no_std]
#![no_main]
//! The smallest echo device: what the ring engine costs a Cortex-M4.
//!
//! It waits for DRIVER_OK, announces one service at a fixed address and sends every message for it back, copied out of its
//! buffer and into another. All checks of the engine are there; what the peers' figures leave out is left out too: resource
//! table, log, counters and generations. `cargo xtask bench footprint` builds it, lets it answer in QEMU and counts its bytes.

mod hardware;

use core::mem::MaybeUninit;

use rpmsg::{
    Announcement, Change, DeviceQueue, LinkLayout, NAME_SERVICE_ADDRESS, Quirks, Ring, ServiceName,
    Split, StatusWord, VringLayout, Window,
};

use hardware::{SIZE, Shared, WINDOW, forget_bell, ring_bell, sleep};

/// A link with rings of 8 descriptors, for which no event indices are agreed on.
type Link = rpmsg::Link<Shared, DeviceQueue<8, Split<false>>>;

/// Serves one driver after the other.
#[inline(always)]
fn serve(place: &mut MaybeUninit<Link>) -> ! {
    loop {
        forget_bell();
        if STATUS.load(&Shared).is_ready()
            && let Ok(link) = Link::attach(Shared, LAYOUT, 1, Quirks::default())
        {
            // A broken link answers nothing until the driver resets the device, as one without generations has to.
            work(place.write(link));
        }
        sleep();
    }
}

/// Announces its service, and answers until the driver lets go.
fn work(link: &mut Link) {
    let mut payload = [0; 512];
    // Nothing is stored of what is zero in an announcement, as it is here.
    if let Some(name) = payload.first_chunk_mut() {
        *name = NAME;
    }
    if let Some(address) = payload.get_mut(ADDRESS_AT..ADDRESS_END) {
        address.copy_from_slice(&ADDRESS.to_le_bytes());
    }
    // What waits to be sent to whom: at first, what nobody asked for.
    let mut answer = Some((NAME_SERVICE_ADDRESS, ANNOUNCEMENT.len()));
    while STATUS.load(&Shared).is_ready() {
        forget_bell();
        let mut busy = false;
        // Nothing is received before there is a buffer to answer in.
        if let Ok(true) = link.wake_on_buffer(true) {
            if answer.is_none() {
                // Who lied has to ring again.
                let _ = link.receive_all(1, &mut payload, |header, bytes| {
                    busy = true;
                    if header.destination == ADDRESS {
                        answer = Some((header.source, bytes.len()));
                    }
                });
            }
            if let Some((to, len)) = answer.take() {
                busy = true;
                // One that does not fit into the buffer it got is not sent.
                let _ = link.send(ADDRESS, to, payload.get(..len).unwrap_or_default());
            }
        }
        let kick = link.flush();
        if kick.wants(Ring::ToDriver) {
            ring_bell(Ring::ToDriver);
        }
        if kick.wants(Ring::ToDevice) {
            ring_bell(Ring::ToDevice);
        }
        if !busy {
            sleep();
        }
    }
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
/// All that is not zero in the announcement, but for the address at 32 bytes.
const NAME: [u8; 16] = {
    let mut rest: &[u8] = &ANNOUNCEMENT;
    while let Some((byte, before)) = rest.split_last() {
        rest = before;
        let place = before.len();
        assert!(*byte == 0 || place < 16 || place >= ADDRESS_AT && place < ADDRESS_END);
    }
    match ANNOUNCEMENT.first_chunk() {
        Some(name) => *name,
        None => panic!("no name"),
    }
};
const ADDRESS_AT: usize = 32;
const ADDRESS_END: usize = 36;
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
