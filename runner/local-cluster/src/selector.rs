//! Label and field selectors of list, watch and deletecollection.

use serde_json::Value;

use crate::refusal::Refusal;
use crate::resource::Resource;

/// What a list or watch asks for. The default matches everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<Label>,
    fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq)]
enum Label {
    In(String, Vec<String>),
    /// Also true when the label is absent, as in Kubernetes.
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

#[derive(Clone, Debug, PartialEq)]
struct Field {
    path: String,
    value: String,
    negated: bool,
}

impl Selector {
    /// Reads the texts of `labelSelector` and `fieldSelector`; empty ones match everything.
    pub(crate) fn parse(resource: Resource, labels: &str, fields: &str) -> Result<Self, Refusal> {
        Ok(Self { labels: parse_labels(labels)?, fields: parse_fields(resource, fields)? })
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.labels.iter().all(|label| label.matches(object)) && self.fields.iter().all(|field| field.matches(object))
    }
}

impl Label {
    fn matches(&self, object: &Value) -> bool {
        let found =
            |key: &str| object.pointer("/metadata/labels").and_then(|labels| labels.get(key)).and_then(Value::as_str);
        match self {
            Self::In(key, values) => found(key).is_some_and(|value| values.iter().any(|wanted| wanted == value)),
            Self::NotIn(key, values) => found(key).is_none_or(|value| values.iter().all(|wanted| wanted != value)),
            Self::Exists(key) => found(key).is_some(),
            Self::Absent(key) => found(key).is_none(),
        }
    }
}

impl Field {
    fn matches(&self, object: &Value) -> bool {
        let mut value = object;
        for part in self.path.split('.') {
            value = value.get(part).unwrap_or(&Value::Null);
        }
        let same = match value {
            Value::Null => self.value.is_empty(),
            Value::String(text) => *text == self.value,
            Value::Bool(flag) => flag.to_string() == self.value,
            other => *other == self.value.as_str(),
        };
        same != self.negated
    }
}

fn parse_labels(text: &str) -> Result<Vec<Label>, Refusal> {
    split_outside_parentheses(text).into_iter().map(parse_label).collect()
}

/// Splits at commas, but not at those of `in (a,b)`.
fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut inside = false;
    text.split(|c| {
        match c {
            '(' => inside = true,
            ')' => inside = false,
            _ => {}
        }
        c == ',' && !inside
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
    .collect()
}

fn parse_label(text: &str) -> Result<Label, Refusal> {
    let bad = |what: &str| Refusal::bad_request(format!("unable to parse requirement: {what}: `{text}`"));
    let key = |key: &str| {
        let key = key.trim();
        match crate::validate::name::label_key(key) {
            Some(problem) => Err(bad(&problem)),
            None => Ok(key.to_owned()),
        }
    };
    if let Some(absent) = text.strip_prefix('!') {
        return Ok(Label::Absent(key(absent)?));
    }
    if let Some((left, right)) = text.split_once("!=") {
        return Ok(Label::NotIn(key(left)?, vec![right.trim().to_owned()]));
    }
    if let Some((left, right)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Label::In(key(left)?, vec![right.trim().to_owned()]));
    }
    let Some((left, set)) = text.split_once('(') else {
        return Ok(Label::Exists(key(text)?));
    };
    let set = set.trim().strip_suffix(')').ok_or_else(|| bad("found no closing parenthesis"))?;
    let values = set.split(',').map(|value| value.trim().to_owned()).collect();
    match left.trim().split_once(char::is_whitespace).map(|(name, operator)| (name, operator.trim())) {
        Some((name, "in")) => Ok(Label::In(key(name)?, values)),
        Some((name, "notin")) => Ok(Label::NotIn(key(name)?, values)),
        _ => Err(bad("expected in or notin before the parenthesis")),
    }
}

fn parse_fields(resource: Resource, text: &str) -> Result<Vec<Field>, Refusal> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (path, value, negated) = part
                .split_once("!=")
                .map(|(path, value)| (path, value, true))
                .or_else(|| part.split_once("==").map(|(path, value)| (path, value, false)))
                .or_else(|| part.split_once('=').map(|(path, value)| (path, value, false)))
                .ok_or_else(|| {
                    Refusal::bad_request(format!("invalid selector: '{part}'; can't understand '{part}'"))
                })?;
            if !is_known_field(resource, path) {
                return Err(Refusal::bad_request(format!("field label not supported: {path}")));
            }
            Ok(Field { path: path.to_owned(), value: value.to_owned(), negated })
        })
        .collect()
}

fn is_known_field(resource: Resource, path: &str) -> bool {
    if path == "metadata.name" || (path == "metadata.namespace" && resource.is_namespaced()) {
        return true;
    }
    match resource {
        Resource::Pods => matches!(
            path,
            "status.phase"
                | "status.podIP"
                | "spec.nodeName"
                | "spec.restartPolicy"
                | "spec.schedulerName"
                | "spec.serviceAccountName"
        ),
        Resource::Events => {
            matches!(path, "reason" | "type" | "reportingComponent")
                || path.strip_prefix("involvedObject.").is_some_and(|field| {
                    matches!(
                        field,
                        "kind" | "namespace" | "name" | "uid" | "apiVersion" | "resourceVersion" | "fieldPath"
                    )
                })
        }
        Resource::Jobs => path == "status.successful",
        Resource::Namespaces => path == "status.phase",
        Resource::Secrets => path == "type",
        Resource::Nodes => path == "spec.unschedulable",
        Resource::ConfigMaps => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn labels(selector: &str, expected: bool) {
        let object = json!({"metadata": {"labels": {"app": "web", "example.com/tier": "front", "empty": ""}}});
        let found = Selector::parse(Resource::Pods, selector, "").map(|selector| selector.matches(&object));
        assert_eq!(found.unwrap(), expected, "{selector}");
    }

    #[test]
    fn label_selectors() {
        labels("", true);
        labels("app=web", true);
        labels("app == web , example.com/tier=front", true);
        labels("app=api", false);
        labels("app!=api", true);
        labels("missing!=x", true);
        labels("app in (api, web)", true);
        labels("app notin (api,web)", false);
        labels("missing notin (a)", true);
        labels("app,!missing", true);
        labels("!app", false);
        labels("empty=", true);
        assert!(Selector::parse(Resource::Pods, "app in (a", "").is_err());
        assert!(Selector::parse(Resource::Pods, "a b", "").is_err());
    }

    #[test]
    fn field_selectors() {
        let pod = json!({"metadata": {"name": "a", "namespace": "n"}, "status": {"phase": "Running"}});
        let matches =
            |text: &str| Selector::parse(Resource::Pods, "", text).map(|selector| selector.matches(&pod)).ok();
        assert_eq!(matches("metadata.name=a,status.phase!=Failed"), Some(true));
        assert_eq!(matches("metadata.namespace=other"), Some(false));
        assert_eq!(matches("spec.nodeName="), Some(true));
        assert_eq!(matches("spec.containers=x"), None);
    }
}
