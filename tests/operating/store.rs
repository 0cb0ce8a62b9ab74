//! A store that answers every request with its own name, at once or when it is let go.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// A running store. Its threads end with their connections, and the rest with the test.
pub(crate) struct Store {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    asked: Mutex<Asked>,
    changed: Condvar,
}

#[derive(Default)]
struct Asked {
    /// The heads of the requests it got.
    heads: Vec<String>,
    holds: bool,
}

impl Store {
    pub(crate) fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&shared);
                thread::spawn(move || serve(&stream, name, &state));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers nothing more until it is [let go](Self::let_go).
    pub(crate) fn hold(&self) {
        self.state.asked.lock().unwrap().holds = true;
    }

    pub(crate) fn let_go(&self) {
        self.state.asked.lock().unwrap().holds = false;
        self.state.changed.notify_all();
    }

    /// Waits for a request whose head says this, and answers the head.
    pub(crate) fn until_asked(&self, what: &str) -> String {
        let asked = self.state.asked.lock().unwrap();
        let missing = |asked: &mut Asked| !asked.heads.iter().any(|head| head.contains(what));
        let (asked, timeout) = self.state.changed.wait_timeout_while(asked, crate::support::SOON, missing).unwrap();
        assert!(!timeout.timed_out(), "nobody asked for {what}: {:?}", asked.heads);
        asked.heads.iter().find(|head| head.contains(what)).unwrap().clone()
    }
}

/// The head of the next request in lower case; none at the connection's end.
pub(crate) fn read_head(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head.to_ascii_lowercase())
}

fn serve(stream: &TcpStream, name: &str, state: &State) {
    let mut reader = BufReader::new(stream);
    loop {
        let Some(head) = read_head(&mut reader) else { return };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
        let is_head = head.starts_with("head ");
        {
            let mut asked = state.asked.lock().unwrap();
            asked.heads.push(head);
            state.changed.notify_all();
            // Questions about buckets are answered in any case.
            drop(state.changed.wait_while(asked, |asked| asked.holds && !is_head).unwrap());
        }
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let content = if is_head { "" } else { name };
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{content}", name.len());
        if (&*stream).write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
