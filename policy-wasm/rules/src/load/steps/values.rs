//! The values of a step's keys: read once the table has said that the key is known and of its type.

use model::path;
use model::problem::{CoreProblem, code};
use model::workflow::{STEP, Step, StepKind};

use super::reading::Reading;
use crate::load::attempts::{Attempts, texts};
use crate::load::root::log_output;
use crate::load::texts::{Finder, Text};
use crate::load::{conditions, defaults, shell, variables};
use crate::typed::{Spot, Walk};
use crate::yaml::{Content, Entry, Node, cut};

impl Reading<'_> {
    /// Puts the value of one key into the step; what is wrong inside has its problem.
    pub(super) fn value(&self, entry: &Entry, step: &mut Step, problems: &mut Vec<CoreProblem>) {
        let node = &entry.value;
        let at = path::key(self.at, &entry.key);
        let mut attempts = Attempts { at: &at, source: self.source, problems };
        let text = || node.scalar().map(str::to_owned);
        let path_text = || text().filter(|text| !text.trim().is_empty());
        match entry.key.as_str() {
            "description" => step.description = text(),
            "continue_on" => step.continue_on = Some(attempts.continue_on(node)),
            "retry_policy" => step.retry_policy = attempts.retry_policy(node),
            "repeat_policy" => step.repeat_policy = Some(attempts.repeat_policy(node)),
            "env" => step.env = variables::env(node, &at, self.source, problems),
            "preconditions" => step.preconditions = conditions::preconditions(node, &at, self.source, problems),
            "timeout_sec" => step.timeout_sec = defaults::seconds(entry),
            "output" => step.output = self.output(node, problems),
            "stdout" => step.stdout = path_text(),
            "stderr" => step.stderr = path_text(),
            "log_output" => step.log_output = log_output(node),
            "working_dir" => step.working_dir = path_text(),
            "shell" => step.shell = shell::shell(node, &at, self.source, problems),
            "shell_args" => step.shell_args = texts(node),
            "signal_on_stop" => step.signal_on_stop = text(),
            _ => {}
        }
    }

    /// The name under which the output is captured; `$NAME` is accepted.
    fn output(&self, node: &Node, problems: &mut Vec<CoreProblem>) -> Option<String> {
        let written = node.scalar()?;
        let name = written.strip_prefix('$').unwrap_or(written);
        let Some(mut problem) = variables::name_problem(name) else { return Some(name.to_owned()) };
        let bare = name.trim().trim_start_matches(['$', '{']).trim_end_matches('}');
        if bare != name && variables::name_problem(bare).is_none() {
            problem.help = Some(format!("write `output: {bare}`"));
            problem.fix = Some(bare.into());
        }
        self.push(problems, problem, "output", node.span);
        None
    }

    /// What the values of a step's keys need of each other.
    pub(super) fn values_together(&self, step: &mut Step, problems: &mut Vec<CoreProblem>) {
        if let (Some(stdout), Some(stderr)) = (&step.stdout, &step.stderr)
            && plain_path(stdout) == plain_path(stderr)
            && let Some(entry) = self.entry("stderr")
        {
            let problem = CoreProblem::error(
                code::DUPLICATE,
                format!("`stdout` and `stderr` are the same file `{}`", cut(stderr)),
            )
            .help("write `stdout` alone: with `log_output: merged` the log holds both streams")
            .related(self.place("stdout"), "`stdout` is here");
            self.push(problems, problem, "stderr", entry.value.span);
        }
        if step.kind == StepKind::Kubernetes {
            step.signal_on_stop = None;
        }
    }

    /// `shell` and `shell_args` under `with`, beside `run`.
    pub(super) fn shell_in_with(&self, with: &Entry, step: &mut Step, problems: &mut Vec<CoreProblem>) {
        let at = path::key(self.at, &with.key);
        for entry in with.value.entries() {
            let Some(field) = STEP.field(&entry.key).filter(|field| matches!(field.key, "shell" | "shell_args")) else {
                continue;
            };
            if let Some(other) = self.entry(&entry.key) {
                let problem = CoreProblem::error(code::EXCLUSIVE, format!("`{}` stands beside `with`, too", entry.key))
                    .help("keep one of them")
                    .at(path::key(&at, &entry.key), Some(entry.key_span.position(self.source)))
                    .related(Some(other.key_span.position(self.source)), "the other one is here");
                crate::yaml::push(problems, problem);
                continue;
            }
            let place = path::key("", &entry.key);
            let mut walk = Walk::new(self.source, &at, problems);
            if walk.value(&field.kind, &entry.value, &place, Spot::of(entry)).is_none() {
                continue;
            }
            match field.key {
                "shell" => {
                    let at = path::key(&at, "shell");
                    step.shell = shell::shell(&entry.value, &at, self.source, problems);
                }
                _ => step.shell_args = texts(&entry.value),
            }
        }
    }

    /// Notes the texts of a key that hold variables.
    pub(super) fn find_texts(&self, entry: &Entry, at: &str, kind: StepKind, finder: &Finder, found: &mut Vec<Text>) {
        // A script with a mapping in it and the like have their problems.
        if !matches!(entry.value.content, Content::Null) {
            finder.key(&entry.key, kind, &entry.value, at, found);
        }
    }
}

/// A path without what changes nothing: `./a` is `a`.
fn plain_path(path: &str) -> String {
    let absolute = if path.starts_with('/') { "/" } else { "" };
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    format!("{absolute}{}", parts.join("/"))
}
