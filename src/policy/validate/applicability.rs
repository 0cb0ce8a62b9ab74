//! Do a statement's actions, resources and condition keys go together?
//!
//! Follows Amazon's "Actions, resources, and condition keys for Amazon S3".

use super::elements::{Entries, Entry};
use super::report::{Faulty, Place, Report};
use crate::policy::action::{ActionEntry, ActionLevel};
use crate::policy::condition::UsedKey;
use crate::policy::error::Fault;
use crate::policy::resource::{ResourceEntry, ResourceLevel};

/// Each action must be one of a bucket or of an object as one of the resources is. What a `Not…` element leaves over is not
/// tested.
pub(super) fn check_actions(
    report: &mut Report<'_>,
    place: Place<'_>,
    actions: &Entries<'_, ActionEntry>,
    resources: &Entries<'_, ResourceEntry<'_>>,
) -> Result<(), Faulty> {
    if actions.negated || resources.negated {
        return Ok(());
    }
    let has = |level| resources.entries.iter().any(|entry| entry.value == ResourceEntry::InBucket(level));
    let (bucket, object) = (has(ResourceLevel::Bucket), has(ResourceLevel::Object));
    let place = place.member(actions.name);
    let mut sound = Ok(());
    for entry in &actions.entries {
        let applies = entry.value.actions().iter().any(|action| match action.level() {
            ActionLevel::Bucket => bucket,
            ActionLevel::Object => object,
            ActionLevel::Account => false,
        });
        if !applies {
            sound = Err(report.fault(Fault::ActionWithoutResource, entry.place(&place), entry.node));
        }
    }
    sound
}

/// Each of S3's keys must be one that each action named without wildcard has.
pub(super) fn check_keys(
    report: &mut Report<'_>,
    place: Place<'_>,
    actions: &Entries<'_, ActionEntry>,
    keys: &[UsedKey<'_>],
) -> Result<(), Faulty> {
    if actions.negated {
        return Ok(());
    }
    let (condition, mut sound) = (place.member("Condition"), Ok(()));
    for UsedKey { key, operator, member } in keys {
        let without = |entry: &&Entry<'_, ActionEntry>| match entry.value {
            ActionEntry::Named(action) => !key.supports(action),
            ActionEntry::Matching(_) | ActionEntry::Foreign | ActionEntry::Unknown => false,
        };
        if let Some(entry) = actions.entries.iter().find(without) {
            let operator = condition.member(operator);
            let what = format!("{} does not have this key", entry.text);
            let place = operator.member(&member.name);
            sound = Err(report.fault_at(Fault::ConditionWithoutAction, place, member.at, &what));
        }
    }
    sound
}
