//! What a guest is made of, as a digest: whoever changes any of it must rebuild the component, and whoever changes
//! something else must not have to.
//!
//! In: the guest's own package and those of ours it depends on (`Cargo.toml`, `build.rs`, `src/`), `wit/`, the locked
//! versions with the features they are built with, the guest profile and the flags. Out: the rest of the lock file and of
//! the root `Cargo.toml`, cases, tests, dev-dependencies of others.

use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use cargo_metadata::Package;
use sha2::{Digest, Sha256};

use super::{LINKER, PROFILE, hex};
use crate::{command, toolchain::GUEST_TARGET, workspace::Workspace};

/// Changes when what is hashed, or how, changes: so every component is stale then.
const FORMAT: &str = "runner sources 1";

/// The source closure of one guest.
pub(super) struct Sources {
    /// Lines of the dependency closure: name, version, checksum or edition, features.
    packages: BTreeSet<String>,
    /// Files of ours, absolute.
    files: BTreeSet<PathBuf>,
}

impl Sources {
    /// Collects the closure of a guest.
    pub(super) fn of(workspace: &Workspace, guest: &Package) -> Result<Self> {
        let mut sources = Self { packages: BTreeSet::new(), files: BTreeSet::new() };
        let lock = Lock::read(workspace)?;
        for line in closure(workspace, guest)?.lines() {
            // The whole `cargo tree` of the guest, alone: features that other members switch on do not count.
            let (package, features) = line.trim_end_matches(" (*)").split_once('|').unwrap_or((line, ""));
            let mut words = package.split(' ');
            let (Some(name), Some(version)) = (words.next(), words.next().and_then(|word| word.strip_prefix('v')))
            else {
                return Err(anyhow!("`cargo tree` wrote a line that cannot be read: `{line}`"));
            };
            let member = workspace
                .metadata
                .workspace_packages()
                .into_iter()
                .find(|member| member.name == name && member.version.to_string() == version);
            let origin = match member {
                Some(member) => {
                    sources.add_files_of(member)?;
                    format!("edition {}", member.edition)
                }
                None => lock.checksum(name, version)?,
            };
            sources.packages.insert(format!("{name} {version} {origin} {features}"));
        }
        add_files(&workspace.root.join("wit"), Some("wit"), &mut sources.files)?;
        Ok(sources)
    }

    /// The digest that is committed with the component.
    pub(super) fn digest(&self, workspace: &Workspace) -> Result<String> {
        let mut digest = Sha256::new();
        let mut add = |label: &str, content: &[u8]| {
            for part in [label.as_bytes(), content] {
                digest.update((part.len() as u64).to_le_bytes());
                digest.update(part);
            }
        };
        add("format", FORMAT.as_bytes());
        add("target", GUEST_TARGET.as_bytes());
        add("flags", LINKER.as_bytes());
        add("profile", profile(workspace)?.as_bytes());
        for package in &self.packages {
            add("package", package.as_bytes());
        }
        for file in &self.files {
            let content = std::fs::read(file).with_context(|| format!("`{}` could not be read", file.display()))?;
            add(&workspace.relative(file), &content);
        }
        Ok(hex(&digest.finalize()))
    }

    /// Demands that every file of the workspace the compiler read is part of the digest; `dep_info` is cargo's list of
    /// them. An `include_str!` of a file elsewhere would otherwise change the component unseen.
    pub(super) fn cover(&self, workspace: &Workspace, dep_info: &Path) -> Result<()> {
        let unreadable = || format!("`{}` could not be read", dep_info.display());
        let text = std::fs::read_to_string(dep_info).with_context(unreadable)?;
        let uncovered: Vec<_> = prerequisites(&text)
            .into_iter()
            .map(|file| without_detours(&file))
            .filter(|file| file.starts_with(&workspace.root) && !file.starts_with(&workspace.target))
            .filter(|file| !self.files.contains(file))
            .map(|file| workspace.relative(&file))
            .collect();
        if uncovered.is_empty() {
            return Ok(());
        }
        Err(anyhow!(
            "the guest is made from files that its digest leaves out: {}\nhelp: move them under the guest's `src/`",
            uncovered.join(", ")
        ))
    }

    fn add_files_of(&mut self, member: &Package) -> Result<()> {
        let manifest = member.manifest_path.as_std_path();
        let folder = manifest.parent().unwrap_or(manifest);
        self.files.insert(manifest.to_owned());
        let script = folder.join("build.rs");
        if script.exists() {
            self.files.insert(script);
        }
        add_files(&folder.join("src"), None, &mut self.files)
    }
}

