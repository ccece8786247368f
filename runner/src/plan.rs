//! Reading a workflow file under the rules in force: what is wrong with it, and what it would run.

use std::collections::HashSet;
use std::sync::Arc;

use model::layer::{Layer, Merged};
use model::problem::{CoreProblem, Severity};
use model::report::{Report, Verdict};
use model::review::Phase;
use model::workflow::{Step, StepKind, Workflow};

use crate::admission::{AdmissionError, Evaluation, evaluate, report_on};
use crate::policy_set::PolicySet;
use crate::sources::{Source, Sources};
use crate::wasm::{self, Role};

/// A file that is well formed: ids are unique, there is no circle, and the layers of every step are known.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    sources: Vec<Source>,
    workflow: Workflow,
    layers: Vec<Layer>,
}

/// A file in which all layers are merged and valid, and every value has an origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    loaded: Loaded,
    merged: Arc<[Merged]>,
}

impl Effective {
    /// The workflow.
    pub fn workflow(&self) -> &Workflow {
        &self.loaded.workflow
    }

    /// The same with these steps alone: neither the others nor handlers. What they depend on besides counts as done.
    #[must_use]
    pub fn only(mut self, names: &[String]) -> Effective {
        let is_wanted = |name: &str| names.iter().any(|wanted| wanted == name);
        let workflow = &mut self.loaded.workflow;
        workflow.handlers.clear();
        workflow.steps.retain(|step| is_wanted(&step.name));
        for step in &mut workflow.steps {
            step.depends.retain(|name| is_wanted(name));
        }
        self.merged = self.merged.iter().filter(|merged| is_wanted(&merged.step)).cloned().collect();
        self
    }

    /// The layers of the file; a step's `ranks` point here.
    pub fn layers(&self) -> &[Layer] {
        &self.loaded.layers
    }

    /// The texts it was read from.
    pub fn sources(&self) -> &[Source] {
        &self.loaded.sources
    }

    /// The effective config of each Kubernetes step and handler, in file order, with its origins.
    pub fn merged(&self) -> &[Merged] {
        &self.merged
    }
}

/// What came of reading a file.
#[derive(Debug)]
pub struct Planned {
    /// Every problem, of core and policies.
    pub report: Report,
    /// The steps as far as they can be read, also of a file with problems.
    pub steps: Vec<Step>,
    /// The configs as far as they can be merged, also of a file with problems.
    pub merged: Arc<[Merged]>,
    /// The file, when the rules of the file have nothing against it. A policy may still deny: see the report's verdict.
    pub effective: Option<Effective>,
}

/// Reads a file and asks every rule about it, as written.
///
/// # Errors
/// When the core policy gives no usable answer.
pub fn plan(sources: &Sources, set: &PolicySet) -> Result<Planned, AdmissionError> {
    read(sources, set, |_| Vec::new())
}

/// The same for a file whose Jobs are wanted: then every parameter that is required must have a value.
///
/// # Errors
/// As for [`plan`].
pub fn plan_jobs(sources: &Sources, set: &PolicySet) -> Result<Planned, AdmissionError> {
    read(sources, set, Workflow::missing_parameters)
}

/// `more` tells what else is wrong with the workflow.
fn read(
    sources: &Sources,
    set: &PolicySet,
    more: impl Fn(&Workflow) -> Vec<CoreProblem>,
) -> Result<Planned, AdmissionError> {
    let texts: Vec<wasm::Source<'_>> = sources
        .texts()
        .iter()
        .enumerate()
        // base.yaml that cannot be read counts as empty, a workflow file that cannot be read is left out: it has its
        // problem already. It is the last one, so that no index moves.
        .filter(|(index, source)| source.role == Role::Base || sources.is_readable(*index))
        .map(|(index, source)| {
            let text = if sources.is_readable(index) { source.text.as_str() } else { "" };
            wasm::Source { name: &source.name, text, role: source.role }
        })
        .collect();
    let mut core = set.core().open();
    let mut loaded = core.load_sources(&texts, sources.arguments())?;
    let mut problems = sources.problems().to_vec();
    problems.append(&mut loaded.problems);
    let mut workflow = loaded.workflow.unwrap_or_default();
    if let Some(layer) = sources.command_line() {
        let rank = loaded.layers.len() as u32;
        loaded.layers.push(layer);
        for step in workflow.steps.iter_mut().chain(&mut workflow.handlers) {
            if step.kind == StepKind::Kubernetes {
                step.ranks.push(rank);
            }
        }
    }
    problems.extend(more(&workflow));
    if problems.iter().all(|problem| problem.severity != Severity::Error) {
        names_are_unique(&workflow, set)?;
    }
    let steps: Vec<&Step> = workflow.all_steps().collect();
    let evaluation = if steps.is_empty() {
        Evaluation { merged: Vec::new(), problems: Vec::new(), policies: Vec::new() }
    } else {
        evaluate(set, core, Phase::Load, &workflow, None, &loaded.layers, &steps)?
    };
    problems.extend(evaluation.problems.iter().cloned());
    let report = report_on(Phase::Load, sources.texts(), &workflow, &evaluation, problems);
    let steps = workflow.all_steps().cloned().collect();
    let merged: Arc<[Merged]> = evaluation.merged.into();
    let effective = (report.verdict != Verdict::Invalid).then(|| Effective {
        loaded: Loaded { sources: sources.texts().to_vec(), workflow, layers: loaded.layers },
        merged: merged.clone(),
    });
    Ok(Planned { report, steps, merged, effective })
}

/// Everything from here on knows a step by its name. The rules see to it that names are unique; a core policy that was
/// replaced may not, and then one step would be reviewed in another's place.
fn names_are_unique(workflow: &Workflow, set: &PolicySet) -> Result<(), AdmissionError> {
    let mut names = HashSet::new();
    match workflow.all_steps().find(|step| !names.insert(step.name.as_str())) {
        None => Ok(()),
        Some(step) => {
            Err(AdmissionError::SameName { core: set.core().component().file().to_owned(), step: step.name.clone() })
        }
    }
}
