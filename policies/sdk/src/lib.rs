//! Write a policy for runner in Rust: implement [`Policy`], call [`export_policy!`], build for wasm32.
//!
//! ```
//! use runner_policy_sdk::prelude::*;
//!
//! struct NoLatest;
//!
//! impl Policy for NoLatest {
//!     const NAME: &str = "no-latest";
//!     const SUMMARY: &str = "images carry a tag other than latest";
//!
//!     fn review(request: &Request) -> Vec<Problem> {
//!         let image = request.config.image.as_deref().unwrap_or_default();
//!         if !image.ends_with(":latest") {
//!             return Vec::new();
//!         }
//!         vec![Problem::error("no-latest/tag", format!("the image `{image}` may change")).at("image")]
//!     }
//! }
//!
//! export_policy!(NoLatest);
//! ```
//!
//! A component gets no clock, no files, no network and no environment: an answer is a function of its request.

mod views;

#[cfg(feature = "testing")]
pub mod testing;

pub use model::config;
pub use model::problem::Severity;
pub use model::review::Phase;
pub use model::workflow::{Command, StepKind};
pub use serde_json;
pub use views::{Layers, Problem, Request, SettingsError, Step, Workflow};

/// Everything a policy usually needs.
pub mod prelude {
    pub use crate::config::EffectiveConfig;
    pub use crate::{Command, Layers, Phase, Policy, Problem, Request, Severity, StepKind, export_policy};
}

/// An organisation's policy. Only the name, the summary and [`Policy::review`] must be written.
pub trait Policy {
    /// Unique name, kebab-case; the prefix of all its codes. `core` and `policy` are reserved.
    const NAME: &'static str;
    /// One sentence on what it demands.
    const SUMMARY: &'static str;
    /// Version; by default the one of the crate that exports the policy.
    const VERSION: Option<&'static str> = None;
    /// Page that explains it.
    const URL: Option<&'static str> = None;
    /// Whether [`Policy::shape`] adds anything; when false it is never called.
    const SHAPES: bool = false;
    /// JSON Schema of its settings, as text; none: it takes no settings.
    const SETTINGS_SCHEMA: Option<&'static str> = None;

    /// What is wrong with the settings, beyond their schema; `path` is a place inside them.
    fn check_settings(settings: &serde_json::Value) -> Vec<Problem> {
        let _ = settings;
        Vec::new()
    }

    /// Defaults and overrides for one Kubernetes step; `request.config` is what the file says, without any policy.
    fn shape(request: &Request) -> Layers {
        let _ = request;
        Layers::default()
    }

    /// What it objects to in one step; empty: admitted. Called once when the file is read, and again with the final
    /// values just before the Job is created.
    fn review(request: &Request) -> Vec<Problem>;
}

/// The generated bindings, and the way between them and a [`Policy`]; only for [`export_policy!`].
#[doc(hidden)]
pub mod bindings {
    #![allow(missing_docs, reason = "generated from wit/, which documents every item")]
    #![allow(unsafe_code, reason = "generated: the canonical ABI needs it")]
    #![allow(unused_qualifications, reason = "generated")]
    #![allow(unreachable_pub, reason = "generated")]

    wit_bindgen::generate!({
        world: "policy",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "runner_policy_sdk::bindings",
    });

    pub use exports::runner::policy::review as wit;

    /// `describe` of a policy; `version` is the one of its crate.
    pub fn describe<P: super::Policy>(version: &str) -> wit::Description {
        wit::Description {
            name: P::NAME.to_owned(),
            version: P::VERSION.unwrap_or(version).to_owned(),
            summary: P::SUMMARY.to_owned(),
            url: P::URL.map(str::to_owned),
            shapes: P::SHAPES,
            settings_schema: P::SETTINGS_SCHEMA.map(str::to_owned),
        }
    }

    /// `check-settings` of a policy.
    pub fn check_settings<P: super::Policy>(settings: &str) -> Vec<wit::Problem> {
        match serde_json::from_str(settings) {
            Ok(settings) => lower(P::check_settings(&settings)),
            Err(error) => trap(&format!("the settings are no JSON: {error}")),
        }
    }

    /// `shape` of a policy.
    pub fn shape<P: super::Policy>(request: wit::Request) -> wit::Layers {
        let layers = P::shape(&lift(request));
        wit::Layers { defaults: layers.defaults.to_string(), overrides: layers.overrides.to_string() }
    }

    /// `review` of a policy.
    pub fn review<P: super::Policy>(request: wit::Request) -> Vec<wit::Problem> {
        lower(P::review(&lift(request)))
    }

    fn lift(request: wit::Request) -> super::Request {
        let phase = match request.phase {
            wit::Phase::Load => super::Phase::Load,
            wit::Phase::Submit => super::Phase::Submit,
        };
        let texts = [&request.workflow, &request.step, &request.config, &request.settings];
        match super::Request::from_json(phase, texts.map(String::as_str), request.open) {
            Ok(request) => request,
            Err(error) => trap(&error),
        }
    }

    fn lower(problems: Vec<super::Problem>) -> Vec<wit::Problem> {
        problems
            .into_iter()
            .map(|problem| wit::Problem {
                code: problem.code,
                severity: match problem.severity {
                    super::Severity::Error => wit::Severity::Error,
                    super::Severity::Warning => wit::Severity::Warning,
                    super::Severity::Info => wit::Severity::Info,
                },
                message: problem.message,
                path: problem.path,
                help: problem.help,
                url: problem.url,
                fix: problem.fix.map(|fix| fix.to_string()),
            })
            .collect()
    }

    /// A request that cannot be read is answered with a trap: the host denies the step.
    #[expect(clippy::panic, reason = "a trap is how a component says that it cannot answer")]
    fn trap(reason: &str) -> ! {
        panic!("{reason}")
    }
}

/// Exports a [`Policy`] as the component's `review` interface. Natively, for tests, it does nothing.
#[macro_export]
macro_rules! export_policy {
    ($policy:ty) => {
        #[cfg(target_family = "wasm")]
        mod exported_policy {
            #![allow(unsafe_code, reason = "generated: the canonical ABI needs it")]
            use super::*;
            use $crate::bindings::{self, wit};

            struct Exported;

            impl wit::Guest for Exported {
                fn describe() -> wit::Description {
                    bindings::describe::<$policy>(env!("CARGO_PKG_VERSION"))
                }

                fn check_settings(settings: String) -> Vec<wit::Problem> {
                    bindings::check_settings::<$policy>(&settings)
                }

                fn shape(request: wit::Request) -> wit::Layers {
                    bindings::shape::<$policy>(request)
                }

                fn review(request: wit::Request) -> Vec<wit::Problem> {
                    bindings::review::<$policy>(request)
                }
            }

            bindings::export!(Exported with_types_in bindings);
        }
    };
}
