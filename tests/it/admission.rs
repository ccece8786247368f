//! The last gate: rules and policies are asked again about final values, and only what they let pass becomes a Job.

use std::collections::BTreeMap;
use std::path::PathBuf;

use model::names::RunId;
use runner::admission::{Admission, admit};
use runner::interpolate::Scope;
use runner::manifest;
use runner::plan::{Effective, plan};
use runner::policy_set::PolicySet;
use runner::sources::{Source, Sources};
use runner::wasm::Role;
use tests::root;

fn no_privileged() -> PolicySet {
    let path: PathBuf = root().join("policies/dist/no-privileged.wasm");
    PolicySet::load_with_cache(&[path], None).unwrap()
}

fn effective(set: &PolicySet, text: &str, arguments: &[&str]) -> Effective {
    let source = Source { name: "dag.yaml".to_owned(), text: text.to_owned(), role: Role::Workflow };
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let planned = plan(&Sources::from_texts(vec![source], arguments), set).unwrap();
    assert_eq!(planned.report.problems, [], "the file is valid as written");
    planned.effective.unwrap()
}

/// What becomes of the first step: its Job, or the codes of the problems.
fn submit(set: &PolicySet, effective: &Effective) -> Result<manifest::Job, Vec<String>> {
    let run_id: RunId = "r1".parse().unwrap();
    let scope = Scope::of_run(effective.workflow(), run_id.as_str(), BTreeMap::new());
    let step = &effective.workflow().steps[0];
    match admit(set, effective, step, &scope, &run_id).unwrap() {
        Admission::Admitted(admitted, _) => Ok(manifest::build(&admitted, 1)),
        Admission::Refused(report) => Err(report.problems.into_iter().map(|problem| problem.code).collect()),
    }
}

const DAG: &str = r#"
params: {CAP: NET_ADMIN, IMG: "alpine:3.20", NS: jobs}
steps:
  - id: one
    type: k8s
    config:
      image: ${IMG}
      namespace: ${NS}
      security_context: {capabilities: {add: ["${CAP}"]}}
    command: [echo, "${IMG}"]
"#;

#[test]
fn variables_are_put_in_before_the_job_is_made() {
    let set = no_privileged();
    let job = submit(&set, &effective(&set, DAG, &[])).unwrap();
    assert_eq!(job.namespace(), "jobs");
    let pod = job.as_manifest().spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    let container = &pod.containers[0];
    assert_eq!(container.image.as_deref(), Some("alpine:3.20"));
    assert_eq!(container.command.as_deref(), Some(&["echo".to_owned(), "alpine:3.20".to_owned()][..]));
}

#[test]
fn a_variable_does_not_slip_past_a_policy() {
    let set = no_privileged();
    for value in ["CAP=SYS_ADMIN", "CAP=cap_all", "CAP= sys_admin "] {
        let denied = submit(&set, &effective(&set, DAG, &[value])).unwrap_err();
        assert!(denied.iter().any(|code| code == "no-privileged/capability"), "{value}: {denied:?}");
    }
}

#[test]
fn a_variable_does_not_slip_past_a_rule() {
    let set = no_privileged();
    for (value, code) in [("NS=My_Jobs", "core/format"), ("IMG=", "core/required"), ("IMG=${IMG}", "none")] {
        let answer = submit(&set, &effective(&set, DAG, &[value]));
        match code {
            "none" => assert!(answer.is_ok(), "{value}: a literal `${{IMG}}` is an image like any other"),
            code => assert_eq!(answer.unwrap_err(), [code], "{value}"),
        }
    }
}
