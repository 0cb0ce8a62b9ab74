//! The load: connections that are kept, each sending its next request when it has the whole answer to the last.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::request::{Body, Request};

/// What is read or written at once.
const CHUNK: usize = 256 << 10;

/// Answers' heads are shorter, or they are none.
const MAX_HEAD: usize = 64 << 10;

static ZEROS: [u8; CHUNK] = [0; CHUNK];

/// Connections to one proxy.
#[derive(Debug)]
pub struct Load {
    address: SocketAddr,
    connections: Vec<Connection>,
}

/// What a load has done.
#[derive(Clone, Debug)]
pub struct Done {
    /// Requests answered; all of them as they had to be.
    pub requests: u64,
    pub elapsed: Duration,
    /// From a request's first byte to its answer's last, in nanoseconds.
    pub latencies: Histogram<u64>,
}

impl Load {
    /// Opens that many connections.
    ///
    /// # Errors
    /// Where one is refused.
    pub async fn connect(address: SocketAddr, connections: usize) -> io::Result<Self> {
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            open.push(Connection::open(address).await?);
        }
        Ok(Self { address, connections: open })
    }

    /// Sends what `next` gives until it gives nothing any more, over all connections at once.
    ///
    /// # Errors
    /// Where a connection breaks, or an answer is not the one that was expected: then what was measured means nothing.
    pub async fn run(&mut self, next: impl FnMut() -> Option<Rc<Request>> + 'static) -> io::Result<Done> {
        let next = Rc::new(RefCell::new(next));
        let started = Instant::now();
        let tasks = LocalSet::new();
        let mut running = Vec::with_capacity(self.connections.len());
        for mut connection in self.connections.drain(..) {
            let next = Rc::clone(&next);
            running.push(tasks.spawn_local(async move {
                let mut latencies = histogram()?;
                loop {
                    // Not held across a wait.
                    let request = (next.borrow_mut())();
                    let Some(request) = request else { break };
                    let sent = Instant::now();
                    connection.exchange(&request).await?;
                    latencies.saturating_record(u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX));
                }
                Ok::<_, io::Error>((connection, latencies))
            }));
        }
        tasks.await;
        let elapsed = started.elapsed();
        let mut latencies = histogram()?;
        for task in running {
            let done = task.await.map_err(io::Error::other)?;
            let (connection, its) = done.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", self.address)))?;
            latencies.add(its).map_err(io::Error::other)?;
            self.connections.push(connection);
        }
        Ok(Done { requests: latencies.len(), elapsed, latencies })
    }
}

/// The same request over and over for some time.
pub fn for_duration(request: Rc<Request>, duration: Duration) -> impl FnMut() -> Option<Rc<Request>> {
    let end = Instant::now() + duration;
    move || (Instant::now() < end).then(|| Rc::clone(&request))
}

/// The same request that many times.
pub fn times(request: Rc<Request>, count: u64) -> impl FnMut() -> Option<Rc<Request>> {
    let mut left = count;
    move || {
        left = left.checked_sub(1)?;
        Some(Rc::clone(&request))
    }
}

/// One each of some requests.
pub fn each(requests: Vec<Request>) -> impl FnMut() -> Option<Rc<Request>> {
    let mut requests = requests.into_iter();
    move || requests.next().map(Rc::new)
}

impl Done {
    /// The latency that this part of the requests did not exceed.
    pub fn quantile(&self, part: f64) -> Duration {
        Duration::from_nanos(self.latencies.value_at_quantile(part))
    }

    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }
}

/// Of nanoseconds, up to ten minutes, with an error below a hundredth.
fn histogram() -> io::Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 600_000_000_000, 2).map_err(io::Error::other)
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    async fn exchange(&mut self, request: &Request) -> io::Result<()> {
        match &request.body {
            Body::Whole(bytes) if bytes.is_empty() => self.stream.write_all(&request.head).await?,
            Body::Whole(bytes) => self.stream.write_all(&[&*request.head, bytes].concat()).await?,
            Body::Zeros(length) => {
                self.stream.write_all(&request.head).await?;
                let mut left = *length;
                while left > 0 {
                    let part = CHUNK.min(usize::try_from(left).unwrap_or(CHUNK));
                    self.stream.write_all(&ZEROS[..part]).await?;
                    left -= part as u64;
                }
            }
        }
        self.answer(request.answer).await
    }

    /// Reads an answer, and holds it to what was expected.
    async fn answer(&mut self, expected: u64) -> io::Result<()> {
        let size = if expected > MAX_HEAD as u64 { CHUNK } else { MAX_HEAD };
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        let mut filled = 0;
        let end = loop {
            let read = self.read(filled).await?;
            filled += read;
            if let Some(end) = self.buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if filled >= MAX_HEAD {
                return Err(io::Error::other("an answer's head does not end"));
            }
        };
        let head = Head::parse(&self.buffer[..end])?;
        if !matches!(head.status, 200 | 204) || head.length != expected {
            let text = String::from_utf8_lossy(&self.buffer[..filled]).into_owned();
            return Err(io::Error::other(format!("instead of 200 with {expected} bytes: {text}")));
        }
        let mut left =
            head.length.checked_sub((filled - end) as u64).ok_or_else(|| io::Error::other("too much came"))?;
        while left > 0 {
            let read = self.read(0).await? as u64;
            left = left.checked_sub(read).ok_or_else(|| io::Error::other("too much came"))?;
        }
        Ok(())
    }

    async fn read(&mut self, from: usize) -> io::Result<usize> {
        match self.stream.read(&mut self.buffer[from..]).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }
}

struct Head {
    status: u16,
    length: u64,
}

impl Head {
    fn parse(head: &[u8]) -> io::Result<Self> {
        let strange = || io::Error::other(format!("not an answer: {}", String::from_utf8_lossy(head)));
        let text = std::str::from_utf8(head).map_err(|_| strange())?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let mut length = None;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse().map_err(|_| strange())?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(strange());
            }
        }
        let status = status.ok_or_else(strange)?;
        // 204 has neither a body nor a length.
        let length = length.or((status == 204).then_some(0)).ok_or_else(strange)?;
        Ok(Self { status, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_its_status_and_length() {
        for (head, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", Some((200, 5))),
            ("HTTP/1.1 403 Forbidden\r\nContent-Length:7\r\n\r\n", Some((403, 7))),
            ("HTTP/1.1 204 No Content\r\n\r\n", Some((204, 0))),
            ("HTTP/1.1 200 OK\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\n", None),
            ("SSH-2.0-OpenSSH\r\n\r\n", None),
        ] {
            let found = Head::parse(head.as_bytes()).ok().map(|head| (head.status, head.length));
            assert_eq!(found, expected, "{head}");
        }
    }
}
