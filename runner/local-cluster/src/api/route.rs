//! What a URL means: a collection, an object, a part of one, or something about the server itself.

use http::Method;
use percent_encoding::percent_decode_str;

use crate::object::Key;
use crate::resource::Resource;

/// The target of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Route {
    /// Health, version and discovery; the path.
    Server(String),
    /// All objects of a kind, in one namespace or everywhere.
    Collection {
        resource: Resource,
        namespace: Option<String>,
    },
    /// One object or a part of it.
    Object {
        key: Key,
        sub: Sub,
    },
    Unknown,
}

/// The part of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sub {
    Whole,
    Status,
    Log,
    /// `pods/NAME/eviction`.
    Eviction,
    /// `namespaces/NAME/finalize`.
    Finalize,
}

impl Sub {
    fn parse(resource: Resource, text: &str) -> Option<Self> {
        match (resource, text) {
            (resource, "status") if resource.has_status() => Some(Self::Status),
            (Resource::Pods, "log") => Some(Self::Log),
            (Resource::Pods, "eviction") => Some(Self::Eviction),
            (Resource::Namespaces, "finalize") => Some(Self::Finalize),
            _ => None,
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::Status => "/status",
            Self::Log => "/log",
            Self::Eviction => "/eviction",
            Self::Finalize => "/finalize",
        }
    }
}

impl Route {
    pub(crate) fn parse(path: &str) -> Self {
        let parts: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["livez" | "readyz" | "healthz", ..] => Self::Server("livez".to_owned()),
            ["version"]
            | ["api"]
            | ["api", "v1"]
            | ["apis"]
            | ["apis", "batch"]
            | ["apis", "batch", "v1"]
            | ["openapi", "v3", ..] => Self::Server(parts.join("/")),
            ["api", "v1", rest @ ..] => Self::resource("", rest),
            ["apis", "batch", "v1", rest @ ..] => Self::resource("batch", rest),
            _ => Self::Unknown,
        }
    }

    fn resource(group: &str, parts: &[&str]) -> Self {
        let object = |resource: Resource, namespace: &str, name: &str, sub: Option<Sub>| match sub {
            Some(sub) => Self::Object { key: Key::new(resource, namespace, name), sub },
            None => Self::Unknown,
        };
        let find = |plural: &str, is_namespaced: bool| {
            Resource::find(group, plural).filter(|resource| resource.is_namespaced() == is_namespaced)
        };
        match parts {
            ["namespaces", namespace, plural, rest @ ..] if find(plural, true).is_some() => {
                let Some(resource) = find(plural, true) else { return Self::Unknown };
                match rest {
                    [] => Self::Collection { resource, namespace: Some((*namespace).to_owned()) },
                    [name] => object(resource, namespace, name, Some(Sub::Whole)),
                    [name, sub] => object(resource, namespace, name, Sub::parse(resource, sub)),
                    _ => Self::Unknown,
                }
            }
            [plural] => match Resource::find(group, plural) {
                Some(resource) => Self::Collection { resource, namespace: None },
                None => Self::Unknown,
            },
            [plural, name] => match find(plural, false) {
                Some(resource) => object(resource, "", name, Some(Sub::Whole)),
                None => Self::Unknown,
            },
            [plural, name, sub] => match find(plural, false) {
                Some(resource) => object(resource, "", name, Sub::parse(resource, sub)),
                None => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    /// The verb as Kubernetes' authorization names it.
    pub(crate) fn verb(&self, method: &Method, is_watch: bool) -> &'static str {
        let is_collection = matches!(self, Self::Collection { .. });
        match (method, is_collection) {
            (&Method::GET, true) if is_watch => "watch",
            (&Method::GET, true) => "list",
            (&Method::GET, false) => "get",
            (&Method::POST, _) => "create",
            (&Method::PUT, _) => "update",
            (&Method::PATCH, _) => "patch",
            (&Method::DELETE, true) => "deletecollection",
            (&Method::DELETE, false) => "delete",
            _ => "other",
        }
    }

    /// The resource with its subresource, the namespace and the name; empty where there is none.
    pub(crate) fn describe(&self) -> (String, &str, &str) {
        match self {
            Self::Collection { resource, namespace } => {
                (resource.plural().to_owned(), namespace.as_deref().unwrap_or_default(), "")
            }
            Self::Object { key, sub } => {
                (format!("{}{}", key.resource.plural(), sub.suffix()), &key.namespace, &key.name)
            }
            Self::Server(_) | Self::Unknown => (String::new(), "", ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let object = |resource, namespace, name, sub| Route::Object { key: Key::new(resource, namespace, name), sub };
        let all =
            |resource, namespace: Option<&str>| Route::Collection { resource, namespace: namespace.map(str::to_owned) };
        for (path, expected) in [
            ("/api/v1/namespaces/a/pods/b/log", object(Resource::Pods, "a", "b", Sub::Log)),
            ("/api/v1/namespaces/a/pods/b/eviction", object(Resource::Pods, "a", "b", Sub::Eviction)),
            ("/apis/batch/v1/namespaces/a/jobs/b/status", object(Resource::Jobs, "a", "b", Sub::Status)),
            ("/apis/batch/v1/namespaces/a/jobs", all(Resource::Jobs, Some("a"))),
            ("/apis/batch/v1/jobs", all(Resource::Jobs, None)),
            ("/api/v1/namespaces", all(Resource::Namespaces, None)),
            ("/api/v1/namespaces/a", object(Resource::Namespaces, "", "a", Sub::Whole)),
            ("/api/v1/nodes/local", object(Resource::Nodes, "", "local", Sub::Whole)),
            ("/api/v1/namespaces/a%2Db", object(Resource::Namespaces, "", "a-b", Sub::Whole)),
            ("/api/v1/namespaces/a/secrets/b/log", Route::Unknown),
            ("/api/v1/jobs", Route::Unknown),
            ("/api/v1", Route::Server("api/v1".to_owned())),
            ("/apis/batch/v1", Route::Server("apis/batch/v1".to_owned())),
            ("/apis", Route::Server("apis".to_owned())),
            ("/apis/apps/v1/deployments", Route::Unknown),
            ("/", Route::Unknown),
        ] {
            assert_eq!(Route::parse(path), expected, "{path}");
        }
    }
}
