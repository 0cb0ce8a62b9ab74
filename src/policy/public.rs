//! Is a bucket policy public?
//!
//! Follows Amazon's "Blocking public access to your Amazon S3 storage", "The meaning of public": a policy is taken to be
//! public until it is seen to grant only to fixed values, without wildcards or variables, of certain keys. Its answer is
//! that of `GetBucketPolicyStatus`. Where Amazon is seen to go beyond that page, it is followed: a wildcard does no harm
//! in an ARN whose account is fixed, behind an organisation's id, or behind the id of a role in `aws:userid`.

use std::net::IpAddr;

use super::condition::{Comparison, Condition, Test, ip_range};
use super::evaluate::{Effect, Policy, Statement, Who};
use super::pattern::{Pattern, Wildcards};
use super::principal::ANONYMOUS;
use super::version::Version;

impl Policy {
    /// Whether the policy is public by Amazon's definition: whether one of its statements is. Statements that deny take
    /// nothing away, and what a bucket's ACL or block public access settings say does not count.
    ///
    /// ```
    /// use portcullis::policy::Policy;
    ///
    /// let policy = |condition: &str| {
    ///     let document = format!(
    ///         r#"{{"Statement":{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"{condition}}}}}"#
    ///     );
    ///     Ok::<_, portcullis::policy::InvalidPolicy>(Policy::parse(document.as_bytes(), "b")?.policy)
    /// };
    /// assert!(policy("")?.is_public());
    /// assert!(policy(r#","Condition":{"IpAddress":{"aws:SourceIp":"0.0.0.0/1"}}"#)?.is_public());
    /// assert!(!policy(r#","Condition":{"IpAddress":{"aws:SourceIp":"198.51.100.0/24"}}"#)?.is_public());
    /// # Ok::<(), portcullis::policy::InvalidPolicy>(())
    /// ```
    pub fn is_public(&self) -> bool {
        self.statements.iter().any(|statement| is_public(statement, self.version))
    }
}

fn is_public(statement: &Statement, version: Version) -> bool {
    match &statement.effect {
        Effect::Allow(Who::Named(principals)) => {
            principals.include_the_public() && !is_limited(&statement.condition, version)
        }
        // An identity policy grants to whom it is attached to.
        Effect::Allow(Who::Holder) | Effect::Deny(_) | Effect::DenyAllBut(_) => false,
    }
}

/// Whether one of the tests lets fixed values through alone; the tests are all needed, so one is enough.
fn is_limited(condition: &Condition, version: Version) -> bool {
    condition.tests().iter().any(|test| test.operator.demands_a_value() && limits(test, version))
}

fn limits(test: &Test, version: Version) -> bool {
    let key = test.written.key.to_ascii_lowercase();
    let all = |is_fixed: &dyn Fn(&str, &Pattern) -> bool| {
        test.written.values.iter().all(|text| is_fixed(text, &Pattern::compile(text, version, Wildcards::Match).0))
    };
    let by_component = test.operator.comparison == Comparison::Arn;
    match key.as_str() {
        "aws:sourceip" => all(&|text, _| is_narrow(text)),
        "aws:sourcevpc"
        | "aws:sourcevpce"
        | "aws:sourceowner"
        | "aws:sourceaccount"
        | "aws:sourceorgid"
        | "aws:principalorgid"
        | "s3:dataaccesspointaccount"
        | "s3:x-amz-server-side-encryption-aws-kms-key-id" => all(&|_, pattern| pattern.is_fixed()),
        "aws:principalorgpaths" => all(&|_, pattern| has_fixed_organization(pattern)),
        "aws:principalaccount" => all(&|text, pattern| pattern.is_fixed() && !is_anonymous(text)),
        "aws:userid" => {
            all(&|text, pattern| pattern.is_fixed() && !is_anonymous(text) || is_any_session_of_one_role(text, version))
        }
        "aws:sourcearn" | "aws:principalarn" => {
            all(&|_, pattern| pattern.is_fixed() || has_fixed_account(pattern, by_component))
        }
        "s3:dataaccesspointarn" => all(&|_, pattern| has_fixed_account_and_region(pattern, by_component)),
        _ => false,
    }
}

/// A fixed value, and everybody has it who does not sign.
fn is_anonymous(text: &str) -> bool {
    text.eq_ignore_ascii_case(ANONYMOUS)
}

/// Amazon takes ranges broader than /8 of IPv4 and /32 of IPv6 for public.
fn is_narrow(text: &str) -> bool {
    ip_range(text).is_some_and(|range| match range.network() {
        IpAddr::V4(_) => range.prefix_len() >= 8,
        IpAddr::V6(_) => range.prefix_len() >= 32,
    })
}

/// `o-ORGANIZATION/…`, what follows left open.
fn has_fixed_organization(pattern: &Pattern) -> bool {
    pattern.prefix().split_once('/').is_some_and(|(organization, _)| !organization.is_empty())
}

/// `ROLEID:*`, as a policy names all sessions of a role.
fn is_any_session_of_one_role(text: &str, version: Version) -> bool {
    text.strip_suffix(":*")
        .is_some_and(|role| !role.is_empty() && Pattern::compile(role, version, Wildcards::Match).0.is_fixed())
}

/// An ARN of one account. Where components are not told apart (`StringLike`), a wildcard before the account could stand
/// for any number of them, so all up to the account must be fixed.
fn has_fixed_account(pattern: &Pattern, by_component: bool) -> bool {
    pattern.split::<6>().is_some_and(|[arn, partition, service, region, account, _]| {
        let is_fixed = |part: &Pattern| part.is_fixed();
        account.literal().is_some_and(|account| !account.is_empty())
            && (by_component || [arn, partition, service, region].iter().all(is_fixed))
    })
}

fn has_fixed_account_and_region(pattern: &Pattern, by_component: bool) -> bool {
    has_fixed_account(pattern, by_component)
        && pattern
            .split::<6>()
            .is_some_and(|[_, _, _, region, ..]| region.literal().is_some_and(|region| !region.is_empty()))
}
