//! The files that containerd, its network plugins and the kubelet read.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    cluster::Cluster,
    machine::Machine,
    network::{BRIDGE, DNS_ADDRESS, NODE_ADDRESS, POD_SUBNET},
};
use crate::components::hex;

/// Name of the one node.
pub(super) const NODE: &str = "node";

/// Under it are the cgroups of all pods of the cluster in this folder, and of no other.
pub(super) fn cgroup(folder: &Path) -> String {
    let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    format!("runner-kubernetes-{}", hex(digest.get(..4).unwrap_or_default()))
}

/// Writes them.
pub(super) fn write(cluster: &Cluster, machine: &Machine, snapshotter: &str) -> Result<()> {
    let put = |name: &str, content: String| {
        let path = cluster.path(name);
        let folder = path.parent().unwrap_or(&path);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, content))
            .with_context(|| format!("`{}` could not be written", path.display()))
    };
    put("containerd.toml", containerd(cluster.folder(), &machine.plugins, snapshotter))?;
    put("networks/bridge.conflist", network(cluster.folder()).to_string())?;
    // No image comes from elsewhere: one that is not there fails at once and alike, with and without a network.
    put("registries/_default/hosts.toml", "server = \"https://127.0.0.1:1\"\n".to_owned())?;
    put("kubelet.json", kubelet(cluster.folder()).to_string())
}

/// Everything under the cluster's folder, nothing in the system's own: `opt`, too, would be a folder at the root.
///
/// Root without `CAP_SYS_RESOURCE` may not lower `oom_score_adj`, as the kubelet asks for pause containers: they keep
/// containerd's own.
fn containerd(folder: &Path, plugins: &Path, snapshotter: &str) -> String {
    let (folder, plugins) = (folder.display(), plugins.display());
    format!(
        r#"version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
disabled_plugins = [
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{folder}/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
path = "{folder}/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "runner.test/pause:1"
netns_mounts_under_state_dir = true
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{folder}/networks"

[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{folder}/registries"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "{snapshotter}"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "{folder}/containerd/runc"
SystemdCgroup = false
"#
    )
}

fn network(folder: &Path) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "runner-kubernetes",
        "plugins": [{
            "type": "bridge",
            "bridge": BRIDGE,
            "isGateway": true,
            "isDefaultGateway": true,
            "ipam": {
                "type": "host-local",
                "dataDir": folder.join("addresses"),
                "ranges": [[{ "subnet": POD_SUBNET, "gateway": NODE_ADDRESS }]],
            },
        }],
    })
}

fn kubelet(folder: &Path) -> Value {
    let nothing = "0%";
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "healthzBindAddress": NODE_ADDRESS,
        "containerRuntimeEndpoint": format!("unix://{}", folder.join("containerd.sock").display()),
        "tlsCertFile": folder.join("pki/kubelet.crt"),
        "tlsPrivateKeyFile": folder.join("pki/kubelet.key"),
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": folder.join("pki/ca.crt") },
        },
        "authorization": { "mode": "Webhook" },
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS_ADDRESS],
        // Both versions of cgroups, without systemd.
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": false,
        "cgroupRoot": format!("/{}", cgroup(folder)),
        "failSwapOn": false,
        "podLogsDir": folder.join("pods"),
        "volumePluginDir": folder.join("volume-plugins"),
        // What `makeIPTablesUtilChains` makes is for kube-proxy, and would stay behind.
        "makeIPTablesUtilChains": false,
        // A test writes more than this in a second, and the kubelet looks as often as it may: it accepts no less.
        "containerLogMaxSize": "1Mi",
        "containerLogMaxFiles": 3,
        "containerLogMonitorInterval": "3s",
        // A full disk of the machine is not what a test is about.
        "evictionHard": {
            "imagefs.available": nothing,
            "imagefs.inodesFree": nothing,
            "memory.available": nothing,
            "nodefs.available": nothing,
            "nodefs.inodesFree": nothing,
        },
        // The images cannot be pulled again.
        "imageGCHighThresholdPercent": 100,
        "maxPods": 500,
        "kubeAPIQPS": 500,
        "kubeAPIBurst": 1000,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        // Tests wait for these.
        "nodeStatusUpdateFrequency": "4s",
    })
}
