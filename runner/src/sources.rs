//! The texts a workflow is made of: base.yaml, the workflow file, parameters. Read, but not understood.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use model::layer::{Layer, Origin, Position};
use model::problem::{CoreProblem, code};
use serde_json::{Map, Value};

use crate::wasm::Role;

/// Largest text that is read, in bytes: the rules refuse more, and say so.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// One text with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Name as the user knows it.
    pub name: String,
    /// The whole text; of one that could not be read what is there to show.
    pub text: String,
    /// What it is for.
    pub role: Role,
}

/// The texts of one workflow, lowest first, and why one of them could not be read.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    sources: Vec<Source>,
    arguments: Vec<String>,
    problems: Vec<CoreProblem>,
    command_line: Map<String, Value>,
}

/// Where base.yaml comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Named by the user: it must exist.
    Named(PathBuf),
    /// The default place: it may be missing.
    Default(PathBuf),
    /// None.
    Absent,
}

impl Base {
    /// The file named on the command line, else `runner/base.yaml` in the configuration folder.
    pub fn new(named: Option<PathBuf>) -> Base {
        match (named, etcetera::choose_base_strategy()) {
            (Some(path), _) => Base::Named(path),
            (None, Ok(folders)) => Base::Default(folders.config_dir().join("runner").join("base.yaml")),
            (None, Err(_)) => Base::Absent,
        }
    }
}

impl Sources {
    /// Reads base.yaml and a workflow file (`-`: standard input). What cannot be read becomes a problem.
    pub fn read(base: &Base, file: &Path, arguments: Vec<String>) -> Sources {
        let mut sources = Sources { arguments, ..Sources::default() };
        match base {
            Base::Named(path) => sources.add(path, Role::Base),
            // Only a file that is not there may be missing: one that cannot be reached is a problem like any other.
            Base::Default(path) if !matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound) =>
            {
                sources.add(path, Role::Base);
            }
            Base::Default(_) | Base::Absent => {}
        }
        sources.add(file, Role::Workflow);
        sources
    }

    /// Texts that are in memory already.
    pub fn from_texts(texts: Vec<Source>, arguments: Vec<String>) -> Sources {
        Sources { sources: texts, arguments, ..Sources::default() }
    }

    /// Adds what the command line says about the cluster: a layer above those of the files, so that policies review the
    /// cluster that is really used.
    #[must_use]
    pub fn with_cluster(mut self, kubeconfig: Option<&Path>, context: Option<&str>) -> Sources {
        if let Some(kubeconfig) = kubeconfig {
            self.command_line.insert("kubeconfig".to_owned(), kubeconfig.display().to_string().into());
        }
        if let Some(context) = context {
            self.command_line.insert("context".to_owned(), context.into());
        }
        self
    }

    /// The same with values that were kept.
    #[must_use]
    pub fn with_command_line(mut self, values: Map<String, Value>) -> Sources {
        self.command_line = values;
        self
    }

    /// What the command line says about the cluster.
    pub fn of_command_line(&self) -> &Map<String, Value> {
        &self.command_line
    }

    /// The layer of the command line; none: it says nothing.
    pub(crate) fn command_line(&self) -> Option<Layer> {
        (!self.command_line.is_empty()).then(|| layer_of_values(Origin::CommandLine, self.command_line.clone()))
    }

    /// The texts that could be read; a problem's source index points here.
    pub fn texts(&self) -> &[Source] {
        &self.sources
    }

    /// Parameters given from outside.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Why a text could not be read.
    pub fn problems(&self) -> &[CoreProblem] {
        &self.problems
    }

    /// Whether the text with this index is what its file holds.
    pub fn is_readable(&self, index: usize) -> bool {
        !self.problems.iter().any(|problem| problem.position.is_some_and(|at| at.source as usize == index))
    }

    fn add(&mut self, path: &Path, role: Role) {
        let source = self.sources.len() as u32;
        let name = if path == Path::new("-") { "<stdin>".to_owned() } else { path.display().to_string() };
        let start = Position { source, line: 1, column: 1, offset: 0, length: 0 };
        let text = match read_bounded(path) {
            Ok(bytes) => String::from_utf8(bytes).unwrap_or_else(|error| {
                self.problems.push(not_utf8(&error, source));
                // To show the line; nobody judges it.
                String::from_utf8_lossy(error.as_bytes()).into_owned()
            }),
            Err(error) => {
                let problem = CoreProblem::error(code::SYNTAX, format!("`{name}` cannot be read: {}", words(&error)));
                self.problems.push(problem.at("", Some(start)).help("name a YAML file, or `-` for standard input"));
                String::new()
            }
        };
        self.sources.push(Source { name, text, role });
    }
}

/// A layer that stands in no file.
pub(crate) fn layer_of_values(origin: Origin, value: Map<String, Value>) -> Layer {
    Layer {
        origin,
        value: Value::Object(value),
        positions: BTreeMap::new(),
        left_out: Vec::new(),
        variables: Vec::new(),
    }
}

/// Reads at most one byte more than the rules accept: enough for them to refuse it.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}

fn not_utf8(error: &std::string::FromUtf8Error, source: u32) -> CoreProblem {
    let valid = error.utf8_error().valid_up_to();
    let bytes = error.as_bytes();
    let before = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default()).into_owned();
    let before = before.strip_prefix('\u{feff}').unwrap_or(&before);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let position = Position {
        source,
        line: before.matches('\n').count() as u32 + 1,
        column: before.get(line_start..).unwrap_or_default().chars().count() as u32 + 1,
        offset: valid as u32,
        length: 0,
    };
    let byte = bytes.get(valid).copied().unwrap_or_default();
    CoreProblem::error(code::SYNTAX, format!("the file is no UTF-8 text: byte 0x{byte:02x} here"))
        .at("", Some(position))
        .help("save it as UTF-8")
}
