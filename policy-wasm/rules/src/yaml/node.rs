//! The tree: what a document holds, each part with its place and its text as written.

use model::layer::Position;

/// Where a node stands in its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) offset: u32,
    pub(super) length: u32,
}

impl Span {
    /// The same as a position in source number `source`.
    pub(crate) fn position(self, source: u32) -> Position {
        Position { source, line: self.line, column: self.column, offset: self.offset, length: self.length }
    }
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) content: Content,
    pub(crate) span: Span,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// A scalar that means text: quoted, in a block, or plain and nothing else.
    Text(String),
    /// A plain scalar that means a whole number, as written; it may be too large for 64 bits.
    Integer(String),
    /// A plain scalar that means a number with a fraction or exponent, as written.
    Float(String),
    /// A plain scalar that means a boolean, and as written.
    Boolean(bool, String),
    /// Nothing, or a plain scalar that means nothing.
    Null,
    /// A list.
    List(Vec<Node>),
    /// A mapping in file order; no key is there twice.
    Mapping(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The key; of a number or boolean its text.
    pub(crate) key: String,
    /// The key was no text: it has its problem.
    pub(crate) is_odd: bool,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Node {
    /// The entries of a mapping; none of anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The entry with this key.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The scalar's text as written; none for null and collections.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) | Content::Integer(text) | Content::Float(text) | Content::Boolean(_, text) => {
                Some(text)
            }
            _ => None,
        }
    }

    /// What the node is, in the words of a message: ``the number `5` ``, `a list` …
    pub(crate) fn found(&self) -> String {
        match &self.content {
            Content::Text(text) => format!("the text `{}`", cut(text)),
            Content::Integer(text) | Content::Float(text) => format!("the number `{}`", cut(text)),
            Content::Boolean(_, text) => format!("the boolean `{text}`"),
            Content::Null => "nothing".to_owned(),
            Content::List(_) => "a list".to_owned(),
            Content::Mapping(_) => "a mapping".to_owned(),
        }
    }

    /// A tree without places, from JSON.
    pub(crate) fn from_json(value: &serde_json::Value) -> Node {
        use serde_json::Value;
        let content = match value {
            Value::Null => Content::Null,
            Value::Bool(value) => Content::Boolean(*value, value.to_string()),
            Value::Number(number) if number.is_f64() => Content::Float(number.to_string()),
            Value::Number(number) => Content::Integer(number.to_string()),
            Value::String(text) => Content::Text(text.clone()),
            Value::Array(items) => Content::List(items.iter().map(Node::from_json).collect()),
            Value::Object(entries) => Content::Mapping(
                entries
                    .iter()
                    .map(|(key, value)| Entry {
                        key: key.clone(),
                        is_odd: false,
                        key_span: Span::default(),
                        value: Node::from_json(value),
                    })
                    .collect(),
            ),
        };
        Node { content, span: Span::default() }
    }

    /// The number of nodes in this tree.
    pub(super) fn count(&self) -> usize {
        1 + match &self.content {
            Content::List(items) => items.iter().map(Node::count).sum(),
            Content::Mapping(entries) => entries.iter().map(|entry| 1 + entry.value.count()).sum(),
            _ => 0,
        }
    }

    pub(super) fn depth(&self) -> usize {
        1 + match &self.content {
            Content::List(items) => items.iter().map(Node::depth).max().unwrap_or(0),
            Content::Mapping(entries) => entries.iter().map(|entry| entry.value.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Puts this tree where an alias stands.
    pub(crate) fn placed_at(mut self, span: Span) -> Node {
        fn place(node: &mut Node, span: Span) {
            node.span = span;
            match &mut node.content {
                Content::List(items) => items.iter_mut().for_each(|item| place(item, span)),
                Content::Mapping(entries) => {
                    for entry in entries {
                        entry.key_span = span;
                        place(&mut entry.value, span);
                    }
                }
                _ => {}
            }
        }
        place(&mut self, span);
        self
    }
}

/// A text for a message: control characters escaped, long ones cut.
pub(crate) fn cut(text: &str) -> String {
    cut_to(text, 60)
}

/// A text for a message: control characters escaped, more than `longest` characters cut.
pub(crate) fn cut_to(text: &str, longest: usize) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == longest {
            shown.push('…');
            break;
        }
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}
