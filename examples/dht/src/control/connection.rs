//! Lines over a control socket: each is bounded, and so is the time that it may take.

use core::time::Duration;
use std::io::{self, Read, Write};
use std::thread;
use std::time::Instant;

use interprocess::local_socket::Stream;
use interprocess::local_socket::traits::Stream as _;
use serde::Serialize;

/// How often a pipe of Windows, which has no time limits, is looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// One end of a connection.
pub(super) struct Connection {
    stream: Stream,
    /// Whether the stream has no time limits of its own, and never blocks.
    polled: bool,
    /// What was received after the last line.
    rest: Vec<u8>,
}

impl Connection {
    pub(super) fn new(stream: Stream) -> io::Result<Self> {
        let polled = match stream.set_recv_timeout(Some(PAUSE)) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => true,
            set => set.map(|()| false)?,
        };
        stream.set_nonblocking(polled)?;
        Ok(Self { stream, polled, rest: Vec::new() })
    }

    /// Receives a line of at most `most` bytes within `limit`, without its end. `None` if the other end has closed the
    /// connection.
    pub(super) fn receive(&mut self, most: usize, limit: Duration) -> io::Result<Option<Vec<u8>>> {
        let deadline = Instant::now() + limit;
        let (mut searched, mut chunk) = (0, [0; 4096]);
        loop {
            if let Some(end) = self.rest[searched..].iter().position(|byte| *byte == b'\n') {
                let rest = self.rest.split_off(searched + end + 1);
                let mut line = core::mem::replace(&mut self.rest, rest);
                line.pop();
                return Ok(Some(line));
            }
            searched = self.rest.len();
            if searched > most {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("a line has more than {most} bytes")));
            }
            match self.within(deadline, |stream| stream.read(&mut chunk))? {
                0 => return Ok(None),
                received => self.rest.extend(chunk.iter().take(received)),
            }
        }
    }

    /// Sends an object as a line within `limit`.
    pub(super) fn send(&mut self, object: &impl Serialize, limit: Duration) -> io::Result<()> {
        let deadline = Instant::now() + limit;
        let mut line = serde_json::to_vec(object)?;
        line.push(b'\n');
        let mut left = &line[..];
        while !left.is_empty() {
            match self.within(deadline, |stream| stream.write(left))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                sent => left = left.get(sent..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    /// Reads or writes once, at the latest at the deadline.
    fn within(
        &mut self,
        deadline: Instant,
        mut transfer: impl FnMut(&mut Stream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the time limit was reached"));
            }
            if !self.polled {
                self.stream.set_recv_timeout(Some(left))?;
                self.stream.set_send_timeout(Some(left))?;
            }
            match transfer(&mut self.stream) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    thread::sleep(PAUSE.min(left));
                }
                done => return done,
            }
        }
    }
}
