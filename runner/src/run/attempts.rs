//! What comes after an attempt: another one, and when, or the end of the step.
//!
//! Pure: no clock, no task. Whoever drives the step tells how each attempt ended, asks the conditions that are named here,
//! and waits as long as is said. A retry repairs a failure; a repetition is another execution, with retries of its own.

use std::time::Duration;

use model::workflow::{Condition, Count, Repeat, RepeatPolicy, RetryPolicy, Step};

use crate::outcome::{Outcome, Reason, StepStatus};

/// The attempts of one step: what its policies say, with every number known, and how many there were.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempts {
    retry: Option<Retry>,
    repetition: Option<Repetition>,
    /// Retries of this execution.
    retries: u64,
    /// Executions so far, the one in progress included.
    executions: u64,
}

#[derive(Debug, Clone, PartialEq)]
struct Retry {
    limit: u64,
    codes: Option<Vec<u8>>,
    interval: Interval,
}

#[derive(Debug, Clone, PartialEq)]
struct Repetition {
    repeat: Repeat,
    decides: Decider,
    limit: Option<u64>,
    interval: Interval,
}

#[derive(Debug, Clone, PartialEq)]
enum Decider {
    Condition(Condition),
    Codes(Vec<u8>),
    Success,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Nothing: the last attempt decides.
    End,
    /// Another attempt of the same execution, after this time.
    Retry(Duration),
    /// Another execution, after this time.
    Repeat(Duration),
    /// A condition decides: tell [`Attempts::answer`].
    Ask(Condition),
}

/// A number of a policy is text whose variable gave something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` must be a whole number from 0, `{written}` gives `{found}`")]
pub struct CountError {
    /// The key, as `retry_policy.limit`.
    pub key: &'static str,
    /// Its text, as written.
    pub written: String,
    /// What came of it.
    pub found: String,
}

impl Attempts {
    /// The policies of a step; `resolve` puts variables into the text of a number.
    ///
    /// # Errors
    /// A number that is none.
    pub fn of(step: &Step, resolve: impl Fn(&str) -> String) -> Result<Attempts, CountError> {
        let number = |key, count: &Count| match count {
            Count::Number(number) => Ok(*number),
            Count::Text(written) => {
                let found = resolve(written);
                found.trim().parse().map_err(|_| CountError { key, written: written.clone(), found })
            }
        };
        let retry = |policy: &RetryPolicy| {
            let longest = policy.max_interval_sec.as_ref();
            Ok(Retry {
                limit: number("retry_policy.limit", &policy.limit)?,
                codes: policy.exit_code.clone(),
                interval: Interval {
                    first: number("retry_policy.interval_sec", &policy.interval_sec)?,
                    factor: policy.backoff.unwrap_or(1.0),
                    longest: longest.map(|count| number("retry_policy.max_interval_sec", count)).transpose()?,
                },
            })
        };
        let repetition = |policy: &RepeatPolicy| {
            let Some(repeat) = policy.repeat else { return Ok(None) };
            let (first, longest) = (policy.interval_sec.as_ref(), policy.max_interval_sec.as_ref());
            let limit = policy.limit.as_ref().map(|count| number("repeat_policy.limit", count)).transpose()?;
            Ok(Some(Repetition {
                repeat,
                decides: match (&policy.condition, &policy.exit_code) {
                    (Some(condition), _) => Decider::Condition(condition.clone()),
                    (None, Some(codes)) => Decider::Codes(codes.clone()),
                    (None, None) => Decider::Success,
                },
                limit: limit.filter(|limit| *limit > 0),
                interval: Interval {
                    first: first.map_or(Ok(0), |count| number("repeat_policy.interval_sec", count))?,
                    factor: policy.backoff.unwrap_or(1.0),
                    longest: longest.map(|count| number("repeat_policy.max_interval_sec", count)).transpose()?,
                },
            }))
        };
        Ok(Attempts {
            retry: step.retry_policy.as_ref().map(retry).transpose()?,
            repetition: step.repeat_policy.as_ref().map(repetition).transpose()?.flatten(),
            retries: 0,
            executions: 1,
        })
    }

