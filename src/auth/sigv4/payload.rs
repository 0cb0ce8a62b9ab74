//! What does the signature say of the body?

use std::borrow::Cow;

use crate::auth::error::AuthError;

/// What `x-amz-content-sha256` promises of the body, see
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadMode {
    /// The body has this SHA-256.
    Sha256([u8; 32]),
    /// The body is not signed.
    Unsigned,
    /// aws-chunked, each chunk signed; with `trailer`, trailing headers follow, signed too.
    StreamingSigned {
        /// Whether signed trailing headers follow the last chunk.
        trailer: bool,
    },
    /// aws-chunked, chunks not signed, followed by trailing headers.
    StreamingUnsignedTrailer,
}

pub(super) const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

impl PayloadMode {
    /// Reads the value of `x-amz-content-sha256`.
    ///
    /// # Errors
    /// [`AuthError::StreamingV4a`] for the ECDSA forms, [`AuthError::PayloadHash`] for anything else S3 does not know.
    pub fn parse(value: &str) -> Result<Self, AuthError> {
        match value {
            UNSIGNED_PAYLOAD => Ok(Self::Unsigned),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Self::StreamingUnsignedTrailer),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Ok(Self::StreamingSigned { trailer: false }),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Ok(Self::StreamingSigned { trailer: true }),
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" | "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER" => {
                Err(AuthError::StreamingV4a(value.to_owned()))
            }
            hash => parse_hash(hash).map(Self::Sha256).ok_or_else(|| AuthError::PayloadHash(hash.to_owned())),
        }
    }
}

/// The mode, and the text that stands for it in the canonical request: the value as sent, since S3 takes hexadecimal
/// digits of either case and signs them as they came.
pub(super) fn parse_with_text(value: &str) -> Result<(PayloadMode, Cow<'static, str>), AuthError> {
    Ok((PayloadMode::parse(value)?, Cow::Owned(value.to_owned())))
}

/// Reads 64 hexadecimal digits, of either case as S3 does.
fn parse_hash(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        let digit = |b: u8| match b {
            b'0'..=b'9' => Some(b - b'0'),
            b'a'..=b'f' => Some(b - b'a' + 10),
            b'A'..=b'F' => Some(b - b'A' + 10),
            _ => None,
        };
        *byte = (digit(high)? << 4) | digit(low)?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_s3_takes_has_its_mode_and_no_other_value_has() {
        let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let upper = hash.to_ascii_uppercase();
        let long = format!("{hash}0");
        let rows: [(&str, Result<PayloadMode, AuthError>); 11] = [
            ("UNSIGNED-PAYLOAD", Ok(PayloadMode::Unsigned)),
            ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", Ok(PayloadMode::StreamingUnsignedTrailer)),
            ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Ok(PayloadMode::StreamingSigned { trailer: false })),
            ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", Ok(PayloadMode::StreamingSigned { trailer: true })),
            (
                "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
                Err(AuthError::StreamingV4a("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD".to_owned())),
            ),
            ("unsigned-payload", Err(AuthError::PayloadHash("unsigned-payload".to_owned()))),
            ("", Err(AuthError::PayloadHash(String::new()))),
            ("+f", Err(AuthError::PayloadHash("+f".to_owned()))),
            (&long, Err(AuthError::PayloadHash(long.clone()))),
            (hash, Ok(PayloadMode::Sha256(parse_hash(hash).unwrap()))),
            (&upper, Ok(PayloadMode::Sha256(parse_hash(hash).unwrap()))),
        ];
        for (value, expected) in rows {
            assert_eq!(PayloadMode::parse(value), expected, "{value}");
        }
        assert_eq!(parse_hash(hash).unwrap()[..4], [0xe3, 0xb0, 0xc4, 0x42]);
    }
}
