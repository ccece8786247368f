//! The way back: which value of the config a field of the manifest comes from, for what an API server says about it.
//!
//! The server names fields as `spec.template.spec.containers[0].env[0].name`. What it names that no config holds, as the
//! name of the Job, has no way back.

use model::config::EffectiveConfig;
use model::path::{self, Segment};

/// Where the mappings of the manifest come from, the longer way first; what is below keeps its name in snake case.
const ORIGINS: [(&str, &str); 14] = [
    ("spec.template.spec.containers[0].securityContext", "security_context"),
    ("spec.template.spec.containers[0]", ""),
    ("spec.template.spec.securityContext", "pod_security_context"),
    ("spec.template.spec.serviceAccountName", "service_account"),
    ("spec.template.spec", ""),
    // Kubernetes leaves `metadata` out when it checks the labels of a template.
    ("spec.template.labels", "labels"),
    ("spec.template.annotations", "annotations"),
    ("spec.template.metadata.labels", "labels"),
    ("spec.template.metadata.annotations", "annotations"),
    ("spec.activeDeadlineSeconds", "active_deadline"),
    ("spec.ttlSecondsAfterFinished", "ttl_after_finished"),
    ("spec.template", "template"),
    ("spec", ""),
    ("metadata", ""),
];

/// The path inside the config of what the server calls `field`; none: no config holds it.
pub fn config_path(field: &str) -> Option<String> {
    let (rest, origin) = ORIGINS.iter().find_map(|(manifest, config)| {
        let rest = field.strip_prefix(manifest)?;
        (rest.is_empty() || rest.starts_with(['.', '['])).then_some((rest, *config))
    })?;
    let mut found = origin.to_owned();
    for segment in path::parse(&quoted(rest.trim_start_matches('.')))? {
        match segment {
            // Keys of the user's own, as labels, stay as they are: they never come after a dot.
            Segment::Key(key) if rest.contains(&format!("[{key}]")) => path::push_key(&mut found, &key),
            Segment::Key(key) => path::push_key(&mut found, &snake_case(&key)),
            Segment::Index(index) => path::push_index(&mut found, index),
        }
    }
    let first = found.split(['.', '[']).next().unwrap_or_default();
    EffectiveConfig::MAPPING.fields.iter().any(|field| field.key == first).then_some(found)
}

/// A path as Kubernetes writes it, `limits[nvidia.com/gpu]`, with its keys in quotes.
fn quoted(field: &str) -> String {
    let mut text = String::with_capacity(field.len() + 2);
    let mut rest = field;
    while let Some((before, inside, after)) = rest
        .split_once('[')
        .and_then(|(before, after)| after.split_once(']').map(|(inside, rest)| (before, inside, rest)))
    {
        text.push_str(before);
        match inside.parse::<usize>() {
            Ok(index) => path::push_index(&mut text, index),
            Err(_) => {
                text.push_str("[\"");
                text.push_str(&inside.replace('\\', "\\\\").replace('"', "\\\""));
                text.push_str("\"]");
            }
        }
        rest = after;
    }
    text + rest
}

fn snake_case(key: &str) -> String {
    let mut text = String::with_capacity(key.len() + 4);
    for letter in key.chars() {
        if letter.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_names_is_found_in_the_config() {
        for (field, expected) in [
            ("spec.template.spec.containers[0].image", Some("image")),
            (
                "spec.template.spec.containers[0].env[2].valueFrom.secretKeyRef.key",
                Some("env[2].value_from.secret_key_ref.key"),
            ),
            ("spec.template.spec.containers[0].resources.limits[memory]", Some("resources.limits.memory")),
            (
                "spec.template.spec.containers[0].resources.limits[nvidia.com/gpu]",
                Some(r#"resources.limits["nvidia.com/gpu"]"#),
            ),
            ("spec.template.spec.containers[0].securityContext.runAsUser", Some("security_context.run_as_user")),
            ("spec.template.spec.securityContext.fsGroup", Some("pod_security_context.fs_group")),
            ("spec.template.spec.volumes[1].emptyDir.sizeLimit", Some("volumes[1].empty_dir.size_limit")),
            ("spec.template.spec.serviceAccountName", Some("service_account")),
            ("spec.template.spec.imagePullSecrets[0].name", Some("image_pull_secrets[0].name")),
            (
                "spec.podFailurePolicy.rules[0].onExitCodes.values",
                Some("pod_failure_policy.rules[0].on_exit_codes.values"),
            ),
            ("spec.ttlSecondsAfterFinished", Some("ttl_after_finished")),
            ("spec.template.labels", Some("labels")),
            ("metadata.annotations", Some("annotations")),
            ("metadata.namespace", Some("namespace")),
            ("metadata.name", None),
            ("spec.template.spec.containers[0].args", None),
            ("spec.template.spec.containers[1].image", None),
            ("spec.selector", None),
            ("kind", None),
        ] {
            assert_eq!(config_path(field).as_deref(), expected, "{field}");
        }
    }
}
