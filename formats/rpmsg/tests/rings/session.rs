//! Endpoints, addresses and the name service.

use rpmsg::{
    ANY_ADDRESS, Announcement, Change, DYNAMIC_ADDRESSES, DeviceQueue, DriverQueue, Error, Event,
    NAME_SERVICE_ADDRESS, ServiceName, Services, Session,
};

use crate::support::{CAPACITY, Memory, Side, device, driver};

type Host<'a> = Session<Side<'a>, DriverQueue<CAPACITY>, 3>;
type Core<'a> = Session<Side<'a>, DeviceQueue<CAPACITY>, 2>;

fn pair(memory: &Memory) -> (Host<'_>, Core<'_>) {
    (Session::new(driver(memory)), Session::new(device(memory)))
}

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

#[test]
fn a_service_is_announced_found_used_and_withdrawn() {
    let memory = Memory::new();
    let (mut host, mut core) = pair(&memory);
    let mut bytes = [0; 64];
    let echo = core.open(None).unwrap();
    core.announce(&echo, name("corewarden-echo"), Change::Created)
        .unwrap();
    assert!(core.flush().is_needed());

    let mut services = Services::<4>::new();
    let Some(Event::Service(found)) = host.poll(&mut bytes).unwrap() else {
        panic!("no announcement");
    };
    services.apply(&found).unwrap();
    let address = services.address_of(&name("corewarden-echo")).unwrap();
    assert_eq!(address, echo.address());

    let client = host.open(None).unwrap();
    host.send(&client, address, b"ping").unwrap();
    let _ = host.flush();
    let Some(Event::Message { header, copied }) = core.poll(&mut bytes).unwrap() else {
        panic!("no message");
    };
    assert_eq!(
        (header.source, header.destination),
        (client.address(), address)
    );
    assert_eq!(&bytes[..copied], b"ping");

    core.announce(&echo, name("corewarden-echo"), Change::Destroyed)
        .unwrap();
    let _ = core.flush();
    let Some(Event::Service(gone)) = host.poll(&mut bytes).unwrap() else {
        panic!("no announcement");
    };
    services.apply(&gone).unwrap();
    assert_eq!(services.iter().count(), 0);
}

#[test]
fn dynamic_addresses_begin_at_1024_and_are_not_given_again_soon() {
    let memory = Memory::new();
    let (mut host, _) = pair(&memory);
    let first = host.open(None).unwrap();
    assert_eq!(first.address(), DYNAMIC_ADDRESSES);
    host.close(first).unwrap();
    assert_eq!(host.open(None).unwrap().address(), DYNAMIC_ADDRESSES + 1);
    // A fixed one in the way is stepped over.
    host.open(Some(DYNAMIC_ADDRESSES + 2)).unwrap();
    assert_eq!(host.open(None).unwrap().address(), DYNAMIC_ADDRESSES + 3);
    assert_eq!(host.open(None), Err(Error::EndpointsExhausted { limit: 3 }));
}

#[test]
fn a_static_channel_needs_no_announcement() {
    let memory = Memory::new();
    let (mut host, mut core) = pair(&memory);
    let mine = host.open(Some(40)).unwrap();
    core.open(Some(41)).unwrap();
    host.send(&mine, 41, b"x").unwrap();
    let _ = host.flush();
    assert!(matches!(
        core.poll(&mut [0; 8]),
        Ok(Some(Event::Message { copied: 1, .. }))
    ));
}

#[test]
fn an_address_in_use_or_reserved_is_refused() {
    let memory = Memory::new();
    let (mut host, _) = pair(&memory);
    host.open(Some(40)).unwrap();
    for address in [40, NAME_SERVICE_ADDRESS, ANY_ADDRESS] {
        assert_eq!(
            host.open(Some(address)),
            Err(Error::AddressTaken { address })
        );
    }
}

#[test]
fn a_message_for_nobody_is_refused_and_its_buffer_goes_back() {
    let memory = Memory::new();
    let (mut host, mut core) = pair(&memory);
    let mine = host.open(None).unwrap();
    core.open(Some(7)).unwrap();
    for _ in 0..40 {
        host.send(&mine, 9, b"x").unwrap();
        host.send(&mine, 7, b"y").unwrap();
        let _ = host.flush();
        assert_eq!(
            core.poll(&mut [0; 8]),
            Err(Error::NoSuchEndpoint { address: 9 })
        );
        assert!(matches!(
            core.poll(&mut [0; 8]),
            Ok(Some(Event::Message { .. }))
        ));
        let _ = core.flush();
    }
}

