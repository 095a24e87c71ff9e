//! Free loopback ports that no two processes take at the same time.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;

use crate::error::ServerError;
use crate::places::open_lock;

/// The ports that are handed out. They lie below the range from which systems take the ports of
/// outgoing connections, so none of those can sit on a port while its server restarts.
const PORTS: RangeInclusive<u16> = 24_000..=24_999;

/// The right to a port until dropped, against every other holder of a lease on this machine.
#[derive(Debug)]
pub(crate) struct PortLease {
    port: u16,
    _lock: File,
}

impl PortLease {
    /// Leases a port that nobody listens on.
    pub(crate) fn take() -> Result<Self, ServerError> {
        let first = *PORTS.start();
        let count = u16::try_from(PORTS.len()).unwrap_or(u16::MAX);
        let seed = RandomState::new().hash_one(std::process::id());
        let skip = u16::try_from(seed % u64::from(count)).unwrap_or(0);
        for step in 0..count {
            let port = first + (skip + step) % count;
            if let Some(lease) = Self::try_take(port)? {
                return Ok(lease);
            }
        }
        let last = *PORTS.end();
        Err(ServerError::NoFreePort { first, last })
    }

    fn try_take(port: u16) -> Result<Option<Self>, ServerError> {
        let lock = open_lock(&format!("port-{port}"))?;
        let free = lock.try_lock().is_ok() && TcpListener::bind(loopback(port)).is_ok();
        Ok(free.then_some(Self { port, _lock: lock }))
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn address(&self) -> SocketAddr {
        loopback(self.port)
    }
}

/// Returns the loopback address with `port`.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn take_hands_out_a_port_once() {
        let leases: Vec<PortLease> =
            (0..20).map(|_| PortLease::take().expect("a free port")).collect();
        let mut ports: Vec<u16> = leases.iter().map(PortLease::port).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), leases.len());
    }

    #[test]
    fn a_port_in_use_is_not_leased() {
        let lease = PortLease::take().expect("a free port");
        let port = lease.port();
        drop(lease);
        let _listener = TcpListener::bind(loopback(port)).expect("it was free");
        assert!(PortLease::try_take(port).expect("the lock opens").is_none());
    }
}
