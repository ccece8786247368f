//! The shell of command steps: words or a list, the program first.

use model::path;
use model::problem::{CoreProblem, code};

use super::attempts::texts;
use super::command;
use crate::yaml::{Content, Node, push};

/// Reads `shell`. What has the wrong type has its problem already.
pub(super) fn shell(node: &Node, at: &str, source: u32, problems: &mut Vec<CoreProblem>) -> Vec<String> {
    match &node.content {
        Content::Text(text) => match command::words(text.trim()) {
            Ok(words) => words,
            Err(mut problem) => {
                problem.message = problem.message.replace("the command", "`shell`");
                push(problems, problem.at(at, Some(node.span.position(source))));
                Vec::new()
            }
        },
        Content::List(items) => {
            if let Some(first) = items.first().filter(|first| first.scalar().is_some_and(|text| text.trim().is_empty()))
            {
                let problem =
                    CoreProblem::error(code::COMMAND, "`shell` begins with an empty word: there is no program")
                        .help("begin with the program: `shell: [bash, -e]`");
                push(problems, problem.at(path::index(at, 0), Some(first.span.position(source))));
            }
            texts(node)
        }
        _ => Vec::new(),
    }
}
