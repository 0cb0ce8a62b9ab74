//! `s3s-policy`: a data model of policies, which reads and writes them and decides nothing.

use s3s_policy::model::Policy;

use super::Reader;
use crate::document::{Attached, Document, Form};

/// Reads, and no more.
pub struct S3s;

impl Reader for S3s {
    const NAME: &'static str = "s3s-policy";

    type Policy = Policy;

    fn write(document: &Document) -> String {
        document.to_json(Form::Normal)
    }

    fn read(text: &str, _: Attached) -> Policy {
        serde_json::from_str(text).expect("generated policies parse")
    }
}
