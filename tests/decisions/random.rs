//! Random policies, all of them valid, and requests to hold against them. Few names, so that they meet often.

mod condition;

use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use serde_json::{Map, Value, json};

use super::reference::canonical_id;

const OWNER: &str = "111122223333";
const OTHER: &str = "444455556666";
const THIRD: &str = "777788889999";

/// `simulate` requests of the same policies, without their `id`. The caller's `path` may be there too: a role's, which
/// no ARN of a session has.
pub(crate) fn requests() -> impl Strategy<Value = Vec<Value>> {
    (policies(), prop::collection::vec(asking(), 1..6))
        .prop_map(|(policies, asking)| asking.iter().map(|asking| put_together(&policies, asking)).collect())
}

/// One of these.
pub(crate) fn request() -> impl Strategy<Value = Value> {
    (policies(), asking()).prop_map(|(policies, asking)| put_together(&policies, &asking))
}

/// What policies are asked: `principal`, `action`, `resource`, `context`.
pub(crate) fn asking() -> impl Strategy<Value = Value> {
    let action = select(vec![
        "s3:GetObject",
        "s3:GetObject",
        "s3:PutObject",
        "s3:putobject",
        "s3:DeleteObject",
        "s3:PutObjectAcl",
        "s3:ListBucket",
        "s3:ListBucket",
        "s3:GetBucketPolicy",
    ]);
    let resource = select(vec![
        "",
        "",
        "/",
        "/x",
        "/a",
        "/ü",
        "/*",
        "/home/alice/x",
        "/home/bob/x",
        "/home/anon/x",
        "/blue/x",
        "/b*/x",
        "/$x",
        "/${aws:username}",
        "/home/${aws:username}/x",
    ]);
    (select(callers()), action, resource, condition::context()).prop_map(|(principal, action, resource, context)| {
        let resource = format!("arn:aws:s3:::b{resource}");
        json!({"principal": principal, "action": action, "resource": resource, "context": context})
    })
}

/// `bucket_policy` and `identity_policies`.
pub(crate) fn policies() -> impl Strategy<Value = Value> {
    let bucket = prop_oneof![1 => Just(Value::Null), 7 => policy(bucket_statement())];
    let identity = prop::collection::vec(policy(identity_statement()), 0..3);
    (bucket, identity).prop_map(|(bucket, identity)| json!({"bucket_policy": bucket, "identity_policies": identity}))
}

pub(crate) fn put_together(policies: &Value, asking: &Value) -> Value {
    json!({
        "bucket_policy": policies["bucket_policy"], "identity_policies": policies["identity_policies"],
        "bucket_owner": OWNER,
        "principal": asking["principal"], "action": asking["action"], "resource": asking["resource"],
        "context": asking["context"],
    })
}

fn policy(statement: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let version = select(vec![Some("2012-10-17"), Some("2012-10-17"), Some("2012-10-17"), Some("2008-10-17"), None]);
    (version, prop::collection::vec(statement, 1..6), any::<bool>()).prop_map(|(version, mut statements, listed)| {
        let mut policy = Map::new();
        if let Some(version) = version {
            policy.insert("Version".to_owned(), json!(version));
        }
        let alone = statements.len() == 1 && !listed;
        policy.insert("Statement".to_owned(), if alone { statements.remove(0) } else { json!(statements) });
        Value::Object(policy)
    })
}

