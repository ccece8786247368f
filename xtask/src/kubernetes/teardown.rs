//! Taking a cluster down, whole or in pieces: by what it left on the machine, not by what a living part says.
//!
//! In this order: all processes with the cluster's mark, then those in its cgroups (containers); only then can mounts,
//! cgroups, the bridge and the folder go. Each step does what is left to do, so it can be repeated after any crash; one
//! that fails does not stop the others.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{
    cluster::{self, Cluster},
    configuration::cgroup,
    machine, network, process,
};
use crate::command;

/// How long processes and cgroups may take to go once they were killed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Settings of the kernel that the kubelet changes.
const KERNEL: [&str; 6] = [
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
];

/// What becomes of the folder itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Folder {
    /// Emptied but for its lock: it is held, and about to be used again.
    Keep,
    /// Removed.
    Remove,
}

/// Removes the cluster in the folder.
///
/// # Errors
/// All that could not be removed.
pub(super) fn run(folder: &Path, then: Folder) -> Result<()> {
    let kernel = Cluster::open(folder)?.map(|cluster| cluster.kernel().clone()).unwrap_or_default();
    // Written by a containerd that is about to go.
    let sockets = shim_sockets(folder);
    let steps: [(&str, Result<()>); 7] = [
        ("its processes", process::kill_all(PATIENCE, || process::marked(folder))),
        ("its containers", kill_containers(folder)),
        ("its mounts", unmount(folder)),
        ("its cgroups", remove_cgroups(folder)),
        ("its network", network::remove(folder)),
        ("settings of the kernel", write_kernel(&kernel)),
        ("files outside its folder", remove_strewn(folder, &sockets)),
    ];
    let failed: Vec<_> = steps
        .into_iter()
        .filter_map(|(what, step)| Some(format!("{what} could not be removed: {:#}", step.err()?)))
        .collect();
    if !failed.is_empty() {
        bail!("{}\nhelp: `down` can be called again", failed.join("\n"));
    }
    let removed = match then {
        Folder::Remove => fs::remove_dir_all(folder),
        Folder::Keep => empty(folder),
    };
    removed.with_context(|| format!("`{}` could not be removed", folder.display()))
}

fn empty(folder: &Path) -> std::io::Result<()> {
    for path in files(folder).into_iter().filter(|path| !cluster::is_lock(path)) {
        if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
    }
    Ok(())
}

/// The settings as they are now.
pub(super) fn read_kernel() -> std::collections::BTreeMap<String, String> {
    let read = |name: &str| Some((name.to_owned(), fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?));
    KERNEL.iter().filter_map(|name| read(name)).collect()
}

fn write_kernel(settings: &std::collections::BTreeMap<String, String>) -> Result<()> {
    for (name, value) in settings {
        let path = Path::new("/proc/sys").join(name);
        fs::write(&path, value).with_context(|| format!("`{}`", path.display()))?;
    }
    Ok(())
}

/// The cluster's cgroups, one a hierarchy.
fn cgroups(folder: &Path) -> Result<Vec<PathBuf>> {
    let name = cgroup(folder);
    Ok(machine::hierarchies()?.into_iter().map(|hierarchy| hierarchy.join(&name)).collect())
}

/// Makes the cluster's cgroups; the kubelet makes those of the pods below them.
pub(super) fn make_cgroups(folder: &Path) -> Result<()> {
    for group in cgroups(folder)? {
        fs::create_dir_all(&group).with_context(|| format!("`{}` could not be made", group.display()))?;
    }
    Ok(())
}

fn kill_containers(folder: &Path) -> Result<()> {
    let groups = cgroups(folder)?;
    process::kill_all(PATIENCE, || groups.iter().flat_map(|group| processes_in(group)).collect())
}

