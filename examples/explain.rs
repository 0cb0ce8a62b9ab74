//! Who may read the drafts, and if not, why not? The policy language alone, without server or store.
//!
//! ```console
//! $ cargo run --no-default-features --example explain
//! ```

use std::error::Error;

use portcullis::policy::{
    AccessRequest, Account, AccountId, Action, CanonicalUserId, Context, Policies, Policy, Principal, explain,
};

const POLICY: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [
    { "Sid": "PublicRead", "Effect": "Allow", "Principal": "*",
      "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/public/*" },
    { "Sid": "OwnFolder", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:user/alice" },
      "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::photos/home/${aws:username}/*" },
    { "Sid": "OfficeOnly", "Effect": "Deny", "Principal": "*",
      "Action": "s3:*", "Resource": "arn:aws:s3:::photos/home/*",
      "Condition": { "NotIpAddress": { "aws:SourceIp": "192.0.2.0/24" } } }
  ]
}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let policy = Policy::parse(POLICY.as_bytes(), "photos")?.policy;
    let owner = AccountId::parse("111122223333")?;
    let canonical_id = CanonicalUserId::parse(&"0123456789abcdef".repeat(4)).ok_or("64 hexadecimal digits")?;
    let alice = Principal::user(Account { id: owner.clone(), canonical_id }, "/", "alice", "AIDAALICE", [].into());

    for (who, principal, from, resource) in [
        ("nobody in particular", &Principal::Anonymous, "198.51.100.7", "arn:aws:s3:::photos/public/cat.jpg"),
        ("nobody in particular", &Principal::Anonymous, "192.0.2.7", "arn:aws:s3:::photos/home/alice/draft.jpg"),
        ("alice", &alice, "192.0.2.7", "arn:aws:s3:::photos/home/alice/draft.jpg"),
        ("alice", &alice, "198.51.100.7", "arn:aws:s3:::photos/home/alice/draft.jpg"),
    ] {
        let mut context = Context::new();
        context.set("aws:SourceIp", [from]);
        let request = AccessRequest { principal, action: Action::GetObject, resource, context: &context };
        let explanation = explain(&request, &Policies { identity: &[], bucket: Some(&policy), owner: &owner });

        println!("{who} from {from} on {resource}: {}", explanation.decided.decision());
        for statement in &explanation.statements {
            let name = statement.sid.unwrap_or("without a Sid");
            match statement.missed {
                None => println!("  {name}: applies"),
                Some(missed) => println!("  {name}: does not, by its {missed}"),
            }
        }
    }
    Ok(())
}
