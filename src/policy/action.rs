//! Which actions does S3 have, and which of them does an `Action` element name?
//!
//! The names are those of Amazon's "Actions, resources, and condition keys for Amazon S3".

use std::fmt;

use super::pattern::{NoValues, Pattern};

/// What an action is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionLevel {
    /// A bucket, `arn:aws:s3:::photos`.
    Bucket,
    /// An object, `arn:aws:s3:::photos/cat.jpg`.
    Object,
    /// Neither: the account, its access points, jobs, grants and the like. No bucket policy can speak of these.
    Account,
}

macro_rules! actions {
    ($($level:ident { $($name:ident)* })*) => {
        /// An action of S3, by the name that policies use.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action {
            $($(#[doc = concat!("`s3:", stringify!($name), "`")] $name,)*)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$($(Self::$name,)*)*];

            /// The name with its prefix, `s3:GetObject`.
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Self::$name => concat!("s3:", stringify!($name)),)*)*
                }
            }

            /// What it is done to.
            pub const fn level(self) -> ActionLevel {
                match self {
                    $($(Self::$name)|* => ActionLevel::$level,)*
                }
            }
        }
    };
}

actions! {
    Bucket {
        AllowVendedLogDeliveryForResource CreateBucket CreateBucketMetadataTableConfiguration DeleteBucket
        DeleteBucketMetadataTableConfiguration DeleteBucketPolicy DeleteBucketWebsite GetAccelerateConfiguration
        GetAnalyticsConfiguration GetBucketAbac GetBucketAcl GetBucketCORS GetBucketLocation GetBucketLogging
        GetBucketMetadataTableConfiguration GetBucketNotification GetBucketObjectLockConfiguration
        GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus GetBucketPublicAccessBlock
        GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite GetEncryptionConfiguration
        GetIntelligentTieringConfiguration GetInventoryConfiguration GetLifecycleConfiguration GetMetricsConfiguration
        GetReplicationConfiguration ListBucket ListBucketMultipartUploads ListBucketVersions ListTagsForResource
        PauseReplication PutAccelerateConfiguration PutAnalyticsConfiguration PutBucketAbac PutBucketAcl PutBucketCORS
        PutBucketLogging PutBucketNotification PutBucketObjectLockConfiguration PutBucketOwnershipControls
        PutBucketPolicy PutBucketPublicAccessBlock PutBucketRequestPayment PutBucketTagging PutBucketVersioning
        PutBucketWebsite PutEncryptionConfiguration PutIntelligentTieringConfiguration PutInventoryConfiguration
        PutLifecycleConfiguration PutMetricsConfiguration PutReplicationConfiguration TagResource UntagResource
        UpdateBucketMetadataAnnotationTableConfiguration UpdateBucketMetadataInventoryTableConfiguration
        UpdateBucketMetadataJournalTableConfiguration
    }
    Object {
        AbortMultipartUpload BypassGovernanceRetention DeleteObject DeleteObjectAnnotation DeleteObjectTagging
        DeleteObjectVersion DeleteObjectVersionAnnotation DeleteObjectVersionTagging GetObject GetObjectAcl
        GetObjectAnnotation GetObjectAttributes GetObjectLegalHold GetObjectRetention GetObjectTagging
        GetObjectTorrent GetObjectVersion GetObjectVersionAcl GetObjectVersionAnnotation
        GetObjectVersionAnnotationForReplication GetObjectVersionAttributes GetObjectVersionForReplication
        GetObjectVersionTagging GetObjectVersionTorrent InitiateReplication ListMultipartUploadParts
        ListObjectAnnotations ListObjectVersionAnnotations ObjectOwnerOverrideToBucketOwner PutObject PutObjectAcl
        PutObjectAnnotation PutObjectLegalHold PutObjectRetention PutObjectTagging PutObjectVersionAcl
        PutObjectVersionAnnotation PutObjectVersionTagging ReplicateDelete ReplicateObject ReplicateObjectAnnotation
        ReplicateTags RestoreObject UpdateObjectEncryption
    }
    Account {
        AssociateAccessGrantsIdentityCenter CreateAccessGrant CreateAccessGrantsInstance CreateAccessGrantsLocation
        CreateAccessPoint CreateAccessPointForObjectLambda CreateJob CreateMultiRegionAccessPoint
        CreateStorageLensGroup DeleteAccessGrant DeleteAccessGrantsInstance DeleteAccessGrantsInstanceResourcePolicy
        DeleteAccessGrantsLocation DeleteAccessPoint DeleteAccessPointForObjectLambda DeleteAccessPointPolicy
        DeleteAccessPointPolicyForObjectLambda DeleteJobTagging DeleteMultiRegionAccessPoint
        DeleteStorageLensConfiguration DeleteStorageLensConfigurationTagging DeleteStorageLensGroup DescribeJob
        DescribeMultiRegionAccessPointOperation DissociateAccessGrantsIdentityCenter GetAccessGrant
        GetAccessGrantsInstance GetAccessGrantsInstanceForPrefix GetAccessGrantsInstanceResourcePolicy
        GetAccessGrantsLocation GetAccessPoint GetAccessPointConfigurationForObjectLambda
        GetAccessPointForObjectLambda GetAccessPointPolicy GetAccessPointPolicyForObjectLambda
        GetAccessPointPolicyStatus GetAccessPointPolicyStatusForObjectLambda GetAccountPublicAccessBlock GetDataAccess
        GetJobTagging GetMultiRegionAccessPoint GetMultiRegionAccessPointPolicy GetMultiRegionAccessPointPolicyStatus
        GetMultiRegionAccessPointRoutes GetStorageLensConfiguration GetStorageLensConfigurationTagging
        GetStorageLensDashboard GetStorageLensGroup ListAccessGrants ListAccessGrantsInstances
        ListAccessGrantsLocations ListAccessPoints ListAccessPointsForObjectLambda ListAllMyBuckets
        ListCallerAccessGrants ListJobs ListMultiRegionAccessPoints ListStorageLensConfigurations
        ListStorageLensGroups PutAccessGrantsInstanceResourcePolicy PutAccessPointConfigurationForObjectLambda
        PutAccessPointPolicy PutAccessPointPolicyForObjectLambda PutAccessPointPublicAccessBlock
        PutAccountPublicAccessBlock PutJobTagging PutMultiRegionAccessPointPolicy PutStorageLensConfiguration
        PutStorageLensConfigurationTagging SubmitMultiRegionAccessPointRoutes UpdateAccessGrantsLocation
        UpdateJobPriority UpdateJobStatus UpdateStorageLensGroup
    }
}

