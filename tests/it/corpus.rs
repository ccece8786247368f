//! One corpus, every door: each case runs through the native rules, the component and the command line, and all must say
//! the same.
//!
//! A case is a folder of `tests/corpus/`: `dag.yaml`, perhaps `base.yaml` and `arguments.txt` (a parameter a line), and
//! `expected.json`: the final problems without their texts' places in the file system. A folder whose name begins with
//! `mistake-` also has `problems.txt`, what a user sees.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use model::layer::MergeStep;
use model::problem::Problem;
use model::report::{Answers, SourceText, StepPlace, report};
use model::review::Phase;
use model::workflow::StepKind;
use runner::plan::plan;
use runner::policy_set::PolicySet;
use runner::sources::{Source, Sources};
use runner::wasm::Role;
use tests::{Runner, folders, golden, root};

/// The texts of a case.
struct Case {
    sources: Vec<Source>,
    arguments: Vec<String>,
}

fn read(folder: &Path) -> Result<Case> {
    let mut sources = Vec::new();
    for (name, role) in [("base.yaml", Role::Base), ("dag.yaml", Role::Workflow)] {
        let path = folder.join(name);
        if role == Role::Workflow || path.exists() {
            let text = fs::read_to_string(&path).with_context(|| format!("`{}`", path.display()))?;
            sources.push(Source { name: name.to_owned(), text, role });
        }
    }
    let arguments = fs::read_to_string(folder.join("arguments.txt")).unwrap_or_default();
    Ok(Case { sources, arguments: arguments.lines().map(str::to_owned).collect() })
}

/// The problems by the rules as they are compiled natively.
fn native(case: &Case) -> Result<Vec<Problem>> {
    let sources: Vec<rules::Source<'_>> = case
        .sources
        .iter()
        .map(|source| rules::Source {
            name: &source.name,
            text: &source.text,
            role: match source.role {
                Role::Base => rules::Role::Base,
                Role::Workflow => rules::Role::Workflow,
            },
        })
        .collect();
    let arguments: Vec<&str> = case.arguments.iter().map(String::as_str).collect();
    let loaded = rules::load(&sources, &arguments);
    let workflow = loaded.workflow.unwrap_or_default();
    let steps: Vec<MergeStep> = workflow
        .all_steps()
        .filter(|step| step.kind == StepKind::Kubernetes)
        .map(|step| MergeStep { step: step.name.clone(), ranks: step.ranks.clone() })
        .collect();
    let merged = rules::merge(&loaded.layers, &steps).map_err(anyhow::Error::msg)?;
    let mut core = loaded.problems;
    core.extend(merged.iter().flat_map(|merged| merged.problems.iter().cloned()));
    core.extend(rules::check(Phase::Load, &merged).map_err(anyhow::Error::msg)?);
    let places = workflow
        .all_steps()
        .map(|step| {
            let merged = merged.iter().find(|merged| merged.step == step.name);
            StepPlace {
                step: step.name.clone(),
                path: step.path.clone(),
                position: step.position,
                config_path: step.config_path.clone(),
                origins: merged.map(|merged| merged.origins.clone()).unwrap_or_default(),
                open: merged.map(|merged| merged.open()).unwrap_or_default(),
            }
        })
        .collect();
    Ok(report(&Answers {
        phase: Phase::Load,
        sources: case
            .sources
            .iter()
            .map(|source| SourceText { name: source.name.clone(), text: source.text.clone() })
            .collect(),
        workflow: workflow.name.clone(),
        today: None,
        steps: places,
        core,
        policies: Vec::new(),
        waivers: Vec::new(),
    })
    .problems)
}

fn run(folder: &Path, set: &PolicySet) -> Result<()> {
    let case = read(folder)?;
    let native = native(&case)?;
    let component = plan(&Sources::from_texts(case.sources.clone(), case.arguments.clone()), set)?.report.problems;
    ensure!(native == component, "rules and component differ\nrules {native:#?}\ncomponent {component:#?}");

    let with_options = |format: &str| -> Result<Runner> {
        let mut runner = Runner::in_folder(folder)?.args(["check", "dag.yaml", "--format", format]);
        if case.sources.len() > 1 {
            runner = runner.args(["--base", "base.yaml"]);
        }
        for argument in &case.arguments {
            runner = runner.args(["-p", argument]);
        }
        Ok(runner)
    };
    let output = with_options("json")?.run()?;
    let printed: serde_json::Value =
        serde_json::from_str(&output.stdout).with_context(|| format!("standard output is no JSON: {output:?}"))?;
    let shown = serde_json::to_value(&native)?;
    ensure!(printed.get("problems") == Some(&shown), "the command line differs: {output:#?}");
    let wrong = native.iter().any(|problem| problem.severity == model::problem::Severity::Error);
    ensure!(output.code == Some(if wrong { 2 } else { 0 }), "exit code {:?}", output.code);

    golden(&folder.join("expected.json"), &(serde_json::to_string_pretty(&shown)? + "\n"))?;
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if name.starts_with("mistake-") {
        ensure!(!native.is_empty(), "a mistake that nobody sees");
        golden(&folder.join("problems.txt"), &with_options("human")?.run()?.stdout)?;
    }
    Ok(())
}

#[test]
fn every_case_is_the_same_through_every_door() {
    let set = PolicySet::load_with_cache(&[], None).unwrap();
    let cases = folders(&root().join("tests/corpus")).unwrap();
    assert!(cases.len() >= 480, "only {} cases", cases.len());
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|folder| Some(format!("{}: {:#}", folder.display(), run(folder, &set).err()?)))
        .collect();
    assert!(failures.is_empty(), "{} of {} cases failed\n\n{}", failures.len(), cases.len(), failures.join("\n\n"));
}

#[test]
fn a_file_of_many_steps_is_the_same_in_several_calls() {
    let mut text = "kubernetes: {namespace: batch, backoff_limit: 1}\nsteps:\n".to_owned();
    for step in 0..1_203 {
        // Each has a layer of its own; every hundredth has a mistake.
        let memory = if step % 100 == 99 { "12MB" } else { "12Mi" };
        text += &format!(
            "  - {{id: s{step}, type: k8s, config: {{image: \"a:{step}\", resources: {{limits: {{memory: {memory}}}}}}}}}\n"
        );
    }
    let source = Source { name: "dag.yaml".to_owned(), text, role: Role::Workflow };
    let case = Case { sources: vec![source], arguments: Vec::new() };
    let native = native(&case).unwrap();
    assert_eq!(native.len(), 12, "{native:#?}");
    let set = PolicySet::load_with_cache(&[], None).unwrap();
    let planned = plan(&Sources::from_texts(case.sources, case.arguments), &set).unwrap();
    assert_eq!(planned.report.problems, native);
    let images: Vec<String> = (0..1_203).map(|step| format!("\"a:{step}\"")).collect();
    let merged: Vec<String> = planned.merged.iter().map(|merged| merged.config["image"].to_string()).collect();
    assert_eq!(merged, images);
}
