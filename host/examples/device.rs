//! A device: holds the meeting at which a driver gets its half of the window, and serves one echo after the other.
//!
//! `cargo run -p corewarden --example device -- /tmp/echo.link`, beside `--example driver`.

use std::path::Path;
use std::time::Duration;
use std::{env, thread};

use corewarden::hub::Options;
use corewarden::peer::{Meeting, Role, join};
use corewarden::place::Geometry;
use corewarden::{Access, Error, Limit};

fn main() -> Result<(), Error> {
    let path = env::args().nth(1).unwrap_or("/tmp/echo.link".to_owned());
    let meeting = Meeting::at(Path::new(&path), Geometry::default(), Access::default())?;
    thread::spawn(
        move || {
            while let Ok(()) = meeting.attend(Duration::from_secs(1)) {}
        },
    );

    let forever = Limit::after(Duration::MAX);
    let hub = join(Path::new(&path), Role::Device, Options::default(), forever)?;
    let mut echo = hub.serve("echo", forever)?;
    loop {
        let answered = echo
            .recv(forever)
            .and_then(|message| echo.send_to(message.source, &message.payload, forever));
        match answered {
            // The driver is gone: the next one finds the same service.
            Err(Error::PeerRestarted { .. }) => echo.reopen(forever)?,
            answered => answered?,
        }
    }
}
