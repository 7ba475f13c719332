//! A terminal: makes a service of the other side a pseudo-terminal of Linux, as `corewarden serve` does for many at once.
//!
//! `cargo run -p corewarden --example tty -- /tmp/echo.link /tmp/terminals`, beside `--example device`; then
//! `picocom /tmp/terminals/ttyEcho` shows what is typed. It ends by Ctrl-C, and removes what it made.

use std::error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use std::{env, fs};

use corewarden::Limit;
use corewarden::hub::Options;
use corewarden::peer::{Role, join};
use corewarden::serve::{Config, Server};

fn main() -> Result<(), Box<dyn error::Error>> {
    let mut arguments = env::args().skip(1);
    let path = arguments.next().unwrap_or("/tmp/echo.link".to_owned());
    let folder = arguments.next().unwrap_or("/tmp/terminals".to_owned());
    let called_off = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&called_off))?;
    }

    let patience = Limit::after(Duration::from_secs(10));
    let hub = join(Path::new(&path), Role::Driver, Options::default(), patience)?;
    let config = Config::parse(&format!(
        "folder = {folder:?}\n\
         [link]\nmeeting = {path:?}\n\
         [[service]]\nname = \"echo\"\nface = \"tty\"\nfile = \"ttyEcho\"\n"
    ))?;
    fs::create_dir_all(&folder)?;
    let mut server = Server::new(&config, hub)
        .map_err(|(error, file)| format!("{}: {error}", file.display()))?;
    println!("{folder}/ttyEcho");
    Ok(server.run(&called_off)?)
}
