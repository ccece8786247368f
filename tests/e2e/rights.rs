//! What a run needs of the cluster's authorization, and where its credentials may come from.

use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::{Namespace, binary};

use crate::run::start_with;
use crate::suite::{Test, tests, until};
use crate::workflow::{SHELL, Step, file};

pub(crate) const TESTS: &[Test] = tests![
    the_role_of_a_run_is_enough,
    without_the_right_to_watch_nothing_runs,
    without_the_right_to_read_logs_the_run_goes_on,
    without_the_right_to_delete_the_job_is_named,
    without_the_right_to_read_events_the_run_goes_on,
    a_runner_in_a_pod_uses_its_credentials,
];

/// The rules of the Role that a run needs, all of them.
fn rules() -> Vec<Value> {
    let rule = |group: &str, resource: &str, verbs: &[&str]| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    vec![
        rule("batch", "jobs", &["create", "get", "list", "watch", "delete", "patch"]),
        rule("", "pods", &["list", "watch", "delete"]),
        rule("", "pods/log", &["get"]),
        rule("", "events", &["list"]),
    ]
}

/// The same without one verb on a resource.
fn rules_without(resource: &str, verb: &str) -> Vec<Value> {
    let mut rules = rules();
    for rule in rules.iter_mut().filter(|rule| rule["resources"][0] == resource) {
        rule["verbs"].as_array_mut().unwrap().retain(|known| known != verb);
    }
    rules.retain(|rule| !rule["verbs"].as_array().unwrap().is_empty());
    rules
}

/// Makes a service account with a Role of these rules.
fn account(namespace: &Namespace, rules: &[Value]) {
    namespace.create("serviceaccounts", &json!({"metadata": {"name": "runner"}})).unwrap();
    namespace.create("roles", &json!({"metadata": {"name": "runner"}, "rules": rules})).unwrap();
    let binding = json!({
        "metadata": {"name": "runner"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "runner"},
        "subjects": [{"kind": "ServiceAccount", "name": "runner", "namespace": namespace.name()}],
    });
    namespace.create("rolebindings", &binding).unwrap();
}

/// A kubeconfig of a service account that may do this and nothing else.
fn kubeconfig(namespace: &Namespace, rules: &[Value]) -> std::path::PathBuf {
    account(namespace, rules);
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let answer = namespace.create("serviceaccounts/runner/token", &request).unwrap();
    let text = std::fs::read_to_string(namespace.kubeconfig()).unwrap();
    let mut kubeconfig: Value = serde_yaml::from_str(&text).unwrap();
    kubeconfig["users"][0]["user"] = json!({"token": answer["status"]["token"]});
    namespace.workdir().write("account", serde_yaml::to_string(&kubeconfig).unwrap()).unwrap()
}

fn the_role_of_a_run_is_enough(namespace: &Namespace) {
    let kubeconfig = kubeconfig(namespace, &rules());
    let source = json!({"secret_key_ref": {"name": "gone", "key": "a"}});
    let steps = [
        Step::sh("good", "echo it ran"),
        Step::sh("bad", "exit 3"),
        Step::sh("stuck", "").config(json!({"env": [{"name": "A", "value_from": source}], "cleanup_policy": "keep"})),
        Step::sh("stubborn", "trap '' TERM; echo begun; while true; do sleep 1; done")
            .config(json!({"termination_grace_period_seconds": 3600})),
    ];
    let running = start_with(namespace, &kubeconfig, &steps, &["--wait", "config=1s"]);
    running.until_line("stubborn", "begun");
    for step in ["good", "bad", "stuck"] {
        running.until("the end of all others", |event| event["event"] == "step-ended" && event["step"] == step);
    }
    running.signal(Signal::INT);
    running.until("the first signal is heard", |event| event["event"] == "stopping");
    running.signal(Signal::INT);
    let run = running.wait();
    run.succeeded("good");
    run.ended("bad", Some(3), "exit", &[]);
    run.ended("stuck", None, "container-config", &["secret \"gone\" not found"]);
    assert!(run.all("warning").is_empty() && run.all("leftover").is_empty(), "{:#?}", run.events);
    until("the stubborn pod is gone", || {
        let pods = namespace.list("pods").unwrap_or_default();
        !pods.iter().any(|pod| pod["metadata"]["labels"]["runner/step"] == "stubborn")
    });
    let jobs = namespace.list("jobs").unwrap();
    assert_eq!((jobs.len(), &jobs[0]["spec"]["suspend"]), (1, &Value::Bool(true)));
    namespace.delete("jobs", jobs[0]["metadata"]["name"].as_str().unwrap()).unwrap();
}

