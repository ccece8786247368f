//! A wasm32 std from Debian's rust-src of the same version.
//!
//! Debian's mirrors are reachable where rustup's are not. The package comes through a private view of apt: a source
//! list of one line, derived from the sources in use, and its own folders. Nothing of the system's own apt changes, and
//! no root is needed. The std is then built as the Rust project does it: from the workspace `library/sysroot`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, anyhow, bail};
use tempfile::TempDir;

use crate::{
    command, report,
    toolchain::{GUEST_TARGET, Toolchain},
};

/// What Debian signs its archives with; apt of every release trusts it by this path.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A folder of built rlibs, gone when dropped.
pub(super) struct Built {
    folder: TempDir,
}

impl Built {
    /// The folder that holds the rlibs, among other products of the build.
    pub(super) fn rlibs(&self) -> PathBuf {
        self.folder.path().join("target").join(GUEST_TARGET).join("release/deps")
    }
}

/// Fetches, unpacks and builds; the result is a temporary folder.
pub(super) fn build(toolchain: &Toolchain, suite: &str, deb: Option<&Path>) -> Result<Built> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let deb = match deb {
        Some(deb) if !deb.is_file() => bail!("`{}` is no file", deb.display()),
        Some(deb) => deb.to_owned(),
        None => download(&toolchain.release, suite, folder.path())?,
    };
    report::step(&format!("unpack {}", deb.display()));
    let unpacked = folder.path().join("unpacked");
    unpack(&deb, &unpacked).with_context(|| format!("`{}` could not be unpacked", deb.display()))?;
    let library = library(&unpacked, &toolchain.release)?;
    report::step(&format!("build the std of rustc {} for {GUEST_TARGET}", toolchain.release));
    compile(toolchain, &library, &folder.path().join("target"))?;
    Ok(Built { folder })
}

/// Downloads rust-src of this release from the suite; apt checks its signature.
fn download(release: &str, suite: &str, folder: &Path) -> Result<PathBuf> {
    report::step(&format!("download rust-src {release} from Debian {suite}"));
    let mirror = mirror(&command::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(SITE) $(COMPONENT) $(RELEASE)",
        "Created-By: Packages",
    ]))?)
    .ok_or_else(|| anyhow!("apt knows no Debian mirror\nhelp: give the package with `--deb FILE`"))?;
    let apt = PrivateApt::new(folder, &mirror, suite)?;
    command::run(apt.command("apt-get").arg("update"))
        .with_context(|| format!("`{mirror} {suite}` could not be read"))?;
    let offered = command::output(apt.command("apt-cache").args(["madison", "rust-src"]))?;
    let version = version_of(&offered, release).ok_or_else(|| {
        anyhow!("Debian {suite} has no rust-src {release}\nhelp: name another suite with `--suite`, or the package with `--deb FILE`")
    })?;
    command::run(apt.command("apt-get").arg("download").arg(format!("rust-src={version}")).current_dir(folder))?;
    folder
        .read_dir()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| anyhow!("`apt-get download` left no package behind"))
}

/// An apt of its own: one source, its own lists and cache.
struct PrivateApt {
    options: Vec<String>,
}

impl PrivateApt {
    fn new(folder: &Path, mirror: &str, suite: &str) -> Result<Self> {
        let (list, lists, cache) = (folder.join("sources.list"), folder.join("lists"), folder.join("cache"));
        std::fs::create_dir_all(lists.join("partial"))?;
        std::fs::create_dir_all(cache.join("archives/partial"))?;
        let signed_by = if Path::new(KEYRING).exists() { format!("[signed-by={KEYRING}] ") } else { String::new() };
        std::fs::write(&list, format!("deb {signed_by}{mirror} {suite} main\n"))?;
        let options = [
            format!("Dir::Etc::sourcelist={}", list.display()),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::lists={}", lists.display()),
            format!("Dir::Cache={}", cache.display()),
            // Started as root, apt would change to a user that cannot enter a private temporary folder.
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ];
        Ok(Self { options: options.into() })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("--quiet=2");
        for option in &self.options {
            command.args(["-o", option]);
        }
        command
    }
}

