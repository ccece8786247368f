//! Compiled components on disk, so that a start costs microseconds instead of compiling.
//!
//! Machine code that is loaded is trusted like our own, so only what this user has written is: the folder is ours and
//! closed to others, else the cache is not used; an entry carries a SHA-256 of its key and content, else it is made
//! anew. Entries that nothing has read for a month go when a new one is written.

use std::fs::{self, DirBuilder, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::file::Sha256Digest;

/// Why compiled components are not kept: the run goes on, compiling takes its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheWarning {
    /// What is wrong with the folder or an entry.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// The folder, when it may be used.
pub(super) struct Cache {
    folder: Option<Folder>,
    engine: Sha256Digest,
    warning: OnceLock<CacheWarning>,
}

struct Folder {
    path: PathBuf,
    /// User id of everything we write there, and so of everything we believe.
    owner: u32,
}

impl Cache {
    /// Opens the folder, makes it when it does not exist, and checks that it is closed to others.
    pub(super) fn open(path: Option<&Path>, engine: &Engine) -> Cache {
        let warning = OnceLock::new();
        let folder = path.and_then(|path| match Folder::open(path) {
            Ok(folder) => Some(folder),
            Err(reason) => {
                let message = format!("compiled components are not kept: `{}` {reason}", path.display());
                let help = "make it a folder of your own with mode 0700".to_owned();
                let _ = warning.set(CacheWarning { message, help });
                None
            }
        });
        let mut hasher = Sha256Hasher(Sha256::new());
        // Version of the engine, processor features and all settings that change the code.
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Cache { folder, engine: Sha256Digest(hasher.0.finalize().into()), warning }
    }

    /// The first thing that was wrong.
    pub(super) fn warning(&self) -> Option<&CacheWarning> {
        self.warning.get()
    }

    /// The code of a component, when there is a sound entry.
    pub(super) fn load(&self, engine: &Engine, component: Sha256Digest) -> Option<Component> {
        let folder = self.folder.as_ref()?;
        let key = self.key(component);
        let path = folder.entry(&key);
        let content = match folder.read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                self.warn(&path, "cannot be read", &error.to_string());
                return None;
            }
        };
        let Some(code) = unsealed(&key, &content) else {
            self.warn(&path, "is damaged", "it is made anew");
            return None;
        };
        // SAFETY: `code` must be what `Component::serialize` gave, unchanged. The entry is a file of this user, closed
        // to others, in a folder of this user, closed to others, and carries the SHA-256 of its key and code; only
        // `store` writes such files, and the key covers the engine's version and settings.
        #[expect(unsafe_code, reason = "the only way to load compiled code; our own bytes, checked above")]
        let component = unsafe { Component::deserialize(engine, code) };
        match component {
            Ok(component) => Some(component),
            Err(error) => {
                self.warn(&path, "is not accepted by the engine", &error.to_string());
                None
            }
        }
    }

    /// Keeps the code of a component. A reader sees a whole entry or none.
    pub(super) fn store(&self, component: Sha256Digest, code: &Component) {
        let Some(folder) = &self.folder else { return };
        let Ok(code) = code.serialize() else { return };
        let key = self.key(component);
        let path = folder.entry(&key);
        match folder.write(&path, &sealed(&key, &code)) {
            Ok(()) => folder.remove_unused(),
            Err(error) => self.warn(&path, "cannot be written", &error.to_string()),
        }
    }

    fn key(&self, component: Sha256Digest) -> Sha256Digest {
        let digest = Sha256::new().chain_update(self.engine.0).chain_update(component.0).finalize();
        Sha256Digest(digest.into())
    }

    /// Keeps the first warning: a bad folder would say the same for each component.
    fn warn(&self, path: &Path, what: &str, detail: &str) {
        let _ = self.warning.set(CacheWarning {
            message: format!("compiled component `{}` {what}: {detail}", path.display()),
            help: "nothing depends on it: the folder may be removed at any time".to_owned(),
        });
    }
}

/// Nothing reads an entry of another engine version ever again.
const UNUSED_AFTER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

const EXTENSION: &str = "component";

impl Folder {
    fn open(path: &Path) -> Result<Folder, String> {
        let make = || {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            DirBuilder::new().mode(0o700).create(path)
        };
        match make() {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("cannot be made: {error}")),
        }
        let metadata = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
        if !metadata.is_dir() {
            return Err("is not a folder".to_owned());
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err("is open to other users".to_owned());
        }
        // The standard library does not say who we are; a file of ours does, and shows that we may write.
        let owner = tempfile::tempfile_in(path)
            .and_then(|probe| probe.metadata())
            .map_err(|error| format!("cannot be written: {error}"))?
            .uid();
        if metadata.uid() != owner {
            return Err("belongs to another user".to_owned());
        }
        Ok(Folder { path: path.to_owned(), owner })
    }

    fn entry(&self, key: &Sha256Digest) -> PathBuf {
        self.path.join(format!("{key}.{EXTENSION}"))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        let closed = metadata.permissions().mode() & 0o077 == 0;
        if !metadata.is_file() || metadata.uid() != self.owner || !closed {
            return Err(io::Error::other("it is not a file that only this user can change"));
        }
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        // Says when it was last of use. Not worth a warning: at worst it is made anew in a month.
        let _ = file.set_modified(SystemTime::now());
        Ok(content)
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        // Such a file has mode 0600 from the start.
        let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
        file.write_all(content)?;
        file.persist(path)?;
        Ok(())
    }

    fn remove_unused(&self) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        for entry in entries.flatten() {
            let unused = entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|used| used.elapsed().is_ok_and(|age| age > UNUSED_AFTER));
            if unused && entry.path().extension().is_some_and(|extension| extension == EXTENSION) {
                // Another process may have removed it, or will.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Version of the layout of an entry: this, the SHA-256 of key and code, the code.
const MAGIC: &[u8; 16] = b"runner component";

fn sealed(key: &Sha256Digest, code: &[u8]) -> Vec<u8> {
    [MAGIC.as_slice(), &seal(key, code), code].concat()
}

fn unsealed<'a>(key: &Sha256Digest, content: &'a [u8]) -> Option<&'a [u8]> {
    let rest = content.strip_prefix(MAGIC)?;
    let (found, code) = rest.split_first_chunk::<32>()?;
    (*found == seal(key, code)).then_some(code)
}

fn seal(key: &Sha256Digest, code: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(key.0).chain_update(code).finalize().into()
}

/// Gives a digest where the engine offers only a hash of the standard library.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_bit_is_seen() {
        let key = Sha256Digest([7; 32]);
        let entry = sealed(&key, b"code");
        assert_eq!(unsealed(&key, &entry), Some(b"code".as_slice()));
        assert_eq!(unsealed(&Sha256Digest([8; 32]), &entry), None, "an entry under another name");
        for position in 0..entry.len() * 8 {
            let mut damaged = entry.clone();
            damaged[position / 8] ^= 1 << (position % 8);
            assert_eq!(unsealed(&key, &damaged), None, "bit {position}");
        }
        for length in 0..entry.len() {
            assert_eq!(unsealed(&key, &entry[..length]), None, "{length} bytes");
        }
    }
}
