//! The raw ceiling: the writes that a task cannot do without, as plain commands in pipelines.
//!
//! No function, no fence, no answer that anybody looks at: what the server could do at best if
//! nothing had to be decided. The records are about as long as in `docs/keys.md`, and stand in the
//! same indexes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use ff_testserver::ClientError;

use super::load::Load;
use crate::error::XtaskError;

/// Tasks whose commands travel together.
const PIPELINE_TASKS: u64 = 64;
/// Connections, so that the server has work while a client reads.
const CONNECTIONS: u64 = 4;
/// How many bytes are read at once.
const READ_BYTES: usize = 64 * 1024;
/// How long an answer may take.
const REPLY_MAX: Duration = Duration::from_secs(10);
/// Commands a task: creating it, claiming it, completing it.
const COMMANDS: [u64; 3] = [2, 3, 3];

/// Creates, claims and completes all tasks on several connections at once.
pub(super) fn end_to_end(address: SocketAddr, load: &Load) -> Result<(), XtaskError> {
    let load = *load;
    let work = move |first: u64| -> io::Result<()> {
        let mut line = Line::open(address)?;
        let mine: Vec<u64> = (first..load.tasks).step_by(CONNECTIONS as usize).collect();
        for tasks in mine.chunks(PIPELINE_TASKS as usize) {
            for (step, commands) in [create, claim, complete].into_iter().zip(COMMANDS) {
                for task in tasks {
                    step(&mut line, &load, *task);
                }
                line.exchange(commands * tasks.len() as u64)?;
            }
        }
        Ok(())
    };
    let threads: Vec<_> =
        (0..CONNECTIONS).map(|first| std::thread::spawn(move || work(first))).collect();
    for thread in threads {
        let done = thread.join();
        let done = done.map_err(|_| XtaskError::Told("a raw client panicked".to_owned()))?;
        done.map_err(|source| XtaskError::Raw(ClientError::Io { address, source }))?;
    }
    Ok(())
}

/// Measures bare round trips, in microseconds.
pub(super) fn round_trips(address: SocketAddr, count: u64) -> io::Result<Vec<f64>> {
    let mut line = Line::open(address)?;
    let mut spans = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        line.command(&[b"ECHO", b"x"]);
        line.write()?;
        line.read(2)?;
        spans.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    Ok(spans)
}

/// What stands before the input of a record: its head, its definition and its birth.
const BEFORE: &[u8] = b"\x02r\x000123456789abcdef0123456789abcdef0123456789abcdef\
    bench-0000000000000000:default:bench:3,86400000,10,10,0,0,,,,:0123456789abcdef0123456789ab";
/// What a lease adds to it.
const LEASE: &[u8] = b"01234567-89ab-cdef-0123-456789abcdef\
    bench:bench-0123456789abcdef-0123456789abcdefL\0\0\0\x07f012345";
/// What an end puts in the place of the lease's last bytes.
const TURN: &[u8] = b"T\0\0\0\x1e0123456789abcdef0123456789abcd";

fn create(line: &mut Line, load: &Load, task: u64) {
    let key = key(task);
    let record = [BEFORE, &load.input(task)].concat();
    line.command(&[b"SET", key.as_bytes(), &record]);
    line.command(&[b"ZADD", b"raw:ready", b"1700000000000", key.as_bytes()]);
}

fn claim(line: &mut Line, load: &Load, task: u64) {
    let key = key(task);
    let key = key.as_bytes();
    let record = [BEFORE, &load.input(task), LEASE].concat();
    line.command(&[b"ZREM", b"raw:ready", key]);
    line.command(&[b"ZADD", b"raw:active", b"1700000030000", key]);
    line.command(&[b"SET", key, &record]);
}

fn complete(line: &mut Line, load: &Load, task: u64) {
    let key = key(task);
    let key = key.as_bytes();
    let record = [BEFORE, &load.input(task), LEASE, TURN, &task.to_be_bytes()].concat();
    line.command(&[b"SET", key, &record]);
    line.command(&[b"ZREM", b"raw:active", key]);
    line.command(&[b"ZADD", b"raw:done", b"1700086400001", key]);
}

fn key(task: u64) -> String {
    format!("raw:x:01234567-89ab-cdef-0123-{task:012x}")
}

/// A connection that writes many commands at once and counts lines of replies.
struct Line {
    stream: TcpStream,
    commands: Vec<u8>,
    chunk: Vec<u8>,
}

impl Line {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_MAX))?;
        Ok(Self { stream, commands: Vec::new(), chunk: vec![0; READ_BYTES] })
    }

    fn command(&mut self, words: &[&[u8]]) {
        self.commands.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            self.commands.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            self.commands.extend_from_slice(word);
            self.commands.extend_from_slice(b"\r\n");
        }
    }

    fn exchange(&mut self, replies: u64) -> io::Result<()> {
        self.write()?;
        self.read(replies)
    }

    fn write(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.commands)?;
        self.commands.clear();
        Ok(())
    }

    /// Reads so many lines. A refusal is an error.
    fn read(&mut self, mut lines: u64) -> io::Result<()> {
        while lines > 0 {
            let count = self.stream.read(&mut self.chunk)?;
            let received = &self.chunk[..count];
            if count == 0 || received.contains(&b'-') {
                return Err(io::Error::other(String::from_utf8_lossy(received).into_owned()));
            }
            let ends = received.iter().filter(|byte| **byte == b'\n').count() as u64;
            lines = lines.saturating_sub(ends);
        }
        Ok(())
    }
}
