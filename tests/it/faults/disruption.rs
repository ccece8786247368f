//! Pods that somebody or something puts out: the Job's word and the pod's own conditions say what that means.

use local_cluster::{After, Disruption, Interruption, LocalCluster, Script};
use runner::outcome::{Outcome, Reason};
use tests::fault;
use tests::faults::{Expected, hours, lines, minutes, seconds, steps};

/// Pods that are put out do not count, and are replaced.
const REPLACED: &str = "pod_failure_policy: {rules: [{action: Ignore, on_pod_conditions: [{type: DisruptionTarget}]}]}";

fn failed(reason: Reason) -> Outcome {
    Outcome::failed(None, reason)
}

/// Prints two lines; after five seconds this happens to its pod.
fn disrupted(how: Disruption) -> Script {
    let program = Script::new().print(lines([1])).sleep(seconds(4)).print(lines([2])).sleep(seconds(1));
    program.disrupted(how).forever()
}

/// The pods of step `a` are these, one after the other.
fn pods(cluster: &LocalCluster, scripts: impl IntoIterator<Item = Script>) {
    for (number, script) in (1..).zip(scripts) {
        cluster.faults().on("run", "pods", "a-*").nth(number).script("step", script);
    }
}

#[test]
fn f29_a_pod_that_is_put_out_ends_the_step_without_a_code() {
    let seen = fault!()
        .workflow(steps(&[("a", ""), ("b", ""), ("c", ""), ("d", "")]))
        .script("a", disrupted(Disruption::Evict))
        .script("b", disrupted(Disruption::Preempt))
        .script("c", disrupted(Disruption::Drain))
        .script("d", disrupted(Disruption::Delete(None)))
        .run();
    seen.expect(
        Expected::failed(None, Reason::Evicted)
            .outcome("b", failed(Reason::Disrupted))
            .outcome("c", failed(Reason::Disrupted))
            .outcome("d", failed(Reason::Disrupted))
            .within(seconds(10))
            .lines(2)
            .log("b", lines(1..=2))
            .log("c", lines(1..=2))
            .log("d", lines(1..=2))
            .more("list events", 8),
    );
}

#[test]
fn f29_a_pod_whose_node_is_gone_for_good_ends_the_step() {
    fault!()
        .script("a", disrupted(Disruption::NodeLost))
        .meanwhile(|stage| async move {
            tokio::time::sleep(minutes(2)).await;
            stage.cluster().disrupt("default", "a-*", Disruption::Collect).unwrap();
        })
        .run()
        .expect(
            Expected::failed(None, Reason::Disrupted)
                .within(seconds(150))
                .lines(2)
                .more("get pods/log", 0)
                .more("list events", 2),
        );
}

#[test]
fn f29_a_pod_whose_node_never_answers_again_is_given_up_and_named() {
    let seen = fault!().script("a", disrupted(Disruption::NodeLost)).run();
    seen.expect(
        // Its grace period, five minutes for the node, one for the log, and what a deletion gets.
        Expected::lost().within(minutes(9)).lines(2).leftovers(1).more("list events", 2).more("get pods/log", 13),
    );
    assert!(seen.steps["a"].verdict.as_ref().unwrap().message.contains("the program may still run there"));
}

#[test]
fn f29_with_a_rule_that_ignores_it_the_next_pod_is_followed() {
    let seen = fault!()
        .workflow(steps(&[("a", REPLACED)]))
        .cluster(|cluster| {
            let second = Script::new().print("again\n").sleep(seconds(5));
            pods(cluster, [disrupted(Disruption::Evict), second]);
        })
        .run();
    seen.expect(Expected::succeeded().log("a", lines(1..=2) + "again\n").more("get pods/log", 2));
    assert_eq!(seen.steps["a"].verdict.as_ref().unwrap().notes, ["pod 2 of 2"]);
}

#[test]
fn f30_after_a_node_loss_a_second_pod_is_shown_under_its_own_number_once_the_first_has_ended() {
    let seen = fault!()
        .workflow(steps(&[("a", &format!("backoff_limit: 0, {REPLACED}"))]))
        .cluster(|cluster| {
            pods(cluster, [disrupted(Disruption::NodeLost), Script::new().print("again\n").sleep(seconds(5))]);
        })
        .meanwhile(|mut stage| async move {
            stage.shown("line 2").await;
            tokio::time::sleep(minutes(2)).await;
            // Until then the first pod may still run: no second one.
            stage.cluster().disrupt("default", "a-*", Disruption::Collect).unwrap();
        })
        .run();
    seen.expect(Expected::succeeded().within(minutes(3)).log("a", lines(1..=2) + "again\n").more("get pods/log", 1));
    assert!(seen.screen.contains("a/2 │ again"), "{}", seen.screen);
}

