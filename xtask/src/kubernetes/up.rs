//! Bringing a cluster up: from nothing, or from what is still there of it.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{
    binary::Binary,
    cluster::{Cluster, Held},
    configuration::{self, NODE},
    machine::Machine,
    network::{self, NODE_ADDRESS, SERVICE_ADDRESS},
    part::Part,
    process, teardown,
};
use crate::{command, report, workspace::Workspace};

/// How long a part, or the node, may take to become ready; about 20 times what it takes.
const PATIENCE: Duration = Duration::from_secs(180);
/// How many of a log's last lines are shown.
const LAST_LINES: usize = 15;
/// The longest path of a folder whose sockets the kernel still accepts: 108 bytes with the longest name in it.
const LONGEST_FOLDER: usize = 80;

/// Brings the cluster up and says where its kubeconfig is.
pub(super) fn run(workspace: &Workspace, machine: &Machine, folder: &Path) -> Result<()> {
    if folder.as_os_str().len() > LONGEST_FOLDER {
        bail!("`{}` is too long for the sockets in it\nhelp: choose another with `--folder`", folder.display());
    }
    if let Some(pid) = process::stranger("kubelet") {
        bail!("a kubelet runs on this machine (pid {pid}), and two would get in each other's way");
    }
    let binary = Binary::cached(workspace, &machine.go)?;
    let _held = Held::wait(folder)?;
    let begin = Instant::now();
    let cluster = match Cluster::open(folder)? {
        Some(cluster) if cluster.is_of(&binary.program) => cluster,
        other => {
            if other.is_some() {
                report::note("an older cluster is here: it is taken down first");
            }
            clear(folder)?;
            make(machine, &binary, folder)?
        }
    };
    if Part::ALL.into_iter().all(|part| cluster.is_running(part)) {
        report::note("it already runs");
    } else {
        start_missing(&cluster)?;
    }
    // Also when all of it runs: whoever started it may have been killed before it was ready.
    await_node(&cluster)?;
    report::note(&format!("ready after {:.1} s", begin.elapsed().as_secs_f64()));
    report::answer(&cluster.kubeconfig().display().to_string());
    Ok(())
}

/// Starts one part, if it does not run, and waits until it is well.
pub(super) fn start(cluster: &Cluster, part: Part) -> Result<()> {
    if cluster.is_running(part) {
        report::note(&format!("{part} already runs"));
        return Ok(());
    }
    cluster.start(part)?;
    await_health(cluster, &[part])
}

/// Removes what an unfinished or older cluster left, and keeps the folder: it is held.
fn clear(folder: &Path) -> Result<()> {
    let only_the_lock = fs::read_dir(folder)?.count() == 1;
    if only_the_lock { Ok(()) } else { teardown::run(folder, teardown::Folder::Keep) }
}

/// Makes everything but the processes.
fn make(machine: &Machine, binary: &Binary, folder: &Path) -> Result<Cluster> {
    report::step("make a cluster");
    let cluster = Cluster::new(folder, &binary.program, teardown::read_kernel())?;
    for name in ["pki", "logs", "processes", "etcd"] {
        DirBuilder::new().recursive(true).mode(0o700).create(cluster.path(name))?;
    }
    network::add(folder, cluster.port())?;
    let mut certificates = Command::new(&binary.program);
    certificates.arg("certificates").arg("--folder").arg(cluster.path("pki"));
    certificates.args(["--server", &cluster.server(), "--node", NODE]);
    certificates.args(["--node-address", NODE_ADDRESS, "--service-address", SERVICE_ADDRESS]);
    command::output(&mut certificates)?;
    fs::rename(cluster.path("pki/admin.kubeconfig"), cluster.kubeconfig())?;
    let mut images = Command::new(&binary.program);
    images.arg("images").arg(cluster.path("images.tar")).arg(&machine.busybox).arg(&binary.pause);
    command::output(&mut images)?;
    configuration::write(&cluster, machine, snapshotter(folder)?)?;
    cluster.save()?;
    Ok(cluster)
}

/// Overlays where the folder's file system can hold them; on an overlay itself it cannot, and files are copied.
fn snapshotter(folder: &Path) -> Result<&'static str> {
    let probe = tempfile::tempdir_in(folder)?;
    for name in ["lower", "upper", "work", "merged"] {
        fs::create_dir(probe.path().join(name))?;
    }
    let path = |name: &str| probe.path().join(name).display().to_string();
    let options = format!("lowerdir={},upperdir={},workdir={}", path("lower"), path("upper"), path("work"));
    let mut mount = Command::new("mount");
    mount.args(["-t", "overlay", "none", "-o", &options]).arg(path("merged"));
    if !command::succeeds(&mut mount) {
        return Ok("native");
    }
    command::output(Command::new("umount").arg(path("merged")))?;
    Ok("overlayfs")
}

