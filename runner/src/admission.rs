//! Asking the rules about configs: merge, shape, merge all, check, review. Nothing becomes a Job without it.
//!
//! Both phases go through `evaluate`: `check` for all steps of a file as written, [`admit`] for one step with its final
//! values. An [`Admitted`] is the proof that every policy in mode enforce was asked about exactly these values and none
//! denied. It can only be made here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use model::config::EffectiveConfig;
use model::document::{Document as _, Reading};
use model::layer::{Layer, MergeStep, Merged, Origin};
use model::names::RunId;
use model::problem::CoreProblem;
use model::report::{Answers, Mode, PolicyAnswers, Report, SourceText, StepAnswer, StepPlace, Verdict, report};
use model::review::{Phase, ReviewStep, ReviewWorkflow};
use model::workflow::{Command, Step, StepKind, Workflow};
use rayon::prelude::*;
use serde_json::{Map, Value};

use crate::interpolate::Scope;
use crate::manifest::Identity;
use crate::plan::Effective;
use crate::policy_set::{Enforced, PolicySet};
use crate::sources::{Source, layer_of_values};
use crate::wasm::{CoreError, Layers, OpenCore, Request};

/// The rules could not be asked, or their answer cannot be used. Nothing may run.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// The core policy gave no valid answer.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// A command step never becomes a Job.
    #[error("step `{step}` runs on this machine, not on Kubernetes")]
    NotKubernetes {
        /// The step.
        step: String,
    },
    /// A step that runs nothing on this machine.
    #[error("step `{step}` has no command for this machine")]
    NotCommand {
        /// The step.
        step: String,
    },
    /// Two steps have the same name, so nobody could say which of them was reviewed.
    #[error("core policy `{core}` lets two steps be called `{step}`")]
    SameName {
        /// The component.
        core: String,
        /// Their name.
        step: String,
    },
    /// The core policy made a config that this program does not understand: leaving out what it does not know would run
    /// something else than what was reviewed.
    #[error("core policy `{core}` makes a config that this version does not understand: {reason}, in step `{step}`")]
    Config {
        /// The component.
        core: String,
        /// The step.
        step: String,
        /// What is not understood.
        reason: String,
    },
}

impl AdmissionError {
    /// What to do about it.
    pub fn help(&self) -> Option<&str> {
        match self {
            AdmissionError::Core(error) => error.help(),
            AdmissionError::NotKubernetes { .. }
            | AdmissionError::NotCommand { .. }
            | AdmissionError::SameName { .. }
            | AdmissionError::Config { .. } => None,
        }
    }
}

/// A Kubernetes step whose final values every policy has admitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    reviewed: Reviewed,
}

/// A Kubernetes step as it would be, as far as its values are known without running. No Job to submit is made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    reviewed: Reviewed,
}

/// What the rules have seen and let pass.
#[derive(Debug, Clone, PartialEq)]
struct Reviewed {
    run_id: RunId,
    workflow: String,
    step: String,
    config: EffectiveConfig,
    argv: Option<Vec<String>>,
    kubeconfig: Option<PathBuf>,
}

impl Admitted {
    /// Name of the step.
    pub fn step(&self) -> &str {
        &self.reviewed.step
    }

    /// What one attempt of it is called: the names that the policies were shown.
    pub fn identity(&self, attempt: u32) -> Identity {
        self.reviewed.identity(attempt)
    }

    /// The effective config, every value final.
    pub fn config(&self) -> &EffectiveConfig {
        &self.reviewed.config
    }

    /// Program and arguments; none: the image's own entry point.
    pub fn argv(&self) -> Option<&[String]> {
        self.reviewed.argv.as_deref()
    }

    /// The kubeconfig that the config names, found from the file that names it; none: it names none.
    pub fn kubeconfig(&self) -> Option<&Path> {
        self.reviewed.kubeconfig.as_deref()
    }
}

impl Reviewed {
    fn identity(&self, attempt: u32) -> Identity {
        Identity { run_id: self.run_id.clone(), workflow: self.workflow.clone(), step: self.step.clone(), attempt }
    }
}

impl Preview {
    /// Name of the step.
    pub fn step(&self) -> &str {
        &self.reviewed.step
    }

    /// What its first attempt would be called.
    pub fn identity(&self) -> Identity {
        self.reviewed.identity(1)
    }

    /// The kubeconfig that the config names, found from the file that names it; none: it names none.
    pub fn kubeconfig(&self) -> Option<&Path> {
        self.reviewed.kubeconfig.as_deref()
    }

