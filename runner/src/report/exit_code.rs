//! The exit codes of the program: what scripts may rely on. They stand here and nowhere else.

use model::report::Verdict;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitCode {
    /// 0: done, nothing is wrong.
    Success,
    /// 1: a step failed.
    Failed,
    /// The recorded code of the step that `--exit-code-from` names.
    Step(u8),
    /// 3: a policy said no.
    Denied,
    /// 2: the file, the options or a policy component are invalid; nothing ran.
    Invalid,
    /// 4: there is no usable cluster; nothing ran.
    NoCluster,
    /// 130: interrupted by SIGINT.
    Interrupted,
    /// 131: the run was detached by SIGQUIT; its Jobs go on.
    Detached,
    /// 143: stopped by SIGTERM or SIGHUP.
    Terminated,
}

impl ExitCode {
    /// The number.
    pub fn number(self) -> u8 {
        match self {
            ExitCode::Success => 0,
            ExitCode::Failed => 1,
            ExitCode::Step(code) => code,
            ExitCode::Invalid => 2,
            ExitCode::Denied => 3,
            ExitCode::NoCluster => 4,
            ExitCode::Interrupted => 130,
            ExitCode::Detached => 131,
            ExitCode::Terminated => 143,
        }
    }
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
        std::process::ExitCode::from(code.number())
    }
}
