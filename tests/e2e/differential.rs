//! Our verdict on many configs against the API server's on their Jobs: nothing is accepted that it refuses, and nothing
//! refused that it accepts, but for what the rules promise. Exceptions stand with their reasons in
//! `differential/exceptions.yaml`.
//!
//! `RUNNER_TEST_CONFIGS` is how many configs are made, `RUNNER_TEST_SEED` of which seed. On a real cluster the embedded
//! one is asked the same, and must say the same.

use std::collections::BTreeMap;

use model::names::RunId;
use model::problem::Severity;
use runner::admission::{Admission, preview};
use runner::interpolate::Scope;
use runner::manifest;
use runner::plan::plan;
use runner::policy_set::PolicySet;
use runner::sources::{Source, Sources};
use runner::wasm::Role;
use serde_json::{Value, json};
use tests::{ClusterKind, Namespace, Refused, Served, Workdir, binary};

use crate::suite::{Test, tests};

mod exceptions;
mod generate;
mod pools;
mod translate;

use exceptions::Exceptions;

pub(crate) const TESTS: &[Test] = tests![our_verdict_is_that_of_the_api_server];

/// Configs on the real cluster: as many as it takes to meet every field in several ways.
const ON_THE_REAL_ONE: usize = 2500;
/// The embedded one is asked in every run of the tests, in debug builds.
const ON_THE_EMBEDDED_ONE: usize = 300;
/// Any number: it only must stay the same, so that a run says the same as the one before.
const SEED: u64 = 20_26;

/// A problem or warning of ours.
#[derive(Debug, Clone, PartialEq)]
struct Ours {
    code: String,
    /// Inside the config, with `[]` for every index and `["x"]` as `.x`.
    path: String,
    message: String,
}

/// What is said about a config.
#[derive(Debug)]
struct Verdicts {
    errors: Vec<Ours>,
    warnings: Vec<Ours>,
    manifest: Value,
    theirs: Result<(), Refused>,
}

/// How the two verdicts differ; none: they do not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// The server refuses what we accept, for this.
    TooKind(String),
    /// We refuse what the server accepts, for this.
    TooStrict(String),
    /// The program's Job is not the translated one.
    Translation(String),
}

/// The rules, once for all configs.
struct Rules {
    set: PolicySet,
    run_id: RunId,
}

impl Rules {
    fn load() -> Rules {
        let cache = binary().unwrap().parent().unwrap().join("test-cache/runner");
        Rules { set: PolicySet::load_with_cache(&[], Some(&cache)).unwrap(), run_id: "r1".parse().unwrap() }
    }

    /// Errors and warnings of a config, and the manifest of the Job when there are no errors.
    fn judge(&self, config: &Value) -> (Vec<Ours>, Vec<Ours>, Option<Value>) {
        let file = json!({"steps": [{"id": "s", "type": "k8s", "command": ["true"], "config": config}]});
        let source = Source { name: "dag.yaml".to_owned(), text: file.to_string(), role: Role::Workflow };
        let planned = plan(&Sources::from_texts(vec![source], Vec::new()), &self.set).unwrap();
        let ours = |severity: Severity| {
            let of_it = planned.report.problems.iter().filter(|problem| problem.severity == severity);
            of_it
                .map(|problem| Ours {
                    code: problem.code.clone(),
                    path: plain(problem.path.strip_prefix("steps[0].config").unwrap_or(&problem.path)),
                    message: problem.message.clone(),
                })
                .collect::<Vec<_>>()
        };
        let (errors, warnings) = (ours(Severity::Error), ours(Severity::Warning));
        if !errors.is_empty() {
            return (errors, warnings, None);
        }
        let effective = planned.effective.unwrap();
        let scope = Scope::of_run(effective.workflow(), self.run_id.as_str(), BTreeMap::new());
        match preview(&self.set, &effective, &scope, &self.run_id).unwrap() {
            Admission::Admitted(previews, _) => {
                let manifest = serde_json::to_value(manifest::preview(&previews[0]).as_job()).unwrap();
                (errors, warnings, Some(manifest))
            }
            Admission::Refused(report) => panic!("valid as written, refused as previewed: {report:#?}"),
        }
    }
}

