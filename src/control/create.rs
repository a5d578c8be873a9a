//! `createBreakOutRoom`, and the rooms of `createAndInviteBreakoutRoom`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::breakout::Breakout;
use super::context::Context;
use super::denied::Denied;
use super::log::Audience;
use super::params::{Params, whole};
use super::reply::Answer;
use super::seat::Place;
use super::session::Session;
use crate::base::{BreakoutId, ClientId, Kind, KindSet, MAX_NAME};
use crate::control::settings::CreateBy;
use crate::message::{BreakoutDetails, Event, Refusal};

/// How many live breakout rooms a parent room has at most.
pub(super) const MAX_ROOMS: usize = 10;

/// Cameras were asked for where none are carried.
pub(super) const VIDEO_WARNING: &str = "video_not_supported";

/// What is asked for, by its types alone.
pub(super) struct Asked<'a> {
    params: Params<'a>,
    audio: bool,
    video: bool,
    canvas: bool,
    share: bool,
    max_rooms: &'a Value,
    name: Option<&'a str>,
    open: bool,
}

impl<'a> Asked<'a> {
    pub(super) fn read(params: Params<'a>) -> Result<Self, Denied> {
        Ok(Self {
            params,
            audio: params.bool("audio")?,
            video: params.bool("video")?,
            canvas: params.bool("canvas")?,
            share: params.bool("share")?,
            max_rooms: params.number("max_rooms")?,
            name: params.optional_name("name")?,
            open: params.optional_bool("open")?.unwrap_or(false),
        })
    }
}

/// What the new rooms are to be like.
pub(super) struct Plan<'a> {
    pub(super) participants: u32,
    pub(super) count: usize,
    kinds: KindSet,
    open: bool,
    name: Option<&'a str>,
    video_dropped: bool,
}

impl Session {
    /// Whether the caller may make rooms.
    pub(super) fn check_creator(&self, cx: &Context, client: ClientId) -> Result<(), Denied> {
        let seat = self.breakout_caller(client)?;
        if seat.place != Place::Parent {
            return Err(Refusal::NotInParent.into());
        }
        if cx.settings.breakout.create_by == CreateBy::Moderators && !seat.is_moderator() {
            return Err(Refusal::Forbidden.into());
        }
        Ok(())
    }

    /// Checks the numbers that are asked for, in the order of the contract.
    pub(super) fn plan_rooms<'a>(&self, cx: &Context, asked: &Asked<'a>) -> Result<Plan<'a>, Denied> {
        let participants = asked.params.participants()?;
        let limit = u64::from(self.settings.max_active_talkers.saturating_sub(1));
        if participants > limit {
            let text = format!("`participants` is at most {limit} here.");
            return Err(Denied::new(Refusal::ParticipantsAboveLimit, text));
        }
        let count = whole(asked.max_rooms).filter(|count| *count >= 1);
        let count = count.ok_or_else(|| Denied::field("max_rooms", "a whole number of at least 1"))?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count.saturating_add(self.rooms.len()) > MAX_ROOMS {
            return Err(Refusal::TooManyRooms.into());
        }
        let video = asked.video && cx.settings.breakout.video;
        let kinds = [
            (Kind::Audio, asked.audio),
            (Kind::Video, video),
            (Kind::Share, asked.share && self.settings.share),
            (Kind::Canvas, asked.canvas && self.settings.canvas),
        ];
        Ok(Plan {
            participants: u32::try_from(participants).unwrap_or(u32::MAX),
            count,
            kinds: kinds
                .into_iter()
                .filter(|(_, on)| *on)
                .fold(KindSet::NONE, |kinds, (kind, _)| kinds.with(kind)),
            open: asked.open,
            name: asked.name,
            video_dropped: asked.video && !video,
        })
    }

    pub(super) fn create(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        params: Params<'_>,
    ) -> Result<Answer, Denied> {
        self.check_creator(cx, client)?;
        let plan = self.plan_rooms(cx, &Asked::read(params)?)?;
        let (_, data) = self.make_rooms(cx, client, &plan);
        Ok(Answer::Now(data))
    }

    /// Makes the rooms and tells the moderators; answers their ids in the order of their names, and
    /// the ack's data.
    pub(super) fn make_rooms(
        &mut self,
        cx: &mut Context,
        owner: ClientId,
        plan: &Plan<'_>,
    ) -> (Vec<BreakoutId>, Value) {
        let mut details: Vec<BreakoutDetails> = Vec::with_capacity(plan.count);
        for number in 1..=plan.count {
            self.made += 1;
            let name = match plan.name {
                Some(name) if plan.count == 1 => name.to_owned(),
                Some(name) => numbered(name, number),
                None => format!("Breakout {}", self.made),
            };
            let room = Breakout {
                id: BreakoutId(cx.random.next_u128()),
                name: name.into(),
                group: cx.next_group(self.id),
                owner: Some(owner),
                participants: plan.participants,
                kinds: plan.kinds,
                open: plan.open,
                cleared: false,
                members: BTreeMap::new(),
                joining: BTreeMap::new(),
                presenter: None,
            };
            details.push(room.details());
            let group = room.group;
            self.rooms.insert(room.id, room);
            self.sync_group(cx, group);
        }
        let rooms: Vec<BreakoutId> = details.iter().map(|details| details.room).collect();
        let shown: Vec<Value> = details.iter().map(BreakoutDetails::to_json).collect();
        let mut data = json!({"msg": {"rooms": rooms}, "result": 0, "details": shown});
        if plan.video_dropped
            && let Value::Object(data) = &mut data
        {
            data.insert("warnings".to_owned(), json!([VIDEO_WARNING]));
        }
        let audience = Audience::of(self.moderators.iter().copied(), None);
        self.tell(cx, Event::BreakoutRoomCreated { creator: self.person(owner), rooms: details }, audience);
        (rooms, data)
    }
}

/// The name of one of several rooms. A long name gives way to its number.
fn numbered(name: &str, number: usize) -> String {
    let suffix = format!(" {number}");
    let mut numbered: String = name.chars().take(MAX_NAME - suffix.len()).collect();
    numbered.push_str(&suffix);
    numbered
}
