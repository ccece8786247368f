//! `docs/rules.md`: every code with what it says and what a user sees of it, made from the model's list and the corpus.
//!
//! `BLESS=1` writes the page. A code without a case has no example, and `coverage` refuses that.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::Result;
use model::problem::{Severity, code};
use tests::{folders, golden, root};

const HEAD: &str = "# Rules

What `runner check` says of a file has a code. Codes are stable: they are never renamed and never get another meaning.
An error of a `core/` code makes the file invalid: exit 2. An error of a policy, whose codes begin with its name, denies:
exit 3. Warnings and infos change nothing. The same codes stand in JSON, SARIF, GitHub annotations and JUnit.

This page is made from the code and from `tests/corpus/`, where each example is a case.
";

/// The first problem with each code that a case of the corpus shows, and the name of the case. Cases that show one
/// problem only make the better examples.
fn examples() -> Result<BTreeMap<String, (String, String)>> {
    let mut examples: BTreeMap<String, (usize, String, String)> = BTreeMap::new();
    for folder in folders(&root().join("tests/corpus"))? {
        let Ok(shown) = fs::read_to_string(folder.join("problems.txt")) else { continue };
        let case = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let blocks: Vec<&str> = shown.split("\n\n").collect();
        for block in &blocks {
            let Some((_, rest)) = block.split_once('[') else { continue };
            let Some((code, _)) = rest.split_once(']') else { continue };
            let better = examples.get(code).is_none_or(|(others, ..)| blocks.len() < *others);
            if better {
                examples.insert(code.to_owned(), (blocks.len(), case.clone(), block.trim_end().to_owned()));
            }
        }
    }
    Ok(examples.into_iter().map(|(code, (_, case, block))| (code, (case, block))).collect())
}

#[test]
fn the_page_of_rules_is_what_the_code_and_the_corpus_say() -> Result<()> {
    let examples = examples()?;
    let mut page = HEAD.to_owned();
    page.push_str("\n| code | severity | says |\n|---|---|---|\n");
    for listed in code::ALL {
        let severity = word(listed.severity);
        let anchor = listed.code.replace('/', "");
        writeln!(page, "| [`{}`](#{anchor}) | {severity} | {} |", listed.code, listed.about)?;
    }
    for listed in code::ALL {
        writeln!(page, "\n## {}\n\n{} ({})", listed.code, listed.about, word(listed.severity))?;
        if let Some((case, block)) = examples.get(listed.code) {
            writeln!(page, "\n```text\n{block}\n```\n\n[{case}](../tests/corpus/{case}/dag.yaml)")?;
        }
    }
    golden(&root().join("docs/rules.md"), &page)
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}
