//! Components that misbehave, one a file in `tests/hostile/`, written as text so that a reader sees the whole attack.
//!
//! Whatever they do, it comes back as words, in time, and a good policy in the same process answers as before. Functions
//! carry the id of the fault; each is a table of attacks and the words they end in.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test, shared code may panic too")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use model::review::{Failure, Phase, ReviewProblem};
use runner::wasm::{
    Component, ComponentFile, CoreError, CorePolicy, Engine, Limits, LoadError, Policy, Request, Role, Source,
};
use tests::{Runner, Workdir};

/// Short, so that endless loops end soon; the good policy needs a thousandth of it.
const TIME: Duration = Duration::from_millis(200);

/// What a call may take beyond its limit on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(2);

const LIMITS: Limits = Limits { time: TIME, ..Limits::POLICY };

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(None).unwrap());

const REQUEST: Request<'static> = Request {
    phase: Phase::Load,
    workflow: r#"{"name": "nightly"}"#,
    step: r#"{"name": "report", "kind": "kubernetes"}"#,
    config: r#"{"image": "busybox"}"#,
    settings: "{}",
    open: &[],
};

#[test]
fn s01_an_endless_loop_is_ended() {
    deny_review(&[
        ("s01-loop-in-review", "`review` did not answer within 200 ms"),
        ("s01-loop-in-allocator", "`review` did not answer within 200 ms"),
        ("s01-loop-after-review", "`review` did not answer within 200 ms"),
    ]);
    deny("s01-loop-in-shape", "`shape` did not answer within 200 ms", |policy| policy.shape(&REQUEST).err());
    deny("s01-loop-in-check-settings", "`check-settings` did not answer within 200 ms", |policy| {
        policy.check_settings("{}").err()
    });
    refuse(&[
        ("s01-loop-in-describe", "could not be asked who it is: `describe` did not answer within 200 ms"),
        ("s01-loop-in-start", "could not be asked who it is: `describe` did not answer within 200 ms"),
    ]);
}

#[test]
fn s02_memory_without_end_is_refused() {
    deny_review(&[
        ("s02-memory-grows", "`review` needs more than 64 MiB of memory"),
        ("s02-table-grows", "`review` needs more table elements than any component may have"),
    ]);
    refuse(&[
        ("s02-memory-at-start", "`describe` needs more than 64 MiB of memory"),
        ("s02-memories-together", "`describe` needs more than 64 MiB of memory"),
        ("s02-many-memories", "it has more instances, memories or tables than any component may have"),
        ("s02-shared-memory", "is not a valid component: threads must be enabled for shared memories"),
    ]);
    let (answer, usage) = policy("s02-memory-grows").review_with_usage(&REQUEST);
    assert!(answer.is_err());
    assert!((63 << 20..=64 << 20).contains(&usage.memory), "it had nearly all it may have: {}", usage.memory);
}

#[test]
fn s03_recursion_without_end_meets_the_end_of_the_stack() {
    deny_review(&[
        ("s03-recursion", "`review` trapped: stack exhausted, in `deeper`"),
        ("s03-recursion-in-allocator", "`review` trapped: stack exhausted, in `deeper`"),
    ]);
}

#[test]
fn s04_a_trap_has_a_name_and_functions() {
    deny_review(&[
        ("s04-unreachable", "`review` trapped: unreachable code reached, in `give_up` < `judge` < `review`"),
        ("s04-panic", "`review` panicked, in `no_ports::check` < `review`"),
        ("s04-division-by-zero", "`review` trapped: division by zero, in `average` < `review`"),
        ("s04-out-of-bounds", "`review` trapped: out-of-bounds memory access, in `peek` < `review`"),
    ]);
}

#[test]
fn s05_a_huge_answer_is_not_copied() {
    deny_review(&[
        ("s05-text-of-2-mib", "`review` gave an answer larger than 1 MiB of text, or 1,000 problems"),
        ("s05-1001-problems", "`review` gave an answer larger than 1,000 problems: 1,001"),
        ("s05-million-problems", "`review` gave an answer larger than 1 MiB of text, or 1,000 problems"),
        ("s05-list-of-four-billion", "`review` gave a malformed answer: a list is larger than the memory it lies in"),
    ]);
}

