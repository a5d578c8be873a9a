//! `/v1/ws`: one client's WebSocket.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep, interval_at, sleep, timeout};

use super::inbound::{read_request, too_many};
use super::link::{Link, LinkEnd, placement_of};
use super::origin;
use super::rate::{FRAME_BYTES, RequestRate, cost_of, frame_rate};
use super::refuse::HttpRefusal;
use super::router::Doors;
use super::token::TokenRefusal;
use super::websocket::{BacklogFull, Broken, Incoming, Outgoing, Upgrade, Violation, WebSocket};
use crate::base::{Bucket, Epoch};
use crate::message::{AdminReply, AdminRequest, Claims, CloseReason, Frame};
use crate::telemetry::{Clock, RefusedFrame, RefusedLink, wall_clock_seconds};

/// An SDP offer may have 64 KiB by itself, and JSON escapes make it longer.
const MAX_MESSAGE_BYTES: usize = 128 * 1024;

/// How often an idle client is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(15);

/// A client that is silent for this long, pongs included, is gone.
const SILENCE_LIMIT: Duration = Duration::from_secs(45);

/// How long a client may be connected before it has a seat: its token was looked at when it connected.
const SEAT_WITHIN: Duration = Duration::from_secs(60);

/// What a client gets to take in the rest of its frames and the close.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
pub(super) struct SocketQuery {
    #[serde(default)]
    token: String,
}

/// A connection's place among the allowed number, as an extension of its requests: a WebSocket keeps
/// it after its connection has left HTTP.
#[derive(Clone, Debug)]
pub struct ConnectionSeat(pub Arc<OwnedSemaphorePermit>);

/// Checks token and origin, and only then upgrades.
#[expect(clippy::disallowed_methods, reason = "a conversation outlives the request that opens it")]
pub(super) async fn open(
    State(doors): State<Doors>,
    seat: Option<Extension<ConnectionSeat>>,
    query: Result<Query<SocketQuery>, QueryRejection>,
    request: Request,
) -> Result<Response, HttpRefusal> {
    let refuse = |reason: RefusedLink, refusal: HttpRefusal| {
        doors.doorway.metrics().link_refused(reason);
        refusal
    };
    if !origin::is_allowed(request.headers(), &doors.settings.allowed_origins) {
        let msg = "pages of this origin may not connect; see `allowed_origins` in [http]";
        return Err(refuse(RefusedLink::Origin, HttpRefusal::new(StatusCode::FORBIDDEN, "bad_origin", msg)));
    }
    // Before the token is looked at: a refusal under load has to be cheap.
    if doors.doorway.is_overloaded() {
        return Err(refuse(RefusedLink::Overloaded, HttpRefusal::overloaded()));
    }
    let token = query.map(|Query(query)| query.token).unwrap_or_default();
    let claims = admit(&doors, &token).await.map_err(|why| {
        // What the library says of one that is not valid may quote it.
        match &why {
            TokenRefusal::Invalid(_) => tracing::debug!("a token that is not valid is refused"),
            why => tracing::debug!(%why, "a token is refused"),
        }
        let refusal = HttpRefusal::new(StatusCode::UNAUTHORIZED, "bad_token", why.to_string());
        refuse(RefusedLink::Token, refusal)
    })?;
    if doors.doorway.is_full() {
        // Whoever comes back to a seat has its secret; the name is enough to get as far as to show it.
        let known = AdminRequest::IsKnown { room: claims.room.clone(), name: claims.name.clone() };
        if !has_seat(&doors, known).await {
            return Err(refuse(RefusedLink::Memory, HttpRefusal::full()));
        }
    }
    let upgrade = match Upgrade::of(request) {
        Ok(upgrade) => upgrade,
        Err(no_upgrade) => return Ok(no_upgrade.into_response()),
    };
    let link = doors
        .doorway
        .open_link(claims)
        .await
        .map_err(|_| refuse(RefusedLink::Stopping, HttpRefusal::stopping()))?;
    let clock = doors.settings.clock;
    let (response, on_upgrade) = upgrade.accept();
    tokio::spawn(async move {
        // Whoever hangs up before it has the answer drops the link with this.
        if let Ok(connection) = on_upgrade.await {
            let mut conversation = Conversation::new(connection, link, clock);
            conversation.run().await;
        }
        drop(seat);
    });
    Ok(response)
}

