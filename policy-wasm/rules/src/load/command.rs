//! What a step runs: text or list, split into words as a POSIX shell would split it, and nothing more.

use model::problem::{CoreProblem, code};
use model::workflow::Command;

use crate::yaml::{Content, Node, cut_to};

/// Longest command that a help line repeats, in characters.
const LONGEST_HELP: usize = 300;

/// A problem of a command, and the item of its list it belongs to.
pub(super) struct CommandProblem {
    pub(super) problem: CoreProblem,
    pub(super) item: Option<usize>,
}

impl From<CoreProblem> for CommandProblem {
    fn from(problem: CoreProblem) -> Self {
        CommandProblem { problem, item: None }
    }
}

/// How a command is written, for the words of its problems.
#[derive(Clone, Copy)]
struct Form<'a> {
    key: &'a str,
    kubernetes: bool,
}

/// The argv of a Kubernetes step; warnings go to `problems`, too.
pub(super) fn argv(node: &Node, problems: &mut Vec<CommandProblem>) -> Option<Command> {
    read(node, Form { key: "command", kubernetes: true }, problems, |text| {
        let line = text.trim();
        if line.contains('\n') {
            return Err(Box::new(
                CoreProblem::error(
                    code::COMMAND,
                    "the command has several lines: that needs a shell, and no shell reads it",
                )
                .help(format!("write `command: [sh, -c, {}]`", cut_to(&double_quoted(line), LONGEST_HELP))),
            ));
        }
        words(line).map(Command::Argv)
    })
}

/// The text of a script; one that is no text has its problem already.
pub(super) fn script(node: &Node, problems: &mut Vec<CommandProblem>) -> Option<Command> {
    let text = node.scalar()?;
    if text.trim().is_empty() {
        let problem = CoreProblem::error(code::COMMAND, "the script is blank");
        problems.push(problem.help("write its lines, indented below `script: |`").into());
        return None;
    }
    Some(Command::Script(text.to_owned()))
}

/// The command of a command step, behind `key`: text goes to its shell, a list is run as it is.
pub(super) fn shell(node: &Node, key: &str, problems: &mut Vec<CommandProblem>) -> Option<Command> {
    let before = problems.len();
    let form = Form { key, kubernetes: false };
    let command = read(node, form, problems, |text| {
        if text.trim().is_empty() { Err(Box::new(blank(form))) } else { Ok(Command::Shell(text.to_owned())) }
    });
    // A shell does read it.
    let mut kept = problems.split_off(before);
    kept.retain(|found| found.problem.code != code::NO_SHELL || !matches!(command, Some(Command::Shell(_))));
    problems.extend(kept);
    command
}

/// The cases that both kinds of step share; `as_text` reads a text.
fn read(
    node: &Node,
    form: Form<'_>,
    problems: &mut Vec<CommandProblem>,
    as_text: impl Fn(&str) -> Result<Command, Box<CoreProblem>>,
) -> Option<Command> {
    let from_text = |text: &str, problems: &mut Vec<CommandProblem>| match as_text(text) {
        Ok(command) => {
            problems.extend(no_shell(text, form).map(CommandProblem::from));
            Some(command)
        }
        Err(problem) => {
            problems.push(CommandProblem::from(*problem));
            None
        }
    };
    match &node.content {
        Content::Text(text) => from_text(text, problems),
        Content::List(items) => {
            let elements = elements(items, form, problems)?;
            let mut full = elements.iter().filter(|element| !element.trim().is_empty());
            match (full.next(), full.next()) {
                (None, _) => {
                    problems.push(blank(form).into());
                    None
                }
                (Some(only), None) => from_text(only, problems),
                (Some(_), Some(_)) => {
                    let program = elements.first().map(String::as_str).unwrap_or_default();
                    if program.is_empty() || program.contains(char::is_whitespace) {
                        problems.push(several(&elements, form).into());
                        return None;
                    }
                    problems.extend(lone_operator(&elements, form).map(CommandProblem::from));
                    Some(Command::Argv(elements))
                }
            }
        }
        _ => {
            let own = if form.kubernetes { "; without the key the image's own program runs" } else { "" };
            problems.push(
                CoreProblem::error(
                    code::TYPE,
                    format!("`{}` must be text or a list of texts, found {}", form.key, node.found()),
                )
                .help(match node.content {
                    Content::Null => format!("write `{}: [echo, hello]`{own}", form.key),
                    _ => format!("quote it, or write a list: `{}: [echo, hello]`", form.key),
                })
                .into(),
            );
            None
        }
    }
}

