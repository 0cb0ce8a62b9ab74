//! A store that reads requests by the letter of RFC 9112, and notes them.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::support::soon;

/// A request as the store read it.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// Method and target.
    pub(super) line: String,
    /// In their order, names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Vec<(String, String)>,
    /// Whether its end was seen.
    pub(super) whole: bool,
    /// What is wrong with its form.
    pub(super) fault: Option<&'static str>,
}

impl Asked {
    /// The only header of this name; more than one is a fault of the test's.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
        let first = values.next();
        assert_eq!(values.next(), None, "{name} twice in {self:?}");
        first
    }
}

/// `PUT /b/k`, or `PUT /b/k: body`; what is not whole or not well-formed says so.
impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)?;
        if !self.body.is_empty() {
            write!(f, ": {}", self.body.escape_ascii())?;
        }
        if let Some(fault) = self.fault {
            write!(f, " ({fault})")?;
        }
        if self.whole { Ok(()) } else { f.write_str(" (broken off)") }
    }
}

pub(super) struct Recorder {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    last: oneshot::Sender<SocketAddr>,
    run: JoinHandle<()>,
}

impl Recorder {
    pub(super) async fn start() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (last, told) = oneshot::channel();
        let run = tokio::spawn(accept(socket, Arc::clone(&asked), told));
        Self { address, asked, last, run }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// All it was asked on all connections, once they have ended.
    pub(super) async fn end(self) -> Vec<Asked> {
        let last = TcpStream::connect(self.address).await.unwrap();
        self.last.send(last.local_addr().unwrap()).unwrap();
        drop(last);
        soon("end of the store", self.run).await.unwrap();
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

/// Connections are taken in the order they were made, so all that were made before the last one are heard to their end.
async fn accept(socket: TcpListener, asked: Arc<Mutex<Vec<Asked>>>, mut told: oneshot::Receiver<SocketAddr>) {
    let mut connections = JoinSet::new();
    let (mut peers, mut last) = (HashSet::new(), None);
    while last.is_none_or(|last| !peers.contains(&last)) {
        tokio::select! {
            accepted = socket.accept() => {
                let (stream, peer) = accepted.unwrap();
                peers.insert(peer);
                connections.spawn(serve(stream, Arc::clone(&asked)));
            }
            address = &mut told, if last.is_none() => last = Some(address.unwrap()),
        }
    }
    while let Some(ended) = connections.join_next().await {
        ended.unwrap();
    }
}

async fn serve(stream: TcpStream, asked: Arc<Mutex<Vec<Asked>>>) {
    stream.set_nodelay(true).unwrap();
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    while let Some(mut request) = head(&mut reader).await {
        let index = {
            let mut all = asked.lock().unwrap();
            all.push(request.clone());
            all.len() - 1
        };
        if request.fault.is_none() && body(&mut reader, &mut request).await.is_some() {
            request.whole = true;
        }
        let answer = answer(&request);
        let goes_on = request.whole;
        asked.lock().unwrap()[index] = request;
        if !goes_on || writer.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn answer(request: &Asked) -> String {
    let deletes = request.line.contains("?delete");
    let body = if deletes { "<?xml version=\"1.0\"?><DeleteResult></DeleteResult>" } else { "ok" };
    let sent = if request.line.starts_with("HEAD ") { "" } else { body };
    format!("HTTP/1.1 200 OK\r\nx-from: store\r\ncontent-length: {}\r\n\r\n{sent}", body.len())
}

async fn head(reader: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Asked> {
    let mut request = Asked::default();
    let first = line(reader, &mut request).await?;
    match first.strip_suffix(" HTTP/1.1") {
        Some(line) => request.line = line.to_owned(),
        None => {
            request.line = first;
            request.fault = Some("no request line of HTTP/1.1");
        }
    }
    if request.line.split(' ').count() != 2 {
        request.fault = Some("not a method and a target");
    }
    request.headers = fields(reader, &mut request).await?;
    let count = |name: &str| request.headers.iter().filter(|(found, _)| found == name).count();
    match (count("content-length"), count("transfer-encoding"), count("host")) {
        (0, 0 | 1, 1) | (1, 0, 1) => {}
        _ => request.fault = Some("framed or addressed in two ways"),
    }
    Some(request)
}

async fn fields(reader: &mut (impl AsyncBufReadExt + Unpin), request: &mut Asked) -> Option<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let text = line(reader, request).await?;
        if text.is_empty() {
            return Some(fields);
        }
        match text.split_once(':') {
            Some((name, value)) if !name.is_empty() && !name.contains([' ', '\t']) => {
                fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            _ => request.fault = Some("a line that is no header"),
        }
    }
}

async fn line(reader: &mut (impl AsyncBufReadExt + Unpin), request: &mut Asked) -> Option<String> {
    let mut bytes = Vec::new();
    reader.read_until(b'\n', &mut bytes).await.ok().filter(|count| *count > 0)?;
    match bytes.strip_suffix(b"\r\n") {
        Some(line) => Some(String::from_utf8_lossy(line).into_owned()),
        None => {
            request.fault = Some("a line that does not end in CRLF");
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
    }
}

async fn body(reader: &mut (impl AsyncBufReadExt + Unpin), request: &mut Asked) -> Option<()> {
    if let Some(coding) = request.header("transfer-encoding") {
        if coding != "chunked" {
            request.fault = Some("a coding that is not known");
            return None;
        }
        loop {
            let size = usize::from_str_radix(&line(reader, request).await?, 16).ok()?;
            if size == 0 {
                request.trailers = fields(reader, request).await?;
                return Some(());
            }
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).await.ok()?;
            request.body.extend_from_slice(&chunk[..size]);
        }
    }
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut content = vec![0; length];
    reader.read_exact(&mut content).await.ok()?;
    request.body = content;
    Some(())
}
