//! What the documents name exists, and what has to be in them is: tests, attacks, faults, metrics.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail loudly"
)]

#[path = "support/pages.rs"]
#[allow(dead_code, reason = "each test file uses its part of the support")]
mod pages;

use std::collections::BTreeSet;
use std::fs;

use anteroom::media::DropReason;
use pages::{code, files_below, root, rows};

const SECURITY: &str = include_str!("../docs/security.md");
const TESTING: &str = include_str!("../docs/testing.md");
const OPERATING: &str = include_str!("../docs/operating.md");
const METRICS: &str = include_str!("../src/telemetry/metrics.rs");

/// The names of the tests of a file.
fn tests_of(text: &str) -> impl Iterator<Item = String> {
    let mut is_test = false;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        match name.filter(|_| is_test) {
            Some(name) => {
                is_test = false;
                Some(name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
            }
            None => {
                is_test |= line == "#[test]" || line.starts_with("#[tokio::test");
                None
            }
        }
    })
}

/// The names of all tests.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in ["src", "tests", "fuzz"].iter().flat_map(|name| files_below(&root().join(name), "rs")) {
        found.extend(tests_of(&fs::read_to_string(&path).unwrap()));
    }
    found
}

/// Words in backticks that are spelled as the name of a test is: small letters in four parts or more, or
/// a numbered one.
fn tests_named() -> BTreeSet<&'static str> {
    let words = code(SECURITY);
    let is_name =
        |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let is_numbered = |word: &str| word.starts_with("storm_") || word.starts_with("fuzz_");
    words.filter(is_name).filter(|word| word.matches('_').count() >= 3 || is_numbered(word)).collect()
}

#[test]
fn every_test_named_exists() {
    let (tests, named) = (tests(), tests_named());
    assert!(named.len() > 20, "{named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !tests.contains(**name)).collect();
    assert!(missing.is_empty(), "docs/security.md names tests that are not there: {missing:?}");
}

#[test]
fn every_requirement_has_a_verdict() {
    let rows: Vec<_> = rows(SECURITY.lines()).filter(|row| row[0].starts_with('V')).collect();
    for cells in &rows {
        assert_eq!(cells.len(), 4, "{cells:?}");
        assert!(["yes", "operator", "not applicable", "no"].contains(&cells[2]), "{cells:?}");
        assert!(cells[2] != "yes" || cells[3].contains('`'), "a test or a place is missing: {cells:?}");
    }
    // V17.1 to V17.3, V9.1 and V9.2, V4.4.
    assert_eq!(rows.len(), 12 + 7 + 4);
}

/// What needs several nodes has no test yet: A39 and F10 to F12.
#[test]
fn every_attack_fault_and_invariant_has_its_row() {
    let numbers = |letter: char, last: u32, but: &[u32]| -> Vec<String> {
        (1..=last).filter(|n| !but.contains(n)).map(|n| format!("{letter}{n}")).collect()
    };
    let firsts = |page: &str| -> Vec<String> { rows(page.lines()).map(|row| row[0].to_owned()).collect() };
    let (security, testing) = (firsts(SECURITY), firsts(TESTING));
    for attack in numbers('A', 40, &[39]) {
        assert_eq!(security.iter().filter(|first| **first == attack).count(), 1, "{attack}");
    }
    for row in numbers('I', 21, &[]).into_iter().chain(numbers('F', 24, &[10, 11, 12])) {
        assert_eq!(testing.iter().filter(|first| **first == row).count(), 1, "{row}");
    }
}

/// docs/testing.md names the tests of an invariant or a fault by how they begin.
#[test]
fn there_are_tests_that_begin_as_is_said() {
    let tests = tests();
    let beginnings = code(TESTING).filter(|word| {
        let number = word.strip_suffix('_').and_then(|word| word.get(1..));
        number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
    });
    let beginnings: BTreeSet<&str> = beginnings.collect();
    assert!(beginnings.len() > 20, "{beginnings:?}");
    for beginning in beginnings {
        assert!(tests.iter().any(|test| test.starts_with(beginning)), "no test begins with {beginning}");
    }
    for path in code(TESTING).filter(|word| word.starts_with("tests/") && !word.contains([' ', '*'])) {
        assert!(root().join(path).exists(), "{path} is not there");
    }
}

#[test]
fn every_metric_and_every_reason_is_in_its_table() {
    let words = |line: &str| -> Vec<String> { code(line).map(str::to_owned).collect() };
    let documented: BTreeSet<String> = rows(OPERATING.lines())
        .map(|row| row[0].trim_matches('`').to_owned())
        .filter(|name| name.starts_with("anteroom_"))
        .collect();
    let known: BTreeSet<String> = METRICS
        .split('"')
        .filter(|text| text.starts_with("anteroom_") && *text != "anteroom_" && !text.contains([' ', '{']))
        .map(str::to_owned)
        .collect();
    assert_eq!(documented, known);
    let reasons = OPERATING.split_once("Reasons of dropped packets").unwrap().1;
    let documented: BTreeSet<String> = rows(reasons.lines()).flat_map(|row| words(row[0])).collect();
    let media = DropReason::ALL.iter().map(|reason| reason.name());
    let edge = anteroom::telemetry::DropReason::ALL.iter().map(|reason| reason.label());
    let known: BTreeSet<String> = media.chain(edge).map(str::to_owned).collect();
    assert_eq!(documented, known);
}
