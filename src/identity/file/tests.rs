use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use super::{IdentityFile, Refreshed, Version, parse};
use crate::auth::identity::{AccessKeyId, Credential};
use crate::identity::CredentialStore;
use crate::policy::AccountId;
use crate::toml_reader::Problems;
use crate::watch::{Reread, Watch, directories};

const ALLOW: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*BucketPolicy","Resource":"*"}]}"#;

fn read(text: &str) -> Result<Version, Problems> {
    let env = |name: &str| (name == "THE_SECRET").then(|| "from-the-environment".to_owned());
    parse(text, "ids", Path::new("/nowhere"), &env)
}

/// The problems of a file, one a line, without the file's name.
fn problems(text: &str) -> Vec<String> {
    let problems = read(text).err().map(|problems| problems.to_string()).unwrap_or_default();
    problems.lines().map(|line| line.strip_prefix("ids:").unwrap_or(line).to_owned()).collect()
}

fn credential(version: &Version, id: &str) -> Credential {
    let found = version.declared.credential(&AccessKeyId::new(id));
    found.unwrap_or_else(|| panic!("{id} is declared")).as_ref().clone()
}

#[test]
fn the_example_declares_what_it_shows() {
    let version =
        read(include_str!("../../../examples/identities.toml")).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(version.warnings, []);
    for (key, arn, policies) in [
        ("ACMEROOT", "arn:aws:iam::111122223333:root", 0),
        ("ALICE", "arn:aws:iam::111122223333:user/team/alice", 1),
        ("BOB", "arn:aws:iam::111122223333:user/bob", 1),
        ("CIDEPLOY", "arn:aws:sts::111122223333:assumed-role/ci/deploy", 1),
        ("GLOBEXROOT", "arn:aws:iam::444455556666:root", 0),
    ] {
        let credential = credential(&version, key);
        assert_eq!(credential.identity.principal.arn(), Some(arn), "{key}");
        assert_eq!(credential.identity.policies.len(), policies, "{key}");
        assert_eq!(credential.session_token.is_some(), key == "CIDEPLOY", "{key}");
    }
    let alice = credential(&version, "ALICE");
    let alice = &alice.identity.principal;
    assert_eq!((alice.arn(), alice.username()), (Some("arn:aws:iam::111122223333:user/team/alice"), Some("alice")));
    assert_eq!((alice.user_id().len(), alice.tag("team")), (21, Some("blue")));
    let deploy = credential(&version, "CIDEPLOY");
    let user_id = deploy.identity.principal.user_id();
    assert!(user_id.starts_with("AROA") && user_id.ends_with(":deploy"), "{user_id}");
}

#[test]
fn an_accounts_canonical_id_is_as_written_or_derived() {
    let written = "0123456789ABCDEF".repeat(4);
    let text = format!(
        "[[account]]\nid = \"111122223333\"\ncanonical_id = \"{written}\"\n[[account]]\nid = \"444455556666\"\n"
    );
    let declared = read(&text).unwrap().declared;
    for spelling in [written.clone(), written.to_ascii_lowercase()] {
        let account = declared.account_by_canonical_id(&spelling).unwrap();
        assert_eq!(account.id.as_str(), "111122223333", "{spelling}");
    }
    let derived = declared.account(&AccountId::parse("444455556666").unwrap()).unwrap().canonical_id.clone();
    assert_eq!(declared.account_by_canonical_id(derived.as_str()).unwrap().id.as_str(), "444455556666");
    assert!(declared.account_by_canonical_id("nobody").is_none());
}

#[test]
fn secrets_come_from_the_environment_or_a_file() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("secret"), "from-a-file\n").unwrap();
    std::fs::write(directory.path().join("admin.json"), ALLOW).unwrap();
    let text = r#"
