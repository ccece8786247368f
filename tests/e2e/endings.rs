//! How programs end: codes, signals, memory, and programs that cannot be started.

use serde_json::json;
use tests::Namespace;

use crate::run::exec;
use crate::suite::{Test, tests};
use crate::workflow::Step;

pub(crate) const TESTS: &[Test] = tests![
    a_program_that_goes_well,
    exit_codes,
    signals,
    out_of_memory,
    a_program_that_cannot_be_started,
    what_is_too_large
];

fn a_program_that_goes_well(namespace: &Namespace) {
    let run = exec(namespace, &[Step::sh("a", "echo one; echo; printf two")], &[]);
    assert_eq!(run.code, Some(0), "{run:#?}");
    run.succeeded("a");
    assert_eq!(run.end("a").log, "one\n\ntwo");
    assert!(run.all("leftover").is_empty() && run.all("warning").is_empty(), "{run:#?}");
}

fn exit_codes(namespace: &Namespace) {
    let codes = [1, 2, 42, 126, 127, 128, 137, 143, 255];
    let steps: Vec<Step> = codes.iter().map(|code| Step::sh(&format!("s{code}"), &format!("exit {code}"))).collect();
    let run = exec(namespace, &steps, &["--exit-code-from", "s42"]);
    for code in codes {
        run.ended(&format!("s{code}"), Some(code), "exit", &[]);
    }
    assert_eq!(run.code, Some(42));
}

/// A container's first process has no default handlers, so the signal comes from outside of the shell that is hit.
fn signals(namespace: &Namespace) {
    let killed = |id: &str, signal: &str| {
        Step::sh(id, &format!("sh -c 'kill -{signal} $$$$'; code=$?; echo killed by $((code - 128)); exit $code"))
    };
    let run = exec(namespace, &[killed("kill", "KILL"), killed("term", "TERM"), killed("segv", "SEGV")], &[]);
    run.ended("kill", Some(137), "exit", &["137 = SIGKILL"]);
    run.ended("term", Some(143), "exit", &["143 = SIGTERM"]);
    run.ended("segv", Some(139), "exit", &["139 = SIGSEGV"]);
    assert!(run.end("kill").log.contains("killed by 9\n"), "{run:#?}");
}

fn out_of_memory(namespace: &Namespace) {
    // `tail` keeps as much as it is to show in the end.
    let eats = Step::sh("a", "head -c 100000000 /dev/zero | tail -c 100000000 > /dev/null")
        .config(json!({"resources": {"limits": {"memory": "24Mi"}}}));
    let run = exec(namespace, &[eats], &[]);
    run.ended("a", Some(137), "oom-killed", &["24Mi"]);
}

fn a_program_that_cannot_be_started(namespace: &Namespace) {
    let steps = [
        Step::argv("missing", &["no-such-program"]),
        Step::argv("folder", &["/etc"]),
        Step::sh("shell", "no-such-program"),
    ];
    let run = exec(namespace, &steps, &[]);
    run.ended("missing", Some(128), "start-error", &["no-such-program"]);
    run.ended("folder", Some(128), "start-error", &["/etc"]);
    // The shell was there; what it did not find is its own business.
    run.ended("shell", Some(127), "exit", &[]);
    assert_eq!(run.code, Some(1));
}

/// F58: no server takes such a Job, and no kernel such a variable.
fn what_is_too_large(namespace: &Namespace) {
    let with = |id: &str, size: usize| {
        let config = json!({"env": [{"name": "BIG", "value": "v".repeat(size)}]});
        Step::sh(id, "echo begun").config(config)
    };
    let run = exec(namespace, &[with("job", 2 * 1024 * 1024), with("variable", 200 * 1024)], &[]);
    run.ended("job", None, "invalid", &["env"]);
    // Those are the runtime's words, in place of the program's.
    run.ended("variable", Some(1), "exit", &[]);
    assert!(run.end("variable").log.ends_with("argument list too long\n"), "{:?}", run.end("variable").log);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
}
