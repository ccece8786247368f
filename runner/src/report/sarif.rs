//! Problems as a SARIF 2.1.0 log, for code scanning and editors.
//!
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html>
//!
//! One run, whose driver is the program and whose extensions are the policies in force; a rule is a code, and belongs to
//! who says it. The log is valid also when nothing could be judged: then it has no results, says that the execution was
//! not successful, and why.

use std::collections::BTreeMap;

use model::path::{self, Segment};
use model::problem::{End, Problem, RelatedPlace, Severity, code};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::checked::{Checked, FilePath, words};
use super::problems::Lines;
use super::replacement::{marked, replacement};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The folder that relative addresses start from. Code scanning takes it for the root of the repository.
const ROOT: &str = "%SRCROOT%";

/// Key of our fingerprint; another way to make it gets another number.
const FINGERPRINT: &str = "runner/v1";

/// Everything but what RFC 3986 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The log.
pub fn sarif(checked: &Checked) -> Value {
    let lines = checked.sources().iter().map(|source| (source.name.as_str(), Lines::new(&source.text))).collect();
    let mut log = Log { lines, tools: Tools::new(checked), fingerprints: BTreeMap::new() };
    let mut results = Vec::new();
    for file in checked.files() {
        for problem in &file.problems {
            results.push(log.result(problem, &file.name));
        }
    }
    let failed = checked.failures().iter().map(|failure| {
        json!({
            "descriptor": {"id": failure.code},
            "level": level(failure.severity),
            "message": {"text": words(failure).join("\n")},
        })
    });
    let warned = checked.warnings().iter().map(|warning| json!({"level": "warning", "message": {"text": warning}}));
    let (driver, extensions) = log.tools.written();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": driver, "extensions": extensions},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": {ROOT: {"description": {"text": "the folder in which runner was started"}}},
            "invocations": [{
                "executionSuccessful": checked.failures().is_empty(),
                "exitCode": checked.code().number(),
                "toolExecutionNotifications": failed.chain(warned).collect::<Vec<_>>(),
            }],
            "results": results,
        }],
    })
}

/// What is known while results are written.
struct Log<'a> {
    lines: BTreeMap<&'a str, Lines<'a>>,
    tools: Tools<'a>,
    /// How often each fingerprint has been given.
    fingerprints: BTreeMap<String, usize>,
}

impl<'a> Log<'a> {
    /// A problem found while `workflow` was checked.
    fn result(&mut self, problem: &'a Problem, workflow: &str) -> Value {
        let line = self.line(problem);
        let mut location = Map::new();
        // Code scanning shows nothing that has no file: what a policy's layer holds is shown at the workflow it broke.
        let file = problem.file.as_deref().unwrap_or(workflow);
        let region = region(problem.line, problem.column, problem.end);
        location.insert("physicalLocation".to_owned(), physical(file, region.clone()));
        if !problem.path.is_empty() {
            location.insert("logicalLocations".to_owned(), json!([{"fullyQualifiedName": problem.path}]));
        }
        let mut result = Map::new();
        result.insert("ruleId".to_owned(), problem.code.as_str().into());
        let (key, reference) = self.tools.rule(problem);
        result.insert(key.to_owned(), reference);
        result.insert("level".to_owned(), level(problem.severity).into());
        result.insert("message".to_owned(), json!({"text": message(problem)}));
        result.insert("locations".to_owned(), json!([location]));
        if !problem.related.is_empty() {
            result.insert("relatedLocations".to_owned(), problem.related.iter().map(related).collect());
        }
        let replacement = line.and_then(|line| replacement(problem, line));
        if let (Some(text), Some(region)) = (replacement, region) {
            result.insert("fixes".to_owned(), json!([fix(problem, file, &region, &text)]));
        }
        result
            .insert("partialFingerprints".to_owned(), json!({FINGERPRINT: self.fingerprint(problem, workflow, line)}));
        let step = problem.step.as_ref().map(|step| ("step".to_owned(), step.as_str().into()));
        let policy = ("policy".to_owned(), problem.policy.as_str().into());
        result.insert("properties".to_owned(), step.into_iter().chain([policy]).collect::<Map<_, _>>().into());
        result.into()
    }

