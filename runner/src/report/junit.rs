//! JUnit reports: CI systems list tests by name, with the words of those that failed.
//!
//! The document is made here; what is a test of it, in `check` for problems, and beside the other reports of runs for steps.

mod check;

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{escape, escape_line};

pub use check::junit;

/// The whole document.
///
/// # Errors
/// When it cannot be written into memory.
pub(super) fn document(name: &str, suites: &[Suite]) -> io::Result<String> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let counts = Counts::of(suites.iter().flat_map(|suite| &suite.cases));
    let element = writer.create_element("testsuites").with_attribute(("name", name));
    counts.write(element).write_inner_content(|writer| {
        for suite in suites {
            suite.write(writer)?;
        }
        Ok(())
    })?;
    let mut xml = writer.into_inner();
    xml.push(b'\n');
    String::from_utf8(xml).map_err(io::Error::other)
}

/// Tests that belong together.
pub(super) struct Suite {
    name: String,
    cases: Vec<Case>,
}

/// One test.
pub(super) struct Case {
    pub(super) class: String,
    pub(super) name: String,
    pub(super) place: Option<(String, Option<u32>)>,
    /// How long it took; none: that says nothing about it.
    pub(super) time: Option<Duration>,
    pub(super) result: CaseResult,
    /// What it has to say beside its result.
    pub(super) output: String,
}

pub(super) enum CaseResult {
    Passed,
    Failed(Words),
    /// Nobody can say whether it would have passed.
    Broke(Words),
    /// It was not run, for this reason.
    Skipped(String),
}

pub(super) struct Words {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) text: String,
}

impl Suite {
    /// Tests are known by their names: two of one name would be shown as one, so the second one is numbered.
    pub(super) fn new(name: String, mut cases: Vec<Case>) -> Suite {
        let mut names: HashMap<String, usize> = HashMap::new();
        for case in &mut cases {
            let count = names.entry(case.name.clone()).or_default();
            *count += 1;
            if *count > 1 {
                case.name.push_str(&format!(" ({count})"));
            }
        }
        Suite { name, cases }
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        let element = writer.create_element("testsuite").with_attribute(("name", attribute(&self.name).as_str()));
        Counts::of(&self.cases).write(element).write_inner_content(|writer| {
            for case in &self.cases {
                case.write(writer)?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

impl Case {
    fn write(&self, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        let mut element = writer
            .create_element("testcase")
            .with_attribute(("classname", attribute(&self.class).as_str()))
            .with_attribute(("name", attribute(&self.name).as_str()));
        if let Some((file, line)) = &self.place {
            element = element.with_attribute(("file", attribute(file).as_str()));
            if let Some(line) = line {
                element = element.with_attribute(("line", line.to_string().as_str()));
            }
        }
        let element = element.with_attribute(("time", seconds(self.time.unwrap_or_default()).as_str()));
        if matches!(self.result, CaseResult::Passed) && self.output.is_empty() {
            element.write_empty()?;
            return Ok(());
        }
        element.write_inner_content(|writer| {
            match &self.result {
                CaseResult::Passed => {}
                CaseResult::Failed(words) => words.write("failure", writer)?,
                CaseResult::Broke(words) => words.write("error", writer)?,
                CaseResult::Skipped(why) => {
                    let element = writer.create_element("skipped");
                    element.with_attribute(("message", attribute(why).as_str())).write_empty()?;
                }
            }
            if !self.output.is_empty() {
                writer.create_element("system-out").write_text_content(BytesText::new(&content(&self.output)))?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

impl Words {
    fn write(&self, element: &str, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        writer
            .create_element(element)
            .with_attribute(("type", attribute(&self.code).as_str()))
            .with_attribute(("message", attribute(&self.message).as_str()))
            .write_text_content(BytesText::new(&content(&self.text)))?;
        Ok(())
    }
}

/// How many tests there are, and how long they took one after the other.
#[derive(Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    time: Duration,
}

impl Counts {
    fn of<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Counts {
        let mut counts = Counts::default();
        for case in cases {
            counts.tests += 1;
            counts.time += case.time.unwrap_or_default();
            match case.result {
                CaseResult::Passed => {}
                CaseResult::Failed(_) => counts.failures += 1,
                CaseResult::Broke(_) => counts.errors += 1,
                CaseResult::Skipped(_) => counts.skipped += 1,
            }
        }
        counts
    }

    fn write<'a>(
        &self,
        element: quick_xml::writer::ElementWriter<'a, Vec<u8>>,
    ) -> quick_xml::writer::ElementWriter<'a, Vec<u8>> {
        let Counts { tests, failures, errors, skipped, time } = self;
        [("tests", tests), ("failures", failures), ("errors", errors), ("skipped", skipped)]
            .into_iter()
            .fold(element, |element, (name, count)| element.with_attribute((name, count.to_string().as_str())))
            .with_attribute(("time", seconds(*time).as_str()))
    }
}

/// Seconds, to the millisecond; whole ones without a point.
fn seconds(time: Duration) -> String {
    let text = format!("{:.3}", time.as_secs_f64());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Text that stays on one line: XML makes a blank of a line end in an attribute.
fn attribute(text: &str) -> String {
    allowed(&escape_line(text))
}

fn content(text: &str) -> String {
    allowed(&escape(text))
}

/// XML 1.0 knows no way to write two characters that are no control characters: <https://www.w3.org/TR/xml/#charsets>.
fn allowed(text: &str) -> String {
    text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}
