//! What others do to a running Job and its pods, and what a signal does to the run.

use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::Namespace;

use crate::run::{Running, start};
use crate::suite::{Test, tests, until};
use crate::workflow::{Step, in_memory};

pub(crate) const TESTS: &[Test] = &concat();

const fn concat() -> [Test; 8] {
    [
        Test::new("an_eviction_ends_the_job", an_eviction_ends_the_job),
        Test::new("an_eviction_is_ignored_when_the_policy_says_so", an_eviction_is_ignored_when_the_policy_says_so),
        Test::alone("a_drain_moves_the_pod_when_the_node_is_back", a_drain_moves_the_pod_when_the_node_is_back),
        Test::new("somebody_deletes_the_job", somebody_deletes_the_job),
        Test::new("somebody_deletes_the_pod", somebody_deletes_the_pod),
        Test::new("somebody_suspends_the_job", somebody_suspends_the_job),
        Test::new("the_namespace_goes", the_namespace_goes),
        Test::new("an_interrupt_leaves_nothing", an_interrupt_leaves_nothing),
    ]
}

/// Begins, and goes on when a file is there.
const PATIENT: &str = "echo begun; while ! test -e go; do sleep 1; done; echo done";

/// A step that ends when [`go`] was called.
fn patient(namespace: &Namespace, config: &Value) -> Step {
    Step::sh("a", PATIENT).config(in_memory(namespace, config))
}

fn go(namespace: &Namespace) {
    namespace.workdir().write("memory/go", "").unwrap();
}

/// Starts a patient step and waits until its program runs.
fn begun(namespace: &Namespace, config: &Value) -> Running {
    let running = start(namespace, &[patient(namespace, config)], &[]);
    running.until_line("a", "begun");
    running
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

/// The only pod that runs.
fn pod(namespace: &Namespace) -> Value {
    let pods = namespace.list("pods").unwrap();
    pods.into_iter().find(|pod| pod["status"]["phase"] == "Running").unwrap()
}

fn evict(namespace: &Namespace) {
    let pod = name(&pod(namespace));
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}});
    namespace.create(&format!("pods/{pod}/eviction"), &eviction).unwrap();
}

fn an_eviction_ends_the_job(namespace: &Namespace) {
    let running = begun(namespace, &json!({}));
    evict(namespace);
    let run = running.wait();
    run.ended("a", None, "disrupted", &["EvictionByEvictionAPI"]);
}

fn ignoring_disruptions() -> Value {
    let rules = json!([{"action": "Ignore", "on_pod_conditions": [{"type": "DisruptionTarget"}]}]);
    json!({"pod_failure_policy": {"rules": rules}})
}

/// Lets the next pod come to its end; the one before may still hear nothing of its own.
fn go_on_in_the_next_pod(namespace: &Namespace, running: &Running) {
    until("a second pod runs", || running.events().iter().filter(|event| event["text"] == "begun").count() == 2);
    go(namespace);
}

fn an_eviction_is_ignored_when_the_policy_says_so(namespace: &Namespace) {
    let running = begun(namespace, &ignoring_disruptions());
    evict(namespace);
    go_on_in_the_next_pod(namespace, &running);
    let run = running.wait();
    run.succeeded("a");
    let end = run.end("a");
    assert_eq!(end.pods, 2, "{end:#?}");
    assert_eq!(end.log, "begun\nbegun\ndone\n");
}

fn a_drain_moves_the_pod_when_the_node_is_back(namespace: &Namespace) {
    let running = begun(namespace, &ignoring_disruptions());
    let node = pod(namespace)["spec"]["nodeName"].as_str().unwrap().to_owned();
    let cordon = |is_closed: bool| {
        let patch = json!({"spec": {"unschedulable": is_closed}});
        namespace.request(Method::PATCH, &format!("/api/v1/nodes/{node}"), Some(&patch))
    };
    cordon(true).unwrap();
    let drained = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        evict(namespace);
        running.until("the wait for a node", |event| {
            event["event"] == "step-waiting" && event["waits"][0]["kind"] == "schedule"
        });
    }));
    // Whatever came of it, others need the node.
    cordon(false).unwrap();
    if let Err(panic) = drained {
        std::panic::resume_unwind(panic);
    }
    go_on_in_the_next_pod(namespace, &running);
    let run = running.wait();
    run.succeeded("a");
    assert_eq!(run.end("a").pods, 2);
}

fn somebody_deletes_the_job(namespace: &Namespace) {
    let running = begun(namespace, &json!({}));
    namespace.delete("jobs", &name(&namespace.list("jobs").unwrap()[0])).unwrap();
    let run = running.wait();
    run.ended("a", None, "lost", &["deleted"]);
}

fn somebody_deletes_the_pod(namespace: &Namespace) {
    let running = begun(namespace, &json!({"backoff_limit": 1}));
    namespace.delete("pods", &name(&pod(namespace))).unwrap();
    go_on_in_the_next_pod(namespace, &running);
    let run = running.wait();
    run.succeeded("a");
    assert_eq!(run.end("a").pods, 2);
}

fn somebody_suspends_the_job(namespace: &Namespace) {
    let running = begun(namespace, &json!({}));
    let job = name(&namespace.list("jobs").unwrap()[0]);
    let suspend = |is_suspended: bool| {
        let path = format!("{}/{job}", namespace.path("jobs"));
        namespace.request(Method::PATCH, &path, Some(&json!({"spec": {"suspend": is_suspended}}))).unwrap();
    };
    suspend(true);
    running.until("the mark on the screen", |event| event["event"] == "step-state" && event["suspended"] == true);
    until("the pod is gone", || namespace.list("pods").is_ok_and(|pods| pods.is_empty()));
    go(namespace);
    suspend(false);
    let run = running.wait();
    run.succeeded("a");
    assert!(run.end("a").log.ends_with("begun\ndone\n"));
}

fn the_namespace_goes(namespace: &Namespace) {
    let running = begun(namespace, &json!({}));
    namespace.request(Method::DELETE, &format!("/api/v1/namespaces/{}", namespace.name()), None).unwrap();
    let run = running.wait();
    let end = run.end("a");
    // Which goes first, the Job or its pod, is up to the namespace controller.
    assert!(matches!(end.reason.as_deref(), Some("lost" | "disrupted")) && end.exit_code.is_none(), "{end:#?}");
}

fn an_interrupt_leaves_nothing(namespace: &Namespace) {
    let running = begun(namespace, &json!({"cleanup_policy": "keep"}));
    running.signal(Signal::INT);
    let run = running.wait();
    assert_eq!(run.code, Some(130), "{run:#?}");
    let end = run.end("a");
    assert_eq!((end.status.as_str(), end.reason.as_deref()), ("aborted", Some("cancelled")), "{end:#?}");
    assert_eq!(namespace.list("jobs").unwrap(), Vec::<Value>::new());
    until("the pods are gone", || namespace.list("pods").is_ok_and(|pods| pods.is_empty()));
}
