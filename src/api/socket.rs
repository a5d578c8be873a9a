//! `/v1/ws`: one client's WebSocket.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::backlog::{Backlog, BacklogFull};
use super::inbound::{read_request, too_many};
use super::link::{Link, LinkEnd, placement_of};
use super::origin;
use super::rate::{RequestRate, cost_of};
use super::refuse::HttpRefusal;
use super::router::Doors;
use super::token::TokenRefusal;
use crate::base::Epoch;
use crate::message::{AdminReply, AdminRequest, Claims, CloseReason, Frame};
use crate::telemetry::{Clock, RefusedFrame, RefusedLink, wall_clock_seconds};

/// An SDP offer may have 64 KiB by itself, and JSON escapes make it longer.
const MAX_MESSAGE_BYTES: usize = 128 * 1024;

/// What a WebSocket keeps for reading while its client says nothing. A request fits; an offer is read
/// in pieces.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// How often an idle client is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(15);

/// A client that is silent for this long, pongs included, is gone.
const SILENCE_LIMIT: Duration = Duration::from_secs(45);

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
pub(super) async fn open(
    State(doors): State<Doors>,
    seat: Option<Extension<ConnectionSeat>>,
    headers: HeaderMap,
    query: Result<Query<SocketQuery>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, HttpRefusal> {
    let refuse = |reason: RefusedLink, refusal: HttpRefusal| {
        doors.doorway.metrics().link_refused(reason);
        refusal
    };
    if !origin::is_allowed(&headers, &doors.settings.allowed_origins) {
        let msg = "pages of this origin may not connect; see `allowed_origins` in [http]";
        return Err(refuse(RefusedLink::Origin, HttpRefusal::new(StatusCode::FORBIDDEN, "bad_origin", msg)));
    }
    let token = query.map(|Query(query)| query.token).unwrap_or_default();
    let claims = admit(&doors, &token).await.map_err(|why| {
        let refusal = HttpRefusal::new(StatusCode::UNAUTHORIZED, "bad_token", why.to_string());
        refuse(RefusedLink::Token, refusal)
    })?;
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return Ok(rejection.into_response()),
    };
    let link = doors
        .doorway
        .open_link(claims)
        .await
        .map_err(|_| refuse(RefusedLink::Stopping, HttpRefusal::stopping()))?;
    let clock = doors.settings.clock;
    Ok(upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .read_buffer_size(READ_BUFFER_BYTES)
        .on_upgrade(async move |socket| {
            Conversation::new(socket, link, clock).run().await;
            drop(seat);
        }))
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
    let asked = doors.doorway.admin(AdminRequest::IsSeated(claims.clone())).await;
    if asked == Ok(AdminReply::Seated(true)) { Ok(claims) } else { Err(why) }
}

/// Why a conversation ends.
#[derive(Debug)]
enum Ending {
    /// The client closed, or its connection broke.
    Gone,
    /// The server closes it, with a code of RFC 6455 section 7.4.
    Close(u16, &'static str),
}

struct Conversation {
    sink: SplitSink<WebSocket, Message>,
    stream: SplitStream<WebSocket>,
    link: Link,
    clock: Clock,
    rate: RequestRate,
    backlog: Backlog,
    unflushed: bool,
    heard: Instant,
    /// The newest placement that the client was told and asked about.
    asked: Option<Epoch>,
}

impl Conversation {
    fn new(socket: WebSocket, link: Link, clock: Clock) -> Self {
        let (sink, stream) = socket.split();
        Self {
            sink,
            stream,
            link,
            clock,
            rate: RequestRate::new(clock.now()),
            backlog: Backlog::default(),
            unflushed: false,
            heard: Instant::now(),
            asked: None,
        }
    }

    async fn run(mut self) {
        let ending = self.talk().await;
        if let Ending::Close(code, reason) = ending {
            tracing::debug!(code, reason, "closing a WebSocket");
            // Whoever does not take the close in time is gone as well.
            let _ = timeout(CLOSE_WITHIN, self.close(code, reason)).await;
        }
    }

