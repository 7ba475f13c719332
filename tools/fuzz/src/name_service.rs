//! Announcements, and the list of services that follows from them.

use rpmsg::{Announcement, Change, Error, ServiceName, Services};

/// Announcements one after the other, each with a byte for its length in front.
pub fn name_service(input: &[u8]) {
    let mut services = Services::<ROOM>::new();
    let mut known: Vec<(ServiceName, u32)> = Vec::new();
    let mut rest = input;
    while let Some((length, behind)) = rest.split_first() {
        let (message, behind) = behind.split_at(behind.len().min((*length).into()));
        rest = behind;
        if let Ok(announcement) = Announcement::parse(message) {
            judge(&announcement);
            apply(&mut services, &mut known, &announcement);
        }
        named(message);
    }
}

/// What is read is what would be sent.
fn judge(announcement: &Announcement) {
    let Announcement { name, address, .. } = *announcement;
    assert_eq!(
        Announcement::parse(&announcement.to_bytes()),
        Ok(*announcement)
    );
    assert!((1..=31).contains(&name.as_str().len()), "{name:?}");
    assert!(
        name.as_str().bytes().all(|byte| byte.is_ascii_graphic()),
        "{name:?}"
    );
    assert_ne!(address, rpmsg::ANY_ADDRESS);
    assert_eq!(ServiceName::new(name.as_str()), Ok(name));
    assert_eq!(name.instance_of(name.as_str()), Some(""));
}

/// The list does what a list without a limit would do, within its limit.
fn apply(
    services: &mut Services<ROOM>,
    known: &mut Vec<(ServiceName, u32)>,
    announcement: &Announcement,
) {
    let Announcement {
        name,
        address,
        change,
    } = *announcement;
    let expected = match change {
        Change::Created if known.iter().any(|(_, at)| *at == address) => {
            Err(Error::ServiceRepeated { address })
        }
        Change::Created if known.len() == ROOM => Err(Error::ServicesExhausted { limit: ROOM }),
        Change::Created => {
            known.push((name, address));
            Ok(())
        }
        Change::Destroyed => match known.iter().position(|one| *one == (name, address)) {
            Some(at) => {
                known.remove(at);
                Ok(())
            }
            None => Err(Error::ServiceUnknown { address }),
        },
    };
    assert_eq!(services.apply(announcement), expected);
    assert_eq!(services.iter().count(), known.len());
    for (name, address) in known {
        assert!(services.iter().any(|one| one == (*name, *address)));
        assert!(services.address_of(name).is_some());
    }
}

/// Any text as a name.
fn named(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(name) = ServiceName::new(text)
    {
        assert_eq!(name.as_str(), text);
    }
}

/// Few, so that the list is full soon.
const ROOM: usize = 4;
