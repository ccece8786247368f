//! Pods that do not start: waited for as long as it may pass, then failed with the cluster's own words.

use local_cluster::{Answer, Script};
use runner::outcome::{Outcome, Reason};
use serde_json::json;
use tests::fault;
use tests::faults::{Expected, hours, lines, minutes, seconds, steps};

const NOT_FOUND: &str = "failed to pull and unpack image \"x\": failed to resolve reference \"x\": not found";
const BACK_OFF: &str = "Back-off pulling image \"x\"";

/// An image that cannot be pulled for so long, as the node shows it.
fn pulling(script: Script, time: Option<std::time::Duration>) -> Script {
    script.waiting("ErrImagePull", NOT_FOUND, Some(seconds(5))).waiting("ImagePullBackOff", BACK_OFF, time)
}

fn failed(reason: Reason) -> Outcome {
    Outcome::failed(None, reason)
}

#[test]
fn f21_a_registry_that_fails_for_a_while_fails_no_step() {
    fault!()
        .script("a", pulling(Script::new(), Some(seconds(15))).print(lines(1..=3)).sleep(seconds(5)))
        .run()
        .expect(Expected::succeeded().lines(3));
}

#[test]
fn f21_an_image_that_never_comes_fails_the_step_with_the_words_of_the_registry() {
    let seen = fault!().script("a", pulling(Script::new(), None)).run();
    seen.expect(
        Expected::failed(None, Reason::ImagePull).within(seconds(125)).more("get pods/log", -2).more("list events", 2),
    );
    assert!(seen.took >= minutes(2), "{:?}", seen.took);
    assert!(seen.steps["a"].verdict.as_ref().unwrap().message.contains(NOT_FOUND));
}

#[test]
fn f21_an_image_that_can_never_come_fails_the_step_at_once() {
    let waiting = |reason, message| Script::new().waiting(reason, message, None);
    fault!()
        .workflow(steps(&[("a", ""), ("b", "")]))
        .script("a", waiting("InvalidImageName", "Failed to apply default image tag \"X\": couldn't parse \"X\""))
        .script("b", waiting("ErrImageNeverPull", "Container image \"x\" is not present with pull policy of Never"))
        .run()
        .expect(
            Expected::failed(None, Reason::ImagePull)
                .outcome("b", failed(Reason::ImagePull))
                .within(seconds(1))
                .more("get pods/log", -4)
                .more("list events", 4),
        );
}

#[test]
fn f21_a_wait_of_zero_fails_at_the_first_error() {
    fault!().wait("pull=0").script("a", pulling(Script::new(), None)).run().expect(
        Expected::failed(None, Reason::ImagePull).within(seconds(1)).more("get pods/log", -2).more("list events", 2),
    );
}

#[test]
fn f22_an_image_that_comes_after_the_verdict_starts_nothing() {
    fault!().script("a", pulling(Script::new(), Some(minutes(3))).print("too late\n")).run().expect(
        Expected::failed(None, Reason::ImagePull).within(seconds(125)).more("get pods/log", -2).more("list events", 2),
    );
}

#[test]
fn f22_a_job_that_is_kept_is_suspended_so_that_nothing_starts_later() {
    let seen = fault!()
        .workflow(steps(&[("a", "cleanup_policy: keep")]))
        .script("a", pulling(Script::new(), Some(minutes(3))).print("too late\n"))
        .run();
    seen.expect(
        Expected::failed(None, Reason::ImagePull)
            .within(seconds(125))
            .kept(1)
            .more("get pods/log", -2)
            .more("list events", 2)
            .more("patch jobs", 1),
    );
    assert_eq!(seen.kept_phases(), [""; 0], "a pod of the kept Job");
}

#[test]
fn f22_a_job_that_is_kept_and_cannot_be_suspended_is_warned_of() {
    let seen = fault!()
        .workflow(steps(&[("a", "cleanup_policy: keep")]))
        .script("a", pulling(Script::new(), None))
        .cluster(|cluster| {
            let answer =
                Answer::status(403, "jobs.batch \"a\" is forbidden: User \"u\" cannot patch resource \"jobs\"");
            cluster.faults().on("patch", "jobs", "*").answer(answer);
        })
        .run();
    seen.expect(
        Expected::failed(None, Reason::ImagePull)
            .within(seconds(125))
            .kept(1)
            .more("get pods/log", -2)
            .more("list events", 2)
            .more("patch jobs", 1),
    );
    assert!(seen.screen.contains("it may still start"), "{}", seen.screen);
}

