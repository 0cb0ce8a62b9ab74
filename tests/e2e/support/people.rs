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
    /// What a role's session must send along.
    pub(crate) session_token: Option<&'static str>,
}

impl Person {
    const fn new(name: &'static str, access_key_id: &'static str, secret_access_key: &'static str) -> Self {
        Self { name, access_key_id, secret_access_key, session_token: None }
    }
}

/// The upstream credentials. The store knows them; the identity file does not.
pub(crate) const OPERATOR: Person = Person::new(
    "operator",
    "GK0e2e0e2e0e2e0e2e0e2e0001",
    "0e2e0001a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
);

/// Everybody in the identity file.
pub(crate) const PEOPLE: &[Person] = &[
    Person::new(
        "acme-root",
        "GK0e2e0e2e0e2e0e2e0e2e0010",
        "0e2e0010a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
    ),
    Person::new(
        "alice",
        "GK0e2e0e2e0e2e0e2e0e2e0011",
        "0e2e0011a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
    ),
    Person::new(
        "bob",
        "GK0e2e0e2e0e2e0e2e0e2e0012",
        "0e2e0012a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
    ),
    Person::new(
        "carol",
        "GK0e2e0e2e0e2e0e2e0e2e0013",
        "0e2e0013a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
    ),
    Person::new(
        "hanna",
        "GK0e2e0e2e0e2e0e2e0e2e0014",
        "0e2e0014a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
    ),
    Person::new(
        "ivan",
        "GK0e2e0e2e0e2e0e2e0e2e0015",
        "0e2e0015a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
    ),
    Person::new(
        "mallory",
        "GK0e2e0e2e0e2e0e2e0e2e0016",
        "0e2e0016a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
    ),
    Person {
        session_token: Some("FwoGZXIvYXdzEBYaDGUyZS1idWlsZC03"),
        ..Person::new(
            "build-7",
            "GK0e2e0e2e0e2e0e2e0e2e0017",
            "0e2e0017a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
        )
    },
    Person::new(
        "globex-root",
        "GK0e2e0e2e0e2e0e2e0e2e0020",
        "0e2e0020a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
    ),
    Person::new(
        "dave",
        "GK0e2e0e2e0e2e0e2e0e2e0021",
        "0e2e0021a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
    ),
    Person::new(
        "erin",
        "GK0e2e0e2e0e2e0e2e0e2e0022",
        "0e2e0022a7d1f3c5b79e806d24f1c3e5a7092b4d6f8091a3c5e7f90b2d4f6081",
    ),
];

/// The identity file: in acme a root user, alice (permitted through her group to change policies), bob (not permitted),
/// carol (allowed and explicitly denied), hanna and ivan (each confined to a home), mallory (nothing at all) and build-7,
/// a session of the role ci; in globex a root user, dave (permitted) and erin (not permitted).
pub(crate) fn identity_file() -> String {
    let person = |name: &str| PEOPLE.iter().find(|person| person.name == name).unwrap();
    let key = |name: &str| {
        let Person { access_key_id, secret_access_key, .. } = person(name);
        format!("[{{ access_key_id = \"{access_key_id}\", secret_access_key = \"{secret_access_key}\" }}]")
    };
    let session = person("build-7");
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

[[account.user]]
name = "hanna"
policies = ["home"]
keys = {hanna}

[[account.user]]
name = "ivan"
policies = ["home"]
keys = {ivan}

[[account.user]]
name = "mallory"
keys = {mallory}

[[account.role]]
name = "ci"
policies = ['''{{"Version":"2012-10-17","Statement":[
    {{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::*/artifacts/*"}}]}}''']

[[account.role.sessions]]
name = "build-7"
access_key_id = "{session_key}"
secret_access_key = "{session_secret}"
session_token = "{session_token}"

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

[[policy]]
name = "home"
document = '''{{"Version":"2012-10-17","Statement":[
    {{"Sid":"Home","Effect":"Allow","Resource":"arn:aws:s3:::*/home/${{aws:username}}/*",
      "Action":["s3:GetObject","s3:PutObject","s3:DeleteObject","s3:AbortMultipartUpload","s3:ListMultipartUploadParts"]}},
    {{"Sid":"ListHome","Effect":"Allow","Action":"s3:ListBucket","Resource":"*",
      "Condition":{{"StringLike":{{"s3:prefix":"home/${{aws:username}}/*"}}}}}}]}}'''
"#,
        acme_root = key("acme-root"),
        alice = key("alice"),
        bob = key("bob"),
        carol = key("carol"),
        hanna = key("hanna"),
        ivan = key("ivan"),
        mallory = key("mallory"),
        session_key = session.access_key_id,
        session_secret = session.secret_access_key,
        session_token = session.session_token.unwrap(),
        globex_root = key("globex-root"),
        dave = key("dave"),
        erin = key("erin"),
    )
}
