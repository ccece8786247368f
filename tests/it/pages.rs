//! The pages for users say what is so: the workflows on them are valid, and the commands print what is shown.
//!
//! The words behind the three backticks say what a block is:
//!
//! - `yaml workflow [FILE]`: a whole workflow file; `runner check` has nothing to say about it. In its own folder of the page it
//!   is called FILE.
//! - `console run [exit=CODE]`: each `$ runner …` is run in that folder, one after the other, and ends with CODE (0). The
//!   lines below it are printed, in this order, on standard output or error; `…` stands for anything.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use model::workflow::{
    CONDITION, CONTINUE_ON_BLOCK, DEFAULTS_BLOCK, HANDLER_ON, PARAMETER, REPEAT_POLICY, RETRY_POLICY, SECRET,
    SECRET_OPTIONS, STEP, WORKFLOW_FILE,
};
use serde_json::Value;
use tests::{Runner, Workdir, root};

/// A block of a page.
struct Block<'a> {
    /// What it is.
    words: Vec<&'a str>,
    /// Its first line, from 1.
    line: usize,
    text: String,
}

/// The blocks of a page that have more words than their language.
fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut is_open = false;
    for (number, line) in (1..).zip(page.lines()) {
        match (line.strip_prefix("```"), is_open) {
            (Some(_), true) => is_open = false,
            (Some(words), false) => {
                is_open = true;
                blocks.push(Block { words: words.split_whitespace().collect(), line: number + 1, text: String::new() });
            }
            (None, true) => blocks.last_mut().unwrap().text.extend([line, "\n"]),
            (None, false) => {}
        }
    }
    blocks.retain(|block| block.words.len() > 1);
    blocks
}

fn runner(workdir: &Workdir) -> Runner {
    // What the pages name lies where it does in the repository.
    Runner::new(workdir).unwrap().env("LC_ALL", "C.UTF-8")
}

fn workflow(place: &str, block: &Block<'_>, workdir: &Workdir) {
    let file = block.words.get(2).copied().unwrap_or("dag.yaml");
    workdir.write(file, &block.text).unwrap();
    let output = runner(workdir).args(["check", file]).run().unwrap();
    assert!(output.code == Some(0) && output.stdout.is_empty(), "{place}: {}{}", output.stdout, output.stderr);
}

/// The commands of a block, each with the lines that are shown below it.
fn commands(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut commands: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("$ ") {
            Some(command) => commands.push((command.split(" #").next().unwrap_or(command).trim(), Vec::new())),
            None => commands.last_mut().expect("a block begins with a command").1.push(line),
        }
    }
    commands
}

/// Whether a line fits one that is shown: `…` is anything.
fn fits(shown: &str, line: &str) -> bool {
    let mut rest = line;
    let mut parts = shown.trim_end().split('…').peekable();
    let mut is_first = true;
    while let Some(part) = parts.next() {
        let at = match (is_first, parts.peek().is_none()) {
            (true, true) => return rest.trim_end() == part,
            (true, false) => rest.starts_with(part).then_some(0),
            (false, true) => return rest.trim_end().ends_with(part),
            (false, false) => rest.find(part),
        };
        let Some(at) = at else { return false };
        rest = &rest[at + part.len()..];
        is_first = false;
    }
    true
}

fn console(place: &str, block: &Block<'_>, workdir: &Workdir) {
    let code = block.words.get(2).map_or(0, |word| word.strip_prefix("exit=").unwrap().parse().unwrap());
    for (command, shown) in commands(&block.text) {
        let arguments = command.strip_prefix("runner ").unwrap_or_else(|| panic!("{place}: `{command}` is not ours"));
        let output = runner(workdir).args(arguments.split_whitespace()).run().unwrap();
        let found = format!("{}{}", output.stdout, output.stderr);
        assert_eq!(output.code, Some(code), "{place}: `{command}`\n{found}");
        for stream in [&output.stdout, &output.stderr] {
            assert!(!stream.contains("panicked"), "{place}: {found}");
        }
        let mut lines = found.lines();
        for shown in shown {
            assert!(lines.any(|line| fits(shown, line)), "{place}: `{command}` does not print `{shown}`\n{found}");
        }
    }
}

fn pages() -> Vec<std::path::PathBuf> {
    let mut pages: Vec<_> = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.push(root().join("README.md"));
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    pages
}

fn link(workdir: &Workdir, name: &str) {
    std::os::unix::fs::symlink(root().join(name), workdir.path().join(Path::new(name).file_name().unwrap())).unwrap();
}

