//! Random walks: whatever clients, core and platform do, what runs is what was signed, and Off means zero.

mod support;

use support::bundle::pattern;
use support::{Bed, CORE, Pki, Spec};
use ta_core::SessionId;
use ta_core::fake::{Call, Source};
use ta_protocol::{CoreState, global_platform};

#[test]
fn no_order_of_events_lets_unsigned_bytes_run_or_secrets_stay() {
    let pki = Pki::development();
    let specs = [
        Spec::small(),
        Spec {
            elf: pattern(0x1234, 77),
            version: 6,
            ..Spec::small()
        },
    ];
    let files = [pki.bundle(&specs[0]), pki.bundle(&specs[1])];
    let mut seen = [0; 7];
    for seed in 1..=150 {
        let mut walk = Walk {
            bed: Bed::with(support::platform(), pki.clone()),
            dice: Dice(seed),
            sessions: Vec::new(),
            wanted: None,
            specs: &specs,
            files: &files,
        };
        walk.bed.board.set_polls(CORE, 3, 1);
        for _ in 0..40 {
            walk.step();
            let state = walk.check();
            seen[state.number() as usize] += 1;
        }
    }
    assert!(
        seen.iter().all(|count| *count > 20),
        "not every state was walked through: {seen:?}"
    );
}

struct Walk<'a> {
    bed: Bed,
    dice: Dice,
    sessions: Vec<SessionId>,
    /// The piece that a streamed load of a session wants: which file, offset, length.
    wanted: Option<(usize, u64, u64)>,
    specs: &'a [Spec; 2],
    files: &'a [Vec<u8>; 2],
}

impl Walk<'_> {
    fn step(&mut self) {
        let session = self.session();
        let which = self.dice.below(2);
        let file = self.files[which].clone();
        match self.dice.below(20) {
            0..4 => {
                self.bed.load(session, &file);
            }
            4 => {
                let mut bad = file;
                let at = self.dice.below(bad.len());
                bad[at] ^= 1 << self.dice.below(8);
                self.bed.load(session, &bad);
            }
            5..7 => {
                if let Ok((offset, length)) = self.bed.begin(session, &file) {
                    self.wanted = (length != 0).then_some((which, offset, length));
                }
            }
            7 | 8 => {
                let (which, offset, length) = self.wanted.unwrap_or((which, 0, 0x1234));
                let mut piece =
                    self.files[which][offset as usize..(offset + length) as usize].to_vec();
                if self.dice.below(3) == 0 {
                    let at = self.dice.below(piece.len());
                    piece[at] ^= 4;
                }
                let _ = self.bed.go_on(session, offset, Source::new(piece));
            }
            9..12 => self.start(session),
            12 | 13 => {
                self.bed.stop(session);
            }
            14 => {
                self.bed.release(session);
            }
            15 => {
                self.sessions.retain(|open| *open != session);
                self.bed.ta.close_session(session);
            }
            16 => self.bed.clock.advance(20_000),
            17 => {
                self.bed.restart_ta();
                self.sessions.clear();
            }
            18 => match self.dice.below(4) {
                0 => self.bed.board.lose_isolation(CORE),
                1 if !self.bed.board.is_held(CORE) => self.bed.board.crash(CORE),
                2 => self.bed.board.keep_alive(CORE),
                _ => self.bed.board.let_halt(CORE),
            },
            _ => {
                let calls = [
                    Call::Copy,
                    Call::Zero,
                    Call::Wipe,
                    Call::Record,
                    Call::State,
                    Call::Start,
                    Call::Stop,
                ];
                let call = calls[self.dice.below(calls.len())];
                let good = self.dice.below(3) as u32;
                self.bed
                    .board
                    .fail_after(call, good, global_platform::GENERIC);
            }
        }
    }

    /// A start that succeeds finds what was signed, and nobody else's hand in between.
    fn start(&mut self, session: SessionId) {
        let held = self.bed.board.is_held(CORE);
        let before = self.bed.board.private(CORE);
        self.bed.start(session);
        if held && !self.bed.board.is_held(CORE) {
            let region = &self.bed.platform.core(CORE).unwrap().private_regions()[0];
            let signed = self.specs.iter().any(|spec| spec.memory(region) == before);
            assert!(signed, "unsigned bytes run");
            self.bed
                .board
                .poke(CORE, 0x2101_0000, b"what the core wrote");
        }
    }

    /// What a state promises of memory.
    fn check(&mut self) -> CoreState {
        // A failure that is still to come may be this very question.
        let session = self.session();
        let report = loop {
            if let Ok(report) = self.bed.report(session) {
                break report;
            }
        };
        let state = report.state;
        match state {
            CoreState::Off => self.bed.assert_wiped(),
            CoreState::Loaded => {
                let spec = &self.specs[(report.security_version - 5) as usize];
                self.bed.assert_loaded(spec);
                assert!(self.bed.board.is_held(CORE));
            }
            CoreState::Loading => assert!(self.bed.board.is_held(CORE)),
            CoreState::Starting | CoreState::Running | CoreState::Crashed => {
                assert!(!self.bed.board.is_held(CORE));
            }
            CoreState::Stopping => {}
        }
        state
    }

    /// Any of at most three open sessions.
    fn session(&mut self) -> SessionId {
        if self.sessions.len() < 3 {
            let session = self.bed.open();
            self.sessions.push(session);
        }
        self.sessions[self.dice.below(self.sessions.len())]
    }
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}
