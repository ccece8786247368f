//! `runner schema`: the JSON Schema of the workflow file, from the core policy itself.

use crate::cli::Format;
use crate::policy_set::PolicySet;
use crate::report::{ExitCode, Failed, Streams};

pub(super) fn run(streams: Streams) -> ExitCode {
    let refuse = |failures| super::refuse(failures, Format::Human, streams);
    let set = match PolicySet::load(&[]) {
        Ok(set) => set,
        Err(error) => return refuse(super::failures(&error)),
    };
    let schema = match set.core().schema() {
        Ok(schema) => schema,
        Err(error) => return refuse(vec![Failed::new(&error, error.help())]),
    };
    match serde_json::from_str::<serde_json::Value>(&schema) {
        Ok(document) => streams.json(&document),
        Err(error) => refuse(vec![Failed::new(&error, None)]),
    }
}
