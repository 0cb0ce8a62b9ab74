//! The accounts, identities and access keys that an identity file declares, whatever its format.
//!
//! [`Builder`] holds the rules both formats share: nothing is declared twice, and ids that a file leaves out are
//! [`derived`].

use std::collections::HashMap;
use std::sync::Arc;

use super::derived;
use crate::auth::identity::{AccessKeyId, Credential, Identity, SecretKey};
use crate::policy::{Account, AccountId, CanonicalUserId};

/// All that a file declares.
#[derive(Debug, Default)]
pub(super) struct Declared {
    accounts: HashMap<AccountId, Account>,
    by_canonical_id: HashMap<String, AccountId>,
    credentials: HashMap<AccessKeyId, Arc<Credential>>,
}

impl Declared {
    pub(super) fn account(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.get(id)
    }

    pub(super) fn account_by_canonical_id(&self, id: &str) -> Option<&Account> {
        self.by_canonical_id.get(&id.to_ascii_lowercase()).and_then(|id| self.accounts.get(id))
    }

    pub(super) fn credential(&self, id: &AccessKeyId) -> Option<&Arc<Credential>> {
        self.credentials.get(id)
    }

    pub(super) fn credentials(&self) -> impl Iterator<Item = &Arc<Credential>> {
        self.credentials.values()
    }

    pub(super) fn account_count(&self) -> usize {
        self.accounts.len()
    }

    pub(super) fn key_count(&self) -> usize {
        self.credentials.len()
    }
}

/// Gathers what a file declares.
#[derive(Debug, Default)]
pub(super) struct Builder(Declared);

impl Builder {
    /// Declares an account. `canonical_id` is taken as it is written; what is not 64 hexadecimal digits (Zenko has
    /// such) is known to lookups, and the derived id stands for it in principals.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn account(&mut self, id: AccountId, canonical_id: Option<&str>) -> Result<Account, String> {
        if self.0.accounts.contains_key(&id) {
            return Err(format!("the account {id} is declared twice"));
        }
        let derived = derived::canonical_id(&id);
        let parsed = canonical_id.and_then(CanonicalUserId::parse);
        let written = canonical_id.unwrap_or(derived.as_str()).to_ascii_lowercase();
        if let Some(other) = self.0.by_canonical_id.get(&written) {
            return Err(format!("the canonical id of the account {id} is also that of {other}"));
        }
        let account = Account { id: id.clone(), canonical_id: parsed.unwrap_or(derived) };
        self.0.by_canonical_id.insert(written, id.clone());
        self.0.accounts.insert(id, account.clone());
        Ok(account)
    }

    /// Declares an access key.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn key(&mut self, key: DeclaredKey, identity: &Arc<Identity>) -> Result<(), String> {
        let DeclaredKey { access_key_id, secret, session_token } = key;
        if self.0.credentials.contains_key(&access_key_id) {
            return Err(format!("the access key `{access_key_id}` is declared twice"));
        }
        let identity = Arc::clone(identity);
        let credential = Credential { access_key_id: access_key_id.clone(), secret, session_token, identity };
        self.0.credentials.insert(access_key_id, Arc::new(credential));
        Ok(())
    }

    pub(super) fn build(self) -> Declared {
        self.0
    }
}

/// An access key as a file declares it.
#[derive(Debug)]
pub(super) struct DeclaredKey {
    pub(super) access_key_id: AccessKeyId,
    pub(super) secret: SecretKey,
    pub(super) session_token: Option<SecretKey>,
}

/// Takes what can stand in a `Credential=` element of a signature.
pub(super) fn access_key_id(text: &str) -> Result<AccessKeyId, String> {
    if !text.is_empty() && text.len() <= 128 && text.bytes().all(|b| b.is_ascii_graphic() && b != b',') {
        Ok(AccessKeyId::new(text))
    } else {
        Err(format!("`{text}` is not an access key id: 1 to 128 visible ASCII characters without a comma are"))
    }
}

/// Takes the name of a user, role, session or group: `A-Z a-z 0-9 + = , . @ _ -`, as IAM does.
pub(super) fn iam_name(text: &str) -> Result<String, String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
    if (1..=128).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not a name: 1 to 128 letters, digits and `+=,.@_-` are"))
    }
}