    /// The effective config; a value that is known only while running is as written.
    pub fn config(&self) -> &EffectiveConfig {
        &self.reviewed.config
    }

    /// Program and arguments; none: the image's own entry point.
    pub fn argv(&self) -> Option<&[String]> {
        self.reviewed.argv.as_deref()
    }
}

/// What came of asking about final values.
#[derive(Debug)]
#[must_use]
pub enum Admission<T> {
    /// No error. The report may hold warnings.
    Admitted(T, Report),
    /// The rules of the file or a policy said no.
    Refused(Report),
}

/// Everything the rules answered about some steps.
#[derive(Debug)]
pub(crate) struct Evaluation {
    pub(crate) merged: Vec<Merged>,
    pub(crate) problems: Vec<CoreProblem>,
    pub(crate) policies: Vec<PolicyAnswers>,
}

/// Asks every rule about `steps`. Reviews run wherever a merged config exists; nothing stops at the first problem.
///
/// The layers of a policy lie under (defaults) and above (overrides) those of the file, in the order of the policies.
/// `core` is the core policy of the set, perhaps as it has read the file.
pub(crate) fn evaluate(
    set: &PolicySet,
    core: OpenCore<'_>,
    phase: Phase,
    workflow: &Workflow,
    run_id: Option<&str>,
    layers: &[Layer],
    steps: &[&Step],
) -> Result<Evaluation, AdmissionError> {
    let document = json(&ReviewWorkflow::new(workflow, run_id));
    let kubernetes: Vec<&Step> = steps.iter().copied().filter(|step| step.kind == StepKind::Kubernetes).collect();
    let of_file: Vec<MergeStep> =
        kubernetes.iter().map(|step| MergeStep { step: step.name.clone(), ranks: step.ranks.clone() }).collect();
    let mut failures: BTreeMap<(usize, String), model::review::Failure> = BTreeMap::new();
    let (merged, checked) = if set.policies().iter().any(|enforced| enforced.policy.description().shapes) {
        // Other components are asked now: nothing of the core policy is held meanwhile.
        drop(core);
        let merged = set.core().merge(layers, &of_file)?;
        let below = vec![0; of_file.len()];
        let mut shaping = Shaping { layers: layers.to_vec(), steps: of_file, below };
        for (index, enforced) in set.policies().iter().enumerate() {
            if !enforced.policy.description().shapes {
                continue;
            }
            let answers: Vec<_> = kubernetes
                .par_iter()
                .zip(&merged)
                .map(|(step, merged)| {
                    let config = merged.config.to_string();
                    let step = json(&ReviewStep::from(*step));
                    let open = merged.open();
                    enforced.policy.shape(&request(enforced, phase, &document, &step, &config, &open))
                })
                .collect();
            for ((answer, step), shaped) in answers.into_iter().zip(&kubernetes).zip(0..) {
                match answer {
                    Ok(layers) => shaping.add(enforced.policy.name(), shaped, layers),
                    Err(failure) => {
                        failures.insert((index, step.name.clone()), failure);
                    }
                }
            }
        }
        set.core().merge_and_check(phase, &shaping.layers, &shaping.steps)?
    } else {
        core.merge_and_check(phase, layers, &of_file)?
    };

    let mut problems: Vec<CoreProblem> = merged.iter().flat_map(|merged| merged.problems.iter().cloned()).collect();
    problems.extend(checked);
    let strange = |merged: &Merged| understood(merged).err().map(|reason| not_understood(set, merged, reason));
    if let Some(error) = merged.par_iter().find_map_first(strange) {
        return Err(error);
    }
    let policies = review_all(set, phase, &document, steps, &merged, &failures);
    Ok(Evaluation { merged, problems, policies })
}

/// The layers of a merge while policies add theirs.
struct Shaping {
    layers: Vec<Layer>,
    steps: Vec<MergeStep>,
    /// For each step, how many defaults lie under its file.
    below: Vec<usize>,
}

impl Shaping {
    /// Defaults lie under everything the file says, over the defaults of earlier policies; overrides lie on top.
    fn add(&mut self, policy: &str, step: usize, shaped: Layers) {
        let origin = Origin::Policy(policy.to_owned());
        let below = self.push(&origin, shaped.defaults);
        let above = self.push(&origin, shaped.overrides);
        let (Some(step), Some(defaults)) = (self.steps.get_mut(step), self.below.get_mut(step)) else { return };
        if let Some(rank) = below {
            step.ranks.insert(*defaults, rank);
            *defaults += 1;
        }
        step.ranks.extend(above);
    }

