//! From raw answers to the list that is shown: places, order, modes, waivers, merged repetitions.
//!
//! One pure function, [`report`]. The runner calls it natively, because it never leaves a denial to a guest; the core
//! component exports it for the browser. It decides nothing that a policy has not said, but turns a policy's errors
//! into warnings where its mode or a waiver says so.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::layer::{Origin, Position, Provenance};
use crate::path;
use crate::problem::{CoreProblem, End, Problem, RelatedPlace, Severity, code};
use crate::review::{Phase, ReviewProblem};

/// Everything that was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Answers {
    /// When the questions were asked.
    pub phase: Phase,
    /// The sources, in the order given to `load`.
    pub sources: Vec<SourceText>,
    /// Name of the workflow, for waivers.
    #[serde(default)]
    pub workflow: String,
    /// Today, `YYYY-MM-DD` in UTC, for waivers; absent: waivers are not judged and none holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub today: Option<String>,
    /// The steps in file order, handlers last.
    #[serde(default)]
    pub steps: Vec<StepPlace>,
    /// Problems of the core policy, from `load`, `merge` and `check`.
    #[serde(default)]
    pub core: Vec<CoreProblem>,
    /// What the policies said, in the order in which they are in force.
    #[serde(default)]
    pub policies: Vec<PolicyAnswers>,
    /// Waivers of the policy sets.
    #[serde(default)]
    pub waivers: Vec<Waiver>,
}

/// A source and its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SourceText {
    /// Name as the user knows it.
    pub name: String,
    /// The whole text; only used to find where a value ends.
    pub text: String,
}

/// Where a step and the values of its config stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepPlace {
    /// Name of the step.
    pub step: String,
    /// Its place in the workflow file, `steps[0]`.
    pub path: String,
    /// Where it stands.
    pub position: Position,
    /// The place of its config, `steps[0].config`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_path: Option<String>,
    /// Where the values of its effective config come from.
    #[serde(default)]
    pub origins: BTreeMap<String, Provenance>,
    /// Paths whose value is not final.
    #[serde(default)]
    pub open: Vec<String>,
}

/// Whether a policy's errors stop anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// An error denies.
    Enforce,
    /// An error becomes a warning.
    Warn,
}

/// What one policy said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyAnswers {
    /// Name of the policy.
    pub policy: String,
    /// Whether its errors stop anything.
    pub mode: Mode,
    /// One entry for each step it was asked about.
    pub steps: Vec<StepAnswer>,
}

/// What one policy said about one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepAnswer {
    /// Name of the step.
    pub step: String,
    /// Its problems; a policy that could not be asked has one, `policy/failed`.
    pub problems: Vec<ReviewProblem>,
}

/// Permission for an error to pass, until a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Waiver {
    /// Name of the policy.
    pub policy: String,
    /// Code of one rule, or `*`.
    pub code: String,
    /// Name of the workflow, or `*`.
    pub workflow: String,
    /// Name of the step, or `*`.
    pub step: String,
    /// The last day (UTC) on which it holds, `YYYY-MM-DD`.
    pub expires: String,
    /// Why.
    pub reason: String,
}

/// The final list and what it means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// What the errors amount to.
    pub verdict: Verdict,
    /// The problems, in the order in which they are shown.
    pub problems: Vec<Problem>,
}

/// What the problems amount to. The order is that of gravity: invalid beats denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No error.
    Valid,
    /// A policy in mode enforce said an error.
    Denied,
    /// The core policy said an error.
    Invalid,
}

/// A problem with what ordering and merging need.
struct Placed {
    problem: Problem,
    source: Option<u32>,
    /// File order of the step, for problems without a place.
    step_rank: usize,
}

/// Turns raw answers into the final list.
pub fn report(answers: &Answers) -> Report {
    let mut steps = Steps::new();
    for (rank, step) in answers.steps.iter().enumerate() {
        // Two steps of one name are a problem of their own; what is said about that name is shown at the first.
        steps.entry(&step.step).or_insert((rank, step));
    }
    let mut placed: Vec<Placed> = answers.core.iter().map(|problem| place_core(answers, &steps, problem)).collect();
    let invalid = placed.iter().any(|placed| placed.problem.severity == Severity::Error);
    let mut waivers = Waivers::new(answers);
    for policy in &answers.policies {
        for answer in &policy.steps {
            for problem in &answer.problems {
                placed.extend(place_review(answers, &steps, policy, answer, problem, &mut waivers));
            }
        }
    }
    let denied =
        placed.iter().any(|placed| placed.problem.severity == Severity::Error && placed.problem.policy != CORE);
    let mut placed = merge_repetitions(placed);
    placed.sort_by(|left, right| order(left).cmp(&order(right)));
    let mut problems: Vec<Problem> = placed.into_iter().map(|placed| placed.problem).collect();
    problems.extend(waivers.unused());
    let verdict = match (invalid, denied) {
        (true, _) => Verdict::Invalid,
        (false, true) => Verdict::Denied,
        (false, false) => Verdict::Valid,
    };
    Report { verdict, problems }
}

