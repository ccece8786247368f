//! `cargo xtask check`: everything that can be said about the sources without running them.

use anyhow::Result;

use crate::{
    command, components, report, schema,
    suite::{self, Selection, Suite},
    workspace::Workspace,
};

/// The suites, quick ones first.
pub(crate) const SUITES: [Suite; 7] = [
    Suite {
        name: "format",
        about: "sources are formatted",
        needs: |_| suite::subcommand("fmt", "get it with `rustup component add rustfmt`"),
        run: |workspace| command::run(workspace.cargo().args(["fmt", "--all", "--check"])),
    },
    Suite {
        name: "generated",
        about: "generated files are what the sources generate",
        needs: suite::nothing,
        run: schema::check,
    },
    Suite {
        name: "components",
        about: "committed components are made from today's sources",
        needs: suite::nothing,
        run: components::check_sources,
    },
    Suite {
        name: "components-rebuilt",
        about: "built again, the committed components have the same bytes",
        needs: components::recorded_toolchain,
        run: components::check_bytes,
    },
    Suite {
        name: "deny",
        about: "dependencies: licences, sources, bans, advisories",
        needs: |_| suite::subcommand("deny", "get it with `cargo install cargo-deny --locked`"),
        run: deny,
    },
    Suite {
        name: "clippy",
        about: "lints, warnings are errors",
        needs: |_| suite::subcommand("clippy", "get it with `rustup component add clippy`"),
        run: |workspace| {
            let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
            command::run(workspace.cargo().args(arguments))
        },
    },
    Suite {
        name: "docs",
        about: "documentation builds, warnings are errors",
        needs: suite::nothing,
        // With private items: most of the documentation here is read by those who change the code.
        run: |workspace| {
            let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"];
            command::run(workspace.cargo().env("RUSTDOCFLAGS", "-D warnings").args(arguments))
        },
    },
];

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    #[command(flatten)]
    selection: Selection,
}

impl Check {
    /// Runs the suites.
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let Self { selection } = self;
        suite::run(&SUITES, &selection, workspace)
    }
}

/// Advisories come from a repository on the network; where it cannot be fetched the other checks still hold, and a
/// machine without that network is no reason to fail.
fn deny(workspace: &Workspace) -> Result<()> {
    command::run(workspace.cargo().args(["deny", "--workspace", "--locked", "check", "bans", "licenses", "sources"]))?;
    if command::succeeds(workspace.cargo().args(["deny", "--workspace", "--locked", "fetch", "db"])) {
        command::run(workspace.cargo().args(["deny", "--workspace", "--locked", "check", "advisories"]))
    } else {
        report::left_out("advisories", "the advisory database cannot be fetched", "it needs github.com");
        Ok(())
    }
}
