//! Why a program cannot be started, in words that name what the user wrote.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::small_file::words;

/// A program cannot be started. Nothing runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// There is no program.
    #[error("there is nothing to run")]
    Nothing,
    /// Its folder cannot be used.
    #[error("the folder `{folder}` cannot be used: {reason}")]
    Folder {
        /// The folder.
        folder: String,
        /// Why.
        reason: String,
    },
    /// The program is not there.
    #[error("`{program}` cannot be started: there is no such program{place}")]
    NotFound {
        /// As written.
        program: String,
        /// Where it was looked for, as ` in PATH`.
        place: &'static str,
    },
    /// The system does not start it.
    #[error("`{program}` cannot be started: {reason}")]
    Program {
        /// As written.
        program: String,
        /// Why.
        reason: String,
    },
    /// The file for its script cannot be written.
    #[error("the script cannot be written below `{folder}`: {reason}")]
    Script {
        /// The folder.
        folder: String,
        /// Why.
        reason: String,
    },
}

impl StartError {
    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            StartError::NotFound { place: "", .. } => {
                Some("a path without `/` at its beginning starts at the step's folder")
            }
            StartError::NotFound { .. } => Some("write its path, or set `PATH` in `env`"),
            StartError::Folder { .. } => Some("set `working_dir`"),
            StartError::Nothing | StartError::Program { .. } | StartError::Script { .. } => None,
        }
    }

    /// What is wrong with a folder that is none.
    pub(super) fn folder(folder: &Path) -> StartError {
        let reason = match folder.metadata() {
            Ok(_) => "it is no folder".to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => "there is no such folder".to_owned(),
            Err(error) => words(&error),
        };
        StartError::Folder { folder: folder.display().to_string(), reason }
    }

    /// The system gives one and the same error for a folder, a program and its interpreter.
    pub(super) fn program(
        program: &str,
        folder: &Path,
        environment: &BTreeMap<String, String>,
        source: io::Error,
    ) -> StartError {
        let reason = match source.kind() {
            io::ErrorKind::NotFound if program.contains('/') => {
                if folder.join(program).exists() {
                    "the program that its first line names is missing".to_owned()
                } else {
                    return StartError::NotFound { program: program.to_owned(), place: "" };
                }
            }
            io::ErrorKind::NotFound => {
                return StartError::NotFound { program: program.to_owned(), place: " in `PATH`" };
            }
            io::ErrorKind::ArgumentListTooLong => match environment.iter().max_by_key(|(_, value)| value.len()) {
                Some((name, value)) if value.len() > LARGEST_VALUE => {
                    format!("the value of `{name}` is too long for a variable: {} bytes", value.len())
                }
                _ => "its arguments and variables are too long together".to_owned(),
            },
            io::ErrorKind::InvalidInput => match zero_byte(environment) {
                Some(name) => format!("the value of `{name}` holds a zero byte"),
                None => "an argument holds a zero byte".to_owned(),
            },
            io::ErrorKind::PermissionDenied if is_folder(folder, program) => "it is a folder".to_owned(),
            _ if source.raw_os_error() == Some(NO_PROGRAM) => {
                "it is neither a program of this machine nor a script that begins with `#!`".to_owned()
            }
            _ => words(&source),
        };
        StartError::Program { program: program.to_owned(), reason }
    }
}

/// Bytes that Linux allows an argument, or a variable with its name, at most (`MAX_ARG_STRLEN`, execve(2)), less a name.
const LARGEST_VALUE: usize = 127 * 1024;

/// `ENOEXEC`, on all Unix systems.
const NO_PROGRAM: i32 = 8;

fn is_folder(folder: &Path, program: &str) -> bool {
    let path: PathBuf = folder.join(program);
    program.contains('/') && path.is_dir()
}

fn zero_byte(environment: &BTreeMap<String, String>) -> Option<&str> {
    environment.iter().find(|(_, value)| value.contains('\0')).map(|(name, _)| name.as_str())
}