/// What a token says that lets its bearer in: one that is valid, or that was valid when its bearer
/// took a seat which is still there.
async fn admit(doors: &Doors, token: &str) -> Result<Claims, TokenRefusal> {
    let now = wall_clock_seconds();
    let why = match doors.settings.tokens.check(token, now) {
        Err(why @ TokenRefusal::Expired) => why,
        checked => return checked,
    };
    let claims = doors.settings.tokens.lapsed(token, now).ok_or_else(|| why.clone())?;
    if has_seat(doors, AdminRequest::IsSeated(claims.clone())).await { Ok(claims) } else { Err(why) }
}

/// Whether control answers that there is such a seat.
async fn has_seat(doors: &Doors, question: AdminRequest) -> bool {
    doors.doorway.admin(question).await == Ok(AdminReply::Seated(true))
}

/// Why a conversation ends.
#[derive(Debug)]
enum Ending {
    /// The connection broke.
    Gone,
    /// The client closed, and is answered.
    Answered,
    /// The server closes it, with a code of RFC 6455 section 7.4.
    Close(u16, &'static str),
}

/// What a conversation goes on with.
enum Step {
    Frame(Option<Frame>),
    Message(Result<Incoming, Broken>),
    Ping,
}

struct Conversation {
    socket: WebSocket<TokioIo<Upgraded>>,
    link: Link,
    clock: Clock,
    rate: RequestRate,
    frames: Bucket,
    /// Until when nothing more is read, of a client that says too much.
    pause: Option<Pin<Box<Sleep>>>,
    pings: Interval,
    heard: Instant,
    opened: Instant,
    is_seated: bool,
    /// The newest placement that the client was told and asked about.
    asked: Option<Epoch>,
}

impl Conversation {
    fn new(connection: Upgraded, link: Link, clock: Clock) -> Self {
        let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            socket: WebSocket::new(TokioIo::new(connection), MAX_MESSAGE_BYTES),
            link,
            clock,
            rate: RequestRate::new(),
            frames: frame_rate(),
            pause: None,
            pings,
            heard: Instant::now(),
            opened: Instant::now(),
            is_seated: false,
            asked: None,
        }
    }

    /// By reference, so that its task has room for it once.
    async fn run(&mut self) {
        // Whoever does not take the close in time is gone as well.
        match self.talk().await {
            Ending::Gone => {}
            Ending::Answered => {
                let _ = timeout(CLOSE_WITHIN, poll_fn(|cx| self.socket.poll_write(cx))).await;
            }
            Ending::Close(code, reason) => {
                tracing::debug!(code, reason, "closing a WebSocket");
                let _ = timeout(CLOSE_WITHIN, self.close(code, reason)).await;
            }
        }
    }

    async fn talk(&mut self) -> Ending {
        loop {
            let step = match poll_fn(|cx| self.poll_step(cx)).await {
                Step::Frame(Some(frame)) => self.queue(&frame),
                Step::Frame(None) => Err(close_of(self.link.end())),
                Step::Message(Ok(message)) => self.take(message).await,
                Step::Message(Err(broken)) => Err(self.ending_of(&broken)),
                Step::Ping => self.check_presence(),
            };
            if let Err(ending) = step {
                return ending;
            }
        }
    }