#[test]
fn f23_a_secret_that_is_missing_is_named() {
    let waiting = |message| Script::new().waiting("CreateContainerConfigError", message, None);
    let seen = fault!()
        .workflow(steps(&[("a", "env_from: [{secret_ref: {name: db}}]"), ("b", "")]))
        .script("b", waiting("couldn't find key url in ConfigMap default/settings"))
        .run();
    seen.expect(
        Expected::failed(None, Reason::ContainerConfig)
            .outcome("b", failed(Reason::ContainerConfig))
            .within(seconds(31))
            .more("get pods/log", -4)
            .more("list events", 4),
    );
    assert!(seen.steps["a"].verdict.as_ref().unwrap().message.contains("secret \"db\" not found"), "{}", seen.screen);
}

#[test]
fn f23_a_secret_that_comes_in_time_is_no_failure() {
    fault!()
        .script("a", {
            let waiting =
                Script::new().waiting("CreateContainerConfigError", "secret \"db\" not found", Some(seconds(25)));
            waiting.print(lines(1..=1)).sleep(seconds(5))
        })
        .run()
        .expect(Expected::succeeded().lines(1));
}

#[test]
fn f24_a_slow_container_runtime_is_waited_for_as_a_pull_is() {
    let taken = "failed to reserve container name \"step_a_default_0\": name is reserved for \"6fd1\"";
    fault!()
        .script(
            "a",
            Script::new()
                .waiting("CreateContainerError", "context deadline exceeded", Some(seconds(20)))
                .waiting("CreateContainerError", taken, Some(seconds(40)))
                .print(lines(1..=1))
                .sleep(seconds(5)),
        )
        .run()
        .expect(Expected::succeeded().within(seconds(70)).lines(1));
}

#[test]
fn f24_a_container_that_cannot_be_made_fails_the_step_soon() {
    let message = "failed to create shim task: OCI runtime create failed: no such file or directory";
    fault!().script("a", Script::new().waiting("CreateContainerError", message, None)).run().expect(
        Expected::failed(None, Reason::ContainerCreate)
            .within(seconds(31))
            .more("get pods/log", -2)
            .more("list events", 2),
    );
}

const QUOTA: &str =
    "pods \"a-\" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=10, limited: pods=10";

#[test]
fn f25_no_pod_shows_the_failed_create_event() {
    let seen = fault!().cluster(|cluster| cluster.faults().on("create", "pods", "a-*").no_pods(Some(QUOTA))).run();
    seen.expect(
        // The events are listed after 10 and 30 seconds, and once for the report.
        Expected::failed(None, Reason::NoPod).within(seconds(71)).more("get pods/log", -2).more("list events", 3),
    );
    assert!(seen.steps["a"].verdict.as_ref().unwrap().message.contains(QUOTA), "{}", seen.screen);
}

#[test]
fn f25_quota_that_comes_free_in_time_is_no_failure() {
    fault!()
        .script("a", Script::new().print(lines(1..=1)).sleep(seconds(5)))
        .cluster(|cluster| cluster.faults().on("create", "pods", "a-*").lasting(seconds(40)).no_pods(Some(QUOTA)))
        .run()
        .expect(Expected::succeeded().within(seconds(70)).lines(1).more("list events", 2));
}

#[test]
fn f25_no_pod_and_no_event_is_waited_for_ten_times_as_long() {
    let seen = fault!().cluster(|cluster| cluster.faults().on("create", "pods", "a-*").no_pods(None)).run();
    seen.expect(
        Expected::failed(None, Reason::NoPod).within(seconds(601)).more("get pods/log", -2).more("list events", 5),
    );
    assert!(seen.took >= minutes(10), "{:?}", seen.took);
}

#[test]
fn f25_without_the_right_to_list_events_no_pod_is_waited_for_as_without_one() {
    let seen = fault!()
        .cluster(|cluster| {
            cluster.faults().on("create", "pods", "a-*").no_pods(Some(QUOTA));
            cluster.faults().on("list", "events", "*").answer(Answer::status(403, "events is forbidden"));
        })
        .run();
    seen.expect(
        Expected::failed(None, Reason::NoPod).within(seconds(601)).more("get pods/log", -2).more("list events", 5),
    );
    assert!(seen.took >= minutes(10), "{:?}", seen.took);
}

const NO_NODE: &str = "0/3 nodes are available: 3 Insufficient cpu. preemption: not eligible";

