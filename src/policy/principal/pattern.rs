//! Who does an entry of a `Principal` or `NotPrincipal` element name?

use super::{AccountId, CanonicalUserId, GrantedTo, Principal, RoleSession, User};

/// The kinds of principal that a `Principal` object may list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum PrincipalKind {
    Aws,
    CanonicalUser,
    Federated,
    Service,
}

impl PrincipalKind {
    pub(in crate::policy) fn parse(name: &str) -> Option<Self> {
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
pub(in crate::policy) enum PrincipalPattern {
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
    /// Whoever an identity provider of the web vouches for, which nobody does here.
    WebIdentity,
}

impl PrincipalPattern {
    /// The account that a `NotPrincipal` must list beside this entry for it to spare anybody.
    pub(in crate::policy) fn belongs_to(&self) -> Option<&AccountId> {
        match self {
            Self::User { account, .. } | Self::Role { account, .. } | Self::Session { account, .. } => Some(account),
            Self::Everyone | Self::Account(_) | Self::CanonicalUser(_) | Self::NeverHere | Self::WebIdentity => None,
        }
    }

    /// Whether Amazon takes it for the public: anybody, and whoever an identity provider of the web lets in.
    pub(in crate::policy) fn is_public(&self) -> bool {
        matches!(self, Self::Everyone | Self::WebIdentity)
    }

    /// Whether nobody who asks here can be meant.
    pub(in crate::policy) fn is_never_here(&self) -> bool {
        matches!(self, Self::NeverHere | Self::WebIdentity)
    }

    /// Takes the forms that Amazon documents; a wildcard stands alone or not at all.
    pub(in crate::policy) fn parse(kind: PrincipalKind, text: &str) -> Option<Self> {
        match kind {
            PrincipalKind::Aws if text == "*" => Some(Self::Everyone),
            PrincipalKind::Aws => AccountId::parse(text).map(Self::Account).ok().or_else(|| Self::from_arn(text)),
            PrincipalKind::CanonicalUser => CanonicalUserId::parse(text).map(Self::CanonicalUser),
            PrincipalKind::Federated if text.is_empty() || text.contains(['*', '?', '$']) => None,
            PrincipalKind::Federated if is_saml_provider(text) => Some(Self::NeverHere),
            PrincipalKind::Federated => Some(Self::WebIdentity),
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
    pub(in crate::policy) fn matches(&self, caller: &Principal) -> Option<GrantedTo> {
        if self.is_account_of(caller) {
            return Some(GrantedTo::Account);
        }
        let is_caller = match (self, caller) {
            (Self::Everyone, _) => true,
            (Self::User { account, path_and_name }, Principal::User(User { account: of, path, name, .. })) => {
                *account == of.id && path_and_name.strip_prefix(path.as_str()) == Some(name)
            }
            (Self::Role { .. }, Principal::AssumedRole(_)) => self.is_role_of(caller),
            (
                Self::Session { account, role, session },
                Principal::AssumedRole(RoleSession { account: of, role: of_role, session: of_session, .. }),
            ) => *account == of.id && role == of_role && session == of_session,
            (
                Self::Account(_)
                | Self::CanonicalUser(_)
                | Self::User { .. }
                | Self::Role { .. }
                | Self::Session { .. },
                _,
            )
            | (Self::NeverHere | Self::WebIdentity, _) => false,
        };
        is_caller.then_some(GrantedTo::Principal)
    }

    /// Whether it names the caller's account.
    fn is_account_of(&self, caller: &Principal) -> bool {
        caller.account().is_some_and(|of| match self {
            Self::Account(id) => *id == of.id,
            Self::CanonicalUser(id) => *id == of.canonical_id,
            Self::Everyone
            | Self::User { .. }
            | Self::Role { .. }
            | Self::Session { .. }
            | Self::NeverHere
            | Self::WebIdentity => false,
        })
    }

    fn is_role_of(&self, caller: &Principal) -> bool {
        match (self, caller) {
            (
                Self::Role { account, path_and_name },
                Principal::AssumedRole(RoleSession { account: of, path, role, .. }),
            ) => *account == of.id && path_and_name.strip_prefix(path.as_str()) == Some(role),
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
pub(in crate::policy) fn spares(listed: &[PrincipalPattern], caller: &Principal) -> bool {
    let any = |test: &dyn Fn(&PrincipalPattern) -> bool| listed.iter().any(test);
    let itself = |entry: &PrincipalPattern| match entry {
        PrincipalPattern::User { .. } | PrincipalPattern::Session { .. } => entry.matches(caller).is_some(),
        PrincipalPattern::Everyone
        | PrincipalPattern::Account(_)
        | PrincipalPattern::CanonicalUser(_)
        | PrincipalPattern::Role { .. }
        | PrincipalPattern::NeverHere
        | PrincipalPattern::WebIdentity => false,
    };
    any(&|entry| *entry == PrincipalPattern::Everyone)
        || any(&|entry| entry.is_account_of(caller))
            && match caller {
                Principal::Anonymous => false,
                Principal::Root(_) => true,
                Principal::User(_) => any(&itself),
                Principal::AssumedRole(_) => any(&|entry| entry.is_role_of(caller)) && any(&itself),
            }
}

/// `arn:aws:iam::ACCOUNT:saml-provider/NAME`.
fn is_saml_provider(text: &str) -> bool {
    text.strip_prefix("arn:aws:iam::").is_some_and(|rest| rest.contains(":saml-provider/"))
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
