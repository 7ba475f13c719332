//! What `corewarden serve` is to do: a TOML file, checked as a whole before anything is opened.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rpmsg::ServiceName;
use serde::Deserialize;

use crate::hub::ENDPOINTS;
use crate::peer::Role;
use crate::socket::Access;

/// A configuration that was read and keeps all rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the sockets and terminals are.
    pub folder: PathBuf,
    /// Which link is served.
    pub link: Link,
    /// How long a client is kept whose service is not announced yet.
    pub patience: std::time::Duration,
    /// Messages that may wait for one client.
    pub queue: usize,
    /// Who may watch and capture.
    pub control: Access,
    /// What is served, and to whom.
    pub services: Vec<Service>,
}

/// Where the link comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// A core of the platform file, which is attached to.
    Core(u32),
    /// A meeting that another process holds.
    Meeting(PathBuf, Role),
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The name under which it is announced.
    pub name: ServiceName,
    /// Whether we announce it, for the peer to use.
    pub announce: bool,
    /// How it looks in Linux.
    pub face: Face,
    /// Its file in the folder.
    pub file: String,
    /// Who may use it.
    pub access: Access,
    /// How many may use it at once.
    pub clients: usize,
}

/// How a service looks in Linux.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Face {
    /// A Unix socket of packets, with an endpoint for each client.
    Raw,
    /// A pseudo-terminal.
    Tty,
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Each client, and each terminal, needs an endpoint of the link.
    #[error("the services want {wanted} endpoints, a link has {limit}; fewer `clients`, please")]
    Endpoints {
        /// Those wanted.
        wanted: usize,
        /// Those of a link.
        limit: usize,
    },
    /// Two services want the same file.
    #[error("two services have the file `{file}`; give one of them another by `file`")]
    FileTwice {
        /// The file.
        file: String,
    },
    /// A file name leads out of the folder, or is kept for something else.
    #[error(
        "`{file}` cannot be a service's file: a plain name other than `control`, without .lock or .new at its end, please"
    )]
    FileName {
        /// The file.
        file: String,
    },
    /// The link is to be a core or a meeting.
    #[error("[link] names {found} of `core` and `meeting`; exactly one, please")]
    Link {
        /// How many.
        found: &'static str,
    },
    /// A mode has other bits than those of permission.
    #[error("mode {mode:#o} has bits beyond 0o777")]
    Mode {
        /// The mode.
        mode: u32,
    },
    /// A service's name cannot be one.
    #[error("service `{name}`: {error}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        error: rpmsg::Error,
    },
    /// No user or group has this name.
    #[error("there is no {kind} `{name}` in /etc/{file}; a number works too", file = if *kind == "user" { "passwd" } else { "group" })]
    Nobody {
        /// User or group.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// The file is no TOML, or has other keys.
    #[error("{0}")]
    Toml(String),
}