#[test]
fn f31_a_replacement_that_does_nothing_is_named_as_the_pod_that_decided() {
    let seen = fault!()
        .workflow(steps(&[("a", REPLACED)]))
        .cluster(|cluster| pods(cluster, [disrupted(Disruption::Drain), Script::new().sleep(seconds(1))]))
        .run();
    seen.expect(Expected::succeeded().lines(2).more("get pods/log", 2));
    let verdict = seen.steps["a"].verdict.as_ref().unwrap();
    assert_eq!((verdict.pods, verdict.notes[0].as_str()), (2, "pod 2 of 2"));
    let first = seen.screen.split_once("running, pod ").unwrap().1.split_whitespace().next().unwrap();
    assert_ne!(verdict.pod.as_deref(), Some(first), "the first pod did not decide");
}

#[test]
fn f32_a_pod_that_takes_an_hour_to_end_is_shown_as_being_deleted_with_the_time_left() {
    let seen = fault!()
        .workflow(steps(&[("a", "termination_grace_period_seconds: 3600")]))
        .script("a", disrupted(Disruption::Drain).ignoring_stop())
        .run();
    seen.expect(
        Expected::failed(None, Reason::Disrupted)
            .within(hours(1) + seconds(10))
            .lines(2)
            // A stream on which nothing comes for five minutes is opened again.
            .more("get pods/log", 11)
            .more("list events", 2),
    );
    assert!(seen.took >= hours(1), "{:?}", seen.took);
    assert!(seen.screen.contains("is being deleted: EvictionByEvictionAPI"), "{}", seen.screen);
    assert!(seen.screen.contains("at most 1 h 05 m"), "{}", seen.screen);
}

#[test]
fn f33_a_node_that_shuts_down_is_the_reason_and_there_is_no_code() {
    fault!()
        .script("a", disrupted(Disruption::NodeShutdown))
        .run()
        .expect(Expected::failed(None, Reason::NodeShutdown).within(seconds(10)).lines(2).more("list events", 2));
}

#[test]
fn f34_a_quiet_step_is_judged_by_its_code_however_often_streams_are_cut() {
    let quiet = || Script::new().print("begun\n").sleep(minutes(30)).print("done\n");
    fault!()
        .workflow(steps(&[("a", ""), ("b", "")]))
        .script("a", quiet().exit(3))
        .script("b", quiet())
        .cluster(|cluster| {
            for (verb, resource) in [("get", "pods/log"), ("watch", "jobs"), ("watch", "pods")] {
                let hook = cluster.faults().on(verb, resource, "*");
                hook.interrupt(After::Time(minutes(1)), Interruption::Eof);
            }
        })
        .run()
        .expect(
            Expected::failed(3, Reason::Exit)
                .outcome("b", Outcome::Succeeded)
                .within(minutes(31))
                .log("a", "begun\ndone\n")
                .log("b", "begun\ndone\n")
                .more("get pods/log", 52)
                .more("watch jobs", 24)
                .more("watch pods", 24),
        );
}

#[test]
fn f86_a_pod_that_is_put_out_and_ends_with_0_is_no_success() {
    fault!()
        .script("a", disrupted(Disruption::Evict).stopping_with(0))
        .run()
        .expect(Expected::failed(None, Reason::Evicted).within(seconds(10)).lines(2).more("list events", 2));
}

#[test]
fn f86_a_pod_that_ends_with_0_while_it_is_put_out_may_be_followed_by_another() {
    let seen = fault!()
        .workflow(steps(&[("a", REPLACED)]))
        .cluster(|cluster| {
            let second = Script::new().print("again\n").sleep(seconds(5)).exit(4);
            pods(cluster, [disrupted(Disruption::Evict).stopping_with(0), second]);
        })
        .run();
    seen.expect(Expected::failed(4, Reason::Exit).log("a", lines(1..=2) + "again\n").more("get pods/log", 2));
}
