//! One synthetic connection to a server that knows no slots: its media is the generator's.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::{oneshot, watch};

use super::super::generator::{MediaNews, MediaState, Order, Orders};
use super::super::person::PersonError;
use super::super::run::CONNECT_WITHIN;
use super::Newcomer;
use crate::base::{ClientId, Epoch, Kind, Random, Time};
use crate::client::{
    ClientIdentity, Participant, ParticipantReport, ParticipantSettings, Place, TimeAnchor, room_tag,
};

/// A participant who has described itself and waits for the server's description.
pub(super) struct Beginning {
    id: usize,
    room: usize,
    began: Time,
    pub(super) participant: Participant,
}

/// A connection that is under way or up.
pub(super) struct Link {
    id: usize,
    media: Orders,
    state: watch::Receiver<MediaState>,
}

impl Beginning {
    pub(super) fn of(newcomer: &Newcomer, media: &Orders) -> Result<Self, PersonError> {
        let Newcomer { id, room, settings, random, .. } = newcomer;
        Self::new((*id, *room), settings.clone(), random.clone(), media)
    }

    /// One connection, of somebody who may have more than one; each has a number of its own.
    pub(super) fn new(
        (id, room): (usize, usize),
        settings: ParticipantSettings,
        random: Random,
        media: &Orders,
    ) -> Result<Self, PersonError> {
        let identity = ClientIdentity::generate().map_err(|e| PersonError::Transport(e.to_string()))?;
        let (at, instant) = media.clock().anchor();
        let participant = Participant::new(settings, TimeAnchor { at, instant }, identity, random);
        Ok(Self { id, room, began: media.clock().now(), participant })
    }

    /// Takes the server's answer and starts to connect.
    pub(super) async fn answered(mut self, sdp: &str, media: &Orders) -> Result<Link, PersonError> {
        let answered = self.participant.answer(media.clock().now(), sdp);
        answered.map_err(|e| PersonError::Transport(e.to_string()))?;
        Ok(self.start(media).await)
    }

    /// Takes the server's offer and starts to connect; answers what the server has to be told.
    pub(super) async fn offered(mut self, sdp: &str, media: &Orders) -> Result<(Link, String), PersonError> {
        let answer = self.participant.accept(media.clock().now(), sdp);
        let answer = answer.map_err(|e| PersonError::Transport(e.to_string()))?;
        Ok((self.start(media).await, answer))
    }

    async fn start(self, media: &Orders) -> Link {
        let Self { id, room, began, participant } = self;
        let (publish_state, state) = watch::channel(MediaState::default());
        let news = MediaNews { state: publish_state, received: Arc::new(AtomicU64::new(0)) };
        media.give(Order::Add { id, participant: Box::new(participant), began, news }).await;
        // What its marks say of it; the server tells nothing that it could be judged by.
        let client = ClientId(u128::try_from(id).unwrap_or(0) + 1);
        let place = Place { client, room: room_tag(&format!("load-{room}")), epoch: Epoch(1) };
        let (taken, is_taken) = oneshot::channel();
        media.give(Order::Slots { id, place, claims: Vec::new(), taken }).await;
        let _ = is_taken.await;
        Link { id, media: media.clone(), state }
    }
}

impl Link {
    pub(super) async fn connected(&self) -> Result<(), PersonError> {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| state.joined_in.is_some() || state.failed);
        let late = |_| PersonError::Late("media".to_owned(), CONNECT_WITHIN);
        let settled = tokio::time::timeout(CONNECT_WITHIN, settled).await.map_err(late)?;
        if settled.map_err(|_| PersonError::Gone)?.failed {
            return Err(PersonError::Transport("DTLS failed, or the server closed it".to_owned()));
        }
        Ok(())
    }

    pub(super) async fn publish(&self, kind: Kind, on: bool) {
        self.media.give(Order::Publish { id: self.id, kind, on }).await;
    }

    pub(super) async fn finish(self) -> Result<ParticipantReport, PersonError> {
        let has_failed = self.state.borrow().failed;
        let (report, reported) = oneshot::channel();
        self.media.give(Order::Remove { id: self.id, report }).await;
        let found = reported.await.map_err(|_| PersonError::Gone)?;
        if has_failed {
            let why = PersonError::Transport("DTLS failed, or the server closed it".to_owned());
            return Err(why.with(found));
        }
        Ok(found)
    }
}
