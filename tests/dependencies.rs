//! What comes in with the dependencies: licences, copies of one crate, advisories, unsafe code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and asks Cargo"
)]

#[path = "support/tally.rs"]
#[allow(dead_code, reason = "each test file uses its part of the support")]
mod tally;

#[path = "support/pages.rs"]
#[allow(dead_code, reason = "each test file uses its part of the support")]
mod pages;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use pages::{files_below, root};
use serde::Deserialize;
use serde_json::Value;
use tally::Tally;

/// Licences under which a crate may be used here. Of alternatives one is enough.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates of which the server holds several versions, and whose doing that is.
const COPIES: &[(&str, usize, &str)] = &[
    ("asn1-rs", 2, "x509-parser, twice"),
    ("asn1-rs-derive", 2, "x509-parser, twice"),
    ("base64", 2, "jsonwebtoken, pem 3 and rtc-stun; hyper-util and pem 4"),
    ("cpufeatures", 2, "aes and sha1; chacha20 of rand 0.10"),
    ("der-parser", 2, "x509-parser, twice"),
    ("getrandom", 3, "ring; rand 0.9; rand 0.10"),
    ("oid-registry", 2, "x509-parser, twice"),
    ("pem", 2, "rtc-dtls; rcgen"),
    ("rand", 2, "this crate and tungstenite; rtc"),
    ("rand_core", 3, "crypto-common of aes and sha1; rand 0.9; rand 0.10"),
    ("syn", 2, "macros that have not moved to syn 3 yet; it is in no binary"),
    ("synstructure", 2, "asn1-rs-derive; yoke and zerofrom"),
    ("thiserror", 2, "x509-parser 0.16; this crate and all others"),
    ("thiserror-impl", 2, "thiserror, twice"),
    ("x509-parser", 2, "rtc-dtls; rcgen"),
];

/// What Cargo says of the dependencies on this machine; all of them are here, since this was built.
fn metadata() -> Value {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc");
    let told = String::from_utf8(rustc.stdout).unwrap();
    let host = told.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host])
        .current_dir(root())
        .output()
        .expect("cargo");
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    serde_json::from_slice(&cargo.stdout).unwrap()
}

fn packages(metadata: &Value) -> BTreeMap<&str, &Value> {
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages.map(|package| (package["id"].as_str().unwrap(), package)).collect()
}

/// Whether an expression (SPDX) can be satisfied with the licences allowed.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.trim();
    let splits = |at: &str| {
        let mut depth = 0_i32;
        let mut parts = vec![String::new()];
        for word in expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ").split_whitespace()
        {
            depth += i32::from(word == "(") - i32::from(word == ")");
            if word == at && depth == 0 {
                parts.push(String::new());
            } else {
                let part = parts.last_mut().unwrap();
                part.push_str(word);
                part.push(' ');
            }
        }
        parts
    };
    // AND binds closer than OR, and WITH closer than both; an exception only permits more.
    for (word, needs_all) in [("OR", false), ("AND", true)] {
        let parts = splits(word);
        if parts.len() > 1 {
            let mut allowed = parts.iter().map(|part| is_allowed(part));
            return if needs_all { allowed.all(|fine| fine) } else { allowed.any(|fine| fine) };
        }
    }
    match expression.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => is_allowed(inner),
        None => LICENCES.contains(&expression.split(" WITH ").next().unwrap().trim()),
    }
}

#[test]
fn licences_are_read_as_they_are_meant() {
    for fine in ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(MIT OR GPL-3.0) AND Unicode-3.0"] {
        assert!(is_allowed(fine), "{fine}");
    }
    assert!(is_allowed("Apache-2.0 WITH LLVM-exception OR GPL-2.0"));
    for wrong in ["GPL-3.0", "MIT AND GPL-3.0", "", "(MIT OR Apache-2.0) AND GPL-3.0", "AGPL-3.0/GPL-3.0"] {
        assert!(!is_allowed(wrong), "{wrong}");
    }
}

#[test]
fn every_licence_is_one_of_the_list() {
    let metadata = metadata();
    let packages = packages(&metadata);
    assert!(packages.len() > 100, "{} packages", packages.len());
    for package in packages.values() {
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(is_allowed(licence), "{} {}: {licence:?}", package["name"], package["version"]);
    }
}

/// What is built into the server: the packages reached without those of tests and of build scripts.
fn built_in(metadata: &Value) -> BTreeSet<&str> {
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap().iter();
    let nodes: BTreeMap<&str, &Value> = nodes.map(|node| (node["id"].as_str().unwrap(), node)).collect();
    let mut open = vec![metadata["resolve"]["root"].as_str().unwrap()];
    let mut found = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !found.insert(id) {
            continue;
        }
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                open.push(dependency["pkg"].as_str().unwrap());
            }
        }
    }
    found
}

