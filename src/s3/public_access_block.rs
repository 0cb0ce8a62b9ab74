//! What does a bucket's public access block say, and how is it written?
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutPublicAccessBlock.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetPublicAccessBlock.html> and, for the policy's status,
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicyStatus.html>.
//!
//! ```
//! use portcullis::s3::public_access_block::PublicAccessBlock;
//!
//! let body = b"<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>";
//! let block = PublicAccessBlock::parse(body)?;
//! assert_eq!(block, PublicAccessBlock { block_public_acls: true, ..PublicAccessBlock::default() });
//! assert_eq!(PublicAccessBlock::parse(&block.to_xml())?, block);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use bytes::Bytes;

use super::error::{ErrorCode, S3Error};
use super::xml_body::{Piece, walk};

/// The longest body of a `PUT ?publicAccessBlock` that is read, in bytes. One that says all takes some three hundred.
pub const MAX_PUBLIC_ACCESS_BLOCK_BYTES: usize = 64 * 1024;

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
const ROOT: &str = "PublicAccessBlockConfiguration";

/// The four switches of a bucket. Their default, all off, is what a block says that names none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublicAccessBlock {
    /// Requests that would set a public ACL fail.
    pub block_public_acls: bool,
    /// Public ACLs that are there grant nothing.
    pub ignore_public_acls: bool,
    /// A `PUT ?policy` with a public policy fails.
    pub block_public_policy: bool,
    /// While the policy is public, it grants to the owner's account and to services alone.
    pub restrict_public_buckets: bool,
}

impl PublicAccessBlock {
    /// Reads the body of a `PUT ?publicAccessBlock`. A switch that is not there is off.
    ///
    /// # Errors
    /// [`MalformedPublicAccessBlock`]; its [`S3Error`] is what S3 answers.
    pub fn parse(body: &[u8]) -> Result<Self, MalformedPublicAccessBlock> {
        match body.len() {
            0 => return Err(MalformedPublicAccessBlock::Empty),
            1..=MAX_PUBLIC_ACCESS_BLOCK_BYTES => {}
            bytes => return Err(MalformedPublicAccessBlock::TooLong(bytes)),
        }
        let mut reading = Reading::default();
        walk(body, |piece| reading.take(piece)).map_err(MalformedPublicAccessBlock::Malformed)?;
        let [acls, ignore, policy, restrict] = reading.switches;
        if [acls, ignore, policy, restrict].iter().all(Option::is_none) {
            return Err(MalformedPublicAccessBlock::NoSwitch);
        }
        Ok(Self {
            block_public_acls: acls.unwrap_or(false),
            ignore_public_acls: ignore.unwrap_or(false),
            block_public_policy: policy.unwrap_or(false),
            restrict_public_buckets: restrict.unwrap_or(false),
        })
    }

    /// The answer to `GET ?publicAccessBlock` (`Content-Type: application/xml`). Lower case, since SDKs take nothing but
    /// `true` for true.
    pub fn to_xml(self) -> Bytes {
        let mut body = format!("{DECLARATION}<{ROOT} xmlns=\"{NAMESPACE}\">");
        for (switch, on) in SWITCHES.into_iter().zip([
            self.block_public_acls,
            self.ignore_public_acls,
            self.block_public_policy,
            self.restrict_public_buckets,
        ]) {
            body.push_str(&format!("<{switch}>{on}</{switch}>"));
        }
        body.push_str(&format!("</{ROOT}>"));
        Bytes::from(body)
    }
}

/// The answer to `GET ?policyStatus` (`Content-Type: application/xml`).
pub fn policy_status_xml(is_public: bool) -> Bytes {
    Bytes::from(format!(
        "{DECLARATION}<PolicyStatus xmlns=\"{NAMESPACE}\"><IsPublic>{is_public}</IsPublic></PolicyStatus>"
    ))
}

/// In the order in which they are written.
const SWITCHES: [&str; 4] = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];

/// How far the document has been read.
#[derive(Default)]
struct Reading {
    place: Place,
    text: String,
    /// As [`SWITCHES`].
    switches: [Option<bool>; 4],
}

#[derive(Clone, Copy, Default)]
enum Place {
    #[default]
    Outside,
    Root,
    /// In the one at this place of [`SWITCHES`].
    Switch(usize),
}

