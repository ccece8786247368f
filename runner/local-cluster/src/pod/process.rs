//! A container as a local process: a group of its own, stopped as a whole.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use k8s_openapi::api::core::v1::Container;
use process_group::{Group, Signal, ended};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::Desired;
use super::container::{Context, Ending};
use super::environment::{Environment, expand};
use super::script::{kill, stop};
use super::volumes::{Rewriting, Volumes};
use crate::clock::Clock;
use crate::folder::{Folder, Record};
use crate::log::Writer;

/// Bytes read from a container at once.
const BLOCK: usize = 64 * 1024;
/// Where programs are looked for when neither the container nor this process says.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// All that is needed to start a process.
#[derive(Debug)]
pub(super) struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    folder: PathBuf,
}

impl Launch {
    /// Works out program, arguments, environment and folder.
    ///
    /// # Errors
    ///
    /// A runtime's words for why the container cannot be started.
    pub(super) fn prepare(
        container: &Container,
        found: &Environment,
        volumes: &Volumes,
        rewriting: &Rewriting,
    ) -> Result<Self, String> {
        let words = Context::command(container)?;
        let arguments: Vec<OsString> =
            words.iter().map(|word| OsString::from_vec(rewriting.apply(&expand(word.as_bytes(), found)))).collect();
        let root = volumes.link_mounts(container, found)?;
        let mut environment = BTreeMap::from([
            (OsString::from("PATH"), std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into())),
            ("HOME".into(), volumes.home().into()),
            ("HOSTNAME".into(), volumes.host_name().into()),
        ]);
        for (name, value) in found {
            environment.insert(name.into(), OsString::from_vec(rewriting.apply(value)));
        }
        // Last: what the container's paths hang on is not the container's to change.
        environment.insert("RUNNER_LOCAL_ROOT".into(), root.into());
        let folder = match container.working_dir.as_deref().filter(|folder| !folder.is_empty()) {
            None => volumes.home().to_owned(),
            Some(text) => {
                let folder = PathBuf::from(OsString::from_vec(rewriting.apply(text.as_bytes())));
                if !folder.is_dir() {
                    return Err(format!(
                        "chdir to cwd (\"{text}\") set in config.json failed: no such file or directory"
                    ));
                }
                folder
            }
        };
        let program = arguments.first().map(OsString::as_os_str).unwrap_or_default();
        let path = environment.get(OsStr::new("PATH")).map(OsString::as_os_str).unwrap_or_default();
        let program = find_program(program, path, &folder)?;
        Ok(Self { program, arguments, environment, folder })
    }
}

/// The program's file, found as `execvp` would, so that what is wrong can be said.
fn find_program(program: &OsStr, path: &OsStr, folder: &Path) -> Result<PathBuf, String> {
    let shown = program.to_string_lossy();
    let is_executable =
        |file: &Path| file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    if program.as_bytes().contains(&b'/') {
        let file = folder.join(program);
        return match file.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(format!("exec: \"{shown}\": stat {shown}: no such file or directory"))
            }
            Ok(found) if found.is_dir() => Err(format!("exec: \"{shown}\": is a directory")),
            Ok(_) if is_executable(&file) => Ok(file),
            Ok(_) | Err(_) => Err(format!("exec: \"{shown}\": permission denied")),
        };
    }
    let places = path.as_bytes().split(|byte| *byte == b':').filter(|place| !place.is_empty());
    places
        .map(|place| folder.join(OsStr::from_bytes(place)).join(program))
        .find(|file| !program.is_empty() && is_executable(file))
        .ok_or_else(|| format!("exec: \"{shown}\": executable file not found in $PATH"))
}

/// A running process and what it prints.
pub(super) struct Process {
    child: Child,
    group: Group,
    output: pipe::Receiver,
    /// Names the process to the next cluster, should this one be killed.
    _record: Record,
}

/// Why there is no process.
pub(super) enum NotStarted {
    /// The runtime saw that it cannot be.
    Refused(String),
    /// The container ran, and the kernel did not let its first process become the program: runc says so where the program
    /// would have spoken, and ends with 1.
    ByItself(String),
}