    /// What the client is owed comes before what it says.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        if let Poll::Ready(Err(_)) = self.socket.poll_write(cx) {
            return Poll::Ready(Step::Message(Err(Broken::Gone)));
        }
        if let Poll::Ready(frame) = self.link.poll_recv_untold(cx) {
            return Poll::Ready(Step::Frame(frame));
        }
        if let Poll::Ready(message) = self.poll_message(cx) {
            return Poll::Ready(Step::Message(message));
        }
        self.pings.poll_tick(cx).map(|_| Step::Ping)
    }

    /// The client's next message. Every frame counts, so that pings and pieces of messages are no
    /// cheaper for who floods than requests are, and a long one as several.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, Broken>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let message = self.socket.poll_read(cx);
        let long = match &message {
            Poll::Ready(Ok(Incoming::Text(text))) => text.len() / FRAME_BYTES,
            _ => 0,
        };
        let frames = self.socket.take_frames().saturating_add(u64::try_from(long).unwrap_or(u64::MAX));
        let due = self.frames.charge(self.clock.now(), frames);
        self.pause = due.map(|due| Box::pin(sleep(self.clock.until(due))));
        message
    }

    fn queue(&mut self, frame: &Frame) -> Result<(), Ending> {
        let text = serde_json::to_string(frame).map_err(|error| {
            tracing::error!(%error, "a frame could not be serialised");
            Ending::Close(1011, "internal")
        })?;
        self.queue_message(Outgoing::Text(text))?;
        match placement_of(frame) {
            // A client answers a ping only after it has read what was sent before it: its pong says
            // that it knows of the placement.
            Some(epoch) => {
                self.is_seated = true;
                self.asked = Some(epoch);
                self.queue_message(Outgoing::Ping(epoch.0.to_be_bytes().to_vec()))
            }
            None => Ok(()),
        }
    }

    fn queue_message(&mut self, message: Outgoing) -> Result<(), Ending> {
        self.socket.push(message).map_err(|BacklogFull| {
            self.link.metrics().links_too_slow.inc();
            close_of(LinkEnd::TooSlow)
        })
    }

    async fn take(&mut self, message: Incoming) -> Result<(), Ending> {
        self.heard = Instant::now();
        match message {
            Incoming::Text(text) => self.take_text(&text).await,
            Incoming::Ping(_) => Ok(()),
            Incoming::Pong(payload) => {
                // Once per ping, so that pongs nobody asked for cost nobody anything.
                if let Some(epoch) = self.asked.take_if(|asked| payload[..] == asked.0.to_be_bytes()) {
                    self.link.told(epoch).await;
                }
                Ok(())
            }
            Incoming::Close(_) => Err(Ending::Answered),
        }
    }

    async fn take_text(&mut self, text: &str) -> Result<(), Ending> {
        let request = read_request(text);
        let cost = request.as_ref().map_or(1, cost_of);
        let is_allowed = self.rate.allow(self.clock.now(), cost);
        let request = match request {
            Ok(request) if is_allowed => request,
            Ok(request) => {
                self.link.metrics().frame_refused(RefusedFrame::Rate);
                return self.queue(&too_many(&request));
            }
            Err(refusal) => {
                self.link.metrics().frame_refused(RefusedFrame::Malformed);
                return self.queue(&refusal);
            }
        };
        self.link.send(request).await.map_err(|_| close_of(LinkEnd::Stopped))
    }

    fn check_presence(&mut self) -> Result<(), Ending> {
        if self.heard.elapsed() >= SILENCE_LIMIT {
            return Err(Ending::Gone);
        }
        // Asked with the pings, so up to one of them later.
        if !self.is_seated && self.opened.elapsed() >= SEAT_WITHIN {
            return Err(Ending::Close(4005, "no_seat"));
        }
        self.queue_message(Outgoing::Ping(Vec::new()))
    }

    async fn close(&mut self, code: u16, reason: &'static str) {
        // A close is never too much.
        let _ = self.socket.push(Outgoing::Close(Some(code), reason));
        self.socket.turn_deaf();
        if poll_fn(|cx| self.socket.poll_write(cx)).await.is_err() {
            return;
        }
        // Reading until the client's own close keeps the system from resetting the connection
        // before the client has read the last frames.
        while let Ok(Incoming::Text(_) | Incoming::Ping(_) | Incoming::Pong(_)) =
            poll_fn(|cx| self.socket.poll_read(cx)).await
        {}
    }

    /// A client that breaks the WebSocket protocol is told how, where it may still be listening.
    fn ending_of(&self, broken: &Broken) -> Ending {
        match broken {
            Broken::Violation(Violation::TooLong) => Ending::Close(1009, "too_large"),
            Broken::Violation(Violation::NoUtf8) => Ending::Close(1007, "no_utf8"),
            Broken::Violation(Violation::Binary) => {
                self.link.metrics().frame_refused(RefusedFrame::Binary);
                Ending::Close(1003, "text_only")
            }
            Broken::Violation(Violation::Protocol(_)) => Ending::Close(1002, "protocol"),
            Broken::Gone => Ending::Gone,
        }
    }
}

/// The application's own codes are from 4000 on (RFC 6455 section 7.4.2).
const fn close_of(end: LinkEnd) -> Ending {
    match end {
        LinkEnd::Closed(CloseReason::Left) => Ending::Close(1000, "left"),
        LinkEnd::Closed(CloseReason::Removed) => Ending::Close(4001, "removed"),
        LinkEnd::Closed(CloseReason::RoomEnded) => Ending::Close(4002, "room_ended"),
        LinkEnd::Closed(CloseReason::Replaced) => Ending::Close(4003, "replaced"),
        LinkEnd::Closed(CloseReason::SeatFreed) => Ending::Close(4004, "seat_freed"),
        LinkEnd::TooSlow => Ending::Close(1008, "too_slow"),
        LinkEnd::Stopped => Ending::Close(1001, "stopping"),
    }
}
