//! The pools of a firmware's own (rpmsg-pool.md), from a hub.

use std::time::Duration;

use corewarden::doorbell::BytePort;
use corewarden::hub::{Hub, Options};
use corewarden::place::Target;
use corewarden::place::{Place, Slots};
use corewarden::pool::Pool;
use corewarden::shared_memory::Window;
use corewarden::{Error, Limit};

use crate::firmware::{Board, LONG, Manner, master, platform, slots};

#[test]
fn a_core_lends_back_what_was_lent_to_it_and_after_its_restart_again() {
    let board = Board::new();
    let (mut firmware, bell) = board.start(Manner::Pool);
    let hub = hub(&board, bell, slots());
    let mut pool = Pool::new(hub.connect("corewarden-echo", long()).unwrap()).unwrap();
    assert_eq!(pool.room(), 0x4_0000);
    for round in 0..3_u32 {
        for number in 0..20_u32 {
            let length = 0x4_0000 - number * 1001;
            let payload: Vec<u8> = (0..length)
                .map(|at| (at ^ (at >> 8) ^ number) as u8)
                .collect();
            pool.send(&payload, long()).unwrap();
            let mut back = pool.recv(long()).unwrap().to_vec().unwrap();
            back.reverse();
            assert!(back == payload, "round {round}, payload {number}");
        }
        let held = pool.reserve(long()).unwrap();
        drop(firmware);
        firmware = board.start(Manner::Pool).0;
        let gone = pool.recv(long()).err();
        assert!(
            matches!(gone, Some(Error::PeerRestarted { .. })),
            "{gone:?}"
        );
        drop(held);
        pool.reopen(long()).unwrap();
    }
    assert_eq!(hub.counters().lies, 0);
}

#[test]
fn slots_outside_of_a_cores_window_are_why_there_is_no_link() {
    let board = Board::new();
    let (_firmware, bell) = board.start(Manner::Pool);
    let [near, far] = slots();
    let address = 0x2120_0000 + 0xe0_0000 - 64;
    let hub = hub(&board, bell, [near, Slots { address, ..far }]);
    let outside = rpmsg_pool::Error::Outside {
        address,
        len: 0x10_0000,
    };
    let up = hub.up(Limit::after(Duration::from_millis(100)));
    assert_eq!(up, Err(Error::Pool(outside)));
}

fn hub(board: &Board, bell: BytePort, [to_device, to_driver]: [Slots; 2]) -> Hub {
    let (platform, master) = (platform(), master());
    let find = move |window: &Window| {
        let target = Target {
            core: platform.core(0).unwrap(),
            master: &master,
            starts: 1,
            device: 0,
            handshake: LONG,
        };
        Place::find(&target, window)?.with_pools(to_device, to_driver)
    };
    Hub::driver(find, board.window.clone(), bell, Options::default()).unwrap()
}

fn long() -> Limit<'static> {
    Limit::after(LONG)
}
