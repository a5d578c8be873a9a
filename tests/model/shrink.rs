//! Delta debugging: the shortest script that one can find which still fails.

/// Drops parts of `script` while `fails` stays true of the rest.
///
/// Parts shrink from halves to single steps; `budget` bounds the number of runs.
pub fn shrink<T: Clone>(script: &[T], mut budget: usize, fails: impl Fn(&[T]) -> bool) -> Vec<T> {
    let mut best = script.to_vec();
    let mut part = best.len().div_ceil(2);
    while part > 0 && budget > 0 {
        let mut at = 0;
        let mut dropped = false;
        while at < best.len() && budget > 0 {
            let end = (at + part).min(best.len());
            let shorter: Vec<T> = best[..at].iter().chain(&best[end..]).cloned().collect();
            budget -= 1;
            if fails(&shorter) {
                best = shorter;
                dropped = true;
            } else {
                at = end;
            }
        }
        if part == 1 && !dropped {
            break;
        }
        part = if part == 1 { 1 } else { part / 2 };
    }
    best
}

#[test]
fn what_matters_is_left() {
    let script: Vec<u32> = (0..300).collect();
    let runs = std::cell::Cell::new(0);
    let left = shrink(&script, 2_000, |steps| {
        runs.set(runs.get() + 1);
        steps.contains(&17) && steps.contains(&18) && steps.contains(&251)
    });
    assert_eq!(left, [17, 18, 251]);
    assert!(runs.get() < 200, "{} runs", runs.get());
}
