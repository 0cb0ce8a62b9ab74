use std::sync::mpsc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

use super::*;

/// Fixed keys, in the forms that rcgen does not write.
fn data(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/data/tls/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A certificate for `names` that signs itself, and its key.
fn signed_by_itself(names: &[&str]) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A directory of files.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = Self(tempfile::tempdir().unwrap());
        for (name, content) in files {
            directory.write(name, content);
        }
        directory
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.at(name), content).unwrap();
    }

    /// `NAME.crt` and `NAME.key` of each name.
    fn pairs(&self, names: &[&str]) -> TlsFiles {
        let pair = |name: &&str| CertificateFiles {
            cert: self.at(&format!("{name}.crt")),
            key: self.at(&format!("{name}.key")),
        };
        TlsFiles { certificates: names.iter().map(pair).collect(), client_auth: ClientAuth::Off }
    }

    /// What is wrong with them, without the directory's name.
    fn problems(&self, files: TlsFiles) -> String {
        let problems = Certificates::load(files).map(|_| ()).unwrap_err();
        assert!(!format!("{problems:?}").contains("PRIVATE"), "{problems:?}");
        problems.to_string().replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn names(certificates: &Certificates) -> Vec<String> {
    certificates.served().into_iter().flat_map(|served| served.names).collect()
}

#[test]
fn keys_are_taken_in_each_of_their_forms() {
    let (ed_key, p384_key) = (
        KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(),
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(),
    );
    let of = |key: &KeyPair| CertificateParams::new(["k.test".to_owned()]).unwrap().self_signed(key).unwrap().pem();
    let (cert, key) = signed_by_itself(&["a.test", "*.a.test"]);
    for (what, cert, key, names) in [
        ("PKCS#8", cert.clone(), key.clone(), &["a.test", "*.a.test"][..]),
        ("PKCS#1", data("rsa.crt"), data("rsa-pkcs1.key"), &["rsa.test"]),
        ("SEC1", data("ec.crt"), data("ec-sec1.key"), &["ec.test"]),
        ("Ed25519", of(&ed_key), ed_key.serialize_pem(), &["k.test"]),
        ("P-384", of(&p384_key), p384_key.serialize_pem(), &["k.test"]),
        ("one file, key first", format!("{key}{cert}"), format!("{key}{cert}"), &["a.test", "*.a.test"]),
        ("text around", format!("Subject: a\n{cert}\n"), format!("# the key\r\n{key}"), &["a.test", "*.a.test"]),
    ] {
        let files = Files::new(&[("x.crt", &cert), ("x.key", &key)]);
        let certificates =
            Certificates::load(files.pairs(&["x"])).unwrap_or_else(|problems| panic!("{what}: {problems}"));
        assert_eq!(self::names(&certificates), names, "{what}");
    }
}

#[test]
fn what_is_wrong_is_told_with_the_files_name_and_nothing_of_its_content() {
    let (cert, key) = signed_by_itself(&["a.test"]);
    let (other_cert, other_key) = signed_by_itself(&["b.test"]);
    let (nameless_cert, nameless_key) = signed_by_itself(&[]);
    let swap = |pem: &str| pem.replace("BEGIN PRIVATE KEY-----\nMI", "BEGIN PRIVATE KEY-----\n**");
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let cut = key.lines().take(2).collect::<Vec<_>>().join("\n");
    let unusable = "x.key: its private key is none that can be used: RSA of 2048 to 4096 bits, ECDSA on P-256 or P-384, or Ed25519";
    for (x_cert, x_key, expected) in [
        ("", &*key, "x.crt: is empty"),
        (&*cert, "", "x.key: is empty"),
        ("", "", "x.crt: is empty\nx.key: is empty"),
        ("no PEM", &*key, "x.crt: holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)"),
        (&*key, &*key, "x.crt: holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)"),
        (&*cert, &*cert, "x.key: holds no private key in PEM (PKCS#8, PKCS#1 or SEC1)"),
        (&*cert, &*encrypted, "x.key: its private key is encrypted, and there is nobody to ask for a passphrase"),
        (&*cert, &*cut, "x.key: is not PEM: a section has no end"),
        (&*cert, &*swap(&key), "x.key: is not PEM: a section is not Base64"),
        (&*cert, "-----BEGIN PRIVATE KEY\n", "x.key: is not PEM: the line that begins a section is broken"),
        (&*cert, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", unusable),
        (&*cert, &*data("p521.key"), unusable),
        (&*cert, &*format!("{key}{other_key}"), "x.key: holds several private keys"),
        (&*cert, &*other_key, "x.key: is not the key of the certificate in x.crt"),
        (
            &*format!("{other_cert}{cert}"),
            &*key,
            "x.key: is the key of certificate 2 in x.crt: its own must come first, and those of its issuers after it",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nMAU=\n-----END CERTIFICATE-----\n",
            &*key,
            "x.crt: its certificate 1 cannot be used: TrailingData(SignedData)",
        ),
        (
            &*format!("{cert}-----BEGIN CERTIFICATE-----\nMAU=\n-----END CERTIFICATE-----\n"),
            &*key,
            "x.crt: its certificate 2 cannot be used: TrailingData(SignedData)",
        ),
    ] {
        let files = Files::new(&[("x.crt", x_cert), ("x.key", x_key)]);
        assert_eq!(files.problems(files.pairs(&["x"])), expected);
    }

    let files = Files::new(&[
        ("x.crt", &cert),
        ("x.key", &key),
        ("none.crt", &nameless_cert),
        ("none.key", &nameless_key),
        ("empty", ""),
    ]);
    let asking = |ca: &str| TlsFiles { client_auth: ClientAuth::Required(files.at(ca)), ..files.pairs(&["x"]) };
    for (tls, expected) in [
        (
            files.pairs(&["x", "gone"]),
            "gone.crt: cannot be read: No such file or directory (os error 2)\ngone.key: cannot be read: No such file or directory (os error 2)",
        ),
        (files.pairs(&["x", "none"]), "none.crt: names no host (`subjectAltName`), so no client would ever get it"),
        (asking("gone.crt"), "gone.crt: cannot be read: No such file or directory (os error 2)"),
        (asking("empty"), "empty: is empty"),
        (asking("x.key"), "x.key: holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)"),
        (files.pairs(&[]), ": TLS cannot be set up: there is no certificate"),
    ] {
        assert_eq!(files.problems(tls), expected);
    }
    // The first needs no name: who asks for none gets it.
    assert!(Certificates::load(files.pairs(&["none", "x"])).is_ok());
    let both = TlsFiles { client_auth: ClientAuth::Optional(files.at("x.crt")), ..files.pairs(&["x"]) };
    assert!(Certificates::load(both).is_ok());
}

#[test]
fn neither_keys_nor_their_files_content_are_shown() {
    let (cert, key) = signed_by_itself(&["a.test"]);
    let files = Files::new(&[("x.crt", &cert), ("x.key", &key)]);
    let certificates = Certificates::load(files.pairs(&["x"])).unwrap();
    let shown = format!("{certificates:?}");
    assert!(shown.contains("x.key"), "{shown}");
    for line in key.lines().chain(cert.lines()) {
        assert!(!shown.contains(line), "{shown}");
    }
}

#[test]
fn expired_ones_are_served_and_warned_of() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["a.test".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let cert = params.self_signed(&key).unwrap().pem();
    let files = Files::new(&[("x.crt", &cert), ("x.key", &key.serialize_pem())]);
    let certificates = Certificates::load(files.pairs(&["x"])).unwrap();
    let [served] = certificates.served().try_into().unwrap();
    assert_eq!(served.expiry(), "2021-01-01T00:00:00Z");
    for (now, expected) in [
        (
            date_time_ymd(2019, 12, 31),
            Some("the certificate is not valid before 2020-01-01T00:00:00Z: clients will refuse it"),
        ),
        (date_time_ymd(2020, 1, 1), None),
        (date_time_ymd(2021, 1, 1), None),
        (date_time_ymd(2021, 1, 2), Some("the certificate expired at 2021-01-01T00:00:00Z: clients will refuse it")),
    ] {
        let warnings = certificates.warnings(now.into());
        assert_eq!(
            warnings.iter().map(|warning| &*warning.message).collect::<Vec<_>>(),
            Vec::from_iter(expected),
            "{now}"
        );
    }
    // Authorities, and what has no end, are as good.
    let issuer = authority();
    let files = Files::new(&[("x.crt", &issuer.pem()), ("x.key", &issuer.key().serialize_pem())]);
    let certificates = Certificates::load(files.pairs(&["x"])).unwrap();
    assert_eq!(certificates.served()[0].expiry(), "4096-01-01T00:00:00Z");
}

#[test]
fn a_bad_version_is_refused_and_the_old_one_stays() {
    let (old_cert, old_key) = signed_by_itself(&["old.test"]);
    let (new_cert, new_key) = signed_by_itself(&["new.test"]);
    let files = Files::new(&[("x.crt", &old_cert), ("x.key", &old_key)]);
    let certificates = Certificates::load(files.pairs(&["x"])).unwrap();
    assert!(matches!(certificates.refresh(), Refreshed::Unchanged));
    let old = certificates.config();

    // Half of a change made file by file.
    files.write("x.crt", &new_cert);
    assert!(matches!(certificates.refresh(), Refreshed::Refused(_)));
    assert!(matches!(certificates.refresh(), Refreshed::Unchanged), "it is not refused again and again");
    assert!(certificates.reload().is_err());
    assert_eq!(names(&certificates), ["old.test"]);
    assert!(Arc::ptr_eq(&old, &certificates.config()));

    files.write("x.key", &new_key);
    assert!(matches!(certificates.refresh(), Refreshed::Replaced));
    assert_eq!(names(&certificates), ["new.test"]);
    assert!(!Arc::ptr_eq(&old.ticketer, &certificates.config().ticketer), "old sessions are not resumed");
    std::fs::remove_file(files.at("x.key")).unwrap();
    assert!(matches!(certificates.refresh(), Refreshed::Refused(_)));
    assert_eq!(names(&certificates), ["new.test"]);
}

#[test]
fn kubernetes_exchange_of_a_link_counts_as_a_change() {
    use std::os::unix::fs::symlink;
    let files = Files::new(&[]);
    for (version, name) in [("..v1", "old.test"), ("..v2", "new.test")] {
        std::fs::create_dir(files.at(version)).unwrap();
        let (cert, key) = signed_by_itself(&[name]);
        files.write(&format!("{version}/tls.crt"), &cert);
        files.write(&format!("{version}/tls.key"), &key);
    }
    symlink("..v1", files.at("..data")).unwrap();
    symlink("..data/tls.crt", files.at("tls.crt")).unwrap();
    symlink("..data/tls.key", files.at("tls.key")).unwrap();
    let certificates = Arc::new(Certificates::load(files.pairs(&["tls"])).unwrap());
    let (look, looks) = mpsc::channel();
    let watch = Watch::start(Arc::clone(&certificates), move |refreshed| {
        if matches!(refreshed, Refreshed::Replaced) {
            look.send(()).unwrap_or_default();
        }
    });
    let _watch = watch.unwrap();
    symlink("..v2", files.at("..data_tmp")).unwrap();
    std::fs::rename(files.at("..data_tmp"), files.at("..data")).unwrap();
    std::fs::remove_dir_all(files.at("..v1")).unwrap();
    looks.recv_timeout(Duration::from_secs(30)).expect("the change is seen");
    assert_eq!(names(&certificates), ["new.test"]);
}
