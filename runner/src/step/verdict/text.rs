//! Words of a verdict: codes, signals, and what the cluster said.

use crate::step::facts::{ContainerEnd, PodFacts, Words};

/// A shell adds this to the number of the signal that killed a program, and so do container runtimes.
const SIGNAL_BASE: i32 = 128;

/// Reason and message as the cluster gave them.
pub(super) fn reason_and_message(reason: &str, message: &str) -> String {
    match (reason, message) {
        ("", text) | (text, "") => text.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

/// As [`reason_and_message`].
pub(super) fn quoted(words: &Words) -> String {
    reason_and_message(&words.reason, &words.message)
}

/// A code, with the name of the signal it stands for: `137 = SIGKILL`.
pub(super) fn code(code: i32) -> String {
    match signal_name(code.saturating_sub(SIGNAL_BASE)) {
        Some(signal) => format!("{code} = {signal}"),
        None => code.to_string(),
    }
}

/// How a container ended: `container `step` ended with 137 = SIGKILL (OOMKilled)`.
pub(super) fn ended(container: &str, end: &ContainerEnd) -> String {
    let reason = match end.words.reason.as_str() {
        // What the code says already.
        "" | "Error" | "Completed" => String::new(),
        reason => format!(" ({reason})"),
    };
    if end.is_known {
        format!("container `{container}` ended with {}{reason}", code(end.code))
    } else {
        format!("container `{container}` ended, nobody knows how{reason}")
    }
}

/// How a pod is named in a sentence.
pub(super) fn pod(pod: &PodFacts) -> String {
    format!("pod `{}`", pod.name)
}

/// The node of a pod in a sentence.
pub(super) fn node(pod: &PodFacts) -> String {
    match &pod.now.node {
        Some(node) => format!("node `{node}`"),
        None => "its node".to_owned(),
    }
}

/// Names in a sentence: `` `a`, `b` ``.
pub(super) fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Name of a signal of Linux, which is what containers run on.
fn signal_name(number: i32) -> Option<&'static str> {
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    NAMES.get(usize::try_from(number.checked_sub(1)?).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_above_128_name_their_signal() {
        let cases = [(0, "0"), (1, "1"), (127, "127"), (128, "128"), (129, "129 = SIGHUP"), (137, "137 = SIGKILL")];
        let more = [(143, "143 = SIGTERM"), (139, "139 = SIGSEGV"), (159, "159 = SIGSYS"), (160, "160"), (255, "255")];
        for (number, expected) in cases.into_iter().chain(more).chain([(-1, "-1"), (i32::MIN, "-2147483648")]) {
            assert_eq!(code(number), expected);
        }
    }
}
