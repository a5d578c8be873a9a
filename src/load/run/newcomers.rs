//! People join at a steady rate, whatever becomes of those before them, hear something and leave.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::super::end::End;
use super::super::generator::Orders;
use super::super::person::PersonError;
use super::super::servers::{Newcomer, Target};
use super::cast::settings;
use super::stage::{Stage, interval_of};
use crate::base::Random;
use crate::client::ParticipantReport;

/// Reasons that are told.
const MAX_REASONS: usize = 5;

/// Those who came and left again.
#[derive(Debug, Default)]
pub(in super::super) struct Newcomers {
    /// How many joins a second were asked for.
    pub(in super::super) wanted: f64,
    /// Joins that were to be made.
    pub(in super::super) asked: u64,
    /// From the moment when each was to begin to the first packet that could be decrypted.
    pub(in super::super) heard_in: Vec<Duration>,
    /// Those that came to nothing.
    pub(in super::super) failed: u64,
    /// Why, of some.
    pub(in super::super) reasons: Vec<String>,
    /// What they found.
    pub(in super::super) reports: Vec<ParticipantReport>,
    /// From the first to the last that was begun.
    pub(in super::super) over: Duration,
}

/// When it heard something, and what it found.
type Visited = Result<(Result<Duration, PersonError>, Vec<ParticipantReport>), PersonError>;

/// Lets people come until the end, and waits until they have left.
pub(super) async fn newcomers(stage: &Stage<'_>, target: Arc<dyn Target>, end: &End) -> Newcomers {
    let operations = &stage.scenario.operations;
    let mut came = Newcomers { wanted: operations.joins, ..Newcomers::default() };
    let Some(interval) = interval_of(operations.joins) else { return came };
    let stay = Duration::from_secs_f64(operations.stay_seconds);
    let (most, first) = (stage.scenario.newcomers_at_once(), stage.count());
    let began = stage.clock().now();
    let mut seed = Random::from_number(began.as_micros());
    let mut visits = JoinSet::new();
    let mut due = began;
    for number in 0.. {
        due = due + interval;
        if !end.is_after(due).await {
            break;
        }
        came.asked += 1;
        while let Some(visited) = visits.try_join_next() {
            came.add(visited.unwrap_or(Err(PersonError::Gone)));
        }
        if visits.len() >= most {
            came.fail(&format!("{most} joins were under way, and no more are begun"));
            continue;
        }
        let newcomer = Newcomer {
            id: first + number,
            room: number % stage.rooms().len().max(1),
            publisher: None,
            settings: settings(stage.scenario, target.kind(), false),
            random: seed.fork(),
            began: Some(due),
        };
        visits.spawn(visit(Arc::clone(&target), newcomer, stage.orders().clone(), stay));
    }
    came.over = stage.clock().now().since(began);
    while let Some(visited) = visits.join_next().await {
        came.add(visited.unwrap_or(Err(PersonError::Gone)));
    }
    came
}

async fn visit(target: Arc<dyn Target>, newcomer: Newcomer, orders: Orders, stay: Duration) -> Visited {
    let person = target.join(newcomer, &orders).await?;
    let heard = person.has_heard().await;
    if heard.is_ok() && !stay.is_zero() {
        sleep(stay).await;
    }
    Ok((heard, person.finish().await?))
}

impl Newcomers {
    fn add(&mut self, visited: Visited) {
        match visited {
            Ok((heard_in, reports)) => {
                self.reports.extend(reports);
                match heard_in {
                    Ok(heard_in) => self.heard_in.push(heard_in),
                    Err(error) => self.fail(&error.to_string()),
                }
            }
            Err(error) => {
                self.fail(&error.to_string());
                self.reports.extend(error.into_found());
            }
        }
    }

    fn fail(&mut self, reason: &str) {
        self.failed += 1;
        if self.reasons.len() < MAX_REASONS && !self.reasons.iter().any(|known| known == reason) {
            self.reasons.push(reason.to_owned());
        }
    }
}
