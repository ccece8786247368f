//! What the Job itself does about its pods: deadlines, retries, the failure policy, its own removal.

use serde_json::{Value, json};
use tests::Namespace;

use crate::run::exec;
use crate::suite::{Test, tests};
use crate::workflow::{MISSING, Step};

pub(crate) const TESTS: &[Test] = tests![
    the_deadline_ends_a_program,
    the_deadline_ends_a_pod_that_never_started,
    a_deadline_of_nothing_lets_nothing_start,
    a_job_that_removes_itself_at_once,
    a_second_pod_makes_it_good,
    no_pod_makes_it_good,
    the_failure_policy_ends_the_job_by_exit_code,
    the_failure_policy_ignores_an_exit_code,
    a_job_that_is_kept,
    a_job_that_is_kept_but_never_started_is_suspended,
];

fn the_deadline_ends_a_program(namespace: &Namespace) {
    let step = Step::sh("a", "echo begun; sleep 300").config(json!({"active_deadline": 4}));
    let run = exec(namespace, &[step], &[]);
    run.ended("a", None, "deadline", &["active deadline of"]);
    assert_eq!(run.end("a").log, "begun\n");
}

fn the_deadline_ends_a_pod_that_never_started(namespace: &Namespace) {
    let source = json!({"secret_key_ref": {"name": "gone", "key": "a"}});
    let config = json!({"active_deadline": 3, "env": [{"name": "A", "value_from": source}]});
    let run = exec(namespace, &[Step::sh("a", "echo it ran").config(config)], &["--wait", "config=1h"]);
    run.ended("a", None, "deadline", &["active deadline of"]);
}

fn a_deadline_of_nothing_lets_nothing_start(namespace: &Namespace) {
    let config = json!({"active_deadline": 0, "image": MISSING});
    let run = exec(namespace, &[Step::sh("a", "echo it ran").config(config)], &[]);
    run.ended("a", None, "deadline", &["active deadline of"]);
}

fn a_job_that_removes_itself_at_once(namespace: &Namespace) {
    let steps = [
        Step::sh("good", "echo it ran").config(json!({"ttl_after_finished": 0})),
        Step::sh("bad", "exit 3").config(json!({"ttl_after_finished": 0})),
    ];
    let run = exec(namespace, &steps, &[]);
    run.succeeded("good");
    // With the Job its pod goes, and with that its log.
    let end = run.end("good");
    let is_told = end.notes.iter().any(|note| note.starts_with("log may be incomplete"));
    assert!(end.log == "it ran\n" || is_told, "{end:#?}");
    run.ended("bad", Some(3), "exit", &[]);
    assert!(run.all("leftover").is_empty(), "{run:#?}");
}

/// A config with a folder of the machine, in which pods of one Job leave something for each other.
fn with_memory(namespace: &Namespace, config: &Value) -> Value {
    let folder = namespace.workdir().path().join("memory").display().to_string();
    let mut config = config.clone();
    config["volumes"] = json!([{"name": "memory", "host_path": {"path": folder, "type": "DirectoryOrCreate"}}]);
    config["volume_mounts"] = json!([{"name": "memory", "mount_path": "/memory"}]);
    config["working_dir"] = json!("/memory");
    config
}

fn a_second_pod_makes_it_good(namespace: &Namespace) {
    let script = "test -e tried && echo second && exit 0; touch tried; echo first; exit 7";
    let config = with_memory(namespace, &json!({"backoff_limit": 1}));
    let run = exec(namespace, &[Step::sh("a", script).config(config)], &[]);
    run.succeeded("a");
    let end = run.end("a");
    assert_eq!((end.pods, end.log.as_str()), (2, "first\nsecond\n"), "{end:#?}");
    assert!(end.notes.iter().any(|note| note.contains("pod 2 of 2")), "{end:#?}");
}

fn no_pod_makes_it_good(namespace: &Namespace) {
    let script = "test -e tried && exit 9; touch tried; exit 7";
    let config = with_memory(namespace, &json!({"backoff_limit": 1}));
    let run = exec(namespace, &[Step::sh("a", script).config(config)], &[]);
    run.ended("a", Some(9), "exit", &[]);
    assert_eq!(run.end("a").pods, 2);
}

fn the_failure_policy_ends_the_job_by_exit_code(namespace: &Namespace) {
    let rules = json!([
        {"action": "Count", "on_exit_codes": {"operator": "In", "values": [1]}},
        {"action": "FailJob", "on_exit_codes": {"container_name": "step", "operator": "In", "values": [255, 42]}},
    ]);
    let config = json!({"backoff_limit": 3, "pod_failure_policy": {"rules": rules}});
    let run = exec(namespace, &[Step::sh("a", "exit 42").config(config)], &[]);
    run.ended("a", Some(42), "pod-failure-policy", &["FailJob rule at index 1"]);
    assert_eq!(run.end("a").pods, 1);
}

fn the_failure_policy_ignores_an_exit_code(namespace: &Namespace) {
    let rules = json!([{"action": "Ignore", "on_exit_codes": {"operator": "In", "values": [42]}}]);
    let config = json!({"backoff_limit": 0, "pod_failure_policy": {"rules": rules}});
    let script = "test -e tried && exit 0; touch tried; exit 42";
    let step = Step::sh("a", script).config(with_memory(namespace, &config));
    let run = exec(namespace, &[step], &[]);
    run.succeeded("a");
    assert_eq!(run.end("a").pods, 2);
}

fn a_job_that_is_kept(namespace: &Namespace) {
    let step = Step::sh("a", "exit 3").config(json!({"cleanup_policy": "keep"}));
    let run = exec(namespace, &[step], &[]);
    run.ended("a", Some(3), "exit", &[]);
    let jobs = namespace.list("jobs").unwrap();
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0]["metadata"]["annotations"]["runner/cleanup"], "keep");
    namespace.delete("jobs", jobs[0]["metadata"]["name"].as_str().unwrap()).unwrap();
}

fn a_job_that_is_kept_but_never_started_is_suspended(namespace: &Namespace) {
    let source = json!({"secret_key_ref": {"name": "gone", "key": "a"}});
    let config = json!({"cleanup_policy": "keep", "env": [{"name": "A", "value_from": source}]});
    let run = exec(namespace, &[Step::sh("a", "echo it ran").config(config)], &["--wait", "config=1s"]);
    run.ended("a", None, "container-config", &[]);
    let jobs = namespace.list("jobs").unwrap();
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0]["spec"]["suspend"], true);
    namespace.delete("jobs", jobs[0]["metadata"]["name"].as_str().unwrap()).unwrap();
}
