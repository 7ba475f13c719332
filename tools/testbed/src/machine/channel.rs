//! A port and what has arrived on it so far, and the conversation that brings QEMU A up.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, Timespec, poll};
use serde_json::{Value, json};

use super::error::Fault;
use super::memory::{Memory, WINDOW_OFFSET, WINDOW_SIZE};
use super::port::Port;
use super::qemu::CARD_SLOT;
use super::{qmp, qtest};

/// A port, and what has arrived on it but is no whole message yet.
pub(super) struct Channel {
    pub(super) port: Port,
    pub(super) buffer: Vec<u8>,
}

/// Whatever refused the start, with QEMU's words where it had any.
pub(super) struct Refused {
    pub(super) fault: Fault,
    pub(super) words: String,
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            words: String::new(),
        }
    }
}

impl Channel {
    pub(super) fn pair() -> Result<(Self, OwnedFd), Fault> {
        let (port, end) = Port::pair()?;
        Ok((
            Self {
                port,
                buffer: Vec::new(),
            },
            end,
        ))
    }

    pub(super) fn receive(&mut self) {
        self.port.receive(&mut self.buffer);
    }

    /// Waits for the next whole line; only while nobody else needs the thread.
    fn next_line(&mut self, name: &'static str) -> Result<String, Fault> {
        let until = Instant::now() + START_LIMIT;
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            let left = until.saturating_duration_since(Instant::now());
            if !self.port.is_open() || left.is_zero() {
                return Err(Fault::Protocol { channel: name });
            }
            let time = Timespec {
                tv_sec: 0,
                tv_nsec: 100_000_000,
            };
            let _ = poll(
                &mut [PollFd::new(&self.port, self.port.interest())],
                Some(&time),
            );
            self.port.flush();
            self.receive();
        }
    }
}

/// Refuses every QEMU but 10.0, and makes its monitor listen.
pub(super) fn greet(monitor: &mut Channel) -> Result<(), Refused> {
    let line = monitor.next_line(MONITOR)?;
    match qmp::parse(&line) {
        Some(qmp::Message::Greeting {
            major: 10,
            minor: 0,
        }) => {}
        Some(qmp::Message::Greeting { major, minor }) => {
            return Err(Fault::QemuVersion { major, minor }.into());
        }
        _ => {
            return Err(Refused {
                fault: Fault::Protocol { channel: MONITOR },
                words: line,
            });
        }
    }
    ask(monitor, "qmp_capabilities", &Value::Null).map(|_| ())
}

fn ask(monitor: &mut Channel, name: &str, arguments: &Value) -> Result<Value, Refused> {
    monitor.port.send(qmp::command(name, arguments).as_bytes());
    loop {
        let line = monitor.next_line(MONITOR)?;
        match qmp::parse(&line) {
            Some(qmp::Message::Return(value)) => return Ok(value),
            Some(qmp::Message::Refused(words)) => {
                return Err(Refused {
                    fault: Fault::QmpRefused,
                    words: format!("{name}: {words}"),
                });
            }
            Some(qmp::Message::Event(_) | qmp::Message::Greeting { .. }) => {}
            None => {
                return Err(Refused {
                    fault: Fault::Protocol { channel: MONITOR },
                    words: line,
                });
            }
        }
    }
}

/// Plugs the shared window in, while A is stopped.
pub(super) fn plug_window(monitor: &mut Channel, memory: &Memory) -> Result<(), Refused> {
    let module = json!({ "driver": "pc-dimm", "addr": WINDOW_ADDRESS });
    plug(monitor, memory, "window", module)?;
    // The same bytes as a PCI device's memory, which a driver can give to user space.
    let card = json!({ "driver": "ivshmem-plain", "bus": CARD_SLOT });
    plug(monitor, memory, "card", card)
}

/// Plugs in a device that has the window's bytes.
fn plug(
    monitor: &mut Channel,
    memory: &Memory,
    name: &str,
    mut device: Value,
) -> Result<(), Refused> {
    let backend = json!({
        "qom-type": "memory-backend-file", "id": name, "size": WINDOW_SIZE, "mem-path": memory.path(),
        "offset": WINDOW_OFFSET, "share": true,
    });
    ask(monitor, "object-add", &backend)?;
    device["memdev"] = json!(name);
    ask(monitor, "device_add", &device).map(drop)
}

/// Lets A run.
pub(super) fn let_run(monitor: &mut Channel) -> Result<(), Refused> {
    ask(monitor, "cont", &Value::Null).map(|_| ())
}

