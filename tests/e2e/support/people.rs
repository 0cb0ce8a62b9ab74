//! Who asks: the demo accounts, and the identity file that declares them. The keys have the form Garage demands.

/// The account that owns buckets unless a test says otherwise.
pub(crate) const ACME: &str = "111122223333";
/// Another account.
pub(crate) const GLOBEX: &str = "444455556666";

/// A key pair with the name the scripts know it by.
#[derive(Clone, Copy)]
pub(crate) struct Person {
    pub(crate) name: &'static str,
    pub(crate) access_key_id: &'static str,
    pub(crate) secret_access_key: &'static str,
}

/// The upstream credentials. The store knows them; the identity file does not.
pub(crate) const OPERATOR: Person = Person {
    name: "operator",
    access_key_id: "GK0e2e0e2e0e2e0e2e0e2e0001",
    secret_access_key: "0e2e0001a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
};

/// Everybody in the identity file.
pub(crate) const PEOPLE: &[Person] = &[
    Person {
        name: "acme-root",
        access_key_id: "GK0e2e0e2e0e2e0e2e0e2e0010",
        secret_access_key: "0e2e0010a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
    },
    Person {
        name: "alice",
        access_key_id: "GK0e2e0e2e0e2e0e2e0e2e0011",
        secret_access_key: "0e2e0011a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
    },
    Person {
        name: "bob",
        access_key_id: "GK0e2e0e2e0e2e0e2e0e2e0012",
        secret_access_key: "0e2e0012a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
    },
    Person {
        name: "carol",
        access_key_id: "GK0e2e0e2e0e2e0e2e0e2e0013",
        secret_access_key: "0e2e0013a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
    },
    Person {
        name: "globex-root",
        access_key_id: "GK0e2e0e2e0e2e0e2e0e2e0020",
        secret_access_key: "0e2e0020a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
    },
    Person {
        name: "dave",
        access_key_id: "GK0e2e0e2e0e2e0e2e0e2e0021",
        secret_access_key: "0e2e0021a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
    },
    Person {
        name: "erin",
        access_key_id: "GK0e2e0e2e0e2e0e2e0e2e0022",
        secret_access_key: "0e2e0022a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
    },
];

/// The identity file: in acme a root user, alice (permitted through her group), bob (not permitted) and carol (allowed
/// and explicitly denied); in globex a root user, dave (permitted) and erin (not permitted).
pub(crate) fn identity_file() -> String {
    let key = |name: &str| {
        let person = PEOPLE.iter().find(|person| person.name == name).unwrap();
        let Person { access_key_id, secret_access_key, .. } = person;
        format!("[{{ access_key_id = \"{access_key_id}\", secret_access_key = \"{secret_access_key}\" }}]")
    };
    format!(
        r#"[[account]]
id = "{ACME}"
name = "acme"
root_keys = {acme_root}

[[account.user]]
name = "alice"
groups = ["admins"]
keys = {alice}

[[account.user]]
name = "bob"
policies = ["reader"]
keys = {bob}

[[account.user]]
name = "carol"
policies = ['''{{"Version":"2012-10-17","Statement":[
    {{"Effect":"Allow","Action":"s3:*","Resource":"*"}},
    {{"Sid":"Never","Effect":"Deny","Action":"s3:*BucketPolicy","Resource":"*"}}]}}''']
keys = {carol}

[[account.group]]
name = "admins"
policies = ["policy-admin"]

[[account]]
id = "{GLOBEX}"
name = "globex"
root_keys = {globex_root}

[[account.user]]
name = "dave"
policies = ["policy-admin"]
keys = {dave}

[[account.user]]
name = "erin"
policies = ["reader"]
keys = {erin}

[[policy]]
name = "policy-admin"
document = '''{{"Version":"2012-10-17","Statement":[
    {{"Effect":"Allow","Action":"s3:*BucketPolicy","Resource":"*"}}]}}'''

[[policy]]
name = "reader"
document = '''{{"Version":"2012-10-17","Statement":[
    {{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":"*"}}]}}'''
"#,
        acme_root = key("acme-root"),
        alice = key("alice"),
        bob = key("bob"),
        carol = key("carol"),
        globex_root = key("globex-root"),
        dave = key("dave"),
        erin = key("erin"),
    )
}