    /// The line where a problem begins.
    fn line(&self, problem: &Problem) -> Option<&'a str> {
        self.lines.get(problem.file.as_deref()?)?.line(usize::try_from(problem.line?).ok()?)
    }

    /// The same for the same mistake after lines, steps or items were added before it: no numbers go into it but the
    /// count of those that are otherwise the same.
    fn fingerprint(&mut self, problem: &Problem, workflow: &str, line: Option<&str>) -> String {
        let file = FilePath::new(problem.file.as_deref().unwrap_or(workflow)).to_string();
        let keys: Vec<String> = path::parse(&problem.path)
            .unwrap_or_default()
            .into_iter()
            .map(|segment| match segment {
                Segment::Key(key) => key,
                Segment::Index(_) => "[]".to_owned(),
            })
            .collect();
        let written = line.and_then(|line| Some(marked(problem, line)?.1).or(Some(line))).unwrap_or_default().trim();
        let step = problem.step.as_deref().unwrap_or_default();
        let mut digest = Sha256::new();
        for part in [problem.code.as_str(), &file, step, written].into_iter().chain(keys.iter().map(String::as_str)) {
            digest.update(part);
            digest.update([0]);
        }
        // 64 bits: enough to tell the problems of a repository apart.
        let digest: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let count = self.fingerprints.entry(digest.clone()).or_default();
        *count += 1;
        format!("{digest}:{count}")
    }
}

/// The program and the policies, each with the rules that results name.
struct Tools<'a> {
    driver: Rules<'a>,
    extensions: Vec<(Value, &'a str, Rules<'a>)>,
}

/// The first problem of each rule, in the order in which they came.
#[derive(Default)]
struct Rules<'a>(Vec<&'a Problem>);

impl<'a> Rules<'a> {
    fn index(&mut self, problem: &'a Problem) -> usize {
        let known = self.0.iter().position(|known| known.code == problem.code);
        known.unwrap_or_else(|| {
            self.0.push(problem);
            self.0.len() - 1
        })
    }

    fn written(&self) -> Vec<Value> {
        self.0.iter().map(|problem| rule(problem)).collect()
    }
}