/// Everybody who asks.
fn callers() -> Vec<Value> {
    let root =
        |account: &str| json!({"type": "root", "account": account, "arn": format!("arn:aws:iam::{account}:root")});
    let user = |account: &str, path: &str, name: &str, tags: Value| {
        json!({
            "type": "user", "account": account, "arn": format!("arn:aws:iam::{account}:user{path}{name}"),
            "user_id": format!("AIDA{}", name.to_uppercase()), "name": name, "tags": tags,
        })
    };
    let session = |account: &str, path: &str, name: &str, tags: Value| {
        json!({
            "type": "assumed-role", "account": account, "arn": format!("arn:aws:sts::{account}:assumed-role/ci/{name}"),
            "user_id": format!("AROACI:{name}"), "path": path, "tags": tags,
        })
    };
    vec![
        json!({"type": "anonymous"}),
        root(OWNER),
        root(OTHER),
        user(OWNER, "/", "alice", json!({"team": "blue"})),
        user(OWNER, "/team/", "bob", json!({"team": "b*", "Team": "red"})),
        user(OTHER, "/", "alice", json!({})),
        user(THIRD, "/a/b/", "carol", json!({"team": ""})),
        session(OWNER, "/", "s1", json!({"team": "red"})),
        session(OWNER, "/deploy/", "s2", json!({})),
        session(OTHER, "/", "s1", json!({"team": "blue"})),
    ]
}

/// What a principal of kind `AWS` may say, mostly of those who ask.
fn aws_principals() -> Vec<String> {
    let mut names: Vec<String> = [OWNER, OTHER].map(|account| format!("arn:aws:iam::{account}:root")).to_vec();
    names.extend([OWNER, OTHER, THIRD].map(str::to_owned));
    for caller in callers() {
        let (kind, arn) = (caller["type"].as_str().unwrap(), caller["arn"].as_str().unwrap_or_default());
        if ["user", "assumed-role"].contains(&kind) {
            names.push(arn.to_owned());
        }
        if kind == "assumed-role" {
            let (account, path) = (caller["account"].as_str().unwrap(), caller["path"].as_str().unwrap());
            names.push(format!("arn:aws:iam::{account}:role{path}ci"));
        }
    }
    names.extend([
        format!("arn:aws:iam::{OWNER}:user/bob"),
        format!("arn:aws:iam::{OWNER}:role/cd"),
        format!("arn:aws:sts::{OWNER}:federated-user/alice"),
        "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1ABCDEF".to_owned(),
    ]);
    names
}

fn principal() -> impl Strategy<Value = Value> {
    let aws =
        || prop_oneof![4 => prop::collection::vec(select(aws_principals()), 1..5), 1 => Just(vec!["*".to_owned()])];
    let canonical = || select(vec![canonical_id(OWNER), canonical_id(OTHER).to_uppercase(), "0".repeat(64)]);
    prop_oneof![
        4 => Just(json!("*")),
        6 => (aws(), any::<bool>()).prop_map(|(names, listed)| json!({"AWS": one_or_list(names, listed)})),
        2 => (aws(), canonical()).prop_map(|(names, id)| json!({"AWS": names, "CanonicalUser": id})),
        1 => canonical().prop_map(|id| json!({"CanonicalUser": [id]})),
        1 => aws().prop_map(|names| {
            json!({"AWS": names, "Service": "logging.s3.amazonaws.com", "Federated": "accounts.google.com"})
        }),
    ]
}

/// Mostly of one of the callers, with some of the names that it takes to spare them.
fn not_principal() -> impl Strategy<Value = Value> {
    let some = select(callers()).prop_flat_map(|caller| {
        let account = caller["account"].as_str().unwrap_or(THIRD).to_owned();
        let mut names = vec![caller["arn"].as_str().unwrap_or("*").to_owned(), account.clone()];
        if let Some(path) = caller["path"].as_str() {
            names.push(format!("arn:aws:iam::{account}:role{path}ci"));
        }
        names.dedup();
        subsequence(names.clone(), 1..=names.len()).prop_map(|names| json!({"AWS": names}))
    });
    prop_oneof![4 => some, 1 => principal()]
}

/// An entry of `Action`; whether it is of buckets, and whether of objects.
const ACTIONS: [(&str, bool, bool); 17] = [
    ("s3:GetObject", false, true),
    ("s3:getobject", false, true),
    ("S3:PUTOBJECT", false, true),
    ("s3:PutObject", false, true),
    ("s3:DeleteObject", false, true),
    ("s3:PutObjectAcl", false, true),
    ("s3:ListBucket", true, false),
    ("s3:LISTBUCKET", true, false),
    ("s3:ListBucketVersions", true, false),
    ("s3:GetBucketPolicy", true, false),
    ("s3:Get*", true, true),
    ("s3:*", true, true),
    ("*", true, true),
    ("s3:?etObject", false, true),
    ("s3:*object", false, true),
    ("s3:List*", true, true),
    ("s3:ListBucket*", true, false),
];

