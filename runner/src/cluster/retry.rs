//! What an unsuccessful request means, and how long to wait before the next one.
//!
//! The client library has a retry layer of its own; it is switched off, because it repeats a POST blindly.

use std::collections::hash_map::RandomState;
use std::error::Error as _;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

/// Any answer to a request that is not a stream comes within this time: servers end one after a minute at the latest.
pub(super) const ANSWER: Duration = Duration::from_secs(60);
/// Bytes of what a server says: enough for its words, too few for a page.
const LONGEST_WORDS: usize = 4096;

/// Why a request was not carried out, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Failure {
    /// What it means.
    pub kind: Kind,
    /// What the server said, word for word; or why there is no answer.
    pub words: String,
}

/// What an unsuccessful request means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 401: the credentials are not (or no longer) accepted.
    Unauthorized,
    /// 403: a right is missing, or an admission plugin said no.
    Forbidden,
    /// 404.
    NotFound,
    /// 409.
    Conflict,
    /// 410: the version is no longer known.
    Gone,
    /// 413, or the words of its store: there is too much of it.
    TooLarge,
    /// Another answer that will be the same next time.
    Refused,
    /// No answer, one that cannot be read, 429 or 5xx: next time may be different. The server may have named a time.
    Unavailable {
        /// How long the server asks to wait.
        after: Option<Duration>,
    },
}

impl Failure {
    /// Something that may be different next time.
    pub(super) fn unavailable(words: impl Into<String>) -> Failure {
        Failure { kind: Kind::Unavailable { after: None }, words: words.into() }
    }

    /// How long to wait before asking again: as long as the server asks for, else the next of the back-off.
    pub(crate) fn wait(&self, backoff: &mut Backoff) -> Duration {
        match self.kind {
            Kind::Unavailable { after: Some(after) } => after,
            _ => backoff.wait(),
        }
    }

    /// Whether asking again may help.
    pub fn may_pass(&self) -> bool {
        matches!(self.kind, Kind::Unavailable { .. })
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Failure {
        match error {
            kube::Error::Api(status) => of_status(&status, None),
            other => Failure::unavailable(credentials(&other).unwrap_or_else(|| words(&other))),
        }
    }
}

/// The answer to a request, if it comes in time.
pub(super) async fn answered<T>(
    limit: Duration,
    request: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, request).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::unavailable(format!("no answer for {} s", limit.as_secs()))),
    }
}

/// What went wrong with the credentials, if that is it. The library's own words hold what a plugin printed, its command
/// line and its environment: all of them secret.
fn credentials(error: &kube::Error) -> Option<String> {
    use kube::client::AuthError as E;
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<E>() {
            return Some(match error {
                E::AuthExecStart(error) => format!("the credential plugin cannot be started: {error}"),
                E::AuthExecRun { out, .. } => {
                    let said = String::from_utf8_lossy(&out.stderr);
                    let said = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
                    format!("the credential plugin failed ({}): {}", out.status, cut(said))
                }
                E::AuthExecParse(_) | E::ExecPluginFailed | E::MalformedTokenExpirationDate(_) => {
                    "the credential plugin does not answer with credentials".to_owned()
                }
                E::MissingCommand => "the kubeconfig names a credential plugin without `command`".to_owned(),
                E::ReadTokenFile(error, path) => format!("the token file `{}`: {error}", path.display()),
                E::NoValidNativeRootCA(_) => "this machine has no certificates to trust".to_owned(),
                _ => "the credentials cannot be used".to_owned(),
            });
        }
        cause = error.source();
    }
    None
}

/// A text from outside, not longer than what is worth reading.
fn cut(text: &str) -> String {
    match text.get(..text.floor_char_boundary(LONGEST_WORDS)) {
        Some(beginning) if beginning.len() < text.len() => format!("{beginning} …"),
        _ => text.to_owned(),
    }
}

/// What a Status says. `after`: how long the server asked to wait in another place.
pub(super) fn of_status(status: &kube::core::Status, after: Option<Duration>) -> Failure {
    let seconds = status.details.as_ref().map(|details| details.retry_after_seconds).filter(|seconds| *seconds > 0);
    let after = after.or_else(|| seconds.map(|seconds| Duration::from_secs(u64::from(seconds))));
    let said = status.message.trim();
    let words = match (said, status.reason.as_str()) {
        ("", "") => format!("answer {} without words", status.code),
        ("", reason) => format!("answer {} ({reason})", status.code),
        // A proxy may answer with a whole page.
        (said, _) => cut(said),
    };
    of_code(status.code, after, words)
}

