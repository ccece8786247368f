//! What a run began with, as `workflow.json` in its folder has it: enough to run the rest of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::policy_set::PolicySet;
use crate::sources::{Source, Sources};
use crate::wasm::Role;

/// Version of `workflow.json`, and the newest that is read.
pub const RECORDED_VERSION: u32 = 1;

/// What a run began with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// [`RECORDED_VERSION`].
    pub version: u32,
    /// The folder in which it began: paths of the file are relative to it.
    pub folder: PathBuf,
    /// The texts, lowest first.
    pub sources: Vec<RecordedSource>,
    /// Parameters given from outside.
    pub arguments: Vec<String>,
    /// What the command line says about the cluster.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub cluster: Map<String, Value>,
    /// SHA-256 of the core policy, hexadecimal.
    pub core: String,
    /// The organisation's policies, in the order in which they are asked.
    pub policies: Vec<RecordedPolicy>,
    /// Whether it runs on the embedded cluster.
    pub local: bool,
    /// The other options.
    pub options: RecordedOptions,
}

/// A text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedSource {
    /// Its name.
    pub name: String,
    /// Whether it is base.yaml.
    pub base: bool,
    /// The text.
    pub text: String,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedPolicy {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component, hexadecimal.
    pub sha256: String,
    /// Where it was, an absolute path.
    pub file: PathBuf,
}

/// Options of `exec` that hold for the whole run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecordedOptions {
    /// Steps that run at once; 0: no limit.
    pub max_active: usize,
    /// The step whose code the program ends with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code_from: Option<String>,
    /// The only steps that run; empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Texts of `--wait`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<String>,
    /// How long the folder of the run is kept, in days; none: as the program has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hist_retention_days: Option<u64>,
    /// How many runs of the workflow are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hist_retention_runs: Option<u64>,
}

impl Recorded {
    /// What a run begins with.
    pub fn new(sources: &Sources, set: &PolicySet, local: bool, options: RecordedOptions) -> Recorded {
        let absolute = |file: &str| std::path::absolute(file).unwrap_or_else(|_| PathBuf::from(file));
        Recorded {
            version: RECORDED_VERSION,
            folder: absolute("."),
            sources: sources.texts().iter().map(RecordedSource::of).collect(),
            arguments: sources.arguments().to_vec(),
            cluster: sources.of_command_line().clone(),
            core: set.core().component().sha256().to_string(),
            policies: set
                .policies()
                .iter()
                .map(|enforced| RecordedPolicy {
                    name: enforced.policy.name().to_owned(),
                    version: enforced.policy.description().version.clone(),
                    sha256: enforced.policy.sha256().to_string(),
                    file: absolute(enforced.policy.component().file()),
                })
                .collect(),
            local,
            options,
        }
    }

    /// The texts, as they were read then.
    pub fn sources(&self) -> Sources {
        let texts = self.sources.iter().map(|source| Source {
            name: source.name.clone(),
            text: source.text.clone(),
            role: if source.base { Role::Base } else { Role::Workflow },
        });
        Sources::from_texts(texts.collect(), self.arguments.clone()).with_command_line(self.cluster.clone())
    }

    /// The files of its policies, each where one with its digest is: at its old place, else among `others`. An error names
    /// the policies that are nowhere.
    ///
    /// # Errors
    /// When the bytes of a policy are not found.
    pub fn policy_files(
        &self,
        others: &[PathBuf],
        digest: impl Fn(&Path) -> Option<String>,
    ) -> Result<Vec<PathBuf>, Vec<RecordedPolicy>> {
        let mut by_digest: BTreeMap<String, PathBuf> = BTreeMap::new();
        for file in others.iter().chain(self.policies.iter().map(|policy| &policy.file)) {
            if let Some(digest) = digest(file) {
                by_digest.entry(digest).or_insert_with(|| file.clone());
            }
        }
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for policy in &self.policies {
            match by_digest.get(&policy.sha256) {
                Some(file) => found.push(file.clone()),
                None => missing.push(policy.clone()),
            }
        }
        if missing.is_empty() { Ok(found) } else { Err(missing) }
    }
}

impl RecordedSource {
    fn of(source: &Source) -> RecordedSource {
        let Source { name, text, role } = source;
        RecordedSource { name: name.clone(), base: *role == Role::Base, text: text.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(policies: &[(&str, &str)]) -> Recorded {
        let policies = policies.iter().map(|(file, sha256)| RecordedPolicy {
            name: (*file).to_owned(),
            version: "1".to_owned(),
            sha256: (*sha256).to_owned(),
            file: PathBuf::from(file),
        });
        Recorded {
            version: RECORDED_VERSION,
            folder: PathBuf::new(),
            sources: Vec::new(),
            arguments: Vec::new(),
            cluster: Map::new(),
            core: String::new(),
            policies: policies.collect(),
            local: false,
            options: RecordedOptions::default(),
        }
    }

    #[test]
    fn a_policy_is_found_by_its_digest_and_by_nothing_else() {
        // The content of each file is its digest here; `a.wasm` was replaced, and `moved.wasm` has what it was.
        let digest = |file: &Path| match file.to_str() {
            Some("a.wasm") => Some("new".to_owned()),
            Some("b.wasm") => Some("2".to_owned()),
            Some("moved.wasm") => Some("1".to_owned()),
            _ => None,
        };
        let recorded = recorded(&[("a.wasm", "1"), ("b.wasm", "2")]);
        let moved = [PathBuf::from("gone.wasm"), PathBuf::from("moved.wasm")];
        let found = recorded.policy_files(&moved, digest).unwrap();
        assert_eq!(found, [PathBuf::from("moved.wasm"), PathBuf::from("b.wasm")]);
        let missing = recorded.policy_files(&[], digest).unwrap_err();
        assert_eq!(missing.iter().map(|policy| policy.sha256.as_str()).collect::<Vec<_>>(), ["1"]);
    }
}
