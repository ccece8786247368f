//! `defaults`: what steps and handlers get that do not say it themselves.

use model::layer::Position;
use model::problem::{CoreProblem, code};
use model::workflow::{Condition, ContinueOn, RepeatPolicy, RetryPolicy, Step, StepKind, Variable, Workflow};

use super::attempts::Attempts;
use super::{conditions, variables};
use crate::yaml::{Content, Entry, integer, push};

/// Largest sum of what all steps get, in bytes: each has a copy of its own.
const LARGEST: usize = 64 << 20;

/// The defaults of all files, key by key, the workflow's over base.yaml's.
#[derive(Default)]
pub(super) struct Defaults {
    continue_on: Option<ContinueOn>,
    retry_policy: Option<RetryPolicy>,
    repeat_policy: Option<RepeatPolicy>,
    timeout_sec: Option<u64>,
    signal_on_stop: Option<String>,
    env: Vec<Variable>,
    preconditions: Vec<Condition>,
    /// Where the last of them stand.
    place: Option<Position>,
}

impl Defaults {
    /// Reads one key of `defaults` that is known and has the right type.
    pub(super) fn read(&mut self, entry: &Entry, at: &str, source: u32, problems: &mut Vec<CoreProblem>) {
        let node = &entry.value;
        let mut attempts = Attempts { at, source, problems };
        match entry.key.as_str() {
            "continue_on" => self.continue_on = Some(attempts.continue_on(node)),
            "retry_policy" => self.retry_policy = attempts.retry_policy(node),
            "repeat_policy" => self.repeat_policy = Some(attempts.repeat_policy(node)),
            "timeout_sec" => self.timeout_sec = seconds(entry),
            "signal_on_stop" => self.signal_on_stop = node.scalar().map(str::to_owned),
            "env" => self.env = variables::env(node, at, source, problems),
            "preconditions" => self.preconditions = conditions::preconditions(node, at, source, problems),
            _ => return,
        }
        self.place = Some(entry.key_span.position(source));
    }

    /// Gives every step and handler what it lacks.
    pub(super) fn resolve(self, workflow: &mut Workflow, problems: &mut Vec<CoreProblem>) {
        let Some(place) = self.place else { return };
        let steps = workflow.steps.len() + workflow.handlers.len();
        if self.size().saturating_mul(steps) > LARGEST {
            let problem = CoreProblem::error(
                code::RANGE,
                format!("`defaults` are too large: for {steps} steps they make more than {} MiB", LARGEST >> 20),
            )
            .help("write what is the same for all steps under the root key `env`");
            return push(problems, problem.at("defaults", Some(place)));
        }
        for step in &mut workflow.steps {
            if step.continue_on.is_none() {
                step.continue_on.clone_from(&self.continue_on);
            }
            if step.retry_policy.is_none() {
                step.retry_policy.clone_from(&self.retry_policy);
            }
            if step.repeat_policy.is_none() {
                step.repeat_policy.clone_from(&self.repeat_policy);
            }
            self.common(step);
        }
        // A handler runs once: nothing follows its end.
        workflow.handlers.iter_mut().for_each(|handler| self.common(handler));
    }

    fn common(&self, step: &mut Step) {
        step.timeout_sec = step.timeout_sec.or(self.timeout_sec);
        if step.kind == StepKind::Command && step.signal_on_stop.is_none() {
            step.signal_on_stop.clone_from(&self.signal_on_stop);
        }
        if !self.env.is_empty() {
            let own = std::mem::replace(&mut step.env, self.env.clone());
            step.env.extend(own);
        }
        if !self.preconditions.is_empty() {
            let own = std::mem::replace(&mut step.preconditions, self.preconditions.clone());
            step.preconditions.extend(own);
        }
    }

    /// About how many bytes each step gets.
    fn size(&self) -> usize {
        let json = |written: Result<String, serde_json::Error>| written.map_or(0, |text| text.len());
        json(serde_json::to_string(&self.env))
            + json(serde_json::to_string(&self.preconditions))
            + json(serde_json::to_string(&self.continue_on))
            + json(serde_json::to_string(&self.retry_policy))
            + json(serde_json::to_string(&self.repeat_policy))
    }
}

/// The value of a key that holds a whole number from 0; none: it holds something else, which is said.
pub(super) fn seconds(entry: &Entry) -> Option<u64> {
    match &entry.value.content {
        Content::Integer(written) => integer(written).and_then(|number| u64::try_from(number).ok()),
        // `5.0` is whole.
        Content::Float(written) => {
            let number: f64 = written.parse().ok()?;
            (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64)
        }
        _ => None,
    }
}
