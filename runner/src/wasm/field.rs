//! Which field of a malformed answer is at fault.
//!
//! The engine copies an answer whole and, when it cannot, says why but not where. So the policy is asked the same once
//! more and its texts are looked at one by one where they lie. Only for the message: nothing is decided here, and when
//! the second look finds nothing, the place is left out.

use wasmtime::Store;
use wasmtime::component::{ComponentType, Lift, WasmList, WasmStr};

use super::limits::Guard;
use super::policy::wit::Severity;

/// An answer whose texts are not copied.
pub(super) trait Look {
    /// The place of the fault, in words.
    fn fault(&self, store: &mut Store<Guard>) -> Option<String>;
}

/// The record `description` of the world `policy`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct DescriptionView {
    name: WasmStr,
    version: WasmStr,
    summary: WasmStr,
    url: Option<WasmStr>,
    #[expect(dead_code, reason = "makes the record whole")]
    shapes: bool,
    #[component(name = "settings-schema")]
    settings_schema: Option<WasmStr>,
}

/// The record `layers`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct LayersView {
    defaults: WasmStr,
    overrides: WasmStr,
}

/// The record `problem`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct ProblemView {
    code: WasmStr,
    #[expect(dead_code, reason = "makes the record whole")]
    severity: Severity,
    message: WasmStr,
    path: WasmStr,
    help: Option<WasmStr>,
    url: Option<WasmStr>,
    fix: Option<WasmStr>,
}

impl Look for DescriptionView {
    fn fault(&self, store: &mut Store<Guard>) -> Option<String> {
        let DescriptionView { name, version, summary, url, settings_schema, .. } = self;
        first_fault(
            store,
            &[
                ("name", Some(name)),
                ("version", Some(version)),
                ("summary", Some(summary)),
                ("url", url.as_ref()),
                ("settings-schema", settings_schema.as_ref()),
            ],
        )
    }
}

impl Look for LayersView {
    fn fault(&self, store: &mut Store<Guard>) -> Option<String> {
        first_fault(store, &[("defaults", Some(&self.defaults)), ("overrides", Some(&self.overrides))])
    }
}

impl Look for ProblemView {
    fn fault(&self, store: &mut Store<Guard>) -> Option<String> {
        let ProblemView { code, message, path, help, url, fix, .. } = self;
        first_fault(
            store,
            &[
                ("code", Some(code)),
                ("message", Some(message)),
                ("path", Some(path)),
                ("help", help.as_ref()),
                ("url", url.as_ref()),
                ("fix", fix.as_ref()),
            ],
        )
    }
}

impl Look for WasmList<ProblemView> {
    fn fault(&self, store: &mut Store<Guard>) -> Option<String> {
        (0..self.len()).find_map(|index| {
            let number = index + 1;
            match self.get(&mut *store, index)? {
                Ok(problem) => problem.fault(store).map(|field| format!("problem {number}, {field}")),
                // The only enumeration in a problem.
                Err(error) if error.to_string().starts_with("unexpected discriminant") => {
                    Some(format!("problem {number}, `severity`"))
                }
                Err(_) => Some(format!("problem {number}")),
            }
        })
    }
}

fn first_fault(store: &Store<Guard>, texts: &[(&str, Option<&WasmStr>)]) -> Option<String> {
    let unreadable = |text: &WasmStr| text.to_str(store).is_err();
    texts.iter().find(|(_, text)| text.is_some_and(unreadable)).map(|(field, _)| format!("`{field}`"))
}
