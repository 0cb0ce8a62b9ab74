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

/// Whom a grant names. The greater grants more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrantedTo {
    /// The caller's account alone, by its id, its root's ARN or its canonical user id: this leaves it to the account's own
    /// identity policies to pass the grant on, and grants nothing by itself.
    Account,
    /// The caller: `*`, or their own ARN, or their role's. In an identity policy, always.
    Principal,
}

/// The kinds of principal that a `Principal` object may list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PrincipalKind {
    Aws,
    CanonicalUser,
    Federated,
    Service,
}

impl PrincipalKind {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "AWS" => Some(Self::Aws),
            "CanonicalUser" => Some(Self::CanonicalUser),
            "Federated" => Some(Self::Federated),
            "Service" => Some(Self::Service),
            _ => None,
        }
    }
}

/// One entry of a `Principal` or `NotPrincipal` element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PrincipalPattern {
    /// `*`: anybody, the anonymous caller too.
    Everyone,
    /// A bare account id, or the ARN of its root.
    Account(AccountId),
    /// An account by its canonical user id.
    CanonicalUser(CanonicalUserId),
    User {
        account: AccountId,
        /// `/NAME` or `/PATH/NAME`.
        path_and_name: String,
    },
    /// A role, which is to say any session of it.
    Role {
        account: AccountId,
        /// `/NAME` or `/PATH/NAME`.
        path_and_name: String,
    },
    Session {
        account: AccountId,
        role: String,
        session: String,
    },
    /// A service, a federated user, a CloudFront origin access identity: well-formed, and nobody who could ask here.
    NeverHere,
}

impl PrincipalPattern {
    /// The account that a `NotPrincipal` must list beside this entry for it to spare anybody.
    pub(super) fn belongs_to(&self) -> Option<&AccountId> {
        match self {
            Self::User { account, .. } | Self::Role { account, .. } | Self::Session { account, .. } => Some(account),
            Self::Everyone | Self::Account(_) | Self::CanonicalUser(_) | Self::NeverHere => None,
        }
    }

    /// Takes the forms that Amazon documents; a wildcard stands alone or not at all.
    pub(super) fn parse(kind: PrincipalKind, text: &str) -> Option<Self> {
        match kind {
            PrincipalKind::Aws if text == "*" => Some(Self::Everyone),
            PrincipalKind::Aws => AccountId::parse(text).map(Self::Account).ok().or_else(|| Self::from_arn(text)),
            PrincipalKind::CanonicalUser => CanonicalUserId::parse(text).map(Self::CanonicalUser),
            PrincipalKind::Federated => {
                (!text.is_empty() && !text.contains(['*', '?', '$'])).then_some(Self::NeverHere)
            }
            PrincipalKind::Service => is_service(text).then_some(Self::NeverHere),
        }
    }

