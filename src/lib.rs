//! Amazon-grade S3 bucket policies in front of any object store.

pub mod auth;
pub mod identity;
pub mod layer;
pub mod ownership;
pub mod policy;
pub mod s3;
pub mod store;
