//! Does a request set a public ACL?
//!
//! Follows "The meaning of public" in
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>: an ACL is public if
//! it grants any permission to the predefined groups AllUsers or AuthenticatedUsers. How ACLs are written is in
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html>.
//!
//! It is asked to keep public ACLs from a store, and stores read ACLs more loosely than Amazon, each in its way, and
//! have canned ACLs and groups of their own. So it goes the other way about: what is known to grant nothing to the
//! public is not public, and everything else is. What Amazon would refuse as unknown is thereby public here.
//!
//! ```
//! use portcullis::s3::acl::{body_grants_public_access, canned_is_public};
//!
//! assert!(canned_is_public("public-read") && !canned_is_public("bucket-owner-full-control"));
//! let body = b"<AccessControlPolicy><AccessControlList><Grant><Grantee><ID>75aa</ID></Grantee>\
//!              <Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>";
//! assert_eq!(body_grants_public_access(body), Ok(false));
//! ```

use std::fmt;

use http::HeaderMap;

use super::error::{ErrorCode, S3Error};
use super::xml::MAX_ACL_BYTES;
use super::xml_body::{Piece, walk};

/// The canned ACLs that grant nothing to AllUsers or AuthenticatedUsers.
const NOT_PUBLIC: [&str; 5] =
    ["private", "aws-exec-read", "bucket-owner-read", "bucket-owner-full-control", "log-delivery-write"];

/// The one predefined group that is not the public, without its scheme: it writes access logs.
const LOG_DELIVERY: &str = "acs.amazonaws.com/groups/s3/LogDelivery";

/// Endings of the names by which stores call everybody, in lower case and without punctuation: Amazon's groups, which
/// some take for an id too, `all-users`, `all_users`, the user `anonymous`, and the canonical id that Amazon gives him.
const EVERYBODY: [&str; 4] = ["allusers", "authenticatedusers", "anonymous", "65a011a29cdf8ec533ec3d1ccaae921c"];

/// Whether `x-amz-acl` or one of `x-amz-grant-*` makes what a request sets public: any value of any of them.
///
/// The headers are the effective ones ([`effective_headers`](super::hoisted::effective_headers)). A value that is not
/// read for certain counts as public: a store might read in it what is not read here.
pub fn grants_public_access(headers: &HeaderMap) -> bool {
    headers.iter().any(|(name, value)| {
        let is_public = match name.as_str() {
            "x-amz-acl" => canned_is_public,
            name if name.starts_with("x-amz-grant-") => grantees_are_public,
            _ => return false,
        };
        value.to_str().map_or(true, is_public)
    })
}

/// Whether a canned ACL, as in `x-amz-acl` or in the field `acl` of a form, is public. An empty one is none.
pub fn canned_is_public(value: &str) -> bool {
    let value = value.trim_ascii();
    !value.is_empty() && !NOT_PUBLIC.iter().any(|known| value.eq_ignore_ascii_case(known))
}

/// Whether the body of a `PUT ?acl` is a public ACL. An empty one grants nothing: headers then say what is granted.
///
/// # Errors
/// [`UnreadableAcl`]: what it grants is not known for certain, so it must not reach a store that might know better.
pub fn body_grants_public_access(body: &[u8]) -> Result<bool, UnreadableAcl> {
    match body.len() {
        0 => return Ok(false),
        1..=MAX_ACL_BYTES => {}
        bytes => return Err(UnreadableAcl::TooLong(bytes)),
    }
    let mut reading = Reading::default();
    walk(body, |piece| reading.take(piece)).map_err(UnreadableAcl::Malformed)?;
    if !reading.has_list {
        return Err(UnreadableAcl::Malformed("no `AccessControlList`".to_owned()));
    }
    Ok(reading.is_public)
}

