//! The catalogue of faults and the tests that carry its ids: no row without a test, no test without a row.

use std::collections::BTreeSet;

use anyhow::Result;

use super::{files, hold};

/// Ids are `F01` to this one.
const LAST: usize = 86;

/// Rows that are still to be written, with their tests. This list only ever gets shorter.
const NOT_YET: [&str; 7] = [
    // lifecycle, crash
    "F43", "F44", "F45", "F46", "F54", "F82", "F83",
];

/// The ids of the rows of `docs/faults.md`, as often as they are there.
fn rows() -> Result<Vec<String>> {
    let docs = files()?.into_iter().filter(|file| file.path == "docs/faults.md");
    let rows = docs.flat_map(|file| file.text.lines().map(str::to_owned).collect::<Vec<_>>());
    Ok(rows.filter_map(|line| id(line.strip_prefix("| ")?).map(|(id, _)| id)).collect())
}

/// The ids that the names of the tests begin with, as `f29_f86_…`.
fn tested() -> Result<BTreeSet<String>> {
    let mut tested = BTreeSet::new();
    for file in files()?.into_iter().filter(|file| file.is_rust() && file.is_in(&["tests/it/faults"])) {
        let names = file.text.lines().filter_map(|line| line.trim_start().split_once("fn ").map(|(_, name)| name));
        for name in names.filter(|name| name.contains("()")) {
            let mut rest = name.to_uppercase();
            while let Some((id, after)) = id(&rest) {
                tested.insert(id);
                rest = after.trim_start_matches('_').to_owned();
            }
        }
    }
    Ok(tested)
}

/// An id at the beginning of a text, and what stands behind it.
fn id(text: &str) -> Option<(String, &str)> {
    let (id, rest) = text.split_at_checked(3)?;
    let is_id = id.starts_with('F') && id.chars().skip(1).all(|digit| digit.is_ascii_digit());
    (is_id && rest.starts_with(['_', ' '])).then(|| (id.to_owned(), rest))
}

#[test]
fn every_fault_has_one_row_and_a_test() -> Result<()> {
    let (rows, tested) = (rows()?, tested()?);
    let mut offences = Vec::new();
    for number in 1..=LAST {
        let id = format!("F{number:02}");
        let count = rows.iter().filter(|row| **row == id).count();
        match (count, tested.contains(&id), NOT_YET.contains(&id.as_str())) {
            (1, true, false) | (0, false, true) => {}
            (_, _, true) => offences.push(format!("{id}: is there now, take it out of the list of what is not")),
            (0, _, false) => offences.push(format!("{id}: no row")),
            (1, false, false) => offences.push(format!("{id}: no test")),
            (count, ..) => offences.push(format!("{id}: {count} rows")),
        }
    }
    hold("each row of docs/faults.md has a test named by its id", offences);
    Ok(())
}

#[test]
fn every_test_of_a_fault_has_its_row() -> Result<()> {
    let rows: BTreeSet<String> = rows()?.into_iter().collect();
    let unknown = tested()?.into_iter().filter(|id| !rows.contains(id));
    hold("a test named by an id that docs/faults.md does not know", unknown.collect());
    Ok(())
}

#[test]
fn ids_are_read_from_rows_and_names() {
    assert_eq!(id("F29_F86_A_POD"), Some(("F29".to_owned(), "_F86_A_POD")));
    assert_eq!(id("F01 | what"), Some(("F01".to_owned(), " | what")));
    assert_eq!(id("FOUR"), None);
    assert_eq!(id("F100 "), None);
}
