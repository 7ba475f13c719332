//! The link of a core, from this Linux.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use corewarden::{
    Error,
    cli::{Machine, ThisMachine},
    hub::{Hub, Options},
    place::{Place, Target},
    shared_memory::Window,
    ta::Client,
};
use platform::Platform;
use rpmsg::Features;

/// A hub that attaches to the core, does no more than these features, and asks the TA anew at each attach.
pub(crate) fn hub(core: u32, features: Features) -> Result<Hub> {
    hub_at(core, features, None, Ok)
}

/// The same, over this window and at the place that this makes of the firmware's.
pub(crate) fn hub_at(
    core: u32,
    features: Features,
    window: Option<Window>,
    place: impl Fn(Place) -> Result<Place, Error> + Send + 'static,
) -> Result<Hub> {
    let text = fs::read_to_string("/etc/corewarden/platform.toml")?;
    let platform = Platform::try_from(toml::from_str::<platform::File>(&text)?)?;
    let found = platform.core(core).context("the platform has this core")?;
    let mut machine = ThisMachine::default();
    let bell = machine.doorbell(found)?;
    let window = window.map_or_else(|| machine.window(found), Ok)?;
    let find = move |window: &Window| {
        let mut client = Client::open(ThisMachine::default().transport()?, core)?;
        let (state, master) = (client.state()?, client.master_table()?);
        let target = Target {
            core: platform.core(core).ok_or(Error::PlatformCore { core })?,
            master: &master.bytes,
            starts: state.start_counter,
            device: 0,
            handshake: PATIENCE,
        };
        place(Place::find(&target, window)?)
    };
    let options = Options {
        features,
        handshake: PATIENCE,
        ..Options::default()
    };
    Ok(Hub::driver(find, window, bell, options)?)
}

/// Packed rings where the core offers them.
pub(crate) fn features() -> Features {
    Options::default().features.with(Features::PACKED_RING)
}

/// How long the core may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