#[test]
fn s06_a_malformed_answer_names_the_field() {
    deny_review(&[
        (
            "s06-invalid-utf-8",
            "problem 1, `message`: a text is not UTF-8 (invalid utf-8 sequence of 1 bytes from index 2)",
        ),
        ("s06-text-outside-memory", "problem 1: a text reaches beyond the end of memory"),
        ("s06-list-outside-memory", "a malformed answer: a list is larger than the memory it lies in"),
        ("s06-answer-outside-memory", "a malformed answer: it lies beyond the end of memory"),
        ("s06-answer-not-aligned", "a malformed answer: it is not aligned"),
        ("s06-unknown-severity", "problem 1, `severity`: a word is not one of the enumeration"),
        ("s06-unknown-option", "problem 1: an optional field is neither absent nor present"),
        (
            "s06-allocator-outside-memory",
            "could not be called: its allocator answered a place beyond the end of memory",
        ),
    ]);
}

#[test]
fn s07_promised_json_is_read_without_trust() {
    for (file, words) in [
        ("s07-layer-no-json", "`shape` gave a malformed answer: `defaults`: key must be a string at line 1 column 2"),
        ("s07-layer-is-a-list", "`shape` gave a malformed answer: `defaults`: expected an object, found a list"),
        ("s07-layer-key-twice", "`defaults`: the key `image` stands twice at line 1 column 25"),
        ("s07-layer-100000-deep", "`defaults`: recursion limit exceeded at line 1 column 132"),
    ] {
        deny(file, words, |policy| policy.shape(&REQUEST).err());
    }
    deny_review(&[(
        "s07-fix-no-json",
        "`review` gave a malformed answer: problem 1, `fix`: expected value at line 1 column 1",
    )]);
    refuse(&[(
        "s07-schema-no-json",
        "`describe` gave a malformed answer: `settings-schema`: expected value at line 1 column 1",
    )]);
}

#[test]
fn s08_codes_are_its_own_and_the_text_is_kept() {
    deny_review(&[
        ("s08-no-code", "`review` answered a problem with the code ``, not `hostile/<rule>`; it says: seen"),
        ("s08-foreign-code", "the code `other/policy`, not `hostile/<rule>`; it says: seen"),
    ]);
    refuse(&[
        ("s08-reserved-name", "`describe` gave a malformed answer: `name`: `core` is reserved"),
        ("s08-name-not-kebab-case", "`name`: `no/such name` is not lower-case words joined by `-`"),
    ]);
}

#[test]
fn s09_odd_texts_are_no_failure() {
    let problems = policy("s09-escape-sequence").review(&REQUEST).unwrap();
    assert_eq!(problems[0].message, "\u{1b}[2J");
    assert_eq!(problems[0].path, "no.such[9].place");
}

#[test]
fn s10_another_world_is_named() {
    refuse(&[
        ("s10-core-module", "is a core WebAssembly module, expected a component"),
        (
            "s10-core-as-policy",
            "is not of world `policy`: expected the export `runner:policy/review@0.1.0`, \
             found world `core` (`runner:policy/rules@0.1.0`)",
        ),
        ("s10-somebody-elses", "expected the export `runner:policy/review@0.1.0`, found `run`"),
        ("s10-nothing", "expected the export `runner:policy/review@0.1.0`, found no exports"),
        ("s10-newer-version", "implements `runner:policy/review@0.2.0`, expected `runner:policy/review@0.1.0`"),
        ("s10-older-version", "implements `runner:policy/review@0.0.9`, expected `runner:policy/review@0.1.0`"),
        ("s10-newest-version", "implements `runner:policy/review@1.0.0`, expected `runner:policy/review@0.1.0`"),
    ]);
    let mut patch = assemble("good");
    let version = patch.windows(12).position(|bytes| bytes == b"review@0.1.0").unwrap() + 11;
    patch[version] = b'7';
    let patch = ENGINE.compile(&ComponentFile::from_bytes("patch", patch).unwrap()).unwrap();
    assert_good(&Policy::load(&patch, LIMITS).unwrap());
    let error = CorePolicy::load(&component("good").unwrap(), LIMITS).err().unwrap();
    assert_eq!(
        error.to_string(),
        "`good` is not of world `core`: expected the export `runner:policy/rules@0.1.0`, \
         found world `policy` (`runner:policy/review@0.1.0`)"
    );
}

#[test]
fn s11_another_signature_is_named() {
    refuse(&[
        (
            "s11-missing-function",
            "lacks the function `check-settings`: expected `func(settings: string) -> list<record {",
        ),
        ("s11-other-signature", "has another function `describe`: expected `func() -> record { name: string, version:"),
        ("s11-other-signature", "found `func() -> string`"),
        ("s11-huge-signature", "found `func(huge: record { a: record { a: record {"),
    ]);
}

