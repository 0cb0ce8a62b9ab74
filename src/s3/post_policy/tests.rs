//! Policies against forms. The answers are those S3 is on record with, where it is.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn encoded(document: &str) -> String {
    STANDARD.encode(document)
}

fn with(conditions: &str) -> String {
    encoded(&format!("{{\"expiration\": \"2030-01-01T00:00:00.000Z\", \"conditions\": [{conditions}]}}"))
}

fn form(fields: &[(&str, &str)]) -> Form {
    let fields = fields
        .iter()
        .map(|(name, value)| format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    let file = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"cat.jpg\"\r\n\r\n".to_owned();
    let body: String = fields.chain([file]).collect();
    Form::parse("multipart/form-data; boundary=x", body.as_bytes()).unwrap()
}

fn bucket() -> BucketName {
    BucketName::parse("photos").unwrap()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// 2030-01-01T00:00:00Z.
const EXPIRATION: u64 = 1_893_456_000;

fn check(policy: &str, fields: &[(&str, &str)]) -> Result<SizeRange, String> {
    let policy = PostPolicy::parse(policy).map_err(|error| error.to_string())?;
    policy.check(&form(fields), &bucket(), at(EXPIRATION - 1)).map_err(|error| error.to_string())
}

const FAILED: &str = "Invalid according to Policy: Policy Condition failed: ";

#[test]
fn conditions_are_met_or_named() {
    let fields: &[(&str, &str)] = &[
        ("key", "user/${filename}"),
        ("ACL", "public-read"),
        ("Content-Type", "image/jpg,image/png"),
        ("x-amz-meta-tag", "a,b"),
        ("x-amz-signature", "no condition needs to name it"),
        ("policy", "nor this"),
        ("x-ignore-me", "nor that"),
    ];
    let rest = "{\"bucket\":\"photos\"},[\"starts-with\",\"$key\",\"\"],[\"starts-with\",\"$acl\",\"\"],\
                [\"starts-with\",\"$content-type\",\"\"],[\"starts-with\",\"$x-amz-meta-tag\",\"\"]";
    for (condition, failed) in [
        ("{\"acl\": \"public-read\"}", None),
        ("{\"AcL\": \"public-read\"}", None),
        ("[\"eq\", \"$acl\", \"public-read\"]", None),
        ("[\"StArTs-WiTh\", \"$KeY\", \"user/\"]", None),
        ("[\"eq\", \"$key\", \"user/cat.jpg\"]", None),
        ("[\"eq\", \"\\$key\", \"user/\\u0063at.jpg\",]", None),
        ("[\"starts-with\", \"$Content-Type\", \"image/\"]", None),
        ("[\"starts-with\", \"$x-amz-meta-tag\", \"a\"]", None),
        ("[\"eq\", \"$bucket\", \"photos\"]", None),
        ("[\"content-length-range\", \"0\", 18446744073709551615]", None),
        ("{\"acl\": \"private\"}", Some("[\"eq\", \"$acl\", \"private\"]")),
        ("{\"acl\": \"Public-Read\"}", Some("[\"eq\", \"$acl\", \"Public-Read\"]")),
        ("[\"starts-with\", \"$Key\", \"User/\"]", Some("[\"starts-with\", \"$Key\", \"User/\"]")),
        ("[\"eq\",\"$key\",\"user/${filename}\"]", Some("[\"eq\", \"$key\", \"user/${filename}\"]")),
        (
            "[\"starts-with\", \"$Content-Type\", \"image/j\"]",
            Some("[\"starts-with\", \"$Content-Type\", \"image/j\"]"),
        ),
        ("[\"eq\", \"acl\", \"public-read\"]", Some("[\"eq\", \"acl\", \"public-read\"]")),
        ("[\"starts-with\", \"$expires\", \"\"]", Some("[\"starts-with\", \"$expires\", \"\"]")),
        ("[\"eq\", \"$expires\", \"\"]", Some("[\"eq\", \"$expires\", \"\"]")),
        ("[\"eq\", \"$acl\", \"\\\"q\\\"\"]", Some("[\"eq\", \"$acl\", \"\\\"q\\\"\"]")),
        ("{\"x-amz-security-token\": \"t\"}", Some("[\"eq\", \"$x-amz-security-token\", ...]")),
        ("{\"bucket\": \"other\"}", Some("[\"eq\", \"$bucket\", \"other\"]")),
        ("[\"content-length-range\", \"test\", \"10\"]", Some("[\"content-length-range\", \"test\", \"10\"]")),
    ] {
        let expected = match failed {
            None => Ok(SizeRange::ANY),
            Some(shown) => Err(format!("{FAILED}{shown}")),
        };
        assert_eq!(check(&with(&format!("{condition}, {rest}")), fields), expected, "{condition}");
    }
}

#[test]
fn every_field_needs_a_condition() {
    for (conditions, fields, extra) in [
        ("{\"bucket\":\"photos\"},{\"key\":\"k\"}", vec![("key", "k")], None),
        ("{\"key\":\"k\"}", vec![("key", "k")], Some("bucket")),
        ("{\"bucket\":\"photos\"}", vec![("key", "k")], Some("key")),
        (
            "{\"bucket\":\"photos\"},{\"key\":\"k\"}",
            vec![("key", "k"), ("A", "1"), ("x-amz-b", "2")],
            Some("a, x-amz-b"),
        ),
        ("{\"bucket\":\"photos\"},{\"key\":\"k\"}", vec![("key", "k"), ("bucket", "photos")], None),
        // One that cannot be met elsewhere is none here.
        ("{\"bucket\":\"photos\"},{\"key\":\"k\"}", vec![("key", "k"), ("submit", "Upload")], Some("submit")),
    ] {
        let expected = extra.map(|names| format!("Invalid according to Policy: Extra input fields: {names}"));
        assert_eq!(check(&with(conditions), &fields).err(), expected, "{conditions} {fields:?}");
    }
}

#[test]
fn the_form_cannot_name_another_bucket() {
    let fields = [("key", "k"), ("bucket", "other")];
    let conditions = "[\"starts-with\",\"$bucket\",\"\"],{\"key\":\"k\"}";
    let policy = PostPolicy::parse(&with(conditions)).unwrap();
    let other = PostPolicyError::OtherBucket("other".to_owned());
    assert_eq!(policy.check(&form(&fields), &bucket(), at(0)), Err(other.clone()));
    assert_eq!(check_anonymous(&form(&fields), &bucket()), Err(other.clone()));
    assert_eq!(check_anonymous(&form(&[("key", "k"), ("bucket", "photos")]), &bucket()), Ok(SizeRange::ANY));
    assert_eq!(S3Error::from(other).code(), ErrorCode::InvalidArgument);
}

#[test]
fn a_policy_counts_until_it_expires() {
    let policy = PostPolicy::parse(&with("{\"bucket\":\"photos\"},{\"key\":\"k\"}")).unwrap();
    for (now, expired) in [(0, false), (EXPIRATION, false), (EXPIRATION + 1, true)] {
        let checked = policy.check(&form(&[("key", "k")]), &bucket(), at(now));
        assert_eq!(checked == Err(PostPolicyError::Expired), expired, "{now}");
    }
    let answer = S3Error::from(PostPolicyError::Expired);
    assert_eq!(
        (answer.code(), answer.message()),
        (ErrorCode::AccessDenied, "Invalid according to Policy: Policy expired.")
    );
}

#[test]
fn several_ranges_are_all_kept() {
    let conditions = "{\"bucket\":\"photos\"},{\"key\":\"k\"},[\"content-length-range\",1,10],\
                      [\"Content-Length-Range\",\"5\",\"20\"]";
    assert_eq!(check(&with(conditions), &[("key", "k")]), Ok(SizeRange { min: 5, max: 10 }));
}

#[test]
fn what_is_no_policy_is_said_in_s3s_words() {
    let expiration = "\"expiration\": \"2030-01-01T00:00:00Z\"";
    let dated = |text: &str| format!("{{\"expiration\": {text}, \"conditions\": []}}");
    let with = |conditions: &str| format!("{{{expiration}, \"conditions\": {conditions}}}");
    for (document, why) in [
        (String::new(), "Invalid JSON."),
        ("[]".to_owned(), "Invalid JSON."),
        (format!("{{{expiration}, {expiration}, \"conditions\": []}}"), "Invalid JSON."),
        (format!("{{{expiration}, \"conditions\": []}} x"), "Invalid JSON."),
        ("{\"conditions\": []}".to_owned(), "Policy missing expiration."),
        (format!("{{{expiration}}}"), "Policy missing conditions."),
        (format!("{{{expiration}, \"CONDITIONS\": []}}"), "Unexpected: 'conditions'"),
        (format!("{{{expiration}, \"conditions\": [], \"Statement\": []}}"), "Unexpected: 'statement'"),
        (dated("1"), "Invalid 'expiration' value: must be a string."),
        (dated("\"2015-10-17 03:15:59Z\""), "Invalid 'expiration' value: '2015-10-17 03:15:59Z'"),
        (dated("\"2011-09-13T07:52:58+02:00\""), "Invalid 'expiration' value: '2011-09-13T07:52:58+02:00'"),
        (dated("\"2011-13-13T07:52:58Z\""), "Invalid 'expiration' value: '2011-13-13T07:52:58Z'"),
        (dated("\"é011-09-13T07:52:58\""), "Invalid 'expiration' value: 'é011-09-13T07:52:58'"),
        (with("{}"), "Invalid 'conditions' value: must be a List."),
        (with("[1]"), "Invalid condition 1: must be a List or Object."),
        (with("[{}]"), "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."),
        (
            with("[{\"a\":\"b\",\"c\":\"d\"}]"),
            "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
        ),
        (with("[{\"a\":\"b\",\"a\":\"b\"}]"), "Invalid JSON."),
        (with("[{\"a\":1}]"), "Invalid Simple-Condition: value must be a string."),
        (with("[[]]"), "Invalid Condition: missing operation identifier."),
        (with("[[1,\"$a\",\"b\"]]"), "Invalid Condition: missing operation identifier."),
        (with("[[\"ends-with\",\"$a\",\"b\"]]"), "Invalid Condition: unknown operation 'ends-with'."),
        (with("[[\"eq\",\"$a\"]]"), "Invalid eq: wrong number of arguments."),
        (with("[[\"eq\",\"$a\",\"b\",\"c\"]]"), "Invalid eq: wrong number of arguments."),
        (with("[[\"content-length-range\",0]]"), "Invalid content-length-range: wrong number of arguments."),
        (with("[[\"content-length-range\",-1,0]]"), "Invalid JSON."),
        (with("[[\"content-length-range\",0,512.0]]"), "Invalid JSON."),
        (with("[[\"content-length-range\",0,1e9]]"), "Invalid JSON."),
        (with("[[\"content-length-range\",0,18446744073709551616]]"), "Invalid JSON."),
        (with("[[\"eq\",\"$a\",1]]"), "Invalid JSON."),
        (with("[[\"eq\",[\"$a\"],\"b\"]]"), "Invalid JSON."),
    ] {
        let error = PostPolicy::parse(&encoded(&document)).unwrap_err();
        assert_eq!(error.to_string(), format!("Invalid Policy: {why}"), "{document}");
        assert_eq!(S3Error::from(error).code(), ErrorCode::InvalidPolicyDocument);
    }
    for (base64, why) in [
        ("e30", "invalid Base64 encoding."),
        ("e30=\n", "invalid Base64 encoding."),
        ("e31=", "invalid Base64 encoding."),
        ("_-__", "invalid Base64 encoding."),
        ("/w==", "Invalid JSON."),
        (&"A".repeat(MAX_POLICY_BYTES + 4), "it has more than 20480 bytes."),
    ] {
        assert_eq!(PostPolicy::parse(base64), Err(PostPolicyError::Invalid(why.to_owned())), "{base64:.9}");
    }
}

/// The first example of the page, comma behind the last condition and all.
#[test]
fn amazons_illustration_is_taken() {
    let document = "{ \"expiration\": \"2007-12-01T12:00:00.000Z\",\n  \"conditions\": [\n    {\"acl\": \"public-read\" },\n    \
                    {\"bucket\": \"johnsmith\" },\n    [\"starts-with\", \"$key\", \"user/eric/\"],\n  ]\n}";
    let policy = PostPolicy::parse(&encoded(document)).unwrap();
    assert_eq!(policy.expiration().unix_timestamp(), 1_196_510_400);
    let johnsmith = BucketName::parse("johnsmith").unwrap();
    let fields = [("acl", "public-read"), ("key", "user/eric/${filename}")];
    assert_eq!(policy.check(&form(&fields), &johnsmith, at(0)), Ok(SizeRange::ANY));
}
