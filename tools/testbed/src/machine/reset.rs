//! The core's reset controller: which signal leads to which action, without any input or output.
//!
//! The secure world holds the core in reset with a line (low) and releases it (high); two lines back say "it runs" and
//! "it died by itself". "In reset" means that no process of QEMU B exists, because a new process per release is what
//! makes QEMU forget translations of the old image. Fault goes up before running goes down, and both fall together when
//! reset is asserted, so that the secure world, which polls, never sees a state that was not there.
//!
//! A released core executes before its running line is up, and a line that falls says nothing about a core that never
//! had it up. So each assertion of reset is acknowledged when no process is left: a third line changes its level, once
//! for each. Without that, a core stopped while it starts could write to memory that was already wiped.

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// The whole board was reset.
    BoardReset,
    /// B's machine is up.
    CoreAnswered,
    /// B's process ended without being asked.
    CoreExited,
    /// Linux rang this many times.
    LinuxRang(usize),
    /// The secure world holds the core in reset.
    ResetAsserted,
    /// The secure world releases the core.
    ResetReleased,
}

/// What must be done about it, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Change the level of the acknowledge line: no process is left.
    Acknowledge,
    /// Put the acknowledge line where the board's reset has put its other end: low.
    ClearAcknowledge,
    /// Forget this many rings: nobody is there to hear them.
    Drop(usize),
    /// Drive the fault line.
    Fault(bool),
    /// End B's process and wait for its end.
    Kill,
    /// Pulse B's doorbell interrupt this many times.
    Ring(usize),
    /// Drive the running line.
    Running(bool),
    /// Start B's process.
    Spawn,
}

/// Where the core is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Core {
    /// It died by itself; the secure world has not asserted reset yet.
    Dead,
    /// Held in reset.
    #[default]
    Held,
    /// Released and running.
    Running,
    /// Released, not up yet.
    Starting,
}

