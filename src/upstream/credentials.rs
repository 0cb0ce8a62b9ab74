//! With which key pair is a request to the store signed?

use std::collections::HashMap;

use aws_credential_types::Credentials;

use crate::auth::identity::{AccessKeyId, SecretKey};
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
    default: Option<Credentials>,
    accounts: HashMap<AccountId, Credentials>,
}

impl UpstreamCredentials {
    /// Takes the default pair and those of single accounts.
    pub fn new(default: Option<&KeyPair>, accounts: impl IntoIterator<Item = (AccountId, KeyPair)>) -> Self {
        Self {
            default: default.map(signer),
            accounts: accounts.into_iter().map(|(account, pair)| (account, signer(&pair))).collect(),
        }
    }

    /// The pair of `account`, or the default one.
    pub(crate) fn of(&self, account: Option<&AccountId>) -> Option<&Credentials> {
        account.and_then(|account| self.accounts.get(account)).or(self.default.as_ref())
    }
}

// Prints redacted, as `KeyPair` does.
fn signer(pair: &KeyPair) -> Credentials {
    Credentials::new(pair.access_key_id.as_str(), pair.secret.expose(), None, None, "portcullis")
}
