//! Which command is legal in which state: the one table (ta-api.md 5.2).

use ta_protocol::{Command, CoreState, Status};

/// What a command does in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Do,
    /// It succeeds, and there is nothing to do.
    Nothing,
    /// It is refused, and the core stays as it is.
    Refuse(Status),
}

/// Looks up the table. Commands that no state refuses are not in it.
pub const fn verdict(command: Command, state: CoreState) -> Verdict {
    use CoreState::{Crashed, Loaded, Loading, Off, Running, Starting, Stopping};
    use Verdict::{Do, Nothing, Refuse};

    match command {
        Command::LoadFw | Command::LoadBegin => match state {
            // While Loaded it succeeds for the same bundle only.
            Off | Loaded => Do,
            Loading => Refuse(Status::LoadInProgress),
            Starting | Running | Crashed | Stopping => Refuse(Status::BadState),
        },
        Command::LoadContinue => match state {
            Loading => Do,
            Off | Loaded | Starting | Running | Crashed | Stopping => Refuse(Status::LoadNotBegun),
        },
        Command::StartFw => match state {
            Loaded => Do,
            Starting | Running => Nothing,
            Off | Loading | Crashed | Stopping => Refuse(Status::BadState),
        },
        Command::StopFw => match state {
            Starting | Running | Crashed => Do,
            Off | Stopping => Nothing,
            Loading | Loaded => Refuse(Status::BadState),
        },
        Command::ReleaseFw => match state {
            Off | Loading | Loaded => Do,
            Starting | Running | Crashed | Stopping => Refuse(Status::BadState),
        },
        Command::GetRscTable | Command::MasterTable => match state {
            Loaded | Starting | Running | Crashed | Stopping => Do,
            Off | Loading => Refuse(Status::BadState),
        },
        Command::GetCoredump => Refuse(Status::NotImplemented),
        Command::Version | Command::State | Command::LastError | Command::TrustedRoots => Do,
    }
}