    fn push(&mut self, origin: &Origin, value: Map<String, Value>) -> Option<u32> {
        if value.is_empty() {
            return None;
        }
        self.layers.push(layer_of_values(origin.clone(), value));
        u32::try_from(self.layers.len() - 1).ok()
    }
}

fn request<'a>(
    enforced: &'a Enforced,
    phase: Phase,
    workflow: &'a str,
    step: &'a str,
    config: &'a str,
    open: &'a [String],
) -> Request<'a> {
    Request { phase, workflow, step, config, settings: &enforced.settings, open }
}

/// Every policy reviews every step, command steps too. Parallel; the order of the answers does not depend on it.
fn review_all(
    set: &PolicySet,
    phase: Phase,
    workflow: &str,
    steps: &[&Step],
    merged: &[Merged],
    failures: &BTreeMap<(usize, String), model::review::Failure>,
) -> Vec<PolicyAnswers> {
    let by_step: BTreeMap<&str, &Merged> = merged.iter().map(|merged| (merged.step.as_str(), merged)).collect();
    set.policies()
        .iter()
        .enumerate()
        .map(|(index, enforced)| {
            let name = enforced.policy.name();
            let review = |step: &&Step| {
                let merged = by_step.get(step.name.as_str());
                let answer = match failures.get(&(index, step.name.clone())) {
                    // Without its layers nobody knows what it would have said.
                    Some(failure) => Err(failure.clone()),
                    None => {
                        let config = merged.map_or_else(|| "{}".to_owned(), |merged| merged.config.to_string());
                        let open = merged.map(|merged| merged.open()).unwrap_or_default();
                        let step = json(&ReviewStep::from(*step));
                        enforced.policy.review(&request(enforced, phase, workflow, &step, &config, &open))
                    }
                };
                let problems = answer.unwrap_or_else(|failure| vec![failure.problem(name)]);
                StepAnswer { step: step.name.clone(), problems }
            };
            PolicyAnswers {
                policy: name.to_owned(),
                mode: enforced.mode,
                steps: steps.par_iter().map(review).collect(),
            }
        })
        .collect()
}

/// A config in which this program knows every key.
fn understood(merged: &Merged) -> Result<EffectiveConfig, String> {
    let mut reading = Reading::default();
    let config = EffectiveConfig::read(merged.config.clone(), &mut reading)?;
    match reading.unknown() {
        [] => Ok(config),
        keys => Err(format!("unknown keys `{}`", keys.join("`, `"))),
    }
}

fn not_understood(set: &PolicySet, merged: &Merged, reason: String) -> AdmissionError {
    AdmissionError::Config { core: set.core().component().file().to_owned(), step: merged.step.clone(), reason }
}

