//! Real programs: each test waits for what it tests, with a deadline.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use model::workflow::Command as Words;
use tokio::sync::{mpsc, watch};

use super::*;
use crate::step::Stop;

/// A grace that is never over.
const NEVER: Duration = Duration::MAX;
const SOON: Duration = Duration::from_millis(100);

/// A program that runs, with what it has printed.
struct Running {
    end: tokio::task::JoinHandle<End>,
    chunks: mpsc::Receiver<Chunk>,
    stop: watch::Sender<Stop>,
    identity: Identity,
    printed: String,
    errors: String,
}

fn launch(text: &str) -> Launch {
    Launch {
        program: Shell::default().text(text, &[]),
        folder: std::env::temp_dir(),
        environment: BTreeMap::new(),
        streams: Streams::Apart,
    }
}

impl Running {
    fn start(launch: Launch, grace: Duration, after_end: Duration) -> Running {
        let process = launch.start().unwrap();
        let identity = process.identity();
        let (sender, chunks) = mpsc::channel(1);
        let (stop, stopped) = watch::channel(Stop::No);
        let end = tokio::spawn(process.follow_within(sender, stopped, grace, after_end));
        Running { end, chunks, stop, identity, printed: String::new(), errors: String::new() }
    }

    async fn next(&mut self) -> bool {
        let chunk = tokio::time::timeout(Duration::from_secs(30), self.chunks.recv()).await;
        let Some(Chunk { stream, bytes }) = chunk.expect("it prints nothing and does not end") else { return false };
        let text = std::str::from_utf8(&bytes).unwrap();
        match stream {
            Stream::Output => self.printed.push_str(text),
            Stream::Error => self.errors.push_str(text),
        }
        true
    }

    /// Waits until it has printed this.
    async fn until(&mut self, text: &str) {
        while !self.printed.contains(text) {
            assert!(self.next().await, "it ended with {:?}, {:?}", self.printed, self.errors);
        }
    }

    async fn end(mut self) -> (End, String, String) {
        while self.next().await {}
        let end = tokio::time::timeout(Duration::from_secs(30), self.end).await.expect("it does not end");
        (end.unwrap(), self.printed, self.errors)
    }
}

async fn run(launch: Launch) -> (End, String, String) {
    Running::start(launch, NEVER, NEVER).end().await
}

fn ended(code: i32) -> End {
    End { exit_code: Some(code), signal: None, stop: Stop::No, is_held: false }
}

