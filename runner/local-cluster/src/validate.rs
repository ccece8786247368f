//! What a well-formed object may still get wrong: the 422 of the API, all causes at once, in Kubernetes' words.
//!
//! Written from Kubernetes' own rules and independent of any client's: it is the second opinion a client's checks are
//! compared with.

use serde_json::Value;

use crate::object::{Metadata, typed};
use crate::refusal::{Cause, Refusal};
use crate::resource::Resource;

mod data;
mod failure_policy;
mod job;
mod metadata;
pub(crate) mod name;
mod pod;
mod resources;
mod scheduling;
mod security;
mod volumes;

/// Checks an object that is to be created.
pub(crate) fn create(resource: Resource, object: &Value) -> Result<(), Refusal> {
    let mut causes = Causes::default();
    metadata::check(resource, object, &mut causes);
    check_content(resource, object, &mut causes);
    causes.into_result(resource, object.name())
}

/// Checks an object that is to take the place of `before`.
pub(crate) fn update(resource: Resource, before: &Value, object: &Value) -> Result<(), Refusal> {
    let mut causes = Causes::default();
    metadata::check(resource, object, &mut causes);
    match resource {
        Resource::Jobs => job::check_update(before, object, &mut causes),
        Resource::Pods => pod::check_update(before, object, &mut causes),
        Resource::ConfigMaps | Resource::Secrets => data::check_update(before, object, &mut causes),
        Resource::Namespaces | Resource::Nodes | Resource::Events => {}
    }
    check_content(resource, object, &mut causes);
    causes.into_result(resource, object.name())
}

fn check_content(resource: Resource, object: &Value, causes: &mut Causes) {
    match resource {
        Resource::Jobs => typed(object).iter().for_each(|job| job::check(job, causes)),
        Resource::Pods => typed(object).iter().for_each(|pod| pod::check(pod, causes)),
        Resource::ConfigMaps => data::check_config_map(object, causes),
        Resource::Secrets => data::check_secret(object, causes),
        Resource::Events => data::check_event(object, causes),
        Resource::Namespaces | Resource::Nodes => {}
    }
}

/// Collects what is wrong, field by field.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    found: Vec<Cause>,
}

impl Causes {
    fn add(&mut self, reason: &'static str, field: impl Into<String>, message: String) {
        self.found.push(Cause { reason, field: field.into(), message });
    }

    fn required(&mut self, field: impl Into<String>, detail: &str) {
        let message = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        self.add("FieldValueRequired", field, message);
    }

    fn invalid(&mut self, field: impl Into<String>, value: impl Into<Value>, detail: &str) {
        self.add("FieldValueInvalid", field, format!("Invalid value: {}: {detail}", value.into()));
    }

    fn unsupported(&mut self, field: impl Into<String>, value: &str, supported: &[&str]) {
        let supported: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
        let supported = supported.join(", ");
        self.add(
            "FieldValueNotSupported",
            field,
            format!("Unsupported value: {value:?}: supported values: {supported}"),
        );
    }

    fn duplicate(&mut self, field: impl Into<String>, value: &str) {
        self.add("FieldValueDuplicate", field, format!("Duplicate value: {value:?}"));
    }

    fn forbidden(&mut self, field: impl Into<String>, detail: &str) {
        self.add("FieldValueForbidden", field, format!("Forbidden: {detail}"));
    }

    fn not_found(&mut self, field: impl Into<String>, value: &str) {
        self.add("FieldValueNotFound", field, format!("Not found: {value:?}"));
    }

    fn too_long(&mut self, field: impl Into<String>, limit: usize) {
        self.add("FieldValueTooLong", field, format!("Too long: may not be more than {limit} bytes"));
    }

    /// One of a fixed list of words.
    fn one_of(&mut self, field: impl Into<String>, value: &str, supported: &[&str]) {
        if value.is_empty() {
            self.required(field, "");
        } else if !supported.contains(&value) {
            self.unsupported(field, value, supported);
        }
    }

    fn not_negative(&mut self, field: impl Into<String>, value: Option<impl Into<i64>>) {
        if let Some(value) = value.map(Into::into).filter(|value| *value < 0) {
            self.invalid(field, value, "must be greater than or equal to 0");
        }
    }

    /// A text that has to pass a rule of [`name`].
    fn named(&mut self, field: impl Into<String>, value: &str, rule: fn(&str) -> Option<String>) {
        if value.is_empty() {
            self.required(field, "");
        } else if let Some(problem) = rule(value) {
            self.invalid(field, value, &problem);
        }
    }

    fn into_result(self, resource: Resource, name: &str) -> Result<(), Refusal> {
        if self.found.is_empty() { Ok(()) } else { Err(Refusal::invalid(resource, name, &self.found)) }
    }
}