/// The processes in a cgroup and all below.
fn processes_in(group: &Path) -> Vec<i32> {
    let mut found: Vec<i32> = fs::read_to_string(group.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect();
    for below in folders(group) {
        found.extend(processes_in(&below));
    }
    found
}

fn remove_cgroups(folder: &Path) -> Result<()> {
    let begin = Instant::now();
    for group in cgroups(folder)? {
        while let Err(error) = remove_cgroup(&group) {
            // A group is busy until the kernel is done with those who died in it.
            if error.kind() != ErrorKind::ResourceBusy || begin.elapsed() > PATIENCE {
                return Err(error).with_context(|| format!("`{}`", group.display()));
            }
            std::thread::sleep(process::INTERVAL);
        }
    }
    Ok(())
}

fn remove_cgroup(group: &Path) -> std::io::Result<()> {
    for below in folders(group) {
        remove_cgroup(&below)?;
    }
    unless_gone(fs::remove_dir(group))
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Unmounts what is mounted in the folder, the last mounted first.
fn unmount(folder: &Path) -> Result<()> {
    let mounts = || fs::read_to_string("/proc/self/mountinfo").map(|mountinfo| mounts_in(&mountinfo, folder));
    for mount in mounts()?.into_iter().rev() {
        // Lazily: a mount that somebody still looks into must not keep the rest.
        command::output(Command::new("umount").arg("--lazy").arg(mount).env("PATH", process::search_path()))?;
    }
    // The folder is about to be removed with all in it; what is mounted there is not the cluster's to remove.
    match mounts()?.first() {
        Some(mount) => bail!("`{}` is still mounted", mount.display()),
        None => Ok(()),
    }
}

/// Mount points below the folder, as proc_pid_mountinfo(5) lists them.
fn mounts_in(mountinfo: &str, folder: &Path) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    points.map(|point| PathBuf::from(unescape(point))).filter(|point| point.starts_with(folder)).collect()
}

/// Spaces and the like are written as a backslash and three octal digits.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(3).unwrap_or((part, ""));
        bytes.extend(u8::from_str_radix(digits, 8).ok());
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sockets of the shims: containerd keeps them at a fixed place and writes down which is whose.
fn shim_sockets(folder: &Path) -> Vec<PathBuf> {
    let tasks = folder.join("containerd/state/io.containerd.runtime.v2.task/k8s.io");
    let address = |task: PathBuf| fs::read_to_string(task.join("address")).ok();
    let addresses = folders(&tasks).into_iter().filter_map(address);
    addresses.filter_map(|address| Some(PathBuf::from(address.trim_end().strip_prefix("unix://")?))).collect()
}

/// Removes what kubelet, containerd and the network plugins put at fixed places, and the folders this leaves empty.
fn remove_strewn(folder: &Path, sockets: &[PathBuf]) -> Result<()> {
    for socket in sockets {
        remove_file(socket)?;
    }
    for link in files(Path::new("/var/log/containers")) {
        if fs::read_link(&link).is_ok_and(|target| target.starts_with(folder)) {
            remove_file(&link)?;
        }
    }
    // Each note of a container's network names its namespace, which is a path in the folder.
    let ours = format!("\"{}/", folder.display());
    for note in files(Path::new("/var/lib/cni/results")) {
        if fs::read_to_string(&note).is_ok_and(|text| text.contains(&ours)) {
            remove_file(&note)?;
        }
    }
    // There is one kubelet a machine: `up` looks. Now it is another cluster's, or none's.
    let kubelet =
        if network::is_there() { &[][..] } else { &["kubelet.sock", "kubelet_internal_checkpoint", "DEPRECATION"] };
    for name in kubelet {
        remove_file(&Path::new("/var/lib/kubelet/device-plugins").join(name))?;
    }
    for folder in [
        "/run/containerd/s",
        "/run/containerd",
        "/var/log/containers",
        "/var/lib/cni/results",
        "/var/lib/cni/cache",
        "/var/lib/cni",
        "/var/lib/kubelet/device-plugins",
        "/var/lib/kubelet",
    ] {
        // One that is not empty is somebody else's, too.
        let _ = fs::remove_dir(folder);
    }
    Ok(())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn remove_file(path: &Path) -> Result<()> {
    unless_gone(fs::remove_file(path)).with_context(|| format!("`{}`", path.display()))
}

fn unless_gone(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_below_the_folder_are_unmounted() {
        let mountinfo = "22 1 0:20 / /proc rw - proc proc rw\n\
                         50 1 0:40 / /state/cluster/a\\040b/tmpfs rw - tmpfs tmpfs rw\n\
                         51 1 0:41 / /state/cluster-2/x rw - tmpfs tmpfs rw\n\
                         52 50 0:42 / /state/cluster/a\\040b/tmpfs/inner rw - tmpfs tmpfs rw\n";
        let found = mounts_in(mountinfo, Path::new("/state/cluster"));
        assert_eq!(found, [Path::new("/state/cluster/a b/tmpfs"), Path::new("/state/cluster/a b/tmpfs/inner")]);
    }

    #[test]
    fn processes_of_groups_below_count() {
        let group = tempfile::tempdir().unwrap();
        let below = group.path().join("kubepods/pod1");
        fs::create_dir_all(&below).unwrap();
        fs::write(group.path().join("cgroup.procs"), "1\n").unwrap();
        fs::write(below.join("cgroup.procs"), "22\n333\n").unwrap();
        assert_eq!(processes_in(group.path()), [1, 22, 333]);
        assert!(processes_in(&group.path().join("none")).is_empty());
    }
}
