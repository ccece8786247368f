//! Asking conditions: of the run, of a step, of a repetition.
//!
//! A command is met when it ends with 0. A text is met when it is, or matches, what is expected; nothing is executed for it.
//! A condition that cannot be evaluated is an error and no answer.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use model::pattern::Pattern;
use model::workflow::{Condition, PATTERN_PREFIX};
use tokio::sync::{mpsc, watch};

use crate::host::{Chunk, Launch, Shell, Signal, StartError, Streams};
use crate::mask::Mask;
use crate::output::LastLines;
use crate::step::Stop;

/// What a command may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Pieces of output that wait to be read.
const WAITING: usize = 4;

/// What conditions are asked with.
pub struct Asking<'a> {
    /// The shell of commands.
    pub shell: &'a Shell,
    /// Positional parameters of commands.
    pub positional: &'a [String],
    /// The folder that commands run in.
    pub folder: &'a Path,
    /// Variables of commands, on top of the environment of this program.
    pub environment: &'a BTreeMap<String, String>,
    /// Hides secrets in what is told.
    pub mask: &'a Mask,
    /// Puts all variables into a text that is compared.
    pub text: &'a (dyn Fn(&str) -> String + Sync),
    /// Puts the variables into a command that its shell does not know: the names with a dot.
    pub command: &'a (dyn Fn(&str) -> String + Sync),
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// All are met.
    Met,
    /// This one, the first, is not.
    NotMet(Unmet),
}

/// A condition that is not met. Shown it says which and why, secrets hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// The condition as written.
    pub condition: String,
    /// Why, as `exit code 1`.
    pub why: String,
}

impl fmt::Display for Unmet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "condition `{}` not met: {}", self.condition, self.why)
    }
}

/// A condition that cannot be evaluated; secrets are hidden in its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("condition `{condition}` cannot be evaluated: {reason}")]
pub struct ConditionError {
    /// The condition as written.
    pub condition: String,
    /// Why.
    pub reason: String,
    /// What to do about it.
    pub help: Option<&'static str>,
    /// What its command printed last, at most 20 lines.
    pub last_lines: Vec<Bytes>,
}

/// How one condition stands, `negate` not looked at, and why.
struct Found {
    is_met: bool,
    why: String,
}

