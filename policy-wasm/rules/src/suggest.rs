//! "Did you mean": the nearest known key or name.

/// Spellings of Kubernetes and of other workflow files whose key is called otherwise here.
const OTHER_SPELLINGS: &[(&str, &str)] = &[
    ("active_deadline_seconds", "active_deadline"),
    ("image_pull_secret", "image_pull_secrets"),
    ("node_selectors", "node_selector"),
    ("service_account_name", "service_account"),
    ("ttl_seconds_after_finished", "ttl_after_finished"),
    ("termination_grace_period", "termination_grace_period_seconds"),
    ("priority_class", "priority_class_name"),
    ("pvc", "persistent_volume_claim"),
    ("config_map_key", "config_map_key_ref"),
    ("secret_key", "secret_key_ref"),
    ("depends_on", "depends"),
    ("needs", "depends"),
    ("timeout", "timeout_sec"),
    ("timeout_seconds", "timeout_sec"),
    ("cmd", "command"),
    ("retry", "retry_policy"),
    ("repeat", "repeat_policy"),
    ("interval", "interval_sec"),
    ("interval_seconds", "interval_sec"),
    ("max_interval", "max_interval_sec"),
    ("max_attempts", "limit"),
    ("max_retries", "limit"),
    ("retries", "limit"),
    ("working_directory", "working_dir"),
    ("workdir", "working_dir"),
    ("cwd", "working_dir"),
    ("environment", "env"),
    ("vars", "env"),
    ("variables", "env"),
    ("handlers", "handler_on"),
    ("precondition", "preconditions"),
    ("cancel", "abort"),
    ("on_cancel", "abort"),
    ("on_abort", "abort"),
    ("on_exit", "exit"),
    ("on_init", "init"),
    ("on_success", "success"),
    ("on_failure", "failure"),
];

/// Keys that Kubernetes knows and the Kubernetes executor does not have, by design.
const NOT_SUPPORTED: &[&str] = &[
    "active_deadline_policy",
    "app_armor_profile",
    "args",
    "automount_service_account_token",
    "completion_mode",
    "completions",
    "csi",
    "default_mode",
    "dns_config",
    "dns_policy",
    "downward_api",
    "enable_service_links",
    "ephemeral",
    "host_aliases",
    "host_ipc",
    "host_network",
    "host_pid",
    "host_users",
    "hostname",
    "init_containers",
    "items",
    "job_spec",
    "lifecycle",
    "liveness_probe",
    "managed_by",
    "match_fields",
    "match_label_keys",
    "mount_propagation",
    "nfs",
    "node_name",
    "optional",
    "overhead",
    "parallelism",
    "pod_spec",
    "ports",
    "proc_mount",
    "projected",
    "readiness_probe",
    "restart_policy",
    "runtime_class_name",
    "scheduler_name",
    "se_linux_options",
    "sidecars",
    "startup_probe",
    "stdin",
    "sub_path_expr",
    "subdomain",
    "success_policy",
    "suspend",
    "toleration_seconds",
    "topology_spread_constraints",
    "tty",
    "volume_devices",
    "windows_options",
];

/// What is meant by an unknown key.
pub(crate) enum Meant<'a> {
    /// Probably this one.
    Key(&'a str),
    /// Kubernetes knows it, the executor has no such field.
    NotSupported,
    /// Nobody knows.
    Unknown,
}

/// Finds what was meant by `key` among `known`.
pub(crate) fn key<'a>(key: &str, known: impl Iterator<Item = &'a str> + Clone) -> Meant<'a> {
    let snake = snake_case(key);
    let find = |wanted: &str| known.clone().find(|candidate| *candidate == wanted);
    if let Some(found) = find(&snake) {
        return Meant::Key(found);
    }
    let spelling = OTHER_SPELLINGS.iter().find(|(other, _)| *other == snake);
    if let Some(found) = spelling.and_then(|(_, ours)| find(ours)) {
        return Meant::Key(found);
    }
    if NOT_SUPPORTED.contains(&snake.as_str()) {
        return Meant::NotSupported;
    }
    nearest(&snake, known).map_or(Meant::Unknown, Meant::Key)
}

/// The candidate within an edit distance of 2; the nearest, of equals the first.
pub(crate) fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const FURTHEST: usize = 2;
    // A long text cannot be near to a key, and its distance would cost time.
    if text.len() > 100 {
        return None;
    }
    known
        .filter(|candidate| candidate.len().abs_diff(text.len()) <= FURTHEST)
        .map(|candidate| (strsim::damerau_levenshtein(text, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= FURTHEST && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `serviceAccountName` and `service-account-name` as `service_account_name`.
pub(crate) fn snake_case(text: &str) -> String {
    let mut snake = String::new();
    let mut previous_lower = false;
    for character in text.chars().take(200) {
        if character.is_ascii_uppercase() {
            if previous_lower {
                snake.push('_');
            }
            snake.push(character.to_ascii_lowercase());
            previous_lower = false;
        } else {
            snake.push(if character == '-' { '_' } else { character });
            previous_lower = character.is_ascii_lowercase() || character.is_ascii_digit();
        }
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(text: &str) -> &'static str {
        let known = ["image", "service_account", "active_deadline", "env", "env_from"];
        match key(text, known.into_iter()) {
            Meant::Key(key) => key,
            Meant::NotSupported => "not supported",
            Meant::Unknown => "unknown",
        }
    }

    #[test]
    fn the_spelling_of_kubernetes_is_understood_first() {
        assert_eq!(meant("serviceAccountName"), "service_account");
        assert_eq!(meant("activeDeadlineSeconds"), "active_deadline");
        assert_eq!(meant("envFrom"), "env_from");
        assert_eq!(meant("imagee"), "image");
        assert_eq!(meant("restartPolicy"), "not supported");
        assert_eq!(meant("colour"), "unknown");
    }
}
