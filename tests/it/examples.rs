//! The examples run as their first lines say.

use std::fs;

use tests::{Runner, Workdir, root};

#[test]
fn every_example_runs_on_the_local_cluster() {
    let folder = root().join("runner/examples");
    let mut seen = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        if !text.contains("\nsteps:") {
            continue;
        }
        seen += 1;
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // The command of the comment, word by word, but for what the folder of the test must be.
        let command = text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .find_map(|line| line.split_once("runner exec ").map(|(_, arguments)| arguments.to_owned()));
        let arguments = command.unwrap_or_else(|| panic!("`{name}` does not say how it is run"));
        let workdir = Workdir::new().unwrap();
        let runner = Runner::in_folder(&root()).unwrap();
        let state = workdir.path().display().to_string();
        let output = runner.args(["exec", "--state-dir", &state]).args(arguments.split_whitespace()).run().unwrap();
        assert_eq!(output.code, Some(0), "{name}: {output:?}");
    }
    assert!(seen >= 4, "{seen}");
}

#[test]
fn the_complete_example_migrates_then_reports() {
    let workdir = Workdir::new().unwrap();
    let state = workdir.path().display().to_string();
    let arguments = [
        "exec",
        "--local",
        "--state-dir",
        &state,
        "--local-objects",
        "runner/examples/complete-objects.yaml",
        "runner/examples/complete.yaml",
    ];
    let output = Runner::in_folder(&root()).unwrap().args(arguments).run().unwrap();
    assert_eq!(output.code, Some(0), "{output:?}");
    let migrated = output.stdout.find("migrate │ migrating a database whose address has 33 characters");
    let reported = output.stdout.find("report  │ report --date 2026-01-02");
    assert!(migrated.is_some() && migrated < reported, "{output:?}");
    assert!(!output.stdout.contains("postgres://") && !output.stderr.contains("postgres://"), "{output:?}");
    assert!(output.stderr.contains("local cluster: containers are processes of this machine"), "{output:?}");
}
