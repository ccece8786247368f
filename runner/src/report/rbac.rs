//! The rights that a run needs, as manifests for `kubectl apply`. The rules stand here and nowhere else.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What the rights are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rbac {
    /// Namespaces in which Jobs are made: a Role and its binding in each.
    pub namespaces: BTreeSet<String>,
    /// Namespace of the service account; none: the first of those.
    pub account_namespace: Option<String>,
    /// Name of the service account.
    pub account: String,
    /// Whether a step keeps its Job: one that has not ended is suspended then.
    pub keeps_jobs: bool,
    /// Whether secrets are read from the cluster.
    pub reads_secrets: bool,
}

/// A rule of a Role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RbacRule {
    /// API group; empty: the core group.
    pub group: &'static str,
    /// The resource, with its subresource.
    pub resource: &'static str,
    /// The verbs.
    pub verbs: &'static [&'static str],
    /// What for, and what happens without it.
    pub why: &'static str,
}

const EVERY_RUN: [RbacRule; 5] = [
    RbacRule {
        group: "batch",
        resource: "jobs",
        verbs: &["create", "get", "list", "watch", "delete"],
        why: "every run",
    },
    RbacRule { group: "", resource: "pods", verbs: &["list", "watch"], why: "every run" },
    RbacRule {
        group: "",
        resource: "pods/log",
        verbs: &["get"],
        why: "logs; without it a run goes on and says once that there are none",
    },
    RbacRule {
        group: "",
        resource: "events",
        verbs: &["list"],
        why: "why a pod is missing or stuck; without it missing pods are waited for ten times as long",
    },
    RbacRule {
        group: "",
        resource: "pods",
        verbs: &["delete"],
        why: "a second Ctrl-C; without it pods end by their own grace period",
    },
];

const KEEP: RbacRule = RbacRule {
    group: "batch",
    resource: "jobs",
    verbs: &["patch"],
    why: "`cleanup_policy: keep`: a Job that has not ended is suspended; without it that may start later",
};

const SECRETS: RbacRule =
    RbacRule { group: "", resource: "secrets", verbs: &["get"], why: "secrets of provider `kubernetes`" };

impl Rbac {
    /// The rules of the Role.
    pub fn rules(&self) -> Vec<RbacRule> {
        let more = [(self.keeps_jobs, KEEP), (self.reads_secrets, SECRETS)];
        EVERY_RUN
            .into_iter()
            .chain(more.into_iter().filter(|(is_needed, _)| *is_needed).map(|(_, rule)| rule))
            .collect()
    }

    /// ServiceAccount, then Role and RoleBinding for each namespace.
    pub fn manifests(&self) -> String {
        let account = &self.account;
        let home =
            self.account_namespace.as_deref().or(self.namespaces.first().map(String::as_str)).unwrap_or_default();
        let mut text =
            format!("apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: {account}\n  namespace: {home}\n");
        for namespace in &self.namespaces {
            let _ = write!(
                text,
                "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: {account}\n  \
                 namespace: {namespace}\nrules:\n"
            );
            for RbacRule { group, resource, verbs, why } in self.rules() {
                let verbs = verbs.join(", ");
                let _ = write!(
                    text,
                    "  # {why}\n  - apiGroups: [\"{group}\"]\n    resources: [\"{resource}\"]\n    verbs: [{verbs}]\n"
                );
            }
            let _ = write!(
                text,
                "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata:\n  name: {account}\n  \
                 namespace: {namespace}\nroleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: Role\n  name: \
                 {account}\nsubjects:\n  - kind: ServiceAccount\n    name: {account}\n    namespace: {home}\n"
            );
        }
        text
    }
}
