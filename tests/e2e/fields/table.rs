//! The table: configs, and where each of their values must stand in the cluster.
//!
//! Values are in the form that Kubernetes itself writes; what it rewrites is in rows of their own at the end.

use serde_json::{Value, json};

use super::{Job, Metadata, Pod, Row, row};
use crate::workflow::SHELL;

/// All rows; the namespace lends its name to what is outside of it.
pub(super) fn rows(namespace: &str) -> Vec<Row> {
    let parts = [pod(namespace), life(), environment(), metadata(), security(), affinity(), volumes(), rewritten()];
    parts.into_iter().flatten().collect()
}

fn pod(namespace: &str) -> Vec<Row> {
    vec![
        row(
            json!({"image": SHELL, "namespace": namespace, "working_dir": "/tmp", "image_pull_policy": " ifnotpresent "}),
            vec![
                (Job("/metadata/namespace"), json!(namespace)),
                (Pod("/containers/0/name"), json!("step")),
                (Pod("/containers/0/image"), json!(SHELL)),
                (Pod("/containers/0/command"), json!(["sleep", "600"])),
                (Pod("/containers/0/args"), Value::Null),
                (Pod("/containers/0/workingDir"), json!("/tmp")),
                (Pod("/containers/0/imagePullPolicy"), json!("IfNotPresent")),
                (Pod("/restartPolicy"), json!("Never")),
            ],
        ),
        row(
            json!({"service_account": "loader", "image_pull_secrets": ["second", "first"],
                "priority_class_name": namespace, "termination_grace_period_seconds": 0}),
            vec![
                (Pod("/serviceAccountName"), json!("loader")),
                (Pod("/imagePullSecrets"), json!([{"name": "second"}, {"name": "first"}])),
                (Pod("/priorityClassName"), json!(namespace)),
                (Pod("/terminationGracePeriodSeconds"), json!(0)),
            ],
        ),
    ]
}

fn life() -> Vec<Row> {
    let rules = json!([
        {"action": "FailJob", "on_exit_codes": {"container_name": "step", "operator": "In", "values": [42, 3, 255]}},
        {"action": "Ignore", "on_pod_conditions": [
            {"type": "DisruptionTarget"}, {"type": "runner.test/Moved", "status": "False"}]},
        {"action": "Count", "on_exit_codes": {"operator": "NotIn", "values": [0]}},
    ]);
    let written = json!([
        {"action": "FailJob", "onExitCodes": {"containerName": "step", "operator": "In", "values": [3, 42, 255]}},
        {"action": "Ignore", "onPodConditions": [
            {"type": "DisruptionTarget", "status": "True"}, {"type": "runner.test/Moved", "status": "False"}]},
        {"action": "Count", "onExitCodes": {"operator": "NotIn", "values": [0]}},
    ]);
    vec![
        row(
            json!({"active_deadline": 3600, "backoff_limit": 3, "ttl_after_finished": 60, "cleanup_policy": "Keep"}),
            vec![
                (Job("/spec/activeDeadlineSeconds"), json!(3600)),
                (Job("/spec/backoffLimit"), json!(3)),
                (Job("/spec/ttlSecondsAfterFinished"), json!(60)),
                (Job("/metadata/annotations/runner~1cleanup"), json!("keep")),
                (Job("/spec/podReplacementPolicy"), json!("Failed")),
            ],
        ),
        row(
            json!({}),
            vec![
                (Job("/spec/backoffLimit"), json!(0)),
                (Job("/spec/activeDeadlineSeconds"), Value::Null),
                (Job("/spec/ttlSecondsAfterFinished"), Value::Null),
                (Job("/spec/podFailurePolicy"), Value::Null),
                (Job("/metadata/annotations/runner~1cleanup"), json!("delete")),
                (Pod("/affinity"), Value::Null),
                (Pod("/nodeSelector"), Value::Null),
            ],
        ),
        row(json!({"pod_failure_policy": {"rules": rules}}), vec![(Job("/spec/podFailurePolicy/rules"), written)]),
    ]
}

fn environment() -> Vec<Row> {
    vec![
        row(
            json!({"env": [
                {"name": "Z", "value": "last name first"},
                {"name": "S", "value_from": {"secret_key_ref": {"name": "db", "key": "password"}}},
                {"name": "M", "value_from": {"config_map_key_ref": {"name": "settings", "key": "level"}}},
                {"name": "Z", "value": "$(EMPTY)"},
            ]}),
            vec![(
                Pod("/containers/0/env"),
                json!([
                    {"name": "Z", "value": "last name first"},
                    {"name": "S", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
                    {"name": "M", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}},
                    {"name": "Z", "value": "$(EMPTY)"},
                ]),
            )],
        ),
        row(
            json!({"env": [{"name": "P", "value_from": {"field_ref": {"field_path": "metadata.labels['app']"}}}]}),
            vec![(Pod("/containers/0/env/0/valueFrom/fieldRef/fieldPath"), json!("metadata.labels['app']"))],
        ),
        row(
            json!({"env_from": [
                {"config_map_ref": {"name": "settings"}, "prefix": "SETTINGS_"}, {"secret_ref": {"name": "db"}}]}),
            vec![(
                Pod("/containers/0/envFrom"),
                json!([{"prefix": "SETTINGS_", "configMapRef": {"name": "settings"}}, {"secretRef": {"name": "db"}}]),
            )],
        ),
    ]
}

