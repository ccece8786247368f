//! `runner man`: the manual pages, for reading and for packages.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::{Page, man_pages};
use crate::report::{ExitCode, Failed, Streams};

/// A page that is not where it should be.
#[derive(Debug, thiserror::Error)]
enum ManError {
    /// The pages could not be made.
    #[error("the manual cannot be made")]
    Make(#[source] io::Error),
    /// A folder or file could not be written.
    #[error("`{}` cannot be written", .path.display())]
    Write {
        /// What could not be written.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

pub(super) fn run(folder: Option<&Path>, streams: Streams) -> ExitCode {
    let pages = man_pages().map_err(ManError::Make);
    let done = pages.and_then(|pages| match folder {
        Some(folder) => write(&pages, folder).map(|()| ExitCode::Success),
        None => Ok(pages.first().map_or(ExitCode::Success, |page| streams.data(&String::from_utf8_lossy(&page.text)))),
    });
    done.unwrap_or_else(|error| {
        streams.error(&Failed::new(&error, None));
        ExitCode::Invalid
    })
}

fn write(pages: &[Page], folder: &Path) -> Result<(), ManError> {
    fs::create_dir_all(folder).map_err(|source| ManError::Write { path: folder.to_owned(), source })?;
    for page in pages {
        let path = folder.join(&page.file);
        fs::write(&path, &page.text).map_err(|source| ManError::Write { path, source })?;
    }
    Ok(())
}
