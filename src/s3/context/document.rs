//! `docs/condition-keys.md`, made from the table.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::table::{Kind, LockValue, OfForm, ROWS, Row, Source};
use crate::policy::{Action, ConditionKey};

const OPENING: &str = "\
# Condition keys and where their values come from

Every condition key that Amazon lists for S3, and every global one. Made from the table of `src/s3/context`:
`UPDATE=1 cargo test --lib condition_keys_document` writes it anew.

- A key is there only for the actions that have it, and only where the request says something of it; a key that is not
  there is what `Null` asks for. `/TAG`: a slash and the name of a tag follow.
- Headers are those of the request and those that a presigned URL carries in its query. A header that is sent several
  times gives several values.
- *field*: of a browser's upload by form, in which the header of that name does not count.
- What an upload or a body says of tags and locks must be plain: a tag given twice, a mode other than `GOVERNANCE` and
  `COMPLIANCE`, a date that is not ISO 8601, or XML with elements that Amazon does not have is refused before anything is
  decided.
- How an object is encrypted is said when its multipart upload begins, and was granted then: it is not asked of the parts
  and of their completion, which cannot say it again. A test of such a key holds there in a statement that allows, and
  not in one that denies. An ACL, tags and the like are asked of every request, as Amazon does: a policy that demands
  them lets no parts through, unless it spares them by `s3:ObjectCreationOperation`.
- Of a copy, what is asked of the source has the source's version, tags and owner, and what is asked of the destination
  the others.

";

#[test]
fn condition_keys_document_is_made_from_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/condition-keys.md");
    let made = document();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == made, "docs/condition-keys.md is not what the code says; UPDATE=1 writes it anew");
}

fn document() -> String {
    let mut document = OPENING.to_owned();
    document.push_str("| key | type | value | actions |\n|---|---|---|---|\n");
    let rows = || ConditionKey::all().map(|key| ROWS.iter().find(|row| row.key == key).unwrap());
    for row in rows().filter(|row| !matches!(row.source, Source::Absent(_))) {
        let (name, kind, source, actions) = (name(row), kind(row.kind), source(row), actions(row.key));
        writeln!(document, "| {name} | {kind} | {source} | {actions} |").unwrap();
    }
    document.push_str("\nNo request has these here:\n\n| key | type | why |\n|---|---|---|\n");
    for row in rows() {
        if let Source::Absent(reason) = row.source {
            writeln!(document, "| {} | {} | {reason} |", name(row), kind(row.kind)).unwrap();
        }
    }
    document
}

fn name(row: &Row) -> String {
    let tag = if row.key.has_tag() { "/TAG" } else { "" };
    format!("`{}{tag}`", row.key)
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Texts => "texts",
        Kind::Number => "number",
        Kind::Date => "date",
        Kind::Bool => "true or false",
        Kind::Address => "IP address",
        Kind::Arn => "ARN",
    }
}

fn actions(key: ConditionKey) -> String {
    let with: Vec<&str> =
        Action::ALL.iter().filter(|action| key.supports(**action)).map(|action| action.name()).collect();
    if with.len() == Action::ALL.len() {
        return "every".to_owned();
    }
    with.iter().map(|name| format!("`{}`", name.trim_start_matches("s3:"))).collect::<Vec<_>>().join(" ")
}

