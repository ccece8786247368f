//! Which rules are in force: the core policy and the organisation's policies, each with its mode and settings.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use model::report::Mode;
use rayon::prelude::*;

use crate::wasm::{ComponentFile, CorePolicy, Engine, EngineError, Limits, LoadError, Policy};

/// The core policy that ships with the runner. The bytes in the repository are the ones that run everywhere.
const CORE: &[u8] = include_bytes!("../../policy-wasm/dist/core.wasm");

/// A policy in force.
pub struct Enforced {
    /// The policy.
    pub policy: Policy,
    /// Whether its errors stop anything.
    pub mode: Mode,
    /// Its settings, JSON text.
    pub settings: String,
}

/// The rules in force.
pub struct PolicySet {
    core: CorePolicy,
    policies: Vec<Enforced>,
    warnings: Vec<String>,
}

/// Rules that cannot be put in force. Nothing may run.
#[derive(Debug, thiserror::Error)]
pub enum PolicySetError {
    /// Components cannot run on this machine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Some components cannot be used: each with its reason.
    #[error("{}", .0.iter().map(LoadError::to_string).collect::<Vec<_>>().join("\n"))]
    Load(Vec<LoadError>),
    /// Two policies have the same name, so their codes could not be told apart.
    #[error("`{first}` and `{second}` are both called `{name}`")]
    SameName {
        /// Their name.
        name: String,
        /// The component given first.
        first: String,
        /// The component given later.
        second: String,
    },
}

impl PolicySet {
    /// Loads the core policy and the policies of `--policy`: mode enforce, no settings. All are loaded, and all that
    /// is wrong with them is told.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn load(policies: &[PathBuf]) -> Result<PolicySet, PolicySetError> {
        PolicySet::load_with_cache(policies, cache_folder().as_deref())
    }

    /// The same with the compile cache in another folder, or without one.
    ///
    /// # Errors
    /// As [`PolicySet::load`].
    pub fn load_with_cache(policies: &[PathBuf], cache: Option<&Path>) -> Result<PolicySet, PolicySetError> {
        let engine = Engine::new(cache)?;
        let core = || {
            let file = ComponentFile::from_bytes("core", CORE)?;
            CorePolicy::load(&engine.compile(&file)?, Limits::CORE)
        };
        let policy = |path: &PathBuf| {
            let file = ComponentFile::read(path)?;
            let policy = Policy::load(&engine.compile(&file)?, Limits::POLICY)?;
            Ok(Enforced { policy, mode: Mode::Enforce, settings: "{}".to_owned() })
        };
        // Compiling is the slow part: all at once.
        let (core, loaded): (Result<CorePolicy, LoadError>, Vec<Result<Enforced, LoadError>>) =
            rayon::join(core, || policies.par_iter().map(policy).collect());
        let mut failures = Vec::new();
        let mut kept: Vec<Enforced> = Vec::new();
        for policy in loaded {
            match policy {
                Ok(policy) => kept.push(policy),
                Err(failure) => failures.push(failure),
            }
        }
        let core = match core {
            Ok(core) if failures.is_empty() => core,
            Ok(_) => return Err(PolicySetError::Load(failures)),
            Err(failure) => {
                failures.insert(0, failure);
                return Err(PolicySetError::Load(failures));
            }
        };
        for (index, policy) in kept.iter().enumerate() {
            let name = policy.policy.name();
            if let Some(first) = kept.iter().take(index).find(|other| other.policy.name() == name) {
                return Err(PolicySetError::SameName {
                    name: name.to_owned(),
                    first: first.policy.component().file().to_owned(),
                    second: policy.policy.component().file().to_owned(),
                });
            }
        }
        let warnings = engine.cache_warning().map(|warning| format!("{}; {}", warning.message, warning.help));
        Ok(PolicySet { core, policies: kept, warnings: warnings.into_iter().collect() })
    }

    /// The core policy.
    pub fn core(&self) -> &CorePolicy {
        &self.core
    }

    /// The organisation's policies, in the order in which they are asked.
    pub fn policies(&self) -> &[Enforced] {
        &self.policies
    }

    /// What the user should know, though nothing stops.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// `runner/components` in the user's cache folder.
fn cache_folder() -> Option<PathBuf> {
    let folders = etcetera::choose_base_strategy().ok()?;
    Some(folders.cache_dir().join("runner").join("components"))
}
