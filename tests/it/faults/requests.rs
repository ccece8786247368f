//! Requests: what the API server, or somebody on the way to it, answers in place of what was asked for.

use local_cluster::{After, Answer, ConnectionLost, Interruption, LocalCluster, Script};
use runner::outcome::Reason;
use runner::report::ExitCode;
use serde_json::json;
use tests::fault;
use tests::faults::{Expected, create, hours, lines, minutes, seconds};

/// The name of the Job of step `a`: it depends on run, step and attempt only.
const JOB: &str = "a-rgxkowewei";

fn short() -> Script {
    Script::new().print(lines([1])).sleep(seconds(5))
}

/// Prints each minute.
fn long(count: usize) -> Script {
    (1..=count).fold(Script::new(), |script, n| script.print(lines([n])).sleep(minutes(1)))
}

#[test]
fn f16_a_token_that_expired_is_replaced_and_nobody_notices() {
    fault!()
        .script("a", long(120))
        .meanwhile(|stage| async move {
            tokio::time::sleep(hours(1)).await;
            stage.cluster().expire_tokens();
        })
        .run()
        // Each watch meets the refusal once.
        .expect(Expected::succeeded().within(hours(3)).lines(120).more("watch jobs", 1).more("watch pods", 1));
}

#[test]
fn f16_when_fresh_credentials_are_refused_too_the_job_is_lost_and_left_alone() {
    let seen = fault!()
        .script("a", (1..=120).fold(Script::new(), |script, n| script.print(lines([n])).sleep(seconds(61))))
        .meanwhile(|stage| async move {
            tokio::time::sleep(hours(1)).await;
            stage.stop_renewing();
            stage.cluster().expire_tokens();
        })
        .run();
    let shown = seen.logs["a"].clone();
    assert!(lines(1..=120).as_bytes().starts_with(&shown));
    let (jobs, pods) = (seen.requests["list jobs"], seen.requests["list pods"]);
    assert!(jobs < 100 && pods < 100, "lists back off: {:?}", seen.requests);
    let more = |found: usize| isize::try_from(found).unwrap() - 1;
    let watches = |kind: &str| {
        let undisturbed = 1 + seen.took.as_secs() / 290;
        isize::try_from(seen.requests[kind]).unwrap() - isize::try_from(undisturbed).unwrap()
    };
    seen.expect(
        Expected::lost()
            .within(minutes(80))
            .log("a", shown)
            .leftovers(1)
            .more("delete jobs", -1)
            // The closing read is refused, too.
            .more("get pods/log", 1)
            .more("list jobs", more(jobs))
            .more("list pods", more(pods))
            .more("watch jobs", watches("watch jobs"))
            .more("watch pods", watches("watch pods")),
    );
}

#[test]
fn f17_a_server_that_asks_to_wait_is_obeyed() {
    fault!()
        .script("a", short())
        .cluster(|cluster| {
            let answer =
                Answer::status(429, "too many requests, please try again later").with_header("Retry-After", "5");
            cluster.faults().on("create", "jobs", "*").first(2).answer(answer);
        })
        .run()
        .expect(Expected::succeeded().within(seconds(16)).lines(1).more("create jobs", 2));
}

#[test]
fn f17_two_hundred_steps_share_two_watches() {
    const STEPS: usize = 200;
    let steps: String =
        (1..=STEPS).map(|n| format!("  - {{id: s{n:03}, type: k8s, config: {{image: x}}, command: work}}\n")).collect();
    let expected = (1..=STEPS).fold(Expected::succeeded(), |expected, n| expected.log(&format!("s{n:03}"), lines([1])));
    let seen = fault!().workflow(format!("steps:\n{steps}")).script("*", short()).run();
    // Of those whose logs wait their turn there is no stream, only one closing read.
    let logs = isize::try_from(seen.requests["get pods/log"]).unwrap();
    assert!((STEPS as isize..=2 * STEPS as isize).contains(&logs));
    seen.expect(expected.more("get pods/log", logs - 2 * STEPS as isize).in_any_order());
}

#[test]
fn f52_a_job_that_was_stored_although_the_answer_was_an_error_is_adopted() {
    fault!()
        .script("a", short())
        .cluster(|cluster| {
            let answer = Answer::status(504, "request did not complete within the allotted timeout");
            cluster.faults().on("create", "jobs", "*").nth(1).commit_then(answer);
        })
        .run()
        .expect(Expected::succeeded().lines(1).more("create jobs", 1).more("get jobs", 1));
}

#[test]
fn f52_a_job_that_was_stored_although_there_was_no_answer_is_adopted() {
    fault!()
        .script("a", short())
        .cluster(|cluster| cluster.faults().on("create", "jobs", "*").nth(1).commit_then_cut())
        .run()
        .expect(Expected::succeeded().lines(1).more("create jobs", 1).more("get jobs", 1));
}