fn without_the_right_to_watch_nothing_runs(namespace: &Namespace) {
    let kubeconfig = kubeconfig(namespace, &rules_without("pods", "watch"));
    let run = start_with(namespace, &kubeconfig, &[Step::sh("a", "true")], &[]).wait();
    assert_eq!(run.code, Some(4), "{run:#?}");
    let fatal = run.all("fatal")[0].to_string();
    let told = format!("cannot watch pods in namespace `{}`", namespace.name());
    assert!(fatal.contains(&told) && fatal.contains("resources: [pods], verbs: [list, watch]"), "{fatal}");
}

fn without_the_right_to_read_logs_the_run_goes_on(namespace: &Namespace) {
    let kubeconfig = kubeconfig(namespace, &rules_without("pods/log", "get"));
    let run = start_with(namespace, &kubeconfig, &[Step::sh("a", "echo it ran"), Step::sh("b", "true")], &[]).wait();
    run.succeeded("a");
    run.succeeded("b");
    let warnings = run.all("warning");
    assert!(warnings.len() == 1 && warnings[0].to_string().contains("logs cannot be read"), "{warnings:#?}");
}

fn without_the_right_to_delete_the_job_is_named(namespace: &Namespace) {
    let kubeconfig = kubeconfig(namespace, &rules_without("jobs", "delete"));
    let step = Step::sh("a", "echo it ran");
    let run = start_with(namespace, &kubeconfig, &[step], &["--wait", "delete=1s"]).wait();
    run.succeeded("a");
    let jobs = namespace.list("jobs").unwrap();
    assert_eq!(jobs.len(), 1);
    let name = jobs[0]["metadata"]["name"].as_str().unwrap();
    let leftovers = run.all("leftover");
    assert!(leftovers.len() == 1 && leftovers[0]["name"] == name, "{leftovers:#?}");
    assert!(leftovers[0]["command"].as_str().unwrap().ends_with(&format!("delete job {name}")), "{leftovers:#?}");
    namespace.delete("jobs", name).unwrap();
}

fn without_the_right_to_read_events_the_run_goes_on(namespace: &Namespace) {
    let kubeconfig = kubeconfig(namespace, &rules_without("events", "list"));
    let source = json!({"secret_key_ref": {"name": "gone", "key": "a"}});
    let step = Step::sh("a", "").config(json!({"env": [{"name": "A", "value_from": source}]}));
    let run = start_with(namespace, &kubeconfig, &[step], &["--wait", "config=1s"]).wait();
    run.ended("a", None, "container-config", &["secret \"gone\" not found"]);
}

/// The program itself comes into the pod by the folders of this machine: so the node must be this machine.
fn a_runner_in_a_pod_uses_its_credentials(namespace: &Namespace) {
    account(namespace, &rules());
    let text = file(namespace, &[Step::sh("a", "echo it ran")]);
    namespace.workdir().write("inside/dag.yaml", text).unwrap();
    let folder = namespace.workdir().path().join("inside");
    let binary = binary().unwrap();
    let built = binary.parent().unwrap();
    let mounts = [
        ("built", built.to_owned(), "/built"),
        ("work", folder.clone(), "/inside"),
        ("lib", "/lib".into(), "/lib"),
        ("lib64", "/lib64".into(), "/lib64"),
    ];
    let volumes: Vec<Value> =
        mounts.iter().map(|(name, from, _)| json!({"name": name, "hostPath": {"path": from}})).collect();
    let volume_mounts: Vec<Value> = mounts.iter().map(|(name, _, to)| json!({"name": name, "mountPath": to})).collect();
    let env =
        [json!({"name": "HOME", "value": "/inside"}), json!({"name": "XDG_CACHE_HOME", "value": "/built/test-cache"})];
    let pod = json!({"metadata": {"name": "runner"}, "spec": {
        "serviceAccountName": "runner", "restartPolicy": "Never",
        "volumes": volumes,
        "containers": [{
            "name": "runner", "image": SHELL, "env": env, "volumeMounts": volume_mounts,
            "command": ["/built/runner", "exec", "/inside/dag.yaml", "--output", "plain"],
        }],
    }});
    namespace.create("pods", &pod).unwrap();
    let phase = || namespace.get("pods", "runner").map(|pod| pod["status"]["phase"].clone()).unwrap_or_default();
    until("the pod ends", || phase() == "Succeeded" || phase() == "Failed");
    assert_eq!(phase(), "Succeeded", "{}", log(namespace));
    assert!(log(namespace).contains("it ran"), "{}", log(namespace));
}

fn log(namespace: &Namespace) -> String {
    let path = format!("{}/runner/log", namespace.path("pods"));
    namespace.text(Method::GET, &path).unwrap_or_else(|refused| refused.to_string())
}
