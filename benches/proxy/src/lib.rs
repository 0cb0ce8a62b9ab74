//! Portcullis as a proxy, beside nginx, HAProxy and Envoy: what a request costs each of them.
//!
//! The proxy that is measured has one core alone; the load, the store behind it and this program share another. What
//! counts is the processor time of the proxy's process for one request: unlike its throughput it does not depend on how
//! fast the other core is.

pub mod contender;
pub mod garage;
pub mod load;
pub mod measure;
pub mod process;
pub mod report;
pub mod request;
pub mod sink;
pub mod storage;
pub mod tools;

use std::io;
use std::path::Path;

/// What the proxies and the load share: one bucket, its owner, and a user that a bucket policy lets read and write.
pub mod world {
    /// The bucket of all objects.
    pub const BUCKET: &str = "media";
    /// The bucket's owner and its user's account.
    pub const ACCOUNT: &str = "111122223333";
    /// What clients write in `Host`. It is the same for every proxy, so that each gets the same bytes.
    pub const HOST: &str = "s3.localhost:9000";
    /// The region of all signatures.
    pub const REGION: &str = "us-east-1";
    /// The folder of the objects that are asked for: that of the policy's last statement.
    pub const FOLDER: &str = "team-0009";
    /// The size of a small object, in bytes.
    pub const SMALL: u64 = 1 << 10;
    /// The size of a large object, in bytes.
    pub const LARGE: u64 = 64 << 20;
    /// The size of the largest object, in bytes: as large as one PUT may be.
    pub const HUGE: u64 = 5 << 30;

    /// The policy of [`BUCKET`]: ten statements, of which the last alone is about [`FOLDER`].
    pub fn policy() -> String {
        let statement = |index: usize| {
            serde_json::json!({
                "Effect": "Allow",
                "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:user/alice")},
                "Action": ["s3:GetObject", "s3:PutObject"],
                "Resource": format!("arn:aws:s3:::{BUCKET}/team-{index:04}/*"),
            })
        };
        let statements: Vec<_> = (0..10).map(statement).collect();
        serde_json::json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    }

    /// The target of an object in [`FOLDER`].
    pub fn target(name: &str) -> String {
        format!("/{BUCKET}/{FOLDER}/{name}")
    }
}

/// Makes what went wrong with a file say which.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
