//! Shared test code: a folder of its own for each test, the program as a user runs it, golden files.
//!
//! Nothing here reads the machine's own configuration: every folder the program looks at is inside the test's.

mod cluster;
pub mod faults;
mod namespace;
mod proxy;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

pub use cluster::Served;
pub use namespace::{Cause, ClusterKind, KUBECONFIG, Namespace, Refused};
pub use proxy::Proxy;

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// A folder that goes away with the test.
pub struct Workdir {
    folder: tempfile::TempDir,
}

impl Workdir {
    /// An empty folder.
    ///
    /// # Errors
    /// When the system has none.
    pub fn new() -> Result<Workdir> {
        Ok(Workdir { folder: tempfile::tempdir().context("no temporary folder")? })
    }

    /// An empty folder in memory, where the system has such a place: whoever writes to it does not wait for a disk.
    ///
    /// # Errors
    /// When the system has none.
    pub fn in_memory() -> Result<Workdir> {
        match tempfile::tempdir_in("/dev/shm") {
            Ok(folder) => Ok(Workdir { folder }),
            Err(_) => Workdir::new(),
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path().join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, contents)?;
        Ok(path)
    }
}

/// The program, ready to run in a folder.
pub struct Runner {
    command: Command,
    stdout: Option<Stdio>,
}

/// What a run of the program gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit code; none: a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Runner {
    /// The program in a folder, with home, configuration, cache and state inside it. Compiled components are kept in one
    /// folder for all tests, which is what a user's cache is.
    ///
    /// # Errors
    /// When the program was not built.
    pub fn new(workdir: &Workdir) -> Result<Runner> {
        Runner::in_folder(workdir.path())
    }

    /// The same in any folder.
    ///
    /// # Errors
    /// When the program was not built.
    pub fn in_folder(folder: &Path) -> Result<Runner> {
        let binary = binary()?;
        let cache = binary.parent().map(|folder| folder.join("test-cache")).unwrap_or_default();
        let mut command = Command::new(binary);
        command
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder)
            .env("XDG_CONFIG_HOME", folder.join(".config"))
            .env("XDG_CACHE_HOME", cache)
            .env("XDG_STATE_HOME", folder.join(".state"))
            .stdin(Stdio::null());
        Ok(Runner { command, stdout: None })
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<std::ffi::OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Runner {
        self.command.args(arguments);
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(self, argument: impl AsRef<std::ffi::OsStr>) -> Runner {
        self.args([argument])
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Runner {
        self.command.env(name, value);
        self
    }

    /// Sends standard output somewhere else; then none is in the [`Output`].
    #[must_use]
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Runner {
        self.stdout = Some(stdout.into());
        self
    }

    /// Gives it something to read on standard input.
    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Runner {
        self.command.stdin(stdin);
        self
    }

    /// Starts and does not wait: the test may send signals.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut self) -> Result<Child> {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.spawn().with_context(|| format!("{:?} cannot be started", self.command))
    }

    /// Runs it from a shell that does something before.
    #[must_use]
    pub fn after(self, script: &str) -> Runner {
        let Runner { command, stdout } = self;
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("{script}; exec \"$0\" \"$@\"")])
            .arg(command.get_program())
            .args(command.get_args());
        shell
            .env_clear()
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::null());
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        Runner { command: shell, stdout }
    }

    /// Starts and does not wait; nobody reads what it says.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_quiet(mut self) -> Result<Child> {
        self.command.stdout(self.stdout.take().unwrap_or_else(Stdio::null)).stderr(Stdio::null());
        self.command.spawn().with_context(|| format!("{:?} cannot be started", self.command))
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(mut self) -> Result<Output> {
        self.command.stdout(self.stdout.take().unwrap_or_else(Stdio::piped)).stderr(Stdio::piped());
        let child = self.command.spawn().with_context(|| format!("{:?} cannot be started", self.command))?;
        let output = child.wait_with_output().with_context(|| format!("{:?} cannot be started", self.command))?;
        Ok(Output {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// The program that was built beside the tests.
///
/// # Errors
/// When it was not built.
pub fn binary() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    // target/<profile>/deps/it-… → target/<profile>/runner
    let folder = test.parent().and_then(Path::parent).context("the test has no folder")?;
    let binary = folder.join("runner");
    if !binary.exists() {
        bail!("`{}` is missing: `cargo test --workspace` builds it, or `cargo build`", binary.display());
    }
    Ok(binary)
}

/// Compares what came out with a golden file; with `BLESS=1` in the environment the file is written instead.
///
/// # Errors
/// When they differ, with both.
pub fn golden(path: &Path, found: &str) -> Result<()> {
    if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        if fs::read_to_string(path).ok().as_deref() != Some(found) {
            fs::write(path, found)?;
        }
        return Ok(());
    }
    let expected = fs::read_to_string(path)
        .with_context(|| format!("`{}` cannot be read; `cargo xtask bless` writes it", path.display()))?;
    if expected != found {
        bail!("`{}` differs\n--- expected\n{expected}\n--- found\n{found}\n---", path.display());
    }
    Ok(())
}

/// The folders of a folder of cases, sorted.
///
/// # Errors
/// When it cannot be read.
pub fn folders(path: &Path) -> Result<Vec<PathBuf>> {
    let mut folders: Vec<PathBuf> = fs::read_dir(path)
        .with_context(|| format!("`{}` cannot be read", path.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    Ok(folders)
}