#[test]
fn a_message_for_any_address_is_for_nobody() {
    let memory = Memory::new();
    let (mut host, mut core) = pair(&memory);
    let mine = host.open(None).unwrap();
    // One of the two places for endpoints stays free.
    core.open(Some(7)).unwrap();
    host.send(&mine, ANY_ADDRESS, b"x").unwrap();
    let _ = host.flush();
    let address = ANY_ADDRESS;
    let refused = core.poll(&mut [0; 8]);
    assert_eq!(refused, Err(Error::NoSuchEndpoint { address }));
}

#[test]
fn endpoints_whose_addresses_share_a_place_are_told_apart() {
    let memory = Memory::new();
    let (mut host, mut core) = pair(&memory);
    let mine = host.open(None).unwrap();
    // Both are even, and there are two places.
    let first = core.open(Some(40)).unwrap();
    let second = core.open(Some(42)).unwrap();
    for (address, open) in [(40, true), (42, true), (44, false), (41, false)] {
        host.send(&mine, address, b"x").unwrap();
        let _ = host.flush();
        match core.poll(&mut [0; 8]) {
            Ok(Some(Event::Message { header, .. })) => {
                assert_eq!((header.destination, true), (address, open));
            }
            other => assert_eq!(
                (other, false),
                (Err(Error::NoSuchEndpoint { address }), open)
            ),
        }
        let _ = core.flush();
    }
    core.send(&second, mine.address(), b"y").unwrap();
    core.close(first).unwrap();
    core.send(&second, mine.address(), b"z").unwrap();
    assert_eq!(
        core.send(&first, mine.address(), b"z"),
        Err(Error::NoSuchEndpoint { address: 40 })
    );
}

#[test]
fn a_closed_endpoint_neither_sends_nor_receives() {
    let memory = Memory::new();
    let (mut host, mut core) = pair(&memory);
    let gone = core.open(Some(9)).unwrap();
    let mine = host.open(None).unwrap();
    core.close(gone).unwrap();
    let nobody = Error::NoSuchEndpoint { address: 9 };
    assert_eq!(core.send(&gone, 1, b"x"), Err(nobody));
    host.send(&mine, 9, b"x").unwrap();
    let _ = host.flush();
    assert_eq!(core.poll(&mut [0; 8]), Err(nobody));
}

#[test]
fn an_endpoint_of_an_older_generation_is_refused() {
    let memory = Memory::new();
    let (mut host, _) = pair(&memory);
    let old = host.open(None).unwrap();
    let link = rpmsg::Driver::attach(
        memory.driver(),
        crate::support::layout(),
        64,
        2,
        rpmsg::Quirks::default(),
    );
    let mut host: Host<'_> = Session::new(link.unwrap());
    let restarted = Err(Error::PeerRestarted { handle: 1, link: 2 });
    assert_eq!(host.send(&old, 1, b"x"), restarted);
    assert_eq!(host.close(old), restarted);
    assert_eq!(host.announce(&old, name("x"), Change::Created), restarted);
    // Opening anew works.
    let new = host.open(None).unwrap();
    host.send(&new, 1, b"x").unwrap();
}

#[test]
fn a_message_longer_than_the_callers_buffer_is_cut_and_says_so() {
    let memory = Memory::new();
    let (mut host, mut core) = pair(&memory);
    let mine = host.open(None).unwrap();
    core.open(Some(7)).unwrap();
    host.send(&mine, 7, b"0123456789").unwrap();
    let _ = host.flush();
    let mut small = [0; 5];
    let Some(Event::Message { header, copied }) = core.poll(&mut small).unwrap() else {
        panic!("no message");
    };
    assert_eq!((header.len, copied), (10, 5));
    assert_eq!(&small, b"01234");
}

/// What a core sends to the name service, and what the host makes of it.
fn announced(message: &[u8]) -> Result<Option<Event>, Error> {
    let memory = Memory::new();
    let mut host: Host<'_> = Session::new(driver(&memory));
    let mut core = device(&memory);
    core.send(1024, NAME_SERVICE_ADDRESS, message).unwrap();
    let _ = core.flush();
    host.poll(&mut [0; 64])
}

#[test]
fn the_bytes_of_an_announcement() {
    // Golden: name[32], address, flags; if this fails, do not change the test.
    let bytes = Announcement {
        name: name("rpmsg-tty"),
        address: 0x0403_0201,
        change: Change::Destroyed,
    }
    .to_bytes();
    let mut golden = *b"rpmsg-tty\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0????\0\0\0\0";
    golden[32..36].copy_from_slice(&[1, 2, 3, 4]);
    golden[36] = 1;
    assert_eq!(bytes, golden);
    assert_eq!(Announcement::parse(&bytes).unwrap().to_bytes(), bytes);
}

