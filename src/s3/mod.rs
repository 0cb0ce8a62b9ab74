//! The S3 protocol over `http` types: addresses, operations, errors, checksums, XML.
//!
//! Pure: no IO, no async, no clock.

pub mod acl;
pub mod action_map;
pub mod address;
pub mod aws_chunked;
pub(crate) mod bucket_list;
pub mod checksum;
pub mod context;
pub mod copy_source;
pub mod delete_objects;
pub mod delete_result;
pub mod error;
pub mod form;
pub mod forward;
pub mod held_bytes;
pub mod hoisted;
#[cfg(feature = "proxy")]
pub(crate) mod object_list;
pub mod operation;
pub mod post_policy;
pub mod public_access_block;
pub(crate) mod repeated;
pub mod rewritten;
pub mod xml;
#[cfg(feature = "proxy")]
pub(crate) mod xml_answer;
mod xml_body;
mod xml_elements;