    /// An attempt has ended.
    pub fn after(&mut self, outcome: &Outcome) -> Next {
        if is_final(outcome) {
            return Next::End;
        }
        if let Some(wait) = self.retry_after(outcome) {
            return wait;
        }
        let Some(repetition) = &self.repetition else { return Next::End };
        if repetition.limit.is_some_and(|limit| self.executions >= limit) {
            return Next::End;
        }
        let met = match &repetition.decides {
            Decider::Condition(condition) => return Next::Ask(condition.clone()),
            Decider::Codes(codes) => holds(codes, outcome),
            Decider::Success => outcome.status() == StepStatus::Succeeded,
        };
        self.answer(met)
    }

    /// The condition that [`Attempts::after`] named was met, or not.
    pub fn answer(&mut self, met: bool) -> Next {
        let Some(Repetition { repeat, interval, .. }) = &self.repetition else { return Next::End };
        if met != (*repeat == Repeat::While) {
            return Next::End;
        }
        let wait = interval.after(self.executions - 1);
        self.executions += 1;
        self.retries = 0;
        Next::Repeat(wait)
    }

    /// Another execution has followed, in an earlier process, when a condition was asked: its answer said so.
    pub fn went_on(&mut self) {
        let met = self.repetition.as_ref().is_some_and(|repetition| repetition.repeat == Repeat::While);
        drop(self.answer(met));
    }

    fn retry_after(&mut self, outcome: &Outcome) -> Option<Next> {
        let retry = self.retry.as_ref()?;
        let applies = retry.codes.as_ref().is_none_or(|codes| holds(codes, outcome));
        let may_be_retried = outcome.status() == StepStatus::Failed && outcome.reason() != Some(Reason::Timeout);
        if !applies || !may_be_retried || self.retries >= retry.limit {
            return None;
        }
        let wait = retry.interval.after(self.retries);
        self.retries += 1;
        Some(Next::Retry(wait))
    }
}

/// Whether neither a retry nor a repetition comes after it: another attempt would be stopped or refused again.
fn is_final(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Cancelled { .. } => true,
        Outcome::Failed { reason, .. } => matches!(reason, Reason::Denied | Reason::Invalid | Reason::Condition),
        Outcome::Succeeded | Outcome::TimedOut | Outcome::Lost => false,
    }
}

/// A code that there is not matches nothing, also not 0.
fn holds(codes: &[u8], outcome: &Outcome) -> bool {
    outcome.exit_code().is_some_and(|code| codes.iter().any(|listed| i32::from(*listed) == code))
}

/// Waits that grow.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Interval {
    /// Seconds before the first.
    first: u64,
    factor: f64,
    /// The most, in seconds.
    longest: Option<u64>,
}

impl Interval {
    /// A wait that may as well be for ever; more would overflow clocks.
    const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

    /// The wait after `number` others.
    fn after(&self, number: u64) -> Duration {
        let longest = self.longest.map_or(Self::LONGEST, Duration::from_secs).min(Self::LONGEST);
        let growth = self.factor.powi(i32::try_from(number).unwrap_or(i32::MAX));
        // Zero times infinity is no number.
        let seconds = if self.first == 0 { 0.0 } else { self.first as f64 * growth };
        Duration::try_from_secs_f64(seconds).unwrap_or(longest).min(longest)
    }
}

#[cfg(test)]
mod tests {
    use model::layer::Position;
    use model::workflow::StepKind;
    use serde_json::{Value, json};

    use super::*;

    fn attempts(retry: Value, repeat: Value) -> Attempts {
        let position = Position { source: 0, line: 1, column: 1, offset: 0, length: 0 };
        let mut step = Step::new("a", StepKind::Kubernetes, "steps[0]", position);
        step.retry_policy = serde_json::from_value(retry).unwrap();
        step.repeat_policy = serde_json::from_value(repeat).unwrap();
        Attempts::of(&step, |text| text.replace("${N}", "2")).unwrap()
    }

