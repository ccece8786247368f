//! Whether this machine can run a Kubernetes: rights that only try can tell, and programs that somebody else installs.
//!
//! All that is missing is said at once. What is tried here is taken back at once, too.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::process;
use crate::{command, suite::Missing};

/// Where network plugins are: Debian's folder, then the one of the plugins' own archive.
const PLUGIN_FOLDERS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];
/// The plugins that pods here need.
const PLUGINS: [&str; 3] = ["bridge", "host-local", "loopback"];
/// Controllers without which there is no kubelet.
const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];
/// Where cgroups are.
const CGROUPS: &str = "/sys/fs/cgroup";
/// An interface that is made and deleted again.
const PROBE: &str = "runner-k8s-try";

/// Where Go's own archive is unpacked, which not every path has.
const GO_OF_ITS_ARCHIVE: &str = "/usr/local/go/bin/go";
/// The oldest Go that builds this Kubernetes, as its go.mod says.
const GO: (u32, u32) = (1, 24);

/// A program and the Debian package that has it.
const PROGRAMS: [(&str, &str); 7] = [
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("containerd-shim-runc-v2", "containerd"),
    ("runc", "runc"),
    ("iptables", "iptables"),
    ("ip", "iproute2"),
    ("busybox", "busybox-static"),
];

/// What the machine has, as far as others need to know it.
#[derive(Debug)]
pub(super) struct Machine {
    /// The Go command.
    pub(super) go: PathBuf,
    /// A static busybox.
    pub(super) busybox: PathBuf,
    /// Folder of the network plugins.
    pub(super) plugins: PathBuf,
}

impl Machine {
    /// Looks at the machine.
    ///
    /// # Errors
    /// What is missing, all of it, and how to get it.
    pub(super) fn inspect() -> Result<Self, Missing> {
        let mut reasons = missing_rights();
        let mut packages: Vec<&str> = Vec::new();
        for (name, package) in PROGRAMS {
            if find(name).is_none() {
                reasons.push(format!("`{name}` is not installed"));
                packages.push(package);
            }
        }
        let busybox = find("busybox").unwrap_or_default();
        if busybox.is_file() && !is_static(&busybox) {
            reasons.push(format!("`{}` is not a static program", busybox.display()));
            packages.push("busybox-static");
        }
        let plugins = plugins();
        if plugins.is_none() {
            reasons.push(format!("no network plugins in `{}`", PLUGIN_FOLDERS.join("`, `")));
            packages.push("containernetworking-plugins");
        }
        let go = find("go").or_else(|| Some(PathBuf::from(GO_OF_ITS_ARCHIVE)).filter(|go| go.is_file()));
        let go = match go.map(recent) {
            Some(Ok(go)) => Some(go),
            Some(Err(reason)) => {
                reasons.push(reason);
                None
            }
            None => {
                reasons.push("`go` is not installed".to_owned());
                None
            }
        };
        match (go, plugins) {
            (Some(go), Some(plugins)) if reasons.is_empty() => Ok(Self { go, busybox, plugins }),
            (go, _) => {
                Err(Missing { reason: reasons.join("; "), get: advice(&packages, go.is_some()), is_excused: true })
            }
        }
    }
}

fn advice(packages: &[&str], has_go: bool) -> String {
    let mut advice = Vec::new();
    if !packages.is_empty() {
        let mut packages = packages.to_vec();
        packages.sort_unstable();
        packages.dedup();
        advice.push(format!("get them with `apt-get install --no-install-recommends {}`", packages.join(" ")));
    }
    if !has_go {
        advice.push(format!("get Go {}.{} or newer from https://go.dev/dl", GO.0, GO.1));
    }
    if advice.is_empty() {
        advice.push("it takes root on a machine, or a virtual one, that may mount and make cgroups".to_owned());
    }
    advice.join("; ")
}

/// Does something and takes it back.
type Attempt = fn() -> Result<()>;

