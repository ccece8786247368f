//! The two tables of the corpus, `RULES.md` and `REFERENCE.md`, held against its cases.
//!
//! Whether a case shows what its `expected.json` says is the work of `corpus`; here the tables are compared with those
//! files, with the texts of the cases, and with the tables of the model.

mod case;
mod constraints;
mod reference;
mod rules;
mod shape;

use std::fs;

use anyhow::{Context as _, Result, ensure};
use tests::root;

/// A row of a table: its cells, and under which heading and in which line it stands.
struct Row {
    heading: String,
    line: usize,
    cells: Vec<String>,
}

/// All rows of the tables of a page in `tests/corpus/`; each must have this many cells.
fn rows(page: &str, columns: usize) -> Result<Vec<Row>> {
    let text = fs::read_to_string(root().join("tests/corpus").join(page)).with_context(|| page.to_owned())?;
    let mut heading = String::new();
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(text) = line.strip_prefix('#') {
            heading = text.trim_start_matches('#').trim().to_owned();
        }
        let Some(cells) = line.strip_prefix("| ").and_then(|rest| rest.strip_suffix(" |")) else { continue };
        let cells: Vec<String> = cells.split(" | ").map(|cell| cell.trim().replace("\\|", "|")).collect();
        ensure!(cells.len() == columns, "{page}:{}: {} cells, not {columns}", index + 1, cells.len());
        rows.push(Row { heading: heading.clone(), line: index + 1, cells });
    }
    // The head of each table is no row.
    let head = rows.first().map(|row| row.cells.clone()).with_context(|| format!("{page} has no table"))?;
    rows.retain(|row| row.cells != head);
    Ok(rows)
}

/// The texts of a cell that stand in backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}