/// What an identity policy may say beside these.
const OTHER_ACTIONS: [&str; 4] = ["*:*", "s3:Nonsense", "ec2:RunInstances", "iam:*"];

const RESOURCES: [&str; 21] = [
    "",
    "/*",
    "/x",
    "/?",
    "/*x",
    "/",
    "/home/*",
    "/home/alice/*",
    "/home/al?ce/*",
    "/home/${aws:username}/*",
    "/home/${AWS:UserName}/x",
    "/home/${aws:username, 'anon'}/*",
    "/${aws:PrincipalTag/team}/*",
    "/${aws:PrincipalTag/Team, 'blue'}/*",
    "/${aws:TagKeys}*",
    "/${aws:TagKeys, 'a'}",
    "/${*}",
    "/${$}{aws:username}",
    "/${}*",
    "/home/${aws:username",
    "/ü*",
];

/// What an identity policy may say beside these.
const OTHER_RESOURCES: [&str; 12] = [
    "*",
    "*",
    "*",
    "arn:aws:s3:::*",
    "arn:aws:s3:::b*",
    "arn:aws:s3:::?/x",
    "arn:aws:s3",
    "arn:aws:s3:*",
    "arn:*:s3:::b/x",
    "arn:aws:s3:::other/*",
    "arn:aws:s3:::${aws:PrincipalTag/team}/*",
    "arn:aws:sqs:us-east-1:111122223333:b",
];

