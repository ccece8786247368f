//! `RULES.md`: every rule has a case that breaks it and one that just does not.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::case::{self, Case};
use super::shape::{Shape, fits, pattern};
use super::{Row, constraints, quoted, rows};

const PAGE: &str = "RULES.md";

/// A rule as the page tells it.
struct Rule {
    code: String,
    /// Where its problem is shown; several: at each of them.
    paths: Vec<Shape>,
    broken: Example,
    kept: Example,
}

/// A case, perhaps the value that it has, and perhaps another place.
struct Example {
    case: String,
    value: Option<String>,
    at: Option<Shape>,
}

impl Rule {
    fn of(row: &Row) -> Result<Rule> {
        let [rule, code, paths, broken, kept] = row.cells.as_slice() else { anyhow::bail!("not five cells") };
        ensure!(rule.len() > 10, "the rule is not told");
        let example = |cell: &str| -> Result<Example> {
            let (cell, at) = cell.split_once(" at `").unwrap_or((cell, ""));
            let at = (!at.is_empty()).then(|| pattern(at.trim_end_matches('`')));
            let told = quoted(cell);
            let case = told.first().context("no case is named")?;
            Ok(Example { case: (*case).to_owned(), value: told.get(1).map(|value| (*value).to_owned()), at })
        };
        Ok(Rule {
            code: format!("core/{}", quoted(code).first().context("no code is named")?),
            paths: quoted(paths).iter().map(|path| pattern(path.trim())).collect(),
            broken: example(broken)?,
            kept: example(kept)?,
        })
    }

    fn hold(&self) -> Result<()> {
        ensure!(!self.paths.is_empty(), "no path is told");
        let (broken, kept) = (Case::read(&self.broken.case)?, Case::read(&self.kept.case)?);
        ensure!(kept.is_valid(), "`{}` has errors", self.kept.case);
        for path in &self.paths {
            let shown = path.join(".");
            ensure!(
                broken.breaks(&self.code, path, |value| self.broken.is_meant(value)),
                "`{}` has no `{}` at `{shown}` of the value told",
                self.broken.case,
                self.code
            );
            ensure!(
                kept.keeps(&self.code, self.kept.at.as_ref().unwrap_or(path), |value| self.kept.is_meant(value)),
                "`{}` has nothing at `{shown}` of the value told that is without `{}`",
                self.kept.case,
                self.code
            );
        }
        Ok(())
    }
}

impl Example {
    /// Whether a value is the one that is told: in YAML, or by its length (`63 characters`).
    fn is_meant(&self, value: Option<&Value>) -> bool {
        let Some(told) = &self.value else { return true };
        if let Some(length) = told.strip_suffix(" characters").and_then(|number| number.parse::<usize>().ok()) {
            return value.and_then(Value::as_str).is_some_and(|text| text.chars().count() == length);
        }
        if let Some(length) = told.strip_suffix(" items").and_then(|number| number.parse::<usize>().ok()) {
            return value.and_then(Value::as_array).is_some_and(|items| items.len() == length);
        }
        serde_yaml::from_str(told).is_ok_and(|told| value == Some(&case::plain(&told)))
    }
}

fn rules() -> Result<Vec<(usize, Rule)>> {
    rows(PAGE, 5)?
        .iter()
        .map(|row| Ok((row.line, Rule::of(row).with_context(|| format!("{PAGE}:{}", row.line))?)))
        .collect()
}

#[test]
fn every_rule_has_a_case_that_breaks_it_and_one_that_just_does_not() -> Result<()> {
    let wrong: Vec<String> =
        rules()?.iter().filter_map(|(line, rule)| Some(format!("{PAGE}:{line}: {:#}", rule.hold().err()?))).collect();
    ensure!(wrong.is_empty(), "{} rules are not as told\n  {}", wrong.len(), wrong.join("\n  "));
    Ok(())
}

#[test]
fn every_rule_of_the_model_is_on_the_page() -> Result<()> {
    let rules = rules()?;
    let constraints = constraints::all();
    let told = |code: &str, at: &Shape| {
        let deeper = |path: &Shape| fits(path, at) || code.ends_with("/exclusive") && path.starts_with(at);
        rules.iter().any(|(_, rule)| rule.code == code && rule.paths.iter().any(deeper))
    };
    // A field that stands at several places is told once.
    let seen: BTreeSet<(&str, &str)> =
        constraints.iter().filter(|one| told(one.code, &one.at)).map(|one| (one.field.as_str(), one.code)).collect();
    let missing: BTreeSet<String> = constraints
        .iter()
        .filter(|one| !seen.contains(&(one.field.as_str(), one.code)))
        .map(|one| format!("{} {} at {}", one.field, one.code, one.at.join(".")))
        .collect();
    let missing: Vec<String> = missing.into_iter().collect();
    ensure!(missing.is_empty(), "{} rules are not on {PAGE}\n  {}", missing.len(), missing.join("\n  "));
    Ok(())
}
