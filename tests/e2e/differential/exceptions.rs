//! What may differ, and why: `exceptions.yaml`.

use serde::Deserialize;
use tests::{Refused, root};

use super::Ours;

/// All exceptions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exceptions {
    /// We refuse what the server accepts.
    promised: Vec<Promise>,
    /// The server refuses what we accept.
    excused: Vec<Excuse>,
    /// The embedded cluster differs from the real one.
    not_imitated: Vec<Gap>,
}

/// Something that the rules refuse although a server may accept it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Promise {
    code: String,
    /// A path inside the config; `*` at its beginning or end stands for anything.
    path: String,
    /// Our message, as `path`; none: any.
    #[serde(default = "anything")]
    says: String,
    #[expect(dead_code, reason = "for whoever reads the file")]
    reason: String,
}

/// Something that a server refuses although the rules only warn, or cannot know.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Excuse {
    /// What the server says: field and kind of cause; `*` at its beginning or end stands for anything.
    cause: String,
    /// The code that we warn with; none: we say nothing.
    #[serde(default)]
    warning: Option<String>,
    #[expect(dead_code, reason = "for whoever reads the file")]
    reason: String,
}

/// Something that the embedded cluster accepts or refuses otherwise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gap {
    /// What is told; `*` at its beginning or end stands for anything.
    says: String,
    #[expect(dead_code, reason = "for whoever reads the file")]
    reason: String,
}

impl Exceptions {
    pub(super) fn read() -> Exceptions {
        let file = root().join("tests/e2e/differential/exceptions.yaml");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("`{}`: {error}", file.display()));
        serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("`{}`: {error}", file.display()))
    }

    /// Whether the rules promise to refuse this.
    pub(super) fn promises(&self, ours: &Ours) -> bool {
        self.promised.iter().any(|promise| {
            promise.code == ours.code && fits(&promise.path, &ours.path) && fits(&promise.says, &ours.message)
        })
    }

    /// Whether the server may refuse for this what we accept.
    pub(super) fn excuses(&self, cause: &str, warnings: &[Ours]) -> bool {
        self.excused.iter().any(|excuse| {
            let is_warned = match &excuse.warning {
                None => true,
                Some(code) => warnings.iter().any(|ours| ours.code == *code),
            };
            fits(&excuse.cause, cause) && is_warned
        })
    }

    /// Whether the embedded cluster is known to differ so.
    pub(super) fn imitates_not(&self, disagreement: &str) -> bool {
        self.not_imitated.iter().any(|gap| fits(&gap.says, disagreement))
    }
}

fn anything() -> String {
    "*".to_owned()
}

fn fits(pattern: &str, text: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(rest), Some(_)) => text.contains(rest.strip_suffix('*').unwrap_or(rest)),
        (Some(end), None) => text.ends_with(end),
        (None, Some(start)) => text.starts_with(start),
        (None, None) => text == pattern,
    }
}

/// What a server refuses for, each once: the field without its indexes, and the kind of cause.
pub(super) fn causes(refused: &Refused) -> Vec<String> {
    let mut causes: Vec<String> = refused
        .causes
        .iter()
        .map(|cause| {
            // `Invalid value: "x": must be …`: the value is another each time.
            let kind = cause.message.split(':').next().unwrap_or_default();
            let end = cause.message.rsplit(": ").next().unwrap_or_default();
            let end: String = end.split(['(', '"', '\'']).next().unwrap_or_default().chars().take(70).collect();
            format!("{}: {kind}: {}", super::plain(&cause.field), end.trim())
        })
        .collect();
    if causes.is_empty() {
        let message: String = refused.message.chars().take(160).collect();
        causes.push(format!("{} {message}", refused.code));
    }
    causes.sort();
    causes.dedup();
    causes
}
