//! Waits with a name: for what should not take long, how long it may take, and what a user sets with `--wait`.
//!
//! Only numbers live here. Which wait runs is for [`crate::step::verdict`] to say; the clock is the caller's.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitKind {
    /// An answer of the cluster, since a call or all contact failed. 10 minutes.
    Api,
    /// A pod of the Job, since an event said that it could not be made; without such an event ten times as long, at
    /// least 60 seconds, since the Job's creation. 60 seconds.
    Pod,
    /// A node for the pod, since the scheduler said that there is none. 10 minutes.
    Schedule,
    /// The image, since its first pull error; also the making of a container that takes the runtime too long. 2 minutes.
    Pull,
    /// What the container is made of, since the node said that it cannot be made. 30 seconds.
    Config,
    /// A volume or the sandbox of the pod, since an event said that it did not come. 5 minutes.
    Mount,
    /// The other containers of the pod, since the program ended. 30 seconds.
    Sidecar,
    /// The Job's own word, since the program and its pod ended. 5 minutes, at least 5 seconds.
    Job,
    /// The end of a pod that is being deleted and past its own grace period. 5 minutes.
    Node,
    /// A byte on a stream. 5 minutes, at least 10 seconds.
    Silence,
    /// The end of the log, since the program ended. 10 seconds.
    Drain,
    /// The deletion of the Job, since it failed, or since the grace period of its pods passed. 60 seconds.
    Delete,
    /// The end of the pods after an ordinary end of the Job. 0: nobody waits for it.
    Cleanup,
}

impl WaitKind {
    /// All of them, in the order in which an attempt meets them.
    pub const ALL: [WaitKind; 13] = [
        WaitKind::Api,
        WaitKind::Pod,
        WaitKind::Schedule,
        WaitKind::Pull,
        WaitKind::Config,
        WaitKind::Mount,
        WaitKind::Sidecar,
        WaitKind::Job,
        WaitKind::Node,
        WaitKind::Silence,
        WaitKind::Drain,
        WaitKind::Delete,
        WaitKind::Cleanup,
    ];

    /// The word of `--wait` and of the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            WaitKind::Api => "api",
            WaitKind::Pod => "pod",
            WaitKind::Schedule => "schedule",
            WaitKind::Pull => "pull",
            WaitKind::Config => "config",
            WaitKind::Mount => "mount",
            WaitKind::Sidecar => "sidecar",
            WaitKind::Job => "job",
            WaitKind::Node => "node",
            WaitKind::Silence => "silence",
            WaitKind::Drain => "drain",
            WaitKind::Delete => "delete",
            WaitKind::Cleanup => "cleanup",
        }
    }

    /// The kind with this word.
    pub fn from_word(word: &str) -> Option<WaitKind> {
        WaitKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// How long it lasts when nobody said otherwise.
    pub fn default_limit(self) -> Duration {
        let seconds = match self {
            WaitKind::Api | WaitKind::Schedule => 10 * MINUTE,
            WaitKind::Mount | WaitKind::Job | WaitKind::Node | WaitKind::Silence => 5 * MINUTE,
            WaitKind::Pull => 2 * MINUTE,
            WaitKind::Pod | WaitKind::Delete => MINUTE,
            WaitKind::Config | WaitKind::Sidecar => 30,
            WaitKind::Drain => 10,
            WaitKind::Cleanup => 0,
        };
        Duration::from_secs(seconds)
    }

    /// The least that may be set.
    pub fn least(self) -> Duration {
        match self {
            // A controller needs a moment to see that a pod has ended.
            WaitKind::Job => Duration::from_secs(5),
            // The server is asked to end a watch 10 seconds earlier.
            WaitKind::Silence => Duration::from_secs(10),
            _ => Duration::ZERO,
        }
    }
}

impl fmt::Display for WaitKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// How long each wait may last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waits {
    /// Only what was set.
    limits: BTreeMap<WaitKind, Duration>,
}

/// Why a text of `--wait` is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// It has no `=`.
    #[error("`{text}` is not KIND=DURATION")]
    NotAPair {
        /// The whole text.
        text: String,
    },
    /// There is no such wait.
    #[error("`{word}` is not a wait; expected one of {}", all_words())]
    UnknownKind {
        /// What stands before `=`.
        word: String,
    },
    /// What stands behind `=` is no duration.
    #[error("wait `{kind}`: `{text}` is not a duration; expected `0`, or numbers with ms, s, m, h, as `1h30m`")]
    NotADuration {
        /// The wait.
        kind: WaitKind,
        /// What stands behind `=`.
        text: String,
    },
    /// It is shorter than what works.
    #[error("wait `{kind}`: `{text}` is too short; expected at least {}s", kind.least().as_secs())]
    TooShort {
        /// The wait.
        kind: WaitKind,
        /// What stands behind `=`.
        text: String,
    },
}

