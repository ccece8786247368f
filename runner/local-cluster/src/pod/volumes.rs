//! Volumes as folders of the pod, and paths that point into them.
//!
//! A process sees the machine's files, so a mount at `/data` cannot lie there: it lies at `$RUNNER_LOCAL_ROOT/data`, and
//! `/data` in commands, variables and the working directory is rewritten to that.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, HostPathVolumeSource, KeyToPath, Pod, Volume};

use super::environment::{Environment, data, expand, find, missing};
use crate::folder::make;
use crate::object::Key;
use crate::resource::Resource;
use crate::shared::Shared;

/// The volumes of a pod, made.
#[derive(Clone, Debug)]
pub(super) struct Volumes {
    folder: PathBuf,
    home: PathBuf,
    host_name: String,
    places: BTreeMap<String, PathBuf>,
}

/// Makes all volumes of a pod.
///
/// # Errors
///
/// The kubelet's words for what is missing; it may still appear.
pub(super) fn prepare(shared: &Shared, key: &Key, pod: &Pod, folder: &Path) -> Result<Volumes, String> {
    let home = folder.join("home");
    make(&home).map_err(|error| format!("cannot make the pod's folder: {error}"))?;
    let mut places = BTreeMap::new();
    for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
        let place = make_volume(shared, key, volume, folder)
            .map_err(|why| format!("MountVolume.SetUp failed for volume \"{}\" : {why}", volume.name))?;
        places.insert(volume.name.clone(), place);
    }
    Ok(Volumes { folder: folder.to_owned(), home, host_name: key.name.clone(), places })
}

fn make_volume(shared: &Shared, key: &Key, volume: &Volume, folder: &Path) -> Result<PathBuf, String> {
    let own = folder.join("volumes").join(&volume.name);
    let failed = |error: std::io::Error| error.to_string();
    if let Some(source) = &volume.host_path {
        return host_path(source);
    }
    if let Some(source) = &volume.persistent_volume_claim {
        let claim = shared.folder.claim(&key.namespace, &source.claim_name);
        make(&claim).map_err(failed)?;
        return Ok(claim);
    }
    make(&own).map_err(failed)?;
    let (resource, name, optional, items, mode) = match (&volume.config_map, &volume.secret) {
        (Some(map), _) => (Resource::ConfigMaps, map.name.as_str(), map.optional, &map.items, map.default_mode),
        (None, Some(secret)) => {
            let name = secret.secret_name.as_deref().unwrap_or_default();
            (Resource::Secrets, name, secret.optional, &secret.items, secret.default_mode)
        }
        (None, None) if volume.empty_dir.is_some() => return Ok(own),
        (None, None) => return Err(format!("the local cluster does not imitate volumes of type `{}`", kind(volume))),
    };
    let optional = optional == Some(true);
    let Some(object) = find(&shared.store(), key, resource, name) else {
        return if optional { Ok(own) } else { Err(missing(resource, name)) };
    };
    let entries: BTreeMap<String, Vec<u8>> = data(resource, &object).into_iter().collect();
    write_entries(&own, &entries, items.as_deref(), mode.unwrap_or(0o644), optional)?;
    Ok(own)
}

fn write_entries(
    own: &Path,
    entries: &BTreeMap<String, Vec<u8>>,
    items: Option<&[KeyToPath]>,
    default_mode: i32,
    optional: bool,
) -> Result<(), String> {
    let all: Vec<(&str, &str, i32)> = match items {
        Some(items) if !items.is_empty() => items
            .iter()
            .map(|item| (item.key.as_str(), item.path.as_str(), item.mode.unwrap_or(default_mode)))
            .collect(),
        _ => entries.keys().map(|key| (key.as_str(), key.as_str(), default_mode)).collect(),
    };
    for (key, path, mode) in all {
        let Some(bytes) = entries.get(key) else {
            if optional {
                continue;
            }
            return Err(format!("references non-existent config key: {key}"));
        };
        let file = own.join(inside(Path::new(path)));
        let failed = |error: std::io::Error| error.to_string();
        if let Some(parent) = file.parent() {
            make(parent).map_err(failed)?;
        }
        // One from an earlier try may be read-only.
        drop(fs::remove_file(&file));
        fs::write(&file, bytes).map_err(failed)?;
        let mode = u32::try_from(mode).unwrap_or(0o644);
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).map_err(failed)?;
    }
    Ok(())
}

fn host_path(source: &HostPathVolumeSource) -> Result<PathBuf, String> {
    let path = PathBuf::from(&source.path);
    let failed = |error: std::io::Error| format!("hostPath {}: {error}", source.path);
    let is_not = |what: &str| Err(format!("hostPath type check failed: {} is not a {what}", source.path));
    match source.type_.as_deref().unwrap_or_default() {
        "DirectoryOrCreate" => fs::create_dir_all(&path).map_err(failed)?,
        "FileOrCreate" if !path.exists() => fs::write(&path, "").map_err(failed)?,
        "Directory" if !path.is_dir() => return is_not("directory"),
        "File" if !path.is_file() => return is_not("file"),
        "Socket" | "CharDevice" | "BlockDevice" if !path.exists() => return is_not("file of that type"),
        _ => {}
    }
    Ok(path)
}

/// The field that says what a volume is.
fn kind(volume: &Volume) -> String {
    let as_json = serde_json::to_value(volume).unwrap_or_default();
    let mut fields = as_json.as_object().into_iter().flatten().map(|(field, _)| field.clone());
    fields.find(|field| field != "name").unwrap_or_default()
}