impl Asking<'_> {
    /// Asks in order, up to the first that is not met.
    ///
    /// # Errors
    /// When one cannot be evaluated: its shell or its folder is missing, it takes more than 60 s, a signal ends it, or the
    /// regular expression is none.
    ///
    /// # Cancellation
    /// The command that runs is killed, with its group.
    pub async fn ask(&self, conditions: &[Condition]) -> Result<Answer, ConditionError> {
        for condition in conditions {
            let found = match &condition.expected {
                None => self.run(&condition.condition, tokio::time::sleep(LIMIT)).await?,
                Some(expected) => self.compare(&condition.condition, expected)?,
            };
            if found.is_met == condition.negate {
                let why = self.mask.text(&found.why).into_owned();
                return Ok(Answer::NotMet(Unmet { condition: self.shown(&condition.condition), why }));
            }
        }
        Ok(Answer::Met)
    }

    /// A condition as written, in one line.
    fn shown(&self, condition: &str) -> String {
        let lines: Vec<&str> = condition.trim().lines().collect();
        let first = match lines.as_slice() {
            [line] => (*line).to_owned(),
            [line, ..] => format!("{line} …"),
            [] => String::new(),
        };
        self.mask.text(&first).into_owned()
    }

    fn failed(&self, condition: &str, reason: &str, help: Option<&'static str>, lines: LastLines) -> ConditionError {
        let reason = self.mask.text(reason).into_owned();
        ConditionError { condition: self.shown(condition), reason, help, last_lines: lines.finish() }
    }

    fn compare(&self, condition: &str, expected: &str) -> Result<Found, ConditionError> {
        let found = (self.text)(condition);
        // Whether it is a pattern is the file's to say, not a value's.
        let Some(pattern) = expected.strip_prefix(PATTERN_PREFIX) else {
            let expected = (self.text)(expected);
            return Ok(Found { is_met: found == expected, why: format!("it is `{found}`, expected `{expected}`") });
        };
        let pattern_text = (self.text)(pattern);
        let pattern = Pattern::new(&pattern_text).map_err(|reason| {
            let reason = format!("`{pattern_text}` is no regular expression: {reason}");
            self.failed(condition, &reason, None, LastLines::default())
        })?;
        let is_met = pattern.is_in(&found);
        Ok(Found { is_met, why: format!("it is `{found}`, expected a match of `{pattern_text}`") })
    }

    async fn run(&self, condition: &str, limit: impl Future<Output = ()>) -> Result<Found, ConditionError> {
        let launch = Launch {
            program: self.shell.text(&(self.command)(condition), self.positional),
            folder: self.folder.to_owned(),
            environment: self.environment.clone(),
            streams: Streams::Together,
        };
        let start_failed =
            |error: StartError| self.failed(condition, &error.to_string(), error.help(), LastLines::default());
        let process = launch.start().map_err(start_failed)?;
        let (chunks, mut printed) = mpsc::channel::<Chunk>(WAITING);
        let (stop, stopped) = watch::channel(Stop::No);
        let reading = async {
            let (mut lines, mut masked) = (LastLines::default(), self.mask.stream());
            while let Some(chunk) = printed.recv().await {
                lines.push(&masked.push(chunk.bytes));
            }
            lines.push(&masked.finish());
            lines
        };
        let limited = async {
            let mut end = std::pin::pin!(process.follow(chunks, stopped, Signal::KILL, Duration::ZERO));
            tokio::select! {
                end = &mut end => end,
                () = limit => {
                    // The end waits for it, and so hears of it.
                    let _ = stop.send(Stop::AtOnce);
                    end.await
                }
            }
        };
        let (end, lines) = tokio::join!(limited, reading);
        match end.exit_code {
            _ if end.stop != Stop::No => {
                let help = Some("a condition answers soon; what takes long is a step");
                Err(self.failed(condition, &format!("no answer within {} s", LIMIT.as_secs()), help, lines))
            }
            None => Err(self.failed(condition, "nobody knows how its command ended", None, lines)),
            Some(_) if end.signal.is_some() => {
                let signal = end.signal.unwrap_or_default();
                Err(self.failed(condition, &format!("signal {signal} ended its command"), None, lines))
            }
            Some(code) => Ok(Found { is_met: code == 0, why: format!("exit code {code}") }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static SHELL: LazyLock<Shell> = LazyLock::new(Shell::default);
    static MASK: LazyLock<Mask> = LazyLock::new(|| Mask::new(["hunter2"]).unwrap());
    static POSITIONAL: LazyLock<[String; 1]> = LazyLock::new(|| ["one".to_owned()]);
    static ENVIRONMENT: LazyLock<BTreeMap<String, String>> =
        LazyLock::new(|| BTreeMap::from([("A".to_owned(), "value".to_owned())]));

    /// `${A}` is `value`, `${S}` the secret `hunter2`, `${x.y}` is `dotted`, `$1` is `one`.
    fn asking() -> Asking<'static> {
        Asking {
            shell: &SHELL,
            positional: &*POSITIONAL,
            folder: Path::new("/"),
            environment: &ENVIRONMENT,
            mask: &MASK,
            text: &|text| text.replace("${A}", "value").replace("${S}", "hunter2"),
            command: &|text| text.replace("${x.y}", "dotted"),
        }
    }

    fn command(text: &str) -> Condition {
        Condition { condition: text.to_owned(), ..Condition::default() }
    }

    fn text(condition: &str, expected: &str) -> Condition {
        Condition { expected: Some(expected.to_owned()), ..command(condition) }
    }

    fn not(condition: Condition) -> Condition {
        Condition { negate: true, ..condition }
    }

    /// `met`, or in words why not.
    async fn words(conditions: &[Condition]) -> String {
        // A task of a runtime with several threads may do it.
        let asking = asking();
        let asked: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(asking.ask(conditions));
        match asked.await {
            Ok(Answer::Met) => "met".to_owned(),
            Ok(Answer::NotMet(unmet)) => unmet.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn a_command_is_met_when_it_ends_with_0() {
        for (condition, expected) in [
            (command("true"), "met"),
            (command("test $A = value && test ${x.y} = dotted && test $1 = one"), "met"),
            (command("exit 3"), "condition `exit 3` not met: exit code 3"),
            (command("no-such-program-here"), "condition `no-such-program-here` not met: exit code 127"),
            (not(command("exit 3")), "met"),
            (not(command("true")), "condition `true` not met: exit code 0"),
            (command("\ntrue\nfalse\n"), "condition `true …` not met: exit code 1"),
        ] {
            assert_eq!(words(std::slice::from_ref(&condition)).await, expected, "{condition:?}");
        }
    }

    #[tokio::test]
    async fn a_text_is_compared_and_not_executed() {
        for (condition, expected) in [
            (text("${A}", "value"), "met"),
            (text("a-${A}", "a-${A}"), "met"),
            (text("${A}", "other"), "condition `${A}` not met: it is `value`, expected `other`"),
            (text("${A}", "re:^v.l"), "met"),
            (text("${A}", "re:^${A}$"), "met"),
            (text("${A}", "re:^x"), "condition `${A}` not met: it is `value`, expected a match of `^x`"),
            (text("`echo value`", "value"), "condition ``echo value`` not met: it is ``echo value``, expected `value`"),
            (not(text("${A}", "other")), "met"),
            (not(text("${A}", "value")), "condition `${A}` not met: it is `value`, expected `value`"),
            (text("${S}", "other"), "condition `${S}` not met: it is `*******`, expected `other`"),
        ] {
            assert_eq!(words(std::slice::from_ref(&condition)).await, expected, "{condition:?}");
        }
    }

    #[tokio::test]
    async fn all_must_be_met_and_the_first_that_is_not_decides() {
        assert_eq!(words(&[]).await, "met");
        assert_eq!(words(&[command("true"), text("a", "a")]).await, "met");
        let folder = tempfile::tempdir().unwrap();
        let trace = folder.path().join("asked");
        let asks = command(&format!("echo >> '{}'", trace.display()));
        let found = words(&[asks.clone(), command("exit 2"), asks, text("a", "re:(")]).await;
        assert_eq!(found, "condition `exit 2` not met: exit code 2");
        assert_eq!(std::fs::read_to_string(&trace).unwrap(), "\n");
    }

    #[tokio::test]
    async fn what_cannot_be_evaluated_is_no_answer() {
        let error = asking().ask(&[not(text("${A}", "re:("))]).await.unwrap_err();
        let expected = "condition `${A}` cannot be evaluated: `(` is no regular expression: ";
        assert!(error.to_string().starts_with(expected), "{error}");

        let error = asking().ask(&[not(command("echo first; echo hunter2; kill -KILL $$"))]).await.unwrap_err();
        assert_eq!(error.reason, "signal 9 ended its command");
        assert_eq!(error.last_lines, ["first", "*******"]);
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_is_killed_and_no_answer() {
        let folder = tempfile::tempdir().unwrap();
        let asking = Asking { folder: folder.path(), ..asking() };
        let waits = async {
            while !folder.path().join("waits").exists() {
                tokio::task::yield_now().await;
            }
        };
        let ran = asking.run("echo waiting; touch waits; sleep 600", waits);
        let ran = tokio::time::timeout(Duration::from_secs(30), ran).await.expect("it is not killed");
        let error = ran.err().unwrap();
        assert_eq!(error.reason, "no answer within 60 s");
        assert_eq!(error.last_lines, ["waiting"]);
    }

    #[tokio::test]
    async fn a_shell_that_is_missing_is_no_answer() {
        let workflow = model::workflow::Workflow {
            shell: vec!["no-such-shell".to_owned()],
            ..model::workflow::Workflow::default()
        };
        let asking = Asking { shell: &Shell::of(None, &workflow), ..asking() };
        let error = asking.ask(&[command("true")]).await.unwrap_err();
        let expected = "condition `true` cannot be evaluated: `no-such-shell` cannot be started: there is no such program in `PATH`";
        assert_eq!((error.to_string().as_str(), error.help.is_some()), (expected, true));
    }
}
