//! House rules, held by looking at the repository itself: what may depend on what, which words belong to which module,
//! what a file looks like.
//!
//! A rule here says what must stay absent; why it must is in ARCHITECTURE.md. Each failure names the place.

mod dependencies;
mod faults;
mod files;
mod scan;
mod sources;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

/// A text file of the repository.
struct File {
    /// From the root, with `/`.
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the file is one of these, or lies below one of them. `a/b` covers `a/b.rs` and `a/b/c.rs`.
    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| {
            self.path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest == ".rs" || rest.starts_with('/'))
        })
    }
}

/// Fails with all offences at once.
#[track_caller]
fn hold(rule: &str, offences: Vec<String>) {
    assert!(offences.is_empty(), "{rule}\n  {}\n", offences.join("\n  "));
}

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// Paths of all files that belong to the repository: what git tracks, and what it would if one added everything.
fn paths() -> Result<Vec<String>> {
    let root = root();
    let git = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(&root)
        .output()
        .ok()
        .filter(|output| output.status.success());
    let mut paths = match git {
        Some(output) => String::from_utf8(output.stdout)?.split_terminator('\0').map(str::to_owned).collect(),
        // An unpacked archive is no repository.
        None => walk(&root, "")?,
    };
    // One that git still knows may have been deleted.
    paths.retain(|path| root.join(path).is_file());
    paths.sort();
    Ok(paths)
}

fn walk(folder: &Path, prefix: &str) -> Result<Vec<String>> {
    const NOT_SOURCES: [&str; 3] = ["target", "node_modules", ".git"];
    let mut paths = Vec::new();
    for entry in folder.read_dir().with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if NOT_SOURCES.contains(&name.as_str()) {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            paths.extend(walk(&entry.path(), &format!("{path}/"))?);
        } else {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// The text files; a file that is not UTF-8 is data.
fn files() -> Result<Vec<File>> {
    let mut files = Vec::new();
    for path in paths()? {
        let bytes = std::fs::read(root().join(&path)).with_context(|| path.clone())?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File { path, text });
        }
    }
    Ok(files)
}

#[test]
fn a_place_covers_its_module_and_what_is_below() {
    let is_in = |path: &str| File { path: path.to_owned(), text: String::new() }.is_in(&["runner/src/wasm"]);
    assert!(is_in("runner/src/wasm.rs"));
    assert!(is_in("runner/src/wasm/engine.rs"));
    assert!(!is_in("runner/src/wasm_other.rs"));
    assert!(!is_in("runner/src/plan.rs"));
}
