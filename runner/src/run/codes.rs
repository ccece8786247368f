//! What a run ends with: its status, and the exit code of the program.

use super::{RunEnd, Signal};
use crate::event::StepEnd;
use crate::outcome::{Outcome, Reason, RunStatus, StepStatus};
use crate::report::ExitCode;

/// What the exit code is made of.
#[derive(Debug, Default)]
pub(super) struct Codes {
    denied: bool,
    /// Of the step that is asked for: whether it succeeded, and its code.
    asked: Option<(StepStatus, Option<i32>)>,
}

impl Codes {
    pub(super) fn note(&mut self, end: &StepEnd, asked_for: bool) {
        let outcome = end.verdict.as_ref().map(|verdict| &verdict.outcome);
        self.denied |= outcome.and_then(Outcome::reason) == Some(Reason::Denied);
        if asked_for {
            self.asked = Some((end.status, outcome.and_then(Outcome::exit_code)));
        }
    }

    /// `signal`: the one that stopped the run. `asks`: whether the code of a step is asked for.
    pub(super) fn run_end(&self, status: RunStatus, signal: Option<Signal>, asks: bool) -> RunEnd {
        // A precondition of the run that is not met aborts it, and nothing went wrong.
        let went_well = matches!(status, RunStatus::Succeeded | RunStatus::Aborted);
        let ordinary = if went_well { ExitCode::Success } else { ExitCode::Failed };
        let exit_code = match signal.filter(|_| status == RunStatus::Aborted) {
            Some(signal) => signal.exit_code(),
            None if self.denied => ExitCode::Denied,
            None if !asks => ordinary,
            None => match self.asked {
                Some((_, Some(code))) => u8::try_from(code).map_or(ExitCode::Failed, |code| match code {
                    0 => ExitCode::Success,
                    code => ExitCode::Step(code),
                }),
                Some((StepStatus::Failed, None)) => ExitCode::Failed,
                Some(_) | None => ordinary,
            },
        };
        RunEnd { status, exit_code }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outcome::Verdict;

    fn end(status: RunStatus, outcomes: &[Outcome], signal: Option<Signal>, asks: bool) -> u8 {
        let mut codes = Codes::default();
        for outcome in outcomes {
            codes.note(&StepEnd::of(Verdict::new(outcome.clone(), ""), Duration::ZERO), asks);
        }
        codes.run_end(status, signal, asks).exit_code.number()
    }

    #[test]
    fn the_exit_code_follows_the_run_unless_a_step_is_asked_for() {
        let failed = |code, reason| Outcome::failed(code, reason);
        let exit7 = [failed(Some(7), Reason::Exit)];
        for (status, outcomes, signal, asks, expected) in [
            (RunStatus::Succeeded, &[Outcome::Succeeded][..], None, false, 0),
            (RunStatus::PartiallySucceeded, &exit7, None, false, 1),
            (RunStatus::Failed, &exit7, None, false, 1),
            (RunStatus::Failed, &exit7, None, true, 7),
            (RunStatus::Failed, &[Outcome::TimedOut], None, true, 124),
            (RunStatus::Failed, &[Outcome::Lost], None, true, 1),
            (RunStatus::Succeeded, &[Outcome::Succeeded], None, true, 0),
            (RunStatus::Failed, &[], None, true, 1),
            (RunStatus::Failed, &[failed(None, Reason::Denied)], None, false, 3),
            (RunStatus::Failed, &[failed(None, Reason::Denied)], None, true, 3),
            (RunStatus::Aborted, &exit7, Some(Signal::Interrupt), true, 130),
            (RunStatus::Aborted, &exit7, Some(Signal::Terminate), false, 143),
            // Everything had ended when the signal came.
            (RunStatus::Succeeded, &[Outcome::Succeeded], Some(Signal::Interrupt), false, 0),
            // A precondition of the run.
            (RunStatus::Aborted, &[], None, false, 0),
        ] {
            assert_eq!(end(status, outcomes, signal, asks), expected, "{status} {outcomes:?} {signal:?} {asks}");
        }
    }
}
