//! Keeps the structure that ARCHITECTURE.md describes: who imports whom, how long a file is, where a
//! lint is lifted, and that the way of a packet and of a move is told as it is.

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
use std::path::PathBuf;

use pages::{files_below, root};

/// Each folder and the folders that it may import. `main.rs` stands at the top.
const IMPORTS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("wire", &["base"]),
    ("message", &["base"]),
    ("control", &["base", "message"]),
    ("transport", &["base", "wire", "message"]),
    ("media", &["base", "wire", "message", "transport"]),
    ("client", &["base", "wire", "message", "transport"]),
    ("telemetry", &["base"]),
    ("config", &["base"]),
    ("api", &["base", "message", "telemetry"]),
    ("store", &["base", "message"]),
    (
        "node",
        &["base", "wire", "message", "control", "transport", "media", "telemetry", "config", "api", "store"],
    ),
    ("load", &["base", "wire", "message", "client", "telemetry", "config"]),
    ("sim", &["base", "wire", "message", "control", "transport", "media", "client"]),
    ("simulate", &["base", "client", "sim"]),
    ("main", &["node", "load", "config", "telemetry"]),
];

/// A file is one noun; a longer one hides a second.
const MAX_FILE_LINES: usize = 500;

/// Folders that touch clocks, sockets, threads and tasks.
const EDGE: &[&str] = &["api", "load", "node", "store", "telemetry", "simulate", "main"];

fn source_files() -> Vec<(String, PathBuf, String)> {
    let src = root().join("src");
    files_below(&src, "rs")
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name != "lib.rs"))
        .map(|path| {
            let inside = path.strip_prefix(&src).unwrap();
            let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
            let folder = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            (folder, path, text)
        })
        .collect()
}

/// The paths below the crate's root that `text` names: `["base", "Time"]` for `crate::base::Time`,
/// and each branch of `crate::{base::Time, wire}`. Two segments are kept.
fn crate_paths(text: &str, root_name: &str) -> BTreeSet<Vec<String>> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let needle = format!("{root_name}::");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(&needle) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"') {
            continue;
        }
        let rest = &code[at + needle.len()..];
        if rest.starts_with('{') {
            for branch in top_level_branches(rest) {
                found.insert(two_segments(branch));
            }
        } else {
            found.insert(two_segments(rest));
        }
    }
    found
}

fn two_segments(path: &str) -> Vec<String> {
    let mut segments = Vec::new();
    let mut rest = path.trim_start();
    while segments.len() < 2 {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if end == 0 {
            break;
        }
        segments.push(rest[..end].to_owned());
        let Some(after) = rest[end..].strip_prefix("::") else { break };
        rest = after;
    }
    segments
}