[[account]]
id = "111122223333"
root_keys = [{ access_key_id = "A", secret_access_key_env = "E" }, { access_key_id = "B", secret_access_key_file = "secret" }]
[[account.user]]
name = "u"
policies = ["admin"]
[[policy]]
name = "admin"
file = "admin.json"
"#;
    let version = parse(text, "ids", directory.path(), &|name| (name == "E").then(|| "from-E".to_owned())).unwrap();
    assert_eq!(credential(&version, "A").secret.expose(), "from-E");
    assert_eq!(credential(&version, "B").secret.expose(), "from-a-file");
    assert_eq!(version.inputs, [directory.path().join("admin.json"), directory.path().join("secret")]);
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let text = r#"version = 1
[[account]]
id = "1111"
root_keys = [{ access_key_id = "A", secret_access_key = "" }]
[[account]]
id = "111122223333"
nmae = "acme"
canonical_id = "abc"
root_keys = [{ access_key_id = "R", secret_access_key = "s" }, { access_key_id = "R", secret_access_key = "t" }]
[[account.user]]
name = "alice"
groups = ["admins", "nobodies"]
policies = ["no-such", '{"Statement":[]}']
keys = [{ access_key_id = "R", secret_access_key_env = "NO" }, { access_key_id = "K K", secret_access_key = "s" }]
[[account.user]]
name = "Alice"
path = "team"
tags = { team = 7 }
keys = [{ access_key_id = "K" }]
[[account.user]]
path = "/"
[[account.group]]
name = "admins"
policies = ["broken"]
[[account.role]]
name = "c i"
sessions = [{ name = "s", access_key_id = "S", secret_access_key = "s", session_token_env = "NO" }]
[[account]]
id = "111122223333"
[[policy]]
name = "broken"
document = "{"
[[policy]]
name = "broken"
[[policy]]
name = "gone"
file = "gone.json"
"#;
    let expected = [
        ("1:1", "`version`: unknown key"),
        ("3:6", "`account.id`: `1111` is not an account id: twelve digits are"),
        ("4:57", "`account.root_keys.secret_access_key`: the secret is empty"),
        ("7:1", "`account.nmae`: unknown key (did you mean `name`?)"),
        ("8:16", "`account.canonical_id`: `abc` is not a canonical id: 64 hexadecimal digits are"),
        ("9:82", "the access key `R` is declared twice"),
        ("12:21", "`account.user.groups`: the account declares no group `nobodies`"),
        ("13:13", "`account.user.policies`: no policy `no-such` is declared"),
        ("13:24", "`account.user.policies`: Could not parse the policy: Statement is empty!"),
        ("14:56", "`account.user.keys.secret_access_key_env`: the environment variable `NO` is not set"),
        ("14:82", "`account.user.keys.access_key_id`: `K K` is not an access key id"),
        ("16:8", "`account.user.name`: `Alice` is declared twice"),
        ("17:8", "`account.user.path`: `team` is not a path"),
        ("18:17", "`account.user.tags.team`: expected a string, found an integer"),
        ("19:9", "`account.user.keys.secret_access_key`: is required"),
        ("20:1", "`account.user.name`: is required"),
        ("26:8", "`account.role.name`: `c i` is not a name"),
        ("27:93", "`account.role.sessions.session_token_env`: the environment variable `NO` is not set"),
        ("29:6", "`account.id`: the account 111122223333 is declared twice"),
        ("32:12", "`policy.document`: This policy contains invalid Json"),
        ("33:1", "`policy.document`: is required, or `file`"),
        ("34:8", "`policy.name`: the policy `broken` is declared twice"),
        ("37:8", "`policy.file`: `/nowhere/gone.json` cannot be read"),
    ];
    let found = problems(text);
    for ((place, message), found) in expected.iter().zip(&found) {
        assert!(found.starts_with(&format!("{place}: {message}")), "expected {place}: {message}\nfound {found}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn zenkos_file_is_read_as_it_is() {
    let text = r#"{
  "accounts": [{
    "name": "Bart",
    "email": "sampleaccount1@sampling.com",
    "arn": "arn:aws:iam::123456789012:root",
    "canonicalID": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be",
    "shortid": "123456789012",
    "keys": [{ "access": "accessKey1", "secret": "verySecretKey1" }],
    "users": [{ "name": "milhouse", "keys": [{ "access": "accessKey1/1", "secret": "verySecretKey2" }] }]
  }, {
    "name": "Replication",
    "arn": "arn:aws:iam::123456789013:/replication/",
    "canonicalID": "http://acs.zenko.io/accounts/service/replication",
    "keys": [{ "access": "accessKey2", "secret": "verySecretKey3" }]
  }]
}"#;
    let version = read(text).unwrap_or_else(|problems| panic!("{problems}"));
    for (key, arn) in [
        ("accessKey1", "arn:aws:iam::123456789012:root"),
        ("accessKey1/1", "arn:aws:iam::123456789012:user/milhouse"),
        ("accessKey2", "arn:aws:iam::123456789013:root"),
    ] {
        assert_eq!(credential(&version, key).identity.principal.arn(), Some(arn), "{key}");
    }
    let service = version.declared.account_by_canonical_id("http://acs.zenko.io/accounts/service/replication");
    let service = service.unwrap();
    assert_eq!(service.id.as_str(), "123456789013");
    assert_eq!(service.canonical_id.as_str().len(), 64);
}

