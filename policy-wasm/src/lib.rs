//! The core policy as a component: WIT types on one side, model types on the other, the rules in between.
//!
//! It decides nothing itself. Texts that cross as JSON are read and written here and nowhere else in the guest.
//! Natively, for the lints, nothing is exported: linkers refuse the names.
#![cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "only the component exports it"))]

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
            layers: write(&loaded.layers),
            problems: write(&loaded.problems),
        }
    }

    fn merge(layers: String, steps: String) -> Result<String, String> {
        let layers: Vec<Layer> = read("layers", &layers)?;
        let steps: Vec<MergeStep> = read("steps", &steps)?;
        rules::merge(&layers, &steps).map(|merged| write(&merged))
    }

    fn check(phase: Phase, steps: String) -> Result<String, String> {
        let steps: Vec<Merged> = read("steps", &steps)?;
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
