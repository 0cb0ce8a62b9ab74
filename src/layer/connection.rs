//! How did the client come? What only whoever accepts connections can know of a request.

use std::fmt;

/// The client came by TLS. Whoever accepts connections puts it among the request's extensions; without it the client
/// came without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientTls {
    /// The protocol's version, where it is known.
    pub version: Option<TlsVersion>,
}

/// A version of TLS, the older the less. SSL 2.0 and 3.0 are none (RFC 6176, RFC 7568).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.0, RFC 2246.
    V1_0,
    /// TLS 1.1, RFC 4346.
    V1_1,
    /// TLS 1.2, RFC 5246.
    V1_2,
    /// TLS 1.3, RFC 8446.
    V1_3,
}

impl TlsVersion {
    /// `1.0` to `1.3`, the values of `s3:TlsVersion`
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html>).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_the_order_of_their_numbers() {
        let versions = [TlsVersion::V1_0, TlsVersion::V1_1, TlsVersion::V1_2, TlsVersion::V1_3];
        assert_eq!(versions.map(|version| version.to_string()), ["1.0", "1.1", "1.2", "1.3"]);
        assert!(versions.is_sorted_by(|a, b| a < b));
    }
}
