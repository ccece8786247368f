//! A secret: its name, and where its value is fetched before the first step.

use serde::{Deserialize, Serialize};

use crate::field::is_default;
use crate::layer::Position;

/// A secret. Its value is never in this type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Secret {
    /// Name of the variable.
    pub name: String,
    /// Who has the value.
    pub provider: SecretProvider,
    /// What the provider looks up, variables not yet put in: a name for `env`, a path for `file`, `secret/datakey` for
    /// `kubernetes` (also when the file has it in two options).
    pub key: String,
    /// Further settings; empty but for `kubernetes`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: SecretOptions,
    /// Where it stands: a relative `kubeconfig` starts at the folder of that file.
    pub position: Position,
}

/// Who has the value of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SecretProvider {
    /// `env` and dotenv, then the environment of the machine. Missing is a failure, empty is not.
    Env,
    /// A file; one line end at its end is cut.
    File,
    /// A Secret of the cluster.
    Kubernetes,
}

/// Where the provider `kubernetes` looks. What is absent comes from the effective root `kubernetes` block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SecretOptions {
    /// Namespace of the Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Path of a kubeconfig.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<String>,
    /// Context of the kubeconfig.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}
