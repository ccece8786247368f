//! Programs that never start: what is missing, who says so, and how long it is waited for.

use serde_json::{Value, json};
use tests::Namespace;

use crate::run::exec;
use crate::suite::{Test, tests};
use crate::workflow::{MISSING, Step};

pub(crate) const TESTS: &[Test] = tests![
    an_image_that_is_nowhere,
    an_image_that_nobody_may_pull,
    an_image_name_that_is_none,
    a_config_map_a_secret_or_a_key_that_is_missing,
    what_is_missing_may_still_come,
    a_volume_whose_config_map_is_missing,
    no_node_fits,
    no_pod_within_the_quota,
    a_service_account_that_is_missing,
];

fn step(id: &str, config: Value) -> Step {
    Step::sh(id, "echo it ran").config(config)
}

fn an_image_that_is_nowhere(namespace: &Namespace) {
    let run = exec(namespace, &[step("a", json!({"image": MISSING}))], &["--wait", "pull=3s"]);
    run.ended("a", None, "image-pull", &[MISSING]);
}

fn an_image_that_nobody_may_pull(namespace: &Namespace) {
    let step = step("a", json!({"image": MISSING, "image_pull_policy": "Never"}));
    // Nobody waits for an image that will not be pulled.
    let run = exec(namespace, &[step], &["--wait", "pull=1h"]);
    run.ended("a", None, "image-pull", &["ErrImageNeverPull", MISSING]);
}

fn an_image_name_that_is_none(namespace: &Namespace) {
    let run = exec(namespace, &[step("a", json!({"image": "Runner.Test/Shell:1"}))], &["--wait", "pull=1h"]);
    run.ended("a", None, "image-pull", &["InvalidImageName", "Runner.Test/Shell:1"]);
}

fn a_config_map_a_secret_or_a_key_that_is_missing(namespace: &Namespace) {
    namespace.create("configmaps", &json!({"metadata": {"name": "there"}, "data": {"a": "1"}})).unwrap();
    let env = |source: Value| json!({"env": [{"name": "A", "value_from": source}]});
    let steps = [
        step("map", env(json!({"config_map_key_ref": {"name": "gone", "key": "a"}}))),
        step("key", env(json!({"config_map_key_ref": {"name": "there", "key": "b"}}))),
        step("secret", env(json!({"secret_key_ref": {"name": "gone", "key": "a"}}))),
        step("all", json!({"env_from": [{"secret_ref": {"name": "gone"}}]})),
    ];
    let run = exec(namespace, &steps, &["--wait", "config=3s"]);
    run.ended("map", None, "container-config", &["configmap \"gone\" not found"]);
    let key = format!("couldn't find key b in ConfigMap {}/there", namespace.name());
    run.ended("key", None, "container-config", &[&key]);
    run.ended("secret", None, "container-config", &["secret \"gone\" not found"]);
    run.ended("all", None, "container-config", &["secret \"gone\" not found"]);
}

fn what_is_missing_may_still_come(namespace: &Namespace) {
    let source = json!({"secret_key_ref": {"name": "late", "key": "a"}});
    let step = Step::sh("a", "echo $A").config(json!({"env": [{"name": "A", "value_from": source}]}));
    let running = crate::run::start(namespace, &[step], &["--wait", "config=5m"]);
    running.until("the wait for the Secret", |event| {
        event["event"] == "step-waiting" && event["waits"][0]["kind"] == "config"
    });
    namespace.create("secrets", &json!({"metadata": {"name": "late"}, "stringData": {"a": "came"}})).unwrap();
    let run = running.wait();
    run.succeeded("a");
    assert_eq!(run.end("a").log, "came\n");
}

fn a_volume_whose_config_map_is_missing(namespace: &Namespace) {
    let volumes = json!([{"name": "v", "config_map": {"name": "gone"}}]);
    let step = step("a", json!({"volumes": volumes, "volume_mounts": [{"name": "v", "mount_path": "/v"}]}));
    let run = exec(namespace, &[step], &["--wait", "mount=1s"]);
    run.ended("a", None, "pod-start", &["FailedMount", "configmap \"gone\" not found"]);
}

fn no_node_fits(namespace: &Namespace) {
    let step = step("a", json!({"node_selector": {"runner.test/no-such": "node"}}));
    let run = exec(namespace, &[step], &["--wait", "schedule=2s"]);
    run.ended("a", None, "unschedulable", &["node affinity/selector"]);
}

fn no_pod_within_the_quota(namespace: &Namespace) {
    let quota = json!({"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}});
    namespace.create("resourcequotas", &quota).unwrap();
    crate::suite::until("the quota counts", || {
        namespace.get("resourcequotas", "none").is_ok_and(|quota| quota["status"]["hard"]["pods"] == "0")
    });
    let run = exec(namespace, &[step("a", json!({}))], &["--wait", "pod=2s"]);
    run.ended("a", None, "no-pod", &["exceeded quota: none"]);
}

fn a_service_account_that_is_missing(namespace: &Namespace) {
    let run = exec(namespace, &[step("a", json!({"service_account": "gone"}))], &["--wait", "pod=2s"]);
    run.ended("a", None, "no-pod", &["serviceaccount \"gone\" not found"]);
}
