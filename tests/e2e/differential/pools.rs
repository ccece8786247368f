//! Texts to choose from: right ones of each shape, and those that people write instead. Mappings whose keys depend on each
//! other stand here as a whole.

use model::syntax::Syntax;
use serde_json::{Value, json};

/// Texts; `63`, `64`, `253` and `254` stand for texts of that length.
pub(super) type Pool = &'static [&'static str];

/// What may end up anywhere.
pub(super) const ANYTHING: Pool = &[
    "",
    " ",
    "a",
    "A",
    "-a",
    "a-",
    "a_b",
    "a.b",
    "a..b",
    ".a",
    "a.",
    "a b",
    "ä",
    "63",
    "64",
    "253",
    "254",
    "a/b",
    "/a",
    "a/b/c",
    "a/",
    "1",
    "007",
    "true",
    "..",
    ".",
    "../x",
    "/x/../y",
    "a:b",
    "$(X)",
    "a=b",
    "x\ny",
    "%",
    "'",
    "step",
    "In",
    "Always",
    "1Gi",
    "-1",
    "runner.test/a",
    "Runner.Test/a",
    "cpu",
    "Memory",
];

const NAMES: Pool = &["a", "loader", "team-a", "x1", "a0-b"];

/// Right texts of a shape; some of them at its bounds.
pub(super) fn good(syntax: Option<Syntax>) -> Pool {
    match syntax {
        None => &["a", "some text", "1", "$(NAME)"],
        Some(Syntax::NoWhiteSpace) => &["runner.test/shell:1", "busybox", "a/b@sha256:0"],
        Some(Syntax::DnsLabel) => NAMES,
        Some(Syntax::DnsSubdomain) => &["a", "loader", "team-a.example.com", "1.2.3"],
        Some(Syntax::QualifiedName | Syntax::QualifiedNameAnyCase) => {
            &["app", "runner.test/app", "A_b.c", "kubernetes.io/hostname", "x"]
        }
        Some(Syntax::LabelValue) => &["", "a", "A_b.c-1", "1"],
        Some(Syntax::ConfigKey) => &["level", "a.b_c-D", ".hidden", "1"],
        Some(Syntax::SysctlName) => &["net.ipv4.ip_local_port_range", "kernel.shm_rmid_forced"],
        Some(Syntax::Quantity) => &["1", "500m", "64Mi", "0.5Gi", "1e3", "2", "0"],
        Some(Syntax::EnvName | Syntax::UsualEnvName) => &["A", "a_b", "A-b.c", "_", "HOME"],
        Some(Syntax::EnvPrefix | Syntax::UsualEnvPrefix) => &["", "P_", "a."],
        Some(Syntax::FieldPath) => &[
            "metadata.name",
            "metadata.uid",
            "metadata.labels['app']",
            "metadata.annotations['runner.test/a']",
            "spec.nodeName",
            "status.podIPs",
        ],
        Some(Syntax::ResourceName) => &["cpu", "memory", "ephemeral-storage"],
        Some(Syntax::AbsolutePath | Syntax::MountPath) => &["/", "/a", "/var/log", "/a b"],
        Some(Syntax::RelativePath) => &["a", "a/b", "profiles/a.json"],
        Some(Syntax::NoParentFolder) => &["/a", "/a/b..c", "/..a"],
        Some(Syntax::CapabilityName) => &["NET_ADMIN", "ALL", "CHOWN"],
        Some(Syntax::Medium) => &["", "Memory", "HugePages", "HugePages-2Mi"],
    }
}

