//! `cargo xtask build-components`: the guests as components, committed under `dist/`.
//!
//! Each guest is built alone (features of one must not leak into another) and carries two custom sections:
//! `runner:sources`, a digest of what it was made from, and `runner:built-with`, the rustc and the std that made it. The
//! first tells everyone whether the committed file is stale; where the second is the toolchain at hand, the file is
//! built again and compared byte for byte.

mod binary;
mod sources;

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use cargo_metadata::{CrateType, Package};
use serde_json::{Value, json};

use crate::{
    command, report,
    suite::Missing,
    toolchain::{GET_WASM_STD, GUEST_TARGET, Toolchain},
    workspace::Workspace,
};

const SOURCES: &str = "runner:sources";
const BUILT_WITH: &str = "runner:built-with";
const PROFILE: &str = "guest";
const REBUILD: &str = "run `cargo xtask build-components`";

/// rustc finds it beside its own linkers; it makes a component of the module that the type section describes.
const LINKER: &str = "-Clinker=wasm-component-ld";

/// Options of `build-components`.
#[derive(Debug, clap::Args)]
pub(crate) struct BuildComponents {
    /// Write nothing: say which components are stale, and rebuild and compare those that this toolchain made
    #[arg(long)]
    check: bool,
    /// Only these guests, as their packages are called
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

impl BuildComponents {
    /// Builds, or compares.
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let Self { check, names } = self;
        let guests = chosen(guests(workspace)?, &names)?;
        if !check {
            return build_all(workspace, &guests);
        }
        up_to_date(workspace, &guests)?;
        match same_toolchain(workspace, &guests) {
            Ok(()) => rebuilt(workspace, &guests),
            Err(Missing { reason, get, .. }) => {
                report::left_out("byte comparison", &reason, &get);
                Ok(())
            }
        }
    }
}

/// Suite `components`: the committed files are made from today's sources.
pub(crate) fn check_sources(workspace: &Workspace) -> Result<()> {
    up_to_date(workspace, &guests(workspace)?)
}

/// What suite `components-rebuilt` needs: the very toolchain that the committed files record.
pub(crate) fn recorded_toolchain(workspace: &Workspace) -> Result<(), Missing> {
    match guests(workspace) {
        Ok(guests) => same_toolchain(workspace, &guests),
        // Whatever is wrong here is said by the suite itself.
        Err(_) => Ok(()),
    }
}

/// Suite `components-rebuilt`: built again, the committed files have the same bytes.
pub(crate) fn check_bytes(workspace: &Workspace) -> Result<()> {
    rebuilt(workspace, &guests(workspace)?)
}

/// SHA-256 and the like, as people write it.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One package that becomes a component.
struct Guest<'a> {
    package: &'a Package,
    /// Name of its library, and so of the file that cargo makes.
    library: &'a str,
    /// The committed file.
    dist: PathBuf,
}

/// The members whose library is a `cdylib`, in the order of the workspace.
fn guests(workspace: &Workspace) -> Result<Vec<Guest<'_>>> {
    let mut guests = Vec::new();
    for package in workspace.metadata.workspace_packages() {
        let library = package.targets.iter().find(|target| target.crate_types.contains(&CrateType::CDyLib));
        let Some(library) = library else { continue };
        let folder = package.manifest_path.parent().unwrap_or(&package.manifest_path);
        let dist = match (package.name.as_str(), folder.parent()) {
            ("core-policy", _) => folder.join("dist/core.wasm"),
            (name, Some(policies)) if policies.file_name() == Some("policies") => {
                policies.join("dist").join(name).with_extension("wasm")
            }
            (name, _) => bail!("`{name}` is a cdylib, yet neither the core policy nor a folder of `policies/`"),
        };
        guests.push(Guest { package, library: &library.name, dist: dist.into_std_path_buf() });
    }
    Ok(guests)
}

