//! The chores as the command line knows them; the doc comments are the help.

use anyhow::Result;

use crate::{check, components, end_to_end, kubernetes, schema, test, wasm_target, workspace::Workspace};

/// The chores of this repository
///
/// `check` and `test` run every suite whose tools are on this machine and name the ones they left out. With `CI=true`
/// in the environment a suite that is left out is a failure.
#[derive(Debug, clap::Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub(crate) enum Chore {
    /// Look at the sources without running them: format, lints, docs, dependencies, generated files, components
    Check(check::Check),
    /// Everything that `check` does, then all tests
    Test(test::Test),
    /// Run the end-to-end suite on a real cluster; on the embedded one `test` runs it
    E2e(end_to_end::EndToEnd),
    /// Run the tests and write what they got into their golden files
    Bless,
    /// Give the installed rustc a standard library for wasm32-unknown-unknown
    WasmTarget(wasm_target::WasmTarget),
    /// Build the policy components that are committed under `dist/`
    BuildComponents(components::BuildComponents),
    /// Write the JSON Schemas of the shapes that cross the component boundary to `wit/schemas/`
    Schema(schema::Schema),
    /// A real Kubernetes of one node on this machine, for the tests
    Kubernetes(kubernetes::Kubernetes),
}

impl Chore {
    /// Does the chore in the workspace that xtask belongs to.
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::WasmTarget(chore) => chore.run(),
            Self::Kubernetes(chore) => chore.run(),
            Self::Check(chore) => chore.run(&Workspace::open()?),
            Self::Test(chore) => chore.run(&Workspace::open()?),
            Self::E2e(chore) => chore.run(&Workspace::open()?),
            Self::Bless => test::bless(&Workspace::open()?),
            Self::BuildComponents(chore) => chore.run(&Workspace::open()?),
            Self::Schema(chore) => chore.run(&Workspace::open()?),
        }
    }
}
