//! Workers that are stuck: what is meant for them waits, and some are fenced before they wake up.

use std::time::Duration;

use super::event::{Event, Port};
use super::server::Node;
use super::world::Simulation;
use crate::base::plant::{self, Plant};
use crate::transport::Path;

/// Events that wait for a stuck worker: a socket's buffer has an end as well.
const MOST_WAITING: usize = 1 << 16;
/// Fenced workers that are still to wake up.
const MOST_FENCED: usize = 8;

/// How long it takes until nobody is behind any more.
const LATE: Duration = Duration::from_secs(5);

/// The worker that an event is for.
const fn worker_for(event: &Event) -> Option<usize> {
    match event {
        Event::ToWorker { worker, .. } | Event::Command { worker, .. } | Event::WorkerTimer { worker } => {
            Some(*worker)
        }
        Event::Handover { to, .. } => Some(*to),
        _ => None,
    }
}

impl Simulation {
    /// A worker does nothing for a while.
    pub(super) fn get_stuck(&mut self, at: usize, how_long: Duration) {
        let Some(node) = self.server.nodes.get_mut(at).filter(|node| node.backlog.is_none()) else { return };
        node.backlog = Some(Vec::new());
        let generation = node.generation;
        self.tally.stuck += 1;
        self.homecoming.disturbed(self.now);
        self.trace.line(self.now, format_args!("worker {at} is stuck for {how_long:?}"));
        self.after(how_long, Event::Wake { worker: at, generation });
    }

    /// Whether an event is for a worker that is stuck.
    pub(super) fn is_for_stuck(&self, event: &Event) -> bool {
        let node = worker_for(event).and_then(|at| self.server.nodes.get(at));
        node.is_some_and(|node| node.backlog.is_some())
    }

    /// What is meant for a stuck worker waits.
    pub(super) fn wait(&mut self, event: Event) {
        let Some(node) = worker_for(&event).and_then(|at| self.server.nodes.get_mut(at)) else { return };
        let is_anothers =
            matches!(&event, Event::Command { generation, .. } if *generation != node.generation);
        if let Some(backlog) = node.backlog.as_mut().filter(|backlog| backlog.len() < MOST_WAITING)
            && !is_anothers
        {
            backlog.push(event);
        }
    }

    /// A worker is replaced: if it was stuck, it will wake up all the same.
    pub(super) fn keep_stuck(&mut self, at: usize, old: Node) {
        if old.backlog.is_some() && self.server.fenced.len() < MOST_FENCED {
            self.server.fenced.push((at, old));
        }
    }

    /// A stuck worker goes on, with all that has come meanwhile.
    pub(super) fn wake(&mut self, at: usize, generation: u64) {
        self.homecoming.disturbed(self.now);
        self.judge.woke(self.now + LATE);
        let Some(node) = self.server.nodes.get_mut(at) else { return };
        if node.generation != generation {
            return self.wake_fenced(at, generation);
        }
        self.trace.line(self.now, format_args!("worker {at} goes on"));
        for event in node.backlog.take().unwrap_or_default() {
            self.happen(event);
        }
        self.end_turn(at);
    }

    /// It does not know yet that another has taken its place: what it sends and says is dropped.
    fn wake_fenced(&mut self, at: usize, generation: u64) {
        let is_it = |(place, node): &(usize, Node)| *place == at && node.generation == generation;
        let Some(found) = self.server.fenced.iter().position(is_it) else { return };
        let (_, mut node) = self.server.fenced.swap_remove(found);
        let now = self.now;
        for event in node.backlog.take().unwrap_or_default() {
            match event {
                Event::ToWorker { from, mut bytes, .. } => {
                    node.worker.handle_datagram(now, Path::new(Port::address(from), None), &mut bytes);
                }
                Event::Command { command, .. } => node.worker.handle_command(now, *command),
                Event::Handover { from, handover, .. } => node.worker.handle_handover(now, from, &handover),
                _ => {}
            }
        }
        node.worker.end_batch(now);
        let mut scratch = std::mem::take(&mut self.scratch);
        while let Some(transmit) = node.worker.poll_transmit(now, &mut scratch) {
            if plant::is(Plant::FenceIgnored) {
                self.transmit(at, &transmit, &scratch);
            }
        }
        self.scratch = scratch;
    }
}
