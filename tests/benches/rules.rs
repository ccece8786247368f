//! How long the rules take: one file as an editor asks about it, and files of many steps.
//!
//! Each figure stands beside what it would be at best: the same rules without a component around them. What a figure
//! means and what it should be is in `docs/benchmarks.md`. Nothing here fails because a machine is slow.

#![allow(clippy::unwrap_used, reason = "what cannot be set up cannot be measured")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::PathBuf;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use model::layer::MergeStep;
use model::review::Phase;
use model::workflow::{StepKind, Workflow};
use runner::plan::plan;
use runner::policy_set::PolicySet;
use runner::sources::{Source, Sources};
use runner::wasm::{self, Role};
use tests::root;

/// The complete example, as a workflow file that needs nothing but itself.
fn complete() -> String {
    read("runner/examples/complete.yaml")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// A file of `steps` steps in ranks of ten: each depends on two of the rank before, and has a config of its own.
fn many(steps: usize) -> String {
    let mut text =
        "kubernetes:\n  namespace: batch\n  resources: {requests: {cpu: 100m, memory: 128Mi}}\nsteps:\n".to_owned();
    for step in 0..steps {
        let depends = match step.checked_sub(10) {
            Some(before) if step % 10 > 0 => format!("    depends: [s{before}, s{}]\n", before - 1),
            Some(before) => format!("    depends: [s{before}]\n"),
            None => String::new(),
        };
        let _ = write!(
            text,
            "  - id: s{step}\n    type: k8s\n{depends}    config:\n      image: registry.example.com/tool:{step}\n      \
             env: [{{name: STEP, value: \"{step}\"}}]\n      resources: {{limits: {{memory: 256Mi}}}}\n    command: \
             [tool, run, \"{step}\"]\n",
        );
    }
    text
}

fn policies(paths: &[&str]) -> PolicySet {
    let paths: Vec<PathBuf> = paths.iter().map(|path| root().join(path)).collect();
    PolicySet::load_with_cache(&paths, None).unwrap()
}

fn merge_steps(workflow: &Workflow) -> Vec<MergeStep> {
    let kubernetes = workflow.all_steps().filter(|step| step.kind == StepKind::Kubernetes);
    kubernetes.map(|step| MergeStep { step: step.name.clone(), ranks: step.ranks.clone() }).collect()
}

/// Load, merge and check of the complete example: by the component, and natively.
fn one_file(criterion: &mut Criterion) {
    let text = complete();
    let set = policies(&[]);
    let core = set.core();
    let mut group = criterion.benchmark_group("complete-example");
    let sources = [wasm::Source { name: "dag.yaml", text: &text, role: Role::Workflow }];
    group.bench_function("component", |bencher| {
        bencher.iter(|| {
            let mut core = core.open();
            let loaded = core.load_sources(black_box(&sources), &[]).unwrap();
            let workflow = loaded.workflow.unwrap_or_default();
            core.merge_and_check(Phase::Load, &loaded.layers, &merge_steps(&workflow)).unwrap()
        });
    });
    let sources = [rules::Source { name: "dag.yaml", text: &text, role: rules::Role::Workflow }];
    group.bench_function("native", |bencher| {
        bencher.iter(|| {
            let loaded = rules::load(black_box(&sources), &[]);
            let workflow = loaded.workflow.unwrap_or_default();
            let merged = rules::merge(&loaded.layers, &merge_steps(&workflow)).unwrap();
            rules::check(Phase::Load, &merged).unwrap()
        });
    });
    group.finish();
}

/// Everything `check` does between reading the file and showing what is wrong with it, by the number of steps.
fn many_steps(criterion: &mut Criterion) {
    let core_alone = policies(&[]);
    let with_policy = policies(&["policies/dist/no-privileged.wasm"]);
    let mut group = criterion.benchmark_group("steps");
    group.sample_size(10);
    for steps in [100, 1_000, 10_000] {
        let source = Source { name: "dag.yaml".to_owned(), text: many(steps), role: Role::Workflow };
        let sources = Sources::from_texts(vec![source], Vec::new());
        group.throughput(Throughput::Elements(steps as u64));
        for (name, set) in [("core", &core_alone), ("core-and-policy", &with_policy)] {
            group.bench_with_input(BenchmarkId::new(name, steps), &sources, |bencher, sources| {
                bencher.iter(|| {
                    let planned = plan(sources, set).unwrap();
                    assert!(planned.report.problems.is_empty(), "{:?}", planned.report.problems.first());
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, one_file, many_steps);
criterion_main!(benches);
