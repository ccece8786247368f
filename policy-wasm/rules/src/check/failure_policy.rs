//! Exit codes of the pod failure policy.

use std::collections::HashMap;

use model::path;
use model::problem::{CoreProblem, Severity, code};

use crate::typed::Walk;
use crate::yaml::{Content, Node, Span, cut, integer};

/// The only container of the pod.
const CONTAINER: &str = "step";

/// No code twice, no 0 with `In`, and only the one container there is.
pub(super) fn exit_codes(walk: &mut Walk<'_>, node: &Node, path: &str) {
    if let Some(entry) = node.entry("container_name")
        && let Some(name) = entry.value.scalar()
        && name != CONTAINER
        // A variable is refused as such.
        && !(walk.interpolated && model::template::has_variable(name))
    {
        let problem = CoreProblem::error(code::REFERENCE, format!("the pod has no container `{}`", cut(name)))
            .help("write `step`, the only container, or remove the key")
            .fix(CONTAINER);
        walk.refuse(problem, &path::key(path, "container_name"), entry.value.span);
    }
    let Some(Content::List(items)) = node.entry("values").map(|entry| &entry.value.content) else { return };
    let within = node.entry("operator").and_then(|entry| entry.value.scalar()) == Some("In");
    let values = path::key(path, "values");
    let mut seen: HashMap<i64, Span> = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        let Some(number) = item.scalar().and_then(integer) else { continue };
        let at = path::index(&values, index);
        if let Some(first) = seen.get(&number).copied() {
            let problem = CoreProblem::error(code::DUPLICATE, format!("the exit code `{number}` is there twice"))
                .help("remove one of the two")
                .related(walk.source.map(|source| first.position(source)), "it is first here");
            walk.refuse(problem, &at, item.span);
            continue;
        }
        seen.insert(number, item.span);
        if number == 0 && within {
            let problem = CoreProblem::error(code::RANGE, "exit code 0 cannot stand with `In`: it is no failure")
                .help("remove it");
            walk.refuse(problem, &at, item.span);
        } else if !(0..=255).contains(&number) && i32::try_from(number).is_ok() {
            let problem = CoreProblem {
                severity: Severity::Warning,
                ..CoreProblem::error(code::DOUBTFUL, format!("no program ends with the exit code `{number}`"))
            }
            .help("exit codes are 0 to 255");
            walk.say(problem, &at, item.span);
        }
    }
}
