//! docs/security.md names tests that exist, and every attack by its number.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail loudly"
)]

use std::collections::BTreeSet;
use std::path::Path;

const PAGE: &str = include_str!("../docs/security.md");

/// The names of all functions in the sources and tests.
fn functions() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = ["src", "tests", "fuzz"].map(|name| root.join(name)).to_vec();
    folders.retain(|folder| folder.is_dir());
    let mut found = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let names = text.split("fn ").skip(1).map(|rest| {
                    rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
                });
                found.extend(names);
            }
        }
    }
    found
}

/// Words in backticks that are spelled as the name of a test is: small letters in four parts or more, or
/// a numbered one.
fn tests_named() -> BTreeSet<&'static str> {
    let words = PAGE.split('`').skip(1).step_by(2);
    let is_name =
        |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let is_numbered = |word: &str| word.starts_with("storm_") || word.starts_with("fuzz_");
    words.filter(is_name).filter(|word| word.matches('_').count() >= 3 || is_numbered(word)).collect()
}

#[test]
fn every_test_named_exists() {
    let (functions, named) = (functions(), tests_named());
    assert!(named.len() > 20, "{named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !functions.contains(**name)).collect();
    assert!(missing.is_empty(), "docs/security.md names tests that are not there: {missing:?}");
}

#[test]
fn every_requirement_has_a_verdict() {
    let rows: Vec<&str> = PAGE.lines().filter(|line| line.starts_with("| V")).collect();
    for row in &rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{row}");
        assert!(["yes", "operator", "not applicable", "no"].contains(&cells[2]), "{row}");
        assert!(cells[2] != "yes" || cells[3].contains('`'), "a test or a place is missing: {row}");
    }
    // V17.1 to V17.3, V9.1 and V9.2, V4.4.
    assert_eq!(rows.len(), 12 + 7 + 4);
}
