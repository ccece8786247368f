//! Containers that the cluster puts beside the program.

use serde_json::json;
use tests::Namespace;

use crate::run::exec;
use crate::suite::{Test, tests, until};
use crate::workflow::{SHELL, Step};

pub(crate) const TESTS: &[Test] = tests![an_injected_container_that_never_ends];

/// Puts a container `proxy`, which never ends, into every pod of the namespace: on a real cluster as a mesh does it.
fn inject(namespace: &Namespace) {
    if let Some(served) = namespace.served() {
        return served.inject_sidecar("proxy");
    }
    let api = "/apis/admissionregistration.k8s.io/v1beta1";
    let (version, name) = ("admissionregistration.k8s.io/v1beta1", namespace.name());
    let container = format!("Object.spec.containers{{name: 'proxy', image: '{SHELL}', command: ['sleep', '3600']}}");
    let patch = format!("[JSONPatch{{op: 'add', path: '/spec/containers/0', value: {container}}}]");
    let policy = json!({
        "apiVersion": version,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ]},
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
        },
    });
    let binding = json!({
        "apiVersion": version,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {
            "policyName": name,
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}},
        },
    });
    namespace.create_outside(&format!("{api}/mutatingadmissionpolicies"), &policy).unwrap();
    namespace.create_outside(&format!("{api}/mutatingadmissionpolicybindings"), &binding).unwrap();
    let pod = json!({
        "metadata": {"name": "try"},
        "spec": {"containers": [{"name": "step", "image": SHELL}]},
    });
    until("the policy is heard of", || {
        let tried = namespace.create("pods?dryRun=All", &pod);
        tried.is_ok_and(|pod| pod["spec"]["containers"].as_array().is_some_and(|containers| containers.len() == 2))
    });
}

/// F40: the program's own end counts.
fn an_injected_container_that_never_ends(namespace: &Namespace) {
    inject(namespace);
    let steps = [Step::sh("good", "echo done"), Step::sh("bad", "exit 3")];
    let run = exec(namespace, &steps, &["--wait", "sidecar=3s"]);
    run.succeeded("good");
    run.ended("bad", Some(3), "exit", &["was stopped: `proxy` still ran"]);
    let good = run.end("good");
    assert!(good.notes.join("\n").contains("was stopped: `proxy` still ran"), "{good:#?}");
    assert_eq!(good.log, "done\n");
    let waits = |step: &str| {
        run.all("step-waiting").into_iter().any(|event| event["step"] == step && event["waits"][0]["kind"] == "sidecar")
    };
    assert!(waits("good") && waits("bad"), "{:#?}", run.all("step-waiting"));
}
