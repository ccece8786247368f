//! Documents whose form others define: whatever happens, `check` writes valid ones.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;
use tests::{Runner, Workdir, root};

use crate::hostile::assemble;

/// Everything `check` may meet: arguments after the format, and the exit code.
const SCENES: [(&[&str], i32); 14] = [
    (&["valid.yaml"], 0),
    (&["warned.yaml"], 0),
    (&["wrong.yaml"], 2),
    (&["prose.yaml"], 2),
    (&["latin1.yaml"], 2),
    (&["missing.yaml"], 2),
    (&["valid.yaml", "wrong.yaml", "flows/100%,:é \u{7}\n.yaml"], 2),
    (&["denied.yaml", "--policy", "no-privileged.wasm"], 3),
    (&["valid.yaml", "--policy", "escapes.wasm"], 3),
    (&["valid.yaml", "--policy", "traps.wasm"], 3),
    (&["valid.yaml", "--policy", "missing.wasm"], 2),
    (&["valid.yaml", "--policy", "valid.yaml", "--policy", "missing.wasm"], 2),
    (&["valid.yaml", "--policy", "good.wasm", "--policy", "traps.wasm"], 2),
    (&["valid.yaml", "wrong.yaml", "--base", "base.yaml"], 2),
];

/// The standard output of every scene.
fn documents(format: &str) -> Vec<(String, String)> {
    let workdir = Workdir::new().unwrap();
    let step = |config: &str| format!("steps:\n  - {{id: a, type: k8s, config: {{image: x, {config}}}}}\n");
    for (name, text) in [
        ("valid.yaml", step("")),
        ("warned.yaml", step("resources: {requests: {memory: 128m}}")),
        ("denied.yaml", step("security_context: {privileged: true}")),
        ("wrong.yaml", step("backoff_limit: \"3\", imagee: x, \"a\\uffff\\e]]><\\u202e%0A::x{0}\": 1, é: &a [*a]")),
        ("prose.yaml", "just words\n".to_owned()),
        ("flows/100%,:é \u{7}\n.yaml", step("env: [{name: A, value: x}, {name: A, value: y}]")),
        ("base.yaml", "colour: red\nkubernetes: {labels: {a: 1}}\n".to_owned()),
    ] {
        workdir.write(name, text).unwrap();
    }
    workdir.write("latin1.yaml", b"# caf\xe9\nsteps: []\n").unwrap();
    for (name, file) in [("escapes", "s09-escape-sequence"), ("traps", "s04-unreachable"), ("good", "good")] {
        workdir.write(&format!("{name}.wasm"), assemble(file)).unwrap();
    }
    let policy = root().join("policies/dist/no-privileged.wasm");
    workdir.write("no-privileged.wasm", std::fs::read(policy).unwrap()).unwrap();
    let mut documents = Vec::new();
    for (arguments, code) in SCENES {
        let runner = Runner::new(&workdir).unwrap().args(["check", "--format", format]).args(arguments);
        let output = runner.run().unwrap();
        assert_eq!(output.code, Some(code), "{arguments:?}: {output:?}");
        documents.push((format!("{arguments:?}"), output.stdout));
    }
    documents
}

