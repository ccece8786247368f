//! The faults that struck at one moment, and what they do to a request.

use std::time::Duration;

use http::Response;
use http::header::WARNING;

use super::{Answer, ConnectionLost, Fault, Watched, stream};
use crate::body::Body;
use crate::clock::Clock;
use crate::pod::Script;

/// The faults that struck once.
#[derive(Debug, Default)]
pub(crate) struct Struck {
    pub(super) faults: Vec<Fault>,
}

/// What becomes of a pod that a Job is about to make.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Creation {
    Now,
    /// It appears so much later.
    Late(Duration),
    /// There is none, and perhaps a reason.
    None(Option<String>),
}

impl Struck {
    /// What struck here and there.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.faults.extend(other.faults);
        self
    }

    /// Answers a request, with what the faults do to it.
    pub(crate) async fn apply(
        &self,
        clock: &Clock,
        carry_out: impl FnOnce() -> Response<Body>,
    ) -> Result<Response<Body>, ConnectionLost> {
        let mut response = self.respond(clock, carry_out).await?;
        for fault in &self.faults {
            if let Fault::Warn(text) = fault
                && let Some(header) = crate::api::warning(text)
            {
                response.headers_mut().append(WARNING, header);
            }
        }
        Ok(response)
    }

    async fn respond(
        &self,
        clock: &Clock,
        carry_out: impl FnOnce() -> Response<Body>,
    ) -> Result<Response<Body>, ConnectionLost> {
        let mut interruptions = Vec::new();
        for fault in &self.faults {
            match fault {
                Fault::Delay(by) => clock.sleep(*by).await,
                Fault::Lose(lost) => return Err(*lost),
                Fault::Answer(answer) => return Ok(answer.to_response()),
                Fault::CommitThen(answer) => {
                    carry_out();
                    return answer.as_ref().map(Answer::to_response).map_err(|lost| *lost);
                }
                Fault::Interrupt(after, then) => interruptions.push((*after, then.clone())),
                // Of the headers, of what is carried out, or of the cluster itself.
                _ => {}
            }
        }
        let mut response = carry_out();
        for (after, then) in interruptions {
            response = response.map(|body| stream::interrupt(body, clock.clone(), after, then));
        }
        Ok(response)
    }

    fn find<'a, T>(&'a self, pick: impl Fn(&'a Fault) -> Option<T>) -> Option<T> {
        self.faults.iter().find_map(pick)
    }

    /// The older version a read is to show.
    pub(crate) fn rewind(&self) -> Option<u64> {
        self.find(|fault| if let Fault::Rewind(version) = fault { Some(*version) } else { None })
    }

    /// How long what is due is held, if it is; `Some(None)` is for ever.
    pub(crate) fn hold(&self) -> Option<Option<Duration>> {
        self.find(|fault| if let Fault::Hold(lasting) = fault { Some(*lasting) } else { None })
    }

    /// What happens to an event of a watch, apart from being held.
    pub(crate) fn watched(&self) -> impl Iterator<Item = &Watched> {
        self.faults.iter().filter_map(|fault| if let Fault::Watched(watched) = fault { Some(watched) } else { None })
    }

    pub(crate) fn creation(&self) -> Creation {
        let found = self.find(|fault| match fault {
            Fault::Answer(answer) => Some(Creation::None(Some(answer.message()))),
            Fault::NoPods(why) => Some(Creation::None(why.clone())),
            Fault::Delay(by) => Some(Creation::Late(*by)),
            _ => None,
        });
        found.unwrap_or(Creation::Now)
    }

    pub(crate) fn unschedulable(&self) -> Option<(Option<Duration>, &str)> {
        self.find(|fault| match fault {
            Fault::Unschedulable { lasting, message } => Some((*lasting, message.as_str())),
            _ => None,
        })
    }

    pub(crate) fn rejection(&self) -> Option<(&str, &str)> {
        self.find(|fault| match fault {
            Fault::Reject { reason, message } => Some((reason.as_str(), message.as_str())),
            _ => None,
        })
    }

    pub(crate) fn script(&self, name: &str) -> Option<Script> {
        self.find(|fault| match fault {
            Fault::Script { container, script } if container == name => Some(script.clone()),
            _ => None,
        })
    }

    pub(crate) fn log_limit(&self) -> Option<u64> {
        self.find(|fault| if let Fault::RotateLog(size) = fault { Some(*size) } else { None })
    }
}