#[test]
fn f52_a_job_of_somebody_else_with_the_same_name_is_left_alone() {
    let theirs = json!({"metadata": {"name": JOB, "labels": {"runner/run-id": "theirs"}}, "spec": {"suspend": true,
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "step", "image": "x"}]}}}});
    fault!()
        .meanwhile(move |stage| async move {
            create(stage.cluster(), "/apis/batch/v1/namespaces/default/jobs", &theirs).await;
        })
        .run()
        .expect(
            Expected::failed(None, Reason::NameConflict)
                .kept(1)
                .more("get jobs", 1)
                // Theirs was created by a request, too.
                .more("create jobs", 1)
                .more("get pods/log", -2),
        );
}

#[test]
fn f58_a_job_that_is_too_large_for_the_server_says_what_is_large() {
    let words = "etcdserver: request is too large";
    fault!()
        .cluster(move |cluster| cluster.faults().on("create", "jobs", "*").answer(Answer::status(413, words)))
        .run()
        .expect(Expected::failed(None, Reason::CreateRefused).more("delete jobs", -1).more("get pods/log", -2));
}

#[test]
fn f58_a_job_of_two_mebibytes_is_not_sent() {
    let value = "v".repeat(2 * 1024 * 1024);
    let dag = format!(
        "steps:\n  - id: a\n    type: k8s\n    config: {{image: x, env: [{{name: BIG, value: {value}}}]}}\n    command: work\n"
    );
    fault!().workflow(dag).run().expect(Expected::failed(None, Reason::Invalid));
}

#[test]
fn f58_an_argument_list_that_is_too_long_is_told_in_the_runtimes_words() {
    let words = "exec /bin/sh: argument list too long";
    fault!()
        .script("a", Script::new().terminated(1, "StartError", words))
        .run()
        .expect(Expected::failed(1, Reason::StartError).more("get pods/log", -1));
}

#[test]
fn f59_a_server_that_restarts_is_waited_for() {
    fault!()
        .script("a", long(5))
        .cluster(|cluster| {
            let faults = cluster.faults();
            for resource in ["jobs", "pods", "pods/log"] {
                let stream = if resource == "pods/log" { "get" } else { "watch" };
                faults.on(stream, resource, "*").nth(1).interrupt(After::Time(seconds(70)), Interruption::Reset);
            }
            faults.on("*", "*", "*").after(seconds(70)).lasting(seconds(60)).connect(ConnectionLost::Refused);
            faults.on("*", "*", "*").after(seconds(130)).lasting(seconds(20)).connect(ConnectionLost::Tls);
            let answer = Answer::status(503, "apiserver is shutting down");
            faults.on("*", "*", "*").after(seconds(150)).lasting(seconds(10)).answer(answer);
        })
        .run()
        .expect(
            Expected::succeeded()
                .within(minutes(6))
                .lines(5)
                .more("list jobs", 8)
                .more("list pods", 8)
                .more("get pods/log", 14),
        );
}

/// From the tenth second on: nobody is there, and what was open is cut.
fn away(cluster: &LocalCluster) {
    for (verb, resource) in [("watch", "jobs"), ("watch", "pods"), ("get", "pods/log")] {
        cluster.faults().on(verb, resource, "*").nth(1).interrupt(After::Time(seconds(10)), Interruption::Reset);
    }
}

#[test]
fn f59_a_server_that_stays_away_leaves_a_lost_step_and_a_job_that_is_named() {
    let seen = fault!()
        .script("a", long(30))
        .cluster(|cluster| {
            away(cluster);
            cluster.faults().on("*", "*", "*").after(seconds(10)).connect(ConnectionLost::Refused);
        })
        .run();
    let tries = |kind: &str| isize::try_from(seen.requests[kind]).unwrap();
    // Ten minutes with at most half a minute between two tries.
    assert!((20..40).contains(&tries("list pods")), "{:?}", seen.requests);
    let more = [("list jobs", 1), ("list pods", 1), ("watch jobs", 3), ("watch pods", 3), ("get pods/log", 2)];
    let expected = Expected::lost().within(minutes(12)).lines(1).leftovers(1).more("delete jobs", -1);
    seen.expect(more.into_iter().fold(expected, |expected, (kind, least)| expected.more(kind, tries(kind) - least)));
}

#[test]
fn f68_a_right_that_is_taken_away_later_leaves_a_lost_step_and_a_job_that_is_named() {
    let seen = fault!()
        .script("a", long(30))
        .cluster(|cluster| {
            away(cluster);
            let words = "pods is forbidden: User \"ci\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"";
            cluster.faults().on("list", "pods", "*").from(2).answer(Answer::status(403, words));
        })
        .run();
    let tries = |kind: &str| isize::try_from(seen.requests[kind]).unwrap();
    assert!((20..40).contains(&tries("list pods")), "{:?}", seen.requests);
    let shown = seen.logs["a"].clone();
    assert!(lines(1..=30).as_bytes().starts_with(&shown) && shown.len() > 50, "the log goes on");
    let expected = Expected::lost().within(minutes(12)).log("a", shown).leftovers(1).more("delete jobs", -1);
    let expected = expected.more("list pods", tries("list pods") - 1).more("list jobs", 1);
    let expected = expected.more("watch jobs", 1).more("watch pods", -2);
    seen.expect(expected.more("get pods/log", tries("get pods/log") - 2));
}

