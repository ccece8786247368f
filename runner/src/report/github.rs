//! Problems as workflow commands of GitHub Actions, which shows them beside the lines of a change.
//!
//! <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>

use std::fmt::Write as _;

use model::problem::{Problem, Severity};

use super::checked::{Checked, FilePath, words};
use super::escape;

/// One command a line; nothing when nothing is wrong.
pub fn github(checked: &Checked) -> String {
    let mut text = String::new();
    let failures = checked.failures().iter().map(|failure| (None, failure));
    let of_files = checked.files().iter().flat_map(|file| {
        // What stands in no file, as a policy's layer, is shown at the workflow it broke.
        file.problems.iter().map(|problem| (Some(problem.file.as_deref().unwrap_or(&file.name)), problem))
    });
    for (file, problem) in failures.chain(of_files) {
        let properties: Vec<String> =
            properties(file, problem).iter().map(|(name, value)| format!("{name}={}", property(value))).collect();
        let message = words(problem).iter().map(|line| data(line)).collect::<Vec<_>>().join("%0A");
        let _ = writeln!(text, "::{} {}::{message}", command(problem.severity), properties.join(","));
    }
    text
}

fn command(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "notice",
    }
}

fn properties(file: Option<&str>, problem: &Problem) -> Vec<(&'static str, String)> {
    let mut properties = Vec::new();
    properties.extend(file.map(|file| ("file", FilePath::new(file).to_string())));
    if let (Some(line), Some(column)) = (problem.line, problem.column) {
        // GitHub counts the last place inside, ours is the first one after.
        let (last_line, last_column) = match problem.end {
            Some(end) if end.line > line => (if end.column > 1 { end.line } else { end.line - 1 }, None),
            Some(end) if end.line == line => (line, Some(end.column.saturating_sub(1).max(column))),
            _ => (line, None),
        };
        properties.push(("line", line.to_string()));
        if last_line == line {
            properties.push(("col", column.to_string()));
        }
        properties.push(("endLine", last_line.to_string()));
        // Columns are refused for a range of several lines.
        if let Some(last_column) = last_column {
            properties.push(("endColumn", last_column.to_string()));
        }
    }
    properties.push(("title", problem.code.clone()));
    properties
}

/// Text after `::`. Other control characters are made visible, as for a terminal: the log shows them as they are.
fn data(text: &str) -> String {
    let escaped: Vec<String> = text.split('\r').map(|part| escape(&part.replace('%', "%25"))).collect();
    escaped.join("%0D").replace('\n', "%0A")
}

/// The value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_command_or_a_property_is_escaped() {
        assert_eq!(data("50%\r\na: b, c"), "50%25%0D%0Aa: b, c");
        assert_eq!(property("a:b,c%\n"), "a%3Ab%2Cc%25%0A");
        assert_eq!(data("\u{1b}[31m"), "\\u{1b}[31m");
    }
}