#[test]
fn copies_of_a_crate_are_known() {
    let metadata = metadata();
    let packages = packages(&metadata);
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for id in built_in(&metadata) {
        *versions.entry(packages[id]["name"].as_str().unwrap()).or_default() += 1;
    }
    versions.retain(|_, count| *count > 1);
    let known: BTreeMap<&str, usize> = COPIES.iter().map(|(name, count, _)| (*name, *count)).collect();
    assert_eq!(versions, known, "see COPIES: `cargo tree -d -e normal` tells who wants what");
}

#[test]
fn unsafe_code_stays_forbidden() {
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    assert_eq!(manifest["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    for path in
        ["src", "tests", "benches", "examples"].iter().flat_map(|name| files_below(&root().join(name), "rs"))
    {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(concat!("uns", "afe {")), "{}", path.display());
    }
}

#[derive(Deserialize)]
struct Advisories {
    advisories: Vec<Advisory>,
}

#[derive(Deserialize)]
struct Advisory {
    id: String,
    #[serde(rename = "crate")]
    name: String,
    safe: Vec<String>,
    what: String,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
}

/// Three numbers; a version of a candidate is older than what it is a candidate for.
fn numbers(version: &str) -> [u64; 4] {
    let release = version.split(['-', '+']).next().unwrap();
    let mut numbers = [0, 0, 0, u64::from(!version.contains('-'))];
    for (place, number) in numbers.iter_mut().zip(release.split('.')) {
        *place = number.trim().parse().unwrap_or_else(|error| panic!("{version}: {error}"));
    }
    numbers
}

/// Whether a version is in a range: bounds that all hold, with commas between.
fn is_within(version: &str, range: &str) -> bool {
    let version = numbers(version);
    range.split(',').all(|bound| {
        let bound = bound.trim();
        let (sign, rest) = bound.split_at(bound.find(|c: char| c.is_ascii_digit()).expect(bound));
        let bound = numbers(rest);
        match sign.trim() {
            ">=" => version >= bound,
            ">" => version > bound,
            "<=" => version <= bound,
            "<" => version < bound,
            "=" => version == bound,
            "^" | "" => {
                let fixed = bound.iter().position(|number| *number > 0).unwrap_or(0) + 1;
                version >= bound && version[..fixed] == bound[..fixed]
            }
            other => panic!("{other} in {range}"),
        }
    })
}

#[test]
fn ranges_are_read_as_they_are_meant() {
    for (version, range) in
        [("1.11.1", ">= 1.11.1"), ("0.3.26", "^0.3.24"), ("1.2.3", "^1.2"), ("0.8.18", ">= 0.8.13, < 0.9.0")]
    {
        assert!(is_within(version, range), "{version} {range}");
    }
    for (version, range) in [
        ("1.11.0", ">= 1.11.1"),
        ("0.4.0", "^0.3.24"),
        ("0.3.23", "^0.3.24"),
        ("2.0.0", "^1.2"),
        ("0.3.0-rc.1", ">= 0.3.0"),
    ] {
        assert!(!is_within(version, range), "{version} {range}");
    }
}

#[test]
fn a40_no_advisory_is_open() {
    let mut tally = Tally::of("attacks", "A40");
    let listed = std::fs::read_to_string(root().join("tests/advisories.toml")).unwrap();
    let Advisories { advisories } = toml::from_str(&listed).unwrap();
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let Lock { package: locked } = toml::from_str(&lock).unwrap();
    let mut checked = 0;
    for Advisory { id, name, safe, what } in &advisories {
        assert!(id.starts_with("RUSTSEC-20") && id.len() == 17 && !what.is_empty(), "{id}");
        for Locked { version, .. } in locked.iter().filter(|locked| locked.name == *name) {
            let is_safe = safe.iter().any(|range| is_within(version, range));
            assert!(is_safe, "{id}: {name} {version} ({what}); safe are {safe:?}");
            checked += 1;
        }
    }
    for named in ["RUSTSEC-2026-0258", "RUSTSEC-2026-0007", "RUSTSEC-2023-0065", "RUSTSEC-2023-0027"] {
        assert!(advisories.iter().any(|advisory| advisory.id == named), "{named} is missing");
    }
    assert!(checked > 50, "{checked} versions were held against the list");
    tally.count(advisories.len() as u64, "advisories");
}