#[test]
fn sarif_is_valid_whatever_happens() {
    let schema = std::fs::read_to_string(root().join("tests/schemas/sarif-2.1.0.json")).unwrap();
    let mut schema: Value = serde_json::from_str(&schema).unwrap();
    for definition in ["run", "toolComponent"] {
        // This pattern is no regular expression: it has a bracket too many. We never say a language.
        let language = &mut schema["definitions"][definition]["properties"]["language"];
        assert!(language.as_object_mut().unwrap().remove("pattern").is_some());
    }
    let schema = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    for (scene, document) in documents("sarif") {
        let log: Value = serde_json::from_str(&document).unwrap();
        let errors: Vec<String> =
            schema.iter_errors(&log).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{scene}: {errors:#?}\n{document}");
        let run = &log["runs"][0];
        // What the schema cannot say: a result names a rule that exists.
        for result in run["results"].as_array().unwrap() {
            let rule = match result["ruleIndex"].as_u64() {
                Some(index) => &run["tool"]["driver"]["rules"][index as usize],
                None => {
                    let (tool, index) = (&result["rule"]["toolComponent"]["index"], &result["rule"]["index"]);
                    &run["tool"]["extensions"][tool.as_u64().unwrap() as usize]["rules"]
                        [index.as_u64().unwrap() as usize]
                }
            };
            assert_eq!(rule["id"], result["ruleId"], "{scene}: {result}");
        }
    }
}

#[test]
fn a_tool_that_fails_has_no_results_and_says_why() {
    for (scene, document) in documents("sarif") {
        let log: Value = serde_json::from_str(&document).unwrap();
        let invocation = &log["runs"][0]["invocations"][0];
        let could_judge = !scene.contains("missing.wasm") && !scene.contains("good.wasm");
        assert_eq!(invocation["executionSuccessful"], could_judge, "{scene}: {document}");
        if !could_judge {
            assert_eq!(log["runs"][0]["results"], serde_json::json!([]), "{scene}: {document}");
            let notification = &invocation["toolExecutionNotifications"][0];
            assert_eq!(notification["level"], "error", "{scene}: {document}");
            assert_ne!(notification["message"]["text"], "", "{scene}: {document}");
        }
    }
}

#[test]
fn fingerprints_stay_when_lines_and_steps_move() {
    let workdir = Workdir::new().unwrap();
    let step = |id: &str| format!("  - id: {id}\n    type: k8s\n    config: {{image: x, imagee: y}}\n");
    workdir.write("dag.yaml", format!("steps:\n{}", step("b"))).unwrap();
    let prints = || -> Vec<Value> {
        let output = Runner::new(&workdir).unwrap().args(["check", "dag.yaml", "--format", "sarif"]).run().unwrap();
        let log: Value = serde_json::from_str(&output.stdout).unwrap();
        let results = log["runs"][0]["results"].as_array().unwrap();
        results.iter().map(|result| result["partialFingerprints"].clone()).collect()
    };
    let before = prints();
    workdir.write("dag.yaml", format!("# more\n\nsteps:\n{}{}", step("a"), step("b"))).unwrap();
    let after = prints();
    assert_eq!((before.len(), after.len()), (1, 2));
    assert_eq!(before[0], after[1]);
    assert_ne!(after[0], after[1]);
}

#[test]
fn junit_is_well_formed_whatever_happens() {
    for (scene, document) in documents("junit") {
        let allowed = |character: char| matches!(character, '\n' | ' '..='\u{fffd}' | '\u{10000}'..);
        assert!(document.chars().all(allowed), "{scene}: {document:?}");
        let mut reader = Reader::from_str(&document);
        let (mut open, mut cases) = (Vec::new(), 0);
        loop {
            match reader.read_event().unwrap_or_else(|error| panic!("{scene}: {error}\n{document}")) {
                Event::Start(element) => {
                    cases += usize::from(element.name().as_ref() == "testcase");
                    assert!(element.attributes().all(|attribute| attribute.is_ok()), "{scene}: {document}");
                    open.push(element.name().as_ref().to_owned());
                }
                Event::Empty(element) => cases += usize::from(element.name().as_ref() == "testcase"),
                Event::End(_) => assert!(open.pop().is_some(), "{scene}: {document}"),
                Event::Eof => break,
                _ => {}
            }
        }
        assert!(open.is_empty() && cases > 0, "{scene}: {document}");
    }
}

#[test]
fn a_github_command_is_one_line() {
    for (scene, document) in documents("github") {
        for line in document.lines() {
            let command = ["::error ", "::warning ", "::notice "].iter().find_map(|start| line.strip_prefix(start));
            let (properties, message) = command.and_then(|rest| rest.split_once("::")).expect(&scene);
            assert!(!message.is_empty(), "{scene}: {document}");
            for property in properties.split(',') {
                let (name, value) = property.split_once('=').expect(&scene);
                assert!(["file", "line", "col", "endLine", "endColumn", "title"].contains(&name), "{scene}: {line}");
                assert!(!value.contains(':') && !value.is_empty(), "{scene}: {line}");
            }
            assert!(!line.chars().any(char::is_control), "{scene}: {line:?}");
        }
    }
}
