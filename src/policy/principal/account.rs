//! Accounts, by their two names.

use std::fmt;

/// A twelve-digit AWS account id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(String);

/// Text that is not an account id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidAccountId(String);

impl AccountId {
    /// Takes a text of exactly twelve ASCII digits.
    ///
    /// # Errors
    /// [`InvalidAccountId`] with the offending text.
    pub fn parse(text: &str) -> Result<Self, InvalidAccountId> {
        if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidAccountId(text.to_owned()))
        }
    }

    /// The twelve digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InvalidAccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not an account id: twelve digits are", self.0)
    }
}

impl std::error::Error for InvalidAccountId {}

/// An account's canonical user id: 64 hexadecimal digits, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CanonicalUserId(String);

impl CanonicalUserId {
    /// Takes a text of 64 hexadecimal digits; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| Self(text.to_ascii_lowercase()))
    }

    /// The id with these 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An account: its id and its canonical user id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// The twelve-digit id.
    pub id: AccountId,
    /// The id that ACLs and `CanonicalUser` principals use.
    pub canonical_id: CanonicalUserId,
}
