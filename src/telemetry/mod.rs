//! What is written down: about the process ([`logging`]), about each request ([`access_log`]), and about who changed a
//! policy or was denied something ([`audit`]); what is counted ([`metrics`]), of requests with handles ([`requests`]); and, in
//! builds with the feature `otlp`, what is told to a collector of traces (`otlp`).

pub mod access_log;
pub mod audit;
pub mod logging;
pub mod metrics;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod requests;