/// The `policy` of a problem that comes from the rules of the file.
pub const CORE: &str = "core";

/// base.yaml first, then the workflow file, by line and column, then code; last what has no place, by step.
fn order(placed: &Placed) -> (u32, u32, u32, usize, &str, &str, &str) {
    let problem = &placed.problem;
    (
        placed.source.unwrap_or(u32::MAX),
        problem.line.unwrap_or(u32::MAX),
        problem.column.unwrap_or(u32::MAX),
        if placed.source.is_some() { 0 } else { placed.step_rank },
        &problem.code,
        &problem.path,
        &problem.message,
    )
}

/// The same thing said about an inherited value for several steps is said once, for the first of them.
fn merge_repetitions(mut placed: Vec<Placed>) -> Vec<Placed> {
    placed.sort_by_key(|placed| placed.step_rank);
    let mut kept: Vec<(Placed, BTreeSet<String>)> = Vec::new();
    let mut seen: BTreeMap<_, usize> = BTreeMap::new();
    for item in placed {
        let problem = &item.problem;
        let key = (
            item.source,
            problem.line,
            problem.column,
            problem.path.clone(),
            problem.code.clone(),
            problem.severity,
            problem.message.clone(),
        );
        match seen.get(&key).and_then(|index| kept.get_mut(*index)) {
            Some((first, more)) if problem.step.is_some() => {
                if first.problem.step != problem.step {
                    more.extend(problem.step.clone());
                }
            }
            Some(_) => {}
            None => {
                seen.insert(key, kept.len());
                kept.push((item, BTreeSet::new()));
            }
        }
    }
    kept.into_iter()
        .map(|(mut item, more)| {
            match more.len() {
                0 => {}
                1 => item.problem.message.push_str(" (and 1 more step)"),
                more => item.problem.message.push_str(&format!(" (and {more} more steps)")),
            }
            item
        })
        .collect()
}

fn place_core(answers: &Answers, steps: &Steps<'_>, raw: &CoreProblem) -> Placed {
    let (rank, step) = find_step(steps, raw.step.as_deref());
    // Inside a config: the place is that of the layer that holds the value. Everything else was found while reading.
    let (path, position) = match (&raw.layer, step) {
        (Some(layer), Some(step)) => {
            let position = raw.position.or_else(|| (!is_policy(layer)).then_some(step.position));
            (place_path(step, layer, &raw.path), position)
        }
        _ => (raw.path.clone(), raw.position),
    };
    let related = raw
        .related
        .iter()
        .filter_map(|related| {
            Some(RelatedPlace {
                file: source(answers, related.position)?.name.clone(),
                line: related.position.line,
                column: related.position.column,
                message: related.message.clone(),
            })
        })
        .collect();
    let mut message = raw.message.clone();
    if let Some(Origin::Policy(policy)) = &raw.layer {
        message.push_str(&format!(" (from policy `{policy}`)"));
    }
    Placed {
        problem: Problem {
            code: raw.code.clone(),
            severity: raw.severity,
            message,
            path,
            step: raw.step.clone(),
            policy: CORE.to_owned(),
            file: position.and_then(|position| source(answers, position)).map(|source| source.name.clone()),
            line: position.map(|position| position.line),
            column: position.map(|position| position.column),
            end: position.and_then(|position| raw.end.or_else(|| end(answers, position))),
            help: raw.help.clone(),
            related,
            url: raw.url.clone(),
            fix: raw.fix.clone(),
        },
        source: position.map(|position| position.source),
        step_rank: rank,
    }
}

fn place_review(
    answers: &Answers,
    steps: &Steps<'_>,
    policy: &PolicyAnswers,
    answer: &StepAnswer,
    raw: &ReviewProblem,
    waivers: &mut Waivers<'_>,
) -> Option<Placed> {
    let (rank, step) = find_step(steps, Some(&answer.step));
    let open = step.is_some_and(|step| step.open.iter().any(|open| path::is_within(&raw.path, open)));
    if answers.phase == Phase::Load && open && !raw.path.is_empty() {
        // The value is not final: the policy is asked again about the one that is.
        return None;
    }
    let (path, position) = match step {
        Some(step) => place_in_config(step, &raw.path),
        None => (raw.path.clone(), None),
    };
    let mut problem = Problem {
        code: raw.code.clone(),
        severity: raw.severity,
        message: raw.message.clone(),
        path,
        step: Some(answer.step.clone()),
        policy: policy.policy.clone(),
        file: position.and_then(|position| source(answers, position)).map(|source| source.name.clone()),
        line: position.map(|position| position.line),
        column: position.map(|position| position.column),
        end: position.and_then(|position| end(answers, position)),
        help: raw.help.clone(),
        related: Vec::new(),
        url: raw.url.clone(),
        fix: raw.fix.clone(),
    };
    if policy.mode == Mode::Warn && problem.severity == Severity::Error {
        problem.severity = Severity::Warning;
    }
    waivers.apply(policy, answer, &mut problem);
    Some(Placed { problem, source: position.map(|position| position.source), step_rank: rank })
}