fn metadata() -> Vec<Row> {
    vec![
        row(
            json!({"resources": {"requests": {"memory": "16Mi", "cpu": "10m", "ephemeral-storage": "1Gi"},
                "limits": {"memory": "32Mi", "cpu": "1", "ephemeral-storage": "1Gi"}}}),
            vec![(
                Pod("/containers/0/resources"),
                json!({"requests": {"memory": "16Mi", "cpu": "10m", "ephemeral-storage": "1Gi"},
                        "limits": {"memory": "32Mi", "cpu": "1", "ephemeral-storage": "1Gi"}}),
            )],
        ),
        row(
            json!({"node_selector": {"runner.test/zone": "b", "disk": "ssd"}, "tolerations": [
                {"key": "dedicated", "operator": "Equal", "value": "batch", "effect": "NoSchedule"},
                {"key": "gpu", "operator": "Exists"}]}),
            vec![
                (Pod("/nodeSelector"), json!({"runner.test/zone": "b", "disk": "ssd"})),
                (
                    Pod("/tolerations/0"),
                    json!({"key": "dedicated", "operator": "Equal", "value": "batch", "effect": "NoSchedule"}),
                ),
                (Pod("/tolerations/1"), json!({"key": "gpu", "operator": "Exists"})),
            ],
        ),
        row(
            json!({"labels": {"team": "data", "runner.test/app": "loader"},
                "annotations": {"Example.com/owner": "somebody: else", "note": ""}}),
            vec![
                (Metadata("/labels/team"), json!("data")),
                (Metadata("/labels/runner.test~1app"), json!("loader")),
                (Metadata("/labels/runner~1attempt"), json!("1")),
                (Metadata("/annotations/Example.com~1owner"), json!("somebody: else")),
                (Metadata("/annotations/note"), json!("")),
            ],
        ),
    ]
}

fn security() -> Vec<Row> {
    vec![
        row(
            json!({
                "security_context": {
                    "run_as_user": 0, "run_as_group": 2147483647, "run_as_non_root": false, "privileged": false,
                    "read_only_root_filesystem": true, "allow_privilege_escalation": false,
                    "capabilities": {"add": ["NET_BIND_SERVICE", "CHOWN"], "drop": ["ALL"]},
                    "seccomp_profile": {"type": "Localhost", "localhost_profile": "profiles/app.json"},
                },
                "pod_security_context": {
                    "run_as_user": 1000, "run_as_group": 1000, "run_as_non_root": true, "fs_group": 0,
                    "fs_group_change_policy": "OnRootMismatch", "supplemental_groups": [5, 4],
                    "sysctls": [{"name": "net.ipv4.ip_local_port_range", "value": "1024 65535"}],
                    "seccomp_profile": {"type": "RuntimeDefault"},
                },
            }),
            vec![
                (
                    Pod("/containers/0/securityContext"),
                    json!({
                        "runAsUser": 0, "runAsGroup": 2147483647, "runAsNonRoot": false, "privileged": false,
                        "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false,
                        "capabilities": {"add": ["NET_BIND_SERVICE", "CHOWN"], "drop": ["ALL"]},
                        "seccompProfile": {"type": "Localhost", "localhostProfile": "profiles/app.json"},
                    }),
                ),
                (
                    Pod("/securityContext"),
                    json!({
                        "runAsUser": 1000, "runAsGroup": 1000, "runAsNonRoot": true, "fsGroup": 0,
                        "fsGroupChangePolicy": "OnRootMismatch", "supplementalGroups": [5, 4],
                        "sysctls": [{"name": "net.ipv4.ip_local_port_range", "value": "1024 65535"}],
                        "seccompProfile": {"type": "RuntimeDefault"},
                    }),
                ),
            ],
        ),
        row(
            json!({"security_context": {"privileged": true}}),
            vec![(Pod("/containers/0/securityContext"), json!({"privileged": true}))],
        ),
    ]
}

