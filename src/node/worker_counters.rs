//! What a worker thread counts, on its way to the metrics.

use crate::media::{DropReason, WorkerStatistics};
use crate::telemetry::{CounterMirror, DropReason as EdgeDrop, Metrics};

/// What the thread counts around its sockets.
#[derive(Debug, Default)]
pub(super) struct SocketCounters {
    /// Datagrams handed to the system.
    pub(super) datagrams_sent: u64,
    /// Calls that this took.
    pub(super) send_calls: u64,
    /// Datagrams dropped because the socket stayed full.
    pub(super) socket_full: u64,
    /// Datagrams that the system refused.
    pub(super) send_failed: u64,
    /// Datagrams for an address that no socket reaches.
    pub(super) no_socket: u64,
}

type Read<T> = fn(&T) -> u64;

/// Publishes a worker's counters.
pub(super) struct CounterPublisher {
    worker: Vec<(Read<WorkerStatistics>, CounterMirror)>,
    socket: Vec<(Read<SocketCounters>, CounterMirror)>,
    drops: Vec<(DropReason, CounterMirror)>,
}

impl CounterPublisher {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let edge = |reason: EdgeDrop| CounterMirror::new(metrics.packets_dropped(reason.label()));
        let handover_full = metrics.packets_dropped(EdgeDrop::HandoverFull.label());
        let worker: [(Read<WorkerStatistics>, _); 11] = [
            (|s| s.datagrams_in, &metrics.datagrams_received),
            (|s| s.bytes_in, &metrics.bytes_received),
            (|s| s.bytes_out, &metrics.bytes_sent),
            (|s| s.media_in, &metrics.packets_received),
            (|s| s.media_out, &metrics.packets_forwarded),
            (|s| s.retransmitted, &metrics.packets_retransmitted),
            (|s| s.handed_over, &metrics.packets_handed_over),
            (|s| s.handover_full, &handover_full),
            (|s| s.moves, &metrics.moves),
            (|s| s.pauses, &metrics.listener_pauses),
            (|s| s.drops.get(DropReason::WrongEpoch), &metrics.wrong_epoch),
        ];
        let socket: [(Read<SocketCounters>, CounterMirror); 5] = [
            (|s| s.datagrams_sent, CounterMirror::new(metrics.datagrams_sent.clone())),
            (|s| s.send_calls, CounterMirror::new(metrics.send_calls.clone())),
            (|s| s.socket_full, edge(EdgeDrop::SocketFull)),
            (|s| s.send_failed, edge(EdgeDrop::SendFailed)),
            (|s| s.no_socket, edge(EdgeDrop::NoSocket)),
        ];
        let drops = DropReason::ALL
            .into_iter()
            .map(|reason| (reason, CounterMirror::new(metrics.packets_dropped(reason.name()))));
        Self {
            worker: worker.into_iter().map(|(read, into)| (read, CounterMirror::new(into.clone()))).collect(),
            socket: socket.into_iter().collect(),
            drops: drops.collect(),
        }
    }

    pub(super) fn publish(&mut self, worker: &WorkerStatistics, socket: &SocketCounters) {
        for (read, mirror) in &mut self.worker {
            mirror.publish(read(worker));
        }
        for (read, mirror) in &mut self.socket {
            mirror.publish(read(socket));
        }
        for (reason, mirror) in &mut self.drops {
            mirror.publish(worker.drops.get(*reason));
        }
    }
}
