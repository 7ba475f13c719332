//! A driver: asks the echo service of a device in another process, over a window that a meeting hands out.
//!
//! `cargo run -p corewarden --example driver -- /tmp/echo.link hello`, beside `--example device`.

use std::env;
use std::path::Path;
use std::time::Duration;

use corewarden::hub::Options;
use corewarden::peer::{Role, join};
use corewarden::{Error, Limit};

fn main() -> Result<(), Error> {
    let mut arguments = env::args().skip(1);
    let path = arguments.next().unwrap_or("/tmp/echo.link".to_owned());
    let text = arguments.next().unwrap_or("hello".to_owned());
    let patience = Limit::after(Duration::from_secs(10));

    let hub = join(Path::new(&path), Role::Driver, Options::default(), patience)?;
    let echo = hub.connect("echo", patience)?;
    echo.send(text.as_bytes(), patience)?;
    let answer = echo.recv(patience)?;
    println!("{}", String::from_utf8_lossy(&answer.payload));
    Ok(())
}