fn chosen<'a>(guests: Vec<Guest<'a>>, names: &[String]) -> Result<Vec<Guest<'a>>> {
    let known = |name: &String| guests.iter().any(|guest| guest.package.name == *name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let known: Vec<_> = guests.iter().map(|guest| guest.package.name.as_str()).collect();
        bail!("no guest is called `{unknown}`\nhelp: the guests are {}", known.join(", "));
    }
    Ok(guests.into_iter().filter(|guest| names.is_empty() || names.contains(&guest.package.name.to_string())).collect())
}

fn build_all(workspace: &Workspace, guests: &[Guest<'_>]) -> Result<()> {
    let toolchain = Toolchain::installed()?;
    let built_with =
        built_with(&toolchain)?.ok_or_else(|| anyhow!("rustc has no std for {GUEST_TARGET}\nhelp: {GET_WASM_STD}"))?;
    for guest in guests {
        report::step(&format!("build {}", guest.package.name));
        let component = build(workspace, &toolchain, guest, &built_with)?;
        let file = workspace.relative(&guest.dist);
        if std::fs::read(&guest.dist).is_ok_and(|committed| committed == component) {
            report::note(&format!("{file} is unchanged, {} bytes", component.len()));
            continue;
        }
        if let Some(folder) = guest.dist.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("{file}: no folder could be made for it"))?;
        }
        std::fs::write(&guest.dist, &component).with_context(|| format!("{file} could not be written"))?;
        report::note(&format!("{file} is new, {} bytes", component.len()));
    }
    Ok(())
}

/// One guest, as it would be committed.
fn build(workspace: &Workspace, toolchain: &Toolchain, guest: &Guest<'_>, built_with: &Value) -> Result<Vec<u8>> {
    let sources = sources::Sources::of(workspace, guest.package)?;
    let mut cargo = workspace.cargo();
    command::forget_build_settings(&mut cargo);
    cargo
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(workspace, toolchain, built_with).join("\x1f"))
        .args(["build", "--quiet", "--locked", "--lib", "--profile", PROFILE, "--target", GUEST_TARGET])
        .args(["--package", &guest.package.id.repr]);
    command::run(&mut cargo).with_context(|| format!("`{}` could not be built", guest.package.name))?;

    let products = workspace.target.join(GUEST_TARGET).join(PROFILE);
    sources.cover(workspace, &products.join(guest.library).with_extension("d"))?;
    let file = products.join(guest.library).with_extension("wasm");
    let component = std::fs::read(&file).with_context(|| format!("`{}` could not be read", file.display()))?;
    stamp(component, &sources.digest(workspace)?, built_with)
        .with_context(|| format!("`{}` is unfit", guest.package.name))
}

/// Adds the two custom sections to a component that imports nothing.
fn stamp(component: Vec<u8>, sources: &str, built_with: &Value) -> Result<Vec<u8>> {
    if binary::imports_something(&component)? {
        bail!("the component imports something\nhelp: define its types in the exported interface and use no WASI");
    }
    let component = binary::with_custom_section(component, SOURCES, sources.as_bytes());
    Ok(binary::with_custom_section(component, BUILT_WITH, built_with.to_string().as_bytes()))
}

/// Flags for guests. No path of this machine may get into the bytes: not the checkout, nor cargo's home, nor the sources
/// of the std, which rustc puts in place of its own remapped names where they are installed.
fn rustflags(workspace: &Workspace, toolchain: &Toolchain, built_with: &Value) -> Vec<String> {
    let remap = |from: &std::path::Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let mut registries: Vec<_> = workspace
        .metadata
        .packages
        .iter()
        .filter(|package| package.source.is_some())
        .filter_map(|package| package.manifest_path.ancestors().nth(2))
        .collect();
    registries.sort();
    registries.dedup();
    let mut flags = vec![LINKER.to_owned(), remap(&workspace.root, "/runner")];
    // Maps nothing. cargo does not see that the std has changed below the same rustc; it sees other flags, and builds
    // again what it would have taken from the target folder.
    let std = built_with.get("std").and_then(Value::as_str).unwrap_or_default();
    flags.push(format!("--remap-path-prefix=/std/{std}=/std"));
    flags.extend(registries.into_iter().map(|folder| remap(folder.as_std_path(), "/registry")));
    flags.push(remap(&toolchain.sysroot.join("lib/rustlib/src/rust"), &format!("/rustc/{}", toolchain.commit)));
    flags
}