#[test]
fn s12_every_import_is_listed() {
    let error = refused("s12-imports");
    assert_eq!(
        error.to_string(),
        "`s12-imports` imports `wasi:clocks/wall-clock@0.2.0`, `wasi:random/random@0.2.0`, `wasi:sockets/tcp@0.2.0`, \
         `acme:secrets/store`; a component gets nothing from outside"
    );
    let help = error.help().unwrap();
    assert!(help.contains("Rust") && help.contains("C ") && help.contains("--stub-wasi"), "{help}");
    refuse(&[("s12-function-import", "imports `now`; a component gets nothing from outside")]);
}

#[test]
fn s13_a_file_that_is_no_component_is_named_before_anything_is_compiled() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let whole = assemble("good");
    let large = file("large.wasm", &whole);
    fs::OpenOptions::new().write(true).open(&large).unwrap().set_len((32 << 20) + 1).unwrap();
    for (path, words) in [
        (folder.path().join("missing.wasm"), "missing.wasm` does not exist"),
        (folder.path().to_owned(), "` is a folder, not a component"),
        (file("empty.wasm", b""), "empty.wasm` is empty"),
        (file("page.wasm", b"<!DOCTYPE html>\n<p>not found"), "component: it begins with `<!DOCTYPE html>`"),
        (file("text.wasm", b"(component)"), "component: it begins with `(component)`"),
        (file("noise.wasm", b"\x7fELF\x02\x01\x01\0\0\0"), "component: it begins with `\\u{7f}ELF"),
        (file("short.wasm", &whole[..6]), "is not a whole component: unexpected end of the header"),
        (file("future.wasm", b"\0asm\x0e\0\x01\0"), "is not a valid component: another version of the binary format"),
        (file("truncated.wasm", &whole[..whole.len() / 2]), "is not a whole component: unexpected end"),
        (file("damaged.wasm", &[&whole[..], &[99]].concat()), "is not a "),
        (large, "large.wasm` is larger than 32 MiB, the limit for a component"),
        (PathBuf::from("/dev/zero"), "`/dev/zero` is larger than 32 MiB, the limit for a component"),
    ] {
        let error = ComponentFile::read(&path).and_then(|file| ENGINE.compile(&file)).err().unwrap();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn s14_the_bytes_hashed_are_the_bytes_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.wasm");
    fs::write(&path, assemble("good")).unwrap();
    let file = ComponentFile::read(&path).unwrap();
    let digest = file.sha256();
    fs::write(&path, assemble("s08-no-code")).unwrap();
    file.expect_sha256(digest).unwrap();
    assert_good(&Policy::load(&ENGINE.compile(&file).unwrap(), LIMITS).unwrap());

    let error = ComponentFile::read(&path).unwrap().expect_sha256(digest).err().unwrap();
    let words = format!("`{}` has the sha256 ", path.display());
    assert!(error.to_string().starts_with(&words) && error.to_string().ends_with(&format!("expected {digest}")));
}

#[test]
fn s16_no_state_travels_between_calls() {
    let policy = policy("s16-counts-its-calls");
    let first = policy.review(&REQUEST).unwrap();
    assert_eq!(first.len(), 1);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..20).for_each(|_| assert_eq!(policy.review(&REQUEST).unwrap(), first)));
        }
    });
}

