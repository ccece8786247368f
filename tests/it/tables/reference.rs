//! `REFERENCE.md`: every rule and example of the executor's reference page, by its sections.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use tests::{folders, root};

use super::case::Case;
use super::{Row, quoted, rows};

const PAGE: &str = "REFERENCE.md";

/// The sections of the page that say something about a file or a run, in its order.
const SECTIONS: [&str; 15] = [
    "Basic Usage",
    "DAG-Level Defaults",
    "Cluster Resolution",
    "Command Behavior",
    "Logging and Cleanup",
    "Cluster and Runtime",
    "Environment",
    "Resources, Scheduling, and Metadata",
    "Security Context",
    "Pod Security Context",
    "Affinity",
    "Job Lifecycle",
    "Volumes",
    "Complete Example",
    "Unsupported Fields",
];

#[test]
fn every_rule_and_example_of_the_reference_has_what_shows_it() -> Result<()> {
    let rows = rows(PAGE, 4)?;
    let wrong: Vec<String> =
        rows.iter().filter_map(|row| Some(format!("{PAGE}:{}: {:#}", row.line, hold(row).err()?))).collect();
    ensure!(wrong.is_empty(), "{} rows are not as told\n  {}", wrong.len(), wrong.join("\n  "));
    let mut told: Vec<&str> = rows.iter().map(|row| row.heading.as_str()).collect();
    told.dedup();
    ensure!(told == SECTIONS, "the sections are {told:#?}");
    Ok(())
}

/// The cases of a row are as told, and its tests are there.
fn hold(row: &Row) -> Result<()> {
    let [rule, kept, broken, shown] = row.cells.as_slice() else { anyhow::bail!("not four cells") };
    ensure!(rule.len() > 10, "nothing is told");
    let (kept, broken, shown) = (quoted(kept), quoted(broken), quoted(shown));
    ensure!(!kept.is_empty() || !broken.is_empty() || !shown.is_empty(), "nothing shows it");
    for name in kept {
        ensure!(Case::read(name)?.is_valid(), "`{name}` has errors");
        is_of_section(name, &row.heading)?;
    }
    for pair in broken.chunks(2) {
        let [name, code] = pair else { anyhow::bail!("a case without its code") };
        let case = Case::read(name)?;
        ensure!(!case.is_valid() && case.has(&format!("core/{code}")), "`{name}` has no error `core/{code}`");
        is_of_section(name, &row.heading)?;
    }
    for pair in shown.chunks(2) {
        let [test, file] = pair else { anyhow::bail!("a test without its file") };
        let text = fs::read_to_string(root().join(file)).with_context(|| (*file).to_owned())?;
        let is_test = |(at, _): (usize, &str)| text.get(..at).unwrap_or_default().trim_end().ends_with("#[test]");
        ensure!(text.match_indices(&format!("fn {test}(")).any(is_test), "`{file}` has no test `{test}`");
    }
    Ok(())
}

/// A case of the reference says in its first line which section it is of.
fn is_of_section(name: &str, section: &str) -> Result<()> {
    if name.trim_start_matches("mistake-").starts_with("reference-") {
        let text = fs::read_to_string(root().join("tests/corpus").join(name).join("dag.yaml"))?;
        let first = text.lines().next().unwrap_or_default();
        ensure!(first == format!("# Kubernetes executor, {section}"), "`{name}` begins with `{first}`");
    }
    Ok(())
}

#[test]
fn every_case_of_the_reference_is_on_the_page() -> Result<()> {
    let mut named = BTreeSet::new();
    for row in rows(PAGE, 4)? {
        named.extend(row.cells.iter().flat_map(|cell| quoted(cell)).map(str::to_owned));
    }
    for folder in folders(&root().join("tests/corpus"))? {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_of_reference = name.trim_start_matches("mistake-").starts_with("reference-");
        ensure!(!is_of_reference || named.contains(&name), "`{name}` is not on {PAGE}");
    }
    Ok(())
}