/// The secure PL061 has no fixed name: it is the last of its type.
pub(super) fn find_lines(monitor: &mut Channel) -> Result<String, Refused> {
    let list = ask(monitor, "qom-list", &json!({ "path": UNATTACHED }))?;
    let name = list
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry.get("type").and_then(Value::as_str) == Some("child<pl061>"))
        .filter_map(|entry| entry.get("name").and_then(Value::as_str))
        .next_back()
        .ok_or(Fault::NoResetLine)?;
    Ok(format!("{UNATTACHED}/{name}"))
}

/// Watches every output of the device: from now on its changes arrive unasked.
pub(super) fn intercept(qtest: &mut Channel, device: &str) -> Result<(), Refused> {
    qtest.port.send(qtest::intercept_outputs(device).as_bytes());
    let line = qtest.next_line(QTEST)?;
    match qtest::parse(&line) {
        Some(qtest::Line::Done(None)) => Ok(()),
        _ => Err(Refused {
            fault: Fault::Protocol { channel: QTEST },
            words: line,
        }),
    }
}

const MONITOR: &str = "monitor";
const QTEST: &str = "qtest";
const UNATTACHED: &str = "/machine/unattached";
const START_LIMIT: Duration = Duration::from_secs(20);
const WINDOW_ADDRESS: u64 = 0x8000_0000;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    /// A channel on which QEMU has already said `words`; its end stays open.
    fn saying(words: &str) -> (Channel, UnixStream) {
        let (channel, end) = Channel::pair().unwrap();
        let mut qemu = UnixStream::from(end);
        qemu.write_all(words.as_bytes()).unwrap();
        (channel, qemu)
    }

    fn greeting(major: u64, minor: u64) -> String {
        let version = json!({ "qemu": { "major": major, "minor": minor, "micro": 1 } });
        format!("{}\n", json!({ "QMP": { "version": version } }))
    }

    #[test]
    fn qemu_10_0_is_greeted_and_made_to_listen() {
        let (mut monitor, mut qemu) = saying(&(greeting(10, 0) + "{\"return\": {}}\n"));
        assert!(greet(&mut monitor).is_ok());
        drop(monitor);
        let mut heard = String::new();
        qemu.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "{\"execute\":\"qmp_capabilities\"}\n");
    }

    #[test]
    fn every_other_qemu_is_refused_by_its_version() {
        for (major, minor) in [(7, 2), (9, 0), (10, 1), (11, 0)] {
            let (mut monitor, _qemu) = saying(&greeting(major, minor));
            let refused = greet(&mut monitor).err().unwrap();
            assert_eq!(refused.fault, Fault::QemuVersion { major, minor });
        }
    }

    #[test]
    fn events_before_an_answer_are_passed_over() {
        let (mut monitor, _qemu) = saying("{\"event\": \"RESUME\"}\n{\"return\": 7}\n");
        assert_eq!(ask(&mut monitor, "x", &Value::Null).ok(), Some(json!(7)));
    }

    #[test]
    fn a_refused_command_keeps_qemus_words() {
        let (mut monitor, _qemu) =
            saying("{\"error\": {\"class\": \"G\", \"desc\": \"no slot\"}}\n");
        let refused = ask(&mut monitor, "device_add", &Value::Null).err().unwrap();
        assert_eq!(refused.fault, Fault::QmpRefused);
        assert_eq!(refused.words, "device_add: no slot");
    }

    #[test]
    fn a_monitor_that_ends_is_no_protocol() {
        let (mut monitor, qemu) = saying("{\"retu");
        drop(qemu);
        let refused = ask(&mut monitor, "x", &Value::Null).err().unwrap();
        assert_eq!(refused.fault, Fault::Protocol { channel: MONITOR });
    }

    #[test]
    fn the_secure_pl061_is_the_last_one() {
        let list = json!([
            { "name": "device[3]", "type": "child<pl061>" },
            { "name": "device[9]", "type": "child<pl061>" },
            { "name": "device[10]", "type": "child<pl011>" },
        ]);
        let (mut monitor, _qemu) = saying(&format!("{}\n", json!({ "return": list })));
        let found = find_lines(&mut monitor).ok();
        assert_eq!(found.as_deref(), Some("/machine/unattached/device[9]"));
        let (mut monitor, _qemu) = saying("{\"return\": []}\n");
        let refused = find_lines(&mut monitor).err().unwrap();
        assert_eq!(refused.fault, Fault::NoResetLine);
    }

    #[test]
    fn a_device_that_cannot_be_watched_is_an_error() {
        let (mut watched, _qemu) = saying("OK\n");
        assert!(intercept(&mut watched, "/machine/x").is_ok());
        let (mut unwatched, _qemu) = saying("FAIL Unknown device\n");
        let refused = intercept(&mut unwatched, "/machine/x").err().unwrap();
        assert_eq!(refused.fault, Fault::Protocol { channel: QTEST });
        assert_eq!(refused.words, "FAIL Unknown device");
    }
}