/// The report on an evaluation; `core` are the problems of the core policy, also those that came before it.
pub(crate) fn report_on(
    phase: Phase,
    sources: &[Source],
    workflow: &Workflow,
    evaluation: &Evaluation,
    core: Vec<CoreProblem>,
) -> Report {
    let objected: HashSet<&str> = evaluation
        .policies
        .iter()
        .flat_map(|policy| &policy.steps)
        .filter(|answer| !answer.problems.is_empty())
        .map(|answer| answer.step.as_str())
        .collect();
    if core.is_empty() && objected.is_empty() {
        // What a report is made of grows with the file, and one is made for every step.
        return Report { verdict: Verdict::Valid, problems: Vec::new() };
    }
    let merged: BTreeMap<&str, &Merged> =
        evaluation.merged.iter().map(|merged| (merged.step.as_str(), merged)).collect();
    let steps = workflow
        .all_steps()
        .map(|step| {
            // Problems of the core policy have their places already; those of policies are found by the origins.
            let merged = merged.get(step.name.as_str()).filter(|merged| objected.contains(merged.step.as_str()));
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
    report(&Answers {
        phase,
        sources: sources
            .iter()
            .map(|source| SourceText { name: source.name.clone(), text: source.text.clone() })
            .collect(),
        workflow: workflow.name.clone(),
        today: None,
        steps,
        core,
        policies: evaluation.policies.clone(),
        waivers: Vec::new(),
    })
}

/// The report on what an API server says of the Jobs of a file: for each step what it objects to, as a policy would.
pub fn report_of_server(effective: &Effective, answers: Vec<StepAnswer>) -> Report {
    let evaluation = Evaluation {
        merged: effective.merged().to_vec(),
        problems: Vec::new(),
        policies: vec![PolicyAnswers { policy: SERVER.to_owned(), mode: Mode::Enforce, steps: answers }],
    };
    report_on(Phase::Submit, effective.sources(), effective.workflow(), &evaluation, Vec::new())
}

/// What an API server is called among those who object.
const SERVER: &str = "cluster";

/// Asks once more about one Kubernetes step, with all its variables put in: the last gate before its Job.
///
/// # Errors
/// When the core policy gives no usable answer. What the rules object to is [`Admission::Refused`].
pub fn admit(
    set: &PolicySet,
    effective: &Effective,
    step: &Step,
    scope: &Scope,
    run_id: &RunId,
) -> Result<Admission<Admitted>, AdmissionError> {
    if step.kind != StepKind::Kubernetes {
        return Err(AdmissionError::NotKubernetes { step: step.name.clone() });
    }
    let scope = scope.of_step(step);
    let mut asked = step.clone();
    asked.command = step.command.as_ref().map(|command| scope.command(command));
    // Its own layers only: a file with a thousand steps has thousands of others.
    let own = step.ranks.iter().filter_map(|rank| effective.layers().get(*rank as usize));
    let layers: Vec<Layer> = own.map(|layer| scope.layer(layer)).collect();
    asked.ranks = (0..).take(layers.len()).collect();
    let (reviewed, report) = gate(set, Phase::Submit, effective, run_id, &layers, &[&asked])?;
    Ok(match reviewed.and_then(|reviewed| reviewed.into_iter().next()) {
        Some(reviewed) => Admission::Admitted(Admitted { reviewed }, report),
        None => Admission::Refused(report),
    })
}

/// A command step whose final words every policy has admitted.
#[derive(Debug, Clone, PartialEq)]
pub struct AdmittedCommand {
    step: String,
    command: Command,
}

impl AdmittedCommand {
    /// Name of the step.
    pub fn step(&self) -> &str {
        &self.step
    }

    /// What runs: a list word by word; a text or a script as the file has it but for the variables that no shell knows.
    pub fn command(&self) -> &Command {
        &self.command
    }
}

/// Asks once more about one command step, just before its process starts. Policies see the words of a list with all
/// variables put in, and a text as the file has it: its shell expands it.
///
/// # Errors
/// When the core policy gives no usable answer, or the step has nothing to run.
pub fn admit_command(
    set: &PolicySet,
    effective: &Effective,
    step: &Step,
    scope: &Scope,
    run_id: &RunId,
) -> Result<Admission<AdmittedCommand>, AdmissionError> {
    let Some(command) = step.command.as_ref().filter(|_| step.kind == StepKind::Command) else {
        return Err(AdmissionError::NotCommand { step: step.name.clone() });
    };
    let scope = scope.of_step_on_host(step);
    let mut asked = step.clone();
    asked.command = Some(scope.command(command));
    let (reviewed, report) = gate(set, Phase::Submit, effective, run_id, &[], &[&asked])?;
    Ok(match reviewed {
        Some(_) => {
            let command = scope.host_command(command);
            Admission::Admitted(AdmittedCommand { step: step.name.clone(), command }, report)
        }
        None => Admission::Refused(report),
    })
}

/// What all Kubernetes steps and handlers would be, as far as their values are known without running.
///
/// # Errors
/// When the core policy gives no usable answer. What the rules object to is [`Admission::Refused`].
pub fn preview(
    set: &PolicySet,
    effective: &Effective,
    scope: &Scope,
    run_id: &RunId,
) -> Result<Admission<Vec<Preview>>, AdmissionError> {
    let workflow = effective.workflow();
    let mut steps = Vec::new();
    let mut layers: Vec<Layer> = effective.layers().to_vec();
    // Steps that see the same values share a layer, else a thousand steps would copy what they inherit a thousand times.
    let mut known: HashMap<(u32, String), u32> = HashMap::new();
    for step in workflow.all_steps() {
        let scope = scope.of_step(step);
        let mut asked = step.clone();
        asked.command = step.command.as_ref().map(|command| scope.command(command));
        for rank in &mut asked.ranks {
            let Some(layer) = effective.layers().get(*rank as usize) else { continue };
            let Some(resolved) = scope.known(layer) else { continue };
            *rank = *known.entry((*rank, resolved.value.to_string())).or_insert_with(|| {
                layers.push(resolved);
                layers.len() as u32 - 1
            });
        }
        steps.push(asked);
    }
    let steps: Vec<&Step> = steps.iter().collect();
    let (reviewed, report) = gate(set, Phase::Load, effective, run_id, &layers, &steps)?;
    Ok(match reviewed {
        Some(reviewed) => {
            Admission::Admitted(reviewed.into_iter().map(|reviewed| Preview { reviewed }).collect(), report)
        }
        None => Admission::Refused(report),
    })
}

/// Evaluates and reports; the reviewed steps only when nothing is wrong.
fn gate(
    set: &PolicySet,
    phase: Phase,
    effective: &Effective,
    run_id: &RunId,
    layers: &[Layer],
    steps: &[&Step],
) -> Result<(Option<Vec<Reviewed>>, Report), AdmissionError> {
    let shown_id = (phase == Phase::Submit).then(|| run_id.as_str());
    let evaluation = evaluate(set, set.core().open(), phase, effective.workflow(), shown_id, layers, steps)?;
    let report = report_on(phase, effective.sources(), effective.workflow(), &evaluation, evaluation.problems.clone());
    if report.verdict != Verdict::Valid {
        return Ok((None, report));
    }
    let kubernetes = steps.iter().filter(|step| step.kind == StepKind::Kubernetes);
    let reviewed = kubernetes
        .zip(&evaluation.merged)
        .map(|(step, merged)| {
            let config = understood(merged).map_err(|reason| not_understood(set, merged, reason))?;
            let argv = match &step.command {
                Some(Command::Argv(words)) => Some(words.clone()),
                _ => None,
            };
            let (run_id, workflow) = (run_id.clone(), effective.workflow().name.clone());
            let kubeconfig = kubeconfig(config.kubeconfig.as_deref(), merged, effective.sources());
            Ok(Reviewed { run_id, workflow, step: step.name.clone(), config, argv, kubeconfig })
        })
        .collect::<Result<Vec<_>, AdmissionError>>()?;
    Ok((Some(reviewed), report))
}

/// The file that a value of `kubeconfig` means: `~/` is the home folder, a relative path begins at the folder of the file
/// that holds the value.
pub(crate) fn kubeconfig(value: Option<&str>, merged: &Merged, sources: &[Source]) -> Option<PathBuf> {
    let source = merged.origins.get("kubeconfig").and_then(|origin| origin.position).map(|at| at.source as usize);
    Some(kubeconfig_at(value?, source, sources))
}

/// The same for a value that stands in this source; none: in no file.
pub(crate) fn kubeconfig_at(value: &str, source: Option<usize>, sources: &[Source]) -> PathBuf {
    if let Some(below_home) = value.strip_prefix("~/")
        && let Ok(home) = etcetera::home_dir()
    {
        return home.join(below_home);
    }
    let folder = source.and_then(|index| sources.get(index)).and_then(|source| Path::new(&source.name).parent());
    let path = folder.map_or_else(|| PathBuf::from(value), |folder| folder.join(value));
    std::path::absolute(&path).unwrap_or(path)
}

/// A document for a policy. The types of the model have text keys only, so writing cannot fail.
fn json<T: serde::Serialize>(document: &T) -> String {
    serde_json::to_string(document).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(default: bool, over: bool) -> Layers {
        let value = |set: bool| if set { Map::from_iter([("image".to_owned(), Value::from("x"))]) } else { Map::new() };
        Layers { defaults: value(default), overrides: value(over) }
    }

    #[track_caller]
    fn stacked(file: Vec<u32>, expected: &[u32]) {
        let of_file = |_| Layer {
            origin: Origin::Dag,
            value: Value::Null,
            positions: BTreeMap::new(),
            left_out: Vec::new(),
            variables: Vec::new(),
        };
        let mut shaping = Shaping {
            layers: file.iter().map(of_file).collect(),
            steps: vec![MergeStep { step: "a".to_owned(), ranks: file }],
            below: vec![0],
        };
        shaping.add("first", 0, layers(true, true));
        shaping.add("second", 0, layers(true, false));
        shaping.add("third", 0, layers(false, true));
        assert_eq!(shaping.steps.first().map(|step| step.ranks.as_slice()), Some(expected));
    }

    #[test]
    fn overrides_lie_above_every_default_also_of_a_step_without_layers() {
        // first: default 0, override 1; second: default 2; third: override 3.
        stacked(Vec::new(), &[0, 2, 1, 3]);
        // The same after two layers of the file.
        stacked(vec![0, 1], &[2, 4, 0, 1, 3, 5]);
    }
}
