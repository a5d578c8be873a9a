//! What tests make fail in a server that runs.

use std::str::FromStr;
use std::time::Duration;

use tokio::sync::mpsc;

use super::control_loop::Order;
use super::worker_loop::WorkerFault;
use crate::base::WorkerId;

/// Something that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The control plane panics.
    Control,
    /// A media worker does.
    Worker(WorkerId, WorkerFault),
}

/// Makes parts of an engine fail. Does not keep it alive.
#[derive(Clone, Debug)]
pub struct Saboteur(pub(super) mpsc::WeakSender<Order>);

impl Saboteur {
    /// Makes something fail; nothing in an engine that has stopped.
    pub async fn fail(&self, fault: Fault) {
        if let Some(orders) = self.0.upgrade() {
            let _ = orders.send(Order::Fail(fault)).await;
        }
    }
}

/// A text that names no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fault is `control`, `panic WORKER` or `hang WORKER MILLISECONDS`")]
pub struct NoFault;

impl FromStr for Fault {
    type Err = NoFault;

    fn from_str(text: &str) -> Result<Self, NoFault> {
        let worker = |number: &str| number.parse().map(WorkerId).map_err(|_| NoFault);
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["control"] => Ok(Self::Control),
            ["panic", of] => Ok(Self::Worker(worker(of)?, WorkerFault::Panic)),
            ["hang", of, millis] => {
                let millis = millis.parse().map_err(|_| NoFault)?;
                Ok(Self::Worker(worker(of)?, WorkerFault::Hang(Duration::from_millis(millis))))
            }
            _ => Err(NoFault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read() {
        let hang = WorkerFault::Hang(Duration::from_millis(70));
        assert_eq!("hang 2 70".parse(), Ok(Fault::Worker(WorkerId(2), hang)));
        assert_eq!("panic 0\n".parse(), Ok(Fault::Worker(WorkerId(0), WorkerFault::Panic)));
        assert_eq!("control".parse(), Ok(Fault::Control));
        assert_eq!("panic".parse::<Fault>(), Err(NoFault));
    }
}
