//! F what goes together, C conditions, V their values and variables.

use super::*;

#[test]
fn f_what_goes_together() {
    let fit = |action: &str, resource: &str| policy(&[("Action", action), ("Resource", resource)]);
    let (bucket, objects) = (r#""arn:aws:s3:::b""#, r#""arn:aws:s3:::b/*""#);
    let both = r#"["arn:aws:s3:::b","arn:aws:s3:::b/*"]"#;
    let keyed =
        |action: &str, condition: &str| policy(&[("Action", action), ("Resource", both), ("Condition", condition)]);
    let prefix = r#"{"StringLike":{"s3:prefix":"home/*"}}"#;
    test_valid(&[
        valid("F1", fit(r#"["s3:GetObject","s3:ListBucket"]"#, both)),
        valid("F2", fit(r#""s3:*""#, bucket)),
        valid("F2", fit(r#""s3:*""#, objects)),
        valid("F2", fit(r#""*""#, objects)),
        valid("F2", fit(r#""s3:Get*""#, bucket)),
        valid("F2", fit(r#""s3:*Multipart*""#, bucket)),
        valid("F3", fit(r#""s3:GetObject""#, both)),
        valid("F4", policy(&[("Action", ""), ("NotAction", r#""s3:GetObject""#), ("Resource", bucket)])),
        valid("F4", policy(&[("Action", r#""s3:ListBucket""#), ("Resource", ""), ("NotResource", objects)])),
        valid("F4", policy(&[("Action", ""), ("NotAction", r#""s3:PutObject""#), ("Condition", prefix)])),
        valid("F5", keyed(r#""s3:ListBucket""#, prefix)),
        valid("F5", keyed(r#"["s3:ListBucket","s3:Get*"]"#, prefix)),
        valid("F5", keyed(r#""s3:*""#, prefix)),
        valid("F5", keyed(r#""s3:GetObject""#, r#"{"StringLike":{"aws:RequestTag/x":"y"}}"#)),
        valid(
            "F6",
            keyed(
                r#"["s3:GetObject","s3:PutBucketPolicy"]"#,
                r#"{"StringEquals":{"s3:authType":"POST","s3:signatureversion":"AWS4-HMAC-SHA256"},"NumericLessThan":{"s3:TlsVersion":"1.2","s3:signatureAge":600000}}"#,
            ),
        ),
    ]);
    let of_prefix =
        |action: &str| format!("Statement NO_ID-0, Condition.StringLike.s3:prefix: {action} does not have this key");
    test_broken(&[
        broken("F1", fit(r#""s3:ListBucket""#, objects), NO_FIT, r#"Statement NO_ID-0, Action: "s3:ListBucket""#),
        broken("F1", fit(r#""s3:GetObject""#, bucket), NO_FIT, r#"Statement NO_ID-0, Action: "s3:GetObject""#),
        broken(
            "F1",
            fit(r#"["s3:GetObject","s3:ListBucket"]"#, objects),
            NO_FIT,
            r#"Statement NO_ID-0, Action[1]: "s3:ListBucket""#,
        ),
        broken("F2", fit(r#""s3:GetObject*""#, bucket), NO_FIT, r#"Statement NO_ID-0, Action: "s3:GetObject*""#),
        broken("F2", fit(r#""s3:GetBucket*""#, objects), NO_FIT, r#"Statement NO_ID-0, Action: "s3:GetBucket*""#),
        broken("F5", keyed(r#""s3:GetObject""#, prefix), KEY_NO_FIT, &of_prefix("s3:GetObject")),
        broken(
            "F5",
            keyed(r#"["s3:ListBucket","s3:GetBucketLocation"]"#, prefix),
            KEY_NO_FIT,
            &of_prefix("s3:GetBucketLocation"),
        ),
        broken(
            "F5",
            keyed(r#"["s3:GetObject","s3:PutObject"]"#, r#"{"StringEquals":{"s3:ExistingObjectTag/x":"y"}}"#),
            KEY_NO_FIT,
            "Statement NO_ID-0, Condition.StringEquals.s3:ExistingObjectTag/x: s3:PutObject does not have this key",
        ),
        broken(
            "F6",
            keyed(r#""s3:ListBucketMultipartUploads""#, prefix),
            KEY_NO_FIT,
            &of_prefix("s3:ListBucketMultipartUploads"),
        ),
    ]);
}

#[test]
fn c_condition() {
    let mut rows = vec![
        valid("C1", condition("{}")),
        valid("C1", condition(r#"{"Bool":{}}"#)),
        valid(
            "C1",
            condition(
                r#"{"Bool":{"aws:SecureTransport":false},"NumericLessThan":{"aws:MultiFactorAuthAge":3600.5},"StringLike":{"aws:UserAgent":["a",1,true]}}"#,
            ),
        ),
        valid("C5", condition(r#"{"StringEquals":{"AWS:referer":"x","aws:NoSuchKey":"y"}}"#)),
        valid("C7", condition(r#"{"StringEquals":{"s3:ExistingObjectTag/Team":"x","s3:ExistingObjectTag/team":"y"}}"#)),
        valid("C9", condition(r#"{"StringEquals":{"saml:sub":"x","ec2:SourceInstanceArn":"y"}}"#)),
    ];
    for operator in
        ["StringEquals", "StringNotLikeIfExists", "ForAnyValue:StringLike", "ForAllValues:StringEqualsIfExists"]
    {
        rows.push(valid("C2-C4", condition(&format!(r#"{{"{operator}":{{"aws:UserAgent":"x"}}}}"#))));
    }
    test_valid(&rows);

    let keyed = |key: &str| condition(&format!(r#"{{"StringEquals":{{"aws:UserAgent":"x","{key}":"x"}}}}"#));
    let mut rows = vec![
        broken("C1", condition("[]"), SYNTAX, "Statement NO_ID-0, Condition: []"),
        broken("C1", condition(r#""x""#), SYNTAX, r#"Statement NO_ID-0, Condition: "x""#),
        broken("C1", condition("null"), SYNTAX, "Statement NO_ID-0, Condition: null"),
        broken("C1", condition(r#"{"Bool":true}"#), SYNTAX, "Statement NO_ID-0, Condition.Bool: true"),
        broken("C1", condition(r#"{"Bool":{"aws:k":null}}"#), SYNTAX, "Statement NO_ID-0, Condition.Bool.aws:k: null"),
        broken("C1", condition(r#"{"Bool":{"aws:k":{}}}"#), SYNTAX, "Statement NO_ID-0, Condition.Bool.aws:k: {}"),
        broken("C1", condition(r#"{"Bool":{"aws:k":[]}}"#), SYNTAX, "Statement NO_ID-0, Condition.Bool.aws:k: []"),
        broken(
            "C1",
            condition(r#"{"Bool":{"aws:k":[["a"]]}}"#),
            SYNTAX,
            r#"Statement NO_ID-0, Condition.Bool.aws:k[0]: ["a"]"#,
        ),
        broken(
            "C8",
            keyed(""),
            KEY,
            "Statement NO_ID-0, Condition.StringEquals.: a key is a service's prefix and a name, and a tag's name where it speaks of a tag",
        ),
    ];
    let operators = [
        ("C2", "StringEqual"),
        ("C2", "stringequals"),
        ("C2", "Ipaddress"),
        ("C2", "BoolEquals"),
        ("C2", "StringMatch"),
        ("C3", "NullIfExists"),
        ("C3", "StringEqualsIfexists"),
        ("C4", "ForSomeValues:StringLike"),
        ("C4", "foranyvalue:StringLike"),
    ]
    .map(|(rule, name)| {
        let detail = format!("Statement NO_ID-0, Condition.{name}: no such operator");
        (rule, name, format!("Invalid Condition type : {name}"), detail)
    });
    for (rule, name, message, detail) in &operators {
        rows.push(broken(rule, condition(&format!(r#"{{"{name}":{{"aws:UserAgent":"x"}}}}"#)), message, detail));
    }
    let incomplete = "a key is a service's prefix and a name, and a tag's name where it speaks of a tag";
    let keys = [
        ("C6", "s3:VersionStatus", "no such key"),
        ("C6", "s3:x-acl", "no such key"),
        ("C6", "s3:Prefix2", "no such key"),
        ("C6", "s3:AccessGrantScope", "a key of batch jobs and access grants, which bucket policies cannot use"),
        ("C7", "s3:ExistingObjectTag", incomplete),
        ("C8", "prefix", incomplete),
        ("C9", "kms:ViaService", "no such key"),
    ]
    .map(|(rule, key, what)| (rule, key, format!("Statement NO_ID-0, Condition.StringEquals.{key}: {what}")));
    for (rule, key, detail) in &keys {
        // The second key of its operator: C10.
        rows.push(broken(rule, keyed(key), KEY, detail));
    }
    test_broken(&rows);
}

#[test]
fn v_values_and_variables() {
    let ip = |value: &str| condition(&format!(r#"{{"IpAddress":{{"aws:SourceIp":{value}}}}}"#));
    test_valid(&[
        valid("V1", ip(r#"["10.0.0.7/8","2001:db8::/32","::1"]"#)),
        valid("V1", condition(r#"{"NotIpAddressIfExists":{"aws:VpcSourceIp":"10.0.0.0/8"}}"#)),
        valid("V1", condition(r#"{"Null":{"aws:SourceIp":"true"}}"#)),
        valid("V3", condition(r#"{"BinaryEquals":{"aws:k":"QUJD"}}"#)),
        valid(
            "V4",
            condition(
                r#"{"NumericLessThan":{"aws:MultiFactorAuthAge":"many"},"Bool":{"aws:SecureTransport":"no"},"DateLessThan":{"aws:CurrentTime":"soon"},"ArnLike":{"aws:PrincipalArn":"me"},"Null":{"aws:userid":"maybe"}}"#,
            ),
        ),
        valid(
            "V5",
            condition(r#"{"DateLessThan":{"aws:CurrentTime":["2026","2026-01-31T10:00:00.5+02:00",1767225600]}}"#),
        ),
        valid("V6", policy(&[("Resource", r#""arn:aws:s3:::b/${aws:username, 'anonymous'}/*""#)])),
        valid("V7", policy(&[("Resource", r#"["arn:aws:s3:::b/${}","arn:aws:s3:::b/${aws:username"]"#)])),
    ]);
    let mut rows = vec![
        broken("V2", ip(r#"["10.0.0.0/8","x"]"#), IP, r#"Statement NO_ID-0, Condition.IpAddress.aws:SourceIp[1]: "x""#),
        broken(
            "V1",
            condition(r#"{"NotIpAddress":{"aws:VpcSourceIp":"home"}}"#),
            IP,
            r#"Statement NO_ID-0, Condition.NotIpAddress.aws:VpcSourceIp: "home""#,
        ),
        broken(
            "V1",
            condition(r#"{"StringEquals":{"aws:SourceIp":"home"}}"#),
            IP,
            r#"Statement NO_ID-0, Condition.StringEquals.aws:SourceIp: "home""#,
        ),
        broken(
            "V3",
            condition(r#"{"BinaryEquals":{"aws:k":"%%%"}}"#),
            "Invalid Base64 value for binary condition",
            r#"Statement NO_ID-0, Condition.BinaryEquals.aws:k: "%%%""#,
        ),
    ];
    let refused = ["192.168.100", "256.1.1.1", "10.0.0.0/33", "fe80::/129", "home", "10.0.0.1-9", "${aws:SourceIp}"];
    let details = refused.map(|text| format!("Statement NO_ID-0, Condition.IpAddress.aws:SourceIp: \"{text}\""));
    for (text, detail) in refused.iter().zip(&details) {
        rows.push(broken("V1", ip(&format!("\"{text}\"")), IP, detail));
    }
    test_broken(&rows);
}
