//! The kinds of objects this cluster stores, and what discovery says about each.

/// A kind of object, by the name it has in a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// core/v1 `namespaces`.
    Namespaces,
    /// core/v1 `nodes`: one, named `local`.
    Nodes,
    /// core/v1 `configmaps`.
    ConfigMaps,
    /// core/v1 `secrets`.
    Secrets,
    /// core/v1 `events`.
    Events,
    /// core/v1 `pods`.
    Pods,
    /// batch/v1 `jobs`.
    Jobs,
}

impl Resource {
    pub(crate) const ALL: [Self; 7] =
        [Self::Namespaces, Self::Nodes, Self::ConfigMaps, Self::Secrets, Self::Events, Self::Pods, Self::Jobs];

    /// The name in URLs, for example `configmaps`.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Nodes => "nodes",
            Self::ConfigMaps => "configmaps",
            Self::Secrets => "secrets",
            Self::Events => "events",
            Self::Pods => "pods",
            Self::Jobs => "jobs",
        }
    }

    /// The name in objects, for example `ConfigMap`.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Namespaces => "Namespace",
            Self::Nodes => "Node",
            Self::ConfigMaps => "ConfigMap",
            Self::Secrets => "Secret",
            Self::Events => "Event",
            Self::Pods => "Pod",
            Self::Jobs => "Job",
        }
    }

    /// The API group, empty for core.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::Jobs => "batch",
            Self::Namespaces | Self::Nodes | Self::ConfigMaps | Self::Secrets | Self::Events | Self::Pods => "",
        }
    }

    /// Group and version as objects name them: `v1` or `batch/v1`.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Jobs => "batch/v1",
            Self::Namespaces | Self::Nodes | Self::ConfigMaps | Self::Secrets | Self::Events | Self::Pods => "v1",
        }
    }

    /// Whether objects live in a namespace.
    #[must_use]
    pub fn is_namespaced(self) -> bool {
        !matches!(self, Self::Namespaces | Self::Nodes)
    }

    /// Whether there is a `status` subresource.
    pub(crate) fn has_status(self) -> bool {
        matches!(self, Self::Namespaces | Self::Nodes | Self::Pods | Self::Jobs)
    }

    /// Whether the server counts changes of `spec` in `metadata.generation`.
    pub(crate) fn has_generation(self) -> bool {
        matches!(self, Self::Pods | Self::Jobs)
    }

    /// What messages call the resource: `jobs.batch`, `pods`.
    pub(crate) fn qualified(self) -> String {
        match self.group() {
            "" => self.plural().to_owned(),
            group => format!("{}.{group}", self.plural()),
        }
    }

    /// What messages about an invalid object call its kind: `Job.batch`, `Pod`.
    pub(crate) fn qualified_kind(self) -> String {
        match self.group() {
            "" => self.kind().to_owned(),
            group => format!("{}.{group}", self.kind()),
        }
    }

    pub(crate) fn short_names(self) -> &'static [&'static str] {
        match self {
            Self::Namespaces => &["ns"],
            Self::Nodes => &["no"],
            Self::ConfigMaps => &["cm"],
            Self::Events => &["ev"],
            Self::Pods => &["po"],
            Self::Secrets | Self::Jobs => &[],
        }
    }

    pub(crate) fn is_in_category_all(self) -> bool {
        matches!(self, Self::Pods | Self::Jobs)
    }

    /// The resource of a URL, by group and plural name.
    pub(crate) fn find(group: &str, plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.group() == group && resource.plural() == plural)
    }

    /// The resource of a manifest, by `apiVersion` and `kind`.
    pub(crate) fn of_manifest(api_version: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.api_version() == api_version && resource.kind() == kind)
    }
}
