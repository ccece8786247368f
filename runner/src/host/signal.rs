//! Signals by their names in a workflow file.

use process_group::Signal;

/// The signal of a name, as `SIGTERM`; none: no signal of this machine has it.
pub fn signal_named(name: &str) -> Option<Signal> {
    Some(match name {
        "SIGTERM" => Signal::TERM,
        "SIGINT" => Signal::INT,
        "SIGQUIT" => Signal::QUIT,
        "SIGHUP" => Signal::HUP,
        "SIGKILL" => Signal::KILL,
        "SIGUSR1" => Signal::USR1,
        "SIGUSR2" => Signal::USR2,
        "SIGABRT" => Signal::ABORT,
        "SIGALRM" => Signal::ALARM,
        "SIGVTALRM" => Signal::VTALARM,
        "SIGPROF" => Signal::PROF,
        "SIGPIPE" => Signal::PIPE,
        "SIGCONT" => Signal::CONT,
        "SIGSTOP" => Signal::STOP,
        "SIGTSTP" => Signal::TSTP,
        "SIGTTIN" => Signal::TTIN,
        "SIGTTOU" => Signal::TTOU,
        "SIGCHLD" => Signal::CHILD,
        "SIGURG" => Signal::URG,
        "SIGWINCH" => Signal::WINCH,
        "SIGIO" => Signal::IO,
        "SIGSYS" => Signal::SYS,
        "SIGTRAP" => Signal::TRAP,
        "SIGXCPU" => Signal::XCPU,
        "SIGXFSZ" => Signal::XFSZ,
        "SIGILL" => Signal::ILL,
        "SIGBUS" => Signal::BUS,
        "SIGFPE" => Signal::FPE,
        "SIGSEGV" => Signal::SEGV,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use model::workflow::SIGNALS;

    use super::*;

    #[test]
    fn every_name_that_a_file_may_hold_is_another_signal() {
        let mut numbers: Vec<i32> = SIGNALS
            .iter()
            .map(|word| signal_named(word.text).unwrap_or_else(|| panic!("{}", word.text)).as_raw())
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), SIGNALS.len());
        assert_eq!(signal_named("SIGINT").map(Signal::as_raw), Some(2));
        assert_eq!(signal_named("TERM"), None);
    }
}