/// What root may do and others may not, each tried. Nothing is tried without root: each answer would be the same.
fn missing_rights() -> Vec<String> {
    if !cfg!(target_os = "linux") {
        return vec!["this is not Linux".to_owned()];
    }
    if !rustix::process::geteuid().is_root() {
        return vec!["not root".to_owned()];
    }
    let tries: [(&str, Attempt); 4] = [
        ("mounts are not allowed", try_mount),
        ("namespaces are not allowed", try_namespaces),
        ("a bridge cannot be made", try_bridge),
        ("cgroups cannot be made", try_cgroups),
    ];
    let failed = |(what, attempt): (&str, Attempt)| {
        let error = attempt().err()?;
        // One line, whatever the program that was tried had to say.
        Some(format!("{what}: {}", format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ")))
    };
    tries.into_iter().filter_map(failed).collect()
}

fn try_mount() -> Result<()> {
    let folder = tempfile::tempdir()?;
    run("mount", &["-t", "tmpfs", "none", &folder.path().to_string_lossy()])?;
    run("umount", &[&folder.path().to_string_lossy()])
}

fn try_namespaces() -> Result<()> {
    run("unshare", &["--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "true"])
}

fn try_bridge() -> Result<()> {
    if find("ip").is_none() {
        return Ok(());
    }
    run("ip", &["link", "add", "name", PROBE, "type", "bridge"])?;
    run("ip", &["link", "delete", PROBE])
}

fn try_cgroups() -> Result<()> {
    let missing: Vec<_> = {
        let present = controllers()?;
        CONTROLLERS.into_iter().filter(|name| !present.iter().any(|found| found == name)).collect()
    };
    if !missing.is_empty() {
        bail!("`{CGROUPS}` has no controller {}", missing.join(", "));
    }
    for hierarchy in hierarchies()? {
        let probe = hierarchy.join(PROBE);
        fs::create_dir(&probe).with_context(|| format!("`{}`", probe.display()))?;
        fs::remove_dir(&probe).with_context(|| format!("`{}`", probe.display()))?;
    }
    if is_unified() {
        // What the kubelet does first; refused where processes sit in the root of a container's cgroups.
        let control = Path::new(CGROUPS).join("cgroup.subtree_control");
        let wanted = CONTROLLERS.map(|name| format!("+{name}")).join(" ");
        fs::write(&control, wanted).with_context(|| format!("`{}`", control.display()))?;
    }
    Ok(())
}

/// The folders in which a cgroup has to be made: one in version 2, one a mount in version 1.
pub(super) fn hierarchies() -> Result<Vec<PathBuf>> {
    if is_unified() {
        return Ok(vec![PathBuf::from(CGROUPS)]);
    }
    Ok(mounted(&fs::read_to_string("/proc/self/mounts")?).into_iter().map(|(folder, _)| folder).collect())
}

fn controllers() -> Result<Vec<String>> {
    if is_unified() {
        let names = fs::read_to_string(Path::new(CGROUPS).join("cgroup.controllers"))?;
        return Ok(names.split_whitespace().map(str::to_owned).collect());
    }
    let mounts = mounted(&fs::read_to_string("/proc/self/mounts")?);
    Ok(mounts.into_iter().flat_map(|(_, options)| options).collect())
}

fn is_unified() -> bool {
    Path::new(CGROUPS).join("cgroup.controllers").exists()
}

/// Folder and options, which name the controllers of version 1, of each mount of cgroups. One of version 2 among them has
/// no controller, but runc uses it.
fn mounted(mounts: &str) -> Vec<(PathBuf, Vec<String>)> {
    let parse = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (folder, kind, options) = (words.next()?, words.next()?, words.next()?);
        matches!(kind, "cgroup" | "cgroup2")
            .then(|| (PathBuf::from(folder), options.split(',').map(str::to_owned).collect()))
    };
    mounts.lines().filter_map(parse).collect()
}

fn plugins() -> Option<PathBuf> {
    let has_all = |folder: &PathBuf| PLUGINS.iter().all(|plugin| folder.join(plugin).is_file());
    PLUGIN_FOLDERS.map(PathBuf::from).into_iter().find(has_all)
}

/// Where a program is.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    process::search_path().split(':').map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

/// The Go command, if it is recent enough.
fn recent(go: PathBuf) -> Result<PathBuf, String> {
    let said = command::output(Command::new(&go).args(["env", "GOVERSION"]).env("PATH", process::search_path()));
    let said = said.map_err(|error| format!("{error:#}"))?;
    match go_version(said.trim()) {
        Some(version) if version >= GO => Ok(go),
        _ => Err(format!("`{}` is {}", go.display(), said.trim())),
    }
}

/// `go1.24.3`, `go1.25rc1`.
fn go_version(said: &str) -> Option<(u32, u32)> {
    let (major, rest) = said.strip_prefix("go")?.split_once('.')?;
    let minor = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Whether a 64-bit ELF program asks for no interpreter: in an image of its own there is none.
fn is_static(program: &Path) -> bool {
    fs::read(program).ok().and_then(|content| asks_for_interpreter(&content)) == Some(false)
}

/// None when it is no such program. The places are those of elf(5).
fn asks_for_interpreter(program: &[u8]) -> Option<bool> {
    const INTERPRETER: u64 = 3;
    let number = |at: usize, length: usize| {
        let bytes = program.get(at..at.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    };
    if !program.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for index in 0..count {
        let entry = usize::try_from(table.checked_add(index * size)?).ok()?;
        if number(entry, 4)? == INTERPRETER {
            return Some(true);
        }
    }
    Some(false)
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", process::search_path());
    command::output(&mut command).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_installed_is_one_line_for_apt() {
        let advice = advice(&["runc", "containerd", "containerd"], false);
        assert_eq!(
            advice,
            "get them with `apt-get install --no-install-recommends containerd runc`; get Go 1.24 or newer from https://go.dev/dl"
        );
    }

    #[test]
    fn the_version_of_go_is_read() {
        assert_eq!(go_version("go1.24.3"), Some((1, 24)));
        assert_eq!(go_version("go1.25rc1"), Some((1, 25)));
        assert_eq!(go_version("devel +x"), None);
        assert!(go_version("go1.19.8").unwrap() < GO);
    }

    #[test]
    fn mounts_of_cgroups_name_their_controllers() {
        let mounts = "proc /proc proc rw 0 0\n\
                      cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let found = mounted(mounts);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].0, Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert!(found[0].1.contains(&"cpuacct".to_owned()));
    }

    #[test]
    fn a_program_with_an_interpreter_is_not_static() {
        let mut program = vec![0; 64 + 2 * 56];
        program[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (program[32], program[54], program[56]) = (64, 56, 2);
        program[64] = 1;
        assert_eq!(asks_for_interpreter(&program), Some(false));
        program[64 + 56] = 3;
        assert_eq!(asks_for_interpreter(&program), Some(true));
        assert_eq!(asks_for_interpreter(&program[..100]), None, "cut");
        assert_eq!(asks_for_interpreter(b"#!/bin/sh"), None);
    }
}