/// The first Debian mirror among apt's index targets (`SITE COMPONENT RELEASE` a line), the security archive aside: it
/// has no backports.
fn mirror(targets: &str) -> Option<String> {
    targets.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (site, component, release) = (words.next()?, words.next()?, words.next()?);
        let debian = site.trim_end_matches('/').ends_with("/debian") && !release.contains("security");
        (debian && component == "main").then(|| site.to_owned())
    })
}

/// The version of a package of this release among `apt-cache madison`'s lines (`name | version | source`).
fn version_of(offered: &str, release: &str) -> Option<String> {
    offered.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim).find_map(|version| {
        let rest = version.strip_prefix(release)?;
        rest.starts_with(['+', '-', '~']).then(|| version.to_owned())
    })
}

/// Unpacks the library alone: the package holds the whole compiler, 400 MB that nobody needs here.
fn unpack(deb: &Path, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut tar = Command::new("dpkg-deb");
    let mut contents = command::start(tar.arg("--fsys-tarfile").arg(deb).stdout(Stdio::piped()))?;
    let pipe = contents.stdout.take().map_or_else(Stdio::null, Stdio::from);
    let unpacked = command::run(
        Command::new("tar")
            .arg("-x")
            .args(["--wildcards", "./usr/src/rustc-*/library"])
            .current_dir(folder)
            .stdin(pipe),
    );
    let status = contents.wait()?;
    if !status.success() {
        bail!("`dpkg-deb` failed ({status})");
    }
    unpacked
}

/// Where the package keeps the library.
fn library(unpacked: &Path, release: &str) -> Result<PathBuf> {
    let sources = unpacked.join("usr/src");
    let library = sources
        .read_dir()
        .with_context(|| format!("the package has no `{}`", sources.display()))?
        .filter_map(|entry| Some(entry.ok()?.path().join("library")))
        .find(|library| library.join("sysroot/Cargo.toml").is_file())
        .ok_or_else(|| anyhow!("the package has no `library/sysroot`"))?;
    let folder = library.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    if folder != format!("rustc-{release}") {
        bail!("the package holds `{folder}`, the installed rustc is {release}: a std belongs to one compiler");
    }
    Ok(library)
}

/// Builds the std. The flags are those of the Rust project's own build; paths are remapped, so that any folder and any
/// home give the same bytes.
fn compile(toolchain: &Toolchain, library: &Path, target: &Path) -> Result<()> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
        .ok_or_else(|| anyhow!("neither `CARGO_HOME` nor `HOME` is set"))?;
    let flags = [
        "-Zforce-unstable-if-unmarked".to_owned(),
        "-Cembed-bitcode=yes".to_owned(),
        format!("--remap-path-prefix={}=/rustc/{}/library", library.display(), toolchain.commit),
        format!("--remap-path-prefix={}=/registry", home.join("registry/src").display()),
    ];
    let mut cargo = command::cargo();
    command::forget_build_settings(&mut cargo);
    cargo
        .current_dir(library)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .args(["build", "--quiet", "--release", "--locked", "--target", GUEST_TARGET, "--manifest-path"])
        .arg(library.join("sysroot/Cargo.toml"));
    command::run(&mut cargo).context("the std could not be built")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_debians_and_not_the_security_archive() {
        let targets = "https://packages.cloud.google.com/apt main cloud-sdk-bookworm\n\
                       http://deb.debian.org/debian-security main bookworm-security\n\
                       http://mirror.example/debian main bookworm\n";
        assert_eq!(mirror(targets).as_deref(), Some("http://mirror.example/debian"));
        assert_eq!(mirror(""), None);
    }

    #[test]
    fn the_version_is_of_the_very_release() {
        let offered = " rust-src | 1.95.01+dfsg1-1 | http://x trixie-backports/main all Packages\n \
                        rust-src | 1.95.0+dfsg1-1~bpo13+1 | http://x trixie-backports/main all Packages\n";
        assert_eq!(version_of(offered, "1.95.0").as_deref(), Some("1.95.0+dfsg1-1~bpo13+1"));
        assert_eq!(version_of(offered, "1.94.0"), None);
    }
}