/// Indexes and quotes do not tell one kind of mistake from another.
fn plain(path: &str) -> String {
    let mut text = String::new();
    let mut rest = path;
    while let Some(at) = rest.find('[') {
        text.push_str(&rest[..at]);
        let inner = &rest[at + 1..];
        let end = match inner.strip_prefix('"') {
            Some(quoted) => quoted.find('"').map(|end| end + 2),
            None => inner.find(']'),
        };
        let end = end.unwrap_or(inner.len());
        text.push_str(if inner.starts_with(|c: char| c.is_ascii_digit()) { "[]" } else { ".*" });
        rest = inner.get(end + 1..).unwrap_or_default();
    }
    text.push_str(rest);
    text.trim_start_matches('.').to_owned()
}

/// What would be sent for a config that ours refuses: the Job of an ordinary step with its spec and metadata.
fn translated(config: &Value, ordinary: &Value) -> Value {
    let mut job = ordinary.clone();
    let template = job["spec"]["template"]["metadata"].clone();
    job["spec"] = translate::spec(config);
    job["spec"]["template"]["metadata"] = template;
    job["spec"]["template"]["spec"]["containers"][0]["command"] = json!(["true"]);
    for key in ["labels", "annotations"] {
        let more = translate::metadata(config, key);
        for at in ["/metadata", "/spec/template/metadata"] {
            let found = &mut job.pointer_mut(at).unwrap()[key];
            match (found.as_object_mut(), more.as_object()) {
                // The identity of the attempt wins, as nothing of the user's may stand there.
                (Some(found), Some(more)) => {
                    for (key, value) in more {
                        found.entry(key.clone()).or_insert_with(|| value.clone());
                    }
                }
                _ => *found = more.clone(),
            }
        }
    }
    job
}

/// The Job without what depends on its own bytes.
fn comparable(job: &Value) -> Value {
    let mut job = job.clone();
    if let Some(annotations) = job.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove("runner/digest");
        annotations.remove("runner/cleanup");
    }
    job
}

struct Comparison<'a> {
    rules: Rules,
    ordinary: Value,
    exceptions: Exceptions,
    namespace: &'a Namespace,
}

impl Comparison<'_> {
    fn ask(&self, config: &Value) -> Verdicts {
        let (errors, warnings, manifest) = self.rules.judge(config);
        let mut manifest = manifest.unwrap_or_else(|| translated(config, &self.ordinary));
        manifest["metadata"]["namespace"] = json!(self.namespace.name());
        let theirs = self.namespace.strict_dry_run("jobs", &manifest).map(drop);
        if let Err(Refused { code: 0, message, .. }) = &theirs {
            panic!("the cluster is away: {message}");
        }
        Verdicts { errors, warnings, manifest, theirs }
    }

    fn differences(&self, config: &Value, verdicts: &Verdicts) -> Vec<Difference> {
        let Verdicts { errors, warnings, manifest, theirs } = verdicts;
        let mut found = Vec::new();
        if errors.is_empty() {
            let mut translated = translated(config, &self.ordinary);
            translated["metadata"]["namespace"] = json!(self.namespace.name());
            if let Some(path) = first_difference(&comparable(manifest), &comparable(&translated), "") {
                found.push(Difference::Translation(path));
            }
        }
        match (theirs, errors.is_empty()) {
            (Ok(()), false) => {
                let broken = errors.iter().filter(|ours| !self.exceptions.promises(ours));
                found.extend(broken.map(|ours| Difference::TooStrict(format!("{} {}", ours.code, ours.path))));
            }
            (Err(refused), true) => {
                let causes = exceptions::causes(refused);
                let open = causes.iter().filter(|cause| !self.exceptions.excuses(cause, warnings));
                found.extend(open.map(|cause| Difference::TooKind(cause.clone())));
            }
            _ => {}
        }
        found
    }

    /// The smallest config that differs in the same way.
    fn smallest(&self, config: &Value, difference: &Difference) -> Value {
        let mut config = config.clone();
        'smaller: loop {
            for smaller in cut(&config) {
                if self.differences(&smaller, &self.ask(&smaller)).contains(difference) {
                    config = smaller;
                    continue 'smaller;
                }
            }
            return config;
        }
    }
}

