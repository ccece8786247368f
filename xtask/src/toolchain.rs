//! The installed rustc: which one it is, where it looks for a std, and what that std is made of.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, anyhow};
use sha2::{Digest, Sha256};

use crate::{command, components::hex};

/// What guests are built for: no WASI import is possible there.
pub(crate) const GUEST_TARGET: &str = "wasm32-unknown-unknown";

/// What to do about a missing std for [`GUEST_TARGET`].
pub(crate) const GET_WASM_STD: &str = "get it with `cargo xtask wasm-target`";

/// The rustc that cargo uses.
#[derive(Debug)]
pub(crate) struct Toolchain {
    /// `1.95.0`.
    pub(crate) release: String,
    /// Commit the compiler was built from.
    pub(crate) commit: String,
    /// Root of its libraries.
    pub(crate) sysroot: PathBuf,
}

impl Toolchain {
    /// Asks the installed rustc.
    pub(crate) fn installed() -> Result<Self> {
        let version = command::output(rustc().arg("-vV"))?;
        let field = |name: &str| {
            version
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .map(str::to_owned)
                .ok_or_else(|| anyhow!("`rustc -vV` names no {name}"))
        };
        let sysroot = command::output(rustc().args(["--print", "sysroot"]))?;
        Ok(Self {
            release: field("release")?,
            commit: field("commit-hash")?,
            sysroot: PathBuf::from(sysroot.trim_end_matches(['\r', '\n'])),
        })
    }

    /// Version and commit, as a component records it.
    pub(crate) fn describe(&self) -> String {
        format!("{} ({})", self.release, self.commit)
    }

    /// SHA-256 over the rlibs of the std for [`GUEST_TARGET`], sorted by name; none when there is no such std.
    ///
    /// The std of rustup and one built from the same sources are different bytes, and so are the guests made with them.
    pub(crate) fn wasm_std_digest(&self) -> Result<Option<String>> {
        let folder = wasm_std(&self.sysroot).join("lib");
        let mut rlibs = rlibs(&folder)?;
        if rlibs.is_empty() {
            return Ok(None);
        }
        rlibs.sort();
        let mut digest = Sha256::new();
        for rlib in rlibs {
            let name = rlib.file_name().unwrap_or_default().as_encoded_bytes();
            let content = std::fs::read(&rlib).with_context(|| format!("`{}` could not be read", rlib.display()))?;
            for part in [name, &content] {
                digest.update((part.len() as u64).to_le_bytes());
                digest.update(part);
            }
        }
        Ok(Some(hex(&digest.finalize())))
    }
}

/// Folder of a sysroot that belongs to [`GUEST_TARGET`].
pub(crate) fn wasm_std(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(GUEST_TARGET)
}

/// The rlibs in a folder, in no order; none when there is no such folder.
pub(crate) fn rlibs(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("`{}` could not be read", folder.display());
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut rlibs = Vec::new();
    for entry in folder.read_dir().with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "rlib") {
            rlibs.push(path);
        }
    }
    Ok(rlibs)
}

/// Whether the installed rustc compiles for [`GUEST_TARGET`] with this sysroot.
///
/// Asked by doing it: a std of another version, or two of them in one folder, look complete and are not.
pub(crate) fn compiles_guests(sysroot: &Path) -> bool {
    let Ok(folder) = tempfile::tempdir() else { return false };
    let child = rustc()
        .arg("--sysroot")
        .arg(sysroot)
        .args(["--target", GUEST_TARGET, "--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "-o"])
        .arg(folder.path().join("probe.rmeta"))
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return false };
    let written = child
        .stdin
        .take()
        .is_some_and(|mut stdin| stdin.write_all(b"pub fn text() -> String { String::new() }").is_ok());
    child.wait().is_ok_and(|status| written && status.success())
}

fn rustc() -> Command {
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}