    async fn talk(&mut self) -> Ending {
        let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_waiting = !self.backlog.is_empty();
            let (sink, unflushed) = (&mut self.sink, self.unflushed);
            let step = tokio::select! {
                biased;
                written = poll_fn(|cx| if is_waiting { sink.poll_ready_unpin(cx) } else { sink.poll_flush_unpin(cx) }),
                    if is_waiting || unflushed => match written {
                        Ok(()) => self.write_next(),
                        Err(_) => Err(Ending::Gone),
                    },
                frame = self.link.recv_untold() => match frame {
                    Some(frame) => self.queue(&frame),
                    None => Err(close_of(self.link.end())),
                },
                message = self.stream.next() => match message {
                    Some(Ok(message)) => self.take(message).await,
                    Some(Err(error)) => Err(ending_of(&error)),
                    None => Err(Ending::Gone),
                },
                _ = pings.tick() => self.check_silence(),
            };
            if let Err(ending) = step {
                return ending;
            }
        }
    }

    /// Hands the oldest waiting message to the socket, which has room for it, or notes that
    /// everything is flushed.
    fn write_next(&mut self) -> Result<(), Ending> {
        let Some(message) = self.backlog.pop() else {
            self.unflushed = false;
            return Ok(());
        };
        self.unflushed = true;
        self.sink.start_send_unpin(message).map_err(|_| Ending::Gone)
    }

    fn queue(&mut self, frame: &Frame) -> Result<(), Ending> {
        let text = serde_json::to_string(frame).map_err(|error| {
            tracing::error!(%error, "a frame could not be serialised");
            Ending::Close(1011, "internal")
        })?;
        self.queue_message(Message::Text(text.into()))?;
        match placement_of(frame) {
            // A client answers a ping only after it has read what was sent before it: its pong says
            // that it knows of the placement.
            Some(epoch) => {
                self.asked = Some(epoch);
                self.queue_message(Message::Ping(epoch.0.to_be_bytes().to_vec().into()))
            }
            None => Ok(()),
        }
    }

    fn queue_message(&mut self, message: Message) -> Result<(), Ending> {
        self.backlog.push(message).map_err(|BacklogFull| {
            self.link.metrics().links_too_slow.inc();
            close_of(LinkEnd::TooSlow)
        })
    }

    async fn take(&mut self, message: Message) -> Result<(), Ending> {
        self.heard = Instant::now();
        match message {
            Message::Text(text) => self.take_text(&text).await,
            Message::Binary(_) => {
                self.link.metrics().frame_refused(RefusedFrame::Binary);
                Err(Ending::Close(1003, "text_only"))
            }
            // The library answers pings and closes by itself.
            Message::Ping(_) => Ok(()),
            Message::Pong(payload) => {
                // Once per ping, so that pongs nobody asked for cost nobody anything.
                if let Some(epoch) = self.asked.take_if(|asked| payload[..] == asked.0.to_be_bytes()) {
                    self.link.told(epoch).await;
                }
                Ok(())
            }
            Message::Close(_) => Err(Ending::Gone),
        }
    }

    async fn take_text(&mut self, text: &Utf8Bytes) -> Result<(), Ending> {
        let request = read_request(text.as_str());
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

    fn check_silence(&mut self) -> Result<(), Ending> {
        if self.heard.elapsed() >= SILENCE_LIMIT {
            return Err(Ending::Gone);
        }
        self.queue_message(Message::Ping(axum::body::Bytes::new()))
    }

    async fn close(&mut self, code: u16, reason: &'static str) -> Result<(), axum::Error> {
        while let Some(message) = self.backlog.pop() {
            self.sink.feed(message).await?;
        }
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        self.sink.send(Message::Close(Some(frame))).await?;
        // Reading until the client's own close keeps the system from resetting the connection
        // before the client has read the last frames.
        while let Some(Ok(_)) = self.stream.next().await {}
        Ok(())
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

/// A client that breaks the WebSocket protocol is told how, where it may still be listening.
fn ending_of(error: &axum::Error) -> Ending {
    let text = error.to_string();
    if text.contains("too long") || text.contains("too big") {
        return Ending::Close(1009, "too_large");
    }
    if text.to_lowercase().contains("utf") {
        return Ending::Close(1007, "no_utf8");
    }
    Ending::Gone
}
