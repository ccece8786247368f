//! The core policy as a component: WIT types on one side, model types on the other, the rules in between.
//!
//! It decides nothing itself. Texts that cross as JSON are read and written here and nowhere else in the guest.
//! Natively, for the lints, nothing is exported: linkers refuse the names.
#![cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "only the component exports it"))]

use std::sync::{Mutex, PoisonError};

use model::layer::{Layer, MergeStep, Merged};
use model::report::Answers;
use serde::de::DeserializeOwned;

mod bindings {
    #![allow(missing_docs, reason = "generated from wit/, which documents every item")]
    #![allow(unsafe_code, reason = "generated: the canonical ABI needs it")]
    #![allow(unused_qualifications, reason = "generated")]
    #![allow(unreachable_pub, reason = "generated")]
    wit_bindgen::generate!({ world: "core", path: "../wit", generate_all });
    #[cfg(target_family = "wasm")]
    use super::Core;
    #[cfg(target_family = "wasm")]
    export!(Core with_types_in self);
}

use bindings::exports::runner::policy::rules::{Description, Guest, Loaded, Phase, Role, Source};

/// The exported interface.
struct Core;

/// An answer as text, and what it was written from.
type Kept<T> = Mutex<Option<(String, T)>>;

/// Longest text that is kept, in bytes: the answer about some thousand steps.
const LONGEST_KEPT: usize = 4 << 20;

// The next question usually begins with the text that was just answered: reading it would give what was just written.
static LAYERS: Kept<Vec<Layer>> = Mutex::new(None);
static MERGED: Kept<Vec<Merged>> = Mutex::new(None);

impl Guest for Core {
    fn describe() -> Description {
        Description {
            name: model::report::CORE.to_owned(),
            version: rules::VERSION.to_owned(),
            model: model::MODEL_VERSION.to_owned(),
        }
    }

    fn load(sources: Vec<Source>, arguments: Vec<String>) -> Loaded {
        let sources: Vec<rules::Source<'_>> = sources
            .iter()
            .map(|source| rules::Source {
                name: &source.name,
                text: &source.text,
                role: match source.role {
                    Role::Base => rules::Role::Base,
                    Role::Workflow => rules::Role::Workflow,
                },
            })
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let loaded = rules::load(&sources, &arguments);
        Loaded {
            workflow: loaded.workflow.as_ref().map(write),
            problems: write(&loaded.problems),
            layers: write_and_keep(loaded.layers, &LAYERS),
        }
    }

    fn merge(layers: String, steps: String) -> Result<String, String> {
        let layers: Vec<Layer> = kept_or_read(&LAYERS, "layers", &layers)?;
        let steps: Vec<MergeStep> = read("steps", &steps)?;
        rules::merge(&layers, &steps).map(|merged| write_and_keep(merged, &MERGED))
    }

    fn check(phase: Phase, steps: String) -> Result<String, String> {
        let steps: Vec<Merged> = kept_or_read(&MERGED, "steps", &steps)?;
        let phase = match phase {
            Phase::Load => model::review::Phase::Load,
            Phase::Submit => model::review::Phase::Submit,
        };
        rules::check(phase, &steps).map(|problems| write(&problems))
    }

    fn report(answers: String) -> Result<String, String> {
        let answers: Answers = read("answers", &answers)?;
        Ok(write(&model::report::report(&answers)))
    }

    fn schema() -> String {
        write(&model::schema::workflow_file())
    }
}

/// Reads an argument.
fn read<T: DeserializeOwned>(argument: &str, text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("`{argument}` is not in its shape: {error}"))
}

/// Writes an answer. The types of the model have text keys only, so writing cannot fail.
fn write<T: serde::Serialize>(answer: &T) -> String {
    serde_json::to_string(answer).unwrap_or_default()
}

/// Writes an answer, and keeps what it was written from.
fn write_and_keep<T: serde::Serialize>(answer: T, kept: &Kept<T>) -> String {
    let text = write(&answer);
    if text.len() <= LONGEST_KEPT {
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((text.clone(), answer));
    }
    text
}

/// Reads an argument, or takes what its very text was written from.
fn kept_or_read<T: DeserializeOwned>(kept: &Kept<T>, argument: &str, text: &str) -> Result<T, String> {
    match kept.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some((written, value)) if written == text => Ok(value),
        _ => read(argument, text),
    }
}