impl Action {
    /// The action of this name, prefix included and without regard to case; none where S3 has no such action. The
    /// names of API operations (`s3:HeadBucket`) are not names of actions.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.name().eq_ignore_ascii_case(name))
    }

    fn short_name(self) -> &'static str {
        self.name().strip_prefix("s3:").unwrap_or_default()
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of actions: one bit each, so that asking for one costs the same however a policy spelled the set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ActionSet([u64; Action::ALL.len().div_ceil(64)]);

impl ActionSet {
    pub(super) fn all() -> Self {
        Action::ALL.iter().copied().collect()
    }

    pub(super) fn contains(&self, action: Action) -> bool {
        let bit = action as usize;
        self.0.get(bit / 64).is_some_and(|word| word & (1 << (bit % 64)) != 0)
    }

    pub(super) fn union(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
        self
    }

    /// Every action that is not in the set.
    pub(super) fn complement(self) -> Self {
        Action::ALL.iter().copied().filter(|action| !self.contains(*action)).collect()
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.iter().copied().filter(move |action| self.contains(*action))
    }
}

impl FromIterator<Action> for ActionSet {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        let mut set = Self::default();
        for action in actions {
            let bit = action as usize;
            if let Some(word) = set.0.get_mut(bit / 64) {
                *word |= 1 << (bit % 64);
            }
        }
        set
    }
}

