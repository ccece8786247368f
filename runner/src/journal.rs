//! The folder of a run: its journal, its lock, its sources and its logs.
//!
//! The journal is what a run remembers when its process dies: one JSON object a line, on disk before what it announces is
//! done. It holds no log text and no secret. [`Journal`] writes it; [`History`] is what its lines mean to whoever takes
//! the run up again or looks at it.

mod entry;
mod folder;
mod history;
mod open;
mod recorded;
mod retention;
mod writer;

pub use entry::{Dated, Entry, LogPosition, StepEnded, VERSION};
pub use folder::{FolderError, Holder, RunFolder, runs, state_folder};
pub use history::{Begun, History, LogHistory, Phase, RecordedAttempt, RecordedJob, StepHistory};
pub use open::{OpenError, Opened};
pub use recorded::{RECORDED_VERSION, Recorded, RecordedOptions, RecordedPolicy, RecordedSource};
pub use retention::Retention;
pub use writer::Journal;

pub(crate) use folder::{ERROR_LOG, log_file, new_file};
