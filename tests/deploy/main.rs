//! What `deploy/` has for Kubernetes, systemd and container engines, by the programs that read it, and against Portcullis
//! itself: ports, probes, rights, and the configuration within.
//!
//! - `manifests`: what Kustomize and Helm render, each by the same rules
//! - `helm`: the chart and its values
//! - `schemas`: all of it as Kubernetes reads it
//! - `image`: the Dockerfile
//! - `systemd`: the unit
//! - `rendered`, `tools`: what these stand on; the tools are installed where they are missing
#![cfg(feature = "proxy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail by panicking, and a missing YAML key should"
)]

#[path = "../e2e/support/cache.rs"]
#[allow(dead_code, reason = "the end-to-end tests use more of it")]
mod cache;
mod helm;
mod image;
mod manifests;
mod rendered;
mod schemas;
mod systemd;
mod tools;

use std::path::{Path, PathBuf};

/// A path in the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
