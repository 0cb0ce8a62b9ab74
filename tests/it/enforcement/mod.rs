//! What the Layer lets through where policies are enforced: decided by the policies, and read as the store will read it.

mod audit;
mod authorizer;
mod bypass;
mod changes;
mod grants;
mod public_access;
mod reserved;
mod several;

use http::Request;
use http_body_util::Full;
use portcullis::{Enforcement, PassThrough};

use super::support::stack::Stack;
use super::support::{Answer, Caller, request, signed};

/// A layer that enforces, in front of a store that knows the callers' keys.
fn preserving() -> Stack {
    Stack::deciding(Enforcement::Enforce, PassThrough::AsSent)
}

/// One in front of a store that knows ours alone.
fn resigning() -> Stack {
    Stack::deciding(Enforcement::Enforce, PassThrough::Verified)
}

/// Signs as the caller of that name, or not at all for `anonymous`.
async fn by(caller: &'static str, request: Request<Full<bytes::Bytes>>) -> Request<Full<bytes::Bytes>> {
    if caller == "anonymous" { request } else { signed(Caller(caller), request).await }
}

impl Stack {
    /// Puts what `statements` say in force for `photos`, each without its `Effect`, `Principal` and `Resource` where these are
    /// the usual ones.
    async fn with_policy(self, statements: &str) -> Self {
        let policy = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
        let answer = self.put(Caller("root"), &policy).await;
        assert_eq!(answer.verdict(), "204", "{policy}: {answer:?}");
        self
    }

    async fn ask(&self, caller: &'static str, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(by(caller, request(method, target, headers, "")).await).await
    }

    /// The verdict, and whether the store was asked.
    async fn verdict(&self, caller: &'static str, method: &str, target: &str, headers: &[(&str, &str)]) -> String {
        let before = self.seen();
        let verdict = self.ask(caller, method, target, headers).await.verdict();
        let asked = self.seen() - before;
        assert_eq!(asked, usize::from(verdict == "200"), "{caller} {method} {target}: {verdict}");
        verdict
    }
}

const DENIED: &str = "403 AccessDenied";
