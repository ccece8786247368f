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
    // 9 MB within 15 s; the suite's own cluster rotates at 1 MiB.
    let script = "n=0; while test $n -lt 30; do seq $((n * 50000 + 1)) $((n * 50000 + 50000)); n=$((n + 1)); \
                  sleep 0.5; done";
    let run = exec(namespace, &[Step::sh("a", script)], &["--quiet"]);
    run.succeeded("a");
    let log = run.end("a").log;
    let gaps = run.all("step-gap");
    if gaps.is_empty() {
        assert!(log == numbered(1, 1_500_000), "{} bytes", log.len());
    } else {
        // What was rotated away while nobody read is lost, and told; nothing comes twice or out of order.
        let numbers: Vec<u64> = log.lines().map(|line| line.parse().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{gaps:?}");
        assert_eq!(numbers.last(), Some(&1_500_000));
    }
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