impl Reading {
    fn take(&mut self, piece: Piece<'_>) -> Result<(), String> {
        match (piece, self.place) {
            (Piece::Open(ROOT), Place::Outside) => self.place = Place::Root,
            (Piece::Open(name), Place::Root) => match SWITCHES.iter().position(|switch| *switch == name) {
                Some(switch) => self.place = Place::Switch(switch),
                None => return Err(format!("element `{name}` where none is expected")),
            },
            (Piece::Open(name), Place::Outside | Place::Switch(_)) => {
                return Err(format!("element `{name}` where none is expected"));
            }
            (Piece::Text(text), Place::Switch(_)) => self.text.push_str(&text),
            (Piece::Text(text), Place::Outside | Place::Root) => {
                if !text.trim().is_empty() {
                    return Err("text between elements".to_owned());
                }
            }
            (Piece::Aside, Place::Switch(_)) => return Err("a comment within a value".to_owned()),
            (Piece::Aside, Place::Outside | Place::Root) => {}
            (Piece::Close, Place::Outside | Place::Root) => self.place = Place::Outside,
            (Piece::Close, Place::Switch(switch)) => {
                self.place = Place::Root;
                return self.set(switch);
            }
        }
        Ok(())
    }

    fn set(&mut self, switch: usize) -> Result<(), String> {
        let text = std::mem::take(&mut self.text);
        // Amazon's own examples write `TRUE` and `FALSE`, its SDKs `true` and `false`.
        let on = match text.trim() {
            on if on.eq_ignore_ascii_case("true") => true,
            off if off.eq_ignore_ascii_case("false") => false,
            other => return Err(format!("`{other}` is neither `true` nor `false`")),
        };
        match self.switches.get_mut(switch).map(|value| value.replace(on)) {
            Some(None) => Ok(()),
            _ => Err("a switch is there twice".to_owned()),
        }
    }
}

/// Why a body is no public access block.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MalformedPublicAccessBlock {
    /// There is none.
    Empty,
    /// It has this many bytes, more than [`MAX_PUBLIC_ACCESS_BLOCK_BYTES`].
    TooLong(usize),
    /// It names none of the switches; S3 has a message of its own for that.
    NoSwitch,
    /// It is not the XML that S3 expects; the text says how.
    Malformed(String),
}

impl From<MalformedPublicAccessBlock> for S3Error {
    fn from(error: MalformedPublicAccessBlock) -> Self {
        match error {
            MalformedPublicAccessBlock::Empty => Self::new(ErrorCode::MissingRequestBodyError),
            MalformedPublicAccessBlock::TooLong(_) => Self::new(ErrorCode::MaxMessageLengthExceeded),
            MalformedPublicAccessBlock::NoSwitch => {
                Self::new(ErrorCode::InvalidRequest).with_message("Must specify at least one configuration.")
            }
            MalformedPublicAccessBlock::Malformed(_) => Self::new(ErrorCode::MalformedXML),
        }
    }
}

impl fmt::Display for MalformedPublicAccessBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no body"),
            Self::TooLong(bytes) => write!(f, "body of {bytes} bytes, more than {MAX_PUBLIC_ACCESS_BLOCK_BYTES}"),
            Self::NoSwitch => f.write_str("public access block without any switch"),
            Self::Malformed(cause) => write!(f, "malformed public access block: {cause}"),
        }
    }
}

