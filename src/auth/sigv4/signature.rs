//! Keys and signatures: deriving, calculating and comparing.
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>, "Calculate Signature".

use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::ALGORITHM;
use super::scope::{SERVICE, Scope, TERMINAL, Timestamp};
use crate::auth::identity::{AccessKeyId, SecretKey};
use crate::s3::checksum::hex;

/// The key of one secret, day and region. It prints redacted and is wiped when dropped.
///
/// Kept as the HMAC that has taken the key in: that is half of the hashing of a short text, done once.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// Derives the key for a scope from an access key's secret.
    pub fn derive(secret: &SecretKey, scope: &Scope) -> Self {
        let mut start = Zeroizing::new(Vec::with_capacity(4 + secret.expose().len()));
        start.extend_from_slice(b"AWS4");
        start.extend_from_slice(secret.expose().as_bytes());
        let date = Zeroizing::new(hmac_sha256(&start, &[scope.date().as_bytes()]));
        let region = Zeroizing::new(hmac_sha256(date.as_slice(), &[scope.region().as_bytes()]));
        let service = Zeroizing::new(hmac_sha256(region.as_slice(), &[SERVICE.as_bytes()]));
        let key = Zeroizing::new(hmac_sha256(service.as_slice(), &[TERMINAL.as_bytes()]));
        Self(keyed(key.as_slice()))
    }

    /// The signature of the pieces of a text, as 64 lower-case hexadecimal digits.
    pub fn sign(&self, pieces: &[&[u8]]) -> String {
        let mut mac = self.0.clone();
        for piece in pieces {
            mac.update(piece);
        }
        hex(&mac.finalize().into_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}

/// Signing keys derived before, so that a request costs one HMAC instead of five.
///
/// It holds at most [`SigningKeys::ACCESS_KEYS`] access keys with [`SigningKeys::SCOPES`] scopes each (presigned URLs
/// live for a week, each day with a key of its own). Only a key that has proved right is kept, so guessing fills
/// nothing; an entry whose secret has since changed is not used.
#[derive(Default)]
pub struct SigningKeys(RwLock<HashMap<AccessKeyId, Vec<Derived>>>);

#[derive(Clone)]
struct Derived {
    date: String,
    region: String,
    secret: SecretKey,
    key: SigningKey,
}

impl SigningKeys {
    /// How many access keys are remembered.
    pub const ACCESS_KEYS: usize = 4096;
    /// How many scopes are remembered of each.
    pub const SCOPES: usize = 9;

    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// The key for `scope`, from memory; `None` where it must be derived.
    pub(super) fn get(&self, scope: &Scope, secret: &SecretKey) -> Option<SigningKey> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let derived = keys.get(scope.access_key_id())?.iter().find(|d| d.is_for(scope))?;
        (derived.secret == *secret).then(|| derived.key.clone())
    }

    /// The key for `scope`, from memory or derived and remembered: for a secret of our own, which needs no proof.
    #[cfg(feature = "proxy")]
    pub(crate) fn own(&self, scope: &Scope, secret: &SecretKey) -> SigningKey {
        self.get(scope, secret).unwrap_or_else(|| {
            let key = SigningKey::derive(secret, scope);
            self.insert(scope, secret, &key);
            key
        })
    }

    /// Remembers a key that made a right signature.
    pub(super) fn insert(&self, scope: &Scope, secret: &SecretKey, key: &SigningKey) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= Self::ACCESS_KEYS && !keys.contains_key(scope.access_key_id()) {
            // Any one will do: the order of a hash map is as good as random, and a derivation costs microseconds.
            let evicted = keys.keys().next().cloned();
            evicted.map(|id| keys.remove(&id));
        }
        let scopes = keys.entry(scope.access_key_id().clone()).or_default();
        scopes.retain(|d| !d.is_for(scope));
        if scopes.len() >= Self::SCOPES {
            scopes.remove(0);
        }
        scopes.push(Derived {
            date: scope.date().to_owned(),
            region: scope.region().to_owned(),
            secret: secret.clone(),
            key: key.clone(),
        });
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKeys(redacted)")
    }
}

impl Derived {
    fn is_for(&self, scope: &Scope) -> bool {
        self.date == scope.date() && self.region == scope.region()
    }
}

/// The signature of a request whose canonical form has this SHA-256, in hexadecimal: the text that says so, signed.
pub(super) fn of_request(key: &SigningKey, timestamp: &Timestamp, scope: &Scope, canonical_sha256: &str) -> String {
    let (date, region, moment) = (scope.date(), scope.region(), timestamp.as_str());
    let lines = [ALGORITHM, "\n", moment, "\n", date, "/", region, "/", SERVICE, "/", TERMINAL, "\n", canonical_sha256];
    key.sign(&lines.map(str::as_bytes))
}

/// Whether two signatures are the same; the time it takes does not tell where they differ.
pub(super) fn equal(ours: &str, theirs: &str) -> bool {
    ours.as_bytes().ct_eq(theirs.as_bytes()).into()
}

/// The SHA-256 of the pieces of a text, as lower-case hexadecimal digits.
pub(super) fn sha256_hex(pieces: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for piece in pieces {
        hasher.update(piece);
    }
    hex(&hasher.finalize())
}

#[expect(clippy::expect_used, reason = "an HMAC takes a key of any length, by RFC 2104")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("any length of key")
}

fn hmac_sha256(key: &[u8], pieces: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed(key);
    for piece in pieces {
        mac.update(piece);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::sigv4::Kind;

    fn scope(key: &str, date: &str) -> Scope {
        Scope::parse(&format!("{key}/{date}/us-east-1/s3/aws4_request"), Kind::Header).unwrap()
    }

    #[test]
    fn a_remembered_key_is_used_only_with_the_secret_it_came_from() {
        let keys = SigningKeys::new();
        let (scope, secret) = (scope("AKID", "20130524"), SecretKey::new("secret"));
        assert!(keys.get(&scope, &secret).is_none());
        let key = SigningKey::derive(&secret, &scope);
        keys.insert(&scope, &secret, &key);
        assert_eq!(keys.get(&scope, &secret).unwrap().sign(&[b"x"]), key.sign(&[b"x"]));
        assert!(keys.get(&scope, &SecretKey::new("rotated")).is_none());
    }

    #[test]
    fn the_cache_is_bounded_in_both_directions() {
        let keys = SigningKeys::new();
        let secret = SecretKey::new("secret");
        let key = SigningKey::derive(&secret, &scope("AKID", "20130524"));
        for day in 10..30 {
            keys.insert(&scope("AKID", &format!("201305{day}")), &secret, &key);
        }
        assert_eq!(keys.0.read().unwrap()[&AccessKeyId::new("AKID")].len(), SigningKeys::SCOPES);
        assert!(keys.get(&scope("AKID", "20130529"), &secret).is_some());
        assert!(keys.get(&scope("AKID", "20130510"), &secret).is_none());
        for n in 0..SigningKeys::ACCESS_KEYS + 10 {
            keys.insert(&scope(&format!("AKID{n}"), "20130524"), &secret, &key);
        }
        assert_eq!(keys.0.read().unwrap().len(), SigningKeys::ACCESS_KEYS);
    }

    #[test]
    fn secrets_do_not_print() {
        let secret = SecretKey::new("hunter2");
        let keys = SigningKeys::new();
        keys.insert(&scope("A", "20130524"), &secret, &SigningKey::derive(&secret, &scope("A", "20130524")));
        assert_eq!(format!("{keys:?}"), "SigningKeys(redacted)");
    }
}
