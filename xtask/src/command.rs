//! Starting other programs: which one it was and what it said stay in the error.

use std::{
    io::ErrorKind,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, anyhow, bail};

/// A cargo of the same toolchain as the one that started xtask.
///
/// What `cargo run` put into the environment about xtask's own package is taken away again: build scripts watch such
/// variables, and a build would be stale each time it is started from the other side.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}

/// Takes the build settings of the environment away: bytes that are compared must not depend on who builds them.
pub(crate) fn forget_build_settings(cargo: &mut Command) {
    const SETTINGS: [&str; 5] =
        ["RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_BUILD_INCREMENTAL", "CARGO_INCREMENTAL"];
    const GROUPS: [&str; 2] = ["CARGO_PROFILE_", "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_"];
    for (name, _) in std::env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        if SETTINGS.contains(&text) || GROUPS.iter().any(|group| text.starts_with(group)) {
            cargo.env_remove(name);
        }
    }
}

/// Runs the command with the terminal as its own.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| not_started(command, error))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// Starts the command; the caller waits for it.
pub(crate) fn start(command: &mut Command) -> Result<Child> {
    command.spawn().map_err(|error| not_started(command, error))
}

/// Runs the command and gives what it wrote to stdout; its stderr is part of the error if it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| not_started(command, error))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed ({})\n{}", line(command), output.status, words.trim_end());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{}` wrote text that is not UTF-8", line(command)))
}

/// Whether the command can be started and succeeds, whatever it says.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn not_started(command: &Command, error: std::io::Error) -> anyhow::Error {
    let program = command.get_program().to_string_lossy();
    match error.kind() {
        ErrorKind::NotFound => anyhow!("`{program}` is not installed"),
        _ => anyhow!(error).context(format!("`{program}` could not be started")),
    }
}

/// The command as one would type it, cut where it gets long.
fn line(command: &Command) -> String {
    const LONGEST: usize = 160;
    let program = Path::new(command.get_program());
    let mut line = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for argument in command.get_args() {
        if line.len() > LONGEST {
            return line + " …";
        }
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
