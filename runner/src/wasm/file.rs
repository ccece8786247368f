//! The bytes of a component: read once, judged by their first bytes, identified by their SHA-256.
//!
//! Nothing is compiled here, so that a wrong file or digest costs nothing.

use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::load_error::LoadError;

/// The largest component file that is read. A Python policy has 18 MB.
pub const MAX_FILE_BYTES: u64 = 32 << 20;

/// The bytes of a component, read once: the bytes that are hashed are the bytes that run.
#[derive(Clone)]
pub struct ComponentFile {
    name: String,
    bytes: Cow<'static, [u8]>,
    sha256: Sha256Digest,
}

impl ComponentFile {
    /// Reads a file, up to [`MAX_FILE_BYTES`].
    ///
    /// # Errors
    /// When it is missing, unreadable, a folder, empty, too large or plainly no component.
    pub fn read(path: &Path) -> Result<ComponentFile, LoadError> {
        let name = path.display().to_string();
        match read_bounded(path) {
            Ok(bytes) => ComponentFile::from_bytes(name, bytes),
            Err(source) => Err(match source.kind() {
                io::ErrorKind::NotFound => LoadError::Missing { file: name },
                io::ErrorKind::IsADirectory => LoadError::Folder { file: name },
                _ => LoadError::Unreadable { file: name, source },
            }),
        }
    }

    /// Takes bytes that are already in memory; `name` stands for them in messages.
    ///
    /// # Errors
    /// When they are empty, too large or plainly no component.
    pub fn from_bytes(
        name: impl Into<String>,
        bytes: impl Into<Cow<'static, [u8]>>,
    ) -> Result<ComponentFile, LoadError> {
        let (file, bytes) = (name.into(), bytes.into());
        if bytes.is_empty() {
            return Err(LoadError::Empty { file });
        }
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(LoadError::TooLarge { file });
        }
        match bytes.get(..8) {
            Some(b"\0asm\x0d\0\x01\0") => {
                let sha256 = Sha256Digest(Sha256::digest(&bytes).into());
                Ok(ComponentFile { name: file, bytes, sha256 })
            }
            Some(b"\0asm\x01\0\0\0") => Err(LoadError::CoreModule { file }),
            None if bytes.starts_with(b"\0asm") => {
                Err(LoadError::Truncated { file, reason: "unexpected end of the header".to_owned() })
            }
            Some([b'\0', b'a', b's', b'm', ..]) => {
                Err(LoadError::Invalid { file, reason: "another version of the binary format".to_owned() })
            }
            _ => Err(LoadError::NotWasm { begin: begin(&bytes), file }),
        }
    }

    /// The name in messages: the path as given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// SHA-256 of the bytes.
    pub fn sha256(&self) -> Sha256Digest {
        self.sha256
    }

    /// Checks the digest that a policy set demands, before anything is compiled.
    ///
    /// # Errors
    /// [`LoadError::Digest`] with both digests.
    pub fn expect_sha256(&self, expected: Sha256Digest) -> Result<(), LoadError> {
        if self.sha256 == expected {
            return Ok(());
        }
        Err(LoadError::Digest { file: self.name.clone(), expected, found: self.sha256 })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads no more than one byte beyond the limit, whatever the file claims to be: it may grow, or be a device.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a folder succeeds; reading it fails with words of the system.
    if fs::metadata(path)?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The first words of something that is no component, for a message.
fn begin(bytes: &[u8]) -> String {
    let begin = bytes.get(..24).unwrap_or(bytes);
    String::from_utf8_lossy(begin).lines().next().unwrap_or_default().escape_debug().to_string()
}

/// A SHA-256, shown and read as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256Digest(pub(super) [u8; 32]);

impl fmt::Display for Sha256Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sha256 has 64 hexadecimal digits")]
pub struct Sha256ParseError;

impl FromStr for Sha256Digest {
    type Err = Sha256ParseError;

    fn from_str(text: &str) -> Result<Sha256Digest, Sha256ParseError> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut digest = [0; 32];
        if pairs.len() != digest.len() || !rest.is_empty() {
            return Err(Sha256ParseError);
        }
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            *byte = hexadecimal(*high)? << 4 | hexadecimal(*low)?;
        }
        Ok(Sha256Digest(digest))
    }
}

fn hexadecimal(digit: u8) -> Result<u8, Sha256ParseError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(Sha256ParseError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_what_it_shows() {
        let text = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        assert_eq!(text.parse::<Sha256Digest>().unwrap().to_string(), text);
        assert_eq!(text.to_uppercase().parse::<Sha256Digest>().unwrap().to_string(), text);
        for wrong in ["", "2c", &text[1..], &format!("{text}00"), &text.replace('c', "g")] {
            assert_eq!(wrong.parse::<Sha256Digest>(), Err(Sha256ParseError), "{wrong}");
        }
    }
}
