//! What a generated workflow says, and how it is written as a file.
//!
//! Everything is said in one way here and written in several: the reference sees what is meant, the program what is written.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A workflow. Steps are known by their place in `steps`; each depends only on steps of lower places.
#[derive(Debug, Clone, Default)]
pub(super) struct Workflow {
    pub(super) steps: Vec<Step>,
    /// How the steps are ordered.
    pub(super) order: Order,
    /// All must be met, else nothing runs.
    pub(super) preconditions: Vec<Condition>,
    /// Put before the preconditions of each step and handler.
    pub(super) default_preconditions: Vec<Condition>,
    /// For steps that say nothing themselves.
    pub(super) default_retry: Option<Retry>,
    pub(super) default_continue_on: Option<ContinueOn>,
    pub(super) max_active_steps: Option<u64>,
    pub(super) handlers: BTreeMap<Handler, Task>,
}

/// How the steps are ordered.
#[derive(Debug, Clone)]
pub(super) enum Order {
    /// By `depends`. The steps stand in the file in this order, as a list or as a mapping.
    Graph { file_order: Vec<usize>, mapping: bool },
    /// One after the other. A step whose place is in `joined` is in one group with the step before it.
    Chain { joined: Vec<usize> },
}

impl Default for Order {
    fn default() -> Order {
        Order::Graph { file_order: Vec::new(), mapping: false }
    }
}

/// What steps and handlers have in common.
#[derive(Debug, Clone, Default)]
pub(super) struct Task {
    /// How its attempts end, one after the other; the last for ever. Empty: all succeed.
    pub(super) ends: Vec<End>,
    pub(super) limit: Limit,
    pub(super) preconditions: Vec<Condition>,
}

/// What stops an attempt that does not end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Limit {
    #[default]
    None,
    /// `timeout_sec` of the step: exit code 124.
    Timeout,
    /// `active_deadline` of the Job: no exit code.
    Deadline,
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The container ends with this code.
    Code(u8),
    /// Its limit ends it.
    Hang,
}

/// A step.
#[derive(Debug, Clone, Default)]
pub(super) struct Step {
    pub(super) task: Task,
    /// It has a name beside its id.
    pub(super) is_named: bool,
    /// Places of what it depends on, in a graph, in this order.
    pub(super) depends: Vec<usize>,
    /// How `depends` is written.
    pub(super) depends_form: u8,
    pub(super) retry: Option<Retry>,
    pub(super) repeat: Option<Repeat>,
    pub(super) continue_on: Option<ContinueOn>,
}

/// `retry_policy`.
#[derive(Debug, Clone)]
pub(super) struct Retry {
    pub(super) limit: u64,
    pub(super) interval: u64,
    pub(super) codes: Option<Vec<u8>>,
    pub(super) backoff: bool,
}

/// `repeat_policy`.
#[derive(Debug, Clone)]
pub(super) struct Repeat {
    pub(super) word: RepeatWord,
    pub(super) decides: Decider,
    /// 0: no limit.
    pub(super) limit: u64,
    pub(super) interval: u64,
}

/// What stands behind `repeat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RepeatWord {
    While,
    Until,
    /// The key is not there.
    Absent,
}

/// What decides whether a step runs again.
#[derive(Debug, Clone)]
pub(super) enum Decider {
    /// `repeat: true`: it goes on while it succeeds, whatever the word.
    Success,
    Codes(Vec<u8>),
    Condition(Condition),
}

/// `continue_on`.
#[derive(Debug, Clone, Default)]
pub(super) struct ContinueOn {
    pub(super) failed: bool,
    pub(super) skipped: bool,
    pub(super) codes: Vec<u8>,
    /// A line of the log with the code of an attempt, which each attempt prints.
    pub(super) printed: Vec<u8>,
    pub(super) mark_success: bool,
    /// How it is written.
    pub(super) form: u8,
}

/// A condition that no shell is asked about: real processes and a clock that stands still do not go together.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    /// Met or not, as long as the file is.
    Constant { is_met: bool, form: u8 },
    /// The recorded code of a step upstream is this one.
    CodeOf { step: usize, code: u8 },
    /// The status that a handler is told.
    Status(&'static str),
}

/// When a handler runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Handler {
    Init,
    Success,
    Failure,
    Abort,
    Exit,
}

impl Handler {
    pub(super) const ALL: [Handler; 5] =
        [Handler::Init, Handler::Success, Handler::Failure, Handler::Abort, Handler::Exit];