/// Starts a process.
///
/// # Errors
///
/// Why it cannot be started.
pub(super) fn start(launch: &Launch, folder: &Folder) -> Result<Process, NotStarted> {
    let shown = launch.program.display().to_string();
    let failed = |error: io::Error| {
        if error.kind() == io::ErrorKind::ArgumentListTooLong {
            return NotStarted::ByItself(format!("exec {shown}: {}\n", words(&error)));
        }
        NotStarted::Refused(format!("exec: \"{shown}\": {}", words(&error)))
    };
    // One pipe for both streams keeps the order in which the program wrote.
    let (reader, writer) = io::pipe().map_err(failed)?;
    let output = pipe::Receiver::from_owned_fd(reader.into()).map_err(failed)?;
    let mut command = std::process::Command::new(&launch.program);
    if let Some((name, arguments)) = launch.arguments.split_first() {
        command.arg0(name).args(arguments);
    }
    command
        .env_clear()
        .envs(&launch.environment)
        .current_dir(&launch.folder)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(failed)?)
        .stderr(writer);
    let mut command = Command::from(command);
    let child = command.spawn().map_err(failed)?;
    // The command holds copies of the pipe's end; with them it would never end.
    drop(command);
    let group = Group::of(&child).map_err(failed)?;
    let record = folder.record(&group.identity()).map_err(failed)?;
    Ok(Process { child, group, output, _record: record })
}

/// What went wrong, in the words of a runtime: without Rust's `(os error 2)`.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

impl Process {
    /// Follows the process to its end: its output goes to the log, a wish to stop becomes SIGTERM, and SIGKILL later.
    pub(super) async fn run(self, mut log: Writer, clock: &Clock, desired: &mut watch::Receiver<Desired>) -> Ending {
        let Self { mut child, group, output, _record } = self;
        let mut block = vec![0; BLOCK];
        let mut is_open = true;
        let mut phase = Phase::Running;
        {
            let exit = ended(&mut child);
            tokio::pin!(exit);
            loop {
                let next = async {
                    match phase {
                        Phase::Running => stop(desired).await,
                        Phase::Stopping => kill(clock, desired).await,
                        Phase::Killed => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = &mut exit => break,
                    ready = output.readable(), if is_open => {
                        is_open = ready.is_ok() && !has_ended(output.try_read(&mut block), &block, &mut log);
                    }
                    () = next => {
                        let (after, signal) = match phase {
                            Phase::Running => (Phase::Stopping, Signal::TERM),
                            Phase::Stopping | Phase::Killed => (Phase::Killed, Signal::KILL),
                        };
                        group.signal(signal);
                        phase = after;
                    }
                }
            }
        }
        // It has ended but is still in the process table: its number, and so its group's, is not anybody else's yet.
        group.kill();
        drain(output, &mut block, &mut log);
        let status = child.wait().await;
        drop(log);
        status.map_or_else(|error| Ending::start_error(format!("cannot wait for the process: {error}")), of_status)
    }
}

/// How far the stop of a process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// SIGTERM is sent; SIGKILL follows at the end of the grace period.
    Stopping,
    Killed,
}

fn of_status(status: ExitStatus) -> Ending {
    let signalled = status.signal().map(|signal| signal.saturating_add(128));
    Ending::of_code(status.code().or(signalled).unwrap_or(137))
}

/// Moves what was read into the log; says whether nothing will come any more.
fn has_ended(read: io::Result<usize>, block: &[u8], log: &mut Writer) -> bool {
    match read {
        Ok(count) => {
            // A full disk loses output, as a full node does; the process must not hang on it.
            drop(log.write(block.get(..count).unwrap_or_default()));
            count == 0
        }
        Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
    }
}

/// Moves what still lies in the pipe into the log. Its end may never come: a process that left the group may hold it.
fn drain(output: pipe::Receiver, block: &mut [u8], log: &mut Writer) {
    // Past tokio, which reads only when its reactor has seen that there is something.
    let Ok(output) = output.into_nonblocking_fd() else { return };
    let mut output = File::from(output);
    loop {
        let read = output.read(block);
        let is_empty = read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        if is_empty || has_ended(read, block, log) {
            return;
        }
    }
}
