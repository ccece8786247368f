//! The shapes that cross the component boundary: what the rules answer fits the schemas that are written down.

use std::fs;

use jsonschema::Validator;
use model::layer::MergeStep;
use runner::policy_set::PolicySet;
use runner::wasm::{Role, Source};
use serde_json::{Value, json};
use tests::{folders, golden, root};

fn schema(name: &str) -> Validator {
    let path = root().join("wit/schemas").join(name);
    let text = fs::read_to_string(&path).unwrap();
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

#[track_caller]
fn fits(validator: &Validator, document: &Value, what: &str) {
    let errors: Vec<String> =
        validator.iter_errors(document).map(|error| format!("{} at {}", error, error.instance_path())).collect();
    assert!(errors.is_empty(), "{what}: {}\n{document:#}", errors.join("\n"));
}

/// A file that exercises every part of the shapes: inheritance, history, clearing, variables, mistakes.
const DAG: &str = r#"
kubernetes: {image: a, labels: {app: x}, env: [{name: A, value: "${A}"}], resources: {limits: {cpu: "1"}}}
steps:
  - id: one
    type: k8s
    config: {image: b, labels: {}, resources: {limits: {cpu: "2"}}, backoff_limit: "3"}
    command: [sh, -c, "echo ${A}"]
  - {id: two, command: echo, depends: one}
handler_on: {exit: {type: k8s}}
"#;

#[test]
fn what_the_core_policy_answers_fits_its_schemas() {
    let set = PolicySet::load_with_cache(&[], None).unwrap();
    let sources = [
        Source { name: "base.yaml", text: "kubernetes: {namespace: jobs}\n", role: Role::Base },
        Source { name: "dag.yaml", text: DAG, role: Role::Workflow },
    ];
    let loaded = set.core().load_sources(&sources, &["B=1".to_owned()]).unwrap();
    let workflow = loaded.workflow.unwrap();
    fits(&schema("workflow.json"), &serde_json::to_value(&workflow).unwrap(), "workflow");
    let (layer, problem) = (schema("layer.json"), schema("problem.json"));
    assert_eq!(loaded.layers.len(), 3);
    for one in &loaded.layers {
        fits(&layer, &serde_json::to_value(one).unwrap(), "layer");
    }
    assert!(!loaded.problems.is_empty());
    for one in &loaded.problems {
        fits(&problem, &serde_json::to_value(one).unwrap(), "problem");
    }
    let steps: Vec<MergeStep> = workflow
        .all_steps()
        .filter(|step| !step.ranks.is_empty())
        .map(|step| MergeStep { step: step.name.clone(), ranks: step.ranks.clone() })
        .collect();
    let merged = set.core().merge(&loaded.layers, &steps).unwrap();
    assert_eq!(merged.len(), 2);
    let (of_merged, of_config) = (schema("merged.json"), schema("config.json"));
    for one in &merged {
        fits(&of_merged, &serde_json::to_value(one).unwrap(), "merged");
        fits(&of_config, &one.config, "config");
    }
    assert!(merged.iter().any(|one| one.origins.values().any(|origin| !origin.history.is_empty())));
    let problems = set.core().check(model::review::Phase::Load, &merged).unwrap();
    // The very texts that cross, so that a change of a shape is seen.
    let answers = json!({
        "load": {"workflow": workflow, "layers": loaded.layers, "problems": loaded.problems},
        "merge": merged,
        "check": problems,
    });
    let text = serde_json::to_string_pretty(&answers).unwrap() + "\n";
    golden(&root().join("tests/contract/answers.json"), &text).unwrap();
}

#[test]
fn a_layer_of_a_policy_is_checked_by_merge() {
    use model::layer::{Layer, Origin};
    let set = PolicySet::load_with_cache(&[], None).unwrap();
    let layer = |value: Value| Layer {
        origin: Origin::Policy("p".to_owned()),
        value,
        positions: Default::default(),
        left_out: Vec::new(),
        variables: Vec::new(),
    };
    let layers = [layer(json!({"imagee": "a", "backoff_limit": "three", "labels": {"a": "${X}"}}))];
    let steps = [MergeStep { step: "s".to_owned(), ranks: vec![0] }];
    let merged = set.core().merge(&layers, &steps).unwrap();
    let codes: Vec<&str> = merged[0].problems.iter().map(|problem| problem.code.as_str()).collect();
    assert_eq!(codes, ["core/type", "core/unknown-field"]);
    assert_eq!(merged[0].variables, [] as [&str; 0], "a policy's text is plain text");
    assert_eq!(merged[0].config["labels"]["a"], "${X}");
    assert_eq!(merged[0].config["backoff_limit"], 0);
}

/// Cases the schema refuses though the rules accept them: it cannot know that no step inherits a value.
const STRICTER: &[&str] = &["silent-where-nobody-inherits", "wrong-below-right-above", "wrong-where-nobody-inherits"];

#[test]
fn the_schema_of_the_file_accepts_what_the_rules_accept() {
    let validator = schema("workflow-file.json");
    let mut accepted = 0;
    for folder in folders(&root().join("tests/corpus")).unwrap() {
        let expected: Value = serde_json::from_str(&fs::read_to_string(folder.join("expected.json")).unwrap()).unwrap();
        let stricter = STRICTER.iter().any(|name| folder.ends_with(name));
        if stricter || expected.as_array().is_none_or(|problems| !problems.is_empty()) {
            continue;
        }
        let text = fs::read_to_string(folder.join("dag.yaml")).unwrap();
        let mut document: serde_yaml::Value = match serde_yaml::from_str(&text) {
            Ok(document) => document,
            Err(error) => panic!("{}: {error}", folder.display()),
        };
        // The library merges one level at a time: what was merged in may hold a merge key itself.
        loop {
            let before = document.clone();
            document.apply_merge().unwrap();
            if document == before {
                break;
            }
        }
        let document: Value = serde_json::to_value(document).unwrap();
        fits(&validator, &document, &folder.display().to_string());
        accepted += 1;
    }
    assert!(accepted >= 10, "only {accepted} valid cases");
}

#[test]
fn the_schema_of_the_file_refuses_plain_mistakes() {
    let validator = schema("workflow-file.json");
    for document in [
        json!({}),
        json!({"steps": []}),
        json!({"steps": [{"command": "a", "colour": 1}]}),
        json!({"steps": [{"type": "k8s", "config": {"imagee": "a"}}]}),
        json!({"steps": [{"type": "k8s", "config": {"backoff_limit": "3"}}]}),
        json!({"steps": [{"type": "k8s", "config": {"backoff_limit": -1}}]}),
        json!({"steps": ["a"], "type": "agent"}),
    ] {
        assert!(!validator.is_valid(&document), "{document}");
    }
}
