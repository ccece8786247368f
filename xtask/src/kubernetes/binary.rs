//! The program that is all parts but containerd: built with the ordinary Go command, kept outside the checkout.
//!
//! The first build takes minutes. What it is made of names the folder it is kept in, so that the same sources never
//! build twice, in whatever checkout.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, anyhow};
use etcetera::BaseStrategy;
use sha2::{Digest, Sha256};

use super::process;
use crate::{command, components::hex, report, workspace::Workspace};

/// Where its sources are, from the root of the workspace.
const SOURCES: &str = "tests/kubernetes";
/// Without the paths of this machine, and without a look at the checkout's history: both would build it again.
const BUILD: [&str; 3] = ["build", "-trimpath", "-buildvcs=false"];

/// The built programs.
#[derive(Debug)]
pub(super) struct Binary {
    /// All parts but containerd, and the chores that bring them up.
    pub(super) program: PathBuf,
    /// What holds a pod's namespaces.
    pub(super) pause: PathBuf,
}

impl Binary {
    /// The programs of today's sources; builds them when they are not in the cache.
    pub(super) fn cached(workspace: &Workspace, go: &Path) -> Result<Self> {
        let sources = workspace.root.join(SOURCES);
        let cache = etcetera::choose_base_strategy().context("no cache folder")?.cache_dir().join("runner-kubernetes");
        let folder = cache.join(key(&sources, go)?);
        if !folder.is_dir() {
            build(&sources, go, &cache, &folder)?;
        }
        Ok(Self { program: folder.join("kubernetes"), pause: folder.join("pause") })
    }
}

/// Builds beside the final folder, then renames: nobody ever sees half a program.
fn build(sources: &Path, go: &Path, cache: &Path, folder: &Path) -> Result<()> {
    report::step("build Kubernetes: minutes, once for these sources");
    let begin = Instant::now();
    fs::create_dir_all(cache).with_context(|| format!("`{}` could not be made", cache.display()))?;
    let staging = tempfile::Builder::new().prefix(".new-").tempdir_in(cache)?;
    let new = staging.path().join("new");
    let flags = linker_flags(go, sources)?;
    for (package, name) in [("./pause", "pause"), (".", "kubernetes")] {
        command::run(go_command(go, sources).args(BUILD).arg(&flags).arg("-o").arg(new.join(name)).arg(package))?;
    }
    if let Err(error) = fs::rename(&new, folder)
        && !folder.is_dir()
    {
        return Err(anyhow!(error).context(format!("`{}` could not be made", folder.display())));
    }
    report::note(&format!("built in {:.0} s: {}", begin.elapsed().as_secs_f64(), folder.display()));
    Ok(())
}

/// No symbols, which nobody reads here, and the version: Kubernetes learns it from its own build alone.
fn linker_flags(go: &Path, sources: &Path) -> Result<String> {
    let mut list = go_command(go, sources);
    let version = command::output(list.args(["list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes"]))?;
    version_flags(version.trim()).ok_or_else(|| anyhow!("`{}` is no version of Kubernetes", version.trim()))
}

fn version_flags(version: &str) -> Option<String> {
    let (major, rest) = version.strip_prefix('v')?.split_once('.')?;
    let (minor, _) = rest.split_once('.')?;
    let set = |name: &str, value: &str| format!("-X k8s.io/component-base/version.{name}={value}");
    let [version, major, minor] = [("gitVersion", version), ("gitMajor", major), ("gitMinor", minor)];
    Some(format!("-ldflags=-s -w {} {} {}", set(version.0, version.1), set(major.0, major.1), set(minor.0, minor.1)))
}

/// A digest over all that decides what is built.
fn key(sources: &Path, go: &Path) -> Result<String> {
    let mut files = vec![sources.join("go.mod"), sources.join("go.sum")];
    for folder in [sources.to_owned(), sources.join("pause")] {
        let entries = folder.read_dir().with_context(|| format!("`{}` could not be read", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "go") {
                files.push(path);
            }
        }
    }
    files.sort();
    let version = command::output(go_command(go, sources).arg("version"))?;
    let mut digest = Sha256::new();
    let mut add = |part: &[u8]| {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    };
    add(version.as_bytes());
    add(BUILD.join(" ").as_bytes());
    add(linker_flags(go, sources)?.as_bytes());
    for file in files {
        add(file.strip_prefix(sources).unwrap_or(&file).as_os_str().as_encoded_bytes());
        add(&fs::read(&file).with_context(|| format!("`{}` could not be read", file.display()))?);
    }
    let mut key = hex(&digest.finalize());
    key.truncate(16);
    Ok(key)
}

/// Go as the environment sets it up, but for what would make the program need a C library or another module.
fn go_command(go: &Path, sources: &Path) -> Command {
    let mut command = Command::new(go);
    command.current_dir(sources).env("CGO_ENABLED", "0").env("GOWORK", "off").env("PATH", process::search_path());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_knows_its_version() {
        assert_eq!(
            version_flags("v1.34.4").unwrap(),
            "-ldflags=-s -w -X k8s.io/component-base/version.gitVersion=v1.34.4 \
             -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"
        );
        assert_eq!(version_flags("latest"), None);
    }
}