#[test]
fn f26_a_node_that_comes_in_time_is_no_failure() {
    fault!()
        .script("a", Script::new().print(lines(1..=1)).sleep(seconds(5)))
        .cluster(|cluster| cluster.faults().on("schedule", "pods", "a-*").unschedulable(Some(seconds(20)), NO_NODE))
        .run()
        .expect(Expected::succeeded().lines(1));
}

#[test]
fn f26_a_pod_that_no_node_takes_fails_the_step_and_keep_keeps_its_job() {
    let seen = fault!()
        .workflow(steps(&[("a", "cleanup_policy: keep")]))
        .cluster(|cluster| cluster.faults().on("schedule", "pods", "a-*").unschedulable(None, NO_NODE))
        .run();
    seen.expect(
        Expected::failed(None, Reason::Unschedulable)
            .within(seconds(601))
            .kept(1)
            .more("get pods/log", -2)
            .more("list events", 2)
            .more("patch jobs", 1),
    );
    assert!(seen.took >= minutes(10), "{:?}", seen.took);
    assert!(seen.steps["a"].verdict.as_ref().unwrap().message.contains(NO_NODE), "{}", seen.screen);
}

#[test]
fn f26_a_scheduling_gate_is_shown_and_does_not_count() {
    fault!()
        .script("a", Script::new().print(lines(1..=1)).sleep(seconds(5)))
        .cluster(|cluster| {
            let gate = json!({"spec": {"schedulingGates": [{"name": "example.com/quota"}]}});
            cluster.faults().on("create", "pods", "a-*").mutate(gate);
        })
        .meanwhile(|stage| async move {
            tokio::time::sleep(minutes(20)).await;
            stage.cluster().open_gates("default", "a-*").unwrap();
        })
        .run()
        .expect(Expected::succeeded().within(minutes(21)).lines(1));
}

#[test]
fn f27_a_pod_that_was_never_seen_running_has_its_end_and_its_log() {
    fault!()
        .workflow(steps(&[("a", ""), ("b", "")]))
        .script("a", Script::new().print(lines(1..=3)).sleep(seconds(5)))
        .script("b", Script::new().print("no\n").sleep(seconds(5)).exit(3))
        .cluster(|cluster| {
            let is_earlier =
                |pod: &serde_json::Value| !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
            cluster.faults().on("send", "pods", "*").when(is_earlier).lose();
        })
        .run()
        .expect(
            Expected::failed(3, Reason::Exit)
                .outcome("a", Outcome::Succeeded)
                .outcome("b", Outcome::failed(Some(3), Reason::Exit))
                .lines(3)
                .log("b", "no\n")
                // The first read finds the container ended.
                .more("get pods/log", -2),
        );
}

#[test]
fn f28_a_pod_that_its_node_refuses_fails_with_the_words_of_the_node() {
    let seen = fault!()
        .cluster(|cluster| {
            let message = "Node didn't have enough resource: cpu, requested: 4000, used: 100, capacity: 4000";
            cluster.faults().on("admit", "pods", "a-*").reject("OutOfcpu", message);
        })
        .run();
    seen.expect(
        Expected::failed(None, Reason::RejectedByNode)
            .within(seconds(1))
            .more("get pods/log", -2)
            .more("list events", 2),
    );
    assert!(seen.steps["a"].verdict.as_ref().unwrap().message.contains("OutOfcpu"), "{}", seen.screen);
}

#[test]
fn f53_a_deadline_that_passes_while_nothing_runs_ends_the_step() {
    fault!()
        .workflow(steps(&[
            ("pending", "active_deadline: 5"),
            ("podless", "active_deadline: 5"),
            ("zero", "active_deadline: 0"),
            ("running", "active_deadline: 5"),
        ]))
        .script("running", Script::new().print("begun\n").forever())
        .cluster(|cluster| {
            cluster.faults().on("schedule", "pods", "pending-*").unschedulable(None, NO_NODE);
            cluster.faults().on("create", "pods", "podless-*").no_pods(None);
        })
        .run()
        .expect(
            Expected::nothing_runs(runner::report::ExitCode::Failed)
                .outcome("pending", failed(Reason::Deadline))
                .outcome("podless", failed(Reason::Deadline))
                .outcome("zero", failed(Reason::Deadline))
                .outcome("running", failed(Reason::Deadline))
                .within(seconds(6))
                .log("running", "begun\n")
                .more("get pods/log", -6)
                // Two of them had a pod.
                .more("list events", 6),
        );
}

