//! docs/protocol.md and the code name the same methods, acks, events and refusals.

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

use anteroom::message::{EventName, Method, Refusal};
use pages::code;

const PAGE: &str = include_str!("../docs/protocol.md");

/// The lines of one `##` section.
fn section(title: &str) -> Vec<&'static str> {
    let lines = PAGE.lines().skip_while(|line| *line != format!("## {title}")).skip(1);
    let lines: Vec<&str> = lines.take_while(|line| !line.starts_with("## ")).collect();
    assert!(!lines.is_empty(), "no section {title}");
    lines
}

/// The cells of the tables of a section, but for their heads.
fn rows(title: &str) -> Vec<Vec<&'static str>> {
    pages::rows(section(title)).skip(2).collect()
}

fn names<'a>(all: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    all.into_iter().collect()
}

#[test]
fn every_method_has_its_section_and_its_ack() {
    let headings = PAGE.lines().filter(|line| line.starts_with("### "));
    let documented: BTreeSet<&str> = headings.flat_map(code).collect();
    assert_eq!(documented, names(Method::ALL.iter().map(|method| method.name())));
    let words: BTreeSet<&str> = code(PAGE).collect();
    for method in Method::ALL {
        assert!(words.contains(method.ack()), "the ack of {}", method.name());
        assert!(words.contains(method.failure_ack()), "the ack of a failed {}", method.name());
    }
    assert!(words.contains(Method::UNKNOWN_ACK));
}

#[test]
fn every_ack_named_exists() {
    let acks = names(Method::ALL.iter().flat_map(|method| [method.ack(), method.failure_ack()]));
    let events = names(EventName::ALL.iter().map(|event| event.as_str()));
    for word in code(PAGE).filter(|word| word.starts_with("did")) {
        assert!(acks.contains(word) || events.contains(word), "{word} is no ack and no event");
    }
}

#[test]
fn every_event_is_in_the_table_once() {
    let rows = rows("Events");
    let documented: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    let unique = names(documented.iter().copied());
    assert_eq!(unique.len(), documented.len(), "an event is there twice");
    assert_eq!(unique, names(EventName::ALL.iter().map(|event| event.as_str())));
}

#[test]
fn every_refusal_is_in_the_table_with_its_code_and_name() {
    let documented: BTreeSet<(u16, &str)> =
        rows("Refusals").iter().map(|row| (row[0].parse().unwrap(), row[1].trim_matches('`'))).collect();
    let known: BTreeSet<(u16, &str)> =
        Refusal::ALL.iter().map(|refusal| (refusal.code(), refusal.name())).collect();
    assert_eq!(documented, known);
}

/// What a text says of each WebSocket close: `(code, "reason")`.
fn closes() -> BTreeSet<String> {
    rows("Limits of a link")
        .iter()
        .map(|row| format!("({}, \"{}\")", row[0], row[1].trim_matches('`')))
        .collect()
}

#[test]
fn every_close_is_in_the_table_with_its_reason() {
    let door = include_str!("../src/api/socket.rs");
    let literal = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    let known = door.split("Ending::Close(").skip(1).filter(|rest| literal(rest));
    let known: BTreeSet<String> =
        known.map(|rest| format!("({})", rest.split(')').next().unwrap())).collect();
    assert_eq!(closes(), known);
}

#[test]
fn no_other_code_is_named() {
    let mut known: BTreeSet<String> = Refusal::ALL.iter().map(|refusal| refusal.code().to_string()).collect();
    known.extend(closes().iter().map(|close| close[1..5].to_owned()));
    let numbers = PAGE.split(|letter: char| !letter.is_ascii_digit()).filter(|number| number.len() == 4);
    for number in numbers {
        assert!(known.contains(number), "{number} is no code");
    }
}
