#![no_std]
#![no_main]
//! Answers every message over packed rings, or over split ones for a driver that knows no others.

use corewarden_firmware::echo::{Image, Serve, Service, serve_with};
use rpmsg::{Error, Kick, LinkLayout, Packed, Split};

corewarden_firmware::image!(
    serve,
    Image {
        packed: true,
        ..Image::PLAIN
    }
);

fn serve(image: Image) -> ! {
    serve_with::<Either>(image, ["corewarden-echo packed", "corewarden-echo packed"])
}

#[expect(
    clippy::large_enum_variant,
    reason = "there is no heap, and one of them"
)]
enum Either {
    Packed(Service<Packed>),
    Split(Service<Split>),
}

impl Serve for Either {
    fn new(layout: LinkLayout, generation: u32) -> Result<Self, Error> {
        // A queue refuses rings of the other kind (rpmsg-rings.md, R1).
        match Service::new(layout, generation) {
            Err(Error::RingKind { .. }) => Service::new(layout, generation).map(Self::Split),
            service => service.map(Self::Packed),
        }
    }

    fn work(
        &mut self,
        prefix: &[u8],
        answered: &mut u32,
        runs: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        match self {
            Self::Packed(service) => service.work(prefix, answered, runs),
            Self::Split(service) => service.work(prefix, answered, runs),
        }
    }

    fn flush(&mut self) -> Kick {
        match self {
            Self::Packed(service) => service.flush(),
            Self::Split(service) => service.flush(),
        }
    }
}
