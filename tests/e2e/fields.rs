//! Every field of the Kubernetes block, from the file to the live Job and its pod.

use std::collections::BTreeMap;

use model::config::EffectiveConfig;
use model::field::{Kind, Mapping};
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::{ClusterKind, Namespace};

use crate::run::{Running, exec, runner, start};
use crate::suite::{Test, tests, until};
use crate::workflow::{SHELL, Step};

mod table;

pub(crate) const TESTS: &[Test] = tests![
    every_field_reaches_the_job_and_its_pod,
    the_config_names_the_cluster,
    what_the_program_sees,
    the_program_runs_as_the_security_context_says,
];

/// Where a value of the config must stand.
enum Place {
    /// In the Job only.
    Job(&'static str),
    /// In the Job's template and in the pod: from there on the same.
    Pod(&'static str),
    /// In the metadata of Job, template and pod.
    Metadata(&'static str),
}

use Place::{Job, Metadata, Pod};

/// A config and what becomes of it. Null: nothing stands there.
struct Row {
    config: Value,
    becomes: Vec<(Place, Value)>,
}

fn row(config: Value, becomes: Vec<(Place, Value)>) -> Row {
    Row { config, becomes }
}

fn every_field_reaches_the_job_and_its_pod(namespace: &Namespace) {
    let rows = table::rows(namespace.name());
    all_fields_are_there(&rows);
    // What only the real cluster asks for before it makes a pod.
    if namespace.kind() == ClusterKind::Real {
        namespace.create("serviceaccounts", &json!({"metadata": {"name": "loader"}})).unwrap();
        let class = json!({"metadata": {"name": namespace.name()}, "value": 7});
        namespace.create_outside("/apis/scheduling.k8s.io/v1/priorityclasses", &class).unwrap();
    }
    let names: Vec<String> = (0..rows.len()).map(|n| format!("row{n}")).collect();
    let step = |(name, row): (&String, &Row)| Step::argv(name, &["sleep", "600"]).config(row.config.clone());
    let steps: Vec<Step> = names.iter().zip(&rows).map(step).collect();
    // Some of them can never run; they are looked at all the same.
    let waits = ["pull", "config", "mount", "schedule", "pod"].map(|kind| format!("{kind}=1h"));
    let arguments: Vec<&str> = waits.iter().flat_map(|wait| ["--wait", wait.as_str()]).collect();
    let running = start(namespace, &steps, &arguments);

    let mut wrong = Vec::new();
    for (name, row) in names.iter().zip(&rows) {
        let (job, pod) = (live(namespace, "jobs", name), live(namespace, "pods", name));
        for (place, expected) in &row.becomes {
            let found = match place {
                Job(pointer) => vec![("Job", job.pointer(pointer))],
                Pod(pointer) => {
                    let template = job.pointer("/spec/template/spec").and_then(|spec| spec.pointer(pointer));
                    vec![("template", template), ("pod", pod.pointer("/spec").and_then(|spec| spec.pointer(pointer)))]
                }
                Metadata(pointer) => {
                    let of = |object: &'_ Value, at: &str| object.pointer(&format!("{at}{pointer}")).cloned();
                    for (what, found) in [
                        ("Job", of(&job, "/metadata")),
                        ("template", of(&job, "/spec/template/metadata")),
                        ("pod", of(&pod, "/metadata")),
                    ] {
                        if found.as_ref() != Some(expected) {
                            wrong.push(format!("{what} of {}: {pointer} is {found:?}, not {expected}", row.config));
                        }
                    }
                    continue;
                }
            };
            for (what, found) in found {
                if found.unwrap_or(&Value::Null) != expected {
                    let pointer = match place {
                        Job(pointer) | Pod(pointer) | Metadata(pointer) => pointer,
                    };
                    wrong.push(format!("{what} of {}: {pointer} is {found:?}, not {expected}", row.config));
                }
            }
        }
    }
    running.signal(Signal::INT);
    assert_eq!(running.wait().code, Some(130));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The object of a step, once it is there.
fn live(namespace: &Namespace, resource: &str, step: &str) -> Value {
    let mut found = Value::Null;
    until(&format!("{resource} of {step}"), || {
        let objects = namespace.list(resource).unwrap_or_default();
        let of_step = |object: &&Value| object["metadata"]["labels"]["runner/step"] == step;
        found = objects.iter().find(of_step).cloned().unwrap_or_default();
        !found.is_null()
    });
    found
}

/// A field that is added must get its row.
fn all_fields_are_there(rows: &[Row]) {
    fn visit(mapping: &'static Mapping, values: &[&Value], seen: &mut BTreeMap<String, bool>) {
        for field in mapping.fields {
            let found: Vec<&Value> = values.iter().filter_map(|value| value.get(field.key)).collect();
            *seen.entry(format!("{}.{}", mapping.name, field.key)).or_default() |= !found.is_empty();
            match &field.kind {
                Kind::Mapping(inner) => visit(inner, &found, seen),
                Kind::List(list) => {
                    let items: Vec<&Value> = found.iter().filter_map(|list| list.as_array()).flatten().collect();
                    if let Kind::Mapping(inner) = list.item {
                        visit(inner, &items, seen);
                    }
                }
                _ => {}
            }
        }
    }
    let mut seen = BTreeMap::new();
    visit(&EffectiveConfig::MAPPING, &rows.iter().map(|row| &row.config).collect::<Vec<_>>(), &mut seen);
    // They choose the cluster; a test of their own holds them.
    let elsewhere = ["EffectiveConfig.kubeconfig", "EffectiveConfig.context"];
    let missing: Vec<&String> =
        seen.iter().filter(|(key, found)| !**found && !elsewhere.contains(&key.as_str())).map(|(key, _)| key).collect();
    assert!(missing.is_empty(), "no row has {missing:?}");
}

fn the_config_names_the_cluster(namespace: &Namespace) {
    let text = std::fs::read_to_string(namespace.kubeconfig()).unwrap();
    let mut kubeconfig: Value = serde_yaml::from_str(&text).unwrap();
    // What the file itself would choose leads nowhere.
    let chosen = kubeconfig["current-context"].take();
    kubeconfig["current-context"] = json!("nowhere");
    let nowhere = json!({"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1"}});
    kubeconfig["clusters"].as_array_mut().unwrap().push(nowhere);
    let user = kubeconfig["users"][0]["name"].clone();
    let nowhere = json!({"name": "nowhere", "context": {"cluster": "nowhere", "user": user}});
    kubeconfig["contexts"].as_array_mut().unwrap().push(nowhere);
    namespace.workdir().write("elsewhere/config", serde_yaml::to_string(&kubeconfig).unwrap()).unwrap();

    // A relative path begins at the folder of the file that holds it.
    let file = json!({
        "kubernetes": {"namespace": namespace.name(), "kubeconfig": "elsewhere/config", "context": chosen},
        "steps": [{"id": "a", "type": "k8s", "config": {"image": SHELL}, "command": ["sh", "-c", "echo it ran"]}],
    });
    let run = Running::new(runner(namespace, &file.to_string())).wait();
    run.succeeded("a");
    assert_eq!(run.end("a").log, "it ran\n");
}

fn what_the_program_sees(namespace: &Namespace) {
    let data = json!({"level": "debug", "MODE": "fast"});
    namespace.create("configmaps", &json!({"metadata": {"name": "settings"}, "data": data})).unwrap();
    let data = json!({"password": "hunter2"});
    namespace.create("secrets", &json!({"metadata": {"name": "db"}, "stringData": data})).unwrap();
    let config = json!({
        "labels": {"app": "loader"},
        "env": [
            {"name": "PLAIN", "value": "a b"},
            {"name": "EMPTY", "value": ""},
            {"name": "BOTH", "value": "$(PLAIN)-$(NONE)-$$(PLAIN)"},
            {"name": "MAP", "value_from": {"config_map_key_ref": {"name": "settings", "key": "level"}}},
            {"name": "SECRET", "value_from": {"secret_key_ref": {"name": "db", "key": "password"}}},
            {"name": "SPACE", "value_from": {"field_ref": {"field_path": "metadata.namespace"}}},
            {"name": "LABEL", "value_from": {"field_ref": {"field_path": "metadata.labels['app']"}}},
        ],
        "env_from": [{"prefix": "S_", "config_map_ref": {"name": "settings"}}],
        "volumes": [
            {"name": "map", "config_map": {"name": "settings"}},
            {"name": "db", "secret": {"secret_name": "db"}},
            {"name": "scratch", "empty_dir": {}},
        ],
        "volume_mounts": [
            {"name": "map", "mount_path": "/settings"},
            {"name": "db", "mount_path": "/db", "read_only": true},
            {"name": "scratch", "mount_path": "/scratch"},
        ],
        "working_dir": "/scratch",
    });
    let script = "echo \"$PLAIN|$EMPTY|$BOTH|$MAP|$SECRET|$SPACE|$LABEL|$S_MODE|$S_level\"; cat /settings/level; echo; \
                  cat /db/password; echo; echo kept > file; cat /scratch/file; echo '$(PLAIN) $(NONE)'";
    let run = exec(namespace, &[Step::sh("a", script).config(config)], &[]);
    run.succeeded("a");
    let space = namespace.name();
    let first = format!("a b||a b-$(NONE)-$(PLAIN)|debug|hunter2|{space}|loader|fast|debug\n");
    let log = run.end("a").log;
    assert_eq!(log, format!("{first}debug\nhunter2\nkept\na b $(NONE)\n"));
}

fn the_program_runs_as_the_security_context_says(namespace: &Namespace) {
    let config = json!({
        "security_context": {
            "run_as_user": 1234, "run_as_group": 2345, "read_only_root_filesystem": true, "capabilities": {"drop": ["ALL"]},
        },
        "pod_security_context": {"supplemental_groups": [3456], "fs_group": 4567},
    });
    let script = "id -u; id -g; id -G; touch /file 2> /dev/null || echo read-only; grep CapEff /proc/self/status";
    let run = exec(namespace, &[Step::sh("a", script).config(config)], &[]);
    run.succeeded("a");
    let log = run.end("a").log;
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[..2], ["1234", "2345"], "{log}");
    assert!(lines[2].contains("3456") && lines[2].contains("4567"), "{log}");
    assert_eq!(lines[3], "read-only", "{log}");
    assert!(lines[4].ends_with("0000000000000000"), "{log}");
}
