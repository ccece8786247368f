//! What came back: an object of the Kubernetes API, a refusal with its words, or something that is neither.
//!
//! A proxy may answer with a page, and an answer may break off. Then it is said what came, never what a parser thinks of it.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, RETRY_AFTER, WARNING};
use http::response::Parts;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt as _, Limited};
use kube::client::Body;
use kube::core::Status;
use serde::de::DeserializeOwned;

use super::dry_run::FieldCause;
use super::retry::{Failure, of_code, of_status};

/// Bytes of a refusal that are read: a page says what it is at its beginning.
const REFUSAL: usize = 64 * 1024;
/// Characters of a text that is no answer: enough to know it by.
const FIRST_WORDS: usize = 80;

/// An object, and what the server remarked.
#[derive(Debug)]
pub(super) struct Answer<T> {
    pub(super) value: T,
    /// Texts of `Warning` headers.
    pub(super) warnings: Vec<String>,
}

/// Reads an answer that is an object.
pub(super) async fn read<T: DeserializeOwned>(response: Response<Body>) -> Result<Answer<T>, Failure> {
    let (parts, body) = response.into_parts();
    let bytes = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) => return Err(Failure::unavailable(format!("the answer broke off: {}", innermost(&error)))),
    };
    match serde_json::from_slice(&bytes) {
        Ok(value) => Ok(Answer { value, warnings: warnings(&parts.headers) }),
        Err(error) => Err(Failure::unavailable(if error.is_eof() && is_json(&bytes) {
            format!("{} broke off after {} bytes", what(&parts), bytes.len())
        } else {
            format!("{} is none of a Kubernetes API: {}", what(&parts), first_words(&bytes))
        })),
    }
}

/// Whether the answer, which should be plain text, is a page.
pub(super) fn is_page(response: &Response<Body>) -> bool {
    content_type(response.headers()).contains("html")
}

/// What an answer says that is no success.
pub(super) async fn refusal(response: Response<Body>) -> Failure {
    refusal_with_causes(response).await.0
}

/// The same, and what it says of single fields.
pub(super) async fn refusal_with_causes(response: Response<Body>) -> (Failure, Vec<FieldCause>) {
    let (parts, body) = response.into_parts();
    let bytes = match Limited::new(body, REFUSAL).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(_) => Bytes::new(),
    };
    let after = retry_after(&parts.headers);
    match serde_json::from_slice::<Status>(&bytes) {
        Ok(status) if !status.message.is_empty() || !status.reason.is_empty() => {
            let causes = status.details.iter().flat_map(|details| &details.causes);
            let causes = causes.map(|cause| FieldCause { field: cause.field.clone(), message: cause.message.clone() });
            let causes = causes.collect();
            (of_status(&Status { code: parts.status.as_u16(), ..status }, after), causes)
        }
        _ => {
            let words = format!("{}: {}", what(&parts), first_words(&bytes));
            (of_code(parts.status.as_u16(), after, words), Vec::new())
        }
    }
}

/// Code and type of an answer.
fn what(parts: &Parts) -> String {
    match content_type(&parts.headers) {
        "" => format!("answer {}", parts.status.as_u16()),
        kind => format!("answer {} with {kind}", parts.status.as_u16()),
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

fn is_json(bytes: &[u8]) -> bool {
    matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// The beginning of a text from elsewhere, on one line.
pub(super) fn first_words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(FIRST_WORDS * 8)).unwrap_or_default());
    let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = words.chars().take(FIRST_WORDS).collect();
    match (shown.is_empty(), shown.len() < words.len() || text.len() < bytes.len()) {
        (true, _) => "it is empty".to_owned(),
        (false, true) => format!("`{shown}…`"),
        (false, false) => format!("`{shown}`"),
    }
}

/// The cause that has no cause.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

/// How long the server asks to wait: seconds, or a date, which is compared with the server's own.
/// <https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| jiff::fmt::rfc2822::parse(text).ok();
    let now = headers.get(DATE).and_then(|value| value.to_str().ok()).and_then(date)?;
    Duration::try_from(date(text)?.timestamp().duration_since(now.timestamp())).ok()
}

/// The texts of `Warning` headers of the form `299 - "text"`, each once.
/// <https://kubernetes.io/blog/2020/09/03/warnings/>
fn warnings(headers: &HeaderMap) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    for value in headers.get_all(WARNING) {
        let value = String::from_utf8_lossy(value.as_bytes());
        let quoted = value.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"'));
        let text = quoted.map_or(value.trim(), |(text, _)| text).replace("\\\"", "\"").replace("\\\\", "\\");
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_server_names_seconds_or_a_date_of_its_own_clock() {
        let after = |pairs: &[(&'static str, &str)]| retry_after(&headers(pairs)).map(|after| after.as_secs());
        assert_eq!(after(&[("retry-after", "5")]), Some(5));
        let date = ("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT");
        assert_eq!(after(&[date, ("date", "Wed, 21 Oct 2015 07:28:00 GMT")]), Some(30));
        assert_eq!(after(&[date, ("date", "Wed, 21 Oct 2015 07:29:00 GMT")]), None);
        assert_eq!(after(&[date]), None);
        assert_eq!(after(&[("retry-after", "soon")]), None);
    }

    #[test]
    fn warnings_are_told_once_without_their_quotes() {
        let mut all = headers(&[("warning", r#"299 - "metadata.name: \"a\" is no name""#)]);
        all.append(WARNING, r#"299 - "metadata.name: \"a\" is no name""#.parse().unwrap());
        all.append(WARNING, "odd".parse().unwrap());
        assert_eq!(warnings(&all), [r#"metadata.name: "a" is no name"#, "odd"]);
    }

    #[test]
    fn the_first_words_stand_on_one_line() {
        assert_eq!(first_words(b"<!DOCTYPE html>\n  <title>Log in</title>"), "`<!DOCTYPE html> <title>Log in</title>`");
        assert_eq!(first_words(b" \n"), "it is empty");
        let long = first_words("é".repeat(5_000).as_bytes());
        assert_eq!(long.chars().count(), FIRST_WORDS + 3);
    }
}
