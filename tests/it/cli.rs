//! The command line as a user meets it: each case is a folder of `tests/cli/`.
//!
//! `command.txt` holds the arguments, a line each run; `< FILE` at its end is standard input. `stdout`, `stderr` and `exit`
//! are what must come out. Other files of the folder are what the command reads; one that ends in `.wat` is there as a
//! component, `.wasm`.

mod formats;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use tests::{Runner, Workdir, folders, golden, root};

use crate::hostile::assemble_text;

fn run(folder: &Path) -> Result<()> {
    let workdir = Workdir::new()?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !path.is_file() || matches!(name.as_str(), "command.txt" | "stdout" | "stderr" | "exit") {
            continue;
        }
        match name.strip_suffix(".wat") {
            Some(name) => workdir.write(&format!("{name}.wasm"), assemble_text(&fs::read_to_string(&path)?))?,
            None => workdir.write(&name, fs::read(&path)?)?,
        };
    }
    let commands = fs::read_to_string(folder.join("command.txt")).context("command.txt")?;
    let (mut stdout, mut stderr, mut exit) = (String::new(), String::new(), String::new());
    for line in commands.lines() {
        let dist = root().join("policies/dist");
        let line = line.replace("{policies}", &dist.display().to_string());
        let (arguments, stdin) = match line.split_once(" < ") {
            Some((arguments, file)) => (arguments, Some(fs::File::open(workdir.path().join(file))?)),
            None => (line.as_str(), None),
        };
        let mut runner = Runner::new(&workdir)?.args(arguments.split_whitespace());
        if let Some(stdin) = stdin {
            runner = runner.stdin(stdin);
        }
        let output = runner.run()?;
        // Digests change with every build of a component, and where the repository lies is nobody's business.
        let normal = |text: &str| normalise(&text.replace(&dist.display().to_string(), "{policies}"));
        stdout.push_str(&normal(&output.stdout));
        stderr.push_str(&normal(&output.stderr));
        writeln!(exit, "{}", output.code.map_or_else(|| "signal".to_owned(), |code| code.to_string()))?;
    }
    golden(&folder.join("stdout"), &stdout)?;
    golden(&folder.join("stderr"), &stderr)?;
    golden(&folder.join("exit"), &exit)
}

fn normalise(text: &str) -> String {
    let mut normal = String::new();
    for line in text.split_inclusive('\n') {
        let mut rest = line;
        for marker in ["sha256:", "\"sha256\": \""] {
            if let Some((before, after)) = rest.split_once(marker) {
                normal.push_str(before);
                normal.push_str(marker);
                normal.push_str("DIGEST");
                rest = after.trim_start_matches(|character: char| character.is_ascii_hexdigit());
            }
        }
        normal.push_str(rest);
    }
    normal
}

#[test]
fn every_command_does_what_its_golden_files_say() {
    let cases = folders(&root().join("tests/cli")).unwrap();
    assert!(!cases.is_empty());
    let failures: Vec<String> =
        cases.iter().filter_map(|folder| Some(format!("{}: {:#}", folder.display(), run(folder).err()?))).collect();
    assert!(failures.is_empty(), "{} of {} cases failed\n\n{}", failures.len(), cases.len(), failures.join("\n\n"));
}

#[test]
fn a_file_that_cannot_be_read_is_said_with_its_place() {
    let workdir = Workdir::new().unwrap();
    let bomb = {
        // Nine levels of nine aliases each: 387 million values.
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let below = vec![format!("*a{}", level - 1); 9].join(", ");
            writeln!(text, "a{level}: &a{level} [{below}]").unwrap();
        }
        text
    };
    let deep = format!("steps: {}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (name, contents, expected) in [
        ("empty.yaml", Vec::new(), "the file is empty: `steps` is missing"),
        ("prose.yaml", b"just words\n".to_vec(), "the file must be a mapping with the key `steps`"),
        ("page.yaml", b"<html>\n\t<b>: [\n".to_vec(), "this is no YAML"),
        ("latin1.yaml", b"# caf\xe9\nsteps: []\n".to_vec(), "the file is no UTF-8 text: byte 0xe9 here"),
        ("nul.yaml", b"steps: [a\0b]\n".to_vec(), "it holds a NUL byte"),
        ("large.yaml", vec![b'#'; 16 * 1024 * 1024 + 1], "more than the limit of 16 MiB"),
        ("bomb.yaml", bomb.into_bytes(), "more than 2000000 values after aliases are followed"),
        ("deep.yaml", deep.into_bytes(), "nested deeper than 64 levels"),
    ] {
        workdir.write(name, contents).unwrap();
        let output = Runner::new(&workdir).unwrap().args(["check", name]).run().unwrap();
        assert_eq!(output.code, Some(2), "{name}: {output:?}");
        assert!(output.stdout.contains(expected), "{name}: {output:?}");
        assert!(output.stdout.contains(&format!("--> {name}:")), "{name}: {output:?}");
    }
    for name in ["missing.yaml", "."] {
        let output = Runner::new(&workdir).unwrap().args(["check", name, "--format", "json"]).run().unwrap();
        assert_eq!(output.code, Some(2), "{name}: {output:?}");
        let printed: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(printed["problems"][0]["file"], name, "{output:?}");
    }
}

