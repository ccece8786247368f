//! Security contexts of container and pod. They go to the manifest as they are and are never folded into one.

use crate::field::{Kind, id, list, mapping, text, word, words};
use crate::syntax::Syntax;

mapping! {
    /// Security settings of the container.
    pub struct SecurityContext {
        /// User id the program runs with.
        run_as_user: Option<i64> = id();
        /// Group id the program runs with.
        run_as_group: Option<i64> = id();
        /// The kubelet refuses to start the container as root.
        run_as_non_root: Option<bool> = Kind::Boolean;
        /// All rights of the node.
        privileged: Option<bool> = Kind::Boolean;
        /// The root file system cannot be written.
        read_only_root_filesystem: Option<bool> = Kind::Boolean;
        /// A process may gain more rights than its parent (setuid).
        allow_privilege_escalation: Option<bool> = Kind::Boolean;
        /// Linux capabilities.
        capabilities: Capabilities = Capabilities::KIND;
        /// System calls the container may use.
        seccomp_profile: SeccompProfile = SeccompProfile::KIND;
    }
}

mapping! {
    /// Linux capabilities, named without `CAP_`.
    pub struct Capabilities {
        /// Capabilities beyond the runtime's default.
        add: Vec<String> = list(&text().trimmed().not_blank().expected(Syntax::CapabilityName));
        /// Capabilities taken away.
        drop: Vec<String> = list(&text().trimmed().not_blank().expected(Syntax::CapabilityName));
    }
}

mapping! {
    /// System calls that are allowed.
    pub struct SeccompProfile {
        /// Which kind of profile.
        seccomp_type as "type": Option<SeccompProfileType> = word(SeccompProfileType::WORDS);
        /// Path of the profile below the kubelet's seccomp folder; required with `Localhost`, else not allowed.
        localhost_profile: Option<String> = text().syntax(Syntax::RelativePath);
    }
}

words! {
    /// Kind of seccomp profile.
    pub enum SeccompProfileType {
        /// The runtime's own.
        RuntimeDefault = "RuntimeDefault",
        /// None.
        Unconfined = "Unconfined",
        /// A file on the node.
        Localhost = "Localhost",
    }
}

mapping! {
    /// Security settings of the pod.
    pub struct PodSecurityContext {
        /// User id of all containers.
        run_as_user: Option<i64> = id();
        /// Group id of all containers.
        run_as_group: Option<i64> = id();
        /// The kubelet refuses to start a container as root.
        run_as_non_root: Option<bool> = Kind::Boolean;
        /// Group that owns the volumes.
        fs_group: Option<i64> = id();
        /// When the ownership of volumes is changed.
        fs_group_change_policy: Option<FsGroupChangePolicy> = word(FsGroupChangePolicy::WORDS);
        /// Further groups of the first process.
        supplemental_groups: Vec<i64> = list(&id());
        /// Kernel parameters of the pod.
        sysctls: Vec<Sysctl> = list(&Sysctl::KIND).unique("name").in_layer();
        /// System calls the containers may use.
        seccomp_profile: SeccompProfile = SeccompProfile::KIND;
    }
}

words! {
    /// When the ownership of volumes is changed.
    pub enum FsGroupChangePolicy {
        /// At every start.
        Always = "Always",
        /// Only when the root folder's owner differs.
        OnRootMismatch = "OnRootMismatch",
    }
}

mapping! {
    /// A kernel parameter.
    pub struct Sysctl {
        /// Its name, as `net.ipv4.ip_unprivileged_port_start`.
        name: Option<String> = text().trimmed().not_blank().syntax(Syntax::SysctlName), required;
        /// Its value.
        value: Option<String> = text().trimmed().not_blank(), required;
    }
}