/// The parts of a statement, before they are made to go together.
#[derive(Clone, Debug)]
struct Parts {
    denies: bool,
    principal: Option<(&'static str, Value)>,
    not_action: bool,
    actions: Vec<String>,
    not_resource: bool,
    resources: Vec<String>,
    /// Elements are lists even of one.
    listed: bool,
    condition: Option<Vec<condition::Test>>,
    sid: Option<String>,
}

/// A statement of a bucket policy that is a Deny with a probability of two in five.
pub(crate) fn bucket_statement() -> impl Strategy<Value = Value> {
    prop_oneof![3 => bucket_statement_that(false), 2 => bucket_statement_that(true)]
}

pub(crate) fn bucket_statement_that(denies: bool) -> impl Strategy<Value = Value> {
    // S3 takes no Allow for everybody but some.
    let excepts = if denies { 1 } else { 0 };
    let principal = prop_oneof![
        3 => principal().prop_map(|value| ("Principal", value)),
        excepts => not_principal().prop_map(|value| ("NotPrincipal", value)),
    ];
    let (actions, resources) = (prop::collection::vec(action(), 1..4), prop::collection::vec(resource(), 1..4));
    parts(denies, principal.prop_map(Some), actions, resources).prop_map(|parts| in_bucket_policy(parts).into_json())
}

/// A statement of an identity policy, as often a Deny.
pub(crate) fn identity_statement() -> impl Strategy<Value = Value> {
    prop_oneof![3 => identity_statement_that(false), 2 => identity_statement_that(true)]
}

pub(crate) fn identity_statement_that(denies: bool) -> impl Strategy<Value = Value> {
    let actions = prop_oneof![6 => action(), 1 => select(OTHER_ACTIONS.as_slice()).prop_map(str::to_owned)];
    let resources = prop_oneof![1 => resource(), 1 => select(OTHER_RESOURCES.as_slice()).prop_map(str::to_owned)];
    let lists = (prop::collection::vec(actions, 1..4), prop::collection::vec(resources, 1..4));
    parts(denies, Just(None), lists.0, lists.1).prop_map(Parts::into_json)
}

fn action() -> impl Strategy<Value = String> {
    let any = select(ACTIONS.as_slice()).prop_map(|(name, ..)| name);
    prop_oneof![2 => any, 1 => Just("s3:*")].prop_map(str::to_owned)
}

fn resource() -> impl Strategy<Value = String> {
    let any = select(RESOURCES.as_slice());
    prop_oneof![3 => any, 1 => Just("/*"), 1 => Just("")].prop_map(|rest| format!("arn:aws:s3:::b{rest}"))
}

fn parts(
    denies: bool,
    principal: impl Strategy<Value = Option<(&'static str, Value)>>,
    actions: impl Strategy<Value = Vec<String>>,
    resources: impl Strategy<Value = Vec<String>>,
) -> impl Strategy<Value = Parts> {
    let seldom = || prop::bool::weighted(0.15);
    let condition = prop::option::weighted(0.6, prop::collection::vec(condition::test(), 0..4));
    let sid = prop::option::of(select(vec!["A", "B2", ""]).prop_map(str::to_owned));
    (principal, seldom(), actions, seldom(), resources, any::<bool>(), condition, sid).prop_map(
        move |(principal, not_action, actions, not_resource, resources, listed, condition, sid)| Parts {
            denies,
            principal,
            not_action,
            actions,
            not_resource,
            resources,
            listed,
            condition,
            sid,
        },
    )
}

/// What S3 demands of a bucket policy: each action applies to one of the resources, and each of S3's own keys is one
/// that each action named in full has. What does not fit is left out.
fn in_bucket_policy(mut parts: Parts) -> Parts {
    let entry = |name: &str| ACTIONS.iter().find(|(entry, ..)| *entry == name).unwrap();
    if !parts.not_action && !parts.not_resource {
        let bucket = parts.resources.iter().any(|resource| !resource.contains('/'));
        let object = parts.resources.iter().any(|resource| resource.contains('/'));
        parts.actions.retain(|name| entry(name).1 && bucket || entry(name).2 && object);
        if parts.actions.is_empty() {
            parts.actions.push("s3:*".to_owned());
        }
    }
    if !parts.not_action {
        let named: Vec<String> =
            parts.actions.iter().filter(|name| !name.contains(['*', '?'])).map(|name| name.to_lowercase()).collect();
        if let Some(tests) = &mut parts.condition {
            tests.retain(|test| named.iter().all(|action| test.is_supported_by(action)));
        }
    }
    parts
}

impl Parts {
    fn into_json(self) -> Value {
        let name = |name: &'static str, not: bool| if not { format!("Not{name}") } else { name.to_owned() };
        let mut statement = Map::new();
        statement.insert("Effect".to_owned(), json!(if self.denies { "Deny" } else { "Allow" }));
        if let Some((name, value)) = self.principal {
            statement.insert(name.to_owned(), value);
        }
        statement.insert(name("Action", self.not_action), one_or_list(self.actions, self.listed));
        statement.insert(name("Resource", self.not_resource), one_or_list(self.resources, self.listed));
        if let Some(tests) = self.condition {
            statement.insert("Condition".to_owned(), condition::written(tests));
        }
        if let Some(sid) = self.sid {
            statement.insert("Sid".to_owned(), json!(sid));
        }
        Value::Object(statement)
    }
}

/// A list of one may be written as that one.
fn one_or_list<T: Into<Value>>(mut values: Vec<T>, listed: bool) -> Value {
    match values.len() {
        1 if !listed => values.remove(0).into(),
        _ => Value::Array(values.into_iter().map(Into::into).collect()),
    }
}

/// A policy's statements as a list, and one more among them.
pub(crate) fn with_statement(policy: &Value, statement: &Value, at: Index) -> Value {
    let mut statements = match &policy["Statement"] {
        Value::Array(statements) => statements.clone(),
        one => vec![one.clone()],
    };
    statements.insert(at.index(statements.len() + 1), statement.clone());
    let mut more = policy.clone();
    more["Statement"] = Value::Array(statements);
    more
}
