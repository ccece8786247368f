//! What may depend on what, as cargo resolves it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context, Result};
use cargo_metadata::{CrateType, DependencyKind, Metadata, MetadataCommand, PackageId};

use super::{hold, root};

/// Crates that must run inside a component and in a browser.
const PURE: [&str; 3] = ["model", "rules", "runner-policy-sdk"];

/// Families of crates that bring an outside world with them.
const WORLDLY: [&str; 5] = ["tokio", "kube", "wasmtime", "hyper", "reqwest"];

/// Crates of ours that the local cluster may know: they know nothing of workflows, policies or Jobs.
const BELOW_THE_CLUSTER: [&str; 1] = ["process-group"];

fn metadata() -> Result<Metadata> {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        // One platform: all of them would mean to download what only Windows needs.
        .other_options(["--locked", "--filter-platform", "x86_64-unknown-linux-gnu"].map(str::to_owned))
        .exec()
        .context("the workspace could not be read")
}

/// The packages that `package` needs in order to run, each with the one that brought it.
fn closure<'a>(metadata: &'a Metadata, package: &str) -> Result<BTreeMap<&'a str, &'a str>> {
    let names: BTreeMap<&PackageId, &str> =
        metadata.packages.iter().map(|package| (&package.id, package.name.as_str())).collect();
    let name = |id: &PackageId| names.get(id).copied().unwrap_or("?");
    let resolve = metadata.resolve.as_ref().context("cargo resolved nothing")?;
    let start = metadata.workspace_packages().into_iter().find(|member| member.name == package);
    let start = &start.with_context(|| format!("no member is called `{package}`"))?.id;

    let mut closure = BTreeMap::new();
    let mut seen = BTreeSet::from([start]);
    let mut open = vec![start];
    while let Some(id) = open.pop() {
        let node = resolve.nodes.iter().find(|node| node.id == *id);
        for dependency in node.into_iter().flat_map(|node| &node.deps) {
            let is_normal = dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if is_normal && seen.insert(&dependency.pkg) {
                closure.insert(name(&dependency.pkg), name(id));
                open.push(&dependency.pkg);
            }
        }
    }
    Ok(closure)
}

#[test]
fn runner_knows_the_model_and_never_the_rules() -> Result<()> {
    let metadata = metadata()?;
    let closure = closure(&metadata, "runner")?;
    assert!(closure.contains_key("model"), "`runner` speaks the types of `model`");
    let offence = closure.get("rules").map(|by| format!("`rules`, brought by `{by}`"));
    hold(
        "the component is the only rules engine, so that command line and browser cannot disagree",
        offence.into_iter().collect(),
    );
    Ok(())
}

#[test]
fn what_runs_in_components_depends_on_no_outside_world() -> Result<()> {
    let metadata = metadata()?;
    let mut offences = Vec::new();
    for pure in PURE {
        for (name, by) in closure(&metadata, pure)? {
            let family = name.split(['-', '_']).next().unwrap_or(name);
            if WORLDLY.contains(&family) {
                offences.push(format!("{pure}: `{name}`, brought by `{by}`"));
            }
        }
    }
    hold("these crates are pure functions for wasm32 and native", offences);
    Ok(())
}

#[test]
fn only_the_tests_depend_on_runner() -> Result<()> {
    let metadata = metadata()?;
    let mut offences = Vec::new();
    for member in metadata.workspace_packages() {
        if member.name != "tests" && member.dependencies.iter().any(|dependency| dependency.name == "runner") {
            offences.push(format!("`{}`", member.name));
        }
    }
    hold("`runner` is the outermost crate", offences);
    Ok(())
}

#[test]
fn the_local_cluster_knows_none_of_our_crates() -> Result<()> {
    let metadata = metadata()?;
    let members: BTreeSet<_> = metadata.workspace_packages().into_iter().map(|member| member.name.as_str()).collect();
    let mut offences = Vec::new();
    if members.contains("local-cluster") {
        let closure = closure(&metadata, "local-cluster")?;
        let ours = closure.keys().filter(|name| members.contains(*name) && !BELOW_THE_CLUSTER.contains(name));
        offences.extend(ours.map(|name| format!("`{name}`")));
    }
    hold("the local cluster plays Kubernetes: it must not know what we expect of it", offences);
    Ok(())
}

#[test]
fn every_crate_inherits_the_workspace_lints() -> Result<()> {
    let metadata = metadata()?;
    let mut offences = Vec::new();
    for member in metadata.workspace_packages() {
        let manifest = std::fs::read_to_string(&member.manifest_path)?;
        let lints = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").nth(1);
        if lints != Some("workspace = true") {
            offences.push(format!("{}: no `[lints] workspace = true`", member.manifest_path));
        }
    }
    hold("one set of lints for all", offences);
    Ok(())
}

#[test]
fn every_guest_has_its_committed_component() -> Result<()> {
    let metadata = metadata()?;
    let mut offences = Vec::new();
    for member in metadata.workspace_packages() {
        if !member.targets.iter().any(|target| target.crate_types.contains(&CrateType::CDyLib)) {
            continue;
        }
        let dist = match member.name.as_str() {
            "core-policy" => Path::new("policy-wasm/dist/core.wasm").to_owned(),
            name => Path::new("policies/dist").join(name).with_extension("wasm"),
        };
        if !root().join(&dist).is_file() {
            offences.push(format!("{}: run `cargo xtask build-components {}`", dist.display(), member.name));
        }
    }
    hold("components are committed: a plain build needs no wasm target", offences);
    Ok(())
}