#[test]
fn f68_without_the_right_to_watch_nothing_is_created() {
    fault!()
        .cluster(|cluster| {
            let words = "pods is forbidden: User \"ci\" cannot watch resource \"pods\" in API group \"\" in the namespace \"default\"";
            cluster.faults().on("watch", "pods", "*").answer(Answer::status(403, words));
        })
        .run()
        .expect(Expected::nothing_runs(ExitCode::NoCluster));
}

#[test]
fn f68_without_the_right_to_read_logs_the_run_goes_on() {
    fault!()
        .script("a", short())
        .cluster(|cluster| {
            let words = "pods \"a\" is forbidden: User \"ci\" cannot get resource \"pods/log\" in API group \"\" in the namespace \"default\"";
            cluster.faults().on("get", "pods/log", "*").answer(Answer::status(403, words));
        })
        .run()
        .expect(Expected::succeeded().more("get pods/log", -1));
}

#[test]
fn f68_without_the_right_to_list_events_a_missing_pod_is_waited_for_longer() {
    fault!()
        .cluster(|cluster| {
            cluster.faults().on("create", "pods", "a-*").no_pods(Some("exceeded quota: small"));
            let words = "events is forbidden: User \"ci\" cannot list resource \"events\" in API group \"\" in the namespace \"default\"";
            cluster.faults().on("list", "events", "*").answer(Answer::status(403, words));
        })
        .run()
        .expect(
            Expected::failed(None, Reason::NoPod).within(minutes(11)).more("list events", 5).more("get pods/log", -2),
        );
}

#[test]
fn f70_a_page_in_place_of_a_list_is_told_and_asked_past() {
    fault!()
        .script("a", short())
        .cluster(|cluster| {
            let page = "<!DOCTYPE html>\n<html><head><title>Sign in to continue</title></head></html>";
            let answer = Answer::text(page).with_header("Content-Type", "text/html; charset=utf-8");
            cluster.faults().on("list", "jobs", "*").nth(1).answer(answer);
        })
        .run()
        .expect(Expected::succeeded().lines(1).more("list jobs", 1));
}

#[test]
fn f70_a_list_that_breaks_off_is_asked_for_again() {
    fault!()
        .script("a", short())
        .cluster(|cluster| {
            cluster.faults().on("list", "pods", "*").nth(1).interrupt(After::Bytes(40), Interruption::Eof)
        })
        .run()
        .expect(Expected::succeeded().lines(1).more("list pods", 1));
}

#[test]
fn f70_a_gateway_that_is_broken_is_told_in_words() {
    fault!()
        .script("a", short())
        .cluster(|cluster| {
            let page = "<html><body><h1>502 Bad Gateway</h1></body></html>";
            let answer = Answer::status(502, "").with_header("Content-Type", "text/html").with_body(page);
            cluster.faults().on("create", "jobs", "*").first(3).answer(answer);
        })
        .run()
        .expect(Expected::succeeded().lines(1).more("create jobs", 3));
}

#[test]
fn f71_a_webhook_that_times_out_is_asked_again() {
    fault!()
        .script("a", short())
        .cluster(|cluster| {
            let words =
                "Internal error occurred: failed calling webhook \"jobs.example.com\": context deadline exceeded";
            cluster.faults().on("create", "jobs", "*").first(2).answer(Answer::status(500, words));
        })
        .run()
        .expect(Expected::succeeded().lines(1).more("create jobs", 2));
}

#[test]
fn f71_a_webhook_that_says_no_ends_the_step_at_once() {
    fault!()
        .cluster(|cluster| {
            let words = "admission webhook \"jobs.example.com\" denied the request: image x is not allowed";
            cluster.faults().on("create", "jobs", "*").answer(Answer::status(403, words));
        })
        .run()
        .expect(
            Expected::failed(None, Reason::CreateRefused)
                .within(seconds(1))
                .more("delete jobs", -1)
                .more("get pods/log", -2),
        );
}

#[test]
fn f72_what_a_webhook_changed_is_shown_with_its_path() {
    fault!()
        .script("a", short())
        .cluster(|cluster| {
            let patch = json!([
                {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "mirror.example.com/x"},
                {"op": "add", "path": "/spec/template/spec/priorityClassName", "value": "low"},
            ]);
            cluster.faults().on("create", "jobs", "*").mutate(patch);
            cluster.faults().on("create", "jobs", "*").forget("/spec/podReplacementPolicy");
            cluster.faults().on("create", "jobs", "*").warning("spec.template: the image has no tag");
        })
        .run()
        .expect(Expected::succeeded().lines(1));
}

#[test]
fn f72_a_job_that_is_stored_suspended_is_shown_as_such() {
    fault!()
        .script("a", short())
        .cluster(|cluster| cluster.faults().on("create", "jobs", "*").mutate(json!({"spec": {"suspend": true}})))
        .meanwhile(|stage| async move {
            tokio::time::sleep(minutes(10)).await;
            stage.cluster().resume("default", JOB).unwrap();
        })
        .run()
        .expect(Expected::succeeded().within(minutes(11)).lines(1));
}
