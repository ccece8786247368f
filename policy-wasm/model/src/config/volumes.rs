//! Volumes of the pod and where the container sees them.

use crate::field::{Kind, mapping, quantity, text, words};
use crate::quantity::Quantity;
use crate::syntax::Syntax;

mapping! {
    /// A volume: a name and exactly one source.
    pub struct Volume [exactly one of "empty_dir", "host_path", "config_map", "secret", "persistent_volume_claim"] {
        /// Name that mounts refer to, unique.
        name: Option<String> = text().not_blank().syntax(Syntax::DnsLabel), required;
        /// An empty folder that lives as long as the pod.
        empty_dir: Option<EmptyDir> = EmptyDir::KIND, keep_empty;
        /// A path of the node.
        host_path: Option<HostPath> = HostPath::KIND, keep_empty;
        /// The keys of a ConfigMap as files.
        config_map: Option<ConfigMapVolume> = ConfigMapVolume::KIND, keep_empty;
        /// The keys of a Secret as files.
        secret: Option<SecretVolume> = SecretVolume::KIND, keep_empty;
        /// A claim to storage.
        persistent_volume_claim: Option<PersistentVolumeClaim> = PersistentVolumeClaim::KIND, keep_empty;
    }
}

mapping! {
    /// An empty folder.
    pub struct EmptyDir {
        /// Empty: the node's disk; `Memory`, `HugePages`, `HugePages-<size>`.
        medium: Option<String> = text().blank_unset().expected(Syntax::Medium);
        /// How much it may hold; empty: no limit.
        size_limit: Option<Quantity> = quantity().blank_unset();
    }
}

mapping! {
    /// A path of the node.
    pub struct HostPath {
        /// The path, absolute, without `..`.
        path: Option<String> = text().not_blank().syntax(Syntax::NoParentFolder).expected(Syntax::AbsolutePath), required;
        /// What must be there; default empty: anything.
        host_path_type as "type": Option<HostPathType> = text().words(HostPathType::WORDS);
    }
}

words! {
    /// What must be at a path of the node.
    pub enum HostPathType {
        /// Anything, nothing is checked.
        Any = "",
        /// A folder, made when missing.
        DirectoryOrCreate = "DirectoryOrCreate",
        /// A folder.
        Directory = "Directory",
        /// A file, made when missing.
        FileOrCreate = "FileOrCreate",
        /// A file.
        File = "File",
        /// A Unix socket.
        Socket = "Socket",
        /// A character device.
        CharDevice = "CharDevice",
        /// A block device.
        BlockDevice = "BlockDevice",
    }
}

mapping! {
    /// The keys of a ConfigMap as files.
    pub struct ConfigMapVolume {
        /// Name of the ConfigMap.
        name: Option<String> = text().not_blank().expected(Syntax::DnsSubdomain), required;
    }
}

mapping! {
    /// The keys of a Secret as files.
    pub struct SecretVolume {
        /// Name of the Secret.
        secret_name: Option<String> = text().not_blank().expected(Syntax::DnsSubdomain), required;
    }
}

mapping! {
    /// A claim to storage.
    pub struct PersistentVolumeClaim {
        /// Name of the claim.
        claim_name: Option<String> = text().not_blank().expected(Syntax::DnsSubdomain), required;
        /// The volume cannot be written.
        read_only: Option<bool> = Kind::Boolean;
    }
}

mapping! {
    /// Where the container sees a volume.
    pub struct VolumeMount {
        /// Name of one of `volumes`.
        name: Option<String> = text().not_blank(), required;
        /// Path inside the container, absolute, unique, without `:`.
        mount_path: Option<String> = text().not_blank().expected(Syntax::MountPath), required;
        /// Part of the volume, relative, without `..`.
        sub_path: Option<String> = text().syntax(Syntax::RelativePath);
        /// The mount cannot be written.
        read_only: Option<bool> = Kind::Boolean;
    }
}