fn source(row: &Row) -> String {
    match row.source {
        Source::Header(name, OfForm::Header) => format!("the header `{name}`"),
        Source::Header(name, OfForm::Nothing) if row.key.supports(Action::PutObject) => {
            format!("the header `{name}`; of a form nothing")
        }
        Source::Header(name, OfForm::Nothing) => format!("the header `{name}`"),
        Source::Header(name, OfForm::Field(field)) if field == name => format!("the header or field `{name}`"),
        Source::Header(name, OfForm::Field(field)) => format!("the header or field `{name}`, the field `{field}`"),
        Source::Encryption(name, element) => {
            let element = match element {
                "SSE-KMS" => "`aws:kms` of a body with `SSE-KMS`, `AES256` with `SSE-S3`".to_owned(),
                path => format!("`{path}` of the body"),
            };
            format!("the header or field `{name}`; for `UpdateObjectEncryption` {element}")
        }
        Source::Parameter(name) => {
            format!("the parameter `{name}`, percent-decoded once, `+` being a space; an empty one is an empty text")
        }
        Source::Lock(lock) => {
            let operation = if lock.element == "Status" { "PutObjectLegalHold" } else { "PutObjectRetention" };
            let more = match lock.value {
                LockValue::Days => "; years, where they are given instead, as 365 days each",
                LockValue::Mode | LockValue::Date | LockValue::Switch => "",
            };
            format!(
                "the header or field `{}` of an upload; for `{operation}` `{}` of the body{more}",
                lock.header, lock.element
            )
        }
        Source::Body(operation, element) => {
            let empty = if element == "LocationConstraint" { ", where it is not empty" } else { "" };
            format!("`{element}` of the body of `{operation}`{empty}")
        }
        Source::VersionId => {
            "the parameter `versionId`; for the source of a copy the version in `x-amz-copy-source`, for an \
                              entry of a `POST ?delete` its `VersionId`"
                .to_owned()
        }
        Source::IfMatch => {
            "the header `if-match` as sent; for an entry of a `POST ?delete` its `ETag`; of a form nothing".to_owned()
        }
        Source::CopiedObject => {
            "`BUCKET/KEY` of the header `x-amz-copy-source`, decoded, without slash before or version \
                               behind; for the destination of `CopyObject` and `UploadPartCopy`"
                .to_owned()
        }
        Source::ContentSha256 => "the header `x-amz-content-sha256` as sent; of a presigned URL without it \
                                  `UNSIGNED-PAYLOAD`; of a form nothing"
            .to_owned(),
        Source::ObjectCreation => {
            "`true` for `PutObject`, `CopyObject`, `CompleteMultipartUpload` and `PostObject`, `false` \
                                   for `CreateMultipartUpload`, `UploadPart` and `UploadPartCopy`"
                .to_owned()
        }
        Source::RemainingRetention => "the days from the request to the date that \
                                       `s3:object-lock-retain-until-date` has, one that has begun counting whole"
            .to_owned(),
        Source::RequestObjectTags => format!("the value of the tag, of {GIVEN_TAGS}"),
        Source::RequestObjectTagKeys => format!("the names of {GIVEN_TAGS}"),
        Source::ExistingObjectTags => {
            "the value of the tag that the object or version has, asked of the store where a policy \
                                       in force names this key; an object that is not there has none"
                .to_owned()
        }
        Source::BucketTags => {
            "the value of the tag that the bucket has, asked of the store where a policy in force names \
                               this key; only where attribute-based access control is enabled for the bucket"
                .to_owned()
        }
        Source::RequestBucketTags => "the value of the tag, of `Tags` in the body of `CreateBucket`".to_owned(),
        Source::RequestBucketTagKeys => "the names of `Tags` in the body of `CreateBucket`".to_owned(),
        Source::Owner => "the account that owns the bucket".to_owned(),
        Source::ClientAddress => {
            "the client's address; as told by proxies that are trusted, and no others. IPv4 in IPv6 is IPv4".to_owned()
        }
        Source::SecureTransport => "whether the client came by TLS; as told by front ends that are trusted".to_owned(),
        Source::TlsVersion => "the version of TLS, `1.2` or `1.3`; without TLS nothing".to_owned(),
        Source::CurrentTime => "the time of the request, ISO 8601 in UTC".to_owned(),
        Source::EpochTime => "the time of the request, in seconds since 1970".to_owned(),
        Source::AuthType => {
            "where the signature stands: `REST-HEADER`, `REST-QUERY-STRING` or `POST`; not signed, nothing".to_owned()
        }
        Source::SignatureAge => "milliseconds since the request was signed; not signed, nothing".to_owned(),
        Source::SignatureVersion => "`AWS4-HMAC-SHA256`; not signed, nothing".to_owned(),
        Source::Region => "the region of the signature; not signed, the configured one".to_owned(),
        Source::Never => "`false`".to_owned(),
        Source::NeverWhenSigned => "`false`; not signed, nothing".to_owned(),
        Source::NeverWhenTemporary => "`false` with temporary credentials, with others nothing".to_owned(),
        Source::Caller(words) => words.to_owned(),
        Source::Absent(reason) => reason.to_owned(),
    }
}

const GIVEN_TAGS: &str = "the tags given by the header `x-amz-tagging` of an upload (of a copy, with \
                          `x-amz-tagging-directive: REPLACE`), by the XML of the field `tagging`, or by the body of \
                          `PutObjectTagging`";