/// Files that once took minutes, gigabytes, or both: each is answered within the limits of the core policy.
#[test]
fn large_files_are_read_within_the_limits() {
    let repeat = |count: usize, make: &dyn Fn(usize) -> String| (0..count).map(make).collect::<String>();
    let names = repeat(10_000, &|n| format!("- {{name: cmd_{}, command: a}}\n", 10_001 + n));
    let unnamed = "- a\n".repeat(10_000);
    let labels = repeat(20_000, &|n| format!("  l{n}: x\n"));
    let strangers = repeat(5_000, &|n| format!("- {{id: s{n}, command: a, depends: nobody{n}}}\n"));
    let params = repeat(20_000, &|n| format!("  p{n}: x\n"));
    let keys = repeat(20_000, &|n| format!("key{n}: x\n"));
    let env = repeat(3_000, &|n| format!("      - {{name: E{n}, value: \"${{B}}\"}}\n"));
    let circle = repeat(5_000, &|n| format!("- {{id: s{n}, command: a, depends: s{}}}\n", (n + 1) % 5_000));
    let twice = repeat(20_000, &|_| "a: 1, ".to_owned());
    let numbers = "1,".repeat(400_000);
    let group = format!("- [{}]\n", "a, ".repeat(6_000));
    let chain = format!("type: chain\nsteps:\n{group}{group}");
    let shared = repeat(50, &|n| format!("  - {{name: E{n}, value: x}}\n"));
    let heirs = repeat(300, &|n| format!("- {{id: s{n}, type: k8s}}\n"));
    let anchors = repeat(30, &|n| format!("&a{n} ["));
    for (name, text, code) in [
        ("names", format!("steps:\n{names}{unnamed}"), 0),
        ("labels", format!("labels:\n{labels}steps: [a]\n"), 0),
        (
            "kubelet-variables",
            format!(
                "steps:\n- {{id: a, type: k8s, config: {{image: x}}, command: \"echo {}\"}}\n",
                "$(A)".repeat(100_000)
            ),
            0,
        ),
        ("braces", format!("steps:\n- {{id: a, type: k8s, config: {{image: \"{}}}\"}}}}\n", "${A:".repeat(50_000)), 0),
        ("strangers", format!("steps:\n{strangers}"), 2),
        ("params", format!("params:\n{params}steps: [a]\n"), 0),
        ("keys", format!("{keys}steps: [a]\n"), 2),
        ("env", format!("steps:\n- id: a\n  type: k8s\n  config:\n    image: x\n    env:\n{env}"), 0),
        ("circle", format!("steps:\n{circle}"), 2),
        ("twice", format!("? \"{}\"\n: {{{twice}}}\nsteps: [a]\n", "k".repeat(200_000)), 2),
        ("anchors", format!("x: {anchors}{numbers}{}\nsteps: [a]\n", "]".repeat(30)), 2),
        ("chain", chain, 2),
        ("inherited", format!("kubernetes:\n  image: x\n  env:\n{shared}steps:\n{heirs}"), 0),
    ] {
        let workdir = Workdir::new().unwrap();
        workdir.write("dag.yaml", text).unwrap();
        let output = Runner::new(&workdir).unwrap().args(["check", "dag.yaml", "--format", "json"]).run().unwrap();
        assert_eq!(output.code, Some(code), "{name}: {}", output.stderr);
        assert_eq!(output.stderr, "", "{name}: problems are told as problems");
        if name == "inherited" {
            let output = Runner::new(&workdir).unwrap().args(["render", "dag.yaml"]).run().unwrap();
            assert_eq!(output.code, Some(code), "{name}: {}", output.stderr);
        }
    }
}

#[test]
fn a_policy_that_cannot_be_used_is_refused_before_anything_is_looked_at() {
    let workdir = Workdir::new().unwrap();
    workdir.write("dag.yaml", "steps: [echo hello]\n").unwrap();
    workdir.write("empty.wasm", "").unwrap();
    workdir.write("page.wasm", "<!doctype html><title>not found</title>").unwrap();
    let module = wat::parse_str("(module)").unwrap();
    workdir.write("module.wasm", module).unwrap();
    for (file, expected) in [
        ("missing.wasm", "does not exist"),
        ("empty.wasm", "is empty"),
        ("page.wasm", "is not a WebAssembly component"),
        ("module.wasm", "core WebAssembly module"),
        (".", "is a folder"),
    ] {
        let output = Runner::new(&workdir).unwrap().args(["check", "dag.yaml", "--policy", file]).run().unwrap();
        assert_eq!(output.code, Some(2), "{file}: {output:?}");
        assert!(output.stderr.contains(expected), "{file}: {output:?}");
        assert_eq!(output.stdout, "", "{file}");
        let json = ["check", "dag.yaml", "--policy", file, "--format", "json"];
        let output = Runner::new(&workdir).unwrap().args(json).run().unwrap();
        assert_eq!(output.code, Some(2), "{file}: {output:?}");
        let printed: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(printed["problems"][0]["code"], "policy/failed", "{output:?}");
    }
}

