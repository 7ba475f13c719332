//! Both roles against a model: two queues of bytes, and who has to be kicked.

use std::collections::VecDeque;

use proptest::prelude::*;
use rpmsg::{Error, Link, Queue, Quirks, RxBuffer, SharedMemory, TxBuffer};

use crate::support::{
    BUFFER, COUNT, DeviceOf, DriverOf, Kind, Memory, both, layout_of, symmetric_at,
};

#[derive(Clone, Debug)]
enum Action {
    Send(Vec<u8>),
    Reserve,
    CommitOldest(u8),
    AbandonOldest,
    Receive,
    Hold,
    ReleaseOldest,
    Flush,
    Wake(bool, bool),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..=48).prop_map(Action::Send),
        2 => Just(Action::Reserve),
        2 => any::<u8>().prop_map(Action::CommitOldest),
        1 => Just(Action::AbandonOldest),
        6 => Just(Action::Receive),
        2 => Just(Action::Hold),
        2 => Just(Action::ReleaseOldest),
        4 => Just(Action::Flush),
        1 => any::<(bool, bool)>().prop_map(|(message, buffer)| Action::Wake(message, buffer)),
    ]
}

/// One side with what it holds, and what it has sent so far.
struct Side<M, R, T = R> {
    link: Link<M, R, T>,
    /// Kicks are asked for by an index instead of a flag.
    event_index: bool,
    reserved: VecDeque<TxBuffer>,
    held: VecDeque<(RxBuffer, Vec<u8>)>,
    staged: VecDeque<Vec<u8>>,
    /// Sent and flushed, not yet received by the other side.
    sent: VecDeque<Vec<u8>>,
    /// Whether it has to be kicked for the next messages.
    wants_kick: bool,
}

impl<M: SharedMemory, R: Queue, T: Queue> Side<M, R, T> {
    fn new(link: Link<M, R, T>, event_index: bool) -> Self {
        Self {
            link,
            event_index,
            reserved: VecDeque::new(),
            held: VecDeque::new(),
            staged: VecDeque::new(),
            sent: VecDeque::new(),
            wants_kick: true,
        }
    }

    fn act(&mut self, action: Action, inbox: &mut VecDeque<Vec<u8>>, peer_wants: &mut bool) {
        match action {
            Action::Send(bytes) => match self.link.send(1, 2, &bytes) {
                Ok(()) => self.staged.push_back(bytes),
                Err(Error::NoBuffer { .. }) => {}
                Err(error) => panic!("{error}"),
            },
            Action::Reserve => match self.link.reserve() {
                Ok(buffer) => self.reserved.push_back(buffer),
                Err(Error::NoBuffer { .. }) => {}
                Err(error) => panic!("{error}"),
            },
            Action::CommitOldest(byte) => {
                if let Some(buffer) = self.reserved.pop_front() {
                    let bytes = [byte; 12];
                    self.link.write(&buffer, 8, &bytes[8..]).unwrap();
                    self.link.write(&buffer, 0, &bytes[..8]).unwrap();
                    self.link.commit(buffer, 1, 2, 12).unwrap();
                    self.staged.push_back(bytes.to_vec());
                }
            }
            Action::AbandonOldest => {
                if let Some(buffer) = self.reserved.pop_front() {
                    self.link.abandon(buffer).unwrap();
                }
            }
            Action::Receive | Action::Hold => {
                let message = self.link.receive().unwrap();
                let expected = inbox.pop_front();
                assert_eq!(message.is_some(), expected.is_some());
                if let (Some(message), Some(expected)) = (message, expected) {
                    if matches!(action, Action::Hold) {
                        self.held.push_back((message, expected));
                    } else {
                        self.give_back(message, &expected);
                    }
                }
            }
            Action::ReleaseOldest => {
                if let Some((message, expected)) = self.held.pop_front() {
                    self.give_back(message, &expected);
                }
            }
            Action::Flush => {
                let sent_any = !self.staged.is_empty();
                let kick = self.link.flush();
                assert!(!sent_any || !*peer_wants || kick.is_needed());
                // An index asks for one kick.
                *peer_wants &= !sent_any || !self.event_index;
                self.sent.append(&mut self.staged);
            }
            Action::Wake(message, buffer) => {
                let waiting = self.link.wake_on_message(message).unwrap();
                assert_eq!(waiting, !inbox.is_empty());
                // Who has messages does not sleep, so an index need not ask for more of them (rpmsg-lifecycle.md, L14).
                self.wants_kick = message && !(waiting && self.event_index);
                self.link.wake_on_buffer(buffer).unwrap();
            }
        }
    }

    fn give_back(&mut self, message: RxBuffer, expected: &[u8]) {
        let mut bytes = vec![0; usize::from(message.header().len)];
        self.link.read(&message, 0, &mut bytes).unwrap();
        assert_eq!(bytes, expected);
        self.link.release(message).unwrap();
    }

    fn finish(&mut self, inbox: &mut VecDeque<Vec<u8>>) {
        while !self.reserved.is_empty() {
            self.act(Action::AbandonOldest, inbox, &mut false);
        }
        while !self.held.is_empty() {
            self.act(Action::ReleaseOldest, inbox, &mut false);
        }
        self.act(Action::Flush, inbox, &mut false);
    }
}

proptest! {
    #[test]
    fn both_roles_do_what_two_queues_do(actions in prop::collection::vec((any::<bool>(), action()), 1..400)) {
        both!(compare, &actions);
    }
}

fn compare<K: Kind>(actions: &[(bool, Action)]) {
    let (plain, quirks) = (layout_of::<K>(), Quirks::default());
    for (layout, event_index) in [(plain, false), (plain.with_event_index(), true)] {
        let memory = Memory::of::<K>();
        let driver = DriverOf::<K>::attach(memory.driver(), layout, BUFFER, 1, quirks).unwrap();
        let device = DeviceOf::<K>::attach(memory.device(), layout, 1, quirks).unwrap();
        let (mut host, mut core) = (
            Side::new(driver, event_index),
            Side::new(device, event_index),
        );
        follow(&mut host, &mut core, actions);
        let memory = Memory::of::<K>();
        let sides = symmetric_at::<K>(&memory, layout);
        let [mut one, mut other] = sides.map(|side| Side::new(side, event_index));
        follow(&mut one, &mut other, actions);
    }
}

/// Does all of it, and then proves that every message arrives and no buffer was lost on the way.
fn follow<M: SharedMemory, R: Queue, T: Queue, P: Queue, Q: Queue>(
    host: &mut Side<M, R, T>,
    core: &mut Side<M, P, Q>,
    actions: &[(bool, Action)],
) {
    for (by_host, action) in actions.iter().cloned() {
        if by_host {
            host.act(action, &mut core.sent, &mut core.wants_kick);
        } else {
            core.act(action, &mut host.sent, &mut host.wants_kick);
        }
    }
    host.finish(&mut core.sent);
    core.finish(&mut host.sent);
    while !host.sent.is_empty() {
        core.act(Action::Receive, &mut host.sent, &mut false);
    }
    while !core.sent.is_empty() {
        host.act(Action::Receive, &mut core.sent, &mut false);
    }
    host.finish(&mut core.sent);
    core.finish(&mut host.sent);
    for _ in 0..COUNT {
        host.link.send(1, 2, b"last").unwrap();
        core.link.send(1, 2, b"last").unwrap();
    }
    assert!(host.link.reserve().is_err());
    assert!(core.link.reserve().is_err());
}
