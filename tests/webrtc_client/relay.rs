//! A relay between a client and the server: a NAT whose outer port can change at any moment.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub(crate) struct Relay {
    /// Where the client sends.
    pub(crate) address: SocketAddr,
    rebind: mpsc::Sender<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let inner = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = inner.local_addr().unwrap();
        let (rebind, rebinds) = mpsc::channel(1);
        let task = tokio::spawn(carry(inner, server, rebinds));
        Self { address, rebind, task }
    }

    /// From now on the server sees the client at another port, and nothing that it sends to the old
    /// one arrives.
    pub(crate) async fn rebind(&self) {
        let (done, is_done) = oneshot::channel();
        self.rebind.send(done).await.unwrap();
        is_done.await.unwrap();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(inner: UdpSocket, server: SocketAddr, mut rebinds: mpsc::Receiver<oneshot::Sender<()>>) {
    let mut outer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut client = None;
    let (mut up, mut down) = (vec![0; 2048], vec![0; 2048]);
    loop {
        // An ICMP refusal shows up as an error of the next call and says nothing about it.
        tokio::select! {
            Some(done) = rebinds.recv() => {
                outer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                done.send(()).unwrap();
            }
            received = inner.recv_from(&mut up) => if let Ok((len, from)) = received {
                client = Some(from);
                let _ = outer.send_to(&up[..len], server).await;
            },
            received = outer.recv_from(&mut down) => if let (Ok((len, _)), Some(client)) = (received, client) {
                let _ = inner.send_to(&down[..len], client).await;
            },
        }
    }
}