impl Core {
    /// The state after `signal`, and what leads there.
    pub(super) fn after(self, signal: Signal) -> (Self, Vec<Action>) {
        match (self, signal) {
            (Self::Held, Signal::ResetReleased) => (Self::Starting, vec![Action::Spawn]),
            (Self::Starting, Signal::CoreAnswered) => (Self::Running, vec![Action::Running(true)]),
            (Self::Starting | Self::Running, Signal::CoreExited) => (
                Self::Dead,
                vec![Action::Fault(true), Action::Running(false)],
            ),
            (_, Signal::ResetAsserted | Signal::BoardReset) => {
                let mut actions = Vec::new();
                if matches!(self, Self::Starting | Self::Running) {
                    actions.push(Action::Kill);
                }
                actions.extend([Action::Running(false), Action::Fault(false)]);
                actions.push(match signal {
                    Signal::ResetAsserted => Action::Acknowledge,
                    _ => Action::ClearAcknowledge,
                });
                (Self::Held, actions)
            }
            (Self::Starting | Self::Running, Signal::LinuxRang(times)) => {
                (self, vec![Action::Ring(times)])
            }
            (Self::Dead | Self::Held, Signal::LinuxRang(times)) => {
                (self, vec![Action::Drop(times)])
            }
            (Self::Dead | Self::Starting | Self::Running, Signal::ResetReleased)
            | (Self::Dead | Self::Held | Self::Running, Signal::CoreAnswered)
            | (Self::Dead | Self::Held, Signal::CoreExited) => (self, Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Core; 4] = [Core::Dead, Core::Held, Core::Running, Core::Starting];

    struct Row {
        from: Core,
        signal: Signal,
        to: Core,
        actions: &'static [Action],
    }

    const LOWER: &[Action] = &[
        Action::Running(false),
        Action::Fault(false),
        Action::ClearAcknowledge,
    ];
    const ASSERT: &[Action] = &[
        Action::Running(false),
        Action::Fault(false),
        Action::Acknowledge,
    ];
    const STOP: &[Action] = &[
        Action::Kill,
        Action::Running(false),
        Action::Fault(false),
        Action::Acknowledge,
    ];
    const KILL: &[Action] = &[
        Action::Kill,
        Action::Running(false),
        Action::Fault(false),
        Action::ClearAcknowledge,
    ];
    const DIED: &[Action] = &[Action::Fault(true), Action::Running(false)];

    const fn row(from: Core, signal: Signal, to: Core, actions: &'static [Action]) -> Row {
        Row {
            from,
            signal,
            to,
            actions,
        }
    }

    const TABLE: [Row; 24] = [
        row(Core::Dead, Signal::BoardReset, Core::Held, LOWER),
        row(Core::Dead, Signal::CoreAnswered, Core::Dead, &[]),
        row(Core::Dead, Signal::CoreExited, Core::Dead, &[]),
        row(
            Core::Dead,
            Signal::LinuxRang(3),
            Core::Dead,
            &[Action::Drop(3)],
        ),
        row(Core::Dead, Signal::ResetAsserted, Core::Held, ASSERT),
        row(Core::Dead, Signal::ResetReleased, Core::Dead, &[]),
        row(Core::Held, Signal::BoardReset, Core::Held, LOWER),
        row(Core::Held, Signal::CoreAnswered, Core::Held, &[]),
        row(Core::Held, Signal::CoreExited, Core::Held, &[]),
        row(
            Core::Held,
            Signal::LinuxRang(3),
            Core::Held,
            &[Action::Drop(3)],
        ),
        row(Core::Held, Signal::ResetAsserted, Core::Held, ASSERT),
        row(
            Core::Held,
            Signal::ResetReleased,
            Core::Starting,
            &[Action::Spawn],
        ),
        row(Core::Running, Signal::BoardReset, Core::Held, KILL),
        row(Core::Running, Signal::CoreAnswered, Core::Running, &[]),
        row(Core::Running, Signal::CoreExited, Core::Dead, DIED),
        row(
            Core::Running,
            Signal::LinuxRang(3),
            Core::Running,
            &[Action::Ring(3)],
        ),
        row(Core::Running, Signal::ResetAsserted, Core::Held, STOP),
        row(Core::Running, Signal::ResetReleased, Core::Running, &[]),
        row(Core::Starting, Signal::BoardReset, Core::Held, KILL),
        row(
            Core::Starting,
            Signal::CoreAnswered,
            Core::Running,
            &[Action::Running(true)],
        ),
        row(Core::Starting, Signal::CoreExited, Core::Dead, DIED),
        row(
            Core::Starting,
            Signal::LinuxRang(3),
            Core::Starting,
            &[Action::Ring(3)],
        ),
        row(Core::Starting, Signal::ResetAsserted, Core::Held, STOP),
        row(Core::Starting, Signal::ResetReleased, Core::Starting, &[]),
    ];

    #[test]
    fn every_signal_in_every_state_does_what_the_table_says() {
        for Row {
            from,
            signal,
            to,
            actions,
        } in TABLE
        {
            assert_eq!(
                from.after(signal),
                (to, actions.to_vec()),
                "{from:?} {signal:?}"
            );
        }
    }

    #[test]
    fn a_process_exists_exactly_between_spawn_and_kill_or_exit() {
        // Every word of up to six signals, from the first state on.
        let signals = [
            Signal::BoardReset,
            Signal::CoreAnswered,
            Signal::CoreExited,
            Signal::LinuxRang(1),
            Signal::ResetAsserted,
            Signal::ResetReleased,
        ];
        for word in 0..signals.len().pow(6) {
            let (mut core, mut alive, mut rest) = (Core::default(), false, word);
            for _ in 0..6 {
                let signal = signals[rest % signals.len()];
                rest /= signals.len();
                // A process that does not exist can neither answer nor exit.
                if !alive && matches!(signal, Signal::CoreAnswered | Signal::CoreExited) {
                    continue;
                }
                alive &= signal != Signal::CoreExited;
                let (next, actions) = core.after(signal);
                for action in actions {
                    match action {
                        Action::Spawn => {
                            assert!(!alive, "spawned twice: {word}");
                            alive = true;
                        }
                        Action::Kill => {
                            assert!(alive, "killed nobody: {word}");
                            alive = false;
                        }
                        Action::Ring(_) => assert!(alive, "rang nobody: {word}"),
                        _ => {}
                    }
                }
                core = next;
                assert_eq!(
                    alive,
                    matches!(core, Core::Starting | Core::Running),
                    "{word}"
                );
            }
        }
    }

    #[test]
    fn reset_is_acknowledged_after_everything_else() {
        for core in ALL {
            for (signal, last) in [
                (Signal::ResetAsserted, Action::Acknowledge),
                (Signal::BoardReset, Action::ClearAcknowledge),
            ] {
                let (next, actions) = core.after(signal);
                assert_eq!(next, Core::Held);
                assert!(actions.ends_with(&[Action::Running(false), Action::Fault(false), last]));
            }
        }
    }
}