/// What a component made now records; none without a std for guests.
fn built_with(toolchain: &Toolchain) -> Result<Option<Value>> {
    let std = toolchain.wasm_std_digest()?;
    Ok(std.map(|std| json!({"rustc": toolchain.describe(), "std": std})))
}

/// All stale components at once.
fn up_to_date(workspace: &Workspace, guests: &[Guest<'_>]) -> Result<()> {
    let mut problems = Vec::new();
    for guest in guests {
        let file = workspace.relative(&guest.dist);
        let Ok(component) = std::fs::read(&guest.dist) else {
            problems.push(format!("{file} is missing"));
            continue;
        };
        let recorded = binary::custom_section(&component, SOURCES).with_context(|| file.clone())?;
        let today = sources::Sources::of(workspace, guest.package)?.digest(workspace)?;
        match recorded {
            None => problems.push(format!("{file} records no sources")),
            Some(recorded) if recorded != today.as_bytes() => {
                problems.push(format!("{file} is stale: the sources of `{}` have changed", guest.package.name));
            }
            Some(_) => {}
        }
    }
    if problems.is_empty() { Ok(()) } else { bail!("{}\nhelp: {REBUILD}", problems.join("\n")) }
}

/// Whether all committed files record the toolchain that is installed. A file that is missing or not a component is left
/// to [`up_to_date`].
fn same_toolchain(workspace: &Workspace, guests: &[Guest<'_>]) -> Result<(), Missing> {
    let missing = |reason: String, get: &str| Missing { reason, get: get.to_owned(), is_excused: false };
    let today = Toolchain::installed()
        .and_then(|toolchain| built_with(&toolchain))
        .map_err(|error| missing(format!("{error:#}"), GET_WASM_STD))?
        .ok_or_else(|| missing(format!("rustc has no std for {GUEST_TARGET}"), GET_WASM_STD))?;
    for guest in guests {
        let recorded = std::fs::read(&guest.dist)
            .ok()
            .and_then(|component| Some(serde_json::from_slice(binary::custom_section(&component, BUILT_WITH).ok()??)));
        let Some(Ok(recorded)) = recorded else { continue };
        let recorded: Value = recorded;
        for (part, get) in [
            ("rustc", "install that version, or rebuild all with `cargo xtask build-components`"),
            (
                "std",
                "`cargo xtask wasm-target --from debian` makes the std of the committed components on a rustc without any",
            ),
        ] {
            if recorded.get(part) != today.get(part) {
                let file = workspace.relative(&guest.dist);
                let show = |value: &Value| value.get(part).and_then(Value::as_str).unwrap_or("nothing").to_owned();
                let reason = format!("{file} was made with {part} {}, here is {}", show(&recorded), show(&today));
                return Err(missing(reason, get));
            }
        }
    }
    Ok(())
}

/// Builds each guest again and compares. All that differ are named.
fn rebuilt(workspace: &Workspace, guests: &[Guest<'_>]) -> Result<()> {
    let toolchain = Toolchain::installed()?;
    let built_with = built_with(&toolchain)?.ok_or_else(|| anyhow!("rustc has no std for {GUEST_TARGET}"))?;
    let mut different = Vec::new();
    for guest in guests {
        let file = workspace.relative(&guest.dist);
        let committed =
            std::fs::read(&guest.dist).with_context(|| format!("{file} could not be read\nhelp: {REBUILD}"))?;
        let component = build(workspace, &toolchain, guest, &built_with)?;
        if committed == component {
            report::note(&format!("{file}: built again, the same {} bytes", component.len()));
        } else {
            different.push(format!("{file} has other bytes than one built now from the same sources"));
        }
    }
    if different.is_empty() { Ok(()) } else { bail!("{}\nhelp: {REBUILD}", different.join("\n")) }
}
