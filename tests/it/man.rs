//! The manual: a page for each command, and pages that a formatter has nothing to say about.
//!
//! The text of the first page is a case of `tests/cli/`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use tests::{Runner, Workdir};

/// The commands that a help text lists: the first words of the lines after `Commands:`.
fn commands(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A line that goes on with the words of the line before stands further right.
    list.filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

fn files(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_command_has_a_page() {
    let workdir = Workdir::new().unwrap();
    let output = Runner::new(&workdir).unwrap().args(["man", "pages/of/the/manual"]).run().unwrap();
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(0), "", ""));
    let help = |arguments: &[&str]| Runner::new(&workdir).unwrap().args(arguments).run().unwrap().stdout;
    let mut expected = BTreeSet::from(["runner.1".to_owned()]);
    for command in commands(&help(&["--help"])) {
        expected.insert(format!("runner-{command}.1"));
        for below in commands(&help(&[&command, "--help"])) {
            expected.insert(format!("runner-{command}-{below}.1"));
        }
    }
    assert!(expected.contains("runner-runs-resume.1"), "{expected:?}");
    assert_eq!(files(&workdir.path().join("pages/of/the/manual")), expected);
}

#[test]
fn formatters_find_nothing_wrong_with_the_pages() {
    let workdir = Workdir::new().unwrap();
    Runner::new(&workdir).unwrap().args(["man", "pages"]).run().unwrap();
    let folder = workdir.path().join("pages");
    for page in files(&folder) {
        let text = std::fs::read_to_string(folder.join(&page)).unwrap();
        let title = page.trim_end_matches(".1");
        // An empty date: without it the name of the program would stand in its place.
        assert!(text.contains(&format!(".TH {title} 1 \"\" \"runner ")), "{page}: {text}");
        for line in text.lines().filter(|line| line.starts_with('.')) {
            let known = [".ie ", ".el ", ".TH ", ".SH ", ".TP", ".RS", ".RE", ".IP ", ".PP", ".br"];
            assert!(known.iter().any(|macro_name| line.starts_with(macro_name)), "{page}: {line}");
        }
        for lint in [&["groff", "-man", "-ww", "-z", "-Tutf8"][..], &["mandoc", "-Tlint", "-Wwarning"]] {
            let command = Command::new(lint[0]).args(&lint[1..]).arg(folder.join(&page)).stdin(Stdio::null()).output();
            // Where a formatter is missing the lines above have to do.
            let Ok(output) = command else { continue };
            let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(output.status.success() && told.is_empty(), "{lint:?} {page}: {told}");
        }
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let workdir = Workdir::new().unwrap();
    workdir.write("taken", "").unwrap();
    let output = Runner::new(&workdir).unwrap().args(["man", "taken"]).run().unwrap();
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("`taken` cannot be written"), "{output:?}");
}
