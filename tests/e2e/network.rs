//! What networks and API servers do in the middle of a run: connections break, stay silent, are slow, are refused.

use std::time::Duration;

use tests::{ClusterKind, Namespace, Proxy};

use crate::run::{Run, Running, start, start_with};
use crate::suite::{Test, until};
use crate::workflow::Step;

pub(crate) const TESTS: &[Test] = &[
    Test::new("connections_that_break_again_and_again", connections_that_break_again_and_again),
    Test::new("connections_that_go_silent", connections_that_go_silent),
    Test::new("a_slow_network", a_slow_network),
    Test::new("a_cluster_that_is_away_for_a_while", a_cluster_that_is_away_for_a_while),
    Test::alone("an_api_server_that_is_restarted", an_api_server_that_is_restarted),
];

/// Shell command that restarts the API server of the real cluster and returns when it answers again.
const RESTART: &str = "RUNNER_TEST_RESTART_APISERVER";

/// Counts to ten and ends with 4.
fn counting() -> Step {
    Step::sh("a", "for n in $(seq 1 10); do echo line $n; sleep 1; done; exit 4")
}

fn through(namespace: &Namespace, proxy: &Proxy, arguments: &[&str]) -> Running {
    let kubeconfig = namespace.workdir().path().join("through-the-proxy");
    let kubeconfig = proxy.kubeconfig(namespace.kubeconfig(), kubeconfig).unwrap();
    start_with(namespace, &kubeconfig, &[counting()], arguments)
}

/// Every line once and in order, and the program's own code.
#[track_caller]
fn counted(run: &Run) {
    run.ended("a", Some(4), "exit", &[]);
    let expected: String = (1..=10).map(|n| format!("line {n}\n")).collect();
    assert_eq!(run.end("a").log, expected, "{:#?}", run.events);
    assert!(run.all("step-gap").is_empty() && run.all("leftover").is_empty(), "{:#?}", run.events);
}

fn connections_that_break_again_and_again(namespace: &Namespace) {
    let proxy = Proxy::start(namespace.kubeconfig()).unwrap();
    let running = through(namespace, &proxy, &[]);
    for line in ["line 1", "line 2", "line 4", "line 7", "line 10"] {
        running.until_line("a", line);
        proxy.cut();
    }
    counted(&running.wait());
    assert!(proxy.connections() > 5, "{}", proxy.connections());
}

fn connections_that_go_silent(namespace: &Namespace) {
    let proxy = Proxy::start(namespace.kubeconfig()).unwrap();
    let running = through(namespace, &proxy, &["--wait", "silence=10s"]);
    running.until_line("a", "line 3");
    proxy.stall();
    counted(&running.wait());
}

fn a_slow_network(namespace: &Namespace) {
    let proxy = Proxy::start(namespace.kubeconfig()).unwrap();
    proxy.delay(Duration::from_millis(150));
    counted(&through(namespace, &proxy, &[]).wait());
}

fn a_cluster_that_is_away_for_a_while(namespace: &Namespace) {
    let proxy = Proxy::start(namespace.kubeconfig()).unwrap();
    let running = through(namespace, &proxy, &[]);
    running.until_line("a", "line 2");
    proxy.refuse(true);
    proxy.cut();
    running.until("that it is told", |event| {
        event.to_string().contains("the cluster does not answer") || event["waits"][0]["kind"] == "api"
    });
    proxy.refuse(false);
    counted(&running.wait());
}

fn an_api_server_that_is_restarted(namespace: &Namespace) {
    let running = start(namespace, &[counting()], &[]);
    running.until_line("a", "line 2");
    match namespace.kind() {
        ClusterKind::Embedded => namespace.served().unwrap().restart_server().unwrap(),
        ClusterKind::Real => {
            let command = std::env::var(RESTART).unwrap_or_else(|_| panic!("{RESTART} is not set"));
            let restarted = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
            assert!(restarted.status.success(), "{command}: {restarted:?}");
        }
    }
    let run = running.wait();
    counted(&run);
    until("the API server answers", || namespace.list("jobs").is_ok());
}
