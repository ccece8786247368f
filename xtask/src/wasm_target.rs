//! `cargo xtask wasm-target`: gives the installed rustc a std for wasm32-unknown-unknown.
//!
//! The first way that works: it is there already; rustup downloads it; it is built from the sources that Debian ships
//! for the same rustc. Sources of other versions are never taken: a std belongs to one compiler.

mod debian;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::{
    command, report,
    toolchain::{self, GUEST_TARGET, Toolchain},
};

/// Options of `wasm-target`.
#[derive(Debug, clap::Args)]
pub(crate) struct WasmTarget {
    /// Where to take the standard library from, if it is not there yet
    #[arg(long, value_enum, default_value_t = Source::Any)]
    from: Source,
    /// Debian suite that has rust-src in the version of the installed rustc
    #[arg(long, value_name = "SUITE", default_value = "trixie-backports")]
    suite: String,
    /// A rust-src package that is already here, instead of a download
    #[arg(long, value_name = "FILE")]
    deb: Option<PathBuf>,
    /// Write to this sysroot instead of rustc's own
    #[arg(long, value_name = "FOLDER", hide = true)]
    sysroot: Option<PathBuf>,
}

/// Where a std comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Source {
    /// rustup where it can, else Debian
    Any,
    /// `rustup target add`
    Rustup,
    /// Built from Debian's rust-src; the committed components are made with this one
    Debian,
}

impl WasmTarget {
    /// Does what is missing.
    pub(crate) fn run(self) -> Result<()> {
        let Self { from, suite, deb, sysroot } = self;
        let toolchain = Toolchain::installed()?;
        let own_sysroot = sysroot.is_none();
        let sysroot = sysroot.unwrap_or_else(|| toolchain.sysroot.clone());
        if toolchain::compiles_guests(&sysroot) {
            report::note(&format!(
                "rustc {} has a std for {GUEST_TARGET} in `{}`",
                toolchain.release,
                sysroot.display()
            ));
            return Ok(());
        }
        // rustup knows only the sysroot of its own toolchain, and a package at hand is a wish for the other way.
        let may_ask_rustup = own_sysroot && deb.is_none();
        match from {
            Source::Rustup => rustup(&sysroot)?,
            Source::Any if may_ask_rustup && rustup_or_note(&sysroot) => {}
            Source::Any | Source::Debian => {
                let built =
                    debian::build(&toolchain, &suite, deb.as_deref()).context("no std from Debian's rust-src")?;
                install(&built.rlibs(), &sysroot)?;
            }
        }
        if !toolchain::compiles_guests(&sysroot) {
            bail!("rustc still finds no working std for {GUEST_TARGET} in `{}`", sysroot.display());
        }
        report::note(&format!(
            "rustc {} has now a std for {GUEST_TARGET} in `{}`",
            toolchain.release,
            sysroot.display()
        ));
        Ok(())
    }
}

fn rustup_or_note(sysroot: &Path) -> bool {
    match rustup(sysroot) {
        Ok(()) => true,
        Err(error) => {
            report::note(&format!("not by rustup: {error:#}"));
            false
        }
    }
}

/// Lets rustup download the std, and looks whether rustc sees it: a distribution's rustc may stand before rustup's.
fn rustup(sysroot: &Path) -> Result<()> {
    report::step(&format!("rustup target add {GUEST_TARGET}"));
    command::run(Command::new("rustup").args(["target", "add", GUEST_TARGET]))?;
    if !toolchain::compiles_guests(sysroot) {
        bail!("rustup added {GUEST_TARGET}, but not for the rustc that is in use");
    }
    Ok(())
}

/// Puts the rlibs in place in one step, so that no one ever sees half a std: they are copied beside the final folder,
/// then renamed.
fn install(rlibs: &Path, sysroot: &Path) -> Result<()> {
    let destination = toolchain::wasm_std(sysroot);
    let rustlib = destination.parent().unwrap_or(sysroot);
    let cannot_write = || {
        format!(
            "`{}` could not be written\nhelp: run it as the user who owns the toolchain (a distribution's rustc: as root)",
            rustlib.display()
        )
    };
    std::fs::create_dir_all(rustlib).with_context(cannot_write)?;
    let staging = tempfile::Builder::new().prefix(".new-").tempdir_in(rustlib).with_context(cannot_write)?;
    let new = staging.path().join("new");
    let lib = new.join("lib");
    std::fs::create_dir_all(&lib).with_context(cannot_write)?;
    for rlib in toolchain::rlibs(rlibs)? {
        let name = rlib.file_name().unwrap_or_default();
        // An empty crate that only holds the others together while they are built.
        if !name.to_string_lossy().starts_with("libsysroot-") {
            std::fs::copy(&rlib, lib.join(name)).with_context(cannot_write)?;
        }
    }
    if destination.exists() {
        std::fs::rename(&destination, staging.path().join("old")).with_context(cannot_write)?;
    }
    std::fs::rename(&new, &destination).with_context(cannot_write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn install_replaces_the_whole_folder_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let (built, sysroot) = (folder.path().join("built"), folder.path().join("sysroot"));
        let lib = toolchain::wasm_std(&sysroot).join("lib");
        std::fs::create_dir_all(&lib).unwrap();
        std::fs::write(lib.join("libold.rlib"), "old").unwrap();
        std::fs::create_dir_all(&built).unwrap();
        for name in ["libcore-1.rlib", "libsysroot-1.rlib", "libcore-1.rmeta"] {
            std::fs::write(built.join(name), name).unwrap();
        }

        install(&built, &sysroot).unwrap();

        let names: Vec<_> = lib.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["libcore-1.rlib"]);
        let rustlib = lib.ancestors().nth(2).unwrap();
        assert_eq!(rustlib.read_dir().unwrap().count(), 1, "the staging folder is gone");
    }
}
