//! `cargo xtask schema`: the JSON Schemas of the shapes that cross the component boundary, written from the types in
//! `model`. They are committed so that a change of a shape is seen in review.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, Result, bail};

use crate::{report, workspace::Workspace};

/// Options of `schema`.
#[derive(Debug, clap::Args)]
pub(crate) struct Schema {
    /// Write nothing: say which files differ
    #[arg(long)]
    check: bool,
}

impl Schema {
    /// Writes, or compares.
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let Self { check } = self;
        if check { self::check(workspace) } else { write(workspace) }
    }
}

/// Suite `generated`: the committed files are the ones that [`write()`] would leave.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let (expected, found) = (expected(workspace)?, found(workspace)?);
    let mut problems = Vec::new();
    for (path, text) in &expected {
        match found.get(path) {
            None => problems.push(format!("{} is missing", workspace.relative(path))),
            Some(found) if found != text => problems.push(format!("{} is out of date", workspace.relative(path))),
            Some(_) => {}
        }
    }
    for path in found.keys().filter(|path| !expected.contains_key(*path)) {
        problems.push(format!("{} belongs to no shape any more", workspace.relative(path)));
    }
    if problems.is_empty() { Ok(()) } else { bail!("{}\nhelp: run `cargo xtask schema`", problems.join("\n")) }
}

/// Writes what differs and removes what no shape has any more.
fn write(workspace: &Workspace) -> Result<()> {
    let (expected, found) = (expected(workspace)?, found(workspace)?);
    let folder = folder(workspace);
    std::fs::create_dir_all(&folder).with_context(|| format!("`{}` could not be made", folder.display()))?;
    for (path, text) in &expected {
        if found.get(path) != Some(text) {
            std::fs::write(path, text).with_context(|| format!("`{}` could not be written", path.display()))?;
            report::note(&format!("{} is new", workspace.relative(path)));
        }
    }
    for path in found.keys().filter(|path| !expected.contains_key(*path)) {
        std::fs::remove_file(path).with_context(|| format!("`{}` could not be removed", path.display()))?;
        report::note(&format!("{} is gone", workspace.relative(path)));
    }
    Ok(())
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.root.join("wit/schemas")
}

/// Path and text of each schema.
fn expected(workspace: &Workspace) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    model::schema::documents()
        .into_iter()
        .map(|(name, document)| {
            let mut text = serde_json::to_vec_pretty(&document).with_context(|| format!("{name} is not JSON"))?;
            text.push(b'\n');
            Ok((folder(workspace).join(name), text))
        })
        .collect()
}

/// Path and text of each schema that lies there now.
fn found(workspace: &Workspace) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let folder = folder(workspace);
    let unreadable = || format!("`{}` could not be read", folder.display());
    let mut found = BTreeMap::new();
    if folder.exists() {
        for entry in folder.read_dir().with_context(unreadable)? {
            let path = entry.with_context(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let text = std::fs::read(&path).with_context(|| format!("`{}` could not be read", path.display()))?;
                found.insert(path, text);
            }
        }
    }
    Ok(found)
}
