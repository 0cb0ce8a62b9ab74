//! The ids that Amazon makes up at random, for identities that are declared without: derived from their names, so that
//! they are the same at every start and everywhere.
//!
//! ```
//! use portcullis::identity::derived;
//! use portcullis::policy::AccountId;
//!
//! let account = AccountId::parse("111122223333")?;
//! assert!(derived::user_id(&account, "/", "alice").starts_with("AIDA"));
//! assert_eq!(derived::role_id(&account, "/team/", "ci"), derived::role_id(&account, "/team/", "ci"));
//! # Ok::<(), portcullis::policy::InvalidAccountId>(())
//! ```

use sha2::{Digest, Sha256};

use crate::policy::{AccountId, CanonicalUserId};

/// The canonical user id of an account: the SHA-256 of `portcullis:canonical:ID`.
pub fn canonical_id(account: &AccountId) -> CanonicalUserId {
    CanonicalUserId::from_bytes(Sha256::digest(format!("portcullis:canonical:{account}")).into())
}

/// The unique id of a user (`aws:userid`), from its ARN. The path is `/` or `/team/`.
pub fn user_id(account: &AccountId, path: &str, name: &str) -> String {
    unique_id("AIDA", &format!("arn:aws:iam::{account}:user{path}{name}"))
}

/// The unique id of a role, the first half of its sessions' `aws:userid`, from its ARN.
pub fn role_id(account: &AccountId, path: &str, name: &str) -> String {
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
        assert_eq!(canonical_id(&account).as_str(), "8ab19abb35d098c7a9aac2a3da3c319883b085b25a584f71e6560d1b84c47615");
    }
}
