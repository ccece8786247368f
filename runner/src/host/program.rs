//! What a command step runs, word by word: a list, or a text or a script for a shell.

use std::fs::{DirBuilder, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use model::workflow::{Command, Step, Workflow};
use tempfile::TempDir;

use super::StartError;
use crate::journal::new_file;
use crate::small_file::words;

/// The shell where none is set.
const DEFAULT: &str = "sh";

/// Shells that give the word behind the text of `-c` the name `$0`. Other programs take it for the first argument.
const WITH_NAME: [&str; 10] = ["sh", "bash", "dash", "ash", "ksh", "ksh93", "mksh", "zsh", "yash", "rbash"];

/// The shell of a step, or of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shell {
    program: String,
    arguments: Vec<String>,
    is_set: bool,
}

impl Default for Shell {
    fn default() -> Self {
        Shell { program: DEFAULT.to_owned(), arguments: Vec::new(), is_set: false }
    }
}

impl Shell {
    /// The shell of a step, else of the workflow, else `sh`, with the `shell_args` of the same level. A step that sets
    /// only `shell_args` adds them to the shell of the workflow.
    pub fn of(step: Option<&Step>, workflow: &Workflow) -> Shell {
        let (words, own) = step.map_or((&[][..], &[][..]), |step| (&step.shell, &step.shell_args));
        match words.split_first() {
            Some((program, words)) => Shell::new(Some(program), &[words, own]),
            None => {
                let (program, words) =
                    workflow.shell.split_first().map_or((None, &[][..]), |(program, words)| (Some(program), words));
                Shell::new(program, &[words, &workflow.shell_args, own])
            }
        }
    }

    fn new(program: Option<&String>, arguments: &[&[String]]) -> Shell {
        let is_set = program.is_some();
        let program = program.map_or(DEFAULT, String::as_str).to_owned();
        Shell { program, arguments: arguments.concat(), is_set }
    }

    /// The same with each word changed, as by putting variables in.
    #[must_use]
    pub fn map(&self, word: impl Fn(&str) -> String) -> Shell {
        Shell {
            program: word(&self.program),
            arguments: self.arguments.iter().map(|argument| word(argument)).collect(),
            is_set: self.is_set,
        }
    }

    /// `<shell> -c <text>`, and the positional parameters.
    pub fn text(&self, text: &str, positional: &[String]) -> Program {
        let mut words = vec![self.program.clone()];
        words.extend(self.arguments.iter().cloned());
        if !self.arguments.iter().any(|argument| takes_text(argument)) {
            words.push("-c".to_owned());
        }
        words.push(text.to_owned());
        let name = Path::new(&self.program).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !positional.is_empty() && WITH_NAME.contains(&name) {
            words.push(self.program.clone());
        }
        words.extend(positional.iter().cloned());
        Program { words, _script: None }
    }

    /// `<shell> <file>` of a script, and the positional parameters. What the first line names runs it when no shell is set.
    fn script(&self, text: &str, positional: &[String], folder: &Path) -> Result<Program, StartError> {
        let script = Script::write(text, folder)
            .map_err(|error| StartError::Script { folder: folder.display().to_string(), reason: words(&error) })?;
        let mut words = match interpreter(text).filter(|_| !self.is_set) {
            Some(interpreter) => interpreter,
            None => {
                let arguments = self.arguments.iter().filter_map(|argument| without_text(argument));
                [self.program.clone()].into_iter().chain(arguments).collect()
            }
        };
        words.push(script.file.clone());
        words.extend(positional.iter().cloned());
        Ok(Program { words, _script: Some(script) })
    }
}

/// Whether a shell takes the next word for its text: `-c`, or letters of which `c` is the last, as `-ec`.
fn takes_text(argument: &str) -> bool {
    argument
        .strip_prefix('-')
        .is_some_and(|letters| letters.ends_with('c') && letters.bytes().all(|letter| letter.is_ascii_alphabetic()))
}

/// An argument for a shell that runs a file; none: nothing is left of it.
fn without_text(argument: &str) -> Option<String> {
    if !takes_text(argument) {
        return Some(argument.to_owned());
    }
    argument.strip_suffix('c').filter(|rest| *rest != "-").map(str::to_owned)
}

/// Program and argument of a first line with `#!`, as the kernel reads it: what follows the program is one argument.
///
/// The kernel could read it itself, but not from a folder without the right to run programs, nor from a file that another
/// thread's child still has open for writing.
fn interpreter(text: &str) -> Option<Vec<String>> {
    let blank = |character: char| matches!(character, ' ' | '\t');
    let line = text.strip_prefix("#!")?.lines().next()?.trim_matches(blank);
    let (program, argument) = line.split_once(blank).unwrap_or((line, ""));
    let words = [program, argument.trim_matches(blank)].into_iter().filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_owned).collect();
    (!words.is_empty()).then_some(words)
}

/// A program and its arguments, with the file of its script.
#[derive(Debug)]
pub struct Program {
    words: Vec<String>,
    _script: Option<Script>,
}

impl Program {
    /// What a step runs, all variables put in. A script is written to a file below `scripts`, which is made when it is
    /// missing, and removed with the program. Positional parameters are for texts and scripts.
    ///
    /// # Errors
    /// When there is nothing to run, or the script cannot be written.
    pub fn of(command: &Command, shell: &Shell, positional: &[String], scripts: &Path) -> Result<Program, StartError> {
        match command {
            Command::Argv(words) if words.is_empty() => Err(StartError::Nothing),
            Command::Argv(words) => Ok(Program { words: words.clone(), _script: None }),
            Command::Shell(text) => Ok(shell.text(text, positional)),
            Command::Script(text) => shell.script(text, positional, scripts),
        }
    }

