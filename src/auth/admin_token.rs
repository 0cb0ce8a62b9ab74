//! The operator's bearer token (RFC 6750), which opens the admin API.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::identity::SecretKey;

/// The fewest characters of a token.
pub const MIN_TOKEN_CHARACTERS: usize = 16;
/// The most characters of a token.
pub const MAX_TOKEN_CHARACTERS: usize = 1024;

/// A token: visible ASCII characters, [`MIN_TOKEN_CHARACTERS`] to [`MAX_TOKEN_CHARACTERS`] of them. It prints redacted
/// and is wiped when dropped.
#[derive(Clone)]
pub struct AdminToken(SecretKey);

impl AdminToken {
    /// Reads a file's content: the token, and perhaps the end of its line.
    ///
    /// # Errors
    /// [`InvalidAdminToken`], which does not quote it.
    pub fn parse(content: &[u8]) -> Result<Self, InvalidAdminToken> {
        let text = content.strip_suffix(b"\n").unwrap_or(content);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        match text.len() {
            0..MIN_TOKEN_CHARACTERS => return Err(InvalidAdminToken::TooShort),
            MIN_TOKEN_CHARACTERS..=MAX_TOKEN_CHARACTERS => {}
            _ => return Err(InvalidAdminToken::TooLong),
        }
        match std::str::from_utf8(text) {
            Ok(text) if text.bytes().all(|b| b.is_ascii_graphic()) => Ok(Self(SecretKey::new(text))),
            Ok(_) | Err(_) => Err(InvalidAdminToken::Characters),
        }
    }

    /// Whether `presented` is the token. How long that takes does not depend on how much of it is right, nor on how long
    /// the token is.
    pub fn matches(&self, presented: &[u8]) -> bool {
        Sha256::digest(self.0.expose()).ct_eq(&Sha256::digest(presented)).into()
    }

    /// The token itself, for sending. Never log it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(redacted)")
    }
}

/// Why something is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidAdminToken {
    /// It has fewer than [`MIN_TOKEN_CHARACTERS`].
    TooShort,
    /// It has more than [`MAX_TOKEN_CHARACTERS`].
    TooLong,
    /// It has others than visible ASCII characters, or more than one line.
    Characters,
}

impl fmt::Display for InvalidAdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => write!(f, "the token has fewer than {MIN_TOKEN_CHARACTERS} characters"),
            Self::TooLong => write!(f, "the token has more than {MAX_TOKEN_CHARACTERS} characters"),
            Self::Characters => f.write_str("the token is not one line of visible ASCII characters"),
        }
    }
}

impl std::error::Error for InvalidAdminToken {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_line_of_visible_characters() {
        let long = "x".repeat(MAX_TOKEN_CHARACTERS + 1);
        for (content, expected) in [
            ("0123456789abcdef", None),
            ("0123456789abcdef\n", None),
            ("0123456789abcdef\r\n", None),
            ("~!\"$%&/()=?+-._:;", None),
            ("", Some(InvalidAdminToken::TooShort)),
            ("\n", Some(InvalidAdminToken::TooShort)),
            ("0123456789abcde\n", Some(InvalidAdminToken::TooShort)),
            (&long, Some(InvalidAdminToken::TooLong)),
            ("0123456789 abcdef", Some(InvalidAdminToken::Characters)),
            ("0123456789abcdef\n\n", Some(InvalidAdminToken::Characters)),
            ("0123456789abcdef\nx", Some(InvalidAdminToken::Characters)),
            ("0123456789abcdefü", Some(InvalidAdminToken::Characters)),
        ] {
            assert_eq!(AdminToken::parse(content.as_bytes()).err(), expected, "{content:?}");
        }
    }

    #[test]
    fn only_the_whole_token_matches_and_it_is_never_printed() {
        let token = AdminToken::parse(b"0123456789abcdef\n").unwrap();
        assert!(token.matches(b"0123456789abcdef"));
        for wrong in ["", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef\n", "0123456789abcdef0"] {
            assert!(!token.matches(wrong.as_bytes()), "{wrong:?}");
        }
        assert_eq!(format!("{token:?}"), "AdminToken(redacted)");
    }
}
