//! The parts of a cluster: which program each is, what it is told, where it says that it is well.

use std::{fmt, path::PathBuf};

use clap::ValueEnum;
use serde::Serialize;

use super::{
    cluster::Cluster,
    configuration::NODE,
    network::{NODE_ADDRESS, SERVICE_SUBNET},
};

/// One process of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// The store of the API server
    Etcd,
    /// What runs containers for the kubelet
    Containerd,
    /// kube-apiserver
    Apiserver,
    /// kube-controller-manager
    ControllerManager,
    /// kube-scheduler
    Scheduler,
    /// The kubelet of the one node
    Kubelet,
}

impl Part {
    /// All of them, those that others need first.
    pub(super) const ALL: [Self; 6] =
        [Self::Etcd, Self::Containerd, Self::Apiserver, Self::ControllerManager, Self::Scheduler, Self::Kubelet];

    /// As the command line calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Containerd => "containerd",
            Self::Apiserver => "apiserver",
            Self::ControllerManager => "controller-manager",
            Self::Scheduler => "scheduler",
            Self::Kubelet => "kubelet",
        }
    }

    /// Program and arguments.
    pub(super) fn command(self, cluster: &Cluster) -> (PathBuf, Vec<String>) {
        let path = |name: &str| cluster.path(name).display().to_string();
        if self == Self::Containerd {
            return (PathBuf::from("containerd"), vec![format!("--config={}", path("containerd.toml"))]);
        }
        let (name, arguments) = match self {
            Self::Etcd | Self::Containerd => ("etcd", etcd(&path)),
            Self::Apiserver => ("kube-apiserver", apiserver(&path, cluster.port())),
            Self::ControllerManager => ("kube-controller-manager", controller_manager(&path)),
            Self::Scheduler => ("kube-scheduler", scheduler(&path)),
            Self::Kubelet => ("kubelet", kubelet(&path)),
        };
        (cluster.program().to_owned(), [name.to_owned()].into_iter().chain(arguments).collect())
    }

    /// The URL that answers 200 when the part is well; none where it has no such URL.
    pub(super) fn health(self, cluster: &Cluster) -> Option<String> {
        match self {
            Self::Etcd | Self::Containerd => None,
            Self::Apiserver => Some(format!("{}/readyz", cluster.server())),
            Self::ControllerManager => Some(format!("https://{NODE_ADDRESS}:10257/healthz")),
            Self::Scheduler => Some(format!("https://{NODE_ADDRESS}:10259/healthz")),
            Self::Kubelet => Some(format!("http://{NODE_ADDRESS}:10248/healthz")),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Sockets instead of ports: none can be taken, and only root can open them.
fn etcd(path: &dyn Fn(&str) -> String) -> Vec<String> {
    let (client, peer) = (format!("unix://{}", path("etcd.sock")), format!("unix://{}", path("etcd-peer.sock")));
    vec![
        format!("--data-dir={}", path("etcd")),
        format!("--listen-client-urls={client}"),
        // Must be given, may not be a socket's, and nobody asks for it.
        "--advertise-client-urls=http://localhost:2379".to_owned(),
        // There is no peer to tell the address to, and it may not be a socket's: the default stays.
        format!("--listen-peer-urls={peer}"),
        // The data need not outlive the machine, and disks of build machines are slow.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

fn apiserver(path: &dyn Fn(&str) -> String, port: u16) -> Vec<String> {
    vec![
        format!("--etcd-servers=unix://{}", path("etcd.sock")),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        // A loopback address is refused here. Nothing is served there, so no endpoint tells of it either: pods come by
        // the rule for the service address.
        format!("--advertise-address={NODE_ADDRESS}"),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--service-cluster-ip-range={SERVICE_SUBNET}"),
        format!("--tls-cert-file={}", path("pki/apiserver.crt")),
        format!("--tls-private-key-file={}", path("pki/apiserver.key")),
        format!("--client-ca-file={}", path("pki/ca.crt")),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--allow-privileged=true".to_owned(),
        format!("--kubelet-certificate-authority={}", path("pki/ca.crt")),
        format!("--kubelet-client-certificate={}", path("pki/apiserver-kubelet-client.crt")),
        format!("--kubelet-client-key={}", path("pki/apiserver-kubelet-client.key")),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        format!("--service-account-key-file={}", path("pki/service-account.key")),
        format!("--service-account-signing-key-file={}", path("pki/service-account.key")),
        // Policies that change what is submitted, without a webhook to serve: beta in 1.34, and off by default.
        "--feature-gates=MutatingAdmissionPolicy=true".to_owned(),
        "--runtime-config=admissionregistration.k8s.io/v1beta1=true".to_owned(),
    ]
}

fn controller_manager(path: &dyn Fn(&str) -> String) -> Vec<String> {
    let mut arguments = controller(path, "controller-manager", 10257);
    arguments.extend([
        format!("--service-account-private-key-file={}", path("pki/service-account.key")),
        format!("--root-ca-file={}", path("pki/ca.crt")),
        "--use-service-account-credentials=true".to_owned(),
        // Made where it is not; the default is among the system's own folders.
        format!("--flex-volume-plugin-dir={}", path("volume-plugins")),
    ]);
    arguments
}

fn scheduler(path: &dyn Fn(&str) -> String) -> Vec<String> {
    controller(path, "scheduler", 10259)
}

/// What controller manager and scheduler have in common.
fn controller(path: &dyn Fn(&str) -> String, name: &str, port: u16) -> Vec<String> {
    let kubeconfig = path(&format!("pki/{name}.kubeconfig"));
    vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        format!("--bind-address={NODE_ADDRESS}"),
        format!("--secure-port={port}"),
        // There is one of each, and a killed one would keep the lease from its successor.
        "--leader-elect=false".to_owned(),
        // Hundreds of Jobs at once must wait for the node, not for a rate limit.
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
    ]
}

fn kubelet(path: &dyn Fn(&str) -> String) -> Vec<String> {
    vec![
        format!("--config={}", path("kubelet.json")),
        format!("--kubeconfig={}", path("pki/node.kubeconfig")),
        format!("--hostname-override={NODE}"),
        format!("--node-ip={NODE_ADDRESS}"),
        format!("--root-dir={}", path("kubelet")),
        format!("--cert-dir={}", path("pki")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_called_the_same_everywhere() {
        for part in Part::ALL {
            assert_eq!(part.to_possible_value().unwrap().get_name(), part.name());
            assert_eq!(serde_json::to_value(part).unwrap(), part.name());
        }
        assert_eq!(Part::value_variants(), Part::ALL);
    }
}
