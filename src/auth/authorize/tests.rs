use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::auth::identity::Identity;
use crate::policy::{Account, AccountId, CanonicalUserId, Context, Principal};

const OWNER: &str = "111122223333";
const OTHER: &str = "444455556666";
const ARN: &str = "arn:aws:s3:::b";

fn account(id: &str) -> Account {
    let canonical_id = id.bytes().cycle().take(64).map(char::from).collect::<String>();
    Account { id: AccountId::parse(id).unwrap(), canonical_id: CanonicalUserId::parse(&canonical_id).unwrap() }
}

fn user(account_id: &str) -> Principal {
    Principal::user(account(account_id), "/", "alice", "AIDAALICE", BTreeMap::new())
}

fn root(account_id: &str) -> Principal {
    Principal::root(account(account_id))
}

fn bucket_policy(effect: &str, principal: &str) -> Policy {
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Principal":{principal},
           "Action":"s3:*BucketPolicy","Resource":"{ARN}"}}]}}"#
    );
    Policy::parse(text.trim().as_bytes(), "b").unwrap().policy
}

fn identity_policy(effect: &str) -> Arc<Policy> {
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Action":"s3:*BucketPolicy","Resource":"*"}}]}}"#
    );
    Arc::new(Policy::parse_identity(text.as_bytes()).unwrap().policy)
}

fn request<'a>(principal: &'a Principal, action: Action, context: &'a Context<'a>) -> AccessRequest<'a> {
    AccessRequest { principal, action, resource: ARN, context }
}

fn call(identity: &Identity, action: Action, bucket: Option<&Policy>) -> Result<Permit, Denial> {
    let policies = Policies { identity: &identity.policies, bucket, owner: &account(OWNER).id };
    authorize_policy_call(&request(&identity.principal, action, &Context::new()), &policies)
}

