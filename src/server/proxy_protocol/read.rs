//! Takes a header from a socket.

use std::{fmt, io};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::{Header, InvalidHeader, MAX_LENGTH, Reading, parse};

/// Takes the header that `stream` begins with, waiting for it as long as it takes. What follows stays in the socket, so
/// whoever reads on sees a connection as if there had been none.
///
/// # Errors
/// [`ReadError`].
pub(crate) async fn read(stream: &mut TcpStream) -> Result<Header, ReadError> {
    let mut buffer = vec![0; MAX_LENGTH];
    let mut taken = 0;
    loop {
        let seen = match stream.peek(buffer.get_mut(taken..).unwrap_or_default()).await? {
            0 => return Err(ReadError::Closed(taken)),
            seen => taken + seen,
        };
        let (reading, end) = match parse(buffer.get(..seen).unwrap_or_default())? {
            Reading::Complete { header, length } => (Some(header), length),
            // All of it is the header's, and must be out of the way to wait for more.
            Reading::Partial => (None, seen),
        };
        stream.read_exact(buffer.get_mut(taken..end).unwrap_or_default()).await?;
        taken = end;
        if let Some(header) = reading {
            return Ok(header);
        }
    }
}

/// There is no header to be had.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The other end closed after so many bytes of one.
    Closed(usize),
    /// It is invalid.
    Invalid(InvalidHeader),
    /// The connection broke.
    Io(io::Error),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(taken) => write!(f, "no PROXY header: the connection was closed after {taken} bytes"),
            Self::Invalid(error) => write!(f, "no PROXY header: {error}"),
            Self::Io(error) => write!(f, "no PROXY header: {error}"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Closed(_) => None,
            Self::Invalid(error) => Some(error),
            Self::Io(error) => Some(error),
        }
    }
}

impl From<InvalidHeader> for ReadError {
    fn from(error: InvalidHeader) -> Self {
        Self::Invalid(error)
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