#[test]
fn zenkos_file_has_problems_with_places_too() {
    for (text, expected) in [
        ("{\n \"accounts\": [\n}", &["3:1: not JSON: expected value"][..]),
        ("{}", &["1:1: `accounts`: is required"]),
        ("{\"accounts\": {}}", &["1:14: `accounts`: expected a list"]),
        (
            "{\"accounts\": [\n {\"name\": \"a\", \"keys\": [{\"access\": 7}]},\n {\"shortid\": \"12\", \"keys\": [{\"access\": \"A\", \"secret\": \"\"}]}]}",
            &[
                "2:2: `accounts[0].shortid`: is required",
                "2:25: `accounts[0].keys[0].secret`: is required",
                "2:36: `accounts[0].keys[0].access`: expected a string",
                "3:14: `accounts[1].shortid`: `12` is not an account id: twelve digits are",
                "3:55: `accounts[1].keys[0].secret`: the secret is empty",
            ],
        ),
        (
            "{\"accounts\": [{\"shortid\": \"123456789012\"},\n{\"shortid\": \"123456789012\"}]}",
            &["2:1: `accounts[1]`: the account 123456789012 is declared twice"],
        ),
        (
            "{\"accounts\": [{\"shortid\": \"123456789012\", \"keys\": [{\"access\":\"A\",\"secret\":\"s\"},\n{\"access\":\"A\",\"secret\":\"t\"}]}]}",
            &["2:1: `accounts[0].keys[1]`: the access key `A` is declared twice"],
        ),
    ] {
        assert_eq!(problems(text), expected, "{text}");
    }
}

#[test]
fn a_file_without_keys_is_warned_of() {
    let warnings = read("").unwrap().warnings;
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["ids:1:1: no access key is declared, so every signed request is refused"]);
}

#[test]
fn secrets_are_never_shown() {
    let secret = "tell-nobody";
    let good = format!(
        "[[account]]\nid = \"111122223333\"\nroot_keys = [{{ access_key_id = \"A\", secret_access_key = \"{secret}\" }}]"
    );
    assert!(!format!("{:?}", read(&good).unwrap()).contains(secret));
    for bad in [
        format!(
            "[[account]]\nid = \"111122223333\"\nroot_keys = [{{ access_key_id = \"A\", secret_access_key = [\"{secret}\"] }}]"
        ),
        format!(
            "[[account]]\nid = \"111122223333\"\nroot_keys = [{{ access_key_id = \"A\", secret_access_key = \"{secret} }}]"
        ),
        format!("[[account]]\nid = \"111122223333\"\nroot_keys = [\"{secret}\"]"),
        format!("{{\"accounts\":[{{\"shortid\":\"1\",\"keys\":[{{\"access\":\"A\",\"secret\":[\"{secret}\"]}}]}}]}}"),
        format!("{{\"accounts\":[{{\"shortid\":\"1\",\"keys\":[{{\"access\":\"A\",\"secret\":\"{secret}\"]}}]}}"),
    ] {
        let problems = read(&bad).err().unwrap_or_else(|| panic!("{bad}"));
        assert!(!format!("{problems} {problems:?}").contains(secret), "{bad}");
    }
}

fn account(id: &str, key: &str) -> String {
    format!("[[account]]\nid = \"{id}\"\nroot_keys = [{{ access_key_id = \"{key}\", secret_access_key = \"s\" }}]\n")
}

async fn knows(file: &IdentityFile, key: &str) -> bool {
    file.credential(&AccessKeyId::new(key)).await.unwrap().is_some()
}

