//! A TCP proxy before a standalone server that fails on command.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::ServerError;
use crate::port::PortLease;
use faults::Faults;
use link::Link;

mod faults;
mod link;

/// How long the proxy waits for the server to take a connection.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// A proxy on a free loopback port before one standalone server.
///
/// It forwards whole requests and whole replies, so it can lose the reply to one request exactly:
/// the server has carried the request out, the client sees its connection cut instead of a reply,
/// and nothing that the client sent after that request reaches the server. A fault happens once
/// and counts over all connections; a fault set anew replaces the one before. Replies are counted
/// against requests, so on a connection that subscribes under RESP2 or monitors, only
/// [`cut_all`](Self::cut_all) is exact.
#[derive(Debug)]
pub struct Proxy {
    port: PortLease,
    upstream: SocketAddr,
    faults: Arc<Faults>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts a proxy before the server at `upstream`.
    pub fn start(upstream: SocketAddr) -> Result<Self, ServerError> {
        let mut proxy = Self {
            port: PortLease::take()?,
            upstream,
            faults: Arc::new(Faults::default()),
            acceptor: None,
        };
        proxy.accept()?;
        Ok(proxy)
    }

    /// Returns the proxy's address as `valkey://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("valkey://{}", self.address())
    }

    /// Returns the port that the proxy listens on.
    pub fn port(&self) -> u16 {
        self.port.port()
    }

    /// Returns the address that the proxy listens on.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Cuts every connection and returns how many there were; new ones are accepted.
    pub fn cut_all(&self) -> usize {
        self.faults.cut_all()
    }

    /// Refuses new connections, as a server that is down would; those that exist stay.
    pub fn refuse(&mut self) {
        let Some(acceptor) = self.acceptor.take() else {
            return;
        };
        self.faults.set_accepting(false);
        // The acceptor looks only when a connection comes; without one, its listener is gone.
        let _ = TcpStream::connect_timeout(&self.address(), CONNECT_MAX);
        let _ = acceptor.join();
    }

    /// Accepts new connections again.
    pub fn accept(&mut self) -> Result<(), ServerError> {
        if self.acceptor.is_some() {
            return Ok(());
        }
        let address = self.address();
        let listener =
            TcpListener::bind(address).map_err(ServerError::io(format!("listen on {address}")))?;
        self.faults.set_accepting(true);
        let (upstream, faults) = (self.upstream, Arc::clone(&self.faults));
        self.acceptor = Some(thread::spawn(move || {
            accept_until_refused(&listener, upstream, &faults);
        }));
        Ok(())
    }

    /// Lets `passed` more requests and their replies through, then loses the next reply.
    pub fn lose_reply_after_requests(&self, passed: u64) {
        self.faults.lose_after_requests(passed);
    }

    /// Loses the reply to the next request that contains `needle`, such as a function's name.
    pub fn lose_reply_to(&self, needle: impl AsRef<[u8]>) {
        self.faults.lose_reply_to(needle.as_ref());
    }

    /// Lets `passed` more bytes of replies through, then cuts, mostly in the midst of a reply.
    pub fn cut_after_reply_bytes(&self, passed: usize) {
        self.faults.cut_after_reply_bytes(passed);
    }

    /// Forgets the fault that was set and has not happened.
    pub fn disarm(&self) {
        self.faults.disarm();
    }

    /// Returns how many replies were lost or cut so far.
    pub fn lost(&self) -> u64 {
        self.faults.lost()
    }

    /// Waits until `count` replies were lost in all; false if that takes longer than `within`.
    pub fn wait_until_lost(&self, count: u64, within: Duration) -> bool {
        self.faults.wait_until_lost(count, within)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.refuse();
        self.cut_all();
    }
}

fn accept_until_refused(listener: &TcpListener, upstream: SocketAddr, faults: &Arc<Faults>) {
    for client in listener.incoming() {
        if !faults.accepting() {
            return;
        }
        let Ok(client) = client else { continue };
        // A client whose server cannot be reached sees its connection closed.
        if let Ok(server) = TcpStream::connect_timeout(&upstream, CONNECT_MAX) {
            let _ = Link::start(client, server, faults);
        }
    }
}
