//! The workspace as cargo sees it: its root, its packages, its target folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand};

use crate::{command, toolchain};

/// The workspace that this xtask belongs to.
pub(crate) struct Workspace {
    /// Absolute path of the folder that holds the root Cargo.toml.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// Our packages, and of the others those that wasm32 needs: all platforms would mean downloading Windows bindings.
    pub(crate) metadata: Metadata,
}

impl Workspace {
    /// Reads the workspace around the current folder: the alias runs xtask from anywhere in it.
    pub(crate) fn open() -> Result<Self> {
        let metadata = MetadataCommand::new()
            .cargo_path(command::cargo().get_program())
            .other_options(["--locked", "--filter-platform", toolchain::GUEST_TARGET].map(str::to_owned))
            .exec()
            .context("the workspace could not be read")?;
        Ok(Self {
            root: metadata.workspace_root.clone().into_std_path_buf(),
            target: metadata.target_directory.clone().into_std_path_buf(),
            metadata,
        })
    }

    /// A cargo command that runs at the root.
    pub(crate) fn cargo(&self) -> std::process::Command {
        let mut cargo = command::cargo();
        cargo.current_dir(&self.root);
        cargo
    }

    /// The path as people of this repository write it: from the root, with `/`.
    pub(crate) fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().replace('\\', "/")
    }
}