/// The bucket policies of the tables below, by name.
fn named_bucket_policy(name: &str) -> Option<Policy> {
    let users = format!(r#"{{"AWS":["arn:aws:iam::{OWNER}:user/alice","arn:aws:iam::{OTHER}:user/alice"]}}"#);
    let accounts = format!(r#"{{"AWS":["{OWNER}","{OTHER}"]}}"#);
    match name {
        "none" => None,
        "allow *" => Some(bucket_policy("Allow", r#""*""#)),
        "allow user" => Some(bucket_policy("Allow", &users)),
        "allow account" => Some(bucket_policy("Allow", &accounts)),
        "deny *" => Some(bucket_policy("Deny", r#""*""#)),
        "deny account" => Some(bucket_policy("Deny", &accounts)),
        other => panic!("no policy is named {other}"),
    }
}

fn named_identity_policies(name: &str) -> Vec<Arc<Policy>> {
    match name {
        "none" => vec![],
        "allow" => vec![identity_policy("Allow")],
        "deny" => vec![identity_policy("Deny")],
        "allow, deny" => vec![identity_policy("Allow"), identity_policy("Deny")],
        other => panic!("no policies are named {other}"),
    }
}

fn by(deciders: impl Iterator<Item = Decider>) -> Vec<String> {
    deciders
        .map(|decider| match decider.policy {
            AttachedPolicy::Bucket => format!("bucket/{}", decider.statement),
            AttachedPolicy::Identity(position) => format!("identity:{position}/{}", decider.statement),
        })
        .collect()
}

#[test]
fn identity_and_bucket_policy_are_weighed_as_amazon_does() {
    use Decision::{Allow, ExplicitDeny, ImplicitDeny};
    let rows: [(Principal, &str, &str, Decision, &[&str]); 27] = [
        // The owner's account: either side grants.
        (user(OWNER), "none", "none", ImplicitDeny, &[]),
        (user(OWNER), "allow", "none", Allow, &["identity:0/0"]),
        (user(OWNER), "none", "allow *", Allow, &["bucket/0"]),
        (user(OWNER), "none", "allow user", Allow, &["bucket/0"]),
        (user(OWNER), "none", "allow account", ImplicitDeny, &[]),
        (user(OWNER), "allow", "allow account", Allow, &["identity:0/0"]),
        (user(OWNER), "allow", "allow user", Allow, &["identity:0/0", "bucket/0"]),
        // A deny anywhere wins.
        (user(OWNER), "deny", "allow user", ExplicitDeny, &["identity:0/0"]),
        (user(OWNER), "allow, deny", "none", ExplicitDeny, &["identity:1/0"]),
        (user(OWNER), "allow", "deny *", ExplicitDeny, &["bucket/0"]),
        (user(OWNER), "allow", "deny account", ExplicitDeny, &["bucket/0"]),
        (user(OWNER), "deny", "deny *", ExplicitDeny, &["identity:0/0", "bucket/0"]),
        // Another account: both sides must.
        (user(OTHER), "none", "none", ImplicitDeny, &[]),
        (user(OTHER), "allow", "none", ImplicitDeny, &[]),
        (user(OTHER), "none", "allow user", ImplicitDeny, &[]),
        (user(OTHER), "none", "allow *", ImplicitDeny, &[]),
        (user(OTHER), "allow", "allow user", Allow, &["identity:0/0", "bucket/0"]),
        (user(OTHER), "allow", "allow account", Allow, &["identity:0/0", "bucket/0"]),
        (user(OTHER), "allow, deny", "allow user", ExplicitDeny, &["identity:1/0"]),
        // A root user holds the identity side, and nothing there denies it.
        (root(OWNER), "none", "none", Allow, &[]),
        (root(OWNER), "deny", "none", Allow, &[]),
        (root(OWNER), "none", "deny *", ExplicitDeny, &["bucket/0"]),
        (root(OTHER), "none", "none", ImplicitDeny, &[]),
        (root(OTHER), "none", "allow account", Allow, &["bucket/0"]),
        // Nobody: the bucket policy alone.
        (Principal::Anonymous, "none", "none", ImplicitDeny, &[]),
        (Principal::Anonymous, "allow", "allow user", ImplicitDeny, &[]),
        (Principal::Anonymous, "none", "allow *", Allow, &["bucket/0"]),
    ];
    for (principal, identity, bucket, decision, deciders) in rows {
        let bucket_policy = named_bucket_policy(bucket);
        let identity_policies = named_identity_policies(identity);
        let owner = account(OWNER).id;
        let policies = Policies { identity: &identity_policies, bucket: bucket_policy.as_ref(), owner: &owner };
        let decided = decide(&request(&principal, Action::PutBucketPolicy, &Context::new()), &policies);
        let row = format!("{:?}, identity: {identity}, bucket: {bucket}", principal.arn());
        assert_eq!(decided.decision(), decision, "{row}");
        assert_eq!(by(decided.by()), deciders, "{row}");
    }
}

#[test]
fn a_policy_without_principals_grants_nothing_in_the_buckets_place() {
    let owner = account(OWNER).id;
    for (effect, decision) in [("Allow", Decision::ImplicitDeny), ("Deny", Decision::ExplicitDeny)] {
        let policy = identity_policy(effect);
        let policies = Policies { identity: &[], bucket: Some(&policy), owner: &owner };
        for principal in [Principal::Anonymous, user(OWNER)] {
            let decided = decide(&request(&principal, Action::PutBucketPolicy, &Context::new()), &policies);
            assert_eq!(decided.decision(), decision, "{effect} for {:?}", principal.arn());
        }
    }
}

#[test]
fn a_policy_call_is_for_the_owners_account_and_never_closed_to_its_root() {
    // What is expected: the HTTP status, 204 for a permit.
    let rows = [
        (root(OWNER), "none", "none", 204),
        (root(OWNER), "deny", "deny *", 204),
        (user(OWNER), "allow", "none", 204),
        (user(OWNER), "none", "allow user", 204),
        (user(OWNER), "none", "none", 403),
        (user(OWNER), "none", "allow account", 403),
        (user(OWNER), "allow", "deny *", 403),
        (user(OWNER), "allow, deny", "none", 403),
        (user(OTHER), "none", "none", 403),
        (user(OTHER), "allow", "none", 405),
        (user(OTHER), "none", "allow user", 405),
        (user(OTHER), "none", "allow *", 405),
        (user(OTHER), "none", "allow account", 403),
        (user(OTHER), "allow", "deny account", 403),
        (user(OTHER), "allow", "allow user", 405),
        (user(OTHER), "allow", "allow *", 405),
        (root(OTHER), "none", "none", 405),
        (root(OTHER), "none", "allow account", 405),
        (root(OTHER), "none", "deny *", 403),
        (Principal::Anonymous, "none", "none", 403),
        (Principal::Anonymous, "none", "allow *", 403),
    ];
    for (principal, policies, bucket, status) in rows {
        let identity = Identity { principal, policies: named_identity_policies(policies) };
        let answer = call(&identity, Action::PutBucketPolicy, named_bucket_policy(bucket).as_ref());
        let answer = answer.map_or_else(|denial| S3Error::from(denial).status().as_u16(), |_permit| 204);
        assert_eq!(answer, status, "{:?}, identity: {policies}, bucket: {bucket}", identity.principal.arn());
    }
}

#[test]
fn denials_and_permits_name_the_statements_that_decided() {
    let call = |identity: &Identity, bucket: &str| {
        call(identity, Action::GetBucketPolicy, named_bucket_policy(bucket).as_ref())
    };
    let alice = Identity { principal: user(OWNER), policies: named_identity_policies("allow") };
    assert_eq!(by(call(&alice, "none").unwrap().by()), ["identity:0/0"]);
    assert_eq!(by(call(&alice, "deny *").unwrap_err().by()), ["bucket/0"]);
    assert!(matches!(call(&Identity::anonymous(), "allow *"), Err(Denial::Anonymous)));
    let foreign = Identity { principal: user(OTHER), policies: named_identity_policies("allow") };
    assert!(matches!(call(&foreign, "allow account"), Err(Denial::OtherAccount(_))));
    assert!(matches!(call(&foreign, "none"), Err(Denial::OtherAccount(_))));
    let nobody = Identity { principal: user(OTHER), policies: Vec::new() };
    assert!(matches!(call(&nobody, "none"), Err(Denial::ImplicitDeny)));
    assert_eq!(
        call(&foreign, "none").unwrap_err().to_string(),
        "permitted, but of another account than the bucket: identity policy 0, statement 0"
    );
}

#[test]
fn a_policy_locks_out_whom_it_denies_the_next_one() {
    let rows = [
        (user(OWNER), "allow", "allow *", false),
        (user(OWNER), "allow", "deny *", true),
        (user(OWNER), "allow", "deny account", true),
        (user(OWNER), "none", "allow user", false),
        (user(OWNER), "none", "allow account", true),
        (root(OWNER), "none", "deny *", false),
    ];
    for (principal, policies, bucket, locked_out) in rows {
        let identity = Identity { principal, policies: named_identity_policies(policies) };
        let new_policy = named_bucket_policy(bucket).unwrap();
        let owner = account(OWNER).id;
        let present = Policies { identity: &identity.policies, bucket: None, owner: &owner };
        let context = Context::new();
        let answer =
            would_lock_out(&request(&identity.principal, Action::PutBucketPolicy, &context), &present, &new_policy);
        assert_eq!(answer, locked_out, "{:?}, identity: {policies}, new: {bucket}", identity.principal.arn());
    }
}