    /// Its key in the file.
    fn key(self) -> &'static str {
        match self {
            Handler::Init => "init",
            Handler::Success => "success",
            Handler::Failure => "failure",
            Handler::Abort => "abort",
            Handler::Exit => "exit",
        }
    }

    /// The name of its step.
    pub(super) fn name(self) -> &'static str {
        match self {
            Handler::Init => "onInit",
            Handler::Success => "onSuccess",
            Handler::Failure => "onFailure",
            Handler::Abort => "onAbort",
            Handler::Exit => "onExit",
        }
    }
}

/// The id of the step at a place.
pub(super) fn id(place: usize) -> String {
    format!("s{place}")
}

/// What an attempt that ends with this code prints.
pub(super) fn printed(code: u8) -> String {
    format!("ends with {code}.")
}

impl Workflow {
    /// The name of the step at a place.
    pub(super) fn name(&self, place: usize) -> String {
        if self.steps[place].is_named { format!("Part {place}") } else { id(place) }
    }

    /// What the step at a place waits for, in the order that decides.
    pub(super) fn upstream(&self, place: usize) -> Vec<usize> {
        match &self.order {
            Order::Graph { .. } => self.steps[place].depends.clone(),
            Order::Chain { joined } => {
                let first_of_group = |mut place: usize| {
                    while joined.contains(&place) {
                        place -= 1;
                    }
                    place
                };
                match first_of_group(place) {
                    0 => Vec::new(),
                    first => (first_of_group(first - 1)..first).collect(),
                }
            }
        }
    }

