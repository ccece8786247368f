//! Logs: everything once and in order, whatever the node does with its files; and how much runs at once.

use std::fmt::Write as _;

use serde_json::json;
use tests::Namespace;

use crate::run::exec;
use crate::suite::{Test, tests};
use crate::workflow::Step;

pub(crate) const TESTS: &[Test] = tests![
    a_burst_from_a_program_that_is_gone_at_once,
    lines_that_are_long_and_bytes_that_are_no_text,
    a_log_that_the_node_rotates,
    two_hundred_steps_at_once,
];

/// Numbered lines.
fn numbered(from: usize, to: usize) -> String {
    (from..=to).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "{n}");
        text
    })
}

fn a_burst_from_a_program_that_is_gone_at_once(namespace: &Namespace) {
    let run = exec(namespace, &[Step::sh("a", "seq 1 100000; printf end")], &["--quiet"]);
    run.succeeded("a");
    assert!(run.end("a").log == numbered(1, 100_000) + "end", "{} bytes", run.end("a").log.len());
}

fn lines_that_are_long_and_bytes_that_are_no_text(namespace: &Namespace) {
    // 40 KiB: the node writes it in three pieces.
    let script = "head -c 40960 /dev/zero | tr '\\000' x; echo; echo; printf 'a\\r\\377\\tb\\n'; printf end";
    let run = exec(namespace, &[Step::sh("a", script)], &[]);
    run.succeeded("a");
    let expected = format!("{}\n\na\r\u{fffd}\tb\nend", "x".repeat(40960));
    assert!(run.end("a").log == expected, "{:?}", run.end("a").log);
}

fn a_log_that_the_node_rotates(namespace: &Namespace) {
    // In the node's files some 3 MB in 20 s: the cluster of the tests rotates at 1 MiB. A program that writes much faster
    // than a node keeps has lines rotated away before anybody can read them, and no node tells.
    let script =
        "n=0; while test $n -lt 40; do seq $((n * 1500 + 1)) $((n * 1500 + 1500)); n=$((n + 1)); sleep 0.5; done";
    let run = exec(namespace, &[Step::sh("a", script)], &["--quiet"]);
    run.succeeded("a");
    let log = run.end("a").log;
    let expected = numbered(1, 60_000);
    let (found, expected): (Vec<&str>, Vec<&str>) = (log.lines().collect(), expected.lines().collect());
    let first = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    assert!(found == expected, "{} lines; the first that differs: {first:?}; {:#?}", found.len(), run.all("step-gap"));
    assert!(run.all("step-gap").is_empty(), "{run:#?}");
}

fn two_hundred_steps_at_once(namespace: &Namespace) {
    let config = json!({"termination_grace_period_seconds": 0});
    let steps: Vec<Step> =
        (0..200).map(|n| Step::sh(&format!("s{n}"), &format!("echo step {n}")).config(config.clone())).collect();
    let run = exec(namespace, &steps, &["--quiet"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for n in 0..200 {
        run.succeeded(&format!("s{n}"));
        assert_eq!(run.end(&format!("s{n}")).log, format!("step {n}\n"));
    }
}
