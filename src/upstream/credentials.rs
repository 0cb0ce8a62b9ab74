//! With which key pair is a request to the store signed?

use std::collections::HashMap;
use std::sync::Arc;

use crate::auth::identity::{AccessKeyId, SecretKey};
use crate::auth::sigv4::SigningKeys;
use crate::policy::AccountId;

/// An access key of the store.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The public half.
    pub access_key_id: AccessKeyId,
    /// The secret half.
    pub secret: SecretKey,
}

/// The keys we hold for the store: one pair for everybody, pairs for single accounts, both or none.
#[derive(Clone, Debug, Default)]
pub struct UpstreamCredentials {
    default: Option<KeyPair>,
    accounts: HashMap<AccountId, KeyPair>,
    /// What was derived of them for the day.
    signing_keys: Arc<SigningKeys>,
}

impl UpstreamCredentials {
    /// Takes the default pair and those of single accounts.
    pub fn new(default: Option<&KeyPair>, accounts: impl IntoIterator<Item = (AccountId, KeyPair)>) -> Self {
        Self { default: default.cloned(), accounts: accounts.into_iter().collect(), signing_keys: Arc::default() }
    }

    /// The pair of `account`, or the default one.
    pub(crate) fn of(&self, account: Option<&AccountId>) -> Option<&KeyPair> {
        account.and_then(|account| self.accounts.get(account)).or(self.default.as_ref())
    }

    /// The signing keys that were derived before.
    pub(crate) fn signing_keys(&self) -> &SigningKeys {
        &self.signing_keys
    }
}
