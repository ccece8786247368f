//! Security contexts.

use std::collections::HashMap;

use model::config::EffectiveConfig;
use model::config::security::{SeccompProfile, SeccompProfileType};
use model::path;
use model::problem::{CoreProblem, code};

use super::Checking;
use crate::typed::Walk;
use crate::yaml::{Content, Node, Span, cut};

/// No kernel parameter twice.
pub(super) fn sysctls(walk: &mut Walk<'_>, node: &Node, path: &str) {
    let Some(Content::List(items)) = node.entry("sysctls").map(|entry| &entry.value.content) else { return };
    let mut seen: HashMap<&str, Span> = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        let Some(entry) = item.entry("name") else { continue };
        let Some(name) = entry.value.scalar().map(str::trim).filter(|name| !name.is_empty()) else { continue };
        let Some(first) = seen.get(name).copied() else {
            seen.insert(name, entry.value.span);
            continue;
        };
        let at = path::key(&path::index(&path::key(path, "sysctls"), index), "name");
        let problem =
            CoreProblem::error(code::DUPLICATE, format!("the kernel parameter `{}` is there twice", cut(name)))
                .help("remove one of the two")
                .related(walk.source.map(|source| first.position(source)), "it is first here");
        walk.refuse(problem, &at, entry.value.span);
    }
}

/// Settings that contradict each other.
pub(super) fn merged(checking: &mut Checking<'_>, config: &EffectiveConfig) {
    let (container, pod) = (&config.security_context, &config.pod_security_context);
    seccomp(checking, &container.seccomp_profile, "security_context.seccomp_profile");
    seccomp(checking, &pod.seccomp_profile, "pod_security_context.seccomp_profile");

    let escalation = "security_context.allow_privilege_escalation";
    if container.allow_privilege_escalation == Some(false) {
        if container.privileged == Some(true) {
            let problem = CoreProblem::error(
                code::EXCLUSIVE,
                "`privileged: true` cannot stand with `allow_privilege_escalation: false`",
            )
            .help(checking.also(escalation))
            .related(checking.position(escalation), "the other one is here");
            checking.say(problem, "security_context.privileged");
        }
        for (index, capability) in container.capabilities.add.iter().enumerate() {
            let at = path::index("security_context.capabilities.add", index);
            if capability == "CAP_SYS_ADMIN" && checking.is_judged(&at) {
                let problem = CoreProblem::error(
                    code::EXCLUSIVE,
                    "the capability `CAP_SYS_ADMIN` cannot be added with `allow_privilege_escalation: false`",
                )
                .help(checking.also(escalation))
                .related(checking.position(escalation), "the other one is here");
                checking.say(problem, &at);
            }
        }
    }

    let pick = |of_container: bool, key: &str| {
        if of_container { format!("security_context.{key}") } else { format!("pod_security_context.{key}") }
    };
    let non_root = container.run_as_non_root.or(pod.run_as_non_root);
    let user = container.run_as_user.or(pod.run_as_user);
    if non_root == Some(true) && user == Some(0) {
        let at = pick(container.run_as_user.is_some(), "run_as_user");
        let other = pick(container.run_as_non_root.is_some(), "run_as_non_root");
        let message =
            "the user is root and `run_as_non_root` is set: the kubelet will not start the container".to_owned();
        let help = checking.also(&other);
        checking.doubtful(message, &help, &at);
    }
}

/// `Localhost` needs a path, everything else has none.
fn seccomp(checking: &mut Checking<'_>, profile: &SeccompProfile, at: &str) {
    let (kind_at, path_at) = (path::key(at, "type"), path::key(at, "localhost_profile"));
    if checking.lacks_parts(&kind_at) || checking.lacks_parts(&path_at) {
        return;
    }
    let localhost = profile.seccomp_type == Some(SeccompProfileType::Localhost);
    match &profile.localhost_profile {
        None if localhost => {
            let problem = CoreProblem::error(code::REQUIRED, "`type: Localhost` needs a `localhost_profile`")
                .help("add the path of the profile below the kubelet's seccomp folder");
            checking.say(problem, &kind_at);
        }
        Some(path) if localhost && path.trim().is_empty() => {
            let problem = CoreProblem::error(code::REQUIRED, "`localhost_profile` is blank")
                .help("give the path of the profile below the kubelet's seccomp folder");
            checking.say(problem, &path_at);
        }
        Some(_) if !localhost => {
            let kind = profile.seccomp_type.as_ref().map_or("none", SeccompProfileType::as_str);
            let (of_path, of_type) = (checking.layer(&path_at), checking.layer(&kind_at));
            let help = if profile.seccomp_type.is_some() && of_path != of_type {
                format!(
                    "layer `{of_path}` holds the path and layer `{of_type}` changed the type: take the profile out of \
                     layer `{of_path}`, or put `Localhost` only into the steps that need it"
                )
            } else {
                "remove `localhost_profile`, or write `type: Localhost`".to_owned()
            };
            let problem = CoreProblem::error(
                code::EXCLUSIVE,
                format!("`localhost_profile` stands only with `type: Localhost`, the type is {kind}"),
            )
            .help(help)
            .related(profile.seccomp_type.as_ref().and_then(|_| checking.position(&kind_at)), "the type is here");
            checking.say(problem, &path_at);
        }
        _ => {}
    }
}
