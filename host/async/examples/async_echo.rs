//! An echo with tokio: a device that serves one driver after the other, beside whatever else its runtime does.
//!
//! `cargo run -p corewarden-async --example async_echo -- /tmp/echo.link`, beside `cargo run -p corewarden --example driver`.

use std::path::Path;
use std::time::Duration;
use std::{env, thread};

use corewarden::hub::Options;
use corewarden::peer::{Meeting, Role, join};
use corewarden::place::Geometry;
use corewarden::{Access, Error, Limit};
use corewarden_async::{AsyncEndpoint, AsyncHub};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let path = env::args().nth(1).unwrap_or("/tmp/echo.link".to_owned());
    let meeting = Meeting::at(Path::new(&path), Geometry::default(), Access::default())?;
    thread::spawn(
        move || {
            while let Ok(()) = meeting.attend(Duration::from_secs(1)) {}
        },
    );

    let patience = Limit::after(Duration::from_secs(10));
    let hub = join(Path::new(&path), Role::Device, Options::default(), patience)?;
    let hub = AsyncHub::new(hub)?;
    // Two services, each in a task of its own.
    let shout = tokio::spawn(serve(hub.clone(), "shout", |text| {
        text.to_ascii_uppercase()
    }));
    serve(hub, "echo", <[u8]>::to_vec).await?;
    shout.await.unwrap_or(Ok(()))
}

/// Answers every message, on one link after the other.
async fn serve(hub: AsyncHub, name: &str, answer: fn(&[u8]) -> Vec<u8>) -> Result<(), Error> {
    let mut endpoint = hub.serve(name).await?;
    loop {
        match answer_all(&endpoint, answer).await {
            // The driver is gone: the next one finds the same service.
            Err(Error::PeerRestarted { .. }) => endpoint.reopen().await?,
            ended => return ended,
        }
    }
}

async fn answer_all(endpoint: &AsyncEndpoint, answer: fn(&[u8]) -> Vec<u8>) -> Result<(), Error> {
    loop {
        let message = endpoint.recv().await?;
        let bytes = answer(&message.payload);
        endpoint.send_to(message.source, &bytes).await?;
    }
}
