//! The manual: a page for each command, made of the same types as its help, and what the help has no place for.

use std::io;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::Cli;

/// A page of the manual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Name of its file, as `runner-exec.1`.
    pub file: String,
    /// Its text, for troff.
    pub text: Vec<u8>,
}

/// What the exit codes of every command mean; those of `exec` are told more closely on its own page.
const EXIT_STATUS: [(&str, &str); 7] = [
    ("0", "It succeeded."),
    ("1", "A step of the run failed."),
    ("2", "The file, the options or a policy component are invalid. Nothing ran."),
    ("3", "A policy denied. What it denies as written stops everything, what it denies by its final values that step."),
    ("4", "There is no usable cluster. Nothing ran."),
    ("130, 143", "The run was stopped: by Ctrl-C; by SIGTERM, SIGHUP or `runner runs cancel`."),
    ("131", "The run was detached: its Jobs go on, `runner runs resume` takes it up again."),
];

/// Variables of the environment that the program reads for itself.
const ENVIRONMENT: [(&str, &str); 5] = [
    ("KUBECONFIG", "Kubeconfig files, when neither an option nor the workflow names one."),
    ("NO_COLOR", "When it is set and not empty: no colours."),
    ("XDG_CONFIG_HOME", "Where runner/base.yaml is looked for. Without it ~/.config."),
    ("XDG_STATE_HOME", "Where runner/runs/ holds journals and logs. Without it ~/.local/state."),
    ("XDG_CACHE_HOME", "Where compiled policies are kept. Without it ~/.cache."),
];

/// Every page, the one of the program first.
///
/// # Errors
/// Never in practice: the pages are written into memory.
pub fn man_pages() -> io::Result<Vec<Page>> {
    let mut program = Cli::command();
    program.build();
    let mut pages = vec![page(&program, PROGRAM)?];
    add_commands(&program, &mut pages)?;
    Ok(pages)
}

/// Sections that only the page of the program has.
const PROGRAM: [(&str, &[(&str, &str)]); 2] = [("EXIT STATUS", &EXIT_STATUS), ("ENVIRONMENT", &ENVIRONMENT)];

fn add_commands(above: &Command, pages: &mut Vec<Page>) -> io::Result<()> {
    for command in above.get_subcommands().filter(|command| !command.is_hide_set()) {
        pages.push(page(command, [])?);
        add_commands(command, pages)?;
    }
    Ok(())
}

fn page<'a>(
    command: &Command,
    sections: impl IntoIterator<Item = (&'a str, &'a [(&'a str, &'a str)])>,
) -> io::Result<Page> {
    let source = concat!("runner ", env!("CARGO_PKG_VERSION"));
    // A page has the date of nothing: the same program has the same pages. Left empty, the words after it would move up.
    let page = Man::new(command.clone()).source(source).date("\"\"").manual("runner manual");
    let mut text = Vec::new();
    page.render(&mut text)?;
    let mut more = Roff::new();
    for (title, entries) in sections {
        more.control("SH", [title]);
        for (term, meaning) in entries {
            more.control("TP", []).text([bold(*term)]).text([roman(*meaning)]);
        }
    }
    text.extend(more.to_roff().into_bytes());
    Ok(Page { file: page.get_filename(), text })
}
