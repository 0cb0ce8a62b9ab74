use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::policy::action::Action;
use crate::policy::context::Context;
use crate::policy::decide::Policies;
use crate::policy::principal::{Account, AccountId, CanonicalUserId};

const OBJECT: &str = "arn:aws:s3:::b/home/alice/x";

fn account(digit: char) -> Account {
    Account {
        id: AccountId::parse(&digit.to_string().repeat(12)).unwrap(),
        canonical_id: CanonicalUserId::parse(&digit.to_string().repeat(64)).unwrap(),
    }
}

fn root(digit: char) -> Principal {
    Principal::root(account(digit))
}

fn user(digit: char, path: &str, name: &str) -> Principal {
    Principal::user(account(digit), path, name, "AIDA1", Default::default())
}

fn session(digit: char, path: &str, role: &str, session: &str) -> Principal {
    Principal::assumed_role(account(digit), path, role, session, "AROA1:s", Default::default())
}

fn statement(effect: &str, who: &str, action: &str, resource: &str, rest: &str) -> String {
    format!(r#"{{"Effect":"{effect}",{who},{action},{resource}{rest}}}"#)
}

fn policy(version: &str, statements: &[String]) -> Policy {
    let document = format!(r#"{{"Version":"{version}","Statement":[{}]}}"#, statements.join(","));
    Policy::parse(document.as_bytes(), "b").unwrap_or_else(|refused| panic!("{document}: {refused}")).policy
}

const ANYBODY: &str = r#""Principal":"*""#;
const READ: &str = r#""Action":"s3:GetObject""#;
const OBJECTS: &str = r#""Resource":"arn:aws:s3:::b/*""#;
const ALLOWED: Verdict = Verdict::Allow { statement: 0, via: GrantedTo::Principal };
const DELEGATED: Verdict = Verdict::Allow { statement: 0, via: GrantedTo::Account };
const DENIED: Verdict = Verdict::Deny { statement: 0 };

fn ask(policy: &Policy, principal: &Principal, action: Action, resource: &str) -> Verdict {
    policy.evaluate(&AccessRequest { principal, action, resource, context: &Context::new() })
}

#[test]
fn a_principal_grants_to_whom_it_names() {
    let canonical = "1".repeat(64);
    for (principal, caller, verdict) in [
        (r#""*""#, Principal::Anonymous, ALLOWED),
        (r#""*""#, root('1'), ALLOWED),
        (r#"{"AWS":"*"}"#, Principal::Anonymous, ALLOWED),
        (r#"{"AWS":["*","222222222222"]}"#, user('2', "/", "a"), ALLOWED),
        (r#"{"AWS":"111111111111"}"#, root('1'), DELEGATED),
        (r#"{"AWS":"111111111111"}"#, user('1', "/", "alice"), DELEGATED),
        (r#"{"AWS":"111111111111"}"#, user('2', "/", "alice"), Verdict::NoMatch),
        (r#"{"AWS":"111111111111"}"#, Principal::Anonymous, Verdict::NoMatch),
        (r#"{"AWS":"arn:aws:iam::111111111111:root"}"#, session('1', "/", "ci", "s"), DELEGATED),
        (r#"{"AWS":"arn:aws:iam::111111111111:user/alice"}"#, user('1', "/", "alice"), ALLOWED),
        (r#"{"AWS":"arn:aws:iam::111111111111:user/alice"}"#, user('1', "/", "Alice"), Verdict::NoMatch),
        (r#"{"AWS":"arn:aws:iam::111111111111:user/alice"}"#, user('1', "/team/", "alice"), Verdict::NoMatch),
        (r#"{"AWS":"arn:aws:iam::111111111111:user/alice"}"#, user('2', "/", "alice"), Verdict::NoMatch),
        (r#"{"AWS":"arn:aws:iam::111111111111:user/alice"}"#, root('1'), Verdict::NoMatch),
        (r#"{"AWS":"arn:aws:iam::111111111111:user/alice"}"#, session('1', "/", "alice", "alice"), Verdict::NoMatch),
        (r#"{"AWS":"arn:aws:iam::111111111111:user/team/alice"}"#, user('1', "/team/", "alice"), ALLOWED),
        (r#"{"AWS":"arn:aws:iam::111111111111:user/team/alice"}"#, user('1', "/", "alice"), Verdict::NoMatch),
        (r#"{"AWS":["111111111111","arn:aws:iam::111111111111:user/alice"]}"#, user('1', "/", "alice"), ALLOWED),
        (r#"{"AWS":"arn:aws:iam::111111111111:role/ci"}"#, session('1', "/", "ci", "any"), ALLOWED),
        (r#"{"AWS":"arn:aws:iam::111111111111:role/ops/ci"}"#, session('1', "/ops/", "ci", "any"), ALLOWED),
        (r#"{"AWS":"arn:aws:iam::111111111111:role/ci"}"#, session('1', "/ops/", "ci", "any"), Verdict::NoMatch),
        (r#"{"AWS":"arn:aws:iam::111111111111:role/ci"}"#, session('2', "/", "ci", "any"), Verdict::NoMatch),
        (r#"{"AWS":"arn:aws:iam::111111111111:role/ci"}"#, user('1', "/", "ci"), Verdict::NoMatch),
        (r#"{"AWS":"arn:aws:sts::111111111111:assumed-role/ci/s"}"#, session('1', "/ops/", "ci", "s"), ALLOWED),
        (r#"{"AWS":"arn:aws:sts::111111111111:assumed-role/ci/s"}"#, session('1', "/", "ci", "t"), Verdict::NoMatch),
        (r#"{"AWS":"arn:aws:sts::111111111111:federated-user/alice"}"#, user('1', "/", "alice"), Verdict::NoMatch),
        (&format!(r#"{{"CanonicalUser":"{canonical}"}}"#), user('1', "/", "alice"), DELEGATED),
        (&format!(r#"{{"CanonicalUser":"{canonical}"}}"#), user('2', "/", "alice"), Verdict::NoMatch),
        (&format!(r#"{{"CanonicalUser":"{canonical}"}}"#), Principal::Anonymous, Verdict::NoMatch),
        (&format!(r#"{{"AWS":"222222222222","CanonicalUser":"{canonical}"}}"#), root('1'), DELEGATED),
        (r#"{"Service":"cloudtrail.amazonaws.com"}"#, root('1'), Verdict::NoMatch),
        (r#"{"Service":"cloudtrail.amazonaws.com"}"#, Principal::Anonymous, Verdict::NoMatch),
        (r#"{"AWS":"111111111111","Service":"cloudtrail.amazonaws.com"}"#, root('1'), DELEGATED),
        (r#"{"Federated":"cognito-identity.amazonaws.com"}"#, Principal::Anonymous, Verdict::NoMatch),
    ] {
        let who = format!("\"Principal\":{principal}");
        let allow = policy("2012-10-17", &[statement("Allow", &who, READ, OBJECTS, "")]);
        assert_eq!(ask(&allow, &caller, Action::GetObject, OBJECT), verdict, "{principal} for {:?}", caller.arn());
        // Whoever is granted anything by name or through their account is denied by the same words.
        let deny = policy("2012-10-17", &[statement("Deny", &who, READ, OBJECTS, "")]);
        let expected = if verdict == Verdict::NoMatch { Verdict::NoMatch } else { DENIED };
        assert_eq!(ask(&deny, &caller, Action::GetObject, OBJECT), expected, "deny {principal} for {:?}", caller.arn());
    }
}

#[test]
fn not_principal_spares_whom_it_names_with_their_account() {
    let alice = user('1', "/", "alice");
    let ci = session('1', "/", "ci", "s");
    let (account, alice_arn) = (r#""111111111111""#, r#""arn:aws:iam::111111111111:user/alice""#);
    let (role, of_session) =
        (r#""arn:aws:iam::111111111111:role/ci""#, r#""arn:aws:sts::111111111111:assumed-role/ci/s""#);
    let by_arn = [
        (vec![account, alice_arn], &alice, true),
        (vec![r#""arn:aws:iam::111111111111:root""#, alice_arn], &alice, true),
        (vec![alice_arn], &alice, false),
        (vec![account], &alice, false),
        (vec![account, alice_arn], &user('1', "/", "bob"), false),
        (vec![r#""222222222222""#, alice_arn], &alice, false),
        (vec![account], &root('1'), true),
        (vec![alice_arn], &root('1'), false),
        (vec![account], &root('2'), false),
        (vec![account, role, of_session], &ci, true),
        (vec![account, role], &ci, false),
        (vec![account, of_session], &ci, false),
        (vec![role, of_session], &ci, false),
        (vec![account, role, of_session], &session('1', "/", "ci", "t"), false),
        (vec![account, alice_arn], &Principal::Anonymous, false),
        (vec![r#""arn:aws:sts::111111111111:federated-user/alice""#, account], &alice, false),
        (vec![r#""*""#], &Principal::Anonymous, true),
        (vec![r#""*""#], &alice, true),
    ];
    let by_arn =
        by_arn.map(|(listed, caller, spared)| (format!(r#"{{"AWS":[{}]}}"#, listed.join(",")), caller, spared));
    // The account may be named by its canonical user id; a service spares nobody.
    let canonical = format!(r#""CanonicalUser":"{}""#, "1".repeat(64));
    let of_other_kinds = [
        (format!(r#"{{"AWS":{alice_arn},{canonical}}}"#), &alice, true),
        (format!("{{{canonical}}}"), &alice, false),
        (format!("{{{canonical}}}"), &root('1'), true),
        (r#"{"Service":"cloudtrail.amazonaws.com"}"#.to_owned(), &root('1'), false),
        (r#"{"Service":"cloudtrail.amazonaws.com"}"#.to_owned(), &Principal::Anonymous, false),
    ];
    for (listed, caller, spared) in by_arn.into_iter().chain(of_other_kinds) {
        let who = format!(r#""NotPrincipal":{listed}"#);
        let deny = policy("2012-10-17", &[statement("Deny", &who, READ, OBJECTS, "")]);
        let expected = if spared { Verdict::NoMatch } else { DENIED };
        assert_eq!(ask(&deny, caller, Action::GetObject, OBJECT), expected, "{who} for {:?}", caller.arn());
    }
}

#[test]
fn actions_and_resources_match_with_their_wildcards() {
    let both = r#""Resource":["arn:aws:s3:::b","arn:aws:s3:::b/*"]"#;
    let bucket = "arn:aws:s3:::b";
    for (action, resource, asked, on, matches) in [
        (READ, OBJECTS, Action::GetObject, OBJECT, true),
        (READ, OBJECTS, Action::PutObject, OBJECT, false),
        (READ, OBJECTS, Action::GetObject, bucket, false),
        (READ, OBJECTS, Action::GetObject, "arn:aws:s3:::B/x", false),
        (READ, OBJECTS, Action::GetObject, "arn:aws:s3:::b/", true),
        (r#""Action":"S3:GETOBJECT""#, OBJECTS, Action::GetObject, OBJECT, true),
        (r#""Action":"s3:get*""#, OBJECTS, Action::GetObjectAcl, OBJECT, true),
        (r#""Action":"*""#, both, Action::PutBucketPolicy, bucket, true),
        (r#""Action":"s3:*""#, OBJECTS, Action::PutBucketPolicy, bucket, false),
        (r#""NotAction":"s3:GetObject""#, both, Action::GetObject, OBJECT, false),
        (r#""NotAction":"s3:GetObject""#, both, Action::PutObject, OBJECT, true),
        (r#""NotAction":"s3:Get*""#, both, Action::GetBucketPolicy, bucket, false),
        (READ, r#""Resource":"arn:aws:s3:::b/home/*/x""#, Action::GetObject, OBJECT, true),
        (READ, r#""Resource":"arn:aws:s3:::b/home/?????/x""#, Action::GetObject, OBJECT, true),
        (READ, r#""Resource":"arn:aws:s3:::b/HOME/*""#, Action::GetObject, OBJECT, false),
        (READ, r#""Resource":"arn:aws:s3:::b/home""#, Action::GetObject, OBJECT, false),
        (READ, r#""Resource":"arn:aws:s3:::b/home/*.jpg""#, Action::GetObject, "arn:aws:s3:::b/home/a/b.jpg", true),
        (READ, r#""Resource":"arn:aws:s3:::b/a?c""#, Action::GetObject, "arn:aws:s3:::b/aüc", true),
        (READ, r#""Resource":["arn:aws:s3:::b/x","arn:aws:s3:::b/home/*"]"#, Action::GetObject, OBJECT, true),
        (r#""Action":"s3:ListBucket""#, both, Action::ListBucket, bucket, true),
        (r#""NotAction":"S3:getobject""#, both, Action::GetObject, OBJECT, false),
        (r#""NotAction":["s3:Get*","s3:PutBucketPolicy"]"#, both, Action::PutBucketPolicy, bucket, false),
        (READ, r#""NotResource":"arn:aws:s3:::b/home/*""#, Action::GetObject, OBJECT, false),
        (READ, r#""NotResource":"arn:aws:s3:::b/home/*""#, Action::GetObject, "arn:aws:s3:::b/x", true),
        (
            READ,
            r#""NotResource":["arn:aws:s3:::b/x","arn:aws:s3:::b/y"]"#,
            Action::GetObject,
            "arn:aws:s3:::b/y",
            false,
        ),
        (r#""Action":"s3:*""#, r#""NotResource":"arn:aws:s3:::b/*""#, Action::PutBucketPolicy, bucket, true),
        (r#""NotAction":"s3:Get*""#, r#""NotResource":"arn:aws:s3:::b/*""#, Action::PutObject, OBJECT, false),
    ] {
        for (effect, expected) in [("Allow", ALLOWED), ("Deny", DENIED)] {
            let policy = policy("2012-10-17", &[statement(effect, ANYBODY, action, resource, "")]);
            let expected = if matches { expected } else { Verdict::NoMatch };
            assert_eq!(
                ask(&policy, &Principal::Anonymous, asked, on),
                expected,
                "{effect} {action} {resource}: {asked} {on}"
            );
        }
    }
}

#[test]
fn the_statement_that_decides_is_told() {
    let alice = user('1', "/", "alice");
    let to_account = statement("Allow", r#""Principal":{"AWS":"111111111111"}"#, READ, OBJECTS, "");
    let to_all = statement("Allow", ANYBODY, READ, OBJECTS, r#","Sid":"All""#);
    let deny = statement("Deny", ANYBODY, READ, r#""Resource":"arn:aws:s3:::b/home/*""#, r#","Sid":"Not home""#);
    let policy = policy("2012-10-17", &[to_account, to_all, deny]);
    assert_eq!(ask(&policy, &alice, Action::GetObject, OBJECT), Verdict::Deny { statement: 2 });
    let granted = Verdict::Allow { statement: 1, via: GrantedTo::Principal };
    assert_eq!(ask(&policy, &alice, Action::GetObject, "arn:aws:s3:::b/x"), granted);
    assert_eq!(
        [policy.sid(0), policy.sid(1), policy.sid(2), policy.sid(3)],
        [None, Some("All"), Some("Not home"), None]
    );
}

#[test]
fn an_identity_policy_names_resources_by_patterns_of_whole_arns() {
    for (resource, on, matches) in [
        ("*", "arn:aws:s3:::b", true),
        ("arn:aws:s3:::*", "arn:aws:s3:::b/x", true),
        ("arn:aws:s3:::b*", "arn:aws:s3:::b2", true),
        ("arn:aws:s3:::b*", "arn:aws:s3:::B", false),
        ("arn:aws:s3:::b", "arn:aws:s3:::b/x", false),
        ("arn:aws:s3:::?/*", "arn:aws:s3:::b/x", true),
        ("arn:*:s3:::b", "arn:aws:s3:::b", true),
        ("arn:aws:s3", "arn:aws:s3:::b/x", true),
        ("arn:*:s3", "arn:aws:s3:::b", true),
        ("arn:aws:s3:*", "arn:aws:s3:::b/x:y", true),
        ("arn:aws:s3:us-east-1::b", "arn:aws:s3:::b", false),
        ("arn:aws:sqs", "arn:aws:s3:::b", false),
    ] {
        for (effect, verdict) in [("Allow", ALLOWED), ("Deny", DENIED)] {
            let document =
                format!(r#"{{"Statement":{{"Effect":"{effect}","Action":"s3:*","Resource":"{resource}"}}}}"#);
            let policy = Policy::parse_identity(document.as_bytes()).unwrap().policy;
            let expected = if matches { verdict } else { Verdict::NoMatch };
            let found = ask(&policy, &user('1', "/", "alice"), Action::GetObject, on);
            assert_eq!(found, expected, "{effect} {resource} on {on}");
        }
    }
}

#[test]
fn an_identity_policy_speaks_of_its_holder() {
    let document = br#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":["s3:*BucketPolicy","iam:*"],"Resource":"*"},
        {"Effect":"Allow","Action":"ec2:*","Resource":"*"},
        {"Effect":"Deny","NotAction":"ec2:*","Resource":"arn:aws:s3:::secret*"}]}"#;
    let policy = Policy::parse_identity(document).unwrap().policy;
    let alice = user('1', "/", "alice");
    for (action, resource, verdict) in [
        (Action::PutBucketPolicy, "arn:aws:s3:::b", ALLOWED),
        (Action::PutBucketAcl, "arn:aws:s3:::b", Verdict::NoMatch),
        (Action::GetBucketPolicy, "arn:aws:s3:::secrets", Verdict::Deny { statement: 2 }),
    ] {
        assert_eq!(ask(&policy, &alice, action, resource), verdict, "{action} {resource}");
    }
}

#[test]
fn a_policy_knows_the_keys_it_asks_for() {
    let names = |keys: KeySet| keys.iter().map(|key| key.name()).collect::<Vec<_>>();
    for (version, resource, condition, expected) in [
        ("2012-10-17", "*", "{}", vec![]),
        ("2012-10-17", "*", r#"{"Bool":{"AWS:securetransport":"true"}}"#, vec!["aws:SecureTransport"]),
        ("2012-10-17", "*", r#"{"Null":{"s3:ExistingObjectTag/team":"true"}}"#, vec!["s3:ExistingObjectTag"]),
        (
            "2012-10-17",
            "*",
            r#"{"StringEquals":{"aws:Nonsense":"x","aws:PrincipalTag/a":"x"}}"#,
            vec!["aws:PrincipalTag"],
        ),
        (
            "2012-10-17",
            "*",
            r#"{"IpAddress":{"aws:SourceIp":["192.0.2.0/24"]},"NumericLessThan":{"s3:signatureAge":"1"}}"#,
            vec!["s3:signatureAge", "aws:SourceIp"],
        ),
        (
            "2012-10-17",
            "${aws:username}/${aws:PrincipalTag/team, 'none'}/${$}",
            "{}",
            vec!["aws:PrincipalTag", "aws:username"],
        ),
        ("2008-10-17", "${aws:username}", "{}", vec![]),
        (
            "2012-10-17",
            "*",
            r#"{"StringLike":{"aws:UserAgent":["plain","${aws:userid}*","x/${aws:username}/*"]}}"#,
            vec!["aws:userid", "aws:username", "aws:UserAgent"],
        ),
        (
            "2012-10-17",
            "*",
            r#"{"StringEquals":{"aws:UserAgent":["x","${aws:userid}"]},
                "StringNotEqualsIgnoreCase":{"aws:UserAgent":"${aws:SourceIp}"}}"#,
            vec!["aws:userid", "aws:SourceIp", "aws:UserAgent"],
        ),
        (
            "2012-10-17",
            "*",
            r#"{"ArnLike":{"aws:UserAgent":["*","arn:aws:iam::${aws:PrincipalAccount}:user/x","${aws:PrincipalArn}"]}}"#,
            vec!["aws:PrincipalArn", "aws:PrincipalAccount", "aws:UserAgent"],
        ),
        ("2012-10-17", "*", r#"{"BinaryEquals":{"aws:UserAgent":"QUJD"}}"#, vec!["aws:UserAgent"]),
    ] {
        for element in ["Resource", "NotResource"] {
            let resource = format!(r#""{element}":["arn:aws:s3:::b/{resource}","arn:aws:s3:::b/x"]"#);
            let rest = format!(r#","Condition":{condition}"#);
            let one = policy(version, &[statement("Deny", ANYBODY, READ, &resource, &rest)]);
            assert_eq!(names(one.condition_keys()), expected, "{version} {resource} {condition}");
        }
    }
    let asking_for = |key: &str| format!(r#","Condition":{{"Null":{{"{key}":"true"}}}}"#);
    let bucket = policy(
        "2012-10-17",
        &["aws:referer", "s3:authType"].map(|key| statement("Deny", ANYBODY, READ, OBJECTS, &asking_for(key))),
    );
    let identity =
        format!(r#"{{"Statement":{{"Effect":"Deny",{READ},"Resource":"*"{}}}}}"#, asking_for("aws:UserAgent"));
    let identity = [Arc::new(Policy::parse_identity(identity.as_bytes()).unwrap().policy)];
    let owner = account('1').id;
    let policies = Policies { identity: &identity, bucket: Some(&bucket), owner: &owner };
    let of_user = policies.condition_keys(&user('1', "/", "alice"));
    assert_eq!(names(of_user), ["s3:authType", "aws:referer", "aws:UserAgent"]);
    assert_eq!(names(policies.condition_keys(&root('1'))), ["s3:authType", "aws:referer"], "root's are not asked");
}

fn any_statement() -> impl Strategy<Value = String> {
    let who = prop::sample::select(vec![
        r#""Principal":"*""#,
        r#""Principal":{"AWS":"111111111111"}"#,
        r#""Principal":{"AWS":["arn:aws:iam::111111111111:user/alice","222222222222"]}"#,
        r#""Principal":{"AWS":"arn:aws:iam::111111111111:role/ci"}"#,
        r#""NotPrincipal":{"AWS":["111111111111","arn:aws:iam::111111111111:user/alice"]}"#,
    ]);
    let action = prop::sample::select(vec![
        r#""Action":"s3:GetObject""#,
        r#""Action":["s3:get*","s3:PutObject"]"#,
        r#""Action":"*""#,
        r#""NotAction":"s3:GetObject""#,
    ]);
    let resource = prop::sample::select(vec![
        r#""Resource":["arn:aws:s3:::b","arn:aws:s3:::b/*"]"#,
        r#""Resource":["arn:aws:s3:::b/home/${aws:username}/*"]"#,
        r#""Resource":"arn:aws:s3:::b/home/*""#,
        r#""NotResource":"arn:aws:s3:::b/home/alice/*""#,
    ]);
    let condition = prop::sample::select(vec![
        "",
        "",
        r#","Condition":{}"#,
        r#","Condition":{"StringEquals":{"aws:PrincipalType":["User","Account"]}}"#,
    ]);
    (any::<bool>(), who, action, resource, condition).prop_map(|(allow, who, action, resource, condition)| {
        let effect = if allow && !who.starts_with("\"NotPrincipal") { "Allow" } else { "Deny" };
        statement(effect, who, action, resource, condition)
    })
}

fn any_principal() -> impl Strategy<Value = Principal> {
    prop::sample::select(vec![
        Principal::Anonymous,
        root('1'),
        root('2'),
        user('1', "/", "alice"),
        user('1', "/", "bob"),
        user('2', "/", "alice"),
        session('1', "/", "ci", "s"),
    ])
}

fn any_question() -> impl Strategy<Value = (Principal, Action, &'static str)> {
    let action = prop::sample::select(vec![Action::GetObject, Action::PutObject, Action::PutBucketPolicy]);
    let resource = prop::sample::select(vec!["arn:aws:s3:::b", "arn:aws:s3:::b/x", OBJECT]);
    (any_principal(), action, resource)
}

/// What a verdict says, whichever statement says it.
#[derive(Debug, PartialEq)]
enum Said {
    Deny,
    Allow(GrantedTo),
    Nothing,
}

fn said(verdict: Verdict) -> Said {
    match verdict {
        Verdict::Deny { .. } => Said::Deny,
        Verdict::Allow { via, .. } => Said::Allow(via),
        Verdict::NoMatch => Said::Nothing,
    }
}

proptest! {
    #[test]
    fn an_added_deny_never_turns_a_denial_into_an_allow(
        statements in prop::collection::vec(any_statement(), 1..5),
        added in any_statement().prop_filter("a deny", |statement| statement.contains("\"Deny\"")),
        at in any::<prop::sample::Index>(),
        (principal, action, resource) in any_question(),
    ) {
        let before = said(ask(&policy("2012-10-17", &statements), &principal, action, resource));
        let mut more = statements;
        more.insert(at.index(more.len() + 1), added);
        let after = said(ask(&policy("2012-10-17", &more), &principal, action, resource));
        prop_assert!(after == Said::Deny || after == before, "{before:?} became {after:?}");
    }

    #[test]
    fn an_added_allow_never_grants_what_is_denied_nor_takes_a_grant(
        statements in prop::collection::vec(any_statement(), 1..5),
        added in any_statement().prop_filter("an allow", |statement| statement.contains("\"Allow\"")),
        (principal, action, resource) in any_question(),
    ) {
        let before = said(ask(&policy("2012-10-17", &statements), &principal, action, resource));
        let mut more = statements;
        more.push(added);
        let after = said(ask(&policy("2012-10-17", &more), &principal, action, resource));
        let grows = match (&before, &after) {
            (Said::Deny, after) => *after == Said::Deny,
            (Said::Allow(before), Said::Allow(after)) => after >= before,
            (Said::Allow(_), Said::Deny | Said::Nothing) => false,
            (Said::Nothing, after) => *after != Said::Deny,
        };
        prop_assert!(grows, "{before:?} became {after:?}");
    }

    #[test]
    fn the_order_of_statements_does_not_count(
        (ordered, shuffled) in prop::collection::vec(any_statement(), 1..6)
            .prop_flat_map(|statements| (Just(statements.clone()), Just(statements).prop_shuffle())),
        (principal, action, resource) in any_question(),
    ) {
        let [ordered, shuffled] = [ordered, shuffled].map(|s| said(ask(&policy("2012-10-17", &s), &principal, action, resource)));
        prop_assert_eq!(ordered, shuffled);
    }

    #[test]
    fn the_case_of_actions_does_not_count(
        action in prop::sample::select(Action::ALL),
        upper in prop::collection::vec(any::<bool>(), 64),
    ) {
        let name: String = action.name().chars().zip(upper.into_iter().cycle())
            .map(|(c, upper)| if upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect();
        let document = |name: &str| {
            format!(r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"{name}","Resource":"*"}}}}"#)
        };
        let [mixed, exact] = [name.as_str(), action.name()].map(|name| Policy::parse_identity(document(name).as_bytes()).unwrap().policy);
        prop_assert_eq!(mixed, exact);
    }

    #[test]
    fn the_normalised_form_is_the_same_policy(statements in prop::collection::vec(any_statement(), 1..5)) {
        let document = format!("{{ \"Statement\" : [{}], \"Version\" : \"2012-10-17\" }}", statements.join(" , "));
        let form = crate::policy::PolicyDocument::parse(document.as_bytes()).unwrap().normalized();
        let [written, normal] = [&document, &form].map(|text| Policy::parse(text.as_bytes(), "b").unwrap().policy);
        prop_assert_eq!(written, normal);
    }
}
