//! A YAML document as a small tree in which every key and value knows its place and its text as written.
//!
//! Built from parser events under budgets (size, depth, nodes), so that reading always ends. Aliases are copied with
//! the place of the alias, merge keys (`<<`) are put in. Only text that is no YAML ends the work; a key that is there
//! twice or is no text is a problem, and reading goes on.

mod directives;
mod node;
mod places;
mod scalar;

use std::collections::HashMap;

use model::path;
use model::problem::{CoreProblem, code};
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

pub(crate) use node::{Content, Entry, Node, Span, cut, cut_to};
use places::Places;
use scalar::resolve;
pub(crate) use scalar::{integer, number};

/// Largest text, in bytes.
pub(crate) const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Deepest nesting.
pub(crate) const MAX_DEPTH: usize = 64;
/// Largest number of problems of one file that are told.
pub(crate) const MAX_PROBLEMS: usize = 10_000;
/// Longest path of a problem, in characters.
const LONGEST_PATH: usize = 1_000;
/// Largest number of nodes after aliases are followed.
pub(crate) const MAX_NODES: usize = 2_000_000;

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
    if let Some((at, version)) = directives::foreign_version(body) {
        problems.push(
            syntax(
                format!("the file says it is YAML {}, and only YAML 1 is read here", cut(version)),
                places.of_byte(at),
            )
            .help("remove the line, or write `%YAML 1.2`"),
        );
        return None;
    }
    let mut builder = Builder { places: &places, source, problems, anchors: HashMap::new(), nodes: 0 };
    match builder.document(&mut Parser::new_from_str(&directives::plain(body))) {
        Ok(document) => document,
        Err(problem) => {
            problems.push(*problem);
            None
        }
    }
}

type Failed = Box<CoreProblem>;

/// What the parser says of slips that are often made, and what to do about them.
const SLIPS: [(&str, &str); 9] = [
    ("mapping values are not allowed", "is the line indented like its neighbours? a text with `: ` in it needs quotes"),
    ("simple key expect", "a key needs a colon and a space: `key: value`"),
    ("unknown anchor", "put `&name` before the first `*name`; a text that begins with `*` needs quotes"),
    ("quoted scalar", "is the quote closed? in double quotes `\\\\` is a backslash, single quotes need none"),
    ("unexpected character", "a text that begins with this character needs quotes"),
    ("only valid inside a block", "is a `{` or `[` before it not closed?"),
    ("did not find expected ','", "put `,` between two entries, and close with `}` or `]`"),
    ("valid YAML whitespace", "write a space after the colon, no tab"),
    ("<document start>", "let all keys of the file begin in the same column"),
];

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
        let help = SLIPS.iter().find(|(part, _)| error.info().contains(part)).map(|(_, help)| *help);
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

/// The place of the value that comes next, in the collections that are open. Of a key that is longer than any path that
/// is shown, the rest is left out: ten thousand mistakes may stand under it.
fn place_of(open: &[Open]) -> String {
    let mut place = String::new();
    let start = |key: &str| match key.char_indices().nth(LONGEST_PATH + 1) {
        Some((end, _)) => key.get(..end).unwrap_or_default().to_owned(),
        None => key.to_owned(),
    };
    for collection in open {
        match &collection.content {
            OpenContent::List(items) => path::push_index(&mut place, items.len()),
            OpenContent::Mapping { key: Some(Key::Text { text, .. }), .. } => path::push_key(&mut place, &start(text)),
            OpenContent::Mapping { .. } => {}
        }
    }
    place
}