    fn failed(code: i32) -> Outcome {
        Outcome::failed(Some(code), Reason::Exit)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_failure_is_retried_with_growing_waits_up_to_the_limit() {
        let retry = json!({"limit": "${N}", "interval_sec": 3, "backoff": 2.0});
        let mut attempts = attempts(retry, Value::Null);
        assert_eq!(attempts.after(&failed(1)), Next::Retry(seconds(3)));
        assert_eq!(attempts.after(&failed(1)), Next::Retry(seconds(6)));
        assert_eq!(attempts.after(&failed(1)), Next::End);
    }

    #[test]
    fn waits_stop_growing_and_never_overflow() {
        let interval = Interval { first: 5, factor: 10.0, longest: Some(60) };
        assert_eq!([0, 1, 2, u64::MAX].map(|number| interval.after(number)), [5, 50, 60, 60].map(seconds));
        let without = Interval { first: u64::MAX, factor: 1e300, longest: None };
        assert_eq!(without.after(7), Interval::LONGEST);
        assert_eq!(Interval { first: 0, ..without }.after(u64::MAX), Duration::ZERO);
    }

    #[test]
    fn only_the_listed_codes_are_retried_and_no_code_is_in_no_list() {
        let policy = json!({"limit": 9, "interval_sec": 0, "exit_code": [42, 0]});
        let after = |outcome| attempts(policy.clone(), Value::Null).after(&outcome);
        assert_eq!(after(failed(42)), Next::Retry(Duration::ZERO));
        assert_eq!(after(failed(1)), Next::End);
        assert_eq!(after(Outcome::failed(None, Reason::Evicted)), Next::End);
        assert_eq!(after(Outcome::Lost), Next::End);
        assert_eq!(after(Outcome::Succeeded), Next::End);
    }

    #[test]
    fn what_was_refused_stopped_or_timed_out_is_never_retried() {
        let policy = json!({"limit": 9, "interval_sec": 0});
        let after = |outcome| attempts(policy.clone(), json!({"repeat": "until", "exit_code": [0]})).after(&outcome);
        for reason in [Reason::Denied, Reason::Invalid, Reason::Condition] {
            assert_eq!(after(Outcome::failed(None, reason)), Next::End, "{reason}");
        }
        assert_eq!(after(Outcome::Cancelled { reason: Reason::Cancelled }), Next::End);
        assert_eq!(after(Outcome::TimedOut), Next::Repeat(Duration::ZERO));
        assert_eq!(after(Outcome::Lost), Next::Retry(Duration::ZERO));
    }

    #[test]
    fn a_step_repeats_while_or_until_its_code_is_in_the_list() {
        let after = |repeat, code| {
            let policy = json!({"repeat": repeat, "exit_code": [3], "interval_sec": 7});
            attempts(Value::Null, policy).after(&failed(code))
        };
        assert_eq!(after("while", 3), Next::Repeat(seconds(7)));
        assert_eq!(after("while", 4), Next::End);
        assert_eq!(after("until", 3), Next::End);
        assert_eq!(after("until", 4), Next::Repeat(seconds(7)));
    }

    #[test]
    fn a_condition_decides_before_codes_and_success_when_there_is_neither() {
        let policy = json!({"repeat": "until", "condition": {"condition": "test -e done"}, "exit_code": [0]});
        let mut asking = attempts(Value::Null, policy);
        assert!(
            matches!(asking.after(&Outcome::Succeeded), Next::Ask(condition) if condition.condition == "test -e done")
        );
        assert_eq!(asking.answer(false), Next::Repeat(Duration::ZERO));
        assert_eq!(asking.answer(true), Next::End);

        let mut simple = attempts(Value::Null, json!({"repeat": "while"}));
        assert_eq!(simple.after(&Outcome::Succeeded), Next::Repeat(Duration::ZERO));
        assert_eq!(simple.after(&failed(1)), Next::End);
    }

    #[test]
    fn the_limit_counts_all_executions_and_each_has_its_own_retries() {
        let retry = json!({"limit": 1, "interval_sec": 0});
        let mut attempts = attempts(retry, json!({"repeat": "until", "exit_code": [0], "limit": 2}));
        assert_eq!(attempts.after(&failed(1)), Next::Retry(Duration::ZERO));
        assert_eq!(attempts.after(&failed(1)), Next::Repeat(Duration::ZERO));
        assert_eq!(attempts.after(&failed(1)), Next::Retry(Duration::ZERO));
        assert_eq!(attempts.after(&failed(1)), Next::End);
    }

    #[test]
    fn a_number_that_is_none_says_so() {
        let position = Position { source: 0, line: 1, column: 1, offset: 0, length: 0 };
        let mut step = Step::new("a", StepKind::Kubernetes, "steps[0]", position);
        step.retry_policy = serde_json::from_value(json!({"limit": "${TRIES}", "interval_sec": 0})).unwrap();
        let error = Attempts::of(&step, |_| "many".to_owned()).unwrap_err();
        assert_eq!(error.to_string(), "`retry_policy.limit` must be a whole number from 0, `${TRIES}` gives `many`");
    }
}
