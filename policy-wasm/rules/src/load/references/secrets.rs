//! Secrets whose value goes into a Job as plain text.

use std::collections::{BTreeMap, HashSet};

use model::layer::Layer;
use model::problem::{CoreProblem, code};
use model::template::{Operation, Variable};
use model::workflow::{Step, StepKind, Workflow};

use super::{MOST_SHARED, Shared, variables};
use crate::load::texts::{Owner, Reader, Text};
use crate::yaml::{cut, push};

/// Warns of every text that brings the value of a secret into a Job.
pub(super) fn check(
    workflow: &Workflow,
    layers: &[Layer],
    texts: &[Text],
    shared: &[Shared],
    problems: &mut Vec<CoreProblem>,
) {
    let secrets: HashSet<&str> = workflow.secrets.iter().map(|secret| secret.name.as_str()).collect();
    if secrets.is_empty() {
        return;
    }
    let say = |text: &Text, step: Option<&Step>, names: &Names<'_>, problems: &mut Vec<CoreProblem>| {
        let mut told = HashSet::new();
        for variable in variables(&text.text) {
            let Some(secret) = names.secret_in(&variable).filter(|secret| told.insert(*secret)) else { continue };
            let mut problem = CoreProblem::warning(
                code::SECRET_IN_JOB,
                format!("the value of the secret `{}` becomes readable in the Job", cut(secret)),
            )
            .help("let Kubernetes put it in: `env: [{name: …, value_from: {secret_key_ref: {name: …, key: …}}}]`")
            .at(text.path.clone(), Some(text.position));
            problem.step = step.map(|step| step.name.clone());
            push(problems, problem);
        }
    };
    // Texts of one step come one after the other.
    let mut last: Option<(&Owner, Option<&Step>, Names<'_>)> = None;
    for text in texts.iter().filter(|text| text.reader == Reader::Job) {
        if last.as_ref().is_none_or(|(owner, ..)| **owner != text.owner) {
            let step = match &text.owner {
                Owner::Step(index) => workflow.steps.get(*index),
                Owner::Handler(name) => workflow.handlers.iter().find(|handler| handler.name == *name),
                Owner::Root | Owner::AllSteps => None,
            };
            last = Some((&text.owner, step, Names::of(step, &secrets)));
        }
        if let Some((_, step, names)) = &last {
            say(text, *step, names, problems);
        }
    }
    let heirs: Vec<&Step> = workflow.all_steps().filter(|step| step.kind == StepKind::Kubernetes).collect();
    // What a step's own `env` takes from a secret is one in the block, too.
    let mut names = Names::of(None, &secrets);
    for step in &heirs {
        let own = Names::of(Some(*step), &secrets).own;
        names.own.extend(own.into_iter().filter(|(_, secret)| secret.is_some()));
    }
    let in_job = shared.iter().filter(|shared| shared.text.reader == Reader::Job);
    for (number, shared) in in_job.enumerate() {
        let is_inherited = |step: &&Step| number >= MOST_SHARED || shared.is_of(step, layers);
        if heirs.iter().any(is_inherited) {
            say(&shared.text, None, &names, problems);
        }
    }
}

/// Which names of a step hold the value of a secret.
struct Names<'a> {
    secrets: &'a HashSet<&'a str>,
    /// Names of the step's own `env`, with the secret that went into each.
    own: BTreeMap<&'a str, Option<&'a str>>,
}

impl<'a> Names<'a> {
    fn of(step: Option<&'a Step>, secrets: &'a HashSet<&'a str>) -> Names<'a> {
        let mut names = Names { secrets, own: BTreeMap::new() };
        for variable in step.map(|step| step.env.as_slice()).unwrap_or_default() {
            let secret = if variable.value.contains('$') {
                variables(&variable.value).find_map(|inner| names.secret_in(&inner))
            } else {
                None
            };
            names.own.insert(&variable.name, secret);
        }
        names
    }

    /// The secret whose value a variable brings in.
    fn secret_in(&self, variable: &Variable<'_>) -> Option<&'a str> {
        if matches!(variable.operation, Some(Operation::Alternative(_))) {
            return None;
        }
        let first_of = |path: &str| path.split('.').next().and_then(|name| self.own.get(name).copied()).flatten();
        match (variable.name, variable.path) {
            ("env", Some(path)) => first_of(path),
            ("params" | "consts", Some(_)) => None,
            (name, _) => match self.own.get(name) {
                Some(secret) => *secret,
                None => self.secrets.get(name).copied(),
            },
        }
    }
}
