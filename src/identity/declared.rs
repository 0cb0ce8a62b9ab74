//! The accounts, identities and access keys that an identity file declares, whatever its format.
//!
//! [`Builder`] holds the rules both formats share: nothing is declared twice, and ids that a file leaves out are
//! derived from what it says, so that they are the same at every start.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::auth::identity::{AccessKeyId, Credential, Identity, SecretKey};
use crate::policy::{Account, AccountId, CanonicalUserId};
use crate::s3::checksum::hex;

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
        let derived = derived_canonical_id(&id).ok_or_else(|| format!("the account {id} needs a canonical id"))?;
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

/// The unique id of a user (`aws:userid`), which IAM would make up at random: derived from its ARN.
pub(super) fn user_id(account: &AccountId, path: &str, name: &str) -> String {
    unique_id("AIDA", &format!("arn:aws:iam::{account}:user{path}{name}"))
}

/// The unique id of a role, the first half of its sessions' `aws:userid`.
pub(super) fn role_id(account: &AccountId, path: &str, name: &str) -> String {
    unique_id("AROA", &format!("arn:aws:iam::{account}:role{path}{name}"))
}

/// `prefix` and 17 characters of base 32.
fn unique_id(prefix: &str, arn: &str) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let hash = Sha256::digest(arn.as_bytes());
    // A byte a character wastes three bits each and needs no bit shifting; the digest has bytes to spare.
    let characters = hash.iter().take(17).filter_map(|byte| ALPHABET.get(usize::from(byte % 32)));
    prefix.chars().chain(characters.map(|b| char::from(*b))).collect()
}

/// The canonical id of an account that is declared without: the SHA-256 of `portcullis:canonical:ID`.
fn derived_canonical_id(id: &AccountId) -> Option<CanonicalUserId> {
    let hash = Sha256::digest(format!("portcullis:canonical:{id}").as_bytes());
    // INVARIANT: a SHA-256 has 64 hexadecimal digits, so there is always one.
    CanonicalUserId::parse(&hex(&hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_have_their_form_and_stay_the_same() {
        let account = AccountId::parse("111122223333").unwrap();
        let alice = user_id(&account, "/", "alice");
        assert_eq!(alice.len(), 21);
        assert!(alice.starts_with("AIDA") && alice.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()));
        assert_eq!(alice, user_id(&account, "/", "alice"));
        assert_ne!(alice, user_id(&account, "/team/", "alice"));
        assert!(role_id(&account, "/", "ci").starts_with("AROA"));
        // printf portcullis:canonical:111122223333 | sha256sum
        assert_eq!(
            derived_canonical_id(&account).unwrap().as_str(),
            "8ab19abb35d098c7a9aac2a3da3c319883b085b25a584f71e6560d1b84c47615"
        );
    }
}