#[test]
fn colours_come_only_when_they_are_wanted() {
    let workdir = Workdir::new().unwrap();
    workdir.write("dag.yaml", "steps: 5\n").unwrap();
    let run = |arguments: &[&str]| Runner::new(&workdir).unwrap().args(arguments).run().unwrap().stdout;
    assert!(!run(&["check", "dag.yaml"]).contains('\u{1b}'));
    assert!(run(&["check", "dag.yaml", "--color", "always"]).contains('\u{1b}'));
    assert!(!run(&["check", "dag.yaml", "--color", "never"]).contains('\u{1b}'));
}

#[test]
fn control_characters_of_the_file_never_reach_the_terminal() {
    let workdir = Workdir::new().unwrap();
    let wrong = "steps:\n  - {id: a, type: \"x\\e[31m\\a\", \"k\\u202ey\": 1, \"\\x9b\": 2}\n";
    workdir.write("wrong\u{7}.yaml", wrong).unwrap();
    let right = "steps:\n  - id: a\n    type: k8s\n    config:\n      image: x\n      annotations: {a: \"\\e[31m\\nimage forged\"}\n";
    workdir.write("right.yaml", right).unwrap();
    // With colours on nothing is taken out afterwards: what is written is what a terminal gets.
    for arguments in [["check", "wrong\u{7}.yaml"], ["explain", "wrong\u{7}.yaml"], ["explain", "right.yaml"]] {
        let output = Runner::new(&workdir).unwrap().args(arguments).args(["--color", "always"]).run().unwrap();
        for text in [&output.stdout, &output.stderr] {
            for character in ['\u{7}', '\u{9b}', '\u{202e}'] {
                assert!(!text.contains(character), "{arguments:?}: {output:?}");
            }
            assert!(!text.contains("\u{1b}[31m"), "{arguments:?}: {output:?}");
            assert!(!text.lines().any(|line| line.starts_with("image forged")), "{arguments:?}: {output:?}");
        }
    }
}

#[test]
fn standard_output_that_cannot_be_written_is_no_success() {
    let workdir = Workdir::new().unwrap();
    workdir.write("dag.yaml", "steps:\n  - {id: a, type: k8s, config: {image: x}}\n").unwrap();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Runner::new(&workdir).unwrap().args(["render", "dag.yaml"]).stdout(full).run().unwrap();
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("standard output cannot be written"), "{output:?}");
}

#[test]
fn json_is_all_there_is_on_standard_output_at_every_exit_code() {
    let workdir = Workdir::new().unwrap();
    workdir
        .write("dag.yaml", "steps:\n  - {id: a, type: k8s, config: {image: x, security_context: {privileged: true}}}\n")
        .unwrap();
    workdir.write("wrong.yaml", "steps: 5\n").unwrap();
    let policy = root().join("policies/dist/no-privileged.wasm").display().to_string();
    for command in ["check", "render", "explain"] {
        for (arguments, code) in [
            (vec!["dag.yaml"], 0),
            (vec!["dag.yaml", "--policy", &policy], 3),
            (vec!["wrong.yaml"], 2),
            (vec!["missing.yaml"], 2),
            (vec!["dag.yaml", "--policy", "missing.wasm"], 2),
        ] {
            let runner = Runner::new(&workdir).unwrap().args([command, "--format", "json"]).args(&arguments);
            let output = runner.run().unwrap();
            assert_eq!(output.code, Some(code), "{command} {arguments:?}: {output:?}");
            let printed: Result<serde_json::Value, _> = serde_json::from_str(&output.stdout);
            assert!(printed.is_ok(), "{command} {arguments:?}: {output:?}");
        }
    }
}

#[test]
fn a_place_in_a_text_that_is_no_utf_8_is_shown() {
    let workdir = Workdir::new().unwrap();
    workdir.write("dag.yaml", b"\xef\xbb\xbf# a\nb: c\xe9\n").unwrap();
    let output = Runner::new(&workdir).unwrap().args(["check", "dag.yaml"]).run().unwrap();
    assert!(output.stdout.contains(" --> dag.yaml:2:5"), "{output:?}");
}

#[test]
fn a_default_base_that_cannot_be_reached_is_said() {
    let workdir = Workdir::new().unwrap();
    workdir.write("dag.yaml", "steps: [a]\n").unwrap();
    workdir.write(".config/runner/README", "").unwrap();
    let base = workdir.path().join(".config/runner/base.yaml");
    std::os::unix::fs::symlink("nowhere", base).unwrap();
    let output = Runner::new(&workdir).unwrap().args(["check", "dag.yaml"]).run().unwrap();
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stdout.contains("cannot be read: there is no such file"), "{output:?}");
}

#[test]
fn completions_know_every_command() {
    let workdir = Workdir::new().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = Runner::new(&workdir).unwrap().args(["completions", shell]).run().unwrap();
        assert_eq!(output.code, Some(0));
        for command in ["check", "render", "explain", "schema", "completions"] {
            assert!(output.stdout.contains(command), "{shell} does not know {command}");
        }
    }
}