impl Config {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        Self::parse_with(text, &Names::of_this_machine())
    }

    fn parse_with(text: &str, names: &Names) -> Result<Self, Wrong> {
        let file: File = toml::from_str(text).map_err(|error| Wrong::Toml(one_line(&error)))?;
        let mut taken = BTreeSet::new();
        let mut services = Vec::new();
        for service in file.service {
            let error = |error| Wrong::Name {
                name: service.name.clone(),
                error,
            };
            let name = ServiceName::new(&service.name).map_err(error)?;
            let file = service.file.unwrap_or(service.name);
            // Beside each socket its lock is kept, and its successor made.
            let kept = [CONTROL, ".", ".."].contains(&file.as_str())
                || [".lock", ".new"].iter().any(|end| file.ends_with(end));
            if kept || file.is_empty() || file.contains('/') {
                return Err(Wrong::FileName { file });
            }
            if !taken.insert(file.clone()) {
                return Err(Wrong::FileTwice { file });
            }
            services.push(Service {
                name,
                announce: service.announce,
                face: service.face,
                file,
                access: service.access.check(names)?,
                clients: match service.face {
                    Face::Tty => 1,
                    // Its share comes below.
                    Face::Raw => service.clients.unwrap_or(0),
                },
            });
        }
        share(&mut services)?;
        let link = match (file.link.core, file.link.meeting) {
            (Some(core), None) => Link::Core(core),
            (None, Some(place)) => Link::Meeting(place, file.link.role.into()),
            (None, None) => return Err(Wrong::Link { found: "none" }),
            (Some(_), Some(_)) => return Err(Wrong::Link { found: "both" }),
        };
        Ok(Config {
            folder: file.folder,
            link,
            patience: std::time::Duration::from_millis(file.patience),
            queue: file.queue.max(1),
            control: file.control.check(names)?,
            services,
        })
    }

    /// The socket at which `corewarden top` and `corewarden capture` ask.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.folder.join(CONTROL)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "default_folder")]
    folder: PathBuf,
    link: LinkPart,
    #[serde(default = "default_patience")]
    patience: u64,
    #[serde(default = "default_queue")]
    queue: usize,
    #[serde(default)]
    control: AccessPart,
    #[serde(default)]
    service: Vec<ServicePart>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkPart {
    core: Option<u32>,
    meeting: Option<PathBuf>,
    #[serde(default)]
    role: RolePart,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RolePart {
    Device,
    #[default]
    Driver,
}

impl From<RolePart> for Role {
    fn from(role: RolePart) -> Self {
        match role {
            RolePart::Device => Role::Device,
            RolePart::Driver => Role::Driver,
        }
    }
}

// Flattening and refusing unknown keys exclude each other, so the keys of access stand here again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, from = "RawServicePart")]
struct ServicePart {
    name: String,
    announce: bool,
    face: Face,
    file: Option<String>,
    clients: Option<usize>,
    access: AccessPart,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawServicePart {
    name: String,
    #[serde(default)]
    announce: bool,
    #[serde(default = "default_face")]
    face: Face,
    file: Option<String>,
    clients: Option<usize>,
    user: Option<Id>,
    group: Option<Id>,
    mode: Option<u32>,
}

impl From<RawServicePart> for ServicePart {
    fn from(raw: RawServicePart) -> Self {
        ServicePart {
            name: raw.name,
            announce: raw.announce,
            face: raw.face,
            file: raw.file,
            clients: raw.clients,
            access: AccessPart {
                user: raw.user,
                group: raw.group,
                mode: raw.mode,
            },
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessPart {
    user: Option<Id>,
    group: Option<Id>,
    mode: Option<u32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Number(u32),
    Name(String),
}

impl AccessPart {
    fn check(self, names: &Names) -> Result<Access, Wrong> {
        let mode = self.mode.unwrap_or(Access::default().mode);
        if mode > 0o777 {
            return Err(Wrong::Mode { mode });
        }
        let find = |id: Option<Id>, kind, text: &str| match id {
            None => Ok(None),
            Some(Id::Number(number)) => Ok(Some(number)),
            Some(Id::Name(name)) => number_of(text, &name)
                .map(Some)
                .ok_or(Wrong::Nobody { kind, name }),
        };
        Ok(Access {
            user: find(self.user, "user", &names.users)?,
            group: find(self.group, "group", &names.groups)?,
            mode,
        })
    }
}

/// Divides the endpoints that nobody asked for among those who did not say how many they need.
fn share(services: &mut [Service]) -> Result<(), Wrong> {
    let limit = ENDPOINTS;
    let asked = |services: &[Service]| {
        let clients = services.iter().map(|service| service.clients);
        clients.fold(0_usize, usize::saturating_add)
    };
    let shares = services.iter().filter(|service| service.clients == 0);
    let shares = shares.count();
    let left = limit.saturating_sub(asked(services));
    for service in &mut *services {
        if service.clients == 0 {
            service.clients = (left / shares).max(1);
        }
    }
    let wanted = asked(services);
    if wanted > limit {
        return Err(Wrong::Endpoints { wanted, limit });
    }
    Ok(())
}

/// The users and groups of /etc, where a system service's accounts are.
struct Names {
    users: String,
    groups: String,
}

impl Names {
    fn of_this_machine() -> Self {
        // Without these files there are no names, and whoever needs one is told so.
        let read =
            |name: &str| fs::read_to_string(Path::new("/etc").join(name)).unwrap_or_default();
        Names {
            users: read("passwd"),
            groups: read("group"),
        }
    }
}

/// The number in the third field of the line of this name.
fn number_of(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

/// A parser's message has the line and a picture of it; the last line says what is wrong.
fn one_line(error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', " ");
    match error.span() {
        Some(span) => format!("{message} (byte {})", span.start),
        None => message,
    }
}

fn default_folder() -> PathBuf {
    PathBuf::from("/run/corewarden")
}

fn default_patience() -> u64 {
    2000
}

fn default_queue() -> usize {
    256
}

fn default_face() -> Face {
    Face::Raw
}

/// The name of the control socket.
const CONTROL: &str = "control";

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            users: "root:x:0:0::/:\nmotor:x:700:800::/:\n".to_owned(),
            groups: "wheel:x:10:root\n".to_owned(),
        }
    }

    fn wrong(text: &str) -> Wrong {
        Config::parse_with(text, &names()).unwrap_err()
    }

    #[test]
    fn a_configuration_says_what_is_served_to_whom() {
        let text = r#"
            folder = "/run/motor"
            [link]
            meeting = "/run/motor.link"
            role = "device"
            [control]
            group = "wheel"
            mode = 0o660
            [[service]]
            name = "motor-left"
            user = "motor"
            [[service]]
            name = "console"
            face = "tty"
            file = "ttyMotor"
            announce = true
            user = 5
            mode = 0o620
        "#;
        let config = Config::parse_with(text, &names()).unwrap();
        let access = |user, group, mode| Access { user, group, mode };
        let name = |name| ServiceName::new(name).unwrap();
        let expected = Config {
            folder: PathBuf::from("/run/motor"),
            link: Link::Meeting(PathBuf::from("/run/motor.link"), Role::Device),
            patience: std::time::Duration::from_secs(2),
            queue: 256,
            control: access(None, Some(10), 0o660),
            services: vec![
                Service {
                    name: name("motor-left"),
                    announce: false,
                    face: Face::Raw,
                    file: "motor-left".to_owned(),
                    access: access(Some(700), None, 0o600),
                    clients: 63,
                },
                Service {
                    name: name("console"),
                    announce: true,
                    face: Face::Tty,
                    file: "ttyMotor".to_owned(),
                    access: access(Some(5), None, 0o620),
                    clients: 1,
                },
            ],
        };
        assert_eq!(config, expected);
        assert_eq!(config.control_socket(), Path::new("/run/motor/control"));
    }

    #[test]
    fn each_rule_of_the_configuration_is_kept_by_name() {
        let service = |rest: &str| format!("[link]\ncore = 0\n[[service]]\nname = \"a\"\n{rest}");
        for file in ["../x", "control", "", "..", "b.lock", "a.new"] {
            let refused = wrong(&service(&format!("file = \"{file}\"")));
            let file = file.to_owned();
            assert_eq!(refused, Wrong::FileName { file });
        }
        let twice = service("[[service]]\nname = \"b\"\nfile = \"a\"");
        let file = "a".to_owned();
        assert_eq!(wrong(&twice), Wrong::FileTwice { file });
        assert_eq!(wrong("[link]\n"), Wrong::Link { found: "none" });
        let both = "[link]\ncore = 0\nmeeting = \"x\"";
        assert_eq!(wrong(both), Wrong::Link { found: "both" });
        let mode = 0o1000;
        assert_eq!(wrong(&service("mode = 0o1000")), Wrong::Mode { mode });
        let (kind, name) = ("user", "nobody-here".to_owned());
        let nobody = service("user = \"nobody-here\"");
        assert_eq!(wrong(&nobody), Wrong::Nobody { kind, name });
        let long = "[link]\ncore = 0\n[[service]]\nname = \"a b\"";
        let error = rpmsg::Error::NameCharacter { at: 1 };
        let name = "a b".to_owned();
        assert_eq!(wrong(long), Wrong::Name { name, error });
        let many = service("clients = 60\n[[service]]\nname = \"b\"\nclients = 5");
        let (wanted, limit) = (65, 64);
        assert_eq!(wrong(&many), Wrong::Endpoints { wanted, limit });
        assert!(
            matches!(wrong(&service("colour = 1")), Wrong::Toml(text) if text.contains("colour"))
        );
    }
}
