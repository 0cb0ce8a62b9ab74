//! The table.

use super::{Kind, Metric};

/// From what a cache answers to what makes clients give up.
const ANSWERS: Kind =
    Kind::Seconds(&[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0]);

/// From what is in memory to what a store must be asked for.
const DECISIONS: Kind = Kind::Seconds(&[
    0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0,
]);

/// From what is in memory to what a disk or a network takes.
const STORES: Kind = Kind::Seconds(&[
    0.000_005, 0.000_05, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
]);

macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:expr, [$($label:literal),*], $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric { name: $name, kind: $kind, labels: &[$($label),*], help: $help };
        )*

        /// Every metric.
        pub static ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    // Requests.
    REQUESTS = "portcullis_requests_total", Kind::Counter, ["operation", "code", "decision"],
        "Requests that have ended. `operation`: Amazon's name, or `none`; `code`: the answer's status, or `none` where the client went away before it; `decision`: `allowed`, `denied`, `refused` (could not be decided) or `none` (nothing was to be decided), in a dry run what it would have been.";
    REQUEST_DURATION = "portcullis_request_duration_seconds", ANSWERS, ["operation"],
        "From a request's head to the end of its answer's body.";
    RECEIVED = "portcullis_received_bytes_total", Kind::Counter, [],
        "Bytes of requests' bodies, counted when a request ends.";
    SENT = "portcullis_sent_bytes_total", Kind::Counter, [],
        "Bytes of answers' bodies, counted when a request ends.";
    IN_FLIGHT = "portcullis_requests_in_flight", Kind::Gauge, [],
        "Requests under way: begun, and their answers not sent to the end.";
    IN_FLIGHT_LIMIT = "portcullis_requests_in_flight_limit", Kind::Gauge, [],
        "As many requests may be under way (`limits.max_in_flight`).";
    HELD = "portcullis_held_bytes", Kind::Gauge, [],
        "Bytes of bodies held in memory, of at most `limits.max_held_bytes`.";
    LIMITED = "portcullis_limited_requests_total", Kind::Counter, ["limit"],
        "Requests answered `503 SlowDown`. `limit`: `max_in_flight` or `max_held_bytes` of `[limits]`, or `max_connections` of `[upstream]`.";
    PANICS = "portcullis_panics_total", Kind::Counter, [],
        "Requests that met a defect of Portcullis and were answered `500 InternalError`.";
    CONNECTIONS = "portcullis_connections", Kind::Gauge, ["listener"],
        "Clients' connections that are open. `listener`: `data`, `admin` or `authz`.";
    CONNECTIONS_LIMIT = "portcullis_connections_limit", Kind::Gauge, ["listener"],
        "As many connections may be open; more wait in the system's queue (`limits.max_connections`).";
    CONNECTIONS_ACCEPTED = "portcullis_connections_accepted_total", Kind::Counter, ["listener"],
        "Clients' connections that were accepted.";

    // Decisions.
    DECISIONS_MADE = "portcullis_decisions_total", Kind::Counter, ["operation", "decision", "mode"],
        "Decisions: of a batch delete one for each key that is denied. `decision`: `allowed`, `denied` or `refused`; `mode`: `policy.enforcement`.";
    DECISION_DURATION = "portcullis_decision_duration_seconds", DECISIONS, [],
        "What a decision takes, the bucket's owner and policy fetched, the request's body read before.";
    AUDIT_ERRORS = "portcullis_audit_errors_total", Kind::Counter, [],
        "Lines of the audit trail that could not be written.";

    // The object store behind.
    UPSTREAM_DURATION = "portcullis_upstream_duration_seconds", ANSWERS, ["endpoint"],
        "From a request that goes to the object store to the head of its answer, connecting and the request's body included.";
    UPSTREAM_ERRORS = "portcullis_upstream_errors_total", Kind::Counter, ["reason"],
        "Requests that the object store did not answer. `reason`: `unreachable`, `crowded` (`upstream.max_connections`), `broken` (the connection ended) or `timeout`.";
    ENDPOINT_EJECTED = "portcullis_upstream_endpoint_ejected", Kind::Gauge, ["endpoint"],
        "1 for an endpoint that gets no requests because it accepts no connections, else 0.";

    // The policy store.
    STORE_DURATION = "portcullis_store_duration_seconds", STORES, ["call"],
        "What the policy store takes for a call of ours, such as `in_force`, `put` or `delete`.";
    STORE_ERRORS = "portcullis_store_errors_total", Kind::Counter, ["call"],
        "Calls that the policy store could not answer.";
    STORE_STALENESS = "portcullis_store_staleness_seconds", Kind::Gauge, [],
        "For how long the policy store has not confirmed what is in force here: 0 while it does, and past `store.max_staleness` nothing is decided.";

    // What is re-read.
    RELOADS = "portcullis_reloads_total", Kind::Counter, ["file", "result"],
        "Files re-read, on change or at SIGHUP. `file`: `config`, `identities` or `certificates`; `result`: `success`, or `failure` for a new version that was refused.";
    RELOADED = "portcullis_last_reload_successful", Kind::Gauge, ["file"],
        "1 where the newest version of the file is in force, 0 where it was refused and an older one is.";
    RELOADED_AT = "portcullis_last_reload_success_timestamp_seconds", Kind::Gauge, ["file"],
        "When the version in force was read, as Unix time.";
    RESTART_NEEDED = "portcullis_restart_needed", Kind::Gauge, [],
        "1 where `proxy.toml` says something that only a restart brings into force, else 0.";
    CERTIFICATE_EXPIRY = "portcullis_certificate_expiry_timestamp_seconds", Kind::Gauge, ["certificate"],
        "When a certificate that clients get expires, as Unix time. `certificate`: its file.";

    // Traces.
    SPANS = "portcullis_trace_spans_total", Kind::Counter, ["outcome"],
        "Spans that were recorded, where `trace.otlp_endpoint` is given. `outcome`: `sent`, `failed` (the collector did not take them) or `dropped` (too many were waiting for it).";

    // The process.
    BUILD_INFO = "portcullis_build_info", Kind::Gauge, ["version"],
        "1, for the version that runs.";
}