#[test]
fn s18_a_bad_cache_is_made_anew_or_passed_by() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("made/by/us");
    let file = ComponentFile::from_bytes("good", assemble("good")).unwrap();
    // How the code was got, and what was said about the cache.
    let compile = |cache: &Path| {
        let engine = Engine::new(Some(cache)).unwrap();
        let component = engine.compile(&file).unwrap();
        assert_good(&Policy::load(&component, LIMITS).unwrap());
        (component.cached(), engine.cache_warning().map(|warning| warning.message.clone()))
    };
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let set_mode = |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();

    assert_eq!(compile(&cache), (false, None));
    assert_eq!(mode(&cache), 0o700);
    let entry = fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    assert_eq!(mode(&entry), 0o600);
    assert_eq!(compile(&cache), (true, None));

    let sound = fs::read(&entry).unwrap();
    for (damage, content) in [
        ("one bit", {
            let mut content = sound.clone();
            *content.last_mut().unwrap() ^= 1;
            content
        }),
        ("cut", sound[..sound.len() / 2].to_vec()),
        ("empty", Vec::new()),
        ("text", b"not an entry".to_vec()),
    ] {
        fs::write(&entry, content).unwrap();
        let (cached, warning) = compile(&cache);
        assert!(!cached, "{damage}");
        assert!(warning.unwrap().contains("is damaged"), "{damage}");
        assert_eq!(compile(&cache), (true, None), "made anew after: {damage}");
    }

    let stranger = cache.join(format!("{}.component", "0".repeat(64)));
    fs::rename(&entry, &stranger).unwrap();
    assert_eq!(compile(&cache), (false, None));
    fs::rename(&stranger, &entry).unwrap();
    set_mode(&entry, 0o666);
    let (cached, warning) = compile(&cache);
    assert!(!cached && warning.unwrap().contains("only this user can change"));
    assert_eq!(compile(&cache), (true, None));

    set_mode(&cache, 0o755);
    let (cached, warning) = compile(&cache);
    assert!(!cached && warning.unwrap().ends_with("is open to other users"));
    set_mode(&cache, 0o700);

    let link = folder.path().join("link");
    symlink(&cache, &link).unwrap();
    let (cached, warning) = compile(&link);
    assert!(!cached && warning.unwrap().ends_with("is not a folder"));

    // Only root can give a folder away.
    if chown(&cache, Some(65_534), None).is_ok() {
        let (cached, warning) = compile(&cache);
        assert!(!cached && warning.unwrap().ends_with("belongs to another user"));
    }

    let (cached, warning) = compile(Path::new("/proc/no-such-folder"));
    assert!(!cached && warning.unwrap().contains("cannot be made"));
}

#[test]
fn s20_a_hostile_core_policy_is_held_to_its_limits() {
    let limits = Limits { time: TIME, memory: 16 << 20, ..Limits::CORE };
    let load = |core: &CorePolicy| {
        let source = Source { name: "dag.yaml", text: "steps: []", role: Role::Workflow };
        core.load_sources(&[source], &["DAY=1".to_owned()]).map(|loaded| assert!(loaded.workflow.is_none()))
    };
    let core = |name: &str| CorePolicy::load(&component(name)?, limits);
    let good = core("good-core").unwrap();
    for (file, words) in [
        ("s20-core-loops", "core policy `s20-core-loops` could not be asked: `load` did not answer within 200 ms"),
        ("s20-core-memory", "could not be asked: `load` needs more than 16 MiB of memory"),
        ("s20-core-nonsense", "`load` gave a malformed answer: `workflow`: expected an object"),
    ] {
        let core = core(file).unwrap();
        let error = in_time(|| load(&core)).err().unwrap();
        assert!(error.to_string().contains(words), "{error}");
        load(&good).unwrap();
    }
    assert_eq!(
        core("s20-core-refuses").unwrap().merge(&[], &[]).err().unwrap(),
        CoreError::Refused { file: "s20-core-refuses".to_owned(), function: "merge", reason: "not today".to_owned() }
    );
    assert!(good.merge(&[], &[]).unwrap().is_empty());
    let step = model::layer::MergeStep { step: "report".to_owned(), ranks: Vec::new() };
    let error = good.merge(&[], &[step]).err().unwrap();
    assert!(error.to_string().ends_with("its steps are not those it was given"), "{error}");
    assert_eq!(
        core("s20-core-other-model").err().unwrap().to_string(),
        format!("`s20-core-other-model` speaks version 7.3 of the JSON shapes, expected {}", model::MODEL_VERSION)
    );
}

#[test]
fn thirty_two_hostile_calls_at_once_do_not_disturb_a_good_policy() {
    let hostile = ["s01-loop-in-review", "s02-memory-grows", "s03-recursion", "s05-text-of-2-mib"].map(policy);
    // With the usual time: the processors are shared with thirty-two endless loops.
    let good = Policy::load(&component("good").unwrap(), Limits::POLICY).unwrap();
    thread::scope(|scope| {
        for index in 0..32 {
            let policy = &hostile[index % hostile.len()];
            scope.spawn(move || in_time(|| policy.review(&REQUEST)).unwrap_err());
        }
        for _ in 0..100 {
            assert_good(&good);
        }
    });
    assert_good(&good);
}

