//! Why a component is not used, in words.

use std::io;

use model::review::Failure;

use super::file::{MAX_FILE_BYTES, Sha256Digest};
use super::words::{Bytes, List};

/// A component that is not used: nothing of it has run but, at most, `describe`.
///
/// The text names the file, what was expected and what was found; [`LoadError::help`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no such file.
    #[error("`{file}` does not exist")]
    Missing {
        /// The file.
        file: String,
    },
    /// A folder stands there.
    #[error("`{file}` is a folder, not a component")]
    Folder {
        /// The file.
        file: String,
    },
    /// The system does not let us read it.
    #[error("`{file}` cannot be read")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// Nothing in it.
    #[error("`{file}` is empty")]
    Empty {
        /// The file.
        file: String,
    },
    /// Larger than any component that is read.
    #[error("`{file}` is larger than {}, the limit for a component", Bytes(MAX_FILE_BYTES))]
    TooLarge {
        /// The file.
        file: String,
    },
    /// Not WebAssembly at all.
    #[error("`{file}` is not a WebAssembly component: it begins with `{begin}`")]
    NotWasm {
        /// The file.
        file: String,
        /// Its first words.
        begin: String,
    },
    /// WebAssembly, but the module that a component is made of.
    #[error("`{file}` is a core WebAssembly module, expected a component")]
    CoreModule {
        /// The file.
        file: String,
    },
    /// The file breaks off.
    #[error("`{file}` is not a whole component: {reason}")]
    Truncated {
        /// The file.
        file: String,
        /// What the engine says.
        reason: String,
    },
    /// A component that breaks a rule, or uses a feature that is off here.
    #[error("`{file}` is not a valid component: {reason}")]
    Invalid {
        /// The file.
        file: String,
        /// What the engine says.
        reason: String,
    },
    /// The digest is not the one demanded.
    #[error("`{file}` has the sha256 {found}, expected {expected}")]
    Digest {
        /// The file.
        file: String,
        /// The digest that the policy set demands.
        expected: Sha256Digest,
        /// The digest of the bytes.
        found: Sha256Digest,
    },
    /// It implements something else.
    #[error("`{file}` is not of world `{expected}`: expected the export `{interface}`, found {found}")]
    World {
        /// The file.
        file: String,
        /// The world it is wanted for.
        expected: &'static str,
        /// The interface of that world.
        interface: String,
        /// The world it has, or what it exports.
        found: String,
    },
    /// It implements another version of the same interface.
    #[error("`{file}` implements `{found}`, expected `{expected}`")]
    Version {
        /// The file.
        file: String,
        /// The interface with the version of this host.
        expected: String,
        /// The interface with the version of the component.
        found: String,
    },
    /// It asks for something from outside.
    #[error("`{file}` imports {}; a component gets nothing from outside", List(imports))]
    Imports {
        /// The file.
        file: String,
        /// Everything it asks for.
        imports: Vec<String>,
    },
    /// A function of the interface is not there.
    #[error("`{file}` lacks the function `{function}`: expected `{expected}`")]
    Function {
        /// The file.
        file: String,
        /// The function.
        function: &'static str,
        /// Its type.
        expected: &'static str,
    },
    /// A function of the interface has another type.
    #[error("`{file}` has another function `{function}`: expected `{expected}`, found `{found}`")]
    Signature {
        /// The file.
        file: String,
        /// The function.
        function: &'static str,
        /// The type it has in the interface.
        expected: &'static str,
        /// The type it has in the component.
        found: String,
    },
    /// `describe` gave no valid answer.
    #[error("`{file}` could not be asked who it is: {failure}")]
    Describe {
        /// The file.
        file: String,
        /// What happened.
        failure: Failure,
    },
    /// A core policy that speaks another major version of the JSON shapes.
    #[error("`{file}` speaks version {found} of the JSON shapes, expected {expected}")]
    Model {
        /// The file.
        file: String,
        /// The version of this host.
        expected: &'static str,
        /// The version of the component.
        found: String,
    },
}

impl LoadError {
    /// What to do about it.
    pub fn help(&self) -> Option<&str> {
        match self {
            LoadError::CoreModule { .. } => Some(
                "link it with `wasm-component-ld`, or turn it into a component with `wasm-tools component new`; \
                 `runner policy build` does it",
            ),
            LoadError::NotWasm { begin, .. } if begin.starts_with('<') => {
                Some("this looks like a web page: the download did not give the file itself")
            }
            LoadError::NotWasm { begin, .. } if begin.starts_with('(') => {
                Some("this looks like the text format: assemble it with `wasm-tools parse`")
            }
            LoadError::NotWasm { .. } | LoadError::Truncated { .. } | LoadError::Empty { .. } => {
                Some("build or fetch the file again")
            }
            LoadError::Imports { .. } => Some(
                "Rust for `wasm32-unknown-unknown` and C without the system library import nothing; for JavaScript and \
                 Python give the componentizer `--stub-wasi`; types stand inside the exported interface, a `use` is \
                 an import",
            ),
            LoadError::Version { .. } | LoadError::Model { .. } => {
                Some("build the component against the `wit/` of this runner, or use the runner it was built for")
            }
            LoadError::Function { .. } | LoadError::Signature { .. } => {
                Some("build the component against the `wit/` of this runner")
            }
            LoadError::Describe { failure, .. } => failure.help.as_deref(),
            _ => None,
        }
    }
}
