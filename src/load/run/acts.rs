//! All that people do in a run, at the same time.

use std::time::Duration;

use super::super::end::End;
use super::LoadError;
use super::cast::Cast;
use super::churn::churn;
use super::dealing::{Dealt, deal};
use super::newcomers::{Newcomers, newcomers};
use super::turns::take_turns;

/// What was done.
#[derive(Debug, Default)]
pub(in super::super) struct Acted {
    /// People who changed rooms.
    pub(in super::super) moves: u64,
    /// From each request that moved somebody to its ack.
    pub(in super::super) move_acks: Vec<Duration>,
    /// Sessions whose breakout rooms were cleared.
    pub(in super::super) clears: u64,
    /// From each request that destroyed all breakout rooms of a session to its ack.
    pub(in super::super) destroy_acks: Vec<Duration>,
    /// Between the first and the last of the destructions at the end.
    pub(in super::super) destroy_spread: Duration,
    /// Changes of who publishes.
    pub(in super::super) turns: u64,
    /// Those who came and left again.
    pub(in super::super) newcomers: Newcomers,
    /// What the server refused, or did not do in time; the rest of that act did not happen.
    pub(in super::super) problems: Vec<String>,
}

/// What has to be there before it is played.
pub(super) struct Act {
    dealt: Option<Dealt>,
}

impl Act {
    /// Deals people out, if that is the act.
    pub(super) async fn prepare(cast: &Cast) -> Result<Self, LoadError> {
        let stage = cast.stage();
        let dealt = if stage.scenario.breakouts.deal { Some(deal(&stage).await?) } else { None };
        Ok(Self { dealt })
    }

    /// Plays until the end, and what belongs behind it.
    pub(super) async fn play(self, cast: &Cast, end: &End) -> Acted {
        let stage = cast.stage();
        let turns = async { if stage.scenario.has_turns() { take_turns(&stage, end).await } else { Ok(0) } };
        let moved = async {
            match self.dealt {
                Some(dealt) => dealt.bring_home(&stage, end).await,
                None if stage.scenario.churns() => churn(&stage, end).await,
                None => Ok(Acted::default()),
            }
        };
        let came = newcomers(&stage, cast.target(), end);
        let (turns, moved, newcomers) = tokio::join!(turns, moved, came);
        let mut problems = Vec::new();
        let mut tell = |error: LoadError| problems.push(error.to_string());
        let turns = turns.map_err(&mut tell).unwrap_or(0);
        let moved = moved.map_err(&mut tell).unwrap_or_default();
        Acted { turns, newcomers, problems, ..moved }
    }
}