/// The texts of a list as written; none: an element is no scalar.
fn elements(items: &[Node], form: Form<'_>, problems: &mut Vec<CommandProblem>) -> Option<Vec<String>> {
    let mut elements = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match item.scalar() {
            Some(text) => elements.push(text.to_owned()),
            None => problems.push(CommandProblem {
                problem: CoreProblem::error(
                    code::TYPE,
                    format!("an element of `{}` must be text, found {}", form.key, item.found()),
                )
                .help(match item.content {
                    Content::Null => "remove it, or write `\"\"` for an empty argument",
                    Content::Mapping(_) => "quote it: a text with `: ` in it is read as a mapping",
                    _ => "quote it",
                }),
                item: Some(index),
            }),
        }
    }
    (elements.len() == items.len()).then_some(elements)
}

fn blank(form: Form<'_>) -> CoreProblem {
    let problem = CoreProblem::error(code::COMMAND, "the command is blank");
    if form.kubernetes {
        problem.help("give a program, or remove `command` to run the image's own")
    } else {
        problem.help(format!("write what runs: `{}: echo hello`", form.key))
    }
}

fn several(elements: &[String], form: Form<'_>) -> CoreProblem {
    let joined = elements.iter().filter(|element| !element.trim().is_empty()).cloned().collect::<Vec<_>>().join(" && ");
    CoreProblem::error(code::COMMAND, "these are several commands, and a step runs one").help(format!(
        "make a step of each, or write `{}: [sh, -c, {}]`",
        form.key,
        cut_to(&double_quoted(&joined), LONGEST_HELP)
    ))
}

fn double_quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Splits text into words.
pub(super) fn words(text: &str) -> Result<Vec<String>, Box<CoreProblem>> {
    if text.is_empty() {
        return Err(Box::new(blank(Form { key: "command", kubernetes: true })));
    }
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars().peekable();
    while let Some(character) = chars.next() {
        match character {
            _ if character.is_ascii_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(literal) => word.push(literal),
                        None => return Err(Box::new(unbalanced('\''))),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some(escaped @ ('"' | '\\' | '`')) => word.push(escaped),
                            // `\$` stays: it becomes `$` when variables are put in.
                            Some(kept) => word.extend(['\\', kept]),
                            None => return Err(Box::new(unbalanced('"'))),
                        },
                        Some(literal) => word.push(literal),
                        None => return Err(Box::new(unbalanced('"'))),
                    }
                }
            }
            '\\' => match chars.next() {
                Some('$') => word.get_or_insert_default().push_str("\\$"),
                Some(literal) => word.get_or_insert_default().push(literal),
                None => {
                    return Err(Box::new(
                        CoreProblem::error(code::COMMAND, "the command ends with a backslash")
                            .help("remove it, or write it twice"),
                    ));
                }
            },
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    if words.first().is_none_or(String::is_empty) {
        return Err(Box::new(
            CoreProblem::error(code::COMMAND, "the command begins with an empty word: there is no program")
                .help("begin with the program"),
        ));
    }
    Ok(words)
}

fn unbalanced(quote: char) -> CoreProblem {
    CoreProblem::error(code::COMMAND, format!("a quote `{quote}` is not closed"))
        .help(format!("close it, or write `\\{quote}` where the character itself is meant"))
}

/// Warns of text that only a shell would understand.
fn no_shell(text: &str, form: Form<'_>) -> Option<CoreProblem> {
    let text = text.trim();
    let mut chars = text.char_indices().peekable();
    let mut quote = None;
    while let Some((at, character)) = chars.next() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => {
                chars.next();
            }
            (Some(_), _) => {}
            (None, '|' | '&' | ';' | '<' | '>' | '`') => {
                let twice =
                    matches!(character, '|' | '&' | '>') && chars.peek().is_some_and(|(_, next)| *next == character);
                let operator = if twice { [character, character].iter().collect() } else { character.to_string() };
                return Some(shell_text(&operator, text, form));
            }
            (None, '$') if chars.peek().is_some_and(|(_, next)| *next == '(') => {
                let rest = text.get(at + 2..).unwrap_or_default();
                let end = rest
                    .find(|character: char| !(character.is_ascii_alphanumeric() || "_.-".contains(character)))
                    .unwrap_or(rest.len());
                let is_name = end > 0 && rest.get(end..).is_some_and(|rest| rest.starts_with(')'));
                if !is_name {
                    return Some(shell_text("$(", text, form));
                }
            }
            _ => {}
        }
    }
    None
}