/// The path with nothing that leads out of where it is put.
fn inside(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

impl Volumes {
    /// The pod's folder: `HOME`, and where processes start.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    pub(super) fn host_name(&self) -> &str {
        &self.host_name
    }

    fn root(&self, container: &Container) -> PathBuf {
        self.folder.join("roots").join(&container.name)
    }

    /// Puts the mounts of a container under its root and returns that.
    pub(super) fn link_mounts(&self, container: &Container, environment: &Environment) -> Result<PathBuf, String> {
        let root = self.root(container);
        make(&root).map_err(|error| format!("cannot make the container's folder: {error}"))?;
        let mut mounts: Vec<_> = container.volume_mounts.iter().flatten().collect();
        // The outer before the inner.
        mounts.sort_by_key(|mount| mount.mount_path.len());
        for mount in mounts {
            let failed = |error: std::io::Error| format!("cannot mount at {}: {error}", mount.mount_path);
            let Some(volume) = self.places.get(&mount.name) else { continue };
            let part = match (&mount.sub_path, &mount.sub_path_expr) {
                (_, Some(expression)) => OsString::from_vec(expand(expression.as_bytes(), environment)),
                (Some(path), None) => OsString::from(path),
                (None, None) => OsString::new(),
            };
            let source = volume.join(inside(Path::new(&part)));
            if !source.exists() {
                make(&source).map_err(failed)?;
            }
            let place = root.join(inside(Path::new(&mount.mount_path)));
            if let Some(parent) = place.parent() {
                make(parent).map_err(failed)?;
            }
            if place == root {
                return Err(format!("cannot mount at {}: the local cluster has no images", mount.mount_path));
            }
            symlink(&source, &place).map_err(failed)?;
        }
        Ok(root)
    }

    /// How the paths of a container change.
    pub(super) fn rewriting(&self, container: &Container) -> Rewriting {
        let root = self.root(container);
        let mounts = container.volume_mounts.iter().flatten();
        let mut pairs: Vec<(String, Vec<u8>)> = mounts
            .map(|mount| {
                let path = inside(Path::new(&mount.mount_path));
                let shown = format!("/{}", path.display());
                (shown, root.join(path).into_os_string().into_vec())
            })
            .filter(|(path, _)| path != "/")
            .collect();
        // The longest first: `/data/in` before `/data`.
        pairs.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        Rewriting { pairs }
    }
}

/// Mount paths and what stands for them on this machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Rewriting {
    pairs: Vec<(String, Vec<u8>)>,
}

impl Rewriting {
    /// Rewrites mount paths that stand as whole words, also with more of a path behind them: `/data`, `--in=/data/x`, but
    /// not `/database`, `/my/data` or `http://host/data`.
    pub(super) fn apply(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let begins_word = out.last().is_none_or(|before| !continues_path(*before) && !b"/}".contains(before));
            let found = if begins_word { self.find(rest) } else { None };
            if let Some((length, target)) = found {
                out.extend_from_slice(target);
                rest = rest.get(length..).unwrap_or_default();
            } else if let Some((first, after)) = rest.split_first() {
                out.push(*first);
                rest = after;
            }
        }
        out
    }

    fn find(&self, text: &[u8]) -> Option<(usize, &[u8])> {
        let ends = |path: &str| text.get(path.len()).is_none_or(|next| *next == b'/' || !continues_path(*next));
        let mut fitting = self.pairs.iter().filter(|(path, _)| text.starts_with(path.as_bytes()) && ends(path));
        fitting.next().map(|(path, target)| (path.len(), target.as_slice()))
    }

    /// What the owner of the pod should know about it.
    pub(super) fn note(&self) -> Option<String> {
        let said: Vec<String> =
            self.pairs.iter().map(|(path, _)| format!("{path} is $RUNNER_LOCAL_ROOT{path}")).collect();
        (!said.is_empty())
            .then(|| format!("{}; rewritten in the command, variables and working directory", said.join(", ")))
    }
}

/// A character that makes a longer name of what stands beside it.
fn continues_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"_.-~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_paths_are_rewritten_as_whole_words() {
        let pairs = [("/data/in", "/r/data/in"), ("/data", "/r/data")];
        let rewriting =
            Rewriting { pairs: pairs.map(|(path, target)| (path.to_owned(), target.as_bytes().to_vec())).to_vec() };
        for (text, expected) in [
            ("/data", "/r/data"),
            ("/data/x", "/r/data/x"),
            ("/data/in/x", "/r/data/in/x"),
            ("cat /data/a > '/data/b'", "cat /r/data/a > '/r/data/b'"),
            ("--out=/data", "--out=/r/data"),
            ("/bin:/data/bin:/x", "/bin:/r/data/bin:/x"),
            ("/database /data-2 /data.txt", "/database /data-2 /data.txt"),
            ("/my/data a/data http://h/data //data", "/my/data a/data http://h/data //data"),
            ("$RUNNER_LOCAL_ROOT/data ${RUNNER_LOCAL_ROOT}/data", "$RUNNER_LOCAL_ROOT/data ${RUNNER_LOCAL_ROOT}/data"),
            ("", ""),
        ] {
            assert_eq!(String::from_utf8(rewriting.apply(text.as_bytes())).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn paths_stay_inside() {
        assert_eq!(inside(Path::new("/../a/./../b")), Path::new("a/b"));
    }
}