#[test]
fn an_announcement_has_40_bytes() {
    let whole = Announcement {
        name: name("x"),
        address: 1,
        change: Change::Created,
    }
    .to_bytes();
    assert!(matches!(announced(&whole), Ok(Some(Event::Service(_)))));
    for len in [0, 1, 39] {
        assert_eq!(
            announced(&whole[..len]),
            Err(Error::AnnouncementLength { len: len as u32 })
        );
    }
    let mut longer = whole.to_vec();
    longer.push(0);
    assert_eq!(
        announced(&longer),
        Err(Error::AnnouncementLength { len: 41 })
    );
}

#[test]
fn what_a_peer_left_behind_the_end_of_a_name_is_no_part_of_it() {
    let clean = Announcement {
        name: name("x"),
        address: 1,
        change: Change::Created,
    };
    let mut bytes = clean.to_bytes();
    bytes[2..32].fill(b'?');
    let left_over = Announcement::parse(&bytes).unwrap();
    assert_eq!(left_over, clean);
    let mut services = Services::<1>::new();
    services.apply(&left_over).unwrap();
    assert_eq!(services.address_of(&name("x")), Some(1));
    let gone = Announcement {
        change: Change::Destroyed,
        ..clean
    };
    services.apply(&gone).unwrap();
    assert_eq!(services.address_of(&name("x")), None);
}

#[test]
fn an_announcement_creates_or_destroys() {
    let mut bytes = Announcement {
        name: name("x"),
        address: 1,
        change: Change::Created,
    }
    .to_bytes();
    bytes[36] = 2;
    assert_eq!(
        announced(&bytes),
        Err(Error::AnnouncementFlags { flags: 2 })
    );
    bytes[36..].copy_from_slice(&[0, 0, 0, 0x80]);
    assert_eq!(
        announced(&bytes),
        Err(Error::AnnouncementFlags { flags: 0x8000_0000 })
    );
}

#[test]
fn a_service_at_any_address_is_refused() {
    let bytes = Announcement {
        name: name("x"),
        address: ANY_ADDRESS,
        change: Change::Created,
    }
    .to_bytes();
    assert_eq!(
        announced(&bytes),
        Err(Error::NoSuchEndpoint {
            address: ANY_ADDRESS
        })
    );
}

#[test]
fn a_name_without_its_zero_is_refused() {
    let mut bytes = [b'a'; 40];
    bytes[32..].copy_from_slice(&[0; 8]);
    assert_eq!(announced(&bytes), Err(Error::NameCharacter { at: 32 }));
    bytes[31] = 0;
    assert!(announced(&bytes).is_ok());
    assert_eq!(
        ServiceName::new("12345678901234567890123456789012"),
        Err(Error::NameCharacter { at: 32 })
    );
    assert!(ServiceName::new("1234567890123456789012345678901").is_ok());
}

#[test]
fn a_name_is_printable_and_not_empty() {
    for (text, at) in [
        ("", 0),
        ("a b", 1),
        ("a\n", 1),
        ("a\0b", 1),
        ("\u{e9}", 0),
        ("ab\x7f", 2),
    ] {
        assert_eq!(ServiceName::new(text), Err(Error::NameCharacter { at }));
    }
    // What stands behind the zero is nobody's business.
    let mut bytes = [0; 40];
    bytes[0] = b'x';
    bytes[2] = 0xff;
    let Ok(Some(Event::Service(found))) = announced(&bytes) else {
        panic!("refused");
    };
    assert_eq!(found.name.as_str(), "x");
}

#[test]
fn instances_of_a_service_are_told_apart() {
    assert_eq!(name("rpmsg-tty").instance_of("rpmsg-tty"), Some(""));
    assert_eq!(name("rpmsg-tty-gps").instance_of("rpmsg-tty"), Some("gps"));
    assert_eq!(name("rpmsg-ttys").instance_of("rpmsg-tty"), None);
    assert_eq!(name("rpmsg").instance_of("rpmsg-tty"), None);
}

#[test]
fn services_are_bounded_and_consistent() {
    let mut services = Services::<2>::new();
    let apply = |services: &mut Services<2>, text, address, change| {
        services.apply(&Announcement {
            name: name(text),
            address,
            change,
        })
    };
    apply(&mut services, "a", 1, Change::Created).unwrap();
    assert_eq!(
        apply(&mut services, "b", 1, Change::Created),
        Err(Error::ServiceRepeated { address: 1 })
    );
    // Two servers of one name are two services.
    apply(&mut services, "a", 2, Change::Created).unwrap();
    assert_eq!(
        apply(&mut services, "c", 3, Change::Created),
        Err(Error::ServicesExhausted { limit: 2 })
    );
    for (text, address) in [("a", 3), ("b", 1)] {
        assert_eq!(
            apply(&mut services, text, address, Change::Destroyed),
            Err(Error::ServiceUnknown { address })
        );
    }
    apply(&mut services, "a", 1, Change::Destroyed).unwrap();
    assert_eq!(services.address_of(&name("a")), Some(2));
}
