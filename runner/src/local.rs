//! The embedded cluster as this program starts it: its folder, its notice, its objects.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use local_cluster::{LocalCluster, Options};
use serde::Deserialize as _;
use serde_json::Value;

/// Largest file of objects, in bytes: more than an API server takes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The embedded cluster cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Its folder cannot be made.
    #[error("the local cluster cannot use `{folder}`")]
    Folder {
        /// The folder.
        folder: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file of objects cannot be read.
    #[error("`{file}` cannot be read")]
    Read {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file of objects is no YAML.
    #[error("`{file}` is no YAML: {reason}")]
    Syntax {
        /// The file.
        file: String,
        /// Why, with the place.
        reason: String,
    },
    /// An object is none that the cluster takes.
    #[error("`{file}`: {reason}")]
    Objects {
        /// The file.
        file: String,
        /// Which object, and why.
        reason: String,
    },
}

/// The Secrets and ConfigMaps of a file.
#[derive(Debug)]
pub struct Objects {
    file: String,
    manifests: Vec<Value>,
}

impl Objects {
    /// Reads a file, which may hold several documents.
    ///
    /// # Errors
    /// When it cannot be read, or is no YAML.
    pub fn read(file: &Path) -> Result<Objects, LocalError> {
        let name = file.display().to_string();
        let mut text = String::new();
        File::open(file)
            .and_then(|opened| opened.take(MAX_BYTES).read_to_string(&mut text))
            .map_err(|source| LocalError::Read { file: name.clone(), source })?;
        let documents = serde_yaml::Deserializer::from_str(&text).map(Value::deserialize);
        let manifests: Result<Vec<Value>, _> = documents.collect();
        let manifests =
            manifests.map_err(|error| LocalError::Syntax { file: name.clone(), reason: error.to_string() })?;
        Ok(Objects { file: name, manifests: manifests.into_iter().filter(|manifest| !manifest.is_null()).collect() })
    }
}

/// Starts the embedded cluster with its folder below the state of this program, and puts objects into it.
///
/// # Errors
/// When its folder or an object cannot be used.
pub async fn start(state: &Path, objects: Option<Objects>) -> Result<LocalCluster, LocalError> {
    let folder = state.join("local-cluster");
    let cluster = LocalCluster::start(Options::new(&folder))
        .await
        .map_err(|source| LocalError::Folder { folder: folder.display().to_string(), source })?;
    if let Some(Objects { file, manifests }) = objects {
        let applied = cluster.apply_objects(manifests);
        applied.map_err(|error| LocalError::Objects { file, reason: error.to_string() })?;
    }
    Ok(cluster)
}
