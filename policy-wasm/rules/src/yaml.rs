//! A YAML document as a small tree in which every key and value knows its place and its text as written.
//!
//! Built from parser events under budgets (size, depth, nodes), so that reading always ends. Aliases are copied with
//! the place of the alias, merge keys (`<<`) are put in. Only text that is no YAML ends the work; a key that is there
//! twice or is no text is a problem, and reading goes on.

use std::collections::HashMap;

use model::layer::Position;
use model::path;
use model::problem::{CoreProblem, code};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span as Marked, Tag};

/// Largest text, in bytes.
pub(crate) const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Deepest nesting.
pub(crate) const MAX_DEPTH: usize = 64;
/// Largest number of problems of one file that are told.
pub(crate) const MAX_PROBLEMS: usize = 10_000;
/// Largest number of nodes after aliases are followed.
pub(crate) const MAX_NODES: usize = 2_000_000;

/// Where a node stands in its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    line: u32,
    column: u32,
    offset: u32,
    length: u32,
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
    fn count(&self) -> usize {
        1 + match &self.content {
            Content::List(items) => items.iter().map(Node::count).sum(),
            Content::Mapping(entries) => entries.iter().map(|entry| 1 + entry.value.count()).sum(),
            _ => 0,
        }
    }

    fn depth(&self) -> usize {
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

/// Reads the one document of `text`; none: it is no YAML, or holds nothing. Problems get `source`.
pub(crate) fn read(text: &str, source: u32, problems: &mut Vec<CoreProblem>) -> Option<Node> {
    let syntax =
        |message: String, span: Span| CoreProblem::error(code::SYNTAX, message).at("", Some(span.position(source)));
    let start = Span { line: 1, column: 1, offset: 0, length: 0 };
    if text.len() > MAX_BYTES {
        problems.push(
            syntax(format!("the file has {} bytes, more than the limit of 16 MiB", text.len()), start)
                .help("split the workflow into several files"),
        );
        return None;
    }
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let places = Places::new(body, text.len() - body.len());
    if let Some(at) = body.find('\0') {
        problems.push(syntax("the file is not text: it holds a NUL byte".to_owned(), places.of_byte(at)));
        return None;
    }
    let mut builder = Builder { places: &places, source, problems, anchors: HashMap::new(), nodes: 0 };
    match builder.document(&mut Parser::new_from_str(body)) {
        Ok(document) => document,
        Err(problem) => {
            problems.push(*problem);
            None
        }
    }
}

/// Turns markers (in characters) into byte offsets without walking the whole text each time.
struct Places<'a> {
    text: &'a str,
    /// Bytes that precede `text` in the source.
    lead: usize,
    /// Byte offset of every `STRIDE`th character; empty when every character is one byte.
    strides: Vec<u32>,
}

const STRIDE: usize = 256;

impl<'a> Places<'a> {
    fn new(text: &'a str, lead: usize) -> Self {
        let strides = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().step_by(STRIDE).map(|(byte, _)| byte as u32).collect()
        };
        Places { text, lead, strides }
    }

    /// Byte offset of character number `index`.
    fn byte(&self, index: usize) -> usize {
        if self.strides.is_empty() {
            return index.min(self.text.len());
        }
        let base = self.strides.get(index / STRIDE).copied().unwrap_or(self.text.len() as u32) as usize;
        let rest = self.text.get(base..).unwrap_or_default();
        rest.char_indices().nth(index % STRIDE).map_or(self.text.len(), |(byte, _)| base + byte)
    }

    fn span(&self, marked: &Marked) -> Span {
        let from = self.byte(marked.start.index());
        let to = self.byte(marked.end.index()).max(from);
        // Block scalars and plain scalars of several lines end after their line break.
        let length = self.text.get(from..to).unwrap_or_default().trim_end().len();
        self.at(&marked.start, from, length)
    }

    fn at(&self, marker: &Marker, byte: usize, length: usize) -> Span {
        Span {
            line: marker.line() as u32,
            column: marker.col() as u32 + 1,
            offset: (byte + self.lead) as u32,
            length: length as u32,
        }
    }

    /// Whether a quote stands at a place.
    fn starts_with_quote(&self, span: Span) -> bool {
        let at = (span.offset as usize).checked_sub(self.lead);
        at.and_then(|at| self.text.as_bytes().get(at)).is_some_and(|byte| matches!(byte, b'"' | b'\''))
    }

    /// The first tab that indents a line, on the line of `byte` or one of the next two.
    fn indenting_tab(&self, byte: usize) -> Option<usize> {
        let mut start = self.text.get(..byte)?.rfind('\n').map_or(0, |at| at + 1);
        for line in self.text.get(start..)?.split_inclusive('\n').take(3) {
            let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
            if let Some(tab) = line.get(..indent).and_then(|indent| indent.find('\t')) {
                return Some(start + tab);
            }
            start += line.len();
        }
        None
    }

    fn of_byte(&self, byte: usize) -> Span {
        let before = self.text.get(..byte).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Span {
            line: before.matches('\n').count() as u32 + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() as u32 + 1,
            offset: (byte + self.lead) as u32,
            length: 1,
        }
    }
}

