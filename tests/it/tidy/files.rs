//! What a file looks like: names, heads, words that must not be left behind.

use std::path::Path;

use anyhow::Result;

use super::{files, hold, paths, root};

#[test]
fn every_source_file_starts_with_its_head() -> Result<()> {
    let offences = files()?.into_iter().filter(|file| file.is_rust() && !file.text.starts_with("//! "));
    let offences = offences.map(|file| format!("{}:1", file.path)).collect();
    hold("a file says in its first lines what lives there and why: `//! …`", offences);
    Ok(())
}

#[test]
fn files_are_named_for_what_they_hold() -> Result<()> {
    const SAY_NOTHING: [&str; 7] = ["mod", "util", "utils", "helper", "helpers", "common", "manager"];
    let says_nothing = |path: &String| {
        let path = Path::new(path);
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        path.extension().is_some_and(|extension| extension == "rs") && SAY_NOTHING.contains(&&*stem)
    };
    hold(
        "a file is named for what it holds; `foo.rs` beside `foo/`, no `mod.rs`",
        paths()?.into_iter().filter(says_nothing).collect(),
    );
    Ok(())
}

#[test]
fn nothing_is_left_for_later() -> Result<()> {
    // Put together here, or this file would be the first offence.
    let words = [concat!("TO", "DO"), concat!("FIX", "ME")];
    hold("what is open is an issue, not a comment", lines_with(&words)?);
    Ok(())
}

#[test]
fn no_path_of_anyones_machine() -> Result<()> {
    let words = [concat!("/ro", "ot/"), concat!("/wo", "rk/")];
    hold("a path of the machine it was written on means nothing on another", lines_with(&words)?);
    Ok(())
}

#[test]
fn components_hold_no_path_of_the_machine_that_built_them() -> Result<()> {
    let words = [concat!("/ro", "ot/"), concat!("/ho", "me/"), "/.cargo/", "/Users/"];
    let mut offences = Vec::new();
    for path in paths()?.into_iter().filter(|path| path.ends_with(".wasm")) {
        let bytes = std::fs::read(root().join(&path))?;
        let holds = |word: &&str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
        offences.extend(words.iter().copied().filter(holds).map(|word| format!("{path}: `{word}`")));
    }
    hold("the same sources give the same bytes everywhere: paths are remapped", offences);
    Ok(())
}

fn lines_with(words: &[&str]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for file in files()? {
        for (number, line) in file.text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{} {}", file.path, number + 1, line.trim()));
            }
        }
    }
    Ok(found)
}