/// Whether a list of grantees, `type="value", …`, has the public among them.
///
/// Whether a comma, a quote, a backslash and the like stand for themselves depends on who reads, so a value with one of
/// them is taken for public. Without them, splitting at every comma is what all readers come to.
fn grantees_are_public(list: &str) -> bool {
    list.split(',').map(str::trim_ascii).filter(|grantee| !grantee.is_empty()).any(|grantee| {
        let Some((kind, value)) = grantee.split_once('=') else { return true };
        let value = value.trim_ascii();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        match kind.trim_ascii() {
            kind if kind.eq_ignore_ascii_case("id") => Grantee::Id.is_public(value),
            kind if kind.eq_ignore_ascii_case("emailAddress") => Grantee::EmailAddress.is_public(value),
            kind if kind.eq_ignore_ascii_case("uri") => Grantee::Uri.is_public(value),
            _ => true,
        }
    })
}

/// By what somebody is named.
#[derive(Clone, Copy)]
enum Grantee {
    Id,
    EmailAddress,
    Uri,
}

impl Grantee {
    fn is_public(self, value: &str) -> bool {
        let is_plain = |c: u8| c.is_ascii_graphic() && !matches!(c, b'"' | b'\'' | b',' | b';' | b'=' | b'\\' | b'%');
        if value.is_empty() || !value.bytes().all(is_plain) {
            return true;
        }
        match self {
            Self::Id => is_everybody(value),
            Self::EmailAddress => !value.contains('@') || value.contains('/'),
            Self::Uri => !is_log_delivery(value),
        }
    }
}

fn is_everybody(id: &str) -> bool {
    let id: String = id.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    // Of nothing but punctuation, such as `*`.
    id.is_empty() || EVERYBODY.iter().any(|name| id.ends_with(name))
}

