//! What goes wrong with a component, in words: before it is used, and inside a call.
//!
//! The engine's errors are read here and nowhere else. Some have no type of their own, only a text; the tests with
//! hostile components hold the texts to the engine in use.

use std::fmt;
use std::io;
use std::time::Duration;

use model::review::Failure;
use wasmtime::{Trap, WasmBacktrace};

use super::file::{MAX_FILE_BYTES, Sha256Digest};
use super::limits::{Denied, Guard, Limits};

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

/// A call that ended in an error of the engine.
pub(super) enum CallError {
    /// It answered, but not what the interface promises, for this reason.
    Malformed(String),
    /// Anything else.
    Failed(Failure),
}

impl CallError {
    /// The failure that it counts as.
    pub(super) fn failure(self, function: &str) -> Failure {
        match self {
            CallError::Malformed(reason) => malformed(function, reason),
            CallError::Failed(failure) => failure,
        }
    }

    /// Reads an error of the engine.
    pub(super) fn read(function: &str, limits: &Limits, guard: &Guard, error: &wasmtime::Error) -> CallError {
        if let Some(denied) = guard.denied() {
            return CallError::Failed(of_denied(function, limits, denied));
        }
        match error.downcast_ref::<Trap>() {
            Some(trap) => CallError::Failed(of_trap(function, limits, *trap, &Frames::of(error))),
            None => of_answer(function, limits, error),
        }
    }
}

fn of_denied(function: &str, limits: &Limits, denied: Denied) -> Failure {
    match denied {
        Denied::Memory => Failure {
            message: format!("`{function}` needs more than {} of memory", Bytes(limits.memory)),
            help: Some("the limit is `limits.memory` of the policy".to_owned()),
        },
        Denied::MachineMemory => Failure::new(format!("`{function}` needs more memory than this machine can give")),
        Denied::Table => Failure::new(format!("`{function}` needs more table elements than any component may have")),
    }
}

fn of_trap(function: &str, limits: &Limits, trap: Trap, frames: &Frames) -> Failure {
    match trap {
        Trap::Interrupt => Failure {
            message: format!("`{function}` did not answer within {}", Time(limits.time)),
            help: Some("the limit is `limits.time` of the policy".to_owned()),
        },
        Trap::StackOverflow => Failure {
            message: format!("`{function}` trapped: stack exhausted{frames}"),
            help: Some("the stack has a fixed size; recursion must be bounded".to_owned()),
        },
        Trap::UnreachableCodeReached if frames.panicked => Failure::new(format!("`{function}` panicked{frames}")),
        trap => Failure::new(format!("`{function}` trapped: {}{frames}", trap_name(trap))),
    }
}

/// An error that is no trap: the answer, or a place for the arguments, is not what the interface promises.
fn of_answer(function: &str, limits: &Limits, error: &wasmtime::Error) -> CallError {
    let cause = error.root_cause();
    if let Some(error) = cause.downcast_ref::<std::str::Utf8Error>() {
        return CallError::Malformed(format!("a text is not UTF-8 ({error})"));
    }
    let cause = cause.to_string();
    if cause.contains("fuel allocated for hostcalls has been exhausted") {
        return CallError::Failed(too_large(
            function,
            format_args!("{} of text, or {} problems", Bytes(limits.answer_bytes), Count(limits.answer_problems)),
        ));
    }
    let words = match cause.as_str() {
        "string pointer/length out of bounds of memory" => "a text reaches beyond the end of memory",
        "list pointer/length out of bounds of memory" => "a list is larger than the memory it lies in",
        "pointer out of bounds of memory" => "it lies beyond the end of memory",
        "list pointer is not aligned" | "return pointer not aligned" => "it is not aligned",
        "invalid option discriminant" => "an optional field is neither absent nor present",
        "invalid expected discriminant" => "a result is neither a value nor an error",
        other if other.starts_with("unexpected discriminant: ") => "a word is not one of the enumeration",
        other => return CallError::Failed(not_called(function, other)),
    };
    CallError::Malformed(words.to_owned())
}

fn not_called(function: &str, cause: &str) -> Failure {
    let words = match cause {
        "realloc return: beyond end of memory" => "its allocator answered a place beyond the end of memory",
        "realloc return: result not aligned" => "its allocator answered a place that is not aligned",
        other => other,
    };
    Failure::new(format!("`{function}` could not be called: {words}"))
}

/// An answer that the interface does not allow. `what` names the field where it is known.
pub(super) fn malformed(function: &str, what: impl fmt::Display) -> Failure {
    Failure::new(format!("`{function}` gave a malformed answer: {what}"))
}