#[tokio::test]
async fn a_bad_version_is_refused_and_the_old_one_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("identities.toml");
    assert!(IdentityFile::load(&path).unwrap_err().to_string().contains("cannot be read"));
    std::fs::write(&path, account("111122223333", "OLD")).unwrap();
    let file = IdentityFile::load(&path).unwrap();
    assert!(matches!(file.refresh(), Refreshed::Unchanged));

    std::fs::write(&path, "[[account]]\n").unwrap();
    assert!(file.reload().is_err());
    assert!(knows(&file, "OLD").await);
    assert!(matches!(file.refresh(), Refreshed::Unchanged), "a refused version is not refused again and again");

    std::fs::write(&path, account("111122223333", "NEW")).unwrap();
    assert!(matches!(file.refresh(), Refreshed::Replaced));
    assert!(knows(&file, "NEW").await && !knows(&file, "OLD").await);
    let keys: Vec<_> = file.access_keys().map(|key| key.access_key_id.to_string()).collect();
    assert_eq!(keys, ["NEW"]);
    assert!(file.account(&AccountId::parse("111122223333").unwrap()).is_some());
}

#[test]
fn a_file_that_the_identities_name_is_a_part_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("identities.toml");
    std::fs::create_dir(directory.path().join("secrets")).unwrap();
    let secret = directory.path().join("secrets/root");
    std::fs::write(&secret, "one").unwrap();
    let text = "[[account]]\nid = \"111122223333\"\nroot_keys = [{ access_key_id = \"A\", secret_access_key_file = \"secrets/root\" }]\n";
    std::fs::write(&path, text).unwrap();
    let file = IdentityFile::load(&path).unwrap();
    assert!(directories(&file.files()).iter().any(|watched| watched.ends_with("secrets")));
    std::fs::write(&secret, "two").unwrap();
    assert!(matches!(file.refresh(), Refreshed::Replaced));
    assert_eq!(file.access_keys().next().unwrap().secret.expose(), "two");
}

/// Waits for a look at the file that satisfies `wanted`.
fn await_look(looks: &mpsc::Receiver<bool>, wanted: bool) {
    while looks.recv_timeout(Duration::from_secs(30)).expect("the change is seen") != wanted {}
}

fn watch(file: &Arc<IdentityFile>) -> (Watch, mpsc::Receiver<bool>) {
    let (look, looks) = mpsc::channel();
    let watch = Watch::start(Arc::clone(file), move |refreshed| match refreshed {
        Refreshed::Unchanged => {}
        Refreshed::Replaced => look.send(true).unwrap_or_default(),
        Refreshed::Refused(_) => look.send(false).unwrap_or_default(),
    });
    (watch.unwrap(), looks)
}

#[tokio::test]
async fn a_file_put_in_its_place_counts_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("identities.toml");
    std::fs::write(&path, account("111122223333", "OLD")).unwrap();
    let file = Arc::new(IdentityFile::load(&path).unwrap());
    let (_watch, looks) = watch(&file);
    let put = |content: String| {
        let new = directory.path().join("new");
        std::fs::write(&new, content).unwrap();
        std::fs::rename(&new, &path).unwrap();
    };
    put(account("111122223333", "NEW"));
    await_look(&looks, true);
    assert!(knows(&file, "NEW").await);
    put("[[acount]]".to_owned());
    await_look(&looks, false);
    assert!(knows(&file, "NEW").await);
    put(account("111122223333", "NEWER"));
    await_look(&looks, true);
    assert!(knows(&file, "NEWER").await);
}

#[tokio::test]
async fn kubernetes_exchange_of_a_link_counts_as_a_change() {
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for (version, key) in [("..v1", "OLD"), ("..v2", "NEW")] {
        std::fs::create_dir(at(version)).unwrap();
        std::fs::write(at(version).join("identities.toml"), account("111122223333", key)).unwrap();
    }
    symlink("..v1", at("..data")).unwrap();
    symlink("..data/identities.toml", at("identities.toml")).unwrap();
    let file = Arc::new(IdentityFile::load(&at("identities.toml")).unwrap());
    let (_watch, looks) = watch(&file);
    symlink("..v2", at("..data_tmp")).unwrap();
    std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    std::fs::remove_dir_all(at("..v1")).unwrap();
    await_look(&looks, true);
    assert!(knows(&file, "NEW").await);
}