fn is_log_delivery(uri: &str) -> bool {
    uri.split_once("://").is_some_and(|(scheme, rest)| {
        (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
            && rest.eq_ignore_ascii_case(LOG_DELIVERY)
    })
}

/// How far the document has been read.
#[derive(Default)]
struct Reading {
    place: Place,
    text: String,
    has_owner: bool,
    has_list: bool,
    /// Of the owner whose end has not come.
    owner: Seen,
    grant: Grant,
    is_public: bool,
}

/// A `Grant` whose end has not come.
#[derive(Default)]
struct Grant {
    has_grantee: bool,
    grantee: Seen,
    permission: bool,
}

/// Which elements have been there.
#[derive(Clone, Copy, Default)]
struct Seen {
    id: bool,
    email_address: bool,
    uri: bool,
    display_name: bool,
}

#[derive(Clone, Copy, Default)]
enum Place {
    #[default]
    Outside,
    Policy,
    Owner,
    List,
    Grant,
    Grantee,
    Field(Field),
}

#[derive(Clone, Copy)]
enum Field {
    OwnerId,
    OwnerDisplayName,
    GranteeId,
    GranteeDisplayName,
    GranteeEmailAddress,
    GranteeUri,
    Permission,
}

impl Reading {
    fn take(&mut self, piece: Piece<'_>) -> Result<(), String> {
        match piece {
            Piece::Open(name) => self.open(name),
            Piece::Text(text) => match self.place {
                Place::Field(_) => {
                    self.text.push_str(&text);
                    Ok(())
                }
                _ if text.trim().is_empty() => Ok(()),
                _ => Err("text between elements".to_owned()),
            },
            Piece::Aside => match self.place {
                Place::Field(_) => Err("a comment within a value".to_owned()),
                _ => Ok(()),
            },
            Piece::Close => self.close(),
        }
    }

    /// The grantee's `xsi:type` is not asked: whatever it says, all by which the grantee is named must not be public.
    fn open(&mut self, name: &str) -> Result<(), String> {
        let (place, twice) = match (self.place, name) {
            (Place::Outside, "AccessControlPolicy") => (Place::Policy, false),
            (Place::Policy, "Owner") => (Place::Owner, std::mem::replace(&mut self.has_owner, true)),
            (Place::Policy, "AccessControlList") => (Place::List, std::mem::replace(&mut self.has_list, true)),
            (Place::List, "Grant") => {
                self.grant = Grant::default();
                (Place::Grant, false)
            }
            (Place::Grant, "Grantee") => (Place::Grantee, std::mem::replace(&mut self.grant.has_grantee, true)),
            (place, name) => {
                let (field, seen) = match (place, name) {
                    (Place::Owner, "ID") => (Field::OwnerId, &mut self.owner.id),
                    (Place::Owner, "DisplayName") => (Field::OwnerDisplayName, &mut self.owner.display_name),
                    (Place::Grantee, "ID") => (Field::GranteeId, &mut self.grant.grantee.id),
                    (Place::Grantee, "DisplayName") => {
                        (Field::GranteeDisplayName, &mut self.grant.grantee.display_name)
                    }
                    (Place::Grantee, "EmailAddress") => {
                        (Field::GranteeEmailAddress, &mut self.grant.grantee.email_address)
                    }
                    (Place::Grantee, "URI") => (Field::GranteeUri, &mut self.grant.grantee.uri),
                    (Place::Grant, "Permission") => (Field::Permission, &mut self.grant.permission),
                    _ => return Err(format!("element `{name}` where none is expected")),
                };
                (Place::Field(field), std::mem::replace(seen, true))
            }
        };
        self.place = place;
        if twice { Err(format!("element `{name}` is there twice")) } else { Ok(()) }
    }

    fn close(&mut self) -> Result<(), String> {
        let text = std::mem::take(&mut self.text);
        self.place = match self.place {
            Place::Outside | Place::Policy => Place::Outside,
            Place::Owner | Place::List => Place::Policy,
            Place::Grant => {
                if !self.grant.has_grantee || !self.grant.permission {
                    return Err("a `Grant` without `Grantee` or `Permission`".to_owned());
                }
                Place::List
            }
            Place::Grantee => {
                let Seen { id, email_address, uri, display_name: _ } = self.grant.grantee;
                if !(id || email_address || uri) {
                    return Err("a `Grantee` who is not named".to_owned());
                }
                Place::Grant
            }
            Place::Field(field) => self.close_field(field, text.trim()),
        };
        Ok(())
    }

    /// Any permission counts, so which one is not looked at.
    fn close_field(&mut self, field: Field, text: &str) -> Place {
        let (grantee, outer) = match field {
            Field::OwnerId | Field::OwnerDisplayName => (None, Place::Owner),
            Field::GranteeDisplayName => (None, Place::Grantee),
            Field::GranteeId => (Some(Grantee::Id), Place::Grantee),
            Field::GranteeEmailAddress => (Some(Grantee::EmailAddress), Place::Grantee),
            Field::GranteeUri => (Some(Grantee::Uri), Place::Grantee),
            Field::Permission => (None, Place::Grant),
        };
        self.is_public |= grantee.is_some_and(|grantee| grantee.is_public(text));
        outer
    }
}

/// Why it is not known what an ACL grants.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnreadableAcl {
    /// It has this many bytes, more than [`MAX_ACL_BYTES`].
    TooLong(usize),
    /// It is not the XML that S3 expects; the text says how.
    Malformed(String),
}

impl From<UnreadableAcl> for S3Error {
    fn from(error: UnreadableAcl) -> Self {
        match error {
            UnreadableAcl::TooLong(_) => Self::new(ErrorCode::MaxMessageLengthExceeded),
            UnreadableAcl::Malformed(_) => Self::new(ErrorCode::MalformedXML),
        }
    }
}

impl fmt::Display for UnreadableAcl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => write!(f, "ACL of {bytes} bytes, more than {MAX_ACL_BYTES}"),
            Self::Malformed(cause) => write!(f, "malformed ACL: {cause}"),
        }
    }
}

impl std::error::Error for UnreadableAcl {}

#[cfg(test)]
mod tests;