/// An answer beyond a limit.
pub(super) fn too_large(function: &str, limit: impl fmt::Display) -> Failure {
    Failure {
        message: format!("`{function}` gave an answer larger than {limit}"),
        help: Some("the limit is `limits.answer` of the policy".to_owned()),
    }
}

fn trap_name(trap: Trap) -> String {
    match trap {
        Trap::UnreachableCodeReached => "unreachable code reached".to_owned(),
        Trap::IntegerDivisionByZero => "division by zero".to_owned(),
        Trap::IntegerOverflow => "integer overflow".to_owned(),
        Trap::BadConversionToInteger => "conversion of a number that is no integer".to_owned(),
        Trap::MemoryOutOfBounds => "out-of-bounds memory access".to_owned(),
        Trap::TableOutOfBounds => "out-of-bounds table access".to_owned(),
        Trap::IndirectCallToNull => "call of a function that is not there".to_owned(),
        Trap::BadSignature => "call of a function with another signature".to_owned(),
        other => {
            let text = other.to_string();
            text.strip_prefix("wasm trap: ").unwrap_or(&text).to_owned()
        }
    }
}

/// The functions that were running, innermost first, by the names the component carries.
struct Frames {
    names: Vec<String>,
    panicked: bool,
}

/// A caller reads the innermost few; the rest is the way in.
const MAX_FRAMES: usize = 4;

/// Generated names can be long.
const MAX_NAME_CHARS: usize = 80;

impl Frames {
    fn of(error: &wasmtime::Error) -> Frames {
        let backtrace = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
        let names: Vec<String> = backtrace.iter().filter_map(|frame| frame.func_name()).map(plain_name).collect();
        let panicked = names.iter().any(|name| name.contains("panic"));
        // The machinery of a panic stands above the function that panicked, and names nothing of the policy.
        let own = names.iter().filter(|name| !panicked || !is_runtime(name));
        let mut names: Vec<String> = own.cloned().collect();
        names.dedup();
        names.truncate(MAX_FRAMES);
        Frames { names, panicked }
    }
}

impl fmt::Display for Frames {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.names.iter().enumerate() {
            formatter.write_str(if index == 0 { ", in " } else { " < " })?;
            write!(formatter, "`{name}`")?;
        }
        Ok(())
    }
}

/// The name without the hash that Rust adds, and without anything a terminal would act on.
fn plain_name(name: &str) -> String {
    let plain = match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.chars().all(|digit| digit.is_ascii_hexdigit()) => path,
        _ => name,
    };
    plain.chars().take(MAX_NAME_CHARS).flat_map(char::escape_debug).collect()
}

fn is_runtime(name: &str) -> bool {
    ["std::", "core::", "alloc::", "<core::", "<alloc::", "<std::", "__rust", "rust_", "_R"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || name.contains("panic")
        || name == "abort"
}

/// A time limit as people write it.
pub(super) struct Time(pub(super) Duration);

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.as_secs(), self.0.subsec_millis()) {
            (seconds, 0) => write!(formatter, "{seconds} s"),
            _ => write!(formatter, "{} ms", self.0.as_millis()),
        }
    }
}

/// A size limit in the largest unit that gives a whole number.
pub(super) struct Bytes(pub(super) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
            let whole = self.0 >> shift;
            if whole > 0 && whole << shift == self.0 {
                return write!(formatter, "{whole} {unit}");
            }
        }
        write!(formatter, "{} bytes", Count(self.0))
    }
}

/// A number with a comma at each thousand.
pub(super) struct Count(pub(super) u64);

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1_000 {
            return write!(formatter, "{}", self.0);
        }
        write!(formatter, "{},{:03}", Count(self.0 / 1_000), self.0 % 1_000)
    }
}

/// Names in backticks, with commas.
pub(super) struct List<'a>(pub(super) &'a [String]);

impl fmt::Display for List<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str(", ")?;
            }
            write!(formatter, "`{name}`")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_as_people_write_them() {
        assert_eq!(Time(Duration::from_secs(30)).to_string(), "30 s");
        assert_eq!(Time(Duration::from_millis(1500)).to_string(), "1500 ms");
        assert_eq!(Bytes(64 << 20).to_string(), "64 MiB");
        assert_eq!(Bytes(1 << 30).to_string(), "1 GiB");
        assert_eq!(Bytes(1_000_000).to_string(), "1,000,000 bytes");
        assert_eq!(Count(1_001).to_string(), "1,001");
    }

    #[test]
    fn names_lose_what_the_compiler_added() {
        assert_eq!(plain_name("policy::review::h0123456789abcdef"), "policy::review");
        assert_eq!(plain_name("policy::hello"), "policy::hello");
        assert_eq!(plain_name("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
    }
}