/// Each of these `review`s fails with these words.
#[track_caller]
#[test]
fn a_policy_that_fails_denies_and_one_that_cannot_be_used_is_refused() {
    let workdir = Workdir::new().unwrap();
    workdir.write("dag.yaml", "steps:\n  - {id: a, type: k8s, config: {image: x}}\n").unwrap();
    for (attack, code, words) in [
        ("s04-unreachable", 3, "could not be asked: `review` trapped"),
        ("s01-loop-in-review", 3, "could not be asked: `review` did not answer within 1 s"),
        ("s02-memory-grows", 3, "could not be asked: `review` needs more than 64 MiB of memory"),
        ("s08-foreign-code", 3, "answered a problem with the code"),
        ("s12-imports", 2, "imports"),
        ("s01-loop-in-describe", 2, "could not be asked who it is"),
    ] {
        workdir.write("attack.wasm", assemble(attack)).unwrap();
        let runner = Runner::new(&workdir).unwrap().args(["check", "dag.yaml", "--policy", "attack.wasm"]);
        let output = runner.run().unwrap();
        assert_eq!(output.code, Some(code), "{attack}: {output:?}");
        assert!(output.stdout.contains(words) || output.stderr.contains(words), "{attack}: {output:?}");
        assert_eq!(output.stdout.contains("policy/failed"), code == 3, "{attack}: {output:?}");
    }
}

fn deny_review(attacks: &[(&str, &str)]) {
    for (file, words) in attacks {
        deny(file, words, |policy| policy.review(&REQUEST).err());
    }
}

/// The call fails, in time, with a message that ends in these words; then a good policy answers as before.
#[track_caller]
fn deny(file: &str, words: &str, call: impl Fn(&Policy) -> Option<Failure>) {
    let policy = policy(file);
    let failure = in_time(|| call(&policy)).expect(file);
    assert!(failure.message.ends_with(words), "{file}: {}", failure.message);
    assert_good(&self::policy("good"));
}

/// Each of these is not loaded, with a message that has these words.
#[track_caller]
fn refuse(attacks: &[(&str, &str)]) {
    for (file, words) in attacks {
        let message = refused(file).to_string();
        assert!(message.starts_with(&format!("`{file}` ")) && message.contains(words), "{message}");
        assert_good(&policy("good"));
    }
}

#[track_caller]
fn refused(file: &str) -> LoadError {
    let load = || Policy::load(&component(file)?, LIMITS);
    in_time(load).err().expect(file)
}

#[track_caller]
fn in_time<R>(call: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let answer = call();
    assert!(start.elapsed() < TIME + PATIENCE, "took {:?}", start.elapsed());
    answer
}

#[track_caller]
fn assert_good(policy: &Policy) {
    let problems: Vec<ReviewProblem> = policy.review(&REQUEST).unwrap();
    assert_eq!(problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>(), ["seen"]);
}

#[track_caller]
fn policy(file: &str) -> Policy {
    component(file).and_then(|component| Policy::load(&component, LIMITS)).expect(file)
}

fn component(file: &str) -> Result<Component, LoadError> {
    ENGINE.compile(&ComponentFile::from_bytes(file, assemble(file))?)
}

/// The bytes of `tests/hostile/<file>.wat`, with the prelude it asks for.
pub(crate) fn assemble(file: &str) -> Vec<u8> {
    assemble_text(&fs::read_to_string(folder().join(file).with_extension("wat")).expect(file))
}

/// The bytes of a component that is written as text, with the prelude it asks for.
pub(crate) fn assemble_text(text: &str) -> Vec<u8> {
    let mut text = text.to_owned();
    for (prelude, functions) in [
        ("policy-prelude", ["describe", "check-settings", "shape", "review"].as_slice()),
        ("core-prelude", ["describe", "load", "merge", "check", "report", "schema"].as_slice()),
    ] {
        let include = format!(";; include {prelude}");
        if !text.contains(&include) {
            continue;
        }
        let mut filled = fs::read_to_string(folder().join(prelude).with_extension("wat")).unwrap();
        for function in functions {
            let module = if text.contains(&format!("(export \"{function}\")")) { "$attack" } else { "$good" };
            filled = filled.replace(&format!("${function}-from"), module);
        }
        if text.contains("(export \"after-review\")") {
            filled = filled.replace(";; after review", "(post-return (core func $attack \"after-review\"))");
        }
        text = text.replace(&include, &filled);
    }
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile")
}
