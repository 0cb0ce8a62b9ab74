//! What must hold for any bytes.

use proptest::prelude::*;

use super::*;

/// JSON text of any shape, most of it near a policy's.
fn any_json() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        r#""Statement""#,
        r#""Effect""#,
        r#""Allow""#,
        r#""Principal""#,
        r#""AWS""#,
        r#""111122223333""#,
        r#""Action""#,
        r#""s3:GetObject""#,
        r#""s3:*""#,
        r#""Resource""#,
        r#""arn:aws:s3:::b/*""#,
        r#""Condition""#,
        r#""Bool""#,
        r#""aws:SecureTransport""#,
        r#""\u0053id""#,
        r#""x\ty""#,
    ]);
    let leaf = prop_oneof![
        4 => word.clone().prop_map(str::to_owned),
        1 => prop::sample::select(vec!["1", "-0.50", "1e9", "true", "null"]).prop_map(str::to_owned),
        1 => any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    leaf.prop_recursive(6, 48, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" ,"))),
            prop::collection::btree_map(word.clone(), inner, 0..5).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(name, value)| format!("{name} :\n{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn normalising_is_idempotent_and_parses_again(json in any_json()) {
        let document = format!("{{\"Statement\":{json},\"Id\":{json}}}");
        let document = PolicyDocument::parse(document.as_bytes()).unwrap();
        let form = document.normalized();
        prop_assert_eq!(PolicyDocument::parse(form.as_bytes()).unwrap().normalized(), form);
    }

    #[test]
    fn no_document_panics_and_a_refusal_says_why(json in any_json(), mangled in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = format!("{{\"Statement\":{json}}}").into_bytes();
        for _ in 0..2 {
            for parsed in [Policy::parse(&body, "b"), Policy::parse_identity(&body)] {
                if let Err(refused) = parsed {
                    prop_assert!(refused.first().is_some());
                }
            }
            let at = mangled.index(body.len());
            body[at] = byte;
        }
    }

    /// `serde_json` by itself takes all that is taken here, and reads the same.
    #[test]
    fn what_is_read_is_what_the_text_says(json in any_json()) {
        let document = format!("{{\"x\":{json}}}");
        let form = PolicyDocument::parse(document.as_bytes()).unwrap().normalized();
        let [written, normal] = [&document, &form].map(|text| serde_json::from_str::<serde_json::Value>(text).unwrap());
        prop_assert_eq!(written, normal);
    }
}