/// Warns of a list in which an operator stands alone.
fn lone_operator(elements: &[String], form: Form<'_>) -> Option<CoreProblem> {
    const OPERATORS: &[&str] = &["|", "||", "&&", ";", ">", ">>", "<", "&"];
    let operator = elements.iter().find(|element| OPERATORS.contains(&element.as_str()))?;
    let line = elements
        .iter()
        .map(|element| {
            if OPERATORS.contains(&element.as_str()) {
                element.clone()
            } else {
                shell_words::quote(element).into_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(" ");
    Some(shell_text(operator, &line, form))
}

fn shell_text(operator: &str, text: &str, form: Form<'_>) -> CoreProblem {
    CoreProblem::warning(
        code::NO_SHELL,
        format!("no shell reads this command: `{operator}` goes to the program as it is"),
    )
    .help(format!(
        "if a shell is meant, write `{}: [sh, -c, {}]`",
        form.key,
        cut_to(&double_quoted(text.trim()), LONGEST_HELP)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn splits(text: &str, expected: &[&str], warns: bool) {
        let node = Node::from_json(&serde_json::json!(text));
        let mut problems = Vec::new();
        let command = argv(&node, &mut problems);
        let expected = expected.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(command, Some(Command::Argv(expected)), "{text}");
        assert_eq!(problems.iter().any(|found| found.problem.code == code::NO_SHELL), warns, "{text}");
    }

    #[test]
    fn text_is_split_as_a_posix_shell_splits_it() {
        splits(r#"echo "hello from kubernetes""#, &["echo", "hello from kubernetes"], false);
        splits("sh -c 'echo a && echo b'", &["sh", "-c", "echo a && echo b"], false);
        splits("echo a && echo b", &["echo", "a", "&&", "echo", "b"], true);
        splits("cat f | wc -l", &["cat", "f", "|", "wc", "-l"], true);
        splits("cat f|wc", &["cat", "f|wc"], true);
        splits(r#"printf "a\tb""#, &["printf", r"a\tb"], false);
        splits(r#"grep "\d+" f"#, &["grep", r"\d+", "f"], false);
        splits(r"echo a\ b", &["echo", "a b"], false);
        splits(r#"echo """#, &["echo", ""], false);
        splits(r#"sh -c "echo \$HOME""#, &["sh", "-c", r"echo \$HOME"], false);
        splits(r#"app --msg="a b""#, &["app", "--msg=a b"], false);
        splits("echo $(NAME)", &["echo", "$(NAME)"], false);
        splits("echo $(date)", &["echo", "$(date)"], false);
        splits("echo $(date -u)", &["echo", "$(date", "-u)"], true);
        splits("echo one # two", &["echo", "one", "#", "two"], false);
    }

    #[track_caller]
    fn refused(value: serde_json::Value, expected: &str) {
        let mut problems = Vec::new();
        assert_eq!(argv(&Node::from_json(&value), &mut problems), None, "{value}");
        assert_eq!(problems.first().map(|found| found.problem.code.as_str()), Some(expected), "{value}");
    }

    #[test]
    fn what_is_no_command_is_refused() {
        use serde_json::json;
        for text in ["", " ", "echo 'a", "echo \"a", "echo \\", "'' a", "echo a\necho b"] {
            refused(json!(text), code::COMMAND);
        }
        refused(json!([]), code::COMMAND);
        refused(json!(["", " "]), code::COMMAND);
        refused(json!(["echo one", "echo two"]), code::COMMAND);
        refused(json!(["echo", {"a": "b"}]), code::TYPE);
        refused(json!(["echo", null]), code::TYPE);
        refused(json!(5), code::TYPE);
        refused(json!({"a": 1}), code::TYPE);
    }

    #[test]
    fn a_list_is_the_argv_itself() {
        use serde_json::json;
        let read = |value: serde_json::Value| {
            let mut problems = Vec::new();
            argv(&Node::from_json(&value), &mut problems)
        };
        let argv = |words: &[&str]| Some(Command::Argv(words.iter().map(|word| (*word).to_owned()).collect()));
        assert_eq!(read(json!(["sh", "-c", "echo a", ""])), argv(&["sh", "-c", "echo a", ""]));
        assert_eq!(read(json!(["", "echo hi", ""])), argv(&["echo", "hi"]));
        assert_eq!(read(json!(["app"])), argv(&["app"]));
        assert_eq!(read(json!(["sleep", 5, true])), argv(&["sleep", "5", "true"]));
    }
}