/// The comma-separated parts of the braces that `text` begins with.
fn top_level_branches(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut start = 1;
    let mut branches = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if (c == ',' && depth == 1) || depth == 0 {
            branches.push(&text[start..at]);
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    branches.into_iter().filter(|branch| !branch.trim().is_empty()).collect()
}

#[test]
fn folders_import_downwards_only() {
    let mut wrong = Vec::new();
    for (folder, path, text) in source_files() {
        let Some((_, allowed)) = IMPORTS.iter().find(|(name, _)| *name == folder) else {
            wrong.push(format!("{}: folder `{folder}` is not in the table", path.display()));
            continue;
        };
        let root_name = if matches!(&*folder, "main" | "simulate") { "anteroom" } else { "crate" };
        for found in crate_paths(&text, root_name) {
            let Some(target) = found.first() else { continue };
            let is_folder = IMPORTS.iter().any(|(name, _)| name == target);
            let settings = folder == "config" && found.get(1).is_some_and(|second| second == "settings");
            if is_folder && *target != folder && !allowed.contains(&target.as_str()) && !settings {
                wrong.push(format!("{}: `{folder}` may not import `{target}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_page_has_the_same_table() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows: Vec<Vec<&str>> = page
        .lines()
        .skip_while(|line| *line != "| folder | what lives there | may import |")
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), IMPORTS.len());
    for (row, (folder, allowed)) in rows.iter().zip(IMPORTS) {
        let imports: Vec<&str> = row[2].split(", ").filter(|name| *name != "-").collect();
        assert_eq!((row[0].trim_matches('`').trim_end_matches(".rs"), &imports[..]), (*folder, *allowed));
    }
}

#[test]
fn the_import_reader_sees_every_form() {
    let text = "use crate::{base::{Time, Kind}, wire};\nlet x = crate::media::Worker;\n// crate::load\nuse crate::node::serve;";
    let found: Vec<String> =
        crate_paths(text, "crate").into_iter().filter_map(|path| path.first().cloned()).collect();
    assert_eq!(found, ["base", "media", "node", "wire"]);
}

#[test]
fn the_table_has_no_cycle() {
    for (at, (folder, allowed)) in IMPORTS.iter().enumerate() {
        for import in *allowed {
            let position = IMPORTS.iter().position(|(name, _)| name == import);
            assert!(position.is_some_and(|p| p < at), "`{folder}` imports `{import}`, which is not below it");
        }
    }
}

#[test]
fn files_are_short() {
    let long: Vec<String> = source_files()
        .into_iter()
        .map(|(_, path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_FILE_LINES)
        .map(|(path, lines)| format!("{} has {lines} lines, {MAX_FILE_LINES} are the most", path.display()))
        .collect();
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

#[test]
fn the_lints_of_purity_are_lifted_in_edge_folders_only() {
    let purity = ["clippy::disallowed_methods", "clippy::disallowed_types"];
    for (folder, path, text) in source_files() {
        // A test anchors its virtual time somewhere.
        let is_test = path.components().any(|part| part.as_os_str() == "tests");
        if is_test || EDGE.contains(&folder.as_str()) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            assert!(
                !purity.iter().any(|lint| line.contains(lint)),
                "{}:{}: `{folder}` is pure: it reads no clock and starts no thread",
                path.display(),
                number + 1
            );
        }
    }
}

#[test]
fn nothing_is_left_open() {
    let marks = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[ign", "ore"),
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
    ];
    let mut files = files_below(&root().join("src"), "rs");
    files.extend(files_below(&root().join("tests"), "rs"));
    files.extend(files_below(&root().join("src"), "js"));
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        for mark in marks {
            assert!(!text.contains(mark), "{} holds a `{mark}`", path.display());
        }
    }
}

/// The steps of a numbered list in ARCHITECTURE.md: `function` in `file`.
fn steps(section: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let start = text.find(&format!("## {section}")).unwrap_or_else(|| panic!("no section `{section}`"));
    let body = &text[start + 3..];
    let body = &body[..body.find("\n## ").unwrap_or(body.len())];
    body.lines()
        .filter(|line| line.chars().next().is_some_and(|c| c.is_ascii_digit()))
        .map(|line| {
            let mut quoted = line.split('`').skip(1).step_by(2);
            let function = quoted.next().unwrap_or_else(|| panic!("no function in: {line}"));
            let file = quoted.next().unwrap_or_else(|| panic!("no file in: {line}"));
            (function.to_owned(), file.to_owned())
        })
        .collect()
}

#[test]
fn the_ways_in_the_architecture_page_exist() {
    for section in ["The way of a packet", "The way of a move", "What survives a crash"] {
        let steps = steps(section);
        assert!(steps.len() >= 5, "`{section}` tells {} steps", steps.len());
        for (function, file) in steps {
            let text = fs::read_to_string(root().join(&file)).unwrap_or_else(|e| panic!("{file}: {e}"));
            let name = function.rsplit("::").next().unwrap();
            let declared = text.contains(&format!("fn {name}(")) || text.contains(&format!("fn {name}<"));
            assert!(declared, "`{section}`: no function `{name}` in {file}");
        }
    }
}

#[test]
fn what_belongs_at_the_top_level_is_there() {
    let names = [
        "Cargo.toml",
        "src",
        "benches",
        "tests",
        "fuzz",
        "deploy",
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "docs",
        ".ci/run",
    ];
    for name in names {
        assert!(root().join(name).exists(), "{name} is missing");
    }
}
