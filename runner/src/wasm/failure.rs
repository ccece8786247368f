//! What goes wrong inside a call, in words.
//!
//! The engine's errors are read here and nowhere else. Some have no type of their own, only a text; the tests with
//! hostile components hold the texts to the engine in use.

use std::fmt;

use model::review::Failure;
use wasmtime::{Trap, WasmBacktrace};

use super::limits::{Denied, Guard, Limits};
use super::words::{Bytes, Count, Time};

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

/// An error before the function itself had a say.
fn not_called(function: &str, cause: &str) -> Failure {
    let words = match cause {
        "realloc return: beyond end of memory" => "its allocator answered a place beyond the end of memory",
        "realloc return: result not aligned" => "its allocator answered a place that is not aligned",
        other if other.starts_with("resource limit exceeded: ") => {
            "it has more instances, memories or tables than any component may have"
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_the_compiler_added() {
        assert_eq!(plain_name("policy::review::h0123456789abcdef"), "policy::review");
        assert_eq!(plain_name("policy::hello"), "policy::hello");
        assert_eq!(plain_name("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
    }
}
