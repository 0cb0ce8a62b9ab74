//! TLS, client certificates and users, as etcd itself checks them.

use std::path::{Path, PathBuf};

use etcd_client::ConnectOptions;
use portcullis::auth::identity::SecretKey;
use portcullis::store::etcd::{EtcdStoreSettings, EtcdTls};
use portcullis::store::{EtcdStore, PolicyStore};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use crate::server::Etcd;
use crate::support::{bucket, change, compiled, document, eventually, in_force, put};

/// An authority, a certificate of it for etcd and one for us; and a second authority, which nobody trusts.
struct Certificates {
    directory: tempfile::TempDir,
}

impl Certificates {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| std::fs::write(directory.path().join(name), text).unwrap();
        for authority in ["ours", "strange"] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new([]).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            write(&format!("{authority}.ca"), params.self_signed(&key).unwrap().pem());
            let issuer = Issuer::new(params, key);
            for (name, names, purpose) in [
                ("server", vec!["127.0.0.1".to_owned()], ExtendedKeyUsagePurpose::ServerAuth),
                ("client", Vec::new(), ExtendedKeyUsagePurpose::ClientAuth),
            ] {
                let key = KeyPair::generate().unwrap();
                let mut params = CertificateParams::new(names).unwrap();
                params.extended_key_usages = vec![purpose];
                write(&format!("{authority}.{name}.crt"), params.signed_by(&key, &issuer).unwrap().pem());
                write(&format!("{authority}.{name}.key"), key.serialize_pem());
            }
        }
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn client(&self, authority: &str) -> (PathBuf, PathBuf) {
        (self.path(&format!("{authority}.client.crt")), self.path(&format!("{authority}.client.key")))
    }

    /// An etcd that shows ours, and lets nobody in without one of ours.
    fn etcd(&self) -> Etcd {
        let flags = [
            flag("--cert-file", &self.path("ours.server.crt")),
            flag("--key-file", &self.path("ours.server.key")),
            flag("--trusted-ca-file", &self.path("ours.ca")),
        ];
        Etcd::start_with("https", flags.into_iter().flatten().chain(["--client-cert-auth".to_owned()]).collect())
    }
}

fn flag(name: &str, path: &Path) -> [String; 2] {
    [name.to_owned(), path.display().to_string()]
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_checked_on_both_sides() {
    let certificates = Certificates::new();
    let etcd = certificates.etcd();
    let open =
        async |tls: Option<EtcdTls>| EtcdStore::open(EtcdStoreSettings { tls, ..etcd.settings("secured") }).await;
    let ca = |name: &str| Some(certificates.path(name));

    let store = open(Some(EtcdTls { ca_file: ca("ours.ca"), client: Some(certificates.client("ours")) })).await;
    store.check().await.unwrap();
    put(&store, "photos", 1).await;

    for (row, tls) in [
        (
            "a server of no authority that is trusted",
            EtcdTls { ca_file: ca("strange.ca"), client: Some(certificates.client("ours")) },
        ),
        (
            "a server of no authority of the system's",
            EtcdTls { ca_file: None, client: Some(certificates.client("ours")) },
        ),
        ("no certificate of ours", EtcdTls { ca_file: ca("ours.ca"), client: None }),
        ("a strange one", EtcdTls { ca_file: ca("ours.ca"), client: Some(certificates.client("strange")) }),
        ("files that are not there", EtcdTls { ca_file: ca("nothing"), client: None }),
    ] {
        let refused = open(Some(tls)).await;
        assert!(refused.check().await.is_err(), "{row}");
        assert!(refused.get(&bucket("photos")).await.is_err(), "{row}");
    }
    assert!(open(None).await.check().await.is_err(), "without TLS there is no way in");
}

/// Certificates expire. The files of the next ones are read when a connection is made, so nobody need be restarted.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_read_again_for_new_connections() {
    let certificates = Certificates::new();
    let etcd = certificates.etcd();
    let (crt, key) = (certificates.path("client.crt"), certificates.path("client.key"));
    let (old, new) = (certificates.client("strange"), certificates.client("ours"));
    std::fs::copy(old.0, &crt).unwrap();
    std::fs::copy(old.1, &key).unwrap();
    let tls = EtcdTls { ca_file: Some(certificates.path("ours.ca")), client: Some((crt.clone(), key.clone())) };
    let store = EtcdStore::open(EtcdStoreSettings { tls: Some(tls), ..etcd.settings("secured") }).await;
    assert!(store.check().await.is_err());
    std::fs::copy(new.0, &crt).unwrap();
    std::fs::copy(new.1, &key).unwrap();
    eventually("the new certificate opens", async || store.check().await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_may_do_what_its_role_may() {
    const PASSWORD: &str = "correct horse battery staple";
    let mut etcd = Etcd::start();
    etcd.let_in("/tenant/", PASSWORD).await;

    let open = async |prefix: &str, user: Option<(&str, &str)>| {
        let user = user.map(|(name, password)| (name.to_owned(), SecretKey::new(password)));
        EtcdStore::open(EtcdStoreSettings { user, ..etcd.settings(prefix) }).await
    };
    let store = open("tenant", Some(("portcullis", PASSWORD))).await;
    store.check().await.unwrap();
    put(&store, "photos", 1).await;
    for (row, prefix, user) in [
        ("nobody", "tenant", None),
        ("a wrong password", "tenant", Some(("portcullis", "wrong horse"))),
        ("somebody else's keys", "other", Some(("portcullis", PASSWORD))),
    ] {
        let refused = open(prefix, user).await;
        let error = refused.check().await.expect_err(row).to_string();
        assert!(error.contains("etcd answers"), "{row}: {error}");
        assert!(!error.contains("horse"), "{row}: {error}");
        assert!(refused.get(&bucket("photos")).await.is_err(), "{row}");
    }

    // It forgets its tokens, and gives out new ones.
    etcd.kill();
    etcd.start_again();
    let photos = bucket("photos");
    eventually("it is followed again", async || {
        store.put(&photos, document("photos", 2), compiled("photos", 2), change(2)).await.is_ok()
    })
    .await;
    assert_eq!(in_force(&store, "photos").await.0, Some(document("photos", 2)));
    let options = ConnectOptions::new().with_user("root", "root");
    let mut root = etcd_client::Client::connect([etcd.address().to_string()], Some(options)).await.unwrap();
    root.auth_disable().await.unwrap();
}
