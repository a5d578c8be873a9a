//! What the parts of a run add to its report.

use std::time::Duration;

use super::super::floor::{Floor, ratio};
use super::super::generator::Gathered;
use super::super::load_report::LoadReport;
use super::super::person::PersonError;
use super::super::report::Percentiles;
use super::acts::Acted;
use super::{Look, share_of, shares, utilisation};
use crate::client::ParticipantReport;

/// Problems that are told.
const MAX_PROBLEMS: usize = 20;
/// The share of a processor above which a thread is at its limit.
const SATURATED: f64 = 0.9;
/// The share of the machine above which others disturb the measurement.
const OTHERS: f64 = 0.1;
/// The share of the joins that were asked for below which the tool does not keep up.
const KEEPS_UP: f64 = 0.98;

impl LoadReport {
    /// Something was wrong.
    pub(super) fn problem(&mut self, what: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(what);
        }
    }

    /// Somebody did not stay to the end; what it had heard until then is judged all the same.
    pub(super) fn cut_short(&mut self, who: &str, error: PersonError) {
        self.cut_short += 1;
        self.problem(format!("{who}: {error}"));
        error.into_found().iter().for_each(|found| self.add(found));
    }

    /// What one participant found.
    pub(super) fn add(&mut self, found: &ParticipantReport) {
        let verdict = &found.verdict;
        let missing = verdict.lost + verdict.left_out;
        self.lost += missing + verdict.taken;
        self.lost_by_server += missing.saturating_sub(verdict.explained);
        self.duplicated += verdict.duplicates;
        self.wrong_group += verdict.wrong_group + verdict.wrong_publisher;
        self.decrypt_failures += found.decrypt_failures;
        if let Some((ssrc, seq, why)) = found.examples.first() {
            self.problem(format!("slot {ssrc}, packet {seq}: {why:?}"));
        }
        if let Some(srtp) = found.srtp {
            srtp.name().clone_into(&mut self.srtp);
        }
    }

    /// From each move's "done" to the first packet of the new room.
    pub(super) fn add_moves(&mut self, moves: &[Duration]) {
        self.move_to_first_packet_ms = Percentiles::of(moves);
    }

    /// What people did.
    pub(super) fn add_acted(&mut self, acted: Acted) {
        self.moves = acted.moves;
        self.move_ack_ms = Percentiles::of(&acted.move_acks);
        self.clears = acted.clears;
        self.destroys = u64::try_from(acted.destroy_acks.len()).unwrap_or(0);
        self.destroy_ack_ms = Percentiles::of(&acted.destroy_acks);
        self.destroy_spread_ms = acted.destroy_spread.as_secs_f64() * 1_000.0;
        self.turns = acted.turns;
        let came = acted.newcomers;
        self.joins = u64::try_from(came.heard_in.len()).unwrap_or(0);
        self.joins_failed = came.failed;
        self.joins_per_second = ratio(came.asked, 1) / came.over.as_secs_f64().max(0.001);
        self.newcomers_ms = Percentiles::of(&came.heard_in);
        if came.asked == 0 {
            self.joins_per_second = 0.0;
        } else if self.joins_per_second < KEEPS_UP * came.wanted {
            let (begun, wanted) = (self.joins_per_second, came.wanted);
            self.note(&format!(
                "the tool began {begun:.2} joins a second and not {wanted:.2}: it is at its limit"
            ));
        }
        came.reports.iter().for_each(|found| self.add(found));
        for problem in acted.problems {
            self.problem(problem);
        }
        for reason in came.reasons {
            self.problem(format!("a join failed: {reason}"));
        }
    }

    /// What the generator found.
    pub(super) fn add_gathered(&mut self, gathered: &Gathered) {
        let home = &gathered.homecomings;
        // Whoever comes into a meeting waits for something to hear; who comes before there is anything
        // to hear, for a connection.
        self.join_ms = if self.joins > 0 { self.newcomers_ms } else { Percentiles::of(&gathered.joins) };
        self.connect_ms = Percentiles::of(&gathered.joins);
        self.destroy_ms = Percentiles::of(&home.destroys);
        self.clear_ms = Percentiles::of(&home.clears);
        self.brought_home = u64::try_from(home.destroys.len() + home.clears.len()).unwrap_or(0);
        let impaired = &gathered.impaired;
        self.relay_dropped = impaired.dropped;
        (self.relay_copied, self.relay_rebinds) = (impaired.copied, impaired.rebinds);
        if home.deaf > 0 {
            let deaf = home.deaf;
            self.problem(format!("{deaf} were brought home and heard nothing of their parent room"));
        }
    }

    /// What it cost, and what was at its limit.
    pub(super) fn add_looks(&mut self, before: &Look, after: &Look, (took, received): (Duration, u64)) {
        let server = before.server.zip(after.server).map(|(before, after)| after.saturating_sub(before));
        self.server_cpu_ns_per_packet = server.filter(|_| received > 0).map(|ns| ratio(ns, received));
        self.server_cpu = server.map(|ns| share_of(ns, took));
        self.worker_utilisation = utilisation(&before.workers, &after.workers, took);
        self.least_worker_utilisation = shares(&before.workers, &after.workers, took).reduce(f64::min);
        self.tool_cpu = share_of(after.tool.saturating_sub(before.tool), took);
        if self.generator_cpu > SATURATED {
            self.note("the thread of the participants' media was at its limit: it is what was measured");
        }
        if self.worker_utilisation.is_some_and(|share| share > SATURATED) {
            self.note("the busiest media worker was at its limit");
        }
        let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
        let all = f64::from(u32::try_from(processors).unwrap_or(u32::MAX));
        let (tool, server) = (self.tool_cpu, self.server_cpu.unwrap_or(0.0));
        let machine = share_of(after.machine.saturating_sub(before.machine), took);
        let others = (machine - tool - server).max(0.0);
        if machine > SATURATED * all {
            self.note(&format!(
                "the machine was at its limit: of {processors} processors the server used {server:.2}, the \
                 participants {tool:.2}, others {others:.2}"
            ));
        } else if others > OTHERS * all {
            self.note(&format!("others on this machine used {others:.2} of {processors} processors"));
        }
    }

    /// Whether it ended before its time, because it was stopped.
    pub(super) fn add_end(&mut self, took: Duration, planned: Duration) {
        if took < planned {
            let (took, planned) = (took.as_secs_f64(), planned.as_secs());
            self.note(&format!("it was stopped after {took:.1} of {planned} s"));
        }
    }

    /// What was at its limit, or not as planned.
    fn note(&mut self, what: &str) {
        self.notes.push(what.to_owned());
    }

    /// The raw sender's figures.
    pub(super) fn add_floor(&mut self, floor: Floor) {
        self.floor_ns_per_packet = floor.paced;
        self.tight_floor_ns_per_packet = floor.tight;
        self.ratio_to_floor =
            self.server_cpu_ns_per_packet.filter(|_| floor.paced > 0.0).map(|ns| ns / floor.paced);
    }

    /// Whether all was well; where nobody publishes, nothing has to come.
    pub(super) fn judge(&mut self, is_silent: bool) {
        self.lost_to_relay = self.lost - self.lost_by_server;
        self.ok = self.problems.is_empty()
            && (self.received > 0 || is_silent)
            && (self.lost_by_server, self.wrong_group, self.duplicated) == (0, 0, 0)
            && (self.decrypt_failures, self.joins_failed) == (0, 0);
    }
}