    /// The program and its arguments.
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

/// The file of a script, in a folder of its own that only its owner can read.
#[derive(Debug)]
struct Script {
    file: String,
    _folder: TempDir,
}

impl Script {
    fn write(text: &str, below: &Path) -> io::Result<Script> {
        DirBuilder::new().recursive(true).mode(0o700).create(below)?;
        let folder =
            tempfile::Builder::new().prefix("script-").permissions(Permissions::from_mode(0o700)).tempdir_in(below)?;
        let path = folder.path().join("script");
        new_file(&path)?.write_all(text.as_bytes())?;
        let file = path.to_str().ok_or_else(|| io::Error::other("its path is no UTF-8 text"))?.to_owned();
        Ok(Script { file, _folder: folder })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use model::layer::Position;
    use model::workflow::StepKind;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn shell(step: (&str, &str), root: (&str, &str)) -> Shell {
        let position = Position { source: 0, line: 1, column: 1, offset: 0, length: 0 };
        let mut of = Step::new("a", StepKind::Command, "steps[0]", position);
        (of.shell, of.shell_args) = (words(step.0), words(step.1));
        let workflow = Workflow { shell: words(root.0), shell_args: words(root.1), ..Workflow::default() };
        Shell::of(Some(&of), &workflow)
    }

    #[test]
    fn a_text_goes_to_the_shell_of_the_step_or_of_the_workflow() {
        for (step, root, expected) in [
            (("", ""), ("", ""), "sh -c TEXT"),
            (("", ""), ("bash", "-e -u"), "bash -e -u -c TEXT"),
            (("", ""), ("", "-e"), "sh -e -c TEXT"),
            (("zsh -f", "-e"), ("bash", "-u"), "zsh -f -e -c TEXT"),
            (("zsh", ""), ("bash", "-u"), "zsh -c TEXT"),
            (("", "-x"), ("bash", "-e"), "bash -e -x -c TEXT"),
            (("bash -c", ""), ("", ""), "bash -c TEXT"),
            (("bash -ec", ""), ("", ""), "bash -ec TEXT"),
            (("bash --norc", ""), ("", ""), "bash --norc -c TEXT"),
            (("python3 -I", ""), ("", ""), "python3 -I -c TEXT"),
        ] {
            assert_eq!(shell(step, root).text("TEXT", &[]).words(), words(expected), "{step:?} {root:?}");
        }
    }

    #[test]
    fn positional_parameters_follow_the_name_where_a_shell_has_one() {
        let positional = words("one two");
        for (program, expected) in [
            ("sh", "sh -c TEXT sh one two"),
            ("/bin/bash -e", "/bin/bash -e -c TEXT /bin/bash one two"),
            ("python3", "python3 -c TEXT one two"),
            ("fish", "fish -c TEXT one two"),
        ] {
            assert_eq!(shell((program, ""), ("", "")).text("TEXT", &positional).words(), words(expected));
        }
    }

    /// The words for a script, its file replaced by `FILE`.
    fn scripted(shell: &Shell, text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let command = Command::Script(text.to_owned());
        let program = Program::of(&command, shell, &words("one"), folder.path()).unwrap();
        let file = program._script.as_ref().unwrap().file.clone();
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        let joined = program.words().join("|").replace(&file, "FILE");
        drop(program);
        assert!(!Path::new(&file).exists());
        joined
    }

    #[test]
    fn a_script_is_run_by_its_first_line_unless_a_shell_is_set() {
        let (none, set) = (shell(("", ""), ("", "")), shell(("bash", ""), ("", "")));
        let script = "#!/usr/bin/env  python3 -I \nprint()\n";
        assert_eq!(scripted(&none, script), "/usr/bin/env|python3 -I|FILE|one");
        assert_eq!(scripted(&set, script), "bash|FILE|one");
        assert_eq!(scripted(&none, "#! /bin/bash\r\n"), "/bin/bash|FILE|one");
        for plain in ["echo hi\n", "#!\n", "#!", " #!/bin/bash\n", "# !/bin/bash\n"] {
            assert_eq!(scripted(&none, plain), "sh|FILE|one", "{plain:?}");
        }
        assert_eq!(scripted(&shell(("", ""), ("", "-e")), "echo hi"), "sh|-e|FILE|one");
        assert_eq!(scripted(&shell(("bash -c", ""), ("", "")), "echo hi"), "bash|FILE|one");
        assert_eq!(scripted(&shell(("bash -ec", ""), ("", "")), "echo hi"), "bash|-e|FILE|one");
    }

    #[test]
    fn nobody_else_can_read_a_script() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("run/scripts");
        let command = Command::Script("echo".to_owned());
        let program = Program::of(&command, &Shell::default(), &[], &below).unwrap();
        let file = Path::new(program.words().last().unwrap());
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(file), mode(file.parent().unwrap()), mode(&below)), (0o600, 0o700, 0o700));
    }

    #[test]
    fn a_list_runs_as_it_is() {
        let list = Command::Argv(words("app --flag"));
        let program = Program::of(&list, &Shell::default(), &words("one"), Path::new("/nowhere")).unwrap();
        assert_eq!(program.words(), words("app --flag"));
        let nothing = Program::of(&Command::Argv(Vec::new()), &Shell::default(), &[], Path::new("/nowhere"));
        assert_eq!(nothing.unwrap_err(), StartError::Nothing);
    }

    #[test]
    fn a_script_that_cannot_be_written_says_where() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let below = folder.path().join("file/scripts");
        let error = Program::of(&Command::Script("x".to_owned()), &Shell::default(), &[], &below).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the script cannot be written below `{}`: not a directory", below.display())
        );
    }
}
