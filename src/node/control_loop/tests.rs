use serde_json::{Value, json};

use super::super::worker_set::WorkerContext;
use super::*;
use crate::api::Link;
use crate::base::Random;
use crate::control::ControlSettings;
use crate::message::{Answer, Claims, LossReason, Method, Placement, Request, Role};
use crate::telemetry::Metrics;

/// A loop whose one media worker is the test.
struct Stage {
    looped: ControlLoop,
    commands: mpsc::Receiver<ToWorker>,
    reports: mpsc::Sender<WorkerReport>,
    doorway: Doorway,
    _orders: mpsc::Sender<Order>,
}

impl Stage {
    fn new() -> Self {
        let metrics = Metrics::new().unwrap();
        let clock = Clock::start();
        let (doorway, doors) = Doorway::new(metrics.clone());
        let (reports_in, reports) = mpsc::channel(16);
        let (ended_in, ended) = mpsc::channel(1);
        let (orders_in, orders) = mpsc::channel(1);
        let (commands_in, commands) = mpsc::channel(4_096);
        let context = WorkerContext { clock, metrics, reports: reports_in.clone(), ended: ended_in };
        let workers = WorkerSet::pretended(context, commands_in);
        let control = Control::new(ControlSettings::default(), 1, Random::from_number(1));
        let gate = Gate::new(0, doorway.metrics());
        let doorway_in = doorway.clone();
        let keeper = None;
        let job = ControlJob {
            control,
            keeper,
            clock,
            doorway: doorway_in,
            doors,
            reports,
            ended,
            orders,
            workers,
            gate,
        };
        Self { looped: ControlLoop::new(job), commands, reports: reports_in, doorway, _orders: orders_in }
    }

    fn report(&self, report: MediaReport) {
        self.reports.try_send(WorkerReport { worker: WorkerId(0), generation: 1, report }).unwrap();
    }

    /// Takes one input of the doors, as one turn of the loop does.
    fn turn(&mut self) {
        let input = self.looped.job.doors.try_recv().unwrap();
        self.looped.take_inputs(input);
    }

    /// Somebody takes a seat; the placement is where the worker has them.
    async fn seat(&mut self) -> (Link, Placement) {
        let claims = Claims {
            room: "daily".to_owned(),
            name: "Mia".to_owned(),
            role: Role::Moderator,
            expires_at: Time::from_unix_seconds(u64::MAX),
            lapsed: false,
        };
        let mut link = self.doorway.open_link(claims).await.unwrap();
        link.send(Request::new("join", Method::JoinRoom.name(), json!({"sdp": "offer"}))).await.unwrap();
        self.turn();
        let placement = loop {
            if let ToWorker::Media(MediaCommand::Connect(connect)) = self.commands.try_recv().unwrap() {
                break connect.placement;
            }
        };
        let Placement { participant, epoch, .. } = placement;
        let result = Ok(Answer { sdp: "answer".to_owned(), slots: Vec::new() });
        self.report(MediaReport::Answered { participant, epoch, result });
        let _ = self.looped.now();
        assert_eq!(heard(&mut link).await, Method::JoinRoom.ack());
        (link, placement)
    }
}

async fn heard(link: &mut Link) -> &'static str {
    match link.recv().await.unwrap() {
        Frame::Ack { ack, data, .. } => {
            assert_eq!(data["result"], Value::from(0), "{data}");
            ack
        }
        Frame::Event { event, .. } => event,
    }
}

#[tokio::test]
async fn what_a_worker_has_reported_counts_before_each_input_of_a_turn() {
    let mut stage = Stage::new();
    let (mut link, Placement { participant, epoch, .. }) = stage.seat().await;
    for id in ["1", "2"] {
        let list = Request::new(id, Method::Replay.name(), json!({"from_seq": 0}));
        link.send(list).await.unwrap();
    }
    stage.report(MediaReport::TransportLost { participant, epoch, reason: LossReason::Consent });
    stage.turn();
    assert_eq!(heard(&mut link).await, "transportLost");
}

#[tokio::test]
async fn all_reports_that_are_queued_are_taken_at_once() {
    let mut stage = Stage::new();
    let (mut link, Placement { participant, epoch, .. }) = stage.seat().await;
    for reason in [LossReason::Closed; 3] {
        stage.report(MediaReport::TransportLost { participant, epoch, reason });
    }
    let _ = stage.looped.now();
    assert!(stage.looped.job.reports.is_empty());
    assert_eq!(heard(&mut link).await, "transportLost");
}

#[tokio::test]
async fn its_own_pause_is_not_the_silence_of_its_workers() {
    let mut stage = Stage::new();
    let (link, _) = stage.seat().await;
    let restart = Request::new("ice", Method::RestartIce.name(), json!({"sdp": "offer"}));
    link.send(restart).await.unwrap();
    stage.turn();
    // As if the process had been stopped until an hour from now.
    let (at, instant) = stage.looped.job.clock.anchor();
    stage.looped.job.clock = Clock::at(at + Duration::from_secs(3_600), instant);
    let now = stage.looped.now();
    stage.looped.job.control.handle_timeout(now);
    stage.looped.carry_out(now);
    assert!(stage.looped.job.doorway.metrics().render().unwrap().contains("{cause=\"fence\"} 0"));
    let due = stage.looped.job.control.poll_timeout().unwrap();
    assert!(now < due && due.since(now) <= Duration::from_secs(3), "the worker still has its time");
}

#[tokio::test]
async fn a_worker_that_is_behind_keeps_others_out_until_it_has_caught_up() {
    let mut stage = Stage::new();
    let fail = || ToWorker::Fail(WorkerFault::Panic);
    for _ in 0..1_024 {
        stage.looped.job.workers.send_any(WorkerId(0), fail()).unwrap();
    }
    assert_eq!(stage.looped.tell_load(), LOOK_EVERY);
    assert!(!stage.doorway.is_overloaded());
    stage.looped.job.workers.send_any(WorkerId(0), fail()).unwrap();
    assert_eq!(stage.looped.tell_load(), LOOK_AGAIN_AFTER);
    assert!(stage.doorway.is_overloaded());
    stage.commands.recv().await.unwrap();
    stage.looped.tell_load();
    assert!(!stage.doorway.is_overloaded());
}