/// Starts the parts that do not run, in an order in which none has to wait for long.
fn start_missing(cluster: &Cluster) -> Result<()> {
    network::add(cluster.folder(), cluster.port())?;
    teardown::make_cgroups(cluster.folder())?;
    let (first, then) = Part::ALL.split_at(3);
    let start_those = |parts: &[Part]| -> Result<()> {
        for part in parts {
            if !cluster.is_running(*part) {
                report::step(&format!("start {part}"));
                cluster.start(*part)?;
            }
        }
        Ok(())
    };
    start_those(first)?;
    import_images(cluster)?;
    await_health(cluster, first)?;
    start_those(then)?;
    await_health(cluster, then)
}

/// Waits until a pod can be made and would run.
fn await_node(cluster: &Cluster) -> Result<()> {
    report::step("wait for the node");
    let kubeconfig = cluster.kubeconfig().display().to_string();
    await_it(cluster, &Part::ALL, &["cluster".to_owned(), kubeconfig])
}

/// Imports the images, as soon as containerd listens.
fn import_images(cluster: &Cluster) -> Result<()> {
    let ctr = || {
        let mut ctr = Command::new("ctr");
        ctr.env("PATH", process::search_path()).arg("--address").arg(cluster.path("containerd.sock"));
        ctr
    };
    let begin = Instant::now();
    while !command::succeeds(ctr().arg("version")) {
        give_up_if_ended(cluster, &[Part::Containerd])?;
        if begin.elapsed() > PATIENCE {
            bail!("containerd does not answer{}", last_lines(cluster, Part::Containerd));
        }
        std::thread::sleep(process::INTERVAL);
    }
    command::output(ctr().args(["--namespace", "k8s.io", "images", "import"]).arg(cluster.path("images.tar")))?;
    Ok(())
}

/// Waits until all of them say that they are well.
fn await_health(cluster: &Cluster, parts: &[Part]) -> Result<()> {
    let urls: Vec<_> = parts.iter().filter_map(|part| part.health(cluster)).collect();
    if urls.is_empty() {
        return Ok(());
    }
    let what: Vec<_> = ["healthy".to_owned()].into_iter().chain(urls).collect();
    await_it(cluster, parts, &what)
}

/// Waits for what our program knows to wait for, unless one of the parts ends.
fn await_it(cluster: &Cluster, parts: &[Part], what: &[String]) -> Result<()> {
    let mut command = Command::new(cluster.program());
    command.arg("await").args(what).stdin(Stdio::null()).stdout(Stdio::null());
    let mut waiting = Waiting(command::start(&mut command)?);
    let begin = Instant::now();
    loop {
        if let Some(status) = waiting.0.try_wait()? {
            return if status.success() { Ok(()) } else { bail!("waiting for {} failed ({status})", what.join(" ")) };
        }
        give_up_if_ended(cluster, parts)?;
        if begin.elapsed() > PATIENCE {
            let words: String = parts.iter().map(|part| last_lines(cluster, *part)).collect();
            bail!("not ready after {} s: {}{words}", PATIENCE.as_secs(), what.join(" "));
        }
        std::thread::sleep(process::INTERVAL);
    }
}

/// A child that is not waited for any longer than its owner lives.
struct Waiting(Child);

impl Drop for Waiting {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn give_up_if_ended(cluster: &Cluster, parts: &[Part]) -> Result<()> {
    match parts.iter().find(|part| !cluster.is_running(**part)) {
        Some(part) => bail!("{part} has ended{}", last_lines(cluster, *part)),
        None => Ok(()),
    }
}

/// The end of the part's log, with a line in front that says whose it is.
fn last_lines(cluster: &Cluster, part: Part) -> String {
    let log = cluster.log(part);
    let content = fs::read(&log).with_context(|| format!("`{}`", log.display())).unwrap_or_default();
    format!("\nlast lines of {}:\n{}", log.display(), tail(&String::from_utf8_lossy(&content), LAST_LINES))
}

fn tail(text: &str, lines: usize) -> String {
    let mut last: Vec<_> = text.lines().rev().take(lines).map(|line| format!("    {line}")).collect();
    last.reverse();
    last.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_last_lines_in_their_order() {
        assert_eq!(tail("a\nb\nc\n", 2), "    b\n    c");
        assert_eq!(tail("", 2), "");
    }
}
