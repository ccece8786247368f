//! Paths in the tables: `[]` is any index, `*` any key, `…` any number of keys and indexes; `config` stands for every
//! Kubernetes block and `step` for every step and handler.

use model::path::{self, Segment};

/// A path without its indexes, one part for each key and index.
pub(super) type Shape = Vec<String>;

/// A path as written, and as it is told below a Kubernetes block and below a step.
pub(super) fn shapes(path: &str) -> Vec<Shape> {
    let segments = path::parse(path).unwrap_or_default();
    let written: Shape = segments
        .iter()
        .map(|segment| match segment {
            Segment::Key(key) => key.clone(),
            Segment::Index(_) => "[]".to_owned(),
        })
        .collect();
    let mut shapes = vec![written.clone()];
    let behind = |skipped: usize, name: &str| -> Shape {
        std::iter::once(name.to_owned()).chain(written.iter().skip(skipped).cloned()).collect()
    };
    let of_step = match written.first().map(String::as_str) {
        Some("kubernetes") => {
            shapes.push(behind(1, "config"));
            None
        }
        Some("steps") => Some(1 + written.iter().skip(1).take_while(|part| *part == "[]").count().max(1)),
        Some("handler_on") => Some(2),
        _ => None,
    };
    if let Some(skipped) = of_step.filter(|skipped| written.len() >= *skipped) {
        shapes.push(behind(skipped, "step"));
        if matches!(written.get(skipped).map(String::as_str), Some("config" | "with")) {
            shapes.push(behind(skipped + 1, "config"));
        }
    }
    shapes
}

/// The shape that is written in a table.
pub(super) fn pattern(text: &str) -> Shape {
    let keys = text.split('.').filter(|key| !key.is_empty());
    keys.flat_map(|key| {
        let name = key.trim_end_matches("[]");
        let indexes = (key.len() - name.len()) / 2;
        std::iter::once(name.to_owned()).filter(|name| !name.is_empty()).chain(vec!["[]".to_owned(); indexes])
    })
    .collect()
}

/// Whether a shape is one that the pattern tells.
pub(super) fn fits(pattern: &[String], shape: &[String]) -> bool {
    match (pattern, shape) {
        ([], []) => true,
        ([first, rest @ ..], _) if first == "…" => {
            fits(rest, shape) || shape.split_first().is_some_and(|(_, below)| fits(pattern, below))
        }
        ([first, rest @ ..], [part, below @ ..]) => {
            (first == part || first == "*" && part != "[]") && fits(rest, below)
        }
        _ => false,
    }
}

#[test]
fn a_pattern_fits_what_it_tells() {
    let fits = |told: &str, path: &str| shapes(path).iter().any(|shape| fits(&pattern(told), shape));
    assert!(fits("config.env[].name", "steps[3].config.env[0].name"));
    assert!(fits("config.env[].name", "kubernetes.env[0].name"));
    assert!(fits("config.env[].name", "handler_on.exit.with.env[0].name"));
    assert!(fits("step.depends[]", "steps[1][0].depends[2]"));
    assert!(fits("step.id", "steps.build.id"));
    assert!(fits("config.labels.*", "kubernetes.labels[\"a.b/c\"]"));
    assert!(fits("config.affinity.….key", "kubernetes.affinity.a[0].b.key"));
    assert!(fits("", ""));
    assert!(!fits("config.env[].name", "env[0].name"));
    assert!(!fits("step", "steps"));
    assert!(!fits("config.labels.*", "kubernetes.labels"));
    assert!(!fits("step.depends", "steps[1].depends[0]"));
}
