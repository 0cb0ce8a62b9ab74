//! What an owners' registry does.

use portcullis::policy::AccountId;
use portcullis::store::OwnerRegistry;

use crate::support::bucket;

pub(crate) async fn conformance(registry: &dyn OwnerRegistry) {
    let [first, second] = ["111122223333", "444455556666"].map(|id| AccountId::parse(id).unwrap());
    let (name, other) = (bucket("photos"), bucket("photos2"));
    assert_eq!(registry.get(&name).await.unwrap(), None);
    assert!(!registry.remove(&name).await.unwrap());
    registry.set(&name, &first).await.unwrap();
    assert_eq!(registry.get(&name).await.unwrap().as_ref(), Some(&first));
    assert_eq!(registry.get(&other).await.unwrap(), None);
    registry.set(&name, &second).await.unwrap();
    registry.set(&other, &first).await.unwrap();
    assert_eq!(registry.get(&name).await.unwrap().as_ref(), Some(&second));
    assert!(registry.remove(&name).await.unwrap());
    assert_eq!(registry.get(&name).await.unwrap(), None);
    assert_eq!(registry.get(&other).await.unwrap().as_ref(), Some(&first));

    let names = [bucket("a.b"), bucket("photos-2"), other];
    registry.set(&names[1], &second).await.unwrap();
    registry.set(&names[0], &second).await.unwrap();
    assert_eq!(registry.list(None, 10).await.unwrap(), names);
    assert_eq!(registry.list(None, 2).await.unwrap(), names[..2]);
    assert_eq!(registry.list(Some(&names[0]), 1).await.unwrap(), names[1..2]);
    assert_eq!(
        registry.list(Some(&name), 10).await.unwrap(),
        names[1..],
        "one that is not there is a place all the same"
    );
    assert_eq!(registry.list(Some(&names[2]), 10).await.unwrap(), []);
}