const MOUNT: &str = "MountVolume.SetUp failed for volume \"data\": secret \"keys\" not found";

#[test]
fn f73_a_volume_that_never_comes_fails_the_step_with_the_event() {
    let seen =
        fault!().script("a", Script::new().warn("FailedMount", MOUNT).waiting("ContainerCreating", "", None)).run();
    seen.expect(
        // After 20, 60 and 180 seconds, and twice for the report.
        Expected::failed(None, Reason::PodStart).within(seconds(321)).more("get pods/log", -2).more("list events", 5),
    );
    assert!(seen.took >= minutes(5), "{:?}", seen.took);
    assert!(seen.steps["a"].verdict.as_ref().unwrap().message.contains(MOUNT), "{}", seen.screen);
}

#[test]
fn f73_a_volume_that_comes_late_is_no_failure() {
    fault!()
        .script(
            "a",
            Script::new()
                .warn("FailedAttachVolume", "Multi-Attach error for volume \"data\"")
                .waiting("ContainerCreating", "", Some(seconds(50)))
                .print(lines(1..=1))
                .sleep(seconds(5)),
        )
        .run()
        .expect(Expected::succeeded().lines(1).more("list events", 1));
}

#[test]
fn f74_a_program_that_cannot_be_started_is_told_from_one_that_ends_with_127() {
    let missing = "failed to create containerd task: failed to create shim task: OCI runtime create failed: exec: \
                   \"work\": executable file not found in $PATH";
    let seen = fault!()
        .workflow(steps(&[("a", ""), ("b", ""), ("c", "")]))
        .script("a", Script::new().terminated(128, "StartError", missing))
        .script("b", Script::new().print("sh: work: not found\n").sleep(seconds(1)).exit(127))
        .script("c", Script::new().terminated(126, "ContainerCannotRun", "exec format error"))
        .run();
    seen.expect(
        Expected::failed(128, Reason::StartError)
            .outcome("b", Outcome::failed(Some(127), Reason::Exit))
            .outcome("c", Outcome::failed(Some(126), Reason::StartError))
            .within(seconds(5))
            .log("b", "sh: work: not found\n")
            // What never ran is asked for its log once.
            .more("get pods/log", -2),
    );
    assert!(seen.steps["a"].verdict.as_ref().unwrap().message.contains(missing), "{}", seen.screen);
}

#[test]
fn f75_a_job_that_is_suspended_while_it_runs_goes_on_with_its_next_pod() {
    fault!()
        .cluster(|cluster| {
            let first = Script::new().print("first\n").forever();
            cluster.faults().on("run", "pods", "a-*").nth(1).script("step", first);
            let second = Script::new().print("second\n").sleep(seconds(5));
            cluster.faults().on("run", "pods", "a-*").nth(2).script("step", second);
        })
        .meanwhile(|mut stage| async move {
            stage.shown("first").await;
            tokio::time::sleep(seconds(5)).await;
            stage.cluster().suspend("default", "a-*", Some(hours(2))).unwrap();
        })
        .run()
        .expect(
            Expected::succeeded().within(hours(2) + seconds(30)).log("a", "first\nsecond\n").more("get pods/log", 2),
        );
}

#[test]
fn f75_a_job_that_is_queued_waits_for_its_queue_and_nothing_else() {
    let seen = fault!()
        .script("a", Script::new().print(lines(1..=1)).sleep(seconds(5)))
        .cluster(|cluster| {
            cluster.faults().on("create", "jobs", "a-*").mutate(json!({"spec": {"suspend": true}}));
        })
        .meanwhile(|stage| async move {
            tokio::time::sleep(hours(1)).await;
            stage.cluster().resume("default", "a-*").unwrap();
        })
        .run();
    seen.expect(Expected::succeeded().within(hours(1) + seconds(30)).lines(1));
    assert!(seen.screen.contains("a: suspended"), "{}", seen.screen);
}

#[test]
fn f75_a_suspension_of_a_pod_that_waits_stops_its_wait() {
    fault!()
        .script("a", Script::new().print(lines(1..=1)).sleep(seconds(5)))
        .cluster(|cluster| cluster.faults().on("schedule", "pods", "a-*").nth(1).unschedulable(None, NO_NODE))
        .meanwhile(|stage| async move {
            tokio::time::sleep(minutes(9)).await;
            stage.cluster().suspend("default", "a-*", Some(minutes(10))).unwrap();
        })
        .run()
        .expect(Expected::succeeded().within(minutes(20)).lines(1));
}