/// What a code means that is no success.
pub(super) fn of_code(code: u16, after: Option<Duration>, mut words: String) -> Failure {
    let kind = match code {
        413 => Kind::TooLarge,
        // The server passes on what its store says, as an error of its own.
        500 if words.contains("etcdserver: request is too large") => Kind::TooLarge,
        401 => Kind::Unauthorized,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        409 => Kind::Conflict,
        410 => Kind::Gone,
        // A server that is overloaded, restarting, or behind a proxy; also `failed calling webhook`, which is a 500.
        429 | 500..=599 | 0..=399 => {
            if let Some(after) = after {
                words.push_str(&format!(" (the API server asks to wait {} s)", after.as_secs()));
            }
            Kind::Unavailable { after }
        }
        _ => Kind::Refused,
    };
    Failure { kind, words }
}

/// An error of the client library without the names of its types: the causes say what happened.
fn words(error: &kube::Error) -> String {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    match causes.as_slice() {
        [] => error.to_string(),
        // The outer ones repeat the inner ones, or say no more than `client error`.
        [.., last] if causes.iter().any(|cause| cause.contains("onnect")) => format!("no connection: {last}"),
        [.., last] => last.clone(),
    }
}

/// Waits that double from `first` to `longest`, each shortened by up to a fifth so that many do not come at once.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    next: Duration,
    first: Duration,
    longest: Duration,
    by_chance: bool,
}

impl Backoff {
    /// Of watches and requests.
    pub(crate) fn of_requests() -> Backoff {
        Backoff::new(Duration::from_millis(500), Duration::from_secs(30))
    }

    /// Of log streams.
    pub(crate) fn of_logs() -> Backoff {
        Backoff::new(Duration::from_millis(200), Duration::from_secs(10))
    }

    fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { next: first, first, longest, by_chance: true }
    }

    /// None is shortened.
    pub(super) fn without_chance(self) -> Backoff {
        Backoff { by_chance: false, ..self }
    }

    /// The next wait.
    pub(crate) fn wait(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.longest);
        if !self.by_chance {
            return whole;
        }
        let chance = RandomState::new().build_hasher().finish() % 1000;
        whole.mul_f64(1.0 - chance as f64 / 5000.0)
    }

    /// It worked: the next wait is the first again.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use kube::client::AuthError;

    use super::*;

    #[test]
    fn a_failed_credential_plugin_is_told_without_what_it_printed() {
        let out = std::process::Output {
            status: std::process::ExitStatus::from_raw(3 << 8),
            stdout: b"hunter2".to_vec(),
            stderr: b"please log in\n\n".to_vec(),
        };
        let run = || AuthError::AuthExecRun { cmd: "TOKEN=hunter2 plugin".to_owned(), out: Box::new(out.clone()) };
        for error in [kube::Error::Auth(run()), kube::Error::Service(Box::new(run()))] {
            let words = Failure::from(error).words;
            assert_eq!(words, "the credential plugin failed (exit status: 3): please log in");
        }
    }

    #[test]
    fn a_page_in_place_of_an_answer_is_cut() {
        let page = format!("<!doctype html>{}", "é".repeat(10_000));
        let failure = of_status(&kube::core::Status::failure(&page, "").with_code(502), None);
        assert!(failure.words.len() < 5_000 && failure.words.ends_with('…'), "{}", failure.words.len());
    }

    #[test]
    fn an_answer_is_final_or_may_pass() {
        for (code, may_pass) in
            [(400, false), (401, false), (403, false), (404, false), (409, false), (410, false), (413, false)]
                .into_iter()
                .chain([(422, false), (429, true), (500, true), (502, true), (503, true), (504, true), (200, true)])
        {
            let failure = of_status(&kube::core::Status::failure("no", "Because").with_code(code), None);
            assert_eq!(failure.may_pass(), may_pass, "{code}");
            assert_eq!(failure.words, "no");
        }
        assert_eq!(
            of_status(&kube::core::Status::failure("", "").with_code(500), None).words,
            "answer 500 without words"
        );
    }

    #[test]
    fn waits_grow_to_a_longest_one_and_begin_anew() {
        let mut backoff = Backoff::of_requests();
        let waits: Vec<Duration> = (0..10).map(|_| backoff.wait()).collect();
        for (wait, whole) in waits.iter().zip([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]) {
            assert!((whole * 0.8..=whole).contains(&wait.as_secs_f64()), "{wait:?} of {whole}");
        }
        backoff.reset();
        assert!(backoff.wait() <= Duration::from_millis(500));
    }
}