type Failed = Box<CoreProblem>;

/// Makes the tree from parser events.
struct Builder<'a> {
    places: &'a Places<'a>,
    source: u32,
    problems: &'a mut Vec<CoreProblem>,
    anchors: HashMap<usize, Option<Node>>,
    nodes: usize,
}

/// A collection whose end has not come yet.
struct Open {
    anchor: usize,
    span: Span,
    content: OpenContent,
}

enum OpenContent {
    List(Vec<Node>),
    /// Entries so far, and the key whose value comes next.
    Mapping {
        entries: Vec<Entry>,
        seen: HashMap<String, usize>,
        key: Option<Key>,
        merged: Option<(Node, Span)>,
    },
}

/// A key whose value comes next.
enum Key {
    Text {
        text: String,
        span: Span,
        is_odd: bool,
    },
    /// `<<`: the entries of the value are put in.
    Merge(Span),
    /// No text can be made of it: the value is read and dropped.
    Lost,
}

impl Builder<'_> {
    fn fail<T>(&self, message: impl Into<String>, span: Span, help: Option<&str>) -> Result<T, Failed> {
        let mut problem = CoreProblem::error(code::SYNTAX, message).at("", Some(span.position(self.source)));
        problem.help = help.map(str::to_owned);
        Err(Box::new(problem))
    }

    fn document(&mut self, parser: &mut Parser<'_, saphyr_parser::StrInput<'_>>) -> Result<Option<Node>, Failed> {
        let mut open: Vec<Open> = Vec::new();
        let mut document = None;
        let mut documents = 0;
        for event in parser {
            let (event, marked) = match event {
                Ok(event) => event,
                Err(error) => return self.refuse(&error),
            };
            let span = self.places.span(&marked);
            match event {
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        self.problems.push(
                            CoreProblem::error(code::UNSUPPORTED, "a second document begins here")
                                .at("", Some(span.position(self.source)))
                                .help("put each workflow into a file of its own"),
                        );
                        return Ok(document);
                    }
                }
                Event::SequenceStart(anchor, tag) => {
                    self.check_tag(tag.as_deref(), &["seq"], span, &open);
                    self.enter(&mut open, anchor, span, OpenContent::List(Vec::new()))?;
                }
                Event::MappingStart(anchor, tag) => {
                    self.check_tag(tag.as_deref(), &["map"], span, &open);
                    let content =
                        OpenContent::Mapping { entries: Vec::new(), seen: HashMap::new(), key: None, merged: None };
                    self.enter(&mut open, anchor, span, content)?;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    if let Some(closed) = open.pop() {
                        let (anchor, node) = self.close(closed, &open);
                        self.keep(anchor, &node)?;
                        self.add(&mut open, node, &mut document)?;
                    }
                }
                Event::Scalar(text, style, anchor, tag) => {
                    self.budget(1, span)?;
                    let content = self.scalar(&text, style, tag.as_deref(), span, &open);
                    let node = Node { content, span };
                    self.keep(anchor, &node)?;
                    self.add(&mut open, node, &mut document)?;
                }
                Event::Alias(anchor) => {
                    let node = match self.anchors.get(&anchor) {
                        Some(Some(node)) => node,
                        Some(None) => return self.fail("the alias stands inside its own anchor", span, None),
                        None => return self.fail("the alias names no anchor", span, None),
                    };
                    let (count, depth) = (node.count(), node.depth());
                    if open.len() + depth > MAX_DEPTH {
                        return self.too_deep(span);
                    }
                    self.budget(count, span)?;
                    if let Some(Some(node)) = self.anchors.get(&anchor) {
                        let node = node.clone().placed_at(span);
                        self.add(&mut open, node, &mut document)?;
                    }
                }
            }
        }
        Ok(document)
    }

    fn refuse<T>(&self, error: &saphyr_parser::ScanError) -> Result<T, Failed> {
        let marker = error.marker();
        let byte = self.places.byte(marker.index());
        // The parser points at the value before the tab; the user looks for the tab.
        if error.info().contains("tab")
            && let Some(tab) = self.places.indenting_tab(byte)
        {
            return self.fail(
                "this is no YAML: a tab cannot indent a line",
                self.places.of_byte(tab),
                Some("indent with spaces"),
            );
        }
        let mut span = self.places.at(marker, byte, 0);
        if error.info().contains("recursion limit") {
            return self.too_deep(span);
        }
        let rest = self.places.text.get(byte..).unwrap_or_default();
        span.length = rest.chars().next().filter(|next| !next.is_whitespace()).map_or(0, char::len_utf8) as u32;
        let help = error
            .info()
            .contains("mapping values are not allowed")
            .then_some("is the line indented like its neighbours? a text with `: ` in it needs quotes");
        self.fail(format!("this is no YAML: {}", error.info()), span, help)
    }

    fn too_deep<T>(&self, span: Span) -> Result<T, Failed> {
        self.fail(format!("nested deeper than {MAX_DEPTH} levels"), span, None)
    }

    fn budget(&mut self, nodes: usize, span: Span) -> Result<(), Failed> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            return self.fail(
                format!("more than {MAX_NODES} values after aliases are followed"),
                span,
                Some("an alias that repeats a large part, or one inside another, multiplies it"),
            );
        }
        Ok(())
    }

    fn enter(&mut self, open: &mut Vec<Open>, anchor: usize, span: Span, content: OpenContent) -> Result<(), Failed> {
        if open.len() >= MAX_DEPTH {
            return self.too_deep(span);
        }
        self.budget(1, span)?;
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
        open.push(Open { anchor, span, content });
        Ok(())
    }

    /// Keeps what an alias may repeat. The copy counts, too: anchors inside anchors multiply it.
    fn keep(&mut self, anchor: usize, node: &Node) -> Result<(), Failed> {
        if anchor > 0 {
            self.budget(node.count(), node.span)?;
            self.anchors.insert(anchor, Some(node.clone()));
        }
        Ok(())
    }

    /// Puts a finished node where it belongs: into the innermost open collection, or as the document.
    fn add(&mut self, open: &mut [Open], node: Node, document: &mut Option<Node>) -> Result<(), Failed> {
        let Some((parent, outer)) = open.split_last_mut() else {
            *document = Some(node);
            return Ok(());
        };
        let here = || place_of(outer);
        match &mut parent.content {
            OpenContent::List(items) => items.push(node),
            OpenContent::Mapping { entries, seen, key, merged } => match key.take() {
                None => {
                    // A quoted `<<` is a key like any other.
                    let is_plain = !self.places.starts_with_quote(node.span);
                    *key = Some(key_of(node, is_plain, here, self.source, self.problems));
                }
                Some(Key::Lost) => {}
                Some(Key::Merge(span)) => match merged {
                    Some((_, first)) => {
                        let problem = twice("<<", &here(), span, *first, self.source);
                        push(self.problems, problem);
                    }
                    None => *merged = Some((node, span)),
                },
                Some(Key::Text { text, span, is_odd }) => match seen.get(&text).and_then(|first| entries.get(*first)) {
                    Some(first) => {
                        let problem = twice(&text, &here(), span, first.key_span, self.source);
                        push(self.problems, problem);
                    }
                    None => {
                        seen.insert(text.clone(), entries.len());
                        entries.push(Entry { key: text, is_odd, key_span: span, value: node });
                    }
                },
            },
        }
        Ok(())
    }

    /// Ends a collection: its length is known, merge keys are put in.
    fn close(&mut self, closed: Open, outer: &[Open]) -> (usize, Node) {
        let mut span = closed.span;
        let reaches = |span: &mut Span, last: Span| {
            // What an alias put in lies elsewhere in the text and says nothing about the length.
            let end = last.offset + last.length;
            if end > span.offset {
                span.length = span.length.max(end - span.offset);
            }
        };
        let content = match closed.content {
            OpenContent::List(items) => {
                if let Some(last) = items.last() {
                    reaches(&mut span, last.span);
                }
                Content::List(items)
            }
            OpenContent::Mapping { mut entries, seen, merged, .. } => {
                if let Some(last) = entries.last() {
                    reaches(&mut span, last.key_span);
                    reaches(&mut span, last.value.span);
                }
                let mut known: std::collections::HashSet<String> = seen.into_keys().collect();
                let here = place_of(outer);
                if let Some((value, key_span)) = merged {
                    self.merge_key(value, key_span, &here, &mut entries, &mut known);
                }
                Content::Mapping(entries)
            }
        };
        (closed.anchor, Node { content, span })
    }

    /// `<<`: keys that are not there yet come from the mapping, or from the mappings of a list, earlier ones first.
    fn merge_key(
        &mut self,
        value: Node,
        key_span: Span,
        here: &str,
        entries: &mut Vec<Entry>,
        known: &mut std::collections::HashSet<String>,
    ) {
        let found = value.found();
        let mappings = match value.content {
            Content::Mapping(merged) => vec![merged],
            Content::List(items) if items.iter().all(|item| matches!(item.content, Content::Mapping(_))) => items
                .into_iter()
                .filter_map(|item| match item.content {
                    Content::Mapping(merged) => Some(merged),
                    _ => None,
                })
                .collect(),
            _ => {
                self.problems.push(
                    CoreProblem::error(
                        code::TYPE,
                        format!("the merge key `<<` needs a mapping or a list of mappings, found {found}"),
                    )
                    .at(path::key(here, "<<"), Some(key_span.position(self.source)))
                    .help("write `<<: *anchor`; a key that is really called `<<` needs quotes"),
                );
                return;
            }
        };
        for entry in mappings.into_iter().flatten() {
            if known.insert(entry.key.clone()) {
                entries.push(entry);
            }
        }
    }

    fn check_tag(&mut self, tag: Option<&Tag>, fits: &[&str], span: Span, open: &[Open]) {
        let Some(tag) = tag else { return };
        let core = tag.handle == "tag:yaml.org,2002:" || tag.handle == "!!";
        if (core && fits.contains(&tag.suffix.as_str())) || (tag.handle.is_empty() && tag.suffix == "!") {
            return;
        }
        let shown = if core { format!("!!{}", tag.suffix) } else { format!("{}{}", tag.handle, tag.suffix) };
        self.problems.push(
            CoreProblem::error(code::TYPE, format!("the tag `{}` has no meaning here", cut(&shown)))
                .at(place_of(open), Some(span.position(self.source)))
                .help("remove the tag"),
        );
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span, open: &[Open]) -> Content {
        let plain = style == ScalarStyle::Plain;
        let as_text = || Content::Text(text.to_owned());
        self.check_tag(tag, &["str", "int", "float", "bool", "null"], span, open);
        match tag {
            Some(tag) if tag.suffix == "str" || tag.suffix == "!" => as_text(),
            Some(tag) => {
                let resolved = resolve(text).unwrap_or_else(as_text);
                let fits = match tag.suffix.as_str() {
                    "int" => matches!(resolved, Content::Integer(_)),
                    "float" => matches!(resolved, Content::Integer(_) | Content::Float(_)),
                    "bool" => matches!(resolved, Content::Boolean(..)),
                    "null" => matches!(resolved, Content::Null),
                    _ => true,
                };
                if !fits {
                    let problem = CoreProblem::error(
                        code::TYPE,
                        format!("`{}` does not fit its tag `!!{}`", cut(text), cut(&tag.suffix)),
                    )
                    .at(place_of(open), Some(span.position(self.source)))
                    .help("remove the tag");
                    push(self.problems, problem);
                }
                resolved
            }
            None if plain => resolve(text).unwrap_or_else(as_text),
            None => as_text(),
        }
    }
}