/// The place of a policy's problem: the value itself, else the nearest place above it, else the step.
fn place_in_config(step: &StepPlace, inner: &str) -> (String, Option<Position>) {
    for path in path::ancestors(inner).into_iter().filter(|path| !path.is_empty()) {
        if let Some(provenance) = step.origins.get(path) {
            let position = provenance.position.or_else(|| (!is_policy(&provenance.layer)).then_some(step.position));
            return (place_path(step, &provenance.layer, inner), position);
        }
    }
    if inner.is_empty() {
        return (step.path.clone(), Some(step.position));
    }
    (place_path(step, &Origin::Step, inner), Some(step.position))
}

fn is_policy(layer: &Origin) -> bool {
    matches!(layer, Origin::Policy(_) | Origin::CommandLine)
}

/// The path as written in the file that holds the layer.
fn place_path(step: &StepPlace, layer: &Origin, inner: &str) -> String {
    match layer {
        Origin::Base | Origin::Dag => path::join("kubernetes", inner),
        Origin::Policy(_) | Origin::CommandLine => inner.to_owned(),
        Origin::Step | Origin::Default => match &step.config_path {
            Some(config) => path::join(config, inner),
            None => path::join(&path::key(&step.path, "config"), inner),
        },
    }
}

/// The steps by name, with their place in file order.
type Steps<'a> = BTreeMap<&'a str, (usize, &'a StepPlace)>;

fn find_step<'a>(steps: &Steps<'a>, name: Option<&str>) -> (usize, Option<&'a StepPlace>) {
    let found = name.and_then(|name| steps.get(name));
    found.map_or((usize::MAX, None), |(rank, step)| (*rank, Some(*step)))
}

fn source(answers: &Answers, position: Position) -> Option<&SourceText> {
    answers.sources.get(usize::try_from(position.source).ok()?)
}

/// Where a value ends, counted in its text.
fn end(answers: &Answers, position: Position) -> Option<End> {
    let from = usize::try_from(position.offset).ok()?;
    let to = from.checked_add(usize::try_from(position.length).ok()?)?;
    let written = source(answers, position)?.text.get(from..to)?;
    let mut end = End { line: position.line, column: position.column };
    let mut characters = written.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\n' || (character == '\r' && characters.peek() != Some(&'\n')) {
            end = End { line: end.line + 1, column: 1 };
        } else {
            end.column += 1;
        }
    }
    Some(end)
}

/// The waivers, and which of them matched something.
struct Waivers<'a> {
    answers: &'a Answers,
    used: Vec<bool>,
}

impl<'a> Waivers<'a> {
    fn new(answers: &'a Answers) -> Self {
        Waivers { answers, used: vec![false; answers.waivers.len()] }
    }

    /// Lets an error pass where a waiver holds. A failed policy cannot be waived: nobody knows what it would have said.
    fn apply(&mut self, policy: &PolicyAnswers, answer: &StepAnswer, problem: &mut Problem) {
        if problem.code == code::POLICY_FAILED {
            return;
        }
        let matches = |pattern: &str, value: &str| pattern == "*" || pattern == value;
        for (waiver, used) in self.answers.waivers.iter().zip(&mut self.used) {
            let fits = waiver.policy == policy.policy
                && matches(&waiver.code, &problem.code)
                && matches(&waiver.workflow, &self.answers.workflow)
                && matches(&waiver.step, &answer.step);
            if !fits {
                continue;
            }
            *used = true;
            let holds = self.answers.today.as_deref().is_some_and(|today| today <= waiver.expires.as_str());
            if holds && problem.severity == Severity::Error {
                problem.message = format!(
                    "`{}` is waived until {}: {} ({})",
                    problem.code, waiver.expires, problem.message, waiver.reason
                );
                problem.code = code::WAIVED.to_owned();
                problem.severity = Severity::Info;
                return;
            }
        }
    }

