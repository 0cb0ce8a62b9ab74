//! Which certificate does a client get?

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Certificates by the names they are for.
pub(super) struct Choice {
    /// By whole names, in lower case.
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what follows `*.`, in lower case.
    wildcards: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// All of them; never empty.
    all: Vec<Arc<CertifiedKey>>,
}

impl Choice {
    /// Among `certificates`, each with its names; none where there are none.
    pub(super) fn new<'a>(certificates: impl IntoIterator<Item = (&'a [String], Arc<CertifiedKey>)>) -> Option<Self> {
        let mut choice = Self { exact: HashMap::new(), wildcards: HashMap::new(), all: Vec::new() };
        for (names, key) in certificates {
            for name in names {
                let name = name.to_ascii_lowercase();
                let of_name = match name.strip_prefix("*.") {
                    Some(parent) => choice.wildcards.entry(parent.to_owned()),
                    None => choice.exact.entry(name),
                };
                of_name.or_default().push(Arc::clone(&key));
            }
            choice.all.push(key);
        }
        (!choice.all.is_empty()).then_some(choice)
    }

    /// For a client that asks for `name`, in lower case as rustls gives it, and can verify `schemes`. A certificate of the
    /// very name goes before a wildcard's, and among several the one that stands first; what the client cannot verify is
    /// passed over, so that a name may have an ECDSA certificate and an RSA one.
    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let exact = name.and_then(|name| self.exact.get(name));
        let parent = name.and_then(|name| Some(name.split_once('.')?.1));
        let wildcard = parent.and_then(|parent| self.wildcards.get(parent));
        let mut candidates = exact.into_iter().chain(wildcard).chain([&self.all]).flatten();
        candidates.find(|candidate| candidate.key.choose_scheme(schemes).is_some()).map(Arc::clone)
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |map: &HashMap<String, _>| map.keys().cloned().collect::<Vec<_>>();
        f.debug_struct("Choice")
            .field("exact", &names(&self.exact))
            .field("wildcards", &names(&self.wildcards))
            .field("certificates", &self.all.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::ring::sign::any_supported_type;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    use super::*;

    /// Tells which it is by its one byte of a certificate, which nobody reads here.
    fn key(id: u8, algorithm: &'static rcgen::SignatureAlgorithm) -> Arc<CertifiedKey> {
        let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let der = PrivateKeyDer::try_from(pair.serialize_der()).unwrap();
        Arc::new(CertifiedKey::new(vec![CertificateDer::from(vec![id])], any_supported_type(&der).unwrap()))
    }

    #[test]
    fn a_name_has_its_certificate_and_no_name_the_first() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let p256 = &rcgen::PKCS_ECDSA_P256_SHA256;
        let of: [(Vec<String>, _); 6] = [
            (names(&["s3.example.com"]), key(0, p256)),
            (names(&["*.S3.example.com", "Other.example.com"]), key(1, p256)),
            (names(&["both.example.com"]), key(2, &rcgen::PKCS_ED25519)),
            (names(&["both.example.com", "b.s3.example.com"]), key(3, p256)),
            (names(&["other.example.com", "*.s3.example.com"]), key(4, p256)),
            (names(&["ed.example.com"]), key(5, &rcgen::PKCS_ED25519)),
        ];
        let choice = Choice::new(of.iter().map(|(names, key)| (names.as_slice(), Arc::clone(key)))).unwrap();
        use SignatureScheme::{ECDSA_NISTP256_SHA256 as P256, ED25519, RSA_PSS_SHA256 as RSA};
        for (name, schemes, expected) in [
            (None, &[P256, ED25519][..], Some(0)),
            (Some("s3.example.com"), &[P256], Some(0)),
            (Some("bucket.s3.example.com"), &[P256], Some(1)),
            (Some("b.s3.example.com"), &[P256], Some(3)),
            // A wildcard is for one label.
            (Some("a.bucket.s3.example.com"), &[P256], Some(0)),
            (Some("example.com"), &[P256], Some(0)),
            (Some("localhost"), &[P256], Some(0)),
            // The first of several, by what the client can verify.
            (Some("other.example.com"), &[P256], Some(1)),
            (Some("both.example.com"), &[P256, ED25519], Some(2)),
            (Some("both.example.com"), &[P256], Some(3)),
            // Its own is of no use to it, so any that is.
            (Some("ed.example.com"), &[P256], Some(0)),
            (Some("s3.example.com"), &[ED25519], Some(2)),
            (Some("s3.example.com"), &[RSA], None),
            (None, &[], None),
        ] {
            let chosen = choice.choose(name, schemes).map(|key| key.cert[0][0]);
            assert_eq!(chosen, expected, "{name:?} {schemes:?}");
        }
        assert!(Choice::new([]).is_none());
    }
}