/// The same key once more.
fn twice(key: &str, here: &str, span: Span, first: Span, source: u32) -> CoreProblem {
    CoreProblem::error(code::DUPLICATE, format!("the key `{}` is there twice", cut(key)))
        .at(path::key(here, key), Some(span.position(source)))
        .help("remove one of the two")
        .related(Some(first.position(source)), "it is first here")
}

/// Adds a problem while there is room, its path cut to a length that can be shown: a file made to break us has ten
/// thousand mistakes under a key of megabytes.
pub(crate) fn push(problems: &mut Vec<CoreProblem>, mut problem: CoreProblem) {
    const LONGEST_PATH: usize = 1_000;
    if problems.len() >= MAX_PROBLEMS {
        return;
    }
    if problems.len() + 1 == MAX_PROBLEMS {
        problem = CoreProblem::error(code::SYNTAX, format!("more than {MAX_PROBLEMS} problems: the rest is not shown"));
    }
    if problem.path.len() > LONGEST_PATH {
        problem.path = cut_to(&problem.path, LONGEST_PATH);
    }
    problems.push(problem);
}

/// A key is text; of anything else with a text the text is taken, after saying so.
fn key_of(node: Node, is_plain: bool, here: impl Fn() -> String, source: u32, problems: &mut Vec<CoreProblem>) -> Key {
    let position = Some(node.span.position(source));
    match node.content {
        Content::Text(text) if text == "<<" && is_plain => Key::Merge(node.span),
        Content::Text(text) => Key::Text { text, span: node.span, is_odd: false },
        Content::Integer(text) | Content::Float(text) | Content::Boolean(_, text) => {
            problems.push(
                CoreProblem::error(code::TYPE, format!("a key must be text, found `{}`", cut(&text)))
                    .at(path::key(&here(), &text), position)
                    .help(format!("quote the key: `\"{}\": …`", cut(&text))),
            );
            Key::Text { text, span: node.span, is_odd: true }
        }
        Content::Null | Content::List(_) | Content::Mapping(_) => {
            let found = node.found();
            problems.push(
                CoreProblem::error(code::TYPE, format!("a key must be text, found {found}"))
                    .at(here(), position)
                    .help("quote the key; a value that begins with `{` or `[` needs quotes, too"),
            );
            Key::Lost
        }
    }
}

