//! A statement and its elements: S, P principals, A actions, R resources.

use super::*;

#[test]
fn s_statement() {
    test_valid(&[
        valid("S2", policy(&[("Sid", r#""Read only, v1.0 - all""#)])),
        valid("S2", policy(&[("Sid", r#""""#)])),
        valid("S3", format!(r#"{{"Statement":[{0},{0}]}}"#, statement(&[("Sid", r#""a""#)]))),
        valid("S5", policy(&[("Effect", r#""Deny""#)])),
        valid("S7", policy(&[("Effect", r#""Deny""#), ("Principal", ""), ("NotPrincipal", r#""*""#)])),
        valid("S7", policy(&[("Action", ""), ("NotAction", r#""s3:GetObject""#)])),
        valid("S7", policy(&[("Resource", ""), ("NotResource", r#""arn:aws:s3:::b/x""#)])),
        valid("S11", policy(&[])),
    ]);
    let elements = "Actions: the elements here are Sid, Effect, Principal, NotPrincipal, Action, NotAction, Resource, NotResource, Condition";
    let named = |rest: &str| format!("Statement 0 (Sid \"ReadOnly\"), {rest}");
    test_broken(&[
        broken("S1", policy(&[("Actions", "[]"), ("Sid", r#""ReadOnly""#)]), "Unknown field Actions", &named(elements)),
        broken("S2", policy(&[("Sid", "1")]), SYNTAX, "Statement NO_ID-0, Sid: 1"),
        broken("S2", policy(&[("Sid", "null")]), SYNTAX, "Statement NO_ID-0, Sid: null"),
        broken("S2", policy(&[("Sid", "[]")]), SYNTAX, "Statement NO_ID-0, Sid: []"),
        broken(
            "S4",
            policy(&[("Effect", "")]),
            "Missing required field Effect",
            "Statement NO_ID-0: there is no Effect",
        ),
        broken(
            "S5",
            policy(&[("Effect", r#""allow""#)]),
            "Invalid effect: allow",
            r#"Statement NO_ID-0, Effect: "allow""#,
        ),
        broken(
            "S5",
            policy(&[("Effect", r#""ALLOW""#)]),
            "Invalid effect: ALLOW",
            r#"Statement NO_ID-0, Effect: "ALLOW""#,
        ),
        broken("S5", policy(&[("Effect", r#""""#)]), "Invalid effect: ", r#"Statement NO_ID-0, Effect: """#),
        broken("S6", policy(&[("Effect", r#"["Allow"]"#)]), SYNTAX, r#"Statement NO_ID-0, Effect: ["Allow"]"#),
        broken("S6", policy(&[("Effect", "true")]), SYNTAX, "Statement NO_ID-0, Effect: true"),
        broken("S6", policy(&[("Effect", "null")]), SYNTAX, "Statement NO_ID-0, Effect: null"),
        broken(
            "S7",
            policy(&[("NotPrincipal", r#""*""#)]),
            SYNTAX,
            "Statement NO_ID-0, NotPrincipal: there is Principal in the same statement",
        ),
        broken(
            "S7",
            policy(&[("NotAction", r#""s3:*""#)]),
            SYNTAX,
            "Statement NO_ID-0, NotAction: there is Action in the same statement",
        ),
        broken(
            "S7",
            policy(&[("NotResource", r#""arn:aws:s3:::b""#)]),
            SYNTAX,
            "Statement NO_ID-0, NotResource: there is Resource in the same statement",
        ),
        broken(
            "S8",
            policy(&[("Principal", "")]),
            "Missing required field Principal",
            "Statement NO_ID-0: there is neither Principal nor NotPrincipal",
        ),
        broken(
            "S9",
            policy(&[("Action", "")]),
            "Missing required field Action",
            "Statement NO_ID-0: there is neither Action nor NotAction",
        ),
        broken(
            "S10",
            policy(&[("Resource", "")]),
            "Missing required field Resource",
            "Statement NO_ID-0: there is neither Resource nor NotResource",
        ),
    ]);
}

#[test]
fn p_principal() {
    let canonical = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be";
    let of_kind = |kind: &str, value: &str| policy(&[("Principal", &format!(r#"{{"{kind}":{value}}}"#))]);
    let mut rows = vec![
        valid(
            "P5",
            policy(&[(
                "Principal",
                &format!(
                    r#"{{"AWS":["111122223333","*"],"CanonicalUser":"{canonical}","Service":["logging.s3.amazonaws.com"]}}"#
                ),
            )]),
        ),
        valid("P12", of_kind("CanonicalUser", &format!(r#"["{canonical}"]"#))),
        valid("P13", of_kind("Federated", r#""cognito-identity.amazonaws.com""#)),
        valid(
            "P14",
            of_kind("Service", r#"["cloudtrail.amazonaws.com","logs.eu-west-1.amazonaws.com","ec2.amazonaws.com.cn"]"#),
        ),
        valid("P16", aws(r#""*""#)),
        valid("P16", aws(r#"["*"]"#)),
        valid("P16", aws(r#"["*","arn:aws:iam::111122223333:root"]"#)),
        valid(
            "P17",
            policy(&[("Effect", r#""Deny""#), ("Principal", ""), ("NotPrincipal", r#"{"AWS":"111122223333"}"#)]),
        ),
    ];
    for principal in [
        "*",
        "111122223333",
        "arn:aws:iam::111122223333:root",
        "arn:aws:iam::111122223333:user/alice",
        "arn:aws:iam::111122223333:user/team/blue/a+l=i,c.e@x_y-z",
        "arn:aws:iam::111122223333:role/ci",
        "arn:aws:iam::111122223333:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX",
        "arn:aws:sts::111122223333:assumed-role/ci/session@1",
        "arn:aws:sts::111122223333:federated-user/bob",
        "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity EH1HDMB1FH2TC",
    ] {
        rows.push(valid("P7", aws(&format!("\"{principal}\""))));
    }
    test_valid(&rows);

    let whole = |value: &str| policy(&[("Principal", value)]);
    let not = |value: &str| policy(&[("Effect", r#""Deny""#), ("Principal", ""), ("NotPrincipal", value)]);
    let mut rows = vec![
        broken(
            "P1",
            whole(r#""arn:aws:iam::111122223333:root""#),
            SYNTAX,
            r#"Statement NO_ID-0, Principal: "arn:aws:iam::111122223333:root""#,
        ),
        broken("P1", whole(r#""111122223333""#), SYNTAX, r#"Statement NO_ID-0, Principal: "111122223333""#),
        broken("P1", whole("null"), SYNTAX, "Statement NO_ID-0, Principal: null"),
        broken("P2", whole(r#"["*"]"#), SYNTAX, r#"Statement NO_ID-0, Principal: ["*"]"#),
        broken("P3", whole(r#""""#), NO_PRINCIPAL, r#"Statement NO_ID-0, Principal: """#),
        broken("P3", whole("{}"), NO_PRINCIPAL, "Statement NO_ID-0, Principal: {}"),
        broken(
            "P4",
            whole(r#"{"aws":"*"}"#),
            PRINCIPAL,
            "Statement NO_ID-0, Principal.aws: the kinds are AWS, CanonicalUser, Federated, Service",
        ),
        broken(
            "P4",
            whole(r#"{"User":"*"}"#),
            PRINCIPAL,
            "Statement NO_ID-0, Principal.User: the kinds are AWS, CanonicalUser, Federated, Service",
        ),
        broken("P6", aws("[]"), PRINCIPAL, "Statement NO_ID-0, Principal.AWS: []"),
        broken("P6", aws("[1]"), PRINCIPAL, "Statement NO_ID-0, Principal.AWS[0]: 1"),
        broken("P6", aws("null"), PRINCIPAL, "Statement NO_ID-0, Principal.AWS: null"),
        broken("P6", aws(r#"["*",["*"]]"#), PRINCIPAL, r#"Statement NO_ID-0, Principal.AWS[1]: ["*"]"#),
        broken(
            "P12",
            of_kind("CanonicalUser", r#""*""#),
            PRINCIPAL,
            r#"Statement NO_ID-0, Principal.CanonicalUser: "*""#,
        ),
        broken(
            "P14",
            of_kind("Service", r#""cloudtrail""#),
            PRINCIPAL,
            r#"Statement NO_ID-0, Principal.Service: "cloudtrail""#,
        ),
        broken("P14", of_kind("Service", r#""*""#), PRINCIPAL, r#"Statement NO_ID-0, Principal.Service: "*""#),
        broken(
            "P14",
            of_kind("Service", r#"".amazonaws.com""#),
            PRINCIPAL,
            r#"Statement NO_ID-0, Principal.Service: ".amazonaws.com""#,
        ),
        broken(
            "P17",
            not(r#"{"AWS":"arn:aws:iam::111122223333:user/*"}"#),
            PRINCIPAL,
            r#"Statement NO_ID-0, NotPrincipal.AWS: "arn:aws:iam::111122223333:user/*""#,
        ),
        broken("P17", not("{}"), NO_PRINCIPAL, "Statement NO_ID-0, NotPrincipal: {}"),
        broken(
            "P18",
            policy(&[("Principal", ""), ("NotPrincipal", r#"{"AWS":"111122223333"}"#)]),
            "Allow with NotPrincipal is not allowed.",
            r#"Statement NO_ID-0, NotPrincipal: {"AWS":"111122223333"}"#,
        ),
    ];
    let (short, long) = (canonical.trim_start_matches('7'), format!("{canonical}0"));
    let refused: Vec<(&str, &str)> = [
        ("P8", "arn:aws:iam::111122223333:user/*"),
        ("P8", "arn:aws:iam::111122223333:role/dev*"),
        ("P8", "arn:aws:iam::*:root"),
        ("P8", "arn:aws:sts::111122223333:assumed-role/R/*"),
        ("P8", "1111*"),
        ("P8", "arn:aws:iam::111122223333:user/a?b"),
        ("P9", "11112222333"),
        ("P9", "1111222233334"),
        ("P9", "11112222333a"),
        ("P9", "arn:aws:iam::11112222333:root"),
        ("P10", "arn:aws:iam::111122223333:user/"),
        ("P10", "arn:aws:iam::111122223333:user"),
        ("P10", "arn:aws:iam::111122223333:group/admins"),
        ("P10", "arn:aws:iam::111122223333:instance-profile/x"),
        ("P10", "arn:aws:iam::111122223333:policy/x"),
        ("P10", "arn:aws:iam::111122223333:"),
        ("P10", "arn:aws:iam::111122223333:root/"),
        ("P10", "arn:aws:sts::111122223333:assumed-role/R"),
        ("P10", "arn:aws:sts::111122223333:user/alice"),
        ("P10", "arn:aws:iam::cloudfront:user/alice"),
        ("P11", "arn:aws:iam::111122223333:user/${aws:username}"),
        ("P7", "arn:aws-cn:iam::111122223333:root"),
        ("P7", "alice"),
        ("P7", ""),
    ]
    .to_vec();
    let details: Vec<String> =
        refused.iter().map(|(_, text)| format!("Statement NO_ID-0, Principal.AWS: \"{text}\"")).collect();
    for ((rule, text), detail) in refused.iter().zip(&details) {
        rows.push(broken(rule, aws(&format!("\"{text}\"")), PRINCIPAL, detail));
    }
    let details =
        [short, &long].map(|text| (text.to_owned(), format!("Statement NO_ID-0, Principal.CanonicalUser: \"{text}\"")));
    for (text, detail) in &details {
        rows.push(broken("P12", of_kind("CanonicalUser", &format!("\"{text}\"")), PRINCIPAL, detail));
    }
    test_broken(&rows);
}

#[test]
fn a_action() {
    let both = r#"["arn:aws:s3:::b","arn:aws:s3:::b/*"]"#;
    let action = |value: &str| policy(&[("Action", value), ("Resource", both)]);
    test_valid(&[
        valid("A1", action(r#"["s3:GetObject","s3:ListBucket"]"#)),
        valid("A2", action(r#""*""#)),
        valid("A2", action(r#""S3:getobject""#)),
        valid("A5", action(r#""s3:Get*""#)),
        valid("A5", action(r#""s3:?etObject""#)),
        valid("A5", action(r#""s3:*Policy*""#)),
        valid("A7", action(r#"["s3:GetObject","s3:GetObject","s3:*"]"#)),
        valid("A8", policy(&[("Action", ""), ("NotAction", r#"["s3:DeleteBucket"]"#)])),
    ]);
    let mut rows = vec![
        broken("A1", action("[]"), ACTION, "Statement NO_ID-0, Action: []"),
        broken("A1", action("{}"), ACTION, "Statement NO_ID-0, Action: {}"),
        broken("A1", action("1"), ACTION, "Statement NO_ID-0, Action: 1"),
        broken("A1", action("null"), SYNTAX, "Statement NO_ID-0, Action: null"),
        broken("A1", action(r#"[["s3:GetObject"]]"#), ACTION, r#"Statement NO_ID-0, Action[0]: ["s3:GetObject"]"#),
        broken("A4", action(r#"["s3:GetObject","s3:Foo"]"#), ACTION, r#"Statement NO_ID-0, Action[1]: "s3:Foo""#),
        broken(
            "A8",
            policy(&[("Action", ""), ("NotAction", r#""s3:Nope""#)]),
            ACTION,
            r#"Statement NO_ID-0, NotAction: "s3:Nope""#,
        ),
    ];
    let refused = [
        ("A1", ""),
        ("A2", "GetObject"),
        ("A2", "s3"),
        ("A2", "s3:"),
        ("A2", "s3::GetObject"),
        ("A2", "s3:Put-Object"),
        ("A2", "s3*"),
        ("A2", "*:*"),
        ("A2", "s?:GetObject"),
        ("A2", " s3:GetObject"),
        ("A3", "ec2:RunInstances"),
        ("A3", "s3-object-lambda:GetObject"),
        ("A3", "s3express:*"),
        ("A4", "s3:HeadBucket"),
        ("A4", "s3:ListObjectsV2"),
        ("A4", "s3:PutObjectLockConfiguration"),
        ("A4", "s3:CopyObject"),
        ("A4", "s3:${aws:username}"),
        ("A5", "s3:Foo*"),
        ("A5", "s3:????"),
        ("A6", "s3:ListAllMyBuckets"),
        ("A6", "s3:CreateJob"),
        ("A6", "s3:*Job"),
    ];
    let details = refused.map(|(_, text)| format!("Statement NO_ID-0, Action: \"{text}\""));
    for ((rule, text), detail) in refused.iter().zip(&details) {
        rows.push(broken(rule, action(&format!("\"{text}\"")), ACTION, detail));
    }
    test_broken(&rows);
}

#[test]
fn r_resource() {
    let resource = |value: &str| policy(&[("Action", r#""s3:*""#), ("Resource", value)]);
    test_valid(&[
        valid("R1", resource(r#"["arn:aws:s3:::b","arn:aws:s3:::b/*"]"#)),
        valid("R2", resource(r#""arn:aws:s3:::b""#)),
        valid("R2", resource(r#""arn:aws:s3:::b/""#)),
        valid("R6", resource(r#""arn:aws:s3:::b/a//ü*?/../${aws:username}/${*}""#)),
        valid("R8", resource(r#"["arn:aws:s3:::b","arn:aws:s3:::b"]"#)),
        valid("R9", policy(&[("Resource", ""), ("NotResource", r#""arn:aws:s3:::b/x""#)])),
    ]);
    let mut rows = vec![
        broken("R1", resource("[]"), RESOURCE, "Statement NO_ID-0, Resource: []"),
        broken("R1", resource("{}"), RESOURCE, "Statement NO_ID-0, Resource: {}"),
        broken("R1", resource("null"), SYNTAX, "Statement NO_ID-0, Resource: null"),
        broken("R7", resource(r#"["arn:aws:s3:::b/*","*"]"#), RESOURCE, r#"Statement NO_ID-0, Resource[1]: "*""#),
        broken(
            "R9",
            policy(&[("Resource", ""), ("NotResource", r#""*""#)]),
            RESOURCE,
            r#"Statement NO_ID-0, NotResource: "*""#,
        ),
    ];
    let refused = [
        ("R1", ""),
        ("R2", "arn:aws:s3:::other/*"),
        ("R2", "arn:aws:s3:::b2"),
        ("R2", "b/*"),
        ("R3", "*"),
        ("R3", "arn:aws:s3:::*"),
        ("R4", "arn:aws:s3:us-east-1::b/*"),
        ("R4", "arn:aws:s3::111122223333:b/*"),
        ("R4", "ARN:aws:s3:::b"),
        ("R4", "arn:aws:sqs:::b"),
        ("R5", "arn:aws:s3:::B/*"),
        ("R5", "arn:aws:s3:::b*"),
        ("R5", "arn:aws:s3:::?"),
        ("R5", "arn:aws:s3:::${x}"),
    ];
    let details = refused.map(|(_, text)| format!("Statement NO_ID-0, Resource: \"{text}\""));
    for ((rule, text), detail) in refused.iter().zip(&details) {
        rows.push(broken(rule, resource(&format!("\"{text}\"")), RESOURCE, detail));
    }
    test_broken(&rows);
}
