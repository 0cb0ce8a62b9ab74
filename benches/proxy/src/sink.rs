//! A store that throws away what it is given: nginx as a store would write it to a file first.
//!
//! It answers `200` to everything: to a `GET` with a small object, to all else with nothing, once the body has come.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::SMALL;

/// Starts one on a thread of its own, which ends with the process; returns where it listens.
///
/// # Errors
/// Where there is no port or no thread to be had.
pub fn start() -> io::Result<SocketAddr> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    thread::Builder::new().name("sink".to_owned()).spawn(move || {
        runtime.block_on(async {
            while let Ok((stream, _)) = listener.accept().await {
                // A proxy that closes its connection is no concern of ours.
                tokio::spawn(serve(stream));
            }
        });
    })?;
    Ok(address)
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 256 << 10];
    let mut filled = 0;
    loop {
        let end = loop {
            if let Some(at) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read(&mut buffer[filled..]).await? {
                0 => return Ok(()),
                read => filled += read,
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let length = head.split("\r\ncontent-length:").nth(1).and_then(|rest| rest.split("\r\n").next());
        let length: usize = length.map_or(Ok(0), |length| length.trim().parse()).map_err(io::Error::other)?;
        let came = (filled - end).min(length);
        let mut left = length - came;
        // What follows belongs to the next request: nobody sends one before the answer, but who knows.
        buffer.copy_within(end + came..filled, 0);
        filled -= end + came;
        while left > 0 {
            let part = left.min(buffer.len());
            match stream.read(&mut buffer[..part]).await? {
                0 => return Ok(()),
                read => left -= read,
            }
        }
        let small = if head.starts_with("get ") { vec![b'x'; SMALL as usize] } else { Vec::new() };
        let mut answer =
            format!("HTTP/1.1 200 OK\r\nETag: \"0\"\r\nContent-Length: {}\r\n\r\n", small.len()).into_bytes();
        answer.extend(small);
        stream.write_all(&answer).await?;
    }
}
