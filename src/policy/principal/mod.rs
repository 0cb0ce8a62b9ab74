//! Who asks (a [`Principal`]), and who a statement speaks of.
//!
//! Follows Amazon's "AWS JSON policy elements: Principal" and, for what a policy may know of the caller, the table of
//! "Principal key values" in "IAM policy elements: Variables and tags".

mod account;
mod named;

use std::collections::BTreeMap;

pub use self::account::{Account, AccountId, CanonicalUserId, InvalidAccountId};
pub(super) use self::named::{NamedPrincipal, NamedPrincipals, PrincipalKind};

/// What `aws:userid` and `aws:PrincipalAccount` are of the anonymous caller ("AWS global condition context keys").
pub(super) const ANONYMOUS: &str = "anonymous";

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Nobody: the request carries no credentials.
    Anonymous,
    /// The root user of an account.
    Root(Root),
    /// An IAM user.
    User(User),
    /// A session of a role.
    AssumedRole(RoleSession),
}

/// The root user of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    account: Account,
    arn: String,
}

/// An IAM user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    account: Account,
    name: String,
    user_id: String,
    tags: BTreeMap<String, String>,
    arn: String,
}

/// A session of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleSession {
    account: Account,
    user_id: String,
    tags: BTreeMap<String, String>,
    arn: String,
    role_arn: String,
}

impl Principal {
    /// The root user of an account.
    pub fn root(account: Account) -> Self {
        let arn = format!("arn:aws:iam::{}:root", account.id);
        Self::Root(Root { account, arn })
    }

    /// An IAM user: the path in its ARN (`/` or `/team/`), its name, its unique id (`aws:userid`) and its tags.
    pub fn user(
        account: Account,
        path: impl Into<String>,
        name: impl Into<String>,
        user_id: impl Into<String>,
        tags: BTreeMap<String, String>,
    ) -> Self {
        let (path, name) = (path.into(), name.into());
        let arn = format!("arn:aws:iam::{}:user{path}{name}", account.id);
        Self::User(User { account, name, user_id: user_id.into(), tags, arn })
    }

    /// A session of a role: the path in the role's ARN, the role's name, the session's, the unique id (`aws:userid`,
    /// `AROA…:SESSION`) and the session's tags.
    pub fn assumed_role(
        account: Account,
        path: impl Into<String>,
        role: impl Into<String>,
        session: impl Into<String>,
        user_id: impl Into<String>,
        tags: BTreeMap<String, String>,
    ) -> Self {
        let (path, role, session) = (path.into(), role.into(), session.into());
        let arn = format!("arn:aws:sts::{}:assumed-role/{role}/{session}", account.id);
        let role_arn = format!("arn:aws:iam::{}:role{path}{role}", account.id);
        Self::AssumedRole(RoleSession { account, user_id: user_id.into(), tags, arn, role_arn })
    }

    /// The account of the caller; none for the anonymous one.
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Anonymous => None,
            Self::Root(root) => Some(&root.account),
            Self::User(user) => Some(&user.account),
            Self::AssumedRole(session) => Some(&session.account),
        }
    }

    /// Whether this is the root user of the account `id`.
    pub fn is_root_of(&self, id: &AccountId) -> bool {
        matches!(self, Self::Root(root) if root.account.id == *id)
    }

    /// The caller's ARN as Amazon writes it in messages; none for the anonymous one.
    pub fn arn(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::Root(root) => Some(&root.arn),
            Self::User(user) => Some(&user.arn),
            Self::AssumedRole(session) => Some(&session.arn),
        }
    }

    /// `aws:PrincipalArn`: the caller's ARN, or of a session its role's.
    pub fn principal_arn(&self) -> Option<&str> {
        match self {
            Self::AssumedRole(session) => Some(&session.role_arn),
            Self::Anonymous | Self::Root(_) | Self::User(_) => self.arn(),
        }
    }

    /// The ARN of a session itself.
    fn session_arn(&self) -> Option<&str> {
        match self {
            Self::AssumedRole(session) => Some(&session.arn),
            Self::Anonymous | Self::Root(_) | Self::User(_) => None,
        }
    }

    /// `aws:PrincipalAccount`, which even the anonymous caller has.
    pub fn account_key(&self) -> &str {
        self.account().map_or(ANONYMOUS, |account| account.id.as_str())
    }

    /// `aws:PrincipalType`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Anonymous => "Anonymous",
            Self::Root(_) => "Account",
            Self::User(_) => "User",
            Self::AssumedRole(_) => "AssumedRole",
        }
    }

    /// `aws:userid`: of the root user, the id of the account.
    pub fn user_id(&self) -> &str {
        match self {
            Self::Anonymous => ANONYMOUS,
            Self::Root(root) => root.account.id.as_str(),
            Self::User(user) => &user.user_id,
            Self::AssumedRole(session) => &session.user_id,
        }
    }

    /// `aws:username`, which only users have.
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::User(user) => Some(&user.name),
            Self::Anonymous | Self::Root(_) | Self::AssumedRole(_) => None,
        }
    }

    /// `aws:PrincipalTag/…` of a user or a session.
    pub fn tag(&self, key: &str) -> Option<&str> {
        match self {
            Self::Anonymous | Self::Root(_) => None,
            Self::User(user) => user.tags.get(key),
            Self::AssumedRole(session) => session.tags.get(key),
        }
        .map(String::as_str)
    }
}

/// Whom a grant names. The greater grants more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrantedTo {
    /// The caller's account alone, by its id, its root's ARN or its canonical user id: this leaves it to the account's own
    /// identity policies to pass the grant on, and grants nothing by itself.
    Account,
    /// The caller: `*`, or their own ARN, or their role's. In an identity policy, always.
    Principal,
}
