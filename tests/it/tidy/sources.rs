//! Which words belong to which module. The code is read as [`scan`] reads it: comments and texts do not count.

use anyhow::Result;

use super::{
    File, files, hold,
    scan::{self, Named, Token},
};

/// Everything that ships: tests and chores have their own freedom.
const PRODUCT: [&str; 3] = ["policy-wasm", "policies", "runner"];

/// Crates that run inside components: pure functions of their input.
const GUEST_SIDE: [&str; 2] = ["policy-wasm", "policies"];

/// The one file that may hold the one `unsafe` block: it loads compiled code from our own cache.
const UNSAFE: &str = "runner/src/wasm/cache.rs";

/// Names that are forbidden in the sources below `places`, outside `allowed`.
fn offences(places: &[&str], allowed: &[&str], forbidden: impl Fn(&Named) -> bool) -> Result<Vec<String>> {
    let mut offences = Vec::new();
    let is_source = |file: &&File| file.is_rust() && file.path.contains("/src/") && file.is_in(places);
    for file in files()?.iter().filter(is_source).filter(|file| !file.is_in(allowed)) {
        let tokens = scan::tokens(&file.text);
        for named in scan::names(without_tests(&tokens)) {
            if forbidden(&named) {
                offences.push(format!("{}:{} `{}`", file.path, named.line, named.path));
            }
        }
    }
    Ok(offences)
}

/// The code before the module of unit tests, which stands last in a file.
fn without_tests<'t, 'a>(tokens: &'t [Token<'a>]) -> &'t [Token<'a>] {
    const TESTS: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let is_tests = |window: &[Token<'_>]| window.iter().map(|token| token.text).eq(TESTS);
    let end = tokens.windows(TESTS.len()).position(is_tests).unwrap_or(tokens.len());
    tokens.get(..end).unwrap_or(tokens)
}

fn roots(roots: &[&str]) -> impl Fn(&Named) -> bool {
    move |named| roots.iter().any(|root| named.path.strip_prefix(root).is_some_and(|rest| rest.starts_with("::")))
}

#[test]
fn kube_is_named_only_in_cluster() -> Result<()> {
    let offences = offences(&PRODUCT, &["runner/src/cluster"], roots(&["kube"]))?;
    hold("`kube` belongs to runner/src/cluster: the rest speaks of plain k8s-openapi objects", offences);
    Ok(())
}

#[test]
fn wasmtime_is_named_only_in_wasm() -> Result<()> {
    let offences = offences(&PRODUCT, &["runner/src/wasm"], roots(&["wasmtime"]))?;
    hold("`wasmtime` belongs to runner/src/wasm: no one else knows which engine it is", offences);
    Ok(())
}

#[test]
fn clap_is_named_only_in_cli() -> Result<()> {
    let offences = offences(&PRODUCT, &["runner/src/cli"], roots(&["clap", "clap_complete", "clap_mangen"]))?;
    hold("`clap` belongs to runner/src/cli.rs: commands take values, not arguments", offences);
    Ok(())
}

#[test]
fn only_report_writes_to_stdout_and_stderr() -> Result<()> {
    const WRITERS: [&str; 5] = ["std::io::stdout", "std::io::stderr", "io::stdout", "io::stderr", "anstream"];
    const MACROS: [&str; 4] = ["println!", "eprintln!", "print!", "eprint!"];
    let offences = offences(&PRODUCT, &["runner/src/report"], |named| {
        let macro_name = named.path.rsplit("::").next().unwrap_or_default();
        MACROS.contains(&macro_name) || WRITERS.iter().any(|writer| named.starts_with(writer))
    })?;
    hold("stdout and stderr belong to runner/src/report: data and words must not mix", offences);
    Ok(())
}

#[test]
fn what_runs_in_components_has_no_outside_world() -> Result<()> {
    const WORLD: [&str; 7] = ["std::fs", "std::net", "std::env", "std::time", "std::process", "std::thread", "std::os"];
    // Native only, behind a feature: it reads an author's cases.
    let native = ["policies/sdk/src/testing"];
    let offences = offences(&GUEST_SIDE, &native, |named| WORLD.iter().any(|world| named.starts_with(world)))?;
    hold("an answer is a function of its request: no clock, file, network, environment", offences);
    Ok(())
}

#[test]
fn unsafe_code_stands_in_one_place() -> Result<()> {
    let mut expectations = Vec::new();
    let mut blocks = Vec::new();
    let mut offences = Vec::new();
    for file in files()?.iter().filter(|file| file.is_rust()) {
        let tokens = scan::tokens(&file.text);
        for token in &tokens {
            let place = format!("{}:{} `{}`", file.path, token.line, token.text);
            match token.text {
                // wit-bindgen's glue is unsafe by nature; a guest may have to let it pass, and may not add to it.
                "unsafe_code" if file.is_in(&GUEST_SIDE) => {}
                "unsafe" | "unsafe_code" if file.path != UNSAFE => offences.push(place),
                "unsafe" => blocks.push(place),
                "unsafe_code" => expectations.push(place),
                _ => {}
            }
        }
    }
    hold("unsafe code belongs to runner/src/wasm/cache.rs", offences);
    for all in [blocks, expectations] {
        if all.len() > 1 {
            hold("there is one unsafe block, and one `expect` for it", all);
        }
    }
    Ok(())
}

#[test]
fn an_ignored_test_says_why() -> Result<()> {
    const IGNORED: [&str; 4] = ["#", "[", "ignore", "]"];
    let mut offences = Vec::new();
    for File { path, text } in files()?.into_iter().filter(File::is_rust) {
        let tokens = scan::tokens(&text);
        for window in tokens.windows(IGNORED.len()) {
            if window.iter().map(|token| token.text).eq(IGNORED) {
                let line = window.first().map_or(0, |token| token.line);
                offences.push(format!("{path}:{line}"));
            }
        }
    }
    hold("an ignored test says why: `#[ignore = \"…\"]`", offences);
    Ok(())
}