impl Waits {
    /// Takes a text of the form `KIND=DURATION`, as `pull=90s`; `0` is at once. A later text for the same kind wins.
    ///
    /// # Errors
    ///
    /// When the text is something else, or the duration is shorter than the least of its kind.
    pub fn set(&mut self, text: &str) -> Result<(), WaitError> {
        let Some((word, duration)) = text.split_once('=') else {
            return Err(WaitError::NotAPair { text: text.to_owned() });
        };
        let Some(kind) = WaitKind::from_word(word) else {
            return Err(WaitError::UnknownKind { word: word.to_owned() });
        };
        let Some(limit) = parse_duration(duration) else {
            return Err(WaitError::NotADuration { kind, text: duration.to_owned() });
        };
        if limit < kind.least() {
            return Err(WaitError::TooShort { kind, text: duration.to_owned() });
        }
        self.limits.insert(kind, limit);
        Ok(())
    }

    /// How long a wait of this kind may last; zero: it is over at once.
    pub fn get(&self, kind: WaitKind) -> Duration {
        self.limits.get(&kind).copied().unwrap_or_else(|| kind.default_limit())
    }
}

fn all_words() -> String {
    let words: Vec<String> = WaitKind::ALL.iter().map(|kind| format!("`{kind}`")).collect();
    words.join(", ")
}

/// `0`, or whole numbers with a unit, larger units first, each once: `90s`, `1h30m`, `500ms`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let units = [("h", HOUR * 1_000), ("m", MINUTE * 1_000), ("s", 1_000), ("ms", 1)];
    let mut units_left = units.iter();
    let mut rest = text;
    let mut milliseconds: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at_checked(rest.find(|character: char| !character.is_ascii_digit())?)?;
        let (unit, after) =
            after.split_at_checked(after.find(|character: char| character.is_ascii_digit()).unwrap_or(after.len()))?;
        let (_, factor) = units_left.find(|(name, _)| *name == unit)?;
        milliseconds = milliseconds.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<Duration, &str>) {
        let mut waits = Waits::default();
        let outcome = waits.set(text).map_err(|error| error.to_string());
        let kind = text.split_once('=').and_then(|(word, _)| WaitKind::from_word(word));
        let got = outcome.map(|()| kind.map(|kind| waits.get(kind)));
        assert_eq!(got, expected.map(Some).map_err(str::to_owned), "{text}");
    }

    #[test]
    fn durations_are_zero_or_numbers_with_units() {
        check("pull=0", Ok(Duration::ZERO));
        check("pull=90s", Ok(Duration::from_secs(90)));
        check("pull=500ms", Ok(Duration::from_millis(500)));
        check("schedule=1h30m", Ok(Duration::from_secs(5_400)));
        check("cleanup=1h2m3s4ms", Ok(Duration::from_millis(3_723_004)));
        for text in ["", "-", "5", "s", "1.5s", "-1s", "30m1h", "1s1s", "1d", " 1s", "1s ", "99999999999999999h", "0x"]
        {
            let message = format!(
                "wait `pull`: `{text}` is not a duration; expected `0`, or numbers with ms, s, m, h, as `1h30m`"
            );
            check(&format!("pull={text}"), Err(&message));
        }
    }

    #[test]
    fn a_limit_below_the_least_is_refused() {
        check("job=4999ms", Err("wait `job`: `4999ms` is too short; expected at least 5s"));
        check("job=5s", Ok(Duration::from_secs(5)));
        check("silence=0", Err("wait `silence`: `0` is too short; expected at least 10s"));
        check("silence=10s", Ok(Duration::from_secs(10)));
    }

    #[test]
    fn other_texts_name_what_was_expected() {
        check("pull", Err("`pull` is not KIND=DURATION"));
        let known = "`api`, `pod`, `schedule`, `pull`, `config`, `mount`, `sidecar`, `job`, `node`, `silence`, `drain`, \
                     `delete`, `cleanup`";
        check("pulls=1s", Err(&format!("`pulls` is not a wait; expected one of {known}")));
    }

    #[test]
    fn the_last_of_a_kind_wins_and_others_keep_their_default() {
        let mut waits = Waits::default();
        waits.set("job=10s").unwrap();
        waits.set("job=20s").unwrap();
        assert_eq!(waits.get(WaitKind::Job), Duration::from_secs(20));
        let defaults: Vec<u64> = WaitKind::ALL.iter().map(|kind| Waits::default().get(*kind).as_secs()).collect();
        assert_eq!(defaults, [600, 60, 600, 120, 30, 300, 30, 300, 300, 300, 10, 60, 0]);
    }
}
