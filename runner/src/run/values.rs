//! The values that the texts of each step may use: those of the run, and what the steps before it gave.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::template::{self, Part};
use model::workflow::{Step, Workflow};
use serde_json::Value;

use crate::interpolate::{Scope, StepValues};
use crate::outcome::RunStatus;
use crate::plan::Effective;

/// The values of a run, and what its steps have given so far.
#[derive(Debug)]
pub(super) struct Values {
    run: Scope,
    /// The steps that each one depends on itself.
    upstream: Vec<Vec<usize>>,
    ended: Mutex<BTreeMap<usize, Given>>,
}

/// What a step that has ended gives to others.
#[derive(Debug, Clone, Default)]
pub(super) struct Given {
    pub(super) values: StepValues,
    /// Its output holds a secret and an earlier process captured it: nobody has it any more.
    pub(super) output_is_gone: bool,
}

impl Values {
    pub(super) fn new(run: Scope, workflow: &Workflow) -> Values {
        let places: BTreeMap<&str, usize> = workflow.steps.iter().map(|step| step.name.as_str()).zip(0..).collect();
        let of = |step: &Step| step.depends.iter().filter_map(|name| places.get(name.as_str()).copied()).collect();
        Values { run, upstream: workflow.steps.iter().map(of).collect(), ended: Mutex::default() }
    }

    /// The values of the run alone.
    pub(super) fn of_run(&self) -> &Scope {
        &self.run
    }

    /// A step has ended.
    pub(super) fn put(&self, place: usize, given: Given) {
        self.ended().insert(place, given);
    }

    /// The values for a step: what it depends on has given its own. A handler sees all, and the status of the run.
    ///
    /// # Errors
    /// The name of an output that it uses and that is gone.
    pub(super) fn of(&self, effective: &Effective, place: usize, status: Option<RunStatus>) -> Result<Scope, String> {
        let workflow = effective.workflow();
        let mut scope = self.run.clone();
        if let Some(status) = status {
            scope.set_managed("DAG_RUN_STATUS", status.as_str());
        }
        let ended = self.ended();
        let sees: BTreeSet<usize> = match status {
            Some(_) => ended.keys().copied().collect(),
            None => self.all_upstream(place),
        };
        for place in &sees {
            if let (Some(step), Some(given)) = (step_at(workflow, *place), ended.get(place)) {
                scope.add_step(step, given.values.clone());
            }
        }
        let gone = sees.iter().filter(|place| ended.get(place).is_some_and(|given| given.output_is_gone));
        let step = step_at(workflow, place);
        for from in gone.filter_map(|place| step_at(workflow, *place)) {
            if let Some(step) = step.filter(|step| uses_output(effective, step, from)) {
                let name = from.output.as_deref().unwrap_or_default();
                return Err(format!(
                    "the output of step `{}`, `{name}`, holds a secret, so it was not recorded; step `{}` needs it",
                    from.name, step.name
                ));
            }
        }
        Ok(scope)
    }

    fn all_upstream(&self, place: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open: Vec<usize> = self.upstream.get(place).cloned().unwrap_or_default();
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(self.upstream.get(next).into_iter().flatten());
            }
        }
        found
    }

    fn ended(&self) -> MutexGuard<'_, BTreeMap<usize, Given>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The step at a place: steps in file order, then handlers.
pub(super) fn step_at(workflow: &Workflow, place: usize) -> Option<&Step> {
    match place.checked_sub(workflow.steps.len()) {
        None => workflow.steps.get(place),
        Some(handler) => workflow.handlers.get(handler),
    }
}

/// Whether a text of a step names the output of another one.
fn uses_output(effective: &Effective, step: &Step, from: &Step) -> bool {
    let names_it = |text: &str| {
        template::parse(text).iter().any(|part| match part {
            Part::Variable(variable) => {
                let by_id = from.id.as_deref() == Some(variable.name) && variable.path == Some("output");
                by_id || from.output.as_deref() == Some(variable.name)
            }
            Part::Text(_) | Part::Dollar => false,
        })
    };
    let layers = step.ranks.iter().filter_map(|rank| effective.layers().get(*rank as usize));
    let layers: Vec<&Value> = layers.map(|layer| &layer.value).collect();
    // All keys of the types of the model are text.
    let own = serde_json::to_value(step).unwrap_or_default();
    layers.into_iter().chain([&own]).any(|value| any_text(value, &names_it))
}

fn any_text(value: &Value, is_wanted: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => text.contains('$') && is_wanted(text),
        Value::Array(items) => items.iter().any(|item| any_text(item, is_wanted)),
        Value::Object(entries) => entries.values().any(|value| any_text(value, is_wanted)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
