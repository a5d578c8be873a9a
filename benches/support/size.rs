//! How many people a bench takes.

/// These sizes; where the benches only show that they still run, the first two at most, for the
/// handshakes of thousands take long without optimisation.
pub(crate) fn sizes(all: &'static [usize]) -> &'static [usize] {
    // As criterion: `cargo bench` says `--bench`, and `-- --test` asks for one run of each.
    let says = |word: &str| std::env::args().any(|argument| argument == word);
    if says("--bench") && !says("--test") { all } else { all.get(..2).unwrap_or(all) }
}