    /// Waivers that matched nothing or hold no longer.
    fn unused(&self) -> Vec<Problem> {
        if self.answers.today.is_none() || self.answers.phase == Phase::Submit {
            return Vec::new();
        }
        let today = self.answers.today.as_deref().unwrap_or_default();
        let notice = |waiver: &Waiver, code: &str, message: String| Problem {
            code: code.to_owned(),
            severity: Severity::Warning,
            message,
            path: String::new(),
            step: None,
            policy: waiver.policy.clone(),
            file: None,
            line: None,
            column: None,
            end: None,
            help: Some("remove the waiver from the policy set, or renew it".to_owned()),
            related: Vec::new(),
            url: None,
            fix: None,
        };
        let mut problems = Vec::new();
        for (waiver, used) in self.answers.waivers.iter().zip(&self.used) {
            let name = format!("waiver of `{}` for step `{}` of `{}`", waiver.code, waiver.step, waiver.workflow);
            if *used && today > waiver.expires.as_str() {
                problems.push(notice(
                    waiver,
                    code::WAIVER_EXPIRED,
                    format!("{name} has expired on {}", waiver.expires),
                ));
            } else if !used {
                problems.push(notice(waiver, code::WAIVER_UNUSED, format!("{name} matched nothing")));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(line: u32) -> Position {
        Position { source: 0, line, column: 3, offset: 0, length: 2 }
    }

    fn step(name: &str, line: u32) -> StepPlace {
        let inherited = Provenance { layer: Origin::Dag, position: Some(position(1)), key: None, history: Vec::new() };
        StepPlace {
            step: name.to_owned(),
            path: format!("steps[{line}]"),
            position: position(line),
            config_path: Some(format!("steps[{line}].config")),
            origins: BTreeMap::from([("security_context.privileged".to_owned(), inherited)]),
            open: vec!["env[0].value".to_owned()],
        }
    }

    fn objection(code: &str, path: &str) -> ReviewProblem {
        ReviewProblem {
            code: code.to_owned(),
            severity: Severity::Error,
            message: "no".to_owned(),
            path: path.to_owned(),
            help: None,
            url: None,
            fix: None,
        }
    }

    fn answers(mode: Mode, problems: &[ReviewProblem]) -> Answers {
        Answers {
            phase: Phase::Load,
            sources: vec![SourceText { name: "dag.yaml".to_owned(), text: "a: b".to_owned() }],
            workflow: "nightly".to_owned(),
            today: Some("2026-11-23".to_owned()),
            steps: vec![step("a", 4), step("b", 8)],
            core: Vec::new(),
            policies: vec![PolicyAnswers {
                policy: "p".to_owned(),
                mode,
                steps: ["b", "a"]
                    .map(|step| StepAnswer { step: step.to_owned(), problems: problems.to_vec() })
                    .to_vec(),
            }],
            waivers: Vec::new(),
        }
    }

    #[test]
    fn an_inherited_value_is_reported_once_where_it_stands() {
        let report = report(&answers(Mode::Enforce, &[objection("p/x", "security_context.privileged")]));
        assert_eq!(report.verdict, Verdict::Denied);
        let [problem] = report.problems.as_slice() else { panic!("one problem: {:?}", report.problems) };
        assert_eq!(problem.message, "no (and 1 more step)");
        assert_eq!(problem.step.as_deref(), Some("a"));
        assert_eq!(problem.path, "kubernetes.security_context.privileged");
        assert_eq!((problem.line, problem.column), (Some(1), Some(3)));
        assert_eq!(problem.end, Some(End { line: 1, column: 5 }));
    }

    #[test]
    fn warn_mode_stops_nothing() {
        let report = report(&answers(Mode::Warn, &[objection("p/x", ""), objection("policy/failed", "")]));
        assert_eq!(report.verdict, Verdict::Valid);
        assert!(report.problems.iter().all(|problem| problem.severity == Severity::Warning));
    }

    #[test]
    fn problems_at_open_paths_wait_for_the_final_value() {
        let mut asked = answers(Mode::Enforce, &[objection("p/x", "env[0].value")]);
        assert_eq!(report(&asked).problems, []);
        asked.phase = Phase::Submit;
        assert_eq!(report(&asked).verdict, Verdict::Denied);
    }

    #[test]
    fn a_waiver_holds_through_its_last_day_and_never_covers_a_failed_policy() {
        let waiver = Waiver {
            policy: "p".to_owned(),
            code: "*".to_owned(),
            workflow: "nightly".to_owned(),
            step: "*".to_owned(),
            expires: "2026-11-23".to_owned(),
            reason: "moving".to_owned(),
        };
        let mut asked = answers(Mode::Enforce, &[objection("p/x", "")]);
        asked.waivers = vec![waiver];
        assert_eq!(report(&asked).verdict, Verdict::Valid);
        asked.today = Some("2026-11-24".to_owned());
        let late = report(&asked);
        assert_eq!(late.verdict, Verdict::Denied);
        assert!(late.problems.iter().any(|problem| problem.code == code::WAIVER_EXPIRED));
        asked.today = Some("2026-11-23".to_owned());
        asked.policies = answers(Mode::Enforce, &[objection("policy/failed", "")]).policies;
        assert_eq!(report(&asked).verdict, Verdict::Denied);
    }
}
