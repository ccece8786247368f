//! `runner schema`: the JSON Schema of the workflow file, from the core policy itself.

use crate::policy_set::PolicySet;
use crate::report::{ExitCode, Streams};

pub(super) fn run(streams: Streams) -> ExitCode {
    let set = match PolicySet::load(&[]) {
        Ok(set) => set,
        Err(error) => return super::refuse(&error, streams),
    };
    match set.core().schema() {
        Ok(schema) => match serde_json::from_str::<serde_json::Value>(&schema) {
            Ok(document) => {
                streams.json(&document);
                ExitCode::Success
            }
            Err(error) => {
                streams.error(&error, None);
                ExitCode::Invalid
            }
        },
        Err(error) => {
            streams.error(&error, error.help());
            ExitCode::Invalid
        }
    }
}
