//! What the benchmarks measure: policies of every size, each in the language of every engine, and a question to ask them.
//!
//! A [`Document`] is a policy before it is written in any language; a [`Scenario`] is some of them and one request. An
//! [`Engine`] is given a scenario, prepares whatever it can prepare before a request comes, and is then asked the question
//! over and over.

pub mod document;
pub mod engine;
pub mod scenario;
pub mod table;

pub use document::Document;
pub use engine::{Engine, Reader};
pub use scenario::{Scenario, documents, scenarios};