/// The config without one of its parts, each in turn.
fn cut(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(entries) => entries
            .iter()
            .flat_map(|(key, inner)| {
                let mut without = entries.clone();
                without.remove(key);
                let within = cut(inner).into_iter().map(|smaller| {
                    let mut with = entries.clone();
                    with.insert(key.clone(), smaller);
                    Value::Object(with)
                });
                std::iter::once(Value::Object(without)).chain(within).collect::<Vec<_>>()
            })
            .collect(),
        Value::Array(items) => (0..items.len())
            .flat_map(|index| {
                let mut without = items.clone();
                without.remove(index);
                let within = cut(&items[index]).into_iter().map(|smaller| {
                    let mut with = items.clone();
                    with[index] = smaller;
                    Value::Array(with)
                });
                std::iter::once(Value::Array(without)).chain(within).collect::<Vec<_>>()
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Where two documents differ first.
fn first_difference(one: &Value, other: &Value, path: &str) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys = one.keys().chain(other.keys().filter(|key| !one.contains_key(*key)));
            keys.filter_map(|key| match (one.get(key), other.get(key)) {
                (Some(one), Some(other)) => first_difference(one, other, &format!("{path}.{key}")),
                (one, other) => Some(format!("{path}.{key}: {one:?} and {other:?}")),
            })
            .next()
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            one.iter().zip(other).filter_map(|(one, other)| first_difference(one, other, &format!("{path}[]"))).next()
        }
        _ => (one != other).then(|| format!("{path}: {one} and {other}")),
    }
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

fn our_verdict_is_that_of_the_api_server(namespace: &Namespace) {
    let rules = Rules::load();
    let ordinary = rules.judge(&json!({"image": "runner.test/shell:1"})).2.unwrap();
    let comparison = Comparison { rules, ordinary, exceptions: Exceptions::read(), namespace };
    let usual = match namespace.kind() {
        ClusterKind::Embedded => ON_THE_EMBEDDED_ONE,
        ClusterKind::Real => ON_THE_REAL_ONE,
    };
    let count = number_of("RUNNER_TEST_CONFIGS").map_or(usual, |count| count as usize);
    let seed = number_of("RUNNER_TEST_SEED").unwrap_or(SEED);
    let second = (namespace.kind() == ClusterKind::Real).then(SecondOpinion::start);

    let mut found: BTreeMap<Difference, Value> = BTreeMap::new();
    let mut disagreements: BTreeMap<String, Value> = BTreeMap::new();
    let mut accepted = 0;
    for number in 0..count {
        let config = generate::config(seed, number);
        let verdicts = comparison.ask(&config);
        for difference in comparison.differences(&config, &verdicts) {
            found.entry(difference).or_insert_with(|| config.clone());
        }
        accepted += usize::from(verdicts.theirs.is_ok());
        if let Some(second) = &second
            && let Some(disagreement) = second.disagrees(&verdicts)
            && !comparison.exceptions.imitates_not(&disagreement)
        {
            disagreements.entry(disagreement).or_insert(config);
        }
    }
    // A generator that makes only right or only wrong ones would prove nothing.
    assert!(accepted > count / 5 && accepted < count * 4 / 5, "{accepted} of {count} are accepted");
    let mut told: Vec<String> = found
        .iter()
        .map(|(difference, config)| {
            let smallest = comparison.smallest(config, difference);
            let verdicts = comparison.ask(&smallest);
            let theirs = verdicts.theirs.map_err(|refused| refused.to_string());
            format!("{difference:?}\n    config: {smallest}\n    ours: {:?}\n    theirs: {theirs:?}", verdicts.errors)
        })
        .collect();
    told.extend(disagreements.iter().map(|(disagreement, config)| format!("{disagreement}\n    config: {config}")));
    assert!(told.is_empty(), "{} differences in {count} configs of seed {seed}:\n{}", told.len(), told.join("\n"));
}

/// The embedded cluster, asked the same as a real one.
struct SecondOpinion {
    served: Served,
    _workdir: Workdir,
}

impl SecondOpinion {
    fn start() -> SecondOpinion {
        let workdir = Workdir::new().unwrap();
        SecondOpinion { served: Served::start(&workdir).unwrap(), _workdir: workdir }
    }

    /// How its verdict differs from the real one.
    fn disagrees(&self, verdicts: &Verdicts) -> Option<String> {
        let mut manifest = verdicts.manifest.clone();
        manifest["metadata"]["namespace"] = json!("default");
        let own = self.served.strict_dry_run(&manifest);
        match (&own, &verdicts.theirs) {
            (Ok(()), Err(refused)) => {
                Some(format!("the embedded cluster accepts: {}", exceptions::causes(refused).join("; ")))
            }
            (Err(refused), Ok(())) => {
                Some(format!("the embedded cluster refuses: {}", exceptions::causes(refused).join("; ")))
            }
            _ => None,
        }
    }
}