/// What is written instead of a text of this shape.
pub(super) fn odd(syntax: Option<Syntax>) -> Pool {
    match syntax {
        Some(Syntax::NoWhiteSpace) => &["", " ", "a b", "runner.test/shell:1 ", "UPPER/x", "a\tb"],
        Some(Syntax::DnsLabel) => &["", "A", "a.b", "a_b", "-a", "a-", "63", "64", "ä", " a"],
        Some(Syntax::DnsSubdomain) => &["", "A", "a_b", "a..b", ".a", "a.", "-a.b", "a-.b", "64", "253", "254", " a "],
        Some(Syntax::QualifiedName | Syntax::QualifiedNameAnyCase) => &[
            "",
            "a/",
            "/a",
            "a/b/c",
            "A/b",
            "a_b/c",
            "-a",
            "a-",
            "a b",
            "63",
            "64",
            "254",
            "ä",
            "runner.test/",
            ".a",
            "a/-b",
            "runner/x",
            "job-name",
            "kubernetes.io/x",
            "batch.kubernetes.io/job-name",
            "controller-uid",
        ],
        Some(Syntax::LabelValue) => &["-a", "a-", "a b", "a/b", "64", "63", "ä", ".", "_a", " "],
        Some(Syntax::ConfigKey) => &["", ".", "..", "..a", "...", "a/b", "a b", "253", "254", "ä", ".a"],
        Some(Syntax::SysctlName) => {
            &["", "a", "A.b", "a..b", "a b", "net/ipv4/x", "net/ipv4.x", ".a", "a.", "_a.b", "254"]
        }
        Some(Syntax::Quantity) => &[
            "",
            " 1",
            "1 ",
            "1 Gi",
            "-1",
            "-0",
            "+1",
            "+1.5Gi",
            ".5",
            "5.",
            ".",
            "1.2.3",
            "1K",
            "1k",
            "1KB",
            "1MB",
            "128mi",
            "128m",
            "0.1",
            "0.1Ki",
            "1e3",
            "1E3",
            "1E",
            "1Ei",
            "1e-3",
            "1e+3",
            "1e",
            "0x10",
            "1_000",
            "0,5",
            "1u",
            "1n",
            "0.1n",
            "9223372036854775807",
            "9223372036854775808",
            "8Ei",
            "7Ei",
            "1e19",
            "1e100",
            "1Zi",
            "inf",
        ],
        Some(Syntax::EnvName | Syntax::UsualEnvName) => {
            &["", " ", "A=B", "1A", "A B", "ä", ".", "..", "..a", "a/b", "$(A)", "a\nb", "a\tb", "-", "%"]
        }
        Some(Syntax::EnvPrefix | Syntax::UsualEnvPrefix) => &["1", "A=B", "ä", ".", "..", "a b", " ", "-", "a\nb"],
        Some(Syntax::FieldPath) => &[
            "",
            "metadata",
            "metadata.labels",
            "metadata.labels['']",
            "metadata.labels[a]",
            "metadata.labels['a']x",
            "metadata.labels['a b']",
            "metadata.annotations['A/b']",
            "metadata.labels['a/b/c']",
            "metadata.Name",
            "status.phase",
            "spec.nodename",
            "metadata.namespace ",
            "limits.cpu",
            "metadata.annotations['-a']",
            "metadata.labels[\"a\"]",
            "metadata['name']",
            "spec.restartPolicy",
            "metadata.generateName",
        ],
        Some(Syntax::ResourceName) => &[
            "cpus",
            "CPU",
            "",
            "memory ",
            "hugepages-2Mi",
            "hugepages-",
            "hugepages-x",
            "nvidia.com/gpu",
            "a/b/c",
            "storage",
            "pods",
            "requests.cpu",
            "kubernetes.io/x",
            "requests.example.com/x",
            "attachable-volumes-x",
            "example.com/-x",
        ],
        Some(Syntax::AbsolutePath | Syntax::MountPath) => {
            &["", "a", "./a", "a:b", "/a:b", "/a/../b", "..", " /a", "/a\nb"]
        }
        Some(Syntax::RelativePath) => &["", "/a", "..", "../a", "a/..", "a/../b", "a..b", "./a", " ", "a\\..\\b"],
        Some(Syntax::NoParentFolder) => &["", "..", "/..", "/a/..", "/a/../b", "a", "./a", " "],
        Some(Syntax::CapabilityName) => &["", " ", "CAP_SYS_ADMIN", "cap_sys_admin", "sys_admin", "SYS_ADMIN", "X Y"],
        Some(Syntax::Medium) => &["memory", "Disk", "HugePages-", "HugePages-x", "HugePages-2Mi", "HugePages-0", " "],
        None => ANYTHING,
    }
}

pub(super) fn tolerations() -> Vec<Value> {
    vec![
        json!({"operator": "Exists"}),
        json!({"key": "a", "operator": "Exists", "effect": "NoExecute"}),
        json!({"key": "runner.test/a", "operator": "Equal", "value": "b", "effect": "NoSchedule"}),
        json!({"key": "a", "value": "b"}),
        json!({"key": "a"}),
        json!({"key": "a", "operator": "Equal", "value": "", "effect": ""}),
    ]
}

pub(super) fn requirements(is_of_nodes: bool) -> Vec<Value> {
    let mut all = vec![
        json!({"key": "app", "operator": "In", "values": ["a", "b"]}),
        json!({"key": "runner.test/app", "operator": "NotIn", "values": [""]}),
        json!({"key": "app", "operator": "Exists"}),
        json!({"key": "app", "operator": "DoesNotExist", "values": []}),
    ];
    if is_of_nodes {
        all.push(json!({"key": "cores", "operator": "Gt", "values": ["3"]}));
        all.push(json!({"key": "cores", "operator": "Lt", "values": ["-3"]}));
    }
    all
}

pub(super) fn exit_codes() -> Vec<Value> {
    vec![
        json!({"operator": "In", "values": [42, 3, 255]}),
        json!({"operator": "NotIn", "values": [0]}),
        json!({"operator": "In", "values": [1], "container_name": "step"}),
        json!({"operator": "NotIn", "values": [1, 0, 2]}),
    ]
}

pub(super) fn seccomp_profiles() -> Vec<Value> {
    vec![
        json!({"type": "RuntimeDefault"}),
        json!({"type": "Unconfined"}),
        json!({"type": "Localhost", "localhost_profile": "profiles/a.json"}),
        json!({}),
    ]
}

pub(super) fn sysctls() -> Vec<Value> {
    vec![
        json!({"name": "net.ipv4.ip_local_port_range", "value": "1024 65535"}),
        json!({"name": "kernel.shm_rmid_forced", "value": "1"}),
        json!({"name": "net/ipv4/tcp_syncookies", "value": "0"}),
    ]
}

pub(super) fn resources() -> Vec<Value> {
    vec![
        json!({"requests": {"cpu": "100m"}}),
        json!({"requests": {"cpu": "1", "memory": "64Mi"}, "limits": {"cpu": "1000m", "memory": "128Mi"}}),
        json!({"limits": {"memory": "1e9", "ephemeral-storage": "1Gi"}}),
        json!({"limits": {"nvidia.com/gpu": "1"}}),
        json!({"requests": {"example.com/fpga": "2"}, "limits": {"example.com/fpga": "2"}}),
        json!({"requests": {"hugepages-2Mi": "4Mi"}, "limits": {"hugepages-2Mi": "4Mi", "memory": "64Mi", "cpu": "1"}}),
        json!({"requests": {"memory": "0.5Gi"}, "limits": {"memory": "512Mi"}}),
        json!({"requests": {}, "limits": {}}),
    ]
}

pub(super) fn capabilities() -> Vec<Value> {
    vec![
        json!({"add": ["NET_ADMIN"], "drop": ["ALL"]}),
        json!({"drop": ["ALL"]}),
        json!({"add": ["SYS_ADMIN"]}),
        json!({}),
    ]
}
