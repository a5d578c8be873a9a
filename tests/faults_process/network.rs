//! A network of the test's own: a pair of interfaces, one of them in a namespace, and a slow way between.

use std::io;
use std::net::UdpSocket;
use std::process::Command;

/// Ends with its handle.
pub(crate) struct SlowLink {
    namespace: String,
}

/// This machine's end, and the other one.
pub(crate) const HERE: &str = "10.231.18.1";
pub(crate) const THERE: &str = "10.231.18.2";

impl SlowLink {
    /// What leaves here for there has so many bits a second, and a long queue.
    pub(crate) fn new(rate: &str) -> Self {
        let number = std::process::id();
        let namespace = format!("anteroom-f18-{number}");
        let (near, far) = (format!("f18a{number}"), format!("f18b{number}"));
        let link = Self { namespace: namespace.clone() };
        ip(&format!("netns add {namespace}"));
        ip(&format!("link add {near} type veth peer name {far} netns {namespace}"));
        ip(&format!("address add {HERE}/30 dev {near}"));
        ip(&format!("link set {near} up"));
        ip(&format!("-n {namespace} address add {THERE}/30 dev {far}"));
        ip(&format!("-n {namespace} link set {far} up"));
        let shape = format!("qdisc add dev {near} root tbf rate {rate} burst 2000 limit 4000000");
        run("tc", &shape);
        link
    }

    /// A socket at the other end.
    pub(crate) fn socket_there(&self) -> UdpSocket {
        let path = format!("/run/netns/{}", self.namespace);
        // The thread alone goes there; its socket stays when it ends.
        let bind = move || -> io::Result<UdpSocket> {
            let namespace = std::fs::File::open(path)?;
            nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET)?;
            UdpSocket::bind((THERE, 0))
        };
        std::thread::spawn(bind).join().unwrap().unwrap()
    }
}

impl Drop for SlowLink {
    fn drop(&mut self) {
        // Its interfaces go with it.
        let _ = Command::new("ip").args(["netns", "delete", &self.namespace]).status();
    }
}

fn ip(arguments: &str) {
    run("ip", arguments);
}

fn run(program: &str, arguments: &str) {
    let done = Command::new(program).args(arguments.split(' ')).output();
    let done = done.unwrap_or_else(|error| panic!("{program}: {error}: apt-get install iproute2"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {arguments} (this needs root): {said}");
}
