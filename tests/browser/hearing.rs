//! Who hears whom.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde::Deserialize;

use super::person::Person;
use super::world::TONES;

/// How long hearing may take to follow: the jitter buffer plays on for 190 to 330 ms, and a busy
/// machine takes its time.
const WITHIN: Duration = Duration::from_secs(10);

/// How often the pages listen.
const EVERY: Duration = Duration::from_millis(80);

/// How many times in a row everybody has to hear what is right: longer than a jitter buffer.
const STEADY: usize = 6;

#[derive(Deserialize)]
struct SlotHeard {
    #[serde(rename = "clientId")]
    announced: Option<String>,
    tones: Vec<usize>,
}

/// What one person hears: tones, and the slots whose announced publisher is another one.
async fn listen(person: &Person, everybody: &[&Person]) -> (BTreeSet<usize>, Vec<String>) {
    let slots: Vec<SlotHeard> = person.js("test.hears()").await;
    let mut wrong = Vec::new();
    for slot in &slots {
        let announced = everybody.iter().find(|other| slot.announced.as_deref() == Some(&*other.id));
        for tone in &slot.tones {
            if announced.is_none_or(|other| other.tone != *tone) {
                wrong.push(format!(
                    "{} Hz where {:?} is announced",
                    TONES[*tone],
                    announced.map(|other| other.name)
                ));
            }
        }
    }
    (slots.iter().flat_map(|slot| slot.tones.iter().copied()).collect(), wrong)
}

/// Waits until, within each group, everybody hears everybody else of it and nobody of another
/// group, and stays so. A person who is in no group hears nobody and is heard by nobody.
pub(crate) async fn expect_groups(when: &str, everybody: &[&Person], groups: &[&[&Person]]) {
    let expected: Vec<(&Person, Vec<&Person>)> = everybody
        .iter()
        .map(|person| {
            let group = groups.iter().find(|group| group.iter().any(|member| member.id == person.id));
            let others =
                group.iter().flat_map(|group| group.iter().copied()).filter(|other| other.id != person.id);
            (*person, others.collect())
        })
        .collect();
    expect_hearing(when, everybody, &expected).await;
}

/// Waits until each person hears exactly these others, and stays so.
pub(crate) async fn expect_hearing(when: &str, everybody: &[&Person], expected: &[(&Person, Vec<&Person>)]) {
    let begin = Instant::now();
    let mut steady = 0;
    while steady < STEADY {
        let heard = join_all(expected.iter().map(|(person, _)| listen(person, everybody))).await;
        let faults: Vec<String> = expected
            .iter()
            .zip(&heard)
            .filter_map(|((person, others), (tones, wrong))| {
                let right: BTreeSet<usize> = others.iter().map(|other| other.tone).collect();
                let is_right = right == *tones && wrong.is_empty();
                (!is_right).then(|| {
                    format!(
                        "{} hears {} instead of {}; {wrong:?}",
                        person.name,
                        names(tones, everybody),
                        names(&right, everybody)
                    )
                })
            })
            .collect();
        steady = if faults.is_empty() { steady + 1 } else { 0 };
        assert!(begin.elapsed() < WITHIN, "{when}: {}", faults.join("; "));
        tokio::time::sleep(EVERY).await;
    }
}

fn names(tones: &BTreeSet<usize>, everybody: &[&Person]) -> String {
    let name =
        |tone: &usize| everybody.iter().find(|person| person.tone == *tone).map_or("?", |person| person.name);
    format!("[{}]", tones.iter().map(name).collect::<Vec<_>>().join(", "))
}
