//! What is written down: about the process ([`logging`]), about each request ([`access_log`]), and about who changed a
//! policy or was denied something ([`audit`]); and what is counted ([`metrics`]), of requests with handles ([`requests`]).

pub mod access_log;
pub mod audit;
pub mod logging;
pub mod metrics;
pub mod requests;
