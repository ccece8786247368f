//! The options of a request: query parameters and the body of a DELETE.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::selector::Selector;
use crate::store::{Deletion, Propagation};

/// The query parameters by name; of a repeated one the first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    values: BTreeMap<String, String>,
}

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let mut values = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            values.entry(name.into_owned()).or_insert_with(|| value.into_owned());
        }
        Self { values }
    }

    /// A parameter, empty when absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.values.get(name).map(String::as_str).unwrap_or_default()
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name), "true" | "1" | "True" | "TRUE" | "t")
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        match self.text(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Refusal::bad_request(format!("strconv.ParseInt: parsing \"{text}\": invalid syntax ({name})"))
            }),
        }
    }

    /// Whether nothing is to be kept.
    pub(crate) fn is_dry_run(&self) -> Result<bool, Refusal> {
        parse_dry_run(self.text("dryRun"))
    }

    pub(crate) fn selector(&self, resource: Resource) -> Result<Selector, Refusal> {
        Selector::parse(resource, self.text("labelSelector"), self.text("fieldSelector"))
    }

    /// A version; `None` when absent.
    pub(crate) fn version(&self) -> Result<Option<u64>, Refusal> {
        match self.text("resourceVersion") {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| Refusal::bad_request(format!("resourceVersion: Invalid value: \"{text}\": invalid"))),
        }
    }
}

fn parse_dry_run(text: &str) -> Result<bool, Refusal> {
    match text {
        "" => Ok(false),
        "All" => Ok(true),
        other => Err(Refusal::new(
            422,
            "Invalid",
            format!("dryRun: Unsupported value: \"{other}\": supported values: \"All\""),
        )),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DeleteBody {
    grace_period_seconds: Option<i64>,
    propagation_policy: Option<String>,
    orphan_dependents: Option<bool>,
    preconditions: Option<Preconditions>,
    dry_run: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Preconditions {
    uid: Option<String>,
    resource_version: Option<String>,
}

/// How to delete, and whether only to say what would happen. The body wins over the query.
pub(crate) fn deletion(query: &Query, body: &[u8]) -> Result<(Deletion, bool), Refusal> {
    let options: DeleteBody = if body.iter().all(u8::is_ascii_whitespace) {
        DeleteBody::default()
    } else {
        serde_json::from_slice(body).map_err(|error| {
            Refusal::bad_request(format!(
                "DeleteOptions in version \"v1\" cannot be handled as a DeleteOptions: {error}"
            ))
        })?
    };
    let policy = options.propagation_policy.unwrap_or_else(|| query.text("propagationPolicy").to_owned());
    let propagation = match policy.as_str() {
        "" => match (options.orphan_dependents, query.text("orphanDependents")) {
            (Some(true), _) | (None, "true") => Some(Propagation::Orphan),
            (Some(false), _) | (None, "false") => Some(Propagation::Background),
            _ => None,
        },
        text => Some(Propagation::parse(text).ok_or_else(|| {
            Refusal::new(
                422,
                "Invalid",
                format!(
                    "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"{text}\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
                ),
            )
        })?),
    };
    let preconditions = options.preconditions.unwrap_or_default();
    let dry_run = match options.dry_run.as_deref().and_then(<[String]>::first) {
        Some(text) => parse_dry_run(text)?,
        None => query.is_dry_run()?,
    };
    let deletion = Deletion {
        propagation,
        grace_seconds: match options.grace_period_seconds {
            Some(seconds) => Some(seconds),
            None => query.number("gracePeriodSeconds")?,
        },
        uid: preconditions.uid,
        version: preconditions.resource_version,
    };
    Ok((deletion, dry_run))
}