    /// The file.
    pub(super) fn written(&self) -> String {
        let step = |place: usize| self.step_written(place);
        let (word, steps) = match &self.order {
            Order::Graph { file_order, mapping: false } => {
                ("graph", Value::Array(file_order.iter().map(|place| step(*place)).collect()))
            }
            Order::Graph { file_order, .. } => {
                let entry = |place: &usize| {
                    let mut step = step(*place);
                    // The key is the name: an id may stand beside it.
                    step.as_object_mut().unwrap().remove("name");
                    (self.name(*place), step)
                };
                ("graph", Value::Object(file_order.iter().map(entry).collect()))
            }
            Order::Chain { joined } => {
                let mut items: Vec<Vec<Value>> = Vec::new();
                for place in 0..self.steps.len() {
                    if !joined.contains(&place) {
                        items.push(Vec::new());
                    }
                    items.last_mut().unwrap().push(step(place));
                }
                let item = |mut group: Vec<Value>| match group.len() {
                    1 => group.remove(0),
                    _ => Value::Array(group),
                };
                ("chain", Value::Array(items.into_iter().map(item).collect()))
            }
        };
        let mut file = json!({"name": "generated", "type": word, "env": {"YES": "yes"}, "steps": steps});
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                file[key] = value;
            }
        };
        set("max_active_steps", self.max_active_steps.map(Value::from));
        set("preconditions", self.conditions_written(&self.preconditions));
        let mut defaults = serde_json::Map::new();
        defaults.extend(self.conditions_written(&self.default_preconditions).map(|all| ("preconditions".into(), all)));
        defaults.extend(self.default_retry.iter().map(|retry| ("retry_policy".into(), retry.written())));
        defaults.extend(self.default_continue_on.iter().map(|on| ("continue_on".into(), on.written())));
        set("defaults", (!defaults.is_empty()).then_some(Value::Object(defaults)));
        let handlers = self.handlers.iter().map(|(handler, task)| (handler.key().to_owned(), self.task_written(task)));
        set("handler_on", (!self.handlers.is_empty()).then(|| Value::Object(handlers.collect())));
        serde_yaml::to_string(&file).unwrap()
    }

    fn step_written(&self, place: usize) -> Value {
        let step = &self.steps[place];
        let mut written = self.task_written(&step.task);
        written["id"] = json!(id(place));
        if step.is_named {
            written["name"] = json!(self.name(place));
        }
        if matches!(self.order, Order::Graph { .. }) {
            let by_id = step.depends_form & 1 == 0;
            let names: Vec<String> =
                step.depends.iter().map(|place| if by_id { id(*place) } else { self.name(*place) }).collect();
            match (names.as_slice(), step.depends_form & 2 == 0) {
                ([], true) => {}
                ([one], true) => written["depends"] = json!(one),
                _ => written["depends"] = json!(names),
            }
        }
        if let Some(retry) = &step.retry {
            written["retry_policy"] = retry.written();
        }
        if let Some(repeat) = &step.repeat {
            written["repeat_policy"] = self.repeat_written(repeat);
        }
        if let Some(on) = &step.continue_on {
            written["continue_on"] = on.written();
        }
        written
    }

    fn task_written(&self, task: &Task) -> Value {
        let mut written = json!({"type": "k8s", "command": "work"});
        let mut config = json!({"image": "x"});
        match task.limit {
            Limit::None => {}
            Limit::Timeout => written["timeout_sec"] = json!(60),
            Limit::Deadline => config["active_deadline"] = json!(60),
        }
        written["config"] = config;
        if let Some(conditions) = self.conditions_written(&task.preconditions) {
            written["preconditions"] = conditions;
        }
        written
    }

    fn conditions_written(&self, conditions: &[Condition]) -> Option<Value> {
        match conditions {
            [] => None,
            [one] => Some(self.condition_written(one)),
            several => Some(several.iter().map(|one| self.condition_written(one)).collect()),
        }
    }

    fn condition_written(&self, condition: &Condition) -> Value {
        match condition {
            Condition::Constant { is_met, form: 0 } => {
                json!({"condition": "yes", "expected": if *is_met { "yes" } else { "no" }})
            }
            Condition::Constant { is_met, form: 1 } => {
                json!({"condition": "${YES}", "expected": if *is_met { "re:^y.s$" } else { "re:^es" }})
            }
            Condition::Constant { is_met, .. } => {
                json!({"condition": "${YES}", "expected": if *is_met { "no" } else { "yes" }, "negate": true})
            }
            Condition::CodeOf { step, code } => {
                json!({"condition": format!("${{{}.exit_code}}", id(*step)), "expected": code.to_string()})
            }
            Condition::Status(status) => json!({"condition": "${DAG_RUN_STATUS}", "expected": status}),
        }
    }

    fn repeat_written(&self, repeat: &Repeat) -> Value {
        let mut written = json!({"interval_sec": repeat.interval});
        match (&repeat.decides, repeat.word) {
            (Decider::Success, _) => written["repeat"] = json!(true),
            (_, RepeatWord::While) => written["repeat"] = json!("while"),
            (_, RepeatWord::Until) => written["repeat"] = json!("until"),
            (_, RepeatWord::Absent) => {}
        }
        match &repeat.decides {
            Decider::Success => {}
            Decider::Codes(codes) => written["exit_code"] = json!(codes),
            Decider::Condition(condition) => {
                let condition = self.condition_written(condition);
                written["condition"] = condition["condition"].clone();
                written["expected"] = condition["expected"].clone();
            }
        }
        if repeat.limit > 0 {
            written["limit"] = json!(repeat.limit);
        }
        written
    }
}

impl Retry {
    fn written(&self) -> Value {
        let mut written = json!({"limit": self.limit, "interval_sec": self.interval});
        if let Some(codes) = &self.codes {
            written["exit_code"] = json!(codes);
        }
        if self.backoff {
            written["backoff"] = json!(true);
            written["max_interval_sec"] = json!(90);
        }
        written
    }
}

impl ContinueOn {
    fn written(&self) -> Value {
        let only_a_word = self.codes.is_empty() && self.printed.is_empty() && !self.mark_success;
        match (self.failed, self.skipped, self.form) {
            (true, false, 0) if only_a_word => return json!("failed"),
            (false, true, 0) if only_a_word => return json!("skipped"),
            _ => {}
        }
        let mut written = json!({});
        if self.failed {
            written[if self.form == 1 { "failure" } else { "failed" }] = json!(true);
        }
        for (key, value) in [("skipped", self.skipped), ("mark_success", self.mark_success)] {
            if value {
                written[key] = json!(true);
            }
        }
        match self.codes.as_slice() {
            [] => {}
            [one] if self.form == 1 => written["exit_code"] = json!(one),
            codes => written["exit_code"] = json!(codes),
        }
        let pattern = |code: &u8| if self.form == 2 { format!("re:with {code}\\.$") } else { printed(*code) };
        match self.printed.as_slice() {
            [] => {}
            [one] => written["output"] = json!(pattern(one)),
            several => written["output"] = several.iter().map(pattern).collect(),
        }
        written
    }
}
