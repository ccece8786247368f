//! Exit codes and verdicts: the program's own code, the Job's own word, and nothing that nobody saw.

use local_cluster::{After, ConnectionLost, Disruption, Interruption, Script};
use runner::outcome::{Outcome, Reason};
use runner::report::ExitCode;
use serde_json::Value;
use tests::fault;
use tests::faults::{Expected, lines, minutes, seconds, steps};

/// The step ended, or somebody deletes its pod.
fn tells_an_end(pod: &Value) -> bool {
    let statuses = pod["status"]["containerStatuses"].as_array();
    pod["metadata"].get("deletionTimestamp").is_some()
        || statuses.is_some_and(|statuses| statuses.iter().any(|status| status["state"].get("terminated").is_some()))
}

#[test]
fn f35_a_failure_whose_end_nobody_saw_has_no_code_and_is_no_success() {
    let seen = fault!()
        .script("a", Script::new().print(lines(1..=1)).sleep(seconds(5)).disrupted(Disruption::Delete(None)).forever())
        .cluster(|cluster| cluster.faults().on("send", "pods", "a-*").when(tells_an_end).lose())
        .run();
    seen.expect(
        Expected::failed(None, Reason::JobFailed)
            .within(minutes(7))
            .lines(1)
            // Nobody says that the pod is gone.
            .more("get pods/log", 40)
            .more("list events", 2),
    );
    assert_eq!(seen.end.exit_code, ExitCode::Failed);
}

#[test]
fn f36_out_of_memory_is_told_with_its_limit_whatever_the_code() {
    let limited = "resources: {limits: {memory: 64Mi}}";
    let seen = fault!()
        .workflow(steps(&[("a", limited), ("b", limited), ("c", "")]))
        .script("a", Script::new().sleep(seconds(1)).out_of_memory(137))
        .script("b", Script::new().sleep(seconds(1)).out_of_memory(1))
        .script("c", Script::new().sleep(seconds(1)).out_of_memory(137))
        .run();
    seen.expect(
        Expected::failed(137, Reason::OomKilled)
            .outcome("b", Outcome::failed(Some(1), Reason::OomKilled))
            .outcome("c", Outcome::failed(Some(137), Reason::OomKilled)),
    );
    for step in ["a", "b"] {
        let message = &seen.steps[step].verdict.as_ref().unwrap().message;
        assert!(message.contains("OOMKilled") && message.contains("its memory limit is 64Mi"), "{message}");
    }
}

#[test]
fn f37_four_ends_with_137_are_told_apart() {
    let stuck = |how| Script::new().sleep(seconds(1)).disrupted(how).forever().ignoring_stop();
    let seen = fault!()
        .workflow(steps(&[
            ("memory", "resources: {limits: {memory: 64Mi}}"),
            ("evicted", ""),
            ("deleted", ""),
            ("killed", ""),
        ]))
        .script("memory", Script::new().sleep(seconds(1)).out_of_memory(137))
        .script("evicted", stuck(Disruption::Evict))
        .script("deleted", stuck(Disruption::Delete(None)))
        .script("killed", Script::new().sleep(seconds(1)).signal(9))
        .run();
    seen.expect(
        Expected::nothing_runs(ExitCode::Failed)
            .outcome("memory", Outcome::failed(Some(137), Reason::OomKilled))
            .outcome("evicted", Outcome::failed(None, Reason::Evicted))
            .outcome("deleted", Outcome::failed(None, Reason::Disrupted))
            .outcome("killed", Outcome::failed(Some(137), Reason::Exit))
            .more("list events", 4),
    );
    for (step, end) in &seen.steps {
        let verdict = end.verdict.as_ref().unwrap();
        assert!(verdict.message.contains("137 = SIGKILL"), "{step}: {}", verdict.message);
    }
}

#[test]
fn f38_a_program_that_ends_with_0_under_pressure_succeeds_and_the_condition_is_shown() {
    let seen = fault!()
        .script(
            "a",
            Script::new().print(lines(1..=2)).sleep(seconds(5)).disrupted(Disruption::Drain).forever().stopping_with(0),
        )
        .run();
    seen.expect(Expected::succeeded().lines(2));
    assert!(seen.screen.contains("EvictionByEvictionAPI"), "{}", seen.screen);
}

#[test]
fn f39_a_cluster_that_stays_away_ends_the_waiting_and_not_the_job() {
    let seen = fault!()
        .script("a", Script::new().print(lines(1..=1)).forever())
        .cluster(|cluster| {
            for (verb, resource) in [("get", "pods/log"), ("watch", "jobs"), ("watch", "pods")] {
                let hook = cluster.faults().on(verb, resource, "*").lasting(seconds(9));
                hook.interrupt(After::Time(seconds(10)), Interruption::Reset);
            }
            cluster.faults().on("*", "*", "*").after(seconds(9)).connect(ConnectionLost::Refused);
        })
        .run();
    seen.expect(
        Expected::lost()
            .within(minutes(12))
            .lines(1)
            .leftovers(1)
            // With pauses of up to 30 s, and 10 s for the log.
            .more("list jobs", 27)
            .more("list pods", 27)
            .more("get pods/log", 70)
            .more("watch jobs", -2)
            .more("watch pods", -2)
            .more("delete jobs", -1),
    );
    assert!(seen.took >= minutes(10), "{:?}", seen.took);
}