#[test]
fn workflows_on_pages_are_valid_and_commands_print_what_is_shown() {
    let (mut workflows, mut consoles) = (0, 0);
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let workdir = Workdir::new().unwrap();
        link(&workdir, "policies");
        link(&workdir, "runner/examples");
        for block in blocks(&text) {
            let place = format!("{}:{}", page.display(), block.line);
            match block.words[..2] {
                ["yaml", "workflow"] => {
                    workflows += 1;
                    workflow(&place, &block, &workdir);
                }
                ["console", "run"] => {
                    consoles += 1;
                    console(&place, &block, &workdir);
                }
                // The examples of Rust, for the compiler.
                [language, _] => assert!(language.starts_with("rust"), "{place}: {:?}", block.words),
                _ => {}
            }
        }
    }
    assert!(workflows >= 15 && consoles >= 5, "{workflows} workflows, {consoles} consoles");
}

#[test]
fn the_page_of_the_workflow_file_names_every_key() {
    let page = fs::read_to_string(root().join("docs/workflow.md")).unwrap();
    let mappings = [
        &WORKFLOW_FILE,
        &STEP,
        &DEFAULTS_BLOCK,
        &HANDLER_ON,
        &CONTINUE_ON_BLOCK,
        &RETRY_POLICY,
        &REPEAT_POLICY,
        &CONDITION,
        &SECRET,
        &SECRET_OPTIONS,
        &PARAMETER,
    ];
    for mapping in mappings {
        let known = mapping.fields.iter().map(|field| field.key);
        for key in known.chain(mapping.ignored.iter().copied()).chain(mapping.unsupported.iter().copied()) {
            // As a word of a sentence or of a table, or as a key of an example.
            let is_there = page.contains(&format!("`{key}`")) || page.contains(&format!("{key}: "));
            assert!(is_there, "docs/workflow.md says nothing about `{key}` of {}", mapping.name);
        }
    }
}

/// The keys of an object and of all inside it, but for those of `counts`, which are statuses.
fn keys(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(entries) => entries
            .iter()
            .flat_map(|(key, value)| {
                let inner = if key == "counts" { Vec::new() } else { keys(value) };
                std::iter::once(key.as_str()).chain(inner)
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(keys).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_page_of_events_names_what_a_run_tells() {
    let page = fs::read_to_string(root().join("docs/events.md")).unwrap();
    let workdir = Workdir::new().unwrap();
    let mut seen = BTreeSet::new();
    for arguments in [
        &["runner/examples/retry.yaml"][..],
        &["runner/examples/handlers.yaml", "-p", "CODE=3"],
        &["runner/examples/preconditions.yaml"],
    ] {
        let state = workdir.path().display().to_string();
        let runner = Runner::in_folder(&root()).unwrap().args(["exec", "--local", "--output", "json"]);
        let output = runner.args(["--state-dir", &state]).args(arguments).run().unwrap();
        for line in output.stdout.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let name = event["event"].as_str().unwrap();
            seen.insert(name.to_owned());
            assert!(page.contains(&format!("| `{name}`")) || page.contains(&format!(", `{name}` |")), "no `{name}`");
            for key in keys(&event) {
                assert!(page.contains(&format!("`{key}`")), "docs/events.md says nothing about `{key}` of `{name}`");
            }
        }
    }
    assert!(seen.len() >= 6, "{seen:?}");
}

#[test]
fn a_shown_line_stands_for_all_that_it_leaves_out() {
    assert!(fits("a … c", "a b c") && fits("…", "x") && fits("a…", "abc") && fits("…c", "abc"));
    assert!(fits("same", "same  ") && !fits("same", "same not") && !fits("a … c", "a c d") && !fits("a…b…c", "acb"));
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut pages = pages();
    pages.extend(["CONTRIBUTING.md", "ARCHITECTURE.md", "policies/README.md"].map(|page| root().join(page)));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let place = format!("{}: `{target}`", page.display());
            assert!(file.exists(), "{place} is not there");
            if !heading.is_empty() {
                let linked = fs::read_to_string(&file).unwrap();
                let is_meant = |line: &str| {
                    line.starts_with('#') && anchor(line) == heading || line.contains(&format!("<a id=\"{heading}\">"))
                };
                let found = linked.lines().any(is_meant);
                assert!(found, "{place}: there is no such heading");
            }
        }
    }
}

/// What a heading is called in a link.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|character| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_'));
    kept.map(|character| if character == ' ' { '-' } else { character }).collect()
}
