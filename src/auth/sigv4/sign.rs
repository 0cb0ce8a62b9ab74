//! Signing a request of ours, as its receiver will verify it.
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>. The canonical form is written by the
//! same code that verifies the requests of others.

use std::fmt;

use super::canonical::{push_joined, push_query, push_recoded_path, push_trimmed};
use super::scope::{SERVICE, Scope, TERMINAL, Timestamp};
use super::signature::{self, SigningKey};
use super::{ALGORITHM, Kind};

/// What is signed of a request.
#[derive(Clone)]
pub(crate) struct RequestToSign<'a> {
    pub(crate) method: &'a str,
    /// As sent: it is signed as S3 reads it, decoded and encoded once, never normalised.
    pub(crate) path: &'a str,
    /// As sent.
    pub(crate) query: &'a str,
    /// The headers that are signed, those of one name together and in their order. They need not be sorted.
    pub(crate) headers: Vec<(&'a str, &'a [u8])>,
    /// `x-amz-content-sha256`.
    pub(crate) payload: &'a str,
}

/// The query and the headers may hold secrets, such as the key of an SSE-C object or a session's token.
impl fmt::Debug for RequestToSign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| *name).collect();
        f.debug_struct("RequestToSign")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// A signature, and the header that carries it.
pub(crate) struct RequestSignature {
    /// The value of `Authorization`.
    pub(crate) authorization: Vec<u8>,
    /// 64 hexadecimal digits, which the signatures of chunks go on from.
    pub(crate) signature: String,
}

impl RequestToSign<'_> {
    /// Signs it with `key`, which is for `scope`, as of `timestamp`.
    pub(crate) fn sign(mut self, key: &SigningKey, scope: &Scope, timestamp: &Timestamp) -> RequestSignature {
        // Several values of one name stay in their order.
        self.headers.sort_by_key(|(name, _)| *name);
        let canonical = self.canonical();
        let hash = signature::sha256_hex(&[&canonical]);
        let signature = signature::of_request(key, timestamp, scope, &hash);
        let mut authorization = Vec::with_capacity(256);
        let (id, date, region) = (scope.access_key_id().as_str(), scope.date(), scope.region());
        let credential = [ALGORITHM, " Credential=", id, "/", date, "/", region, "/", SERVICE, "/", TERMINAL];
        for piece in credential.into_iter().chain([", SignedHeaders="]) {
            authorization.extend_from_slice(piece.as_bytes());
        }
        push_joined(&mut authorization, self.names());
        for piece in [", Signature=", &signature] {
            authorization.extend_from_slice(piece.as_bytes());
        }
        RequestSignature { authorization, signature }
    }

    fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(self.method.as_bytes());
        out.push(b'\n');
        push_recoded_path(&mut out, self.path);
        out.push(b'\n');
        push_query(&mut out, self.query, Kind::Header, false);
        let mut last = None;
        for (name, value) in &self.headers {
            if last == Some(name) {
                out.push(b',');
            } else {
                out.push(b'\n');
                out.extend_from_slice(name.as_bytes());
                out.push(b':');
                last = Some(name);
            }
            push_trimmed(&mut out, value);
        }
        out.extend_from_slice(b"\n\n");
        push_joined(&mut out, self.names());
        out.push(b'\n');
        out.extend_from_slice(self.payload.as_bytes());
        out
    }

    /// Each once, sorted.
    fn names(&self) -> impl Iterator<Item = &str> {
        let repeats =
            |n: usize, name: &str| n.checked_sub(1).and_then(|n| self.headers.get(n)).is_some_and(|(o, _)| *o == name);
        self.headers.iter().enumerate().filter(move |(n, (name, _))| !repeats(*n, name)).map(|(_, (name, _))| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_not_shown() {
        let request = RequestToSign {
            method: "PUT",
            path: "/photos/a",
            query: "x-id=query-secret",
            headers: vec![("host", b"s3"), ("x-amz-security-token", b"token-secret")],
            payload: "UNSIGNED-PAYLOAD",
        };
        let shown = format!("{request:?} {request:#?}");
        assert!(shown.contains("/photos/a") && shown.contains("x-amz-security-token"), "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
        // Nor as numbers, which is how bytes are shown.
        assert!(!shown.contains("116"), "{shown}");
    }
}
