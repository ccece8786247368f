//! Variables of the container.

use model::layer::Position;
use model::path;
use model::problem::{CoreProblem, code};

use crate::typed::Walk;
use crate::yaml::Node;

/// `value` and `value_from` exclude each other, also when the value is empty.
pub(super) fn variable(walk: &mut Walk<'_>, node: &Node, path: &str) {
    let (Some(value), Some(from)) = (node.entry("value"), node.entry("value_from")) else { return };
    let other: Option<Position> = walk.source.map(|source| value.key_span.position(source));
    let problem = CoreProblem::error(code::EXCLUSIVE, "`value_from` cannot stand beside `value`")
        .help("keep one of them; an empty `value` counts, too")
        .related(other, "the other one is here");
    walk.refuse(problem, &path::key(path, "value_from"), from.key_span);
}