/// Normal and build dependencies of the guest, as cargo would build it alone.
fn closure(workspace: &Workspace, guest: &Package) -> Result<String> {
    let mut cargo = workspace.cargo();
    cargo.args(["tree", "--locked", "--edges", "normal,build", "--prefix", "none", "--format", "{p}|{f}"]).args([
        "--target",
        GUEST_TARGET,
        "--package",
        &guest.id.repr,
    ]);
    command::output(&mut cargo)
}

/// All files below a folder, those of one extension only if one is given; hidden ones are an editor's.
fn add_files(folder: &Path, extension: Option<&str>, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    let unreadable = || format!("`{}` could not be read", folder.display());
    for entry in folder.read_dir().with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            add_files(&path, extension, files)?;
        } else if extension.is_none_or(|extension| path.extension().is_some_and(|found| found == extension)) {
            files.insert(path);
        }
    }
    Ok(())
}

/// The files after the colon of a dep-info file; a space inside a name is written `\ `.
fn prerequisites(dep_info: &str) -> Vec<PathBuf> {
    let Some((_, list)) = dep_info.lines().next().and_then(|line| line.split_once(": ")) else { return Vec::new() };
    list.replace("\\ ", "\0").split_whitespace().map(|file| PathBuf::from(file.replace('\0', " "))).collect()
}

/// The path without `..`, as `include_str!` likes to have it.
fn without_detours(path: &Path) -> PathBuf {
    let mut direct = PathBuf::new();
    for component in path.components() {
        if component == Component::ParentDir {
            direct.pop();
        } else {
            direct.push(component);
        }
    }
    direct
}

/// The guest profile and the one it inherits from, as the root Cargo.toml writes them: comments and order apart.
fn profile(workspace: &Workspace) -> Result<String> {
    let path = workspace.root.join("Cargo.toml");
    let manifest = read_toml(&path)?;
    let table = |name: &str| manifest.get("profile").and_then(|profiles| profiles.get(name));
    let guest = table(PROFILE).ok_or_else(|| anyhow!("`{}` has no profile `{PROFILE}`", path.display()))?;
    let inherited = guest.get("inherits").and_then(toml::Value::as_str).and_then(table);
    Ok(serde_json::to_string(&(guest, inherited))?)
}

/// The part of Cargo.lock that is asked for here.
struct Lock {
    packages: Vec<toml::Value>,
}

impl Lock {
    fn read(workspace: &Workspace) -> Result<Self> {
        match read_toml(&workspace.root.join("Cargo.lock"))?.remove("package") {
            Some(toml::Value::Array(packages)) => Ok(Self { packages }),
            _ => Err(anyhow!("Cargo.lock lists no packages")),
        }
    }

    /// Checksum of a package that is not ours.
    fn checksum(&self, name: &str, version: &str) -> Result<String> {
        let is = |package: &toml::Value, key: &str, value: &str| {
            package.get(key).and_then(toml::Value::as_str) == Some(value)
        };
        self.packages
            .iter()
            .find(|package| is(package, "name", name) && is(package, "version", version))
            .and_then(|package| package.get("checksum")?.as_str())
            .map(str::to_owned)
            .ok_or_else(|| anyhow!("Cargo.lock has no checksum of {name} {version}"))
    }
}

fn read_toml(path: &Path) -> Result<toml::Table> {
    let text = std::fs::read_to_string(path).with_context(|| format!("`{}` could not be read", path.display()))?;
    text.parse().with_context(|| format!("`{}` is not TOML", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dep_info_names_files_with_spaces() {
        let text = "/t/p.wasm: /w/a.rs /w/with\\ space/b.rs\n\n/w/a.rs:\n";
        assert_eq!(prerequisites(text), [PathBuf::from("/w/a.rs"), PathBuf::from("/w/with space/b.rs")]);
    }

    #[test]
    fn detours_are_taken_out() {
        assert_eq!(without_detours(Path::new("/w/p/src/../../wit/a.wit")), Path::new("/w/wit/a.wit"));
    }

    #[test]
    fn only_files_of_the_extension_and_no_hidden_ones() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("deep")).unwrap();
        for name in ["a.wit", "b.json", ".c.wit", "deep/d.wit"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let mut files = BTreeSet::new();
        add_files(folder.path(), Some("wit"), &mut files).unwrap();
        assert_eq!(files, BTreeSet::from(["a.wit", "deep/d.wit"].map(|name| folder.path().join(name))));
    }
}
