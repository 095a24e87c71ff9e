//! A synchronous RESP2 connection for the raw commands that tests and tools need.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::frame::message_len;
use crate::value::{Value, decode};

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How long a reply or a write may take unless [`Connection::set_timeout`] says otherwise.
const REPLY_MAX: Duration = Duration::from_secs(10);
/// How many bytes are read at once.
const READ_BYTES: usize = 64 * 1024;

/// Says why a command brought no usable reply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The connection could not be made, or broke.
    #[error("the connection to {address} failed")]
    Io {
        /// The server.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// No whole reply came in time; the reply may still come, so only reading on makes sense.
    #[error("no reply from {address} within {waited:?}")]
    Timeout {
        /// The server.
        address: SocketAddr,
        /// The limit that passed.
        waited: Duration,
    },
    /// The server closed the connection.
    #[error("{address} closed the connection")]
    Closed {
        /// The server.
        address: SocketAddr,
    },
    /// What came is not RESP2.
    #[error("the reply is garbled: {reason}")]
    Garbled {
        /// What is wrong with it.
        reason: String,
    },
    /// The server refused the command; made by [`Value::into_result`] alone.
    #[error("the server refused: {message}")]
    Refused {
        /// The server's words, its code first.
        message: String,
    },
}

/// One connection to one server, which sends a command and waits for its reply.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    received: Vec<u8>,
    timeout: Duration,
}

impl Connection {
    /// Connects to the server at `address`.
    pub fn open(address: SocketAddr) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Io { address, source };
        let stream = TcpStream::connect_timeout(&address, CONNECT_MAX).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let mut connection = Self { address, stream, received: Vec::new(), timeout: REPLY_MAX };
        connection.set_timeout(REPLY_MAX)?;
        Ok(connection)
    }

    /// Sets how long each read and each write may take; the duration must not be zero.
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<(), ClientError> {
        self.timeout = timeout;
        self.stream
            .set_read_timeout(Some(timeout))
            .and_then(|()| self.stream.set_write_timeout(Some(timeout)))
            .map_err(|source| self.failed(source))
    }

    /// Sends a command and returns its reply; a refusal is a [`Value::Error`].
    pub fn command<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> Result<Value, ClientError> {
        self.send(arguments)?;
        self.read()
    }

    /// Sends a command without waiting for its reply.
    pub fn send<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> Result<(), ClientError> {
        let request = encode(arguments);
        self.stream.write_all(&request).map_err(|source| self.failed(source))
    }

    /// Waits for the next reply: after [`send`](Self::send), or of a `MONITOR` or `SUBSCRIBE`.
    pub fn read(&mut self) -> Result<Value, ClientError> {
        loop {
            let length = message_len(&self.received)
                .map_err(|error| ClientError::Garbled { reason: error.to_string() })?;
            if let Some(length) = length {
                let value = decode(&self.received[..length]);
                self.received.drain(..length);
                return value;
            }
            self.receive()?;
        }
    }

    fn receive(&mut self) -> Result<(), ClientError> {
        let mut chunk = [0; READ_BYTES];
        let count = match self.stream.read(&mut chunk) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(source) => return Err(self.failed(source)),
        };
        if count == 0 {
            let address = self.address;
            return Err(ClientError::Closed { address });
        }
        self.received.extend_from_slice(&chunk[..count]);
        Ok(())
    }

    fn failed(&self, source: io::Error) -> ClientError {
        let address = self.address;
        match source.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                ClientError::Timeout { address, waited: self.timeout }
            }
            _ => ClientError::Io { address, source },
        }
    }
}

/// Encodes a command as the array of bulk strings that servers expect.
pub(crate) fn encode<A: AsRef<[u8]>>(arguments: &[A]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        let argument = argument.as_ref();
        request.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        request.extend_from_slice(argument);
        request.extend_from_slice(b"\r\n");
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encode_writes_bytes_as_they_are() {
        let request = encode::<&[u8]>(&[b"SET", b"\xff\r\n", b""]);
        assert_eq!(request, b"*3\r\n$3\r\nSET\r\n$3\r\n\xff\r\n\r\n$0\r\n\r\n");
    }
}
