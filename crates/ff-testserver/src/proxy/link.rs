//! One connection through the proxy: a thread for the requests and one for the replies.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::faults::Faults;
use crate::frame::{message_len, request_len};

/// How many bytes are read at once.
const READ_BYTES: usize = 64 * 1024;
/// Stands for: no reply of this link shall be lost.
const NONE_DOOMED: u64 = u64::MAX;

/// The two sockets of a connection.
#[derive(Debug)]
pub(super) struct Link {
    client: TcpStream,
    server: TcpStream,
    /// The number of the reply, from 0, that shall not reach the client.
    doomed: AtomicU64,
}

impl Link {
    /// Forwards between `client` and `server` until one of them ends or a fault cuts them.
    pub(super) fn start(
        client: TcpStream,
        server: TcpStream,
        faults: &Arc<Faults>,
    ) -> io::Result<()> {
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let doomed = AtomicU64::new(NONE_DOOMED);
        let link = Arc::new(Self { client, server, doomed });
        let number = faults.enter(&link);
        let (requests, request_faults) = (Arc::clone(&link), Arc::clone(faults));
        thread::spawn(move || {
            if requests.forward_requests(&request_faults).is_err() {
                requests.cut();
            }
        });
        let faults = Arc::clone(faults);
        thread::spawn(move || {
            // Whether the replies ended or failed, the connection is over.
            let _ = link.forward_replies(&faults);
            link.cut();
            faults.leave(number);
        });
        Ok(())
    }

    /// Cuts both sides; the threads then end by themselves.
    pub(super) fn cut(&self) {
        // A socket that is closed already is as good as cut.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    /// Ends well after a doomed request: its reply is still to come, and to be lost.
    fn forward_requests(&self, faults: &Faults) -> io::Result<()> {
        let mut received = Vec::new();
        let mut forwarded = 0;
        loop {
            while let Some(length) = request_len(&received).map_err(io::Error::other)? {
                let doomed = faults.dooms(&received[..length]);
                if doomed {
                    self.doomed.store(forwarded, Ordering::SeqCst);
                }
                (&self.server).write_all(&received[..length])?;
                if doomed {
                    return Ok(());
                }
                received.drain(..length);
                forwarded += 1;
            }
            receive(&self.client, &mut received)?;
        }
    }

    fn forward_replies(&self, faults: &Faults) -> io::Result<()> {
        let mut received = Vec::new();
        let mut forwarded = 0;
        loop {
            while let Some(&kind) = received.first() {
                let pushed = kind == b'>';
                if !pushed && self.doomed.load(Ordering::SeqCst) == forwarded {
                    faults.count_loss();
                    return Ok(());
                }
                let Some(length) = message_len(&received).map_err(io::Error::other)? else {
                    break;
                };
                let passing = faults.passing(length);
                (&self.client).write_all(&received[..passing])?;
                if passing < length {
                    faults.count_loss();
                    return Ok(());
                }
                received.drain(..length);
                forwarded += u64::from(!pushed);
            }
            receive(&self.server, &mut received)?;
        }
    }
}

/// Reads what is there; the end of the stream is an error, because both sides then end.
fn receive(mut stream: &TcpStream, received: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; READ_BYTES];
    match stream.read(&mut chunk)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => {
            received.extend_from_slice(&chunk[..count]);
            Ok(())
        }
    }
}