/// The place of the value that comes next, in the collections that are open.
fn place_of(open: &[Open]) -> String {
    let mut place = String::new();
    for collection in open {
        match &collection.content {
            OpenContent::List(items) => path::push_index(&mut place, items.len()),
            OpenContent::Mapping { key: Some(Key::Text { text, .. }), .. } => path::push_key(&mut place, text),
            OpenContent::Mapping { .. } => {}
        }
    }
    place
}

/// The meaning of a plain scalar by the core schema of YAML 1.2; none: text.
fn resolve(text: &str) -> Option<Content> {
    let written = || text.to_owned();
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Content::Null),
        "true" | "True" | "TRUE" => return Some(Content::Boolean(true, written())),
        "false" | "False" | "FALSE" => return Some(Content::Boolean(false, written())),
        ".nan" | ".NaN" | ".NAN" => return Some(Content::Float(written())),
        _ => {}
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits(unsigned)
        || text.strip_prefix("0x").is_some_and(|hex| !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit()))
        || text
            .strip_prefix("0o")
            .is_some_and(|octal| !octal.is_empty() && octal.bytes().all(|b| (b'0'..=b'7').contains(&b)))
    {
        return Some(Content::Integer(written()));
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(Content::Float(written()));
    }
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (unsigned.get(..at)?, Some(unsigned.get(at + 1..)?)),
        None => (unsigned, None),
    };
    let exponent_fits = exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)));
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let mantissa_fits = match fraction {
        Some(fraction) => {
            (digits(whole) && (fraction.is_empty() || digits(fraction))) || (whole.is_empty() && digits(fraction))
        }
        None => digits(whole),
    };
    (exponent_fits && mantissa_fits).then(|| Content::Float(written()))
}

/// The value of a whole number as written; none: it does not fit 64 bits.
pub(crate) fn integer(text: &str) -> Option<i64> {
    if let Some(hex) = text.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok();
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return i64::from_str_radix(octal, 8).ok();
    }
    text.parse().ok()
}
