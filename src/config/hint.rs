//! What somebody who mistyped a name most likely meant.

/// A name this many edits away is no longer a likely slip.
const MOST_EDITS: usize = 3;

/// The candidate nearest to `typed`, if one is near enough.
pub(super) fn did_you_mean<'a>(
    typed: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (edits(typed, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= MOST_EDITS.min(candidate.len() / 2))
        .map(|(_, candidate)| candidate)
}

/// The Levenshtein distance, by rows.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (line, a) in from.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        let mut next = vec![left];
        for (b, above) in to.chars().zip(row.iter().skip(1)) {
            let cost = if a == b { diagonal } else { 1 + diagonal.min(left).min(*above) };
            diagonal = *above;
            left = cost;
            next.push(cost);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_levenshtein() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "port"), 4);
        assert_eq!(edits("port", "port"), 0);
    }

    #[test]
    fn a_slip_is_understood_and_nonsense_is_not() {
        let keys = ["http", "port", "metrics"];
        assert_eq!(did_you_mean("prot", keys), Some("port"));
        assert_eq!(did_you_mean("metrix", keys), Some("metrics"));
        assert_eq!(did_you_mean("zebra", keys), None);
    }
}
