//! Logs: everything once and in order, whatever the node does with its files; and how much runs at once.

use std::fmt::Write as _;

use http::Method;
use serde_json::{Value, json};
use tests::{Namespace, Proxy};

use crate::run::{exec, start, start_with};
use crate::suite::{Test, until};
use crate::workflow::{Step, in_memory};

pub(crate) const TESTS: &[Test] = &[
    Test::new("a_burst_from_a_program_that_is_gone_at_once", a_burst_from_a_program_that_is_gone_at_once),
    Test::new("lines_that_are_long_and_bytes_that_are_no_text", lines_that_are_long_and_bytes_that_are_no_text),
    Test::new("a_log_that_the_node_rotates", a_log_that_the_node_rotates),
    Test::new("a_log_that_is_rotated_while_nobody_reads", a_log_that_is_rotated_while_nobody_reads),
    Test::new("a_log_that_is_rotated_faster_than_it_is_read", a_log_that_is_rotated_faster_than_it_is_read),
    // The one node is busy with it for a minute; whatever else ran would begin that much later.
    Test::alone("two_hundred_steps_at_once", two_hundred_steps_at_once),
];

/// Numbered lines.
fn numbered(from: usize, to: usize) -> String {
    (from..=to).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "{n}");
        text
    })
}

/// What lies on the way from a program to the node's file: its pipe and containerd's, 64 KiB each, and what copies between
/// them. Busy nodes were seen to lose up to 93 KB.
const ON_THE_WAY: usize = 192 * 1024;

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

fn a_burst_from_a_program_that_is_gone_at_once(namespace: &Namespace) {
    let step = Step::sh("a", "seq 1 100000; printf end").config(json!({"cleanup_policy": "keep"}));
    let run = exec(namespace, &[step], &["--quiet"]);
    run.succeeded("a");
    let pod = name(&namespace.list("pods").unwrap()[0]);
    let there = namespace.text(Method::GET, &format!("{}/{pod}/log?container=step", namespace.path("pods"))).unwrap();
    namespace.delete("jobs", &name(&namespace.list("jobs").unwrap()[0])).unwrap();
    let (log, whole) = (run.end("a").log, numbered(1, 100_000) + "end");
    // To the last byte that the node has; its log may have been rotated since. On a machine that is very busy that may lack
    // the end: containerd gives the output of a program that is gone two seconds to be copied, and throws away what is still
    // on the way. <https://github.com/containerd/containerd/blob/v1.6.20/pkg/process/init.go>, `delete`
    assert!(log.ends_with(&there), "{} bytes, and the node has {}: {there:.80}", log.len(), there.len());
    assert!(whole.strip_prefix(&log).is_some_and(|rest| rest.len() <= ON_THE_WAY), "{} bytes", log.len());
    if namespace.served().is_some() {
        assert_eq!(log.len(), whole.len());
    }
}

fn lines_that_are_long_and_bytes_that_are_no_text(namespace: &Namespace) {
    // 40 KiB: the node writes it in three pieces.
    let script = "head -c 40960 /dev/zero | tr '\\000' x; echo; echo; printf 'a\\r\\377\\tb\\n'; printf end";
    let run = exec(namespace, &[Step::sh("a", script)], &[]);
    run.succeeded("a");
    let expected = format!("{}\n\na\r\u{fffd}\tb\nend", "x".repeat(40960));
    assert!(run.end("a").log == expected, "{:?}", run.end("a").log);
}

/// Begins when the test says so, and then prints numbers in angle brackets, so many at once, each time after a pause, until
/// the test has enough. A node that rotates cuts a line in two where it has to, and may lose a half: the brackets show it.
fn numbers(namespace: &Namespace, at_once: usize, pause: &str) -> Step {
    let script = format!(
        "echo begun; while ! test -e go; do sleep 0.1; done; n=1; while ! test -e enough; do \
         awk -v n=$n 'BEGIN {{ for (i = n; i < n + {at_once}; i++) print \"<\" i \">\" }}'; \
         n=$((n + {at_once})); sleep {pause}; done; echo end"
    );
    Step::sh("a", &script).config(in_memory(namespace, &json!({})))
}

/// Waits until the log is followed.
fn until_read(namespace: &Namespace) {
    let log = namespace.workdir().path().join(".state/runner/runs/r1/logs/a.1.log");
    until("the log is followed", || std::fs::read(&log).is_ok_and(|log| log.starts_with(b"begun\n")));
}

/// What the real cluster's node does at the same size.
fn rotate(namespace: &Namespace) {
    if let Some(served) = namespace.served() {
        served.rotate_logs(1024 * 1024);
    }
}

