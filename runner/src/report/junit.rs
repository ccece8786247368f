//! Problems as a JUnit report: a suite for each workflow file.
//!
//! CI systems list tests by name, with the words of those that failed. So each problem is a test: an error has failed, a
//! warning has passed and says its words as output, for it stops nothing. A file without problems is one test that has
//! passed. Where nothing could be judged there is one suite with a test that broke.

use std::collections::HashMap;
use std::io;

use model::problem::{Problem, Severity};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::checked::{Checked, CheckedFile, FilePath, words};
use super::{escape, escape_line};

/// The report.
///
/// # Errors
/// When it cannot be written into memory.
pub fn junit(checked: &Checked) -> io::Result<String> {
    let mut suites: Vec<Suite> = checked.files().iter().map(Suite::of_file).collect();
    if !checked.failures().is_empty() {
        suites.push(Suite::of_failures(checked.failures()));
    }
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let counts = Counts::of(suites.iter().flat_map(|suite| &suite.cases));
    let element = writer.create_element("testsuites").with_attribute(("name", "runner check"));
    counts.write(element).write_inner_content(|writer| {
        for suite in &suites {
            suite.write(writer)?;
        }
        Ok(())
    })?;
    let mut xml = writer.into_inner();
    xml.push(b'\n');
    String::from_utf8(xml).map_err(io::Error::other)
}

/// The tests of a file.
struct Suite {
    name: String,
    cases: Vec<Case>,
}

/// One test.
struct Case {
    class: String,
    name: String,
    place: Option<(String, Option<u32>)>,
    result: CaseResult,
}

enum CaseResult {
    Passed,
    /// Passed, with output.
    Warned(String),
    Failed(Words),
    /// The program could not judge.
    Broke(Words),
}

struct Words {
    code: String,
    message: String,
    text: String,
}

impl Suite {
    /// Tests are known by their names: two of one name would be shown as one, so the second one is numbered.
    fn new(name: String, mut cases: Vec<Case>) -> Suite {
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

    fn of_file(file: &CheckedFile) -> Suite {
        let name = FilePath::new(&file.name).to_string();
        let mut cases: Vec<Case> = file.problems.iter().map(|problem| Case::of_problem(problem, &name)).collect();
        if cases.is_empty() {
            cases.push(Case {
                class: name.clone(),
                name: "no problems".to_owned(),
                place: Some((name.clone(), None)),
                result: CaseResult::Passed,
            });
        }
        Suite::new(name, cases)
    }

    fn of_failures(failures: &[Problem]) -> Suite {
        let cases = failures.iter().map(|failure| Case {
            class: "runner".to_owned(),
            name: failure.code.clone(),
            place: None,
            result: CaseResult::Broke(Words::of(failure)),
        });
        Suite::new("runner".to_owned(), cases.collect())
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
    fn of_problem(problem: &Problem, workflow: &str) -> Case {
        let file = problem.file.as_deref().map_or_else(|| workflow.to_owned(), |file| FilePath::new(file).to_string());
        let name = [problem.code.as_str(), problem.path.as_str()].join(" ").trim_end().to_owned();
        let words = Words::of(problem);
        Case {
            class: file.clone(),
            name,
            place: Some((file, problem.line)),
            result: match problem.severity {
                Severity::Error => CaseResult::Failed(words),
                Severity::Warning | Severity::Info => CaseResult::Warned(words.text),
            },
        }
    }

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
        let element = element.with_attribute(("time", "0"));
        match &self.result {
            CaseResult::Passed => element.write_empty()?,
            CaseResult::Warned(text) => element.write_inner_content(|writer| {
                writer.create_element("system-out").write_text_content(BytesText::new(&content(text)))?;
                Ok(())
            })?,
            CaseResult::Failed(words) => element.write_inner_content(|writer| words.write("failure", writer))?,
            CaseResult::Broke(words) => element.write_inner_content(|writer| words.write("error", writer))?,
        };
        Ok(())
    }
}

impl Words {
    fn of(problem: &Problem) -> Words {
        let place = match (&problem.file, problem.line, problem.column) {
            (Some(file), Some(line), Some(column)) => format!("{file}:{line}:{column}: "),
            _ => problem.step.as_ref().map(|step| format!("step `{step}`: ")).unwrap_or_default(),
        };
        let head = format!("{place}{}[{}]: ", problem.severity.as_str(), problem.code);
        Words { code: problem.code.clone(), message: problem.message.clone(), text: head + &words(problem).join("\n") }
    }

    fn write(&self, element: &str, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        writer
            .create_element(element)
            .with_attribute(("type", attribute(&self.code).as_str()))
            .with_attribute(("message", attribute(&self.message).as_str()))
            .write_text_content(BytesText::new(&content(&self.text)))?;
        Ok(())
    }
}

/// How many tests there are.
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
}

impl Counts {
    fn of<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Counts {
        let mut counts = Counts { tests: 0, failures: 0, errors: 0 };
        for case in cases {
            counts.tests += 1;
            match case.result {
                CaseResult::Passed | CaseResult::Warned(_) => {}
                CaseResult::Failed(_) => counts.failures += 1,
                CaseResult::Broke(_) => counts.errors += 1,
            }
        }
        counts
    }

    fn write<'a>(
        &self,
        element: quick_xml::writer::ElementWriter<'a, Vec<u8>>,
    ) -> quick_xml::writer::ElementWriter<'a, Vec<u8>> {
        [("tests", self.tests), ("failures", self.failures), ("errors", self.errors), ("skipped", 0), ("time", 0)]
            .into_iter()
            .fold(element, |element, (name, count)| element.with_attribute((name, count.to_string().as_str())))
    }
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