/// Waits until no process of this number runs.
async fn wait_for_end(pid: &str) {
    let start = Instant::now();
    let stat = format!("/proc/{}/stat", pid.trim());
    let runs = || {
        let stat = fs::read_to_string(&stat).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    while runs() {
        assert!(start.elapsed().as_secs() < 30, "{pid} still runs");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn both_streams_and_the_code_arrive() {
    let (end, printed, errors) = run(launch("echo out; echo err >&2; exit 3")).await;
    assert_eq!((end, &printed[..], &errors[..]), (ended(3), "out\n", "err\n"));
}

#[tokio::test]
async fn together_the_streams_keep_their_order() {
    let text =
        "for n in 0 1 2 3 4 5 6 7 8 9; do for m in 0 1 2 3 4 5 6 7 8 9; do echo $n$m; echo e$n$m >&2; done; done";
    let (end, printed, errors) = run(Launch { streams: Streams::Together, ..launch(text) }).await;
    let expected: String = (0..100).map(|number| format!("{number:02}\ne{number:02}\n")).collect();
    assert_eq!((end, printed, &errors[..]), (ended(0), expected, ""));
}

#[tokio::test]
async fn a_signal_gives_its_number_and_128() {
    let (end, ..) = run(launch("kill -KILL $$")).await;
    assert_eq!(end, End { signal: Some(9), ..ended(137) });
}

#[tokio::test]
async fn it_has_its_folder_its_variables_a_group_and_no_input() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let text = "cat; pwd; echo \"$NAME ${PATH:+path}\"; test \"$(cut -d' ' -f5 /proc/$$/stat)\" = $$ && echo leader";
    let environment = BTreeMap::from([("NAME".to_owned(), "a  'b'".to_owned())]);
    let (end, printed, errors) = run(Launch { folder: folder.clone(), environment, ..launch(text) }).await;
    assert_eq!(printed, format!("{}\na  'b' path\nleader\n", folder.display()));
    assert_eq!((end, &errors[..]), (ended(0), ""));
}

#[tokio::test]
async fn texts_and_scripts_get_positional_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let positional = ["one".to_owned(), "two  2".to_owned()];
    for command in [
        Words::Shell("echo \"$#\" \"$2\"".to_owned()),
        Words::Script("echo \"$#\" \"$2\"\n".to_owned()),
        Words::Script("#!/bin/sh -e\nfalse || echo \"$#\" \"$2\"; false; echo no\n".to_owned()),
    ] {
        let program = Program::of(&command, &Shell::default(), &positional, folder.path()).unwrap();
        let (_, printed, errors) = run(Launch { program, ..launch("") }).await;
        assert_eq!((&printed[..], &errors[..]), ("2 two  2\n", ""), "{command:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the script is removed");
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_stops_the_program_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let text = "head -c 2000000 /dev/zero; touch done";
    let mut running = Running::start(Launch { folder: folder.path().to_owned(), ..launch(text) }, NEVER, NEVER);
    let done = folder.path().join("done");
    running.until("\0").await;
    assert!(!done.exists(), "it ran on without a reader");
    let (end, printed, _) = running.end().await;
    assert_eq!((end, printed.len(), done.exists()), (ended(0), 2_000_000, true));
}

#[tokio::test]
async fn a_reader_that_has_gone_stops_nothing() {
    let mut running = Running::start(launch("head -c 2000000 /dev/zero; exit 7"), NEVER, NEVER);
    running.chunks.close();
    while running.chunks.recv().await.is_some() {}
    assert_eq!(running.end().await.0, ended(7));
}

#[tokio::test]
async fn a_stop_is_the_signal_and_what_the_program_makes_of_it() {
    // Between two commands a shell hears every signal.
    let text = "trap 'echo stopped; exit 5' TERM; echo ready; while :; do :; done";
    let mut running = Running::start(launch(text), NEVER, NEVER);
    running.until("ready\n").await;
    running.stop.send(Stop::Gently).unwrap();
    let (end, printed, _) = running.end().await;
    assert_eq!(end, End { stop: Stop::Gently, ..ended(5) });
    assert_eq!(printed, "ready\nstopped\n");
}

#[tokio::test]
async fn a_program_that_does_not_listen_is_killed_when_its_time_is_over_or_at_once() {
    for (grace, stops) in
        [(SOON, &[Stop::Gently][..]), (NEVER, &[Stop::Gently, Stop::AtOnce]), (NEVER, &[Stop::AtOnce])]
    {
        let mut running = Running::start(launch("trap '' TERM; echo ready; sleep 600"), grace, NEVER);
        running.until("ready\n").await;
        for stop in stops {
            running.stop.send(*stop).unwrap();
        }
        let (end, ..) = running.end().await;
        assert_eq!(end, End { signal: Some(9), stop: Stop::AtOnce, ..ended(137) }, "{stops:?}");
    }
}

#[tokio::test]
async fn a_stop_leaves_nothing_of_the_group() {
    // The child does not listen, and its parent does not wait for it.
    let text = "(trap '' TERM; exec sleep 600) & echo $!; wait";
    let mut running = Running::start(launch(text), NEVER, SOON);
    running.until("\n").await;
    running.stop.send(Stop::Gently).unwrap();
    let (end, child, _) = running.end().await;
    assert_eq!((end.exit_code, end.stop), (Some(143), Stop::Gently));
    wait_for_end(&child).await;
}

#[tokio::test]
async fn what_runs_in_the_background_is_waited_for_only_briefly_and_known_later() {
    for (text, after_end, is_held) in
        [("sleep 600 & echo $!", SOON, true), ("sleep 600 >/dev/null 2>&1 & echo $!", NEVER, false)]
    {
        let environment = BTreeMap::from([("MARK".to_owned(), "here".to_owned())]);
        let running = Running::start(Launch { environment, ..launch(text) }, NEVER, after_end);
        let identity = running.identity.clone();
        let (end, child, _) = running.end().await;
        assert_eq!(end, End { is_held, ..ended(0) });
        assert!(!identity.signal(Signal::KILL, |variable| variable == b"MARK=elsewhere"));
        assert!(identity.signal(Signal::KILL, |variable| variable == b"MARK=here"), "it was not left alone");
        wait_for_end(&child).await;
    }
}

#[tokio::test]
async fn a_program_that_nobody_follows_any_more_is_killed() {
    let mut running = Running::start(launch("echo $$; sleep 600"), NEVER, NEVER);
    running.until("\n").await;
    running.end.abort();
    wait_for_end(&running.printed).await;
    let process = launch("sleep 600").start().unwrap();
    let pid = process.identity().pid.to_string();
    drop(process);
    wait_for_end(&pid).await;
}

/// The words of what is wrong with a program.
fn refused(words: &[&str], folder: &Path, environment: BTreeMap<String, String>) -> String {
    let words = Words::Argv(words.iter().map(|word| (*word).to_owned()).collect());
    let program = Program::of(&words, &Shell::default(), &[], folder).unwrap();
    let launch = Launch { program, folder: folder.to_owned(), environment, streams: Streams::Together };
    let error = launch.start().unwrap_err();
    assert!(!error.to_string().contains("os error"), "{error}");
    error.to_string()
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("plain"), "echo").unwrap();
    fs::write(path.join("empty"), [0_u8; 8]).unwrap();
    fs::write(path.join("lost"), "#!/no/such/program\n").unwrap();
    fs::create_dir(path.join("folder")).unwrap();
    for program in ["empty", "lost"] {
        fs::set_permissions(path.join(program), fs::Permissions::from_mode(0o700)).unwrap();
    }
    let none = BTreeMap::new;
    for (words, environment, expected) in [
        (&["no-such-program"][..], none(), "`no-such-program` cannot be started: there is no such program in `PATH`"),
        (&["./none"], none(), "`./none` cannot be started: there is no such program"),
        (&["./plain"], none(), "`./plain` cannot be started: permission denied"),
        (&["./folder"], none(), "`./folder` cannot be started: it is a folder"),
        (
            &["./empty"],
            none(),
            "`./empty` cannot be started: it is neither a program of this machine nor a script that begins with `#!`",
        ),
        (&["./lost"], none(), "`./lost` cannot be started: the program that its first line names is missing"),
        (&["sh", "a\0b"], none(), "`sh` cannot be started: an argument holds a zero byte"),
        (
            &["sh"],
            BTreeMap::from([("NAME".to_owned(), "\0".to_owned())]),
            "`sh` cannot be started: the value of `NAME` holds a zero byte",
        ),
        (
            &["sh"],
            BTreeMap::from([("NAME".to_owned(), "x".repeat(4_000_000))]),
            "`sh` cannot be started: the value of `NAME` is too long for a variable: 4000000 bytes",
        ),
        (
            &["sh", &"x".repeat(4_000_000)],
            none(),
            "`sh` cannot be started: its arguments and variables are too long together",
        ),
        (&[""], none(), "`` cannot be started: there is no such program in `PATH`"),
    ] {
        assert_eq!(refused(words, path, environment), expected);
    }
    let gone = path.join("gone");
    let expected = format!("the folder `{}` cannot be used: there is no such folder", gone.display());
    assert_eq!(refused(&["sh"], &gone, none()), expected);
    let expected = format!("the folder `{}` cannot be used: it is no folder", path.join("plain").display());
    assert_eq!(refused(&["sh"], &path.join("plain"), none()), expected);
}
