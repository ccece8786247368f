//! Pods with containers that somebody added: only the one named `step` has a code for us.

use local_cluster::{LocalCluster, Script};
use runner::outcome::{Outcome, Reason};
use serde_json::json;
use tests::fault;
use tests::faults::{Expected, hours, lines, minutes, seconds, steps};

/// A webhook puts another container into the pods of a step, as the first of all.
fn beside(cluster: &LocalCluster, step: &str, script: Script) {
    cluster.faults().on("create", "pods", &format!("{step}-*")).sidecar("proxy", script);
}

/// Prints a line and ends five seconds later.
fn program() -> Script {
    Script::new().print(lines([1])).sleep(seconds(5))
}

#[test]
fn f40_a_container_that_keeps_the_pod_running_is_stopped_and_decides_nothing() {
    let seen = fault!()
        .workflow(steps(&[("a", ""), ("b", "")]))
        .script("a", program())
        .script("b", program().exit(3))
        .cluster(|cluster| {
            beside(cluster, "a", Script::new().forever());
            beside(cluster, "b", Script::new().forever());
        })
        .run();
    seen.expect(
        Expected::failed(3, Reason::Exit)
            .outcome("a", Outcome::Succeeded)
            .outcome("b", Outcome::failed(Some(3), Reason::Exit))
            .lines(1)
            .log("b", lines([1])),
    );
    assert!(seen.took >= seconds(35), "{:?}", seen.took);
    assert!(seen.screen.contains("but `proxy` keeps the pod running"), "{}", seen.screen);
    for step in ["a", "b"] {
        let notes = seen.steps[step].verdict.as_ref().unwrap().notes.join("\n");
        assert!(notes.contains("was stopped: `proxy` still ran"), "{notes}");
    }
}

#[test]
fn f40_with_keep_the_job_is_suspended() {
    let seen = fault!()
        .workflow(steps(&[("a", "cleanup_policy: keep")]))
        .script("a", program())
        .cluster(|cluster| beside(cluster, "a", Script::new().forever()))
        .run();
    seen.expect(Expected::succeeded().lines(1).kept(1).more("patch jobs", 1));
    assert_eq!(seen.kept_phases(), [""; 0], "a pod of the kept Job");
}

#[test]
fn f40_a_native_sidecar_needs_nothing() {
    let seen = fault!()
        .script("a", program())
        .cluster(|cluster| {
            cluster.faults().on("create", "pods", "a-*").native_sidecar("mesh", Script::new().forever());
        })
        .run();
    seen.expect(Expected::succeeded().within(seconds(6)).lines(1));
}

#[test]
fn f41_a_container_that_is_killed_with_the_pod_changes_nothing() {
    fault!()
        .script("a", program())
        .cluster(|cluster| beside(cluster, "a", Script::new().forever().ignoring_stop()))
        .run()
        .expect(Expected::succeeded().within(minutes(2)).lines(1));
}

#[test]
fn f41_a_job_that_fails_by_another_container_fails_without_its_code() {
    let seen = fault!()
        .workflow(steps(&[("a", ""), ("b", "")]))
        .script("a", program())
        .script("b", program().exit(3))
        .cluster(|cluster| {
            beside(cluster, "a", Script::new().sleep(seconds(1)).signal(9));
            beside(cluster, "b", Script::new().sleep(seconds(1)).signal(9));
        })
        .run();
    seen.expect(
        Expected::failed(None, Reason::JobFailed)
            .outcome("b", Outcome::failed(Some(3), Reason::Exit))
            .within(seconds(10))
            .lines(1)
            .log("b", lines([1]))
            .more("list events", 2),
    );
    for step in ["a", "b"] {
        let notes = seen.steps[step].verdict.as_ref().unwrap().notes.join("\n");
        assert!(notes.contains("container `proxy` ended with 137 = SIGKILL"), "{notes}");
    }
}

#[test]
fn f42_a_container_that_ends_badly_is_shown_at_once_and_the_step_runs_on() {
    let seen = fault!()
        .workflow(steps(&[("a", "active_deadline: 7200")]))
        .script("a", Script::new().print(lines([1])).forever())
        .cluster(|cluster| beside(cluster, "a", Script::new().sleep(seconds(5)).exit(1)))
        .run();
    seen.expect(
        Expected::failed(None, Reason::Deadline)
            .within(hours(2) + seconds(1))
            .lines(1)
            // A stream on which nothing comes for five minutes is opened again.
            .more("get pods/log", 23)
            .more("list events", 2),
    );
    assert!(seen.took >= hours(2), "{:?}", seen.took);
    assert!(seen.screen.contains("a: note: container `proxy` ended with 1"), "{}", seen.screen);
}

#[test]
fn f76_the_code_is_that_of_the_container_step_in_whatever_order() {
    fault!()
        .script("a", program().exit(52))
        .cluster(|cluster| beside(cluster, "a", Script::new()))
        .run()
        .expect(Expected::failed(52, Reason::Exit).lines(1));
}

#[test]
fn f76_without_a_container_step_nobody_can_know() {
    let seen = fault!()
        .cluster(|cluster| {
            let renamed = json!([{"op": "replace", "path": "/spec/containers/0/name", "value": "main"}]);
            cluster.faults().on("create", "pods", "a-*").mutate(renamed);
            cluster.faults().on("run", "pods", "a-*").script("main", Script::new().sleep(seconds(5)));
        })
        .run();
    seen.expect(Expected::lost().within(seconds(1)).more("get pods/log", -2).more("list events", 2));
    let message = &seen.steps["a"].verdict.as_ref().unwrap().message;
    assert!(message.contains("has no container `step`, but `main`"), "{message}");
}

#[test]
fn f79_an_init_container_that_fails_is_named_with_its_last_lines() {
    let seen = fault!()
        .script("a", program())
        .cluster(|cluster| {
            let script = Script::new().print("cannot reach vault\n").sleep(seconds(1)).exit(1);
            cluster.faults().on("create", "pods", "a-*").init("secrets", script);
        })
        .run();
    seen.expect(
        // One read of the log of the other container, none of the step's.
        Expected::failed(None, Reason::InitFailed).within(seconds(5)).more("get pods/log", -1).more("list events", 2),
    );
    let message = &seen.steps["a"].verdict.as_ref().unwrap().message;
    assert!(message.contains("`secrets` ended with 1") && message.contains("cannot reach vault"), "{message}");
}

#[test]
fn f79_an_init_container_that_hangs_is_shown_and_bounded_by_the_deadline() {
    let seen = fault!()
        .workflow(steps(&[("a", "active_deadline: 3600")]))
        .script("a", program())
        .cluster(|cluster| {
            cluster.faults().on("create", "pods", "a-*").init("secrets", Script::new().forever());
        })
        .run();
    seen.expect(
        Expected::failed(None, Reason::Deadline)
            .within(hours(1) + seconds(1))
            .more("get pods/log", -2)
            .more("list events", 2),
    );
    assert!(seen.screen.contains("waits for init container `secrets`"), "{}", seen.screen);
}

#[test]
fn f79_the_code_of_a_native_sidecar_is_no_failure() {
    fault!()
        .script("a", program())
        .cluster(|cluster| {
            let killed = Script::new().sleep(seconds(1)).signal(9);
            cluster.faults().on("create", "pods", "a-*").native_sidecar("mesh", killed);
        })
        .run()
        .expect(Expected::succeeded().lines(1));
}