    fn from_arn(text: &str) -> Option<Self> {
        let (service, rest) = text.strip_prefix("arn:aws:")?.split_once("::")?;
        let (account, resource) = rest.split_once(':')?;
        if (service, account) == ("iam", "cloudfront") {
            let id = resource.strip_prefix("user/CloudFront Origin Access Identity ")?;
            let is_id = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric());
            return is_id.then_some(Self::NeverHere);
        }
        let account = AccountId::parse(account).ok()?;
        let (qualifier, name) = match resource.find('/') {
            Some(at) => resource.split_at_checked(at)?,
            None => (resource, ""),
        };
        match (service, qualifier) {
            ("iam", "root") if name.is_empty() => Some(Self::Account(account)),
            ("iam", "user") => Some(Self::User { account, path_and_name: path_and_name(name)? }),
            ("iam", "role") => Some(Self::Role { account, path_and_name: path_and_name(name)? }),
            ("sts", "assumed-role") => {
                let (role, session) = name.strip_prefix('/')?.split_once('/')?;
                (is_name(role) && is_name(session)).then(|| Self::Session {
                    account,
                    role: role.to_owned(),
                    session: session.to_owned(),
                })
            }
            ("sts", "federated-user") => is_name(name.strip_prefix('/')?).then_some(Self::NeverHere),
            _ => None,
        }
    }

    /// Whether the caller is meant, and if so whether they themselves are or only their account.
    pub(super) fn matches(&self, caller: &Principal) -> Option<GrantedTo> {
        if self.is_account_of(caller) {
            return Some(GrantedTo::Account);
        }
        let is_caller = match (self, caller) {
            (Self::Everyone, _) => true,
            (Self::User { account, path_and_name }, Principal::User { account: of, path, name, .. }) => {
                *account == of.id && path_and_name.strip_prefix(path.as_str()) == Some(name)
            }
            (Self::Role { .. }, Principal::AssumedRole { .. }) => self.is_role_of(caller),
            (
                Self::Session { account, role, session },
                Principal::AssumedRole { account: of, role: of_role, session: of_session, .. },
            ) => *account == of.id && role == of_role && session == of_session,
            (
                Self::Account(_)
                | Self::CanonicalUser(_)
                | Self::User { .. }
                | Self::Role { .. }
                | Self::Session { .. },
                _,
            )
            | (Self::NeverHere, _) => false,
        };
        is_caller.then_some(GrantedTo::Principal)
    }

    /// Whether it names the caller's account.
    fn is_account_of(&self, caller: &Principal) -> bool {
        caller.account().is_some_and(|of| match self {
            Self::Account(id) => *id == of.id,
            Self::CanonicalUser(id) => *id == of.canonical_id,
            Self::Everyone | Self::User { .. } | Self::Role { .. } | Self::Session { .. } | Self::NeverHere => false,
        })
    }

    fn is_role_of(&self, caller: &Principal) -> bool {
        match (self, caller) {
            (Self::Role { account, path_and_name }, Principal::AssumedRole { account: of, path, role, .. }) => {
                *account == of.id && path_and_name.strip_prefix(path.as_str()) == Some(role)
            }
            _ => false,
        }
    }
}

/// Whether a `NotPrincipal` of these entries spares the caller.
///
/// Amazon says that a service *might* check the account first, then the user, or the role and then its session, and that all
/// of them must therefore be listed ("AWS JSON policy elements: NotPrincipal"). Here each always counts, which errs on the
/// side of denial: a user is spared where both the user and their account are listed, a session where its account, its role
/// and itself are; an account alone spares its root user only. Only `*` spares the anonymous caller.
pub(super) fn spares(listed: &[PrincipalPattern], caller: &Principal) -> bool {
    let any = |test: &dyn Fn(&PrincipalPattern) -> bool| listed.iter().any(test);
    let itself = |entry: &PrincipalPattern| match entry {
        PrincipalPattern::User { .. } | PrincipalPattern::Session { .. } => entry.matches(caller).is_some(),
        PrincipalPattern::Everyone
        | PrincipalPattern::Account(_)
        | PrincipalPattern::CanonicalUser(_)
        | PrincipalPattern::Role { .. }
        | PrincipalPattern::NeverHere => false,
    };
    any(&|entry| *entry == PrincipalPattern::Everyone)
        || any(&|entry| entry.is_account_of(caller))
            && match caller {
                Principal::Anonymous => false,
                Principal::Root(_) => true,
                Principal::User { .. } => any(&itself),
                Principal::AssumedRole { .. } => any(&|entry| entry.is_role_of(caller)) && any(&itself),
            }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b))
}

/// Takes `/NAME` and `/PATH/NAME`.
fn path_and_name(text: &str) -> Option<String> {
    text.strip_prefix('/')?.split('/').all(is_name).then(|| text.to_owned())
}

fn is_service(text: &str) -> bool {
    let name = text.strip_suffix(".cn").unwrap_or(text).strip_suffix(".amazonaws.com");
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    name.is_some_and(|name| name.split('.').all(is_label))
}