impl std::error::Error for MalformedPublicAccessBlock {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The switches in the order of [`SWITCHES`], or the code of the answer.
    fn read(body: &str) -> Result<[bool; 4], &'static str> {
        PublicAccessBlock::parse(body.as_bytes())
            .map(|block| {
                [
                    block.block_public_acls,
                    block.ignore_public_acls,
                    block.block_public_policy,
                    block.restrict_public_buckets,
                ]
            })
            .map_err(|error| S3Error::from(error).code().name())
    }

    fn within(elements: &str) -> String {
        format!("<PublicAccessBlockConfiguration>{elements}</PublicAccessBlockConfiguration>")
    }

    #[test]
    fn each_switch_is_read_by_its_name() {
        for (elements, expected) in [
            ("<BlockPublicAcls>true</BlockPublicAcls>", [true, false, false, false]),
            ("<IgnorePublicAcls>true</IgnorePublicAcls>", [false, true, false, false]),
            ("<BlockPublicPolicy>true</BlockPublicPolicy>", [false, false, true, false]),
            ("<RestrictPublicBuckets>true</RestrictPublicBuckets>", [false, false, false, true]),
            ("<RestrictPublicBuckets>false</RestrictPublicBuckets>", [false; 4]),
            (
                "<RestrictPublicBuckets> TRUE\n</RestrictPublicBuckets> <!-- and --> <BlockPublicAcls>True</BlockPublicAcls>",
                [true, false, false, true],
            ),
            ("<IgnorePublicAcls><![CDATA[tr]]>&#117;e</IgnorePublicAcls>", [false, true, false, false]),
        ] {
            assert_eq!(read(&within(elements)), Ok(expected), "{elements}");
        }
    }

    #[test]
    fn what_amazons_clients_send_is_read() {
        // botocore, with all four on.
        let body = "<PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                    <BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>\
                    <BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets>\
                    </PublicAccessBlockConfiguration>";
        assert_eq!(read(body), Ok([true; 4]));
        // The documentation's example.
        let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PublicAccessBlockConfiguration>\n  \
                    <BlockPublicAcls>TRUE</BlockPublicAcls>\n  <IgnorePublicAcls>FALSE</IgnorePublicAcls>\n  \
                    <BlockPublicPolicy>FALSE</BlockPublicPolicy>\n  \
                    <RestrictPublicBuckets>FALSE</RestrictPublicBuckets>\n</PublicAccessBlockConfiguration>\n";
        assert_eq!(read(body), Ok([true, false, false, false]));
    }

    #[test]
    fn what_is_not_read_for_certain_is_refused() {
        for (body, code) in [
            (String::new(), "MissingRequestBodyError"),
            (" ".to_owned(), "MalformedXML"),
            ("true".to_owned(), "MalformedXML"),
            (within(""), "InvalidRequest"),
            ("<PublicAccessBlockConfiguration/>".to_owned(), "InvalidRequest"),
            (
                "<PublicAccessBlock><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlock>".to_owned(),
                "MalformedXML",
            ),
            ("<BlockPublicAcls>true</BlockPublicAcls>".to_owned(), "MalformedXML"),
            (within("<BlockPublicAcls>yes</BlockPublicAcls>"), "MalformedXML"),
            (within("<BlockPublicAcls>1</BlockPublicAcls>"), "MalformedXML"),
            (within("<BlockPublicAcls/>"), "MalformedXML"),
            (within("<BlockPublicAcls>tr<!-- -->ue</BlockPublicAcls>"), "MalformedXML"),
            (within("<BlockPublicAcls><true/></BlockPublicAcls>"), "MalformedXML"),
            (within("<BlockPublicAcls>true</BlockPublicAcls>true"), "MalformedXML"),
            (within("<blockPublicAcls>true</blockPublicAcls>"), "MalformedXML"),
            (within("<BlockPublicACLs>true</BlockPublicACLs>"), "MalformedXML"),
            (within("<BlockPublicAcls>true</BlockPublicAcls><Other>true</Other>"), "MalformedXML"),
            (within("<BlockPublicAcls>true</BlockPublicAcls><BlockPublicAcls>true</BlockPublicAcls>"), "MalformedXML"),
            (within("<BlockPublicAcls>true</BlockPublicAcls><BlockPublicAcls>false</BlockPublicAcls>"), "MalformedXML"),
            (within(&within("<BlockPublicAcls>true</BlockPublicAcls>")), "MalformedXML"),
            (format!("{0}{0}", within("<BlockPublicAcls>true</BlockPublicAcls>")), "MalformedXML"),
            (within("<s3:BlockPublicAcls>true</s3:BlockPublicAcls>"), "MalformedXML"),
            (within("<BlockPublicAcls>&on;</BlockPublicAcls>"), "MalformedXML"),
            (format!("<!DOCTYPE x>{}", within("<BlockPublicAcls>true</BlockPublicAcls>")), "MalformedXML"),
        ] {
            assert_eq!(read(&body), Err(code), "{body}");
        }
        let body = within("<BlockPublicAcls>true</BlockPublicAcls>");
        let padded = |bytes: usize| format!("{body}{}", " ".repeat(bytes - body.len()));
        assert_eq!(read(&padded(MAX_PUBLIC_ACCESS_BLOCK_BYTES)), Ok([true, false, false, false]));
        assert_eq!(read(&padded(MAX_PUBLIC_ACCESS_BLOCK_BYTES + 1)), Err("MaxMessageLengthExceeded"));
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for bits in 0..16 {
            let on = |switch: u8| bits & (1 << switch) != 0;
            let block = PublicAccessBlock {
                block_public_acls: on(0),
                ignore_public_acls: on(1),
                block_public_policy: on(2),
                restrict_public_buckets: on(3),
            };
            assert_eq!(PublicAccessBlock::parse(&block.to_xml()), Ok(block));
        }
        let block = PublicAccessBlock { ignore_public_acls: true, ..PublicAccessBlock::default() };
        assert_eq!(
            block.to_xml(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <BlockPublicAcls>false</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>\
             <BlockPublicPolicy>false</BlockPublicPolicy><RestrictPublicBuckets>false</RestrictPublicBuckets>\
             </PublicAccessBlockConfiguration>"
        );
        assert_eq!(
            policy_status_xml(true),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PolicyStatus \
             xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><IsPublic>true</IsPublic></PolicyStatus>"
        );
        assert!(policy_status_xml(false).ends_with(b"<IsPublic>false</IsPublic></PolicyStatus>"));
    }
}
