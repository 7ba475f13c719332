//! The messages of QEMU's monitor: what we send, and what comes back.

use serde_json::{Map, Value, json};

/// A message from QEMU.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    /// Something happened in the machine, unasked.
    Event(String),
    /// The first message.
    Greeting { major: u64, minor: u64 },
    /// A command was refused, with QEMU's words.
    Refused(String),
    /// A command was carried out.
    Return(Value),
}

/// Reads one line. `None`: not QMP.
pub(super) fn parse(line: &str) -> Option<Message> {
    let mut message: Map<String, Value> = serde_json::from_str(line).ok()?;
    if let Some(greeting) = message.get("QMP") {
        let version = greeting.get("version")?.get("qemu")?;
        let number = |part: &str| version.get(part)?.as_u64();
        return Some(Message::Greeting {
            major: number("major")?,
            minor: number("minor")?,
        });
    }
    if let Some(event) = message.get("event") {
        return Some(Message::Event(event.as_str()?.to_owned()));
    }
    if let Some(error) = message.get("error") {
        return Some(Message::Refused(error.get("desc")?.as_str()?.to_owned()));
    }
    message.remove("return").map(Message::Return)
}

/// Writes a command.
pub(super) fn command(name: &str, arguments: &Value) -> String {
    let mut line = match arguments {
        Value::Null => json!({ "execute": name }),
        _ => json!({ "execute": name, "arguments": arguments }),
    }
    .to_string();
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_message_is_understood() {
        let greeting = r#"{"QMP": {"version": {"qemu": {"micro": 13, "minor": 0, "major": 10},
            "package": "Debian"}, "capabilities": ["oob"]}}"#;
        assert_eq!(
            parse(greeting),
            Some(Message::Greeting {
                major: 10,
                minor: 0
            })
        );
        let event = r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESET", "data": {"guest": true}}"#;
        assert_eq!(parse(event), Some(Message::Event("RESET".to_owned())));
        let refused = r#"{"error": {"class": "GenericError", "desc": "no such device"}}"#;
        assert_eq!(
            parse(refused),
            Some(Message::Refused("no such device".to_owned()))
        );
        assert_eq!(
            parse(r#"{"return": {"a": 1}}"#),
            Some(Message::Return(json!({ "a": 1 })))
        );
    }

    #[test]
    fn other_lines_are_not_taken_for_messages() {
        for line in [
            "",
            "{}",
            "[]",
            "OK",
            r#"{"QMP": {}}"#,
            r#"{"event": 3}"#,
            r#"{"error": "x"}"#,
            r#"{"return""#,
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_command_is_one_line() {
        assert_eq!(command("cont", &Value::Null), "{\"execute\":\"cont\"}\n");
        let line = command("qom-list", &json!({ "path": "/machine" }));
        assert_eq!(
            line,
            "{\"arguments\":{\"path\":\"/machine\"},\"execute\":\"qom-list\"}\n"
        );
    }
}
