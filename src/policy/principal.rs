//! Who asks (a [`Principal`]), and who a statement speaks of.
//!
//! Follows Amazon's "AWS JSON policy elements: Principal".

use std::collections::BTreeMap;
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CanonicalUserId(String);

impl CanonicalUserId {
    /// Takes a text of 64 hexadecimal digits; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| Self(text.to_ascii_lowercase()))
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

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Nobody: the request carries no credentials.
    Anonymous,
    /// The root user of an account.
    Root(Account),
    /// An IAM user.
    User {
        /// The account the user belongs to.
        account: Account,
        /// The path in its ARN, `/` or `/team/`.
        path: String,
        /// The user's name, `aws:username`.
        name: String,
        /// The unique id, `aws:userid`.
        user_id: String,
        /// Its tags, `aws:PrincipalTag/…`.
        tags: BTreeMap<String, String>,
    },
    /// A session of a role.
    AssumedRole {
        /// The account the role belongs to.
        account: Account,
        /// The path in the role's ARN.
        path: String,
        /// The role's name.
        role: String,
        /// The session's name.
        session: String,
        /// The unique id, `aws:userid` (`AROA…:SESSION`).
        user_id: String,
        /// The session's tags, `aws:PrincipalTag/…`.
        tags: BTreeMap<String, String>,
    },
}

impl Principal {
    /// The account of the caller; none for the anonymous one.
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Anonymous => None,
            Self::Root(account) | Self::User { account, .. } | Self::AssumedRole { account, .. } => Some(account),
        }
    }

    /// Whether this is the root user of the account `id`.
    pub fn is_root_of(&self, id: &AccountId) -> bool {
        matches!(self, Self::Root(account) if account.id == *id)
    }

    /// The caller's ARN as Amazon writes it in messages; none for the anonymous one.
    pub fn arn(&self) -> Option<String> {
        match self {
            Self::Anonymous => None,
            Self::Root(account) => Some(format!("arn:aws:iam::{}:root", account.id)),
            Self::User { account, path, name, .. } => Some(format!("arn:aws:iam::{}:user{path}{name}", account.id)),
            Self::AssumedRole { account, role, session, .. } => {
                Some(format!("arn:aws:sts::{}:assumed-role/{role}/{session}", account.id))
            }
        }
    }
}
