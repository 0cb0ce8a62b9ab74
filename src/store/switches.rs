//! A public access block, as the stores that write it as JSON do.

use serde::{Deserialize, Serialize};

use crate::s3::public_access_block::PublicAccessBlock;

/// The four switches. What is not known here could be what denies, so it is not passed over.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Switches {
    block_public_acls: bool,
    ignore_public_acls: bool,
    block_public_policy: bool,
    restrict_public_buckets: bool,
}

impl From<PublicAccessBlock> for Switches {
    fn from(block: PublicAccessBlock) -> Self {
        let PublicAccessBlock { block_public_acls, ignore_public_acls, block_public_policy, restrict_public_buckets } =
            block;
        Self { block_public_acls, ignore_public_acls, block_public_policy, restrict_public_buckets }
    }
}

impl From<Switches> for PublicAccessBlock {
    fn from(switches: Switches) -> Self {
        let Switches { block_public_acls, ignore_public_acls, block_public_policy, restrict_public_buckets } = switches;
        Self { block_public_acls, ignore_public_acls, block_public_policy, restrict_public_buckets }
    }
}
