//! What `check` found out, before it takes a form: what all its formats have in common.

use std::path::{Component, Path};

use model::problem::Problem;
use model::report::Report;

use super::{ExitCode, Failed, PolicyInForce};
use crate::policy_set::PolicySet;
use crate::sources::Source;
use crate::wasm::Role;

/// What `check` found out about all files.
#[derive(Debug)]
pub struct Checked {
    policies: Vec<PolicyInForce>,
    warnings: Vec<String>,
    files: Vec<CheckedFile>,
    sources: Vec<Source>,
    failures: Vec<Problem>,
    code: ExitCode,
}

/// What `check` found out about one workflow file.
#[derive(Debug)]
pub struct CheckedFile {
    /// Name of the workflow file.
    pub name: String,
    /// Its problems and those of base.yaml, in the order in which they are shown.
    pub problems: Vec<Problem>,
}

impl Checked {
    /// Nothing yet, under these rules.
    pub fn under(set: &PolicySet) -> Checked {
        Checked {
            policies: PolicyInForce::list(set),
            warnings: set.warnings().to_vec(),
            files: Vec::new(),
            sources: Vec::new(),
            failures: Vec::new(),
            code: ExitCode::Success,
        }
    }

    /// Nothing could be judged.
    pub fn failed(failures: Vec<Failed>) -> Checked {
        Checked {
            policies: Vec::new(),
            warnings: Vec::new(),
            files: Vec::new(),
            sources: Vec::new(),
            failures: failures.into_iter().map(Failed::problem).collect(),
            code: ExitCode::Invalid,
        }
    }

    /// Adds what was found in a workflow file and the base.yaml under it.
    pub fn add(&mut self, sources: &[Source], report: Report) {
        let Report { verdict, problems } = report;
        self.code = self.code.max(verdict.into());
        // base.yaml is read with each file; what is wrong with it alone is said once.
        let base = sources.iter().find(|source| source.role == Role::Base).map(|source| source.name.as_str());
        let is_new = |problem: &Problem| {
            base.is_none() || problem.file.as_deref() != base || self.problems().all(|known| known != problem)
        };
        let problems = problems.into_iter().filter(is_new).collect();
        let name = sources.last().map(|source| source.name.clone()).unwrap_or_default();
        self.files.push(CheckedFile { name, problems });
        self.sources.extend(sources.iter().cloned());
    }

    /// The policies in force.
    pub fn policies(&self) -> &[PolicyInForce] {
        &self.policies
    }

    /// What the user should know about the rules, though nothing stops.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The files, in the order in which they were named.
    pub fn files(&self) -> &[CheckedFile] {
        &self.files
    }

    /// All problems of all files.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.files.iter().flat_map(|file| &file.problems)
    }

    /// The texts of all files.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Why nothing could be judged; then there are no files.
    pub fn failures(&self) -> &[Problem] {
        &self.failures
    }

    /// How the program ends.
    pub fn code(&self) -> ExitCode {
        self.code
    }
}

/// A problem in words, without its place: the message, then what to do, what belongs to it and where to read on, each
/// with a word before it.
pub(super) fn words(problem: &Problem) -> Vec<String> {
    let help = problem.help.iter().map(|help| format!("help: {help}"));
    let related = problem
        .related
        .iter()
        .map(|related| format!("note: {}:{}:{}: {}", related.file, related.line, related.column, related.message));
    let url = problem.url.iter().map(|url| format!("see {url}"));
    std::iter::once(problem.message.clone()).chain(help).chain(related).chain(url).collect()
}

/// Where a file is, for programs that know the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FilePath {
    /// The names of folders and file. `..` may stand at the beginning.
    pub(super) parts: Vec<String>,
    /// Whether they begin at the root of the machine.
    pub(super) is_absolute: bool,
}

impl FilePath {
    /// The path of a file as the user named it; from the current folder when it lies there.
    pub(super) fn new(name: &str) -> FilePath {
        let here = std::env::current_dir().ok();
        FilePath::seen_from(name, here.as_deref())
    }

    fn seen_from(name: &str, here: Option<&Path>) -> FilePath {
        let path = Path::new(name);
        let path = here.and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
        let parts = path.components().filter_map(|part| match part {
            Component::RootDir | Component::CurDir => None,
            part => Some(part.as_os_str().to_string_lossy().into_owned()),
        });
        FilePath { parts: parts.collect(), is_absolute: path.is_absolute() }
    }

    /// Whether it lies in the current folder.
    pub(super) fn is_here(&self) -> bool {
        !self.is_absolute && self.parts.first().is_some_and(|first| first != "..")
    }
}

impl std::fmt::Display for FilePath {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let root = if self.is_absolute { "/" } else { "" };
        write!(formatter, "{root}{}", self.parts.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_starts_at_the_current_folder_where_it_can() {
        for (name, shown, is_here) in [
            ("dag.yaml", "dag.yaml", true),
            ("./flows//dag.yaml", "flows/dag.yaml", true),
            ("/repository/flows/dag.yaml", "flows/dag.yaml", true),
            ("../dag.yaml", "../dag.yaml", false),
            ("/etc/runner/base.yaml", "/etc/runner/base.yaml", false),
        ] {
            let path = FilePath::seen_from(name, Some(Path::new("/repository")));
            assert_eq!((path.to_string().as_str(), path.is_here()), (shown, is_here), "{name}");
        }
    }
}
