//! Reading small files that a workflow names: bounded, and only ordinary files, so that no read waits for a writer.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

/// A file that was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// Nothing is there.
    #[error("there is no such file")]
    Missing,
    /// It is a folder.
    #[error("it is a folder")]
    Folder,
    /// It is a pipe, a device or a socket.
    #[error("it is no ordinary file")]
    NoFile,
    /// It has more bytes than allowed.
    #[error("it is larger than {most} bytes")]
    TooLarge {
        /// How many are allowed.
        most: u64,
    },
    /// The system says no.
    #[error("{0}")]
    System(String),
}

/// The bytes of an ordinary file, at most `most`.
///
/// # Errors
/// When it is none, has more, or cannot be read. Only a file that is not there is [`Unread::Missing`]: a link that leads
/// nowhere is not.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, Unread> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(match path.symlink_metadata() {
                Ok(_) => Unread::System("it is a link that leads nowhere".to_owned()),
                Err(_) => Unread::Missing,
            });
        }
        Err(error) => return Err(Unread::System(words(&error))),
    };
    if found.is_dir() {
        return Err(Unread::Folder);
    }
    if !found.is_file() {
        return Err(Unread::NoFile);
    }
    let mut bytes = Vec::new();
    let mut file = File::open(path).map_err(|error| Unread::System(words(&error)))?.take(most.saturating_add(1));
    file.read_to_end(&mut bytes).map_err(|error| Unread::System(words(&error)))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= most) {
        Ok(bytes)
    } else {
        Err(Unread::TooLarge { most })
    }
}

/// What the system says, without Rust's `(os error 2)`.
pub(crate) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ordinary_files_of_bounded_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("four"), "1234").unwrap();
        std::os::unix::fs::symlink(path("four"), path("link")).unwrap();
        std::os::unix::fs::symlink(path("nowhere"), path("broken")).unwrap();
        assert_eq!(read(&path("four"), 4), Ok(b"1234".to_vec()));
        assert_eq!(read(&path("link"), 4), Ok(b"1234".to_vec()));
        assert_eq!(read(&path("four"), 3), Err(Unread::TooLarge { most: 3 }));
        assert_eq!(read(&path("nowhere"), 4), Err(Unread::Missing));
        assert_eq!(read(folder.path(), 4), Err(Unread::Folder));
        assert_eq!(read(Path::new("/dev/zero"), 4), Err(Unread::NoFile));
        for broken in ["broken", "four/inside"] {
            let error = read(&path(broken), 4).unwrap_err();
            assert!(matches!(&error, Unread::System(words) if !words.contains("os error")), "{error:?}");
        }
    }
}