impl<'a> Tools<'a> {
    fn new(checked: &'a Checked) -> Tools<'a> {
        let extensions = checked.policies().iter().map(|policy| {
            let written = json!({
                "name": policy.name,
                "version": policy.version,
                "properties": {"sha256": policy.sha256, "mode": policy.mode},
            });
            (written, policy.name.as_str(), Rules::default())
        });
        Tools { driver: Rules::default(), extensions: extensions.collect() }
    }

    /// How a result names its rule: a key, and what stands there.
    fn rule(&mut self, problem: &'a Problem) -> (&'static str, Value) {
        let by = self.extensions.iter_mut().enumerate().find(|(_, (_, name, _))| *name == problem.policy);
        match by {
            Some((index, (_, name, rules))) if code::find(&problem.code).is_none() => {
                let reference = json!({
                    "id": problem.code,
                    "index": rules.index(problem),
                    "toolComponent": {"index": index, "name": name},
                });
                ("rule", reference)
            }
            _ => ("ruleIndex", self.driver.index(problem).into()),
        }
    }

    fn written(self) -> (Value, Vec<Value>) {
        let driver = json!({
            "name": "runner",
            "version": env!("CARGO_PKG_VERSION"),
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "informationUri": env!("CARGO_PKG_REPOSITORY"),
            "rules": self.driver.written(),
        });
        let extensions = self.extensions.into_iter().map(|(mut extension, _, rules)| {
            if let Value::Object(extension) = &mut extension {
                extension.insert("rules".to_owned(), rules.written().into());
            }
            extension
        });
        (driver, extensions.collect())
    }
}

fn rule(problem: &Problem) -> Value {
    let mut rule = Map::new();
    rule.insert("id".to_owned(), problem.code.as_str().into());
    match code::find(&problem.code) {
        Some(known) => {
            rule.insert("shortDescription".to_owned(), json!({"text": known.about}));
            rule.insert("defaultConfiguration".to_owned(), json!({"level": level(known.severity)}));
        }
        None => {
            let about = format!("A rule of the policy `{}`.", problem.policy);
            rule.insert("shortDescription".to_owned(), json!({"text": about}));
        }
    }
    // A policy may write anything there; a log with an address that is none would not be valid.
    if let Some(url) = problem.url.as_deref().filter(|url| is_web_address(url)) {
        rule.insert("helpUri".to_owned(), url.into());
    }
    rule.into()
}

fn is_web_address(url: &str) -> bool {
    url.parse::<http::Uri>()
        .is_ok_and(|uri| matches!(uri.scheme_str(), Some("https" | "http")) && uri.authority().is_some())
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

/// The message and what to do; what else belongs to the problem has places of its own.
fn message(problem: &Problem) -> String {
    match &problem.help {
        Some(help) => format!("{}\nhelp: {help}", problem.message),
        None => problem.message.clone(),
    }
}

fn related(related: &RelatedPlace) -> Value {
    json!({
        "physicalLocation": physical(&related.file, region(Some(related.line), Some(related.column), None)),
        "message": {"text": related.message},
    })
}

fn fix(problem: &Problem, file: &str, region: &Value, text: &str) -> Value {
    let description = problem.help.as_ref().unwrap_or(&problem.message);
    json!({
        "description": {"text": description},
        "artifactChanges": [{
            "artifactLocation": artifact(file),
            "replacements": [{"deletedRegion": region, "insertedContent": {"text": text}}],
        }],
    })
}

fn physical(file: &str, region: Option<Value>) -> Value {
    let mut physical = Map::new();
    physical.insert("artifactLocation".to_owned(), artifact(file));
    physical.extend(region.map(|region| ("region".to_owned(), region)));
    physical.into()
}

fn artifact(file: &str) -> Value {
    let path = FilePath::new(file);
    let parts: Vec<_> = path.parts.iter().map(|part| utf8_percent_encode(part, ESCAPED).to_string()).collect();
    let address = parts.join("/");
    if file == "<stdin>" {
        json!({"uri": address, "description": {"text": "standard input"}})
    } else if path.is_here() {
        json!({"uri": address, "uriBaseId": ROOT})
    } else if path.is_absolute {
        json!({"uri": format!("file:///{address}")})
    } else {
        // Outside the root: relative to a place that the log does not name.
        json!({"uri": address})
    }
}

/// A region; the place after the value is what SARIF calls its end. A core policy that was replaced may count from 0.
fn region(line: Option<u32>, column: Option<u32>, end: Option<End>) -> Option<Value> {
    let (line, column) = (line?.max(1), column?.max(1));
    let mut region = json!({"startLine": line, "startColumn": column});
    if let (Some(end), Value::Object(region)) =
        (end.filter(|end| (end.line, end.column) >= (line, column)), &mut region)
    {
        region.insert("endLine".to_owned(), end.line.into());
        region.insert("endColumn".to_owned(), end.column.max(1).into());
    }
    Some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_escaped_and_say_where_they_start() {
        let root = json!("%SRCROOT%");
        assert_eq!(artifact("flows/a b#é.yaml"), json!({"uri": "flows/a%20b%23%C3%A9.yaml", "uriBaseId": root}));
        assert_eq!(artifact("./c:d.yaml"), json!({"uri": "c%3Ad.yaml", "uriBaseId": root}));
        assert_eq!(artifact("/etc/runner/base.yaml"), json!({"uri": "file:///etc/runner/base.yaml"}));
        assert_eq!(artifact("../dag.yaml"), json!({"uri": "../dag.yaml"}));
    }

    #[test]
    fn a_region_is_never_one_that_sarif_forbids() {
        assert_eq!(region(Some(0), Some(0), None), Some(json!({"startLine": 1, "startColumn": 1})));
        let before = Some(End { line: 1, column: 9 });
        assert_eq!(region(Some(2), Some(3), before), Some(json!({"startLine": 2, "startColumn": 3})));
    }

    #[test]
    fn only_addresses_of_pages_are_help() {
        assert!(is_web_address("https://rules.example.org/a?b#c"));
        for url in ["see the wiki", "javascript:alert(1)", "/rules", ""] {
            assert!(!is_web_address(url), "{url}");
        }
    }
}