#[test]
fn f60_a_rule_that_fails_the_job_is_named_with_the_code_and_there_is_one_pod() {
    let policy = "backoff_limit: 3, pod_failure_policy: {rules: [{action: Ignore, on_pod_conditions: [{type: \
                  DisruptionTarget}]}, {action: FailJob, on_exit_codes: {operator: In, values: [42]}}]}";
    let seen = fault!()
        .workflow(steps(&[("a", policy)]))
        .script("a", Script::new().print(lines(1..=1)).sleep(seconds(1)).exit(42))
        .run();
    seen.expect(Expected::failed(42, Reason::PodFailurePolicy).within(seconds(5)).lines(1));
    let verdict = seen.steps["a"].verdict.as_ref().unwrap();
    assert_eq!(verdict.pods, 1);
    assert!(verdict.message.contains("pod_failure_policy.rules[1]"), "{}", verdict.message);
}

#[test]
fn f77_the_logs_of_all_pods_are_shown_and_the_last_one_decides() {
    let seen = fault!()
        .workflow(steps(&[("a", "backoff_limit: 3"), ("b", "backoff_limit: 1")]))
        .cluster(|cluster| {
            let script = |text: &'static str, code| Script::new().print(text).sleep(seconds(1)).exit(code);
            for (pods, codes) in [("a-*", [1, 0]), ("b-*", [1, 7])] {
                cluster.faults().on("run", "pods", pods).nth(1).script("step", script("first\n", codes[0]));
                cluster.faults().on("run", "pods", pods).nth(2).script("step", script("second\n", codes[1]));
            }
        })
        .run();
    seen.expect(
        Expected::failed(7, Reason::Exit)
            .outcome("a", Outcome::Succeeded)
            .outcome("b", Outcome::failed(Some(7), Reason::Exit))
            .log("a", "first\nsecond\n")
            .log("b", "first\nsecond\n")
            .more("get pods/log", 4),
    );
    for (step, text) in [("a", "a/2 │ second"), ("b", "b/2 │ second")] {
        assert!(seen.screen.contains(text), "{}", seen.screen);
        assert_eq!(seen.steps[step].verdict.as_ref().unwrap().notes, ["pod 2 of 2"]);
    }
}

#[test]
fn f78_a_job_that_says_complete_late_is_waited_for() {
    let seen = fault!()
        .script("a", Script::new().print(lines(1..=1)).sleep(seconds(5)))
        .cluster(|cluster| cluster.faults().on("conclude", "jobs", "a-*").hold(seconds(30)))
        .run();
    seen.expect(Expected::succeeded().lines(1));
    assert!(seen.took >= seconds(35), "{:?}", seen.took);
    assert!(seen.screen.contains("ended with 0, waiting for the Job"), "{}", seen.screen);
}

#[test]
fn f78_a_job_that_never_says_anything_is_neither_success_nor_failure() {
    let seen = fault!()
        .script("a", Script::new().print(lines(1..=1)).sleep(seconds(5)))
        .cluster(|cluster| cluster.faults().on("conclude", "jobs", "a-*").hold(None))
        .run();
    seen.expect(Expected::lost().within(seconds(310)).lines(1).more("list events", 2));
    assert!(seen.took >= minutes(5), "{:?}", seen.took);
}

#[test]
fn f78_a_code_other_than_0_stands_without_the_word_of_the_job() {
    fault!()
        .script("a", Script::new().print(lines(1..=1)).sleep(seconds(5)).exit(3))
        .cluster(|cluster| cluster.faults().on("conclude", "jobs", "a-*").hold(None))
        .run()
        .expect(Expected::failed(3, Reason::Exit).within(seconds(310)).lines(1));
}

#[test]
fn f85_a_mark_for_want_of_memory_changes_neither_0_nor_143() {
    let seen = fault!()
        .workflow(steps(&[("a", ""), ("b", "")]))
        .script("a", Script::new().sleep(seconds(1)).out_of_memory(0))
        .script("b", Script::new().sleep(seconds(1)).out_of_memory(143))
        .run();
    seen.expect(
        Expected::failed(143, Reason::Exit)
            .outcome("a", Outcome::Succeeded)
            .outcome("b", Outcome::failed(Some(143), Reason::Exit)),
    );
    for step in ["a", "b"] {
        let notes = seen.steps[step].verdict.as_ref().unwrap().notes.join("\n");
        assert!(notes.contains("OOMKilled") && !notes.contains("137"), "{notes}");
    }
}
