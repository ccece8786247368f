//! Texts with variables: where they stand, and who will read them. Nothing is resolved here.

use model::layer::Position;
use model::path;
use model::workflow::StepKind;

use crate::yaml::{Content, Node};

/// A text with a `$` in it, of a step or of all of them.
pub(super) struct Text {
    pub(super) owner: Owner,
    pub(super) path: String,
    pub(super) position: Position,
    pub(super) text: String,
    pub(super) reader: Reader,
    /// It stands in a policy of repetition: the step has run, and its own output is there.
    pub(super) after: bool,
}

/// Whose text it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// The workflow's: nothing has run yet.
    Root,
    /// Of `defaults`: every step's.
    AllSteps,
    /// Of the step with this index.
    Step(usize),
    /// Of the handler with this name.
    Handler(&'static str),
}

/// Who puts the variables in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// The runner: all of them.
    Runner,
    /// The runner those with a dot, a shell of the machine all others.
    Shell,
    /// The runner, and what comes of it goes into a Job.
    Job,
}

/// Where texts are found: a key's value, and whose it is.
#[derive(Clone)]
pub(super) struct Finder {
    pub(super) owner: Owner,
    pub(super) source: u32,
}

impl Finder {
    /// Collects the texts of a key that are resolved; those of other keys are not.
    pub(super) fn key(&self, key: &str, kind: StepKind, node: &Node, at: &str, texts: &mut Vec<Text>) {
        match key {
            "env" | "dotenv" | "secrets" | "working_dir" | "log_dir" | "stdout" | "stderr" => {
                self.all(node, at, Reader::Runner, false, texts);
            }
            "preconditions" => self.conditions(node, at, texts),
            "retry_policy" => self.all(node, at, Reader::Runner, false, texts),
            "repeat_policy" => {
                let reader = if node.entry("expected").is_some() { Reader::Runner } else { Reader::Shell };
                for entry in node.entries() {
                    let reader = if entry.key == "condition" { reader } else { Reader::Runner };
                    self.all(&entry.value, &path::key(at, &entry.key), reader, true, texts);
                }
            }
            "command" | "run" | "script" => {
                let reader = match (kind, &node.content) {
                    (StepKind::Kubernetes, _) => Reader::Job,
                    (StepKind::Command, Content::List(items)) if items.len() > 1 => Reader::Runner,
                    (StepKind::Command, _) => Reader::Shell,
                };
                self.all(node, at, reader, false, texts);
            }
            _ => {}
        }
    }

    /// A condition without `expected` is a command for a shell.
    fn conditions(&self, node: &Node, at: &str, texts: &mut Vec<Text>) {
        match &node.content {
            Content::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.conditions(item, &path::index(at, index), texts);
                }
            }
            _ => {
                let reader = if node.entry("expected").is_some() { Reader::Runner } else { Reader::Shell };
                self.all(node, at, reader, false, texts);
            }
        }
    }

    fn all(&self, node: &Node, at: &str, reader: Reader, after: bool, texts: &mut Vec<Text>) {
        match &node.content {
            Content::Text(text) if text.contains('$') => texts.push(Text {
                owner: self.owner.clone(),
                path: at.to_owned(),
                position: node.span.position(self.source),
                text: text.clone(),
                reader,
                after,
            }),
            Content::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.all(item, &path::index(at, index), reader, after, texts);
                }
            }
            Content::Mapping(entries) => {
                for entry in entries {
                    self.all(&entry.value, &path::key(at, &entry.key), reader, after, texts);
                }
            }
            _ => {}
        }
    }
}
