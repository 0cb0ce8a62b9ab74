//! Who does a `Principal` or `NotPrincipal` element name?

use super::{AccountId, CanonicalUserId, GrantedTo, Principal};

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
pub(in crate::policy) enum NamedPrincipal {
    /// `*`: anybody, the anonymous caller too.
    Everyone,
    /// A bare account id, or the ARN of its root.
    Account(AccountId),
    /// An account by its canonical user id.
    CanonicalUser(CanonicalUserId),
    /// A user, a session, or a role, which is to say any session of it.
    Arn { account: AccountId, arn: Box<str> },
    /// A service, a federated user, a CloudFront origin access identity: well-formed, and nobody who could ask here.
    NeverHere,
    /// Whoever an identity provider of the web vouches for, which nobody does here.
    WebIdentity,
}

impl NamedPrincipal {
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
        if (service, resource) == ("iam", "root") {
            return Some(Self::Account(account));
        }
        let (qualifier, name) = resource.split_once('/')?;
        let is_arn = match (service, qualifier) {
            // With or without a path.
            ("iam", "user" | "role") => name.split('/').all(is_name),
            ("sts", "assumed-role") => name.split_once('/').is_some_and(|(role, of)| is_name(role) && is_name(of)),
            ("sts", "federated-user") => return is_name(name).then_some(Self::NeverHere),
            _ => false,
        };
        is_arn.then(|| Self::Arn { account, arn: text.into() })
    }

    /// Whether nobody who asks here can be meant.
    pub(in crate::policy) fn is_never_here(&self) -> bool {
        matches!(self, Self::NeverHere | Self::WebIdentity)
    }
}

/// All entries of a `Principal` or `NotPrincipal` element, sorted, so that finding somebody among hundreds is quick.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::policy) struct NamedPrincipals {
    everyone: bool,
    web_identity: bool,
    accounts: Vec<AccountId>,
    canonical_users: Vec<CanonicalUserId>,
    arns: Vec<Box<str>>,
}

impl FromIterator<NamedPrincipal> for NamedPrincipals {
    fn from_iter<I: IntoIterator<Item = NamedPrincipal>>(entries: I) -> Self {
        let mut named = Self::default();
        for entry in entries {
            match entry {
                NamedPrincipal::Everyone => named.everyone = true,
                NamedPrincipal::WebIdentity => named.web_identity = true,
                NamedPrincipal::Account(id) => named.accounts.push(id),
                NamedPrincipal::CanonicalUser(id) => named.canonical_users.push(id),
                NamedPrincipal::Arn { arn, .. } => named.arns.push(arn),
                NamedPrincipal::NeverHere => {}
            }
        }
        named.accounts.sort_unstable();
        named.canonical_users.sort_unstable();
        named.arns.sort_unstable();
        named
    }
}

impl NamedPrincipals {
    /// Whether the caller is meant, and if so whether they themselves are or only their account.
    pub(in crate::policy) fn name(&self, caller: &Principal) -> Option<GrantedTo> {
        let by_arn = |arn: Option<&str>| arn.is_some_and(|arn| self.has_arn(arn));
        if self.everyone || by_arn(caller.principal_arn()) || by_arn(caller.session_arn()) {
            return Some(GrantedTo::Principal);
        }
        self.has_account_of(caller).then_some(GrantedTo::Account)
    }

    /// Whether a `NotPrincipal` of these entries spares the caller.
    ///
    /// Amazon says that a service *might* check the account first, then the user, or the role and then its session, and that
    /// all of them must therefore be listed ("AWS JSON policy elements: NotPrincipal"). Here each always counts, which errs
    /// on the side of denial: a user is spared where both the user and their account are listed, a session where its
    /// account, its role and itself are; an account alone spares its root user only. Only `*` spares the anonymous caller.
    pub(in crate::policy) fn spare(&self, caller: &Principal) -> bool {
        let lists = |arn: Option<&str>| arn.is_none_or(|arn| self.has_arn(arn));
        let itself = match caller {
            Principal::Anonymous | Principal::Root(_) => true,
            Principal::User(_) | Principal::AssumedRole(_) => {
                lists(caller.principal_arn()) && lists(caller.session_arn())
            }
        };
        self.everyone || self.has_account_of(caller) && itself
    }

    /// Whether Amazon takes one of them for the public: anybody, and whoever an identity provider of the web lets in.
    pub(in crate::policy) fn include_the_public(&self) -> bool {
        self.everyone || self.web_identity
    }

    fn has_arn(&self, arn: &str) -> bool {
        self.arns.binary_search_by(|listed| (**listed).cmp(arn)).is_ok()
    }

    fn has_account_of(&self, caller: &Principal) -> bool {
        caller.account().is_some_and(|account| {
            self.accounts.binary_search(&account.id).is_ok()
                || self.canonical_users.binary_search(&account.canonical_id).is_ok()
        })
    }
}

/// `arn:aws:iam::ACCOUNT:saml-provider/NAME`.
fn is_saml_provider(text: &str) -> bool {
    text.strip_prefix("arn:aws:iam::").is_some_and(|rest| rest.contains(":saml-provider/"))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b))
}

fn is_service(text: &str) -> bool {
    let name = text.strip_suffix(".cn").unwrap_or(text).strip_suffix(".amazonaws.com");
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    name.is_some_and(|name| name.split('.').all(is_label))
}
