//! Forms: the fields in which a browser's upload carries the signature of its policy.
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html>. What is signed is the
//! policy's base64 text as it was sent. Neither the fields nor the file are: the policy says what they may be, and until
//! when, so that no clock but its own counts.

use std::fmt;

use http::header::AUTHORIZATION;
use http::request::Parts;

use super::presigned::AuthParameters;
use super::scope::{Scope, Timestamp};
use super::signature::{self, SigningKey, SigningKeys};
use super::{ALGORITHM, ALGORITHM_V4A, Kind, single};
use crate::auth::error::{AuthError, CredentialFault, FormFault, FormMismatch};
use crate::auth::identity::{AccessKeyId, Credential, SecretKey};
use crate::s3::form::Form;

/// What a form claims: who signed its policy, and when. Nothing of it is proven yet.
pub struct PresentedForm {
    scope: Scope,
    timestamp: Timestamp,
    policy: String,
    signature: String,
    token: Option<SecretKey>,
}

impl PresentedForm {
    /// Reads the claim from the fields of a form; `None` for one without credentials. Those of the request's head are
    /// [`Presented`](super::Presented)'s, and nobody may have both.
    ///
    /// # Errors
    /// [`AuthError`] for two mechanisms at once, one that is not supported, a claim that is malformed or not whole, and a
    /// policy that nobody signed.
    pub fn parse(parts: &Parts, form: &Form) -> Result<Option<Self>, AuthError> {
        const V2: [&str; 2] = ["awsaccesskeyid", "signature"];
        const V4: [&str; 6] =
            ["policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "x-amz-security-token"];
        let any = |names: &[&str]| names.iter().any(|name| form.get(name).is_some());
        if !any(&V2) && !any(&V4) {
            return Ok(None);
        }
        if has_claim_in_head(parts)? {
            return Err(AuthError::SeveralMechanisms);
        }
        if any(&V2) {
            return Err(AuthError::SignatureV2);
        }
        let field =
            |name: &str, as_s3_names_it| form.get(name).ok_or(AuthError::Form(FormFault::MissingField(as_s3_names_it)));
        match field("x-amz-algorithm", "X-Amz-Algorithm")? {
            ALGORITHM => {}
            ALGORITHM_V4A => return Err(AuthError::Form(FormFault::SignatureV4a)),
            other => return Err(AuthError::Form(FormFault::Algorithm(other.to_owned()))),
        }
        let credential = field("x-amz-credential", "X-Amz-Credential")?;
        let date = field("x-amz-date", "X-Amz-Date")?;
        let signature = field("x-amz-signature", "X-Amz-Signature")?;
        let policy = field("policy", "Policy")?;
        let scope = Scope::parse(credential, Kind::Presigned).map_err(|error| match error {
            AuthError::Credential { fault, .. } => credential_fault(credential, fault),
            other => other,
        })?;
        let timestamp = Timestamp::parse(date).ok_or_else(|| AuthError::Form(FormFault::Date(date.to_owned())))?;
        if scope.date() != timestamp.date() {
            return Err(AuthError::Form(FormFault::CredentialDate {
                credential: credential.to_owned(),
                day: scope.date().to_owned(),
                request: timestamp.date().to_owned(),
            }));
        }
        Ok(Some(Self {
            scope,
            timestamp,
            policy: policy.to_owned(),
            signature: signature.to_owned(),
            token: form.get("x-amz-security-token").map(SecretKey::new),
        }))
    }

    /// Who is said to have signed: the key to look up.
    pub fn access_key_id(&self) -> &AccessKeyId {
        self.scope.access_key_id()
    }

    /// The session token that came with the form.
    pub fn session_token(&self) -> Option<&SecretKey> {
        self.token.as_ref()
    }

    /// The policy that is said to be signed, in base64 as it was sent. Whether the form keeps it, and whether it still
    /// counts, is [`PostPolicy`](crate::s3::post_policy::PostPolicy)'s to say.
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// Proves that the holder of `credential` signed the policy, for `region`. Until when that counts the policy says;
    /// S3 has no other limit here.
    ///
    /// `keys` spares deriving the same signing key for every request; one for the whole process is right.
    ///
    /// # Errors
    /// A [`FormFault`] for a region that is not ours, [`AuthError::UnknownAccessKey`] for a session's key without its
    /// token, [`AuthError::Token`] for a token that is wrong or not called for, then
    /// [`FormFault::SignatureDoesNotMatch`].
    pub fn verify(&self, credential: &Credential, region: &str, keys: &SigningKeys) -> Result<VerifiedForm, AuthError> {
        if self.scope.region() != region {
            let fault = CredentialFault::Region { given: self.scope.region().to_owned(), expected: region.to_owned() };
            return Err(credential_fault(&self.scope.to_string(), fault));
        }
        if credential.access_key_id != *self.access_key_id() {
            return Err(AuthError::UnknownAccessKey(self.access_key_id().clone()));
        }
        super::check_token(credential, self.token.as_ref())?;
        let known = keys.get(&self.scope, &credential.secret);
        let key = known.clone().unwrap_or_else(|| SigningKey::derive(&credential.secret, &self.scope));
        if !signature::equal(&key.sign(&[self.policy.as_bytes()]), &self.signature) {
            return Err(AuthError::Form(FormFault::SignatureDoesNotMatch(Box::new(self.mismatch()))));
        }
        if known.is_none() {
            keys.insert(&self.scope, &credential.secret, &key);
        }
        Ok(VerifiedForm { scope: self.scope.clone(), timestamp: self.timestamp.clone() })
    }

    fn mismatch(&self) -> FormMismatch {
        FormMismatch {
            access_key_id: self.access_key_id().clone(),
            // A condition of the policy repeats the token.
            string_to_sign: self.token.is_none().then(|| self.policy.clone()),
            signature_provided: self.signature.clone(),
        }
    }
}

fn credential_fault(credential: &str, fault: CredentialFault) -> AuthError {
    AuthError::Form(FormFault::Credential { credential: credential.to_owned(), fault })
}

/// S3 reads an empty header as none.
fn has_claim_in_head(parts: &Parts) -> Result<bool, AuthError> {
    let query = AuthParameters::parse(parts.uri.query().unwrap_or_default())?;
    let header = single(parts, &AUTHORIZATION)?.is_some_and(|value| !value.is_empty());
    Ok(header || query.is_v4() || query.is_v2())
}

impl fmt::Debug for PresentedForm {
    // Without the signature, which lets its reader in until the policy expires.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedForm")
            .field("scope", &self.scope)
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}

/// A proven signature of a form's policy.
#[derive(Clone, Debug)]
pub struct VerifiedForm {
    scope: Scope,
    timestamp: Timestamp,
}

impl VerifiedForm {
    /// Key and scope.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// When it was signed.
    pub fn timestamp(&self) -> &Timestamp {
        &self.timestamp
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::auth::identity::Identity;
    use crate::s3::address::BucketName;
    use crate::s3::error::S3Error;
    use crate::s3::form::SizeRange;
    use crate::s3::post_policy::PostPolicy;

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html>: policy, credential and signature.
    const POLICY: &str = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7Im\
                          J1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2Vy\
                          MS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaH\
                          R0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAg\
                          ICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOi\
                          AiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQog\
                          ICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOi\
                          AiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1h\
                          bXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMD\
                          AwWiIgfQ0KICBdDQp9";
    const SIGNATURE: &str = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e";
    const CREDENTIAL: &str = "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request";

    /// The page's form, with fields replaced or, with `None`, taken away.
    fn form(changes: &[(&str, Option<&str>)]) -> Form {
        let fields = [
            ("key", "user/user1/${filename}"),
            ("acl", "public-read"),
            ("success_action_redirect", "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"),
            ("Content-Type", "image/jpeg"),
            ("x-amz-meta-uuid", "14365123651274"),
            ("x-amz-server-side-encryption", "AES256"),
            ("X-Amz-Credential", CREDENTIAL),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Date", "20151229T000000Z"),
            ("x-amz-meta-tag", ""),
            ("Policy", POLICY),
            ("X-Amz-Signature", SIGNATURE),
        ];
        let kept = fields.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let added = changes.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        let part = |(name, value): (&str, &str)| {
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let file = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.jpg\"\r\n\r\n".to_owned();
        let body: String = kept.chain(added).map(part).chain([file]).collect();
        Form::parse("multipart/form-data; boundary=x", body.as_bytes()).unwrap()
    }

    fn parts(uri: &str, authorization: Option<&str>) -> Parts {
        let mut request = http::Request::post(uri);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn credential(secret: &str, token: Option<&str>) -> Credential {
        Credential {
            access_key_id: AccessKeyId::new("AKIAIOSFODNN7EXAMPLE"),
            secret: SecretKey::new(secret),
            session_token: token.map(SecretKey::new),
            identity: Arc::new(Identity::anonymous()),
        }
    }

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn verify(form: &Form, credential: &Credential, region: &str) -> Result<VerifiedForm, AuthError> {
        let presented = PresentedForm::parse(&parts("/", None), form)?.expect("the form has credentials");
        presented.verify(credential, region, &SigningKeys::new())
    }

    #[test]
    fn amazons_own_example_verifies_and_keeps_its_policy() {
        let (form, keys) = (form(&[]), SigningKeys::new());
        let presented = PresentedForm::parse(&parts("/", Some("")), &form).unwrap().unwrap();
        assert_eq!(presented.access_key_id().as_str(), "AKIAIOSFODNN7EXAMPLE");
        // Derived the first time, remembered the second.
        for _ in 0..2 {
            let verified = presented.verify(&credential(SECRET, None), "us-east-1", &keys).unwrap();
            assert_eq!((verified.timestamp().as_str(), verified.scope().region()), ("20151229T000000Z", "us-east-1"));
        }
        assert!(!format!("{presented:?}").contains(SIGNATURE));
        let policy = PostPolicy::parse(presented.policy()).unwrap();
        let bucket = BucketName::parse("sigv4examplebucket").unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_451_433_600);
        assert_eq!(policy.check(&form, &bucket, now), Ok(SizeRange::ANY));
    }

    #[test]
    fn a_claim_that_does_not_hold_is_answered_as_s3_does() {
        let right = credential(SECRET, None);
        for (changes, code, message) in [
            (vec![("X-Amz-Signature", Some("8afd"))], "SignatureDoesNotMatch", "does not match"),
            (vec![("Policy", POLICY.strip_suffix("9"))], "SignatureDoesNotMatch", "does not match"),
            (vec![("X-Amz-Signature", None)], "InvalidArgument", "a field named 'X-Amz-Signature'.  If"),
            (vec![("Policy", None)], "InvalidArgument", "a field named 'Policy'.  If"),
            (vec![("X-Amz-Date", None)], "InvalidArgument", "a field named 'X-Amz-Date'.  If"),
            (
                vec![("X-Amz-Algorithm", None), ("X-Amz-Credential", None)],
                "InvalidArgument",
                "a field named 'X-Amz-Algorithm'.  If",
            ),
            (vec![("X-Amz-Date", Some("2015-12-29"))], "InvalidArgument", "X-Amz-Date must be formated"),
            (vec![("X-Amz-Date", Some("20151230T000000Z"))], "InvalidArgument", "Invalid credential date \"20151229\""),
            (vec![("X-Amz-Algorithm", Some("AWS4-HMAC-SHA1"))], "InvalidArgument", "X-Amz-Algorithm only supports"),
            (vec![("X-Amz-Algorithm", Some(ALGORITHM_V4A))], "NotImplemented", "not implemented"),
            (vec![("X-Amz-Credential", Some("AKID"))], "InvalidArgument", "the Credential is mal-formed"),
            (
                vec![("X-Amz-Credential", Some("/20151229/us-east-1/s3/aws4_request"))],
                "InvalidArgument",
                "a non-empty Access Key",
            ),
            (
                vec![("X-Amz-Credential", Some("AKID/20151229/us-east-1/s3/aws4_request"))],
                "InvalidAccessKeyId",
                "does not exist",
            ),
            (vec![("X-Amz-Security-Token", Some("t"))], "InvalidToken", "token"),
            (vec![("AWSAccessKeyId", Some("AKID"))], "InvalidRequest", "Please use AWS4-HMAC-SHA256"),
            (vec![("Signature", Some("s"))], "InvalidRequest", "Please use AWS4-HMAC-SHA256"),
        ] {
            let error = S3Error::from(verify(&form(&changes), &right, "us-east-1").unwrap_err());
            assert_eq!(error.code().name(), code, "{changes:?}");
            assert!(error.message().contains(message), "{changes:?}: {}", error.message());
        }
        for (credential, region, code) in [
            (credential("other", None), "us-east-1", "SignatureDoesNotMatch"),
            (credential(SECRET, Some("t")), "us-east-1", "InvalidAccessKeyId"),
            (right, "eu-west-1", "InvalidArgument"),
        ] {
            let error = S3Error::from(verify(&form(&[]), &credential, region).unwrap_err());
            assert_eq!(error.code().name(), code, "{credential:?} {region}");
        }
    }

    #[test]
    fn what_the_answer_tells_is_what_s3_tells() {
        let error = S3Error::from(verify(&form(&[]), &credential("other", None), "us-east-1").unwrap_err());
        let names: Vec<_> = error.fields().iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["AWSAccessKeyId", "StringToSign", "SignatureProvided", "StringToSignBytes"]);
        assert_eq!((error.fields()[1].1.as_str(), error.fields()[2].1.as_str()), (POLICY, SIGNATURE));
        assert!(error.fields()[3].1.starts_with("65 79 41 69 "));
        let session = form(&[("X-Amz-Security-Token", Some("secret"))]);
        let error = verify(&session, &credential("other", Some("secret")), "us-east-1").unwrap_err();
        assert!(!S3Error::from(error).fields().iter().any(|(name, _)| name.starts_with("StringToSign")));
        let region = S3Error::from(verify(&form(&[]), &credential(SECRET, None), "eu-west-1").unwrap_err());
        assert_eq!(region.message(), "the region 'us-east-1' is wrong; expecting 'eu-west-1'");
        assert_eq!(
            region.fields(),
            [
                ("ArgumentName", "X-Amz-Credential".to_owned()),
                ("ArgumentValue", CREDENTIAL.to_owned()),
                ("Region", "eu-west-1".to_owned()),
            ]
        );
    }

    #[test]
    fn credentials_stand_in_one_place() {
        let none =
            ["X-Amz-Credential", "X-Amz-Algorithm", "X-Amz-Date", "Policy", "X-Amz-Signature"].map(|n| (n, None));
        for (uri, authorization, changes, expected) in [
            ("/", Some("AWS4-HMAC-SHA256 x"), vec![], Err(AuthError::SeveralMechanisms)),
            ("/?X-Amz-Algorithm=x", None, vec![], Err(AuthError::SeveralMechanisms)),
            ("/?Signature=x", None, vec![], Err(AuthError::SeveralMechanisms)),
            ("/", Some("x"), vec![("AWSAccessKeyId", Some("x"))], Err(AuthError::SeveralMechanisms)),
            ("/", None, none.to_vec(), Ok(true)),
            ("/", Some("AWS4-HMAC-SHA256 x"), none.to_vec(), Ok(true)),
            ("/", None, vec![], Ok(false)),
        ] {
            let parsed = PresentedForm::parse(&parts(uri, authorization), &form(&changes));
            assert_eq!(parsed.map(|presented| presented.is_none()), expected, "{uri} {authorization:?} {changes:?}");
        }
    }
}
