//! The exit codes of the program: what scripts may rely on. They stand here and nowhere else.

use model::report::Verdict;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitCode {
    /// 0: done, nothing is wrong.
    Success,
    /// 3: a policy said no.
    Denied,
    /// 2: the file, the options or a policy component are invalid; nothing ran.
    Invalid,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> ExitCode {
        match verdict {
            Verdict::Valid => ExitCode::Success,
            Verdict::Denied => ExitCode::Denied,
            Verdict::Invalid => ExitCode::Invalid,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> std::process::ExitCode {
        std::process::ExitCode::from(match code {
            ExitCode::Success => 0,
            ExitCode::Invalid => 2,
            ExitCode::Denied => 3,
        })
    }
}
