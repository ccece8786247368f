//! The kubelet's own words in place of a log.

/// How lines of the kubelet itself begin that say that the log cannot be read.
const UNAVAILABLE: [&[u8]; 4] = [
    b"unable to retrieve container logs for",
    b"failed to try resolving symlinks",
    b"failed to open log file",
    b"failed to create fsnotify watcher",
];

/// Whether a line without a stamp, or what there is of it, says that the log cannot be read.
pub(super) fn is_unavailable(line: &[u8]) -> bool {
    UNAVAILABLE.iter().any(|beginning| line.starts_with(beginning) || beginning.starts_with(line))
}