/// One entry of an `Action` or `NotAction` element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ActionEntry {
    /// An action by its full name.
    Named(Action),
    /// Every action that a pattern matches; none where S3 has no such action.
    Matching(ActionSet),
    /// Actions of another service, which nothing here can ask for. Identity policies only.
    Foreign,
    /// A name that S3 does not have. Identity policies only; IAM takes it.
    Unknown,
}

impl ActionEntry {
    /// An entry of a bucket policy: `*`, or `s3:` and the name or a pattern of actions on buckets and objects.
    pub(super) fn in_bucket_policy(text: &str) -> Option<Self> {
        let of_bucket = |action: &Action| action.level() != ActionLevel::Account;
        match Self::in_identity_policy(text)? {
            named @ Self::Named(action) => of_bucket(&action).then_some(named),
            matching @ Self::Matching(set) => (text == "*"
                || vendor(text)?.eq_ignore_ascii_case("s3") && set.iter().any(|action| of_bucket(&action)))
            .then_some(matching),
            Self::Foreign | Self::Unknown => None,
        }
    }

    /// An entry of an identity policy: `*`, or a service's prefix and any name or pattern.
    pub(super) fn in_identity_policy(text: &str) -> Option<Self> {
        if text == "*" || text == "*:*" {
            return Some(Self::Matching(ActionSet::all()));
        }
        let (vendor, name) = text.split_once(':')?;
        if name.is_empty() || vendor.is_empty() || !vendor.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return None;
        }
        if !vendor.eq_ignore_ascii_case("s3") {
            return Some(Self::Foreign);
        }
        if name.contains(['*', '?']) {
            let pattern = Pattern::plain(&name.to_ascii_lowercase());
            let matching = |action: &Action| pattern.matches(&action.short_name().to_ascii_lowercase(), &NoValues);
            return Some(Self::Matching(Action::ALL.iter().copied().filter(matching).collect()));
        }
        Some(Action::parse(text).map_or(Self::Unknown, Self::Named))
    }

    /// The actions it stands for.
    pub(super) fn actions(self) -> ActionSet {
        match self {
            Self::Named(action) => std::iter::once(action).collect(),
            Self::Matching(set) => set,
            Self::Foreign | Self::Unknown => ActionSet::default(),
        }
    }
}

fn vendor(text: &str) -> Option<&str> {
    text.split_once(':').map(|(vendor, _)| vendor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_parsed_without_regard_to_case() {
        for action in Action::ALL {
            for name in [action.name().to_owned(), action.name().to_uppercase(), action.name().to_lowercase()] {
                assert_eq!(Action::parse(&name), Some(*action), "{name}");
            }
        }
        for name in ["", "s3:", "GetObject", "s3:HeadBucket", "s3:ListObjectsV2", "s3:GetObject ", "iam:GetObject"] {
            assert_eq!(Action::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_its_complement_the_rest() {
        let set: ActionSet = [Action::GetObject, Action::UpdateStorageLensGroup].into_iter().collect();
        for action in Action::ALL {
            let within = matches!(action, Action::GetObject | Action::UpdateStorageLensGroup);
            assert_eq!(set.contains(*action), within, "{action}");
            assert_eq!(set.complement().contains(*action), !within, "{action}");
        }
        assert_eq!(set.union(set.complement()), ActionSet::all());
    }

    #[test]
    fn patterns_match_across_names_without_regard_to_case() {
        for (text, within, without) in [
            ("*", Action::ListAllMyBuckets, None),
            ("s3:*", Action::PutBucketPolicy, None),
            ("S3:getobject*", Action::GetObjectVersionAcl, Some(Action::PutObject)),
            ("s3:*BucketPolicy", Action::DeleteBucketPolicy, Some(Action::GetBucketPolicyStatus)),
            ("s3:?etObject", Action::GetObject, Some(Action::PutObject)),
        ] {
            let Some(ActionEntry::Matching(set)) = ActionEntry::in_bucket_policy(text) else { panic!("{text}") };
            assert!(set.contains(within), "{text}");
            assert!(without.is_none_or(|action| !set.contains(action)), "{text}");
        }
    }
}