fn affinity() -> Vec<Row> {
    let config = json!({
        "node_affinity": {
            "required_during_scheduling_ignored_during_execution": {"node_selector_terms": [
                {"match_expressions": [
                    {"key": "cores", "operator": "Gt", "values": ["3"]}, {"key": "gpu", "operator": "Exists"}]}]},
            "preferred_during_scheduling_ignored_during_execution": [
                {"weight": 1, "preference": {}},
                {"weight": 100, "preference": {"match_expressions": [
                    {"key": "disk", "operator": "In", "values": ["ssd", "nvme"]}]}}],
        },
        "pod_affinity": {
            "required_during_scheduling_ignored_during_execution": [
                {"topology_key": "kubernetes.io/hostname", "label_selector": {}, "namespace_selector": {}}],
            "preferred_during_scheduling_ignored_during_execution": [{"weight": 50, "pod_affinity_term": {
                "topology_key": "topology.kubernetes.io/zone", "namespaces": ["team-b", "team-a"],
                "label_selector": {"match_labels": {"tier": "cache"},
                    "match_expressions": [{"key": "old", "operator": "DoesNotExist"}]},
                "namespace_selector": {"match_labels": {"a": "b"},
                    "match_expressions": [{"key": "team", "operator": "NotIn", "values": ["x"]}]}}}],
        },
        "pod_anti_affinity": {
            "required_during_scheduling_ignored_during_execution": [{"topology_key": "kubernetes.io/hostname"}],
            "preferred_during_scheduling_ignored_during_execution": [
                {"weight": 7, "pod_affinity_term": {"topology_key": "rack"}}],
        },
    });
    let written = json!({
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [
                    {"key": "cores", "operator": "Gt", "values": ["3"]}, {"key": "gpu", "operator": "Exists"}]}]},
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "preference": {}},
                {"weight": 100, "preference": {"matchExpressions": [
                    {"key": "disk", "operator": "In", "values": ["ssd", "nvme"]}]}}],
        },
        "podAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {}, "namespaceSelector": {}}],
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 50, "podAffinityTerm": {
                "topologyKey": "topology.kubernetes.io/zone", "namespaces": ["team-b", "team-a"],
                "labelSelector": {"matchLabels": {"tier": "cache"},
                    "matchExpressions": [{"key": "old", "operator": "DoesNotExist"}]},
                "namespaceSelector": {"matchLabels": {"a": "b"},
                    "matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["x"]}]}}}],
        },
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "kubernetes.io/hostname"}],
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 7, "podAffinityTerm": {"topologyKey": "rack"}}],
        },
    });
    vec![row(json!({"affinity": config}), vec![(Pod("/affinity"), written)])]
}

fn volumes() -> Vec<Row> {
    vec![row(
        json!({
            "volumes": [
                {"name": "scratch", "empty_dir": {}},
                {"name": "ram", "empty_dir": {"medium": "Memory", "size_limit": "64Mi"}},
                {"name": "node", "host_path": {"path": "/var/log"}},
                {"name": "socket", "host_path": {"path": "/run/no.sock", "type": "Socket"}},
                {"name": "settings", "config_map": {"name": "settings"}},
                {"name": "db", "secret": {"secret_name": "db"}},
                {"name": "claim", "persistent_volume_claim": {"claim_name": "data", "read_only": true}},
            ],
            "volume_mounts": [
                {"name": "scratch", "mount_path": "/scratch", "sub_path": "a/b", "read_only": false},
                {"name": "db", "mount_path": "/db", "read_only": true},
            ],
        }),
        vec![
            (Pod("/volumes/0"), json!({"name": "scratch", "emptyDir": {}})),
            (Pod("/volumes/1"), json!({"name": "ram", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}})),
            (Pod("/volumes/2"), json!({"name": "node", "hostPath": {"path": "/var/log", "type": ""}})),
            (Pod("/volumes/3"), json!({"name": "socket", "hostPath": {"path": "/run/no.sock", "type": "Socket"}})),
            (Pod("/volumes/4/configMap/name"), json!("settings")),
            (Pod("/volumes/5/secret/secretName"), json!("db")),
            (
                Pod("/volumes/6"),
                json!({"name": "claim", "persistentVolumeClaim": {"claimName": "data", "readOnly": true}}),
            ),
            (
                Pod("/containers/0/volumeMounts/0"),
                json!({"name": "scratch", "mountPath": "/scratch", "subPath": "a/b"}),
            ),
            (Pod("/containers/0/volumeMounts/1"), json!({"name": "db", "mountPath": "/db", "readOnly": true})),
        ],
    )]
}

/// What the API server stores in another form than it was sent.
fn rewritten() -> Vec<Row> {
    vec![
        // Quantities: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>
        row(
            json!({"resources": {"limits": {"memory": "0.5Gi", "cpu": "1.5", "ephemeral-storage": "1e3"}}}),
            vec![(
                Pod("/containers/0/resources/limits"),
                json!({"memory": "512Mi", "cpu": "1500m", "ephemeral-storage": "1e3"}),
            )],
        ),
        // A limit is a request, too, where none is made; but the Job's template stays as it was sent.
        row(
            json!({"resources": {"limits": {"memory": "32Mi"}}}),
            vec![(Job("/spec/template/spec/containers/0/resources"), json!({"limits": {"memory": "32Mi"}}))],
        ),
        // Nothing is the same as an empty text.
        row(
            json!({"env": [{"name": "EMPTY", "value": ""}, {"name": "NOTHING"}]}),
            vec![(Pod("/containers/0/env"), json!([{"name": "EMPTY"}, {"name": "NOTHING"}]))],
        ),
    ]
}