/// Waits until the log was rotated so many times from now on, and is so many lines further.
fn until_rotated(namespace: &Namespace, times: usize, lines: u64) {
    let pod = name(&namespace.list("pods").unwrap()[0]);
    let path = format!("{}/{pod}/log?container=step&limitBytes=100", namespace.path("pods"));
    let mut first: Vec<u64> = Vec::new();
    until("the log is rotated", || {
        // In the middle of a rotation there is no file, or an empty one; a file may begin with half a line.
        let log = namespace.text(Method::GET, &path).unwrap_or_default();
        let begin = if log.starts_with("begun") { Some(0) } else { log.lines().take(2).find_map(number) };
        first.extend(begin.filter(|begin| first.last().is_none_or(|last| last < begin)));
        first.len() > times && first[first.len() - 1] >= first[0] + lines
    });
}

/// The number of a line that is whole.
fn number(line: &str) -> Option<u64> {
    line.strip_prefix('<')?.strip_suffix('>')?.parse().ok()
}

/// What of the numbers is there, from the first line to the last.
#[derive(Debug)]
struct Counted {
    /// How many came.
    whole: usize,
    /// How many stretches of them did not.
    lost: usize,
    /// Lines that are no number.
    halves: Vec<String>,
}

/// Holds a log to have every line once at most, and in order.
#[track_caller]
fn count(log: &str) -> Counted {
    let lines = log.strip_prefix("begun\n").and_then(|log| log.strip_suffix("end\n"));
    let lines = lines.unwrap_or_else(|| panic!("no beginning or no end: {log:.100} … {:?}", log.lines().last()));
    let mut counted = Counted { whole: 0, lost: 0, halves: Vec::new() };
    let mut before = 0_u64;
    for line in lines.lines() {
        let Some(number) = number(line) else {
            counted.halves.push(line.to_owned());
            continue;
        };
        assert!(before < number, "{number} behind {before}");
        counted.whole += 1;
        counted.lost += usize::from(before + 1 != number);
        before = number;
    }
    counted
}

fn a_log_that_the_node_rotates(namespace: &Namespace) {
    rotate(namespace);
    // Slow enough for a node to send it all.
    let running = start(namespace, &[numbers(namespace, 1500, "0.3")], &["--quiet", "--run-id", "r1"]);
    until_read(namespace);
    namespace.workdir().write("memory/go", "").unwrap();
    until_rotated(namespace, 2, 0);
    namespace.workdir().write("memory/enough", "").unwrap();
    let run = running.wait();
    run.succeeded("a");
    let counted = count(&run.end("a").log);
    assert!(counted.lost == 0 && counted.halves.is_empty(), "{counted:?} {:#?}", run.all("step-gap"));
    assert!(run.all("step-gap").is_empty(), "{:#?}", run.all("step-gap"));
}

/// F64: all that is lost is told of.
fn a_log_that_is_rotated_while_nobody_reads(namespace: &Namespace) {
    rotate(namespace);
    let proxy = Proxy::start(namespace.kubeconfig()).unwrap();
    let kubeconfig = proxy.kubeconfig(namespace.kubeconfig(), namespace.workdir().path().join("proxied")).unwrap();
    let running =
        start_with(namespace, &kubeconfig, &[numbers(namespace, 1500, "0.3")], &["--quiet", "--run-id", "r1"]);
    until_read(namespace);
    proxy.refuse(true);
    proxy.cut();
    namespace.workdir().write("memory/go", "").unwrap();
    until_rotated(namespace, 2, 0);
    proxy.refuse(false);
    // It reads again.
    running.until("the gap", |event| event["event"] == "step-gap");
    namespace.workdir().write("memory/enough", "").unwrap();
    let run = running.wait();
    run.succeeded("a");
    let counted = count(&run.end("a").log);
    assert!(counted.lost == 1 && counted.halves.is_empty(), "{counted:?}");
    assert_eq!(run.all("step-gap").len(), 1, "{:#?}", run.all("step-gap"));
}

/// F64 without a cut: a node leaves files out, and sends the newest several times.
fn a_log_that_is_rotated_faster_than_it_is_read(namespace: &Namespace) {
    rotate(namespace);
    let proxy = Proxy::start(namespace.kubeconfig()).unwrap();
    let kubeconfig = proxy.kubeconfig(namespace.kubeconfig(), namespace.workdir().path().join("proxied")).unwrap();
    let running =
        start_with(namespace, &kubeconfig, &[numbers(namespace, 20_000, "0.2")], &["--quiet", "--run-id", "r1"]);
    until_read(namespace);
    namespace.workdir().write("memory/go", "").unwrap();
    until_rotated(namespace, 1, 0);
    proxy.pause(true);
    // Some 30 MB: more than what all the buffers between the node and the program take.
    until_rotated(namespace, 3, 800_000);
    proxy.pause(false);
    until_rotated(namespace, 1, 0);
    namespace.workdir().write("memory/enough", "").unwrap();
    let run = running.wait();
    run.succeeded("a");
    let counted = count(&run.end("a").log);
    let gaps = run.all("step-gap");
    // A node that is busy leaves out more than it can be known to.
    assert!(counted.lost > 0 && !gaps.is_empty(), "{counted:?} {gaps:#?}");
    assert!(counted.halves.len() <= counted.lost, "{counted:?}");
    assert!(counted.whole > 40_000, "{counted:?}");
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
