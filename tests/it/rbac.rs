//! `runner rbac`: the rights it asks for are those that runs use, all of them and no others.

use std::collections::BTreeSet;
use std::time::Duration;

use local_cluster::Answer;
use rustix::process::Signal;
use serde::Deserialize as _;
use serde_json::Value;

use crate::process::{JOBS, Scene, ended, send, until, waiting};

/// Verb and resource of each right that a Role gives.
fn rights(manifests: &str) -> BTreeSet<(String, String)> {
    let documents: Vec<Value> =
        serde_yaml::Deserializer::from_str(manifests).map(|document| Value::deserialize(document).unwrap()).collect();
    let roles = documents.iter().filter(|document| document["kind"] == "Role");
    let texts = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let rules = roles.flat_map(|role| role["rules"].as_array().unwrap());
    rules
        .flat_map(|rule| {
            let resources = texts(&rule["resources"]);
            texts(&rule["verbs"])
                .into_iter()
                .flat_map(move |verb| resources.clone().into_iter().map(move |resource| (verb.clone(), resource)))
        })
        .collect()
}

fn used(scene: &Scene) -> BTreeSet<(String, String)> {
    let requests = scene.served.cluster().requests();
    requests.into_iter().map(|request| (request.verb.to_owned(), request.resource)).collect()
}

/// A run whose answer to the POST is lost, one whose pod finds no node, one that is stopped twice.
fn used_by_runs() -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    let scene = Scene::new(&waiting());
    scene.mark("go");
    scene.served.cluster().faults().on("create", "jobs", "*").nth(1).commit_then(Answer::status(503, "later"));
    assert_eq!(scene.exec(&[]).code, Some(0));
    all.extend(used(&scene));

    let scene = Scene::new(&waiting().replace("{image: x}", "{image: x, cleanup_policy: keep}"));
    scene.served.cluster().faults().on("schedule", "pods", "*").unschedulable(None, "no node");
    assert_eq!(scene.exec(&["--wait", "schedule=0"]).code, Some(1));
    all.extend(used(&scene));

    let scene = Scene::new(&waiting());
    scene.served.cluster().faults().on("delete", "jobs", "*").delay(Duration::from_secs(3600));
    let mut child = scene.begin(&[]);
    until(|| scene.log("a") == "one\n", || "it prints nothing".to_owned());
    send(&child, Signal::INT);
    until(|| !scene.served.requests("delete", "jobs").is_empty(), || format!("{:?}", scene.served.list(JOBS)));
    send(&child, Signal::INT);
    ended(&mut child);
    all.extend(used(&scene));
    all
}

#[test]
fn the_role_has_exactly_the_rights_that_runs_use() {
    let scene = Scene::new(&waiting());
    let output = scene.run(&["rbac"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let mut expected = used_by_runs();
    // No run reads secrets yet: the provider is the only one that will.
    expected.insert(("get".to_owned(), "secrets".to_owned()));
    assert_eq!(rights(&output.stdout), expected);
}

#[test]
fn a_file_gets_the_rights_and_namespaces_that_it_needs() {
    let scene = Scene::new(&waiting().replace("{image: x}", "{image: x, namespace: batch}"));
    let output = scene.run(&["rbac", "dag.yaml", "--service-account", "ci:robot"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let found = rights(&output.stdout);
    assert!(!found.contains(&("patch".to_owned(), "jobs".to_owned())), "no step keeps its Job: {found:?}");
    assert!(!found.contains(&("get".to_owned(), "secrets".to_owned())), "{found:?}");
    assert_eq!(output.stdout.matches("namespace: batch\n").count(), 2, "{output:?}");
    assert_eq!(output.stdout.matches("name: robot\n    namespace: ci\n").count(), 1, "{output:?}");

    let keeping = scene.workdir.write("keep.yaml", waiting().replace("{image: x}", "{image: x, cleanup_policy: keep}"));
    let output = scene.run(&["rbac", keeping.unwrap().to_str().unwrap(), "-n", "one", "-n", "two"]);
    assert!(rights(&output.stdout).contains(&("patch".to_owned(), "jobs".to_owned())), "{output:?}");
    assert_eq!(output.stdout.matches("kind: Role\n").count(), 4, "two roles, and who refers to them: {output:?}");
    for wrong in [&["rbac", "-n", "No Name"][..], &["rbac", "--service-account", "a:b:c"], &["rbac", "nowhere.yaml"]] {
        assert_eq!(scene.run(wrong).code, Some(2), "{wrong:?}");
    }
}
