//! Which operators may a `Condition` use?
//!
//! Follows Amazon's "IAM JSON policy elements: Condition operators".

/// What an operator compares, which says what its values should look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    String,
    Numeric,
    Date,
    Bool,
    Binary,
    IpAddress,
    Arn,
    /// `Null`, which asks whether the key is there.
    Presence,
}

impl Comparison {
    /// What the operator of this name compares: a base name in its exact case, perhaps with one of the two set qualifiers
    /// in front and `IfExists` behind. None where there is no such operator.
    pub(super) fn of_operator(name: &str) -> Option<Self> {
        let unqualified =
            name.strip_prefix("ForAllValues:").or_else(|| name.strip_prefix("ForAnyValue:")).unwrap_or(name);
        match unqualified.strip_suffix("IfExists") {
            // It would ask whether a key is there, if it is there.
            Some("Null") => None,
            Some(base) => Self::of_base(base),
            None => Self::of_base(unqualified),
        }
    }

    fn of_base(name: &str) -> Option<Self> {
        match name {
            "StringEquals"
            | "StringNotEquals"
            | "StringEqualsIgnoreCase"
            | "StringNotEqualsIgnoreCase"
            | "StringLike"
            | "StringNotLike" => Some(Self::String),
            "NumericEquals"
            | "NumericNotEquals"
            | "NumericLessThan"
            | "NumericLessThanEquals"
            | "NumericGreaterThan"
            | "NumericGreaterThanEquals" => Some(Self::Numeric),
            "DateEquals"
            | "DateNotEquals"
            | "DateLessThan"
            | "DateLessThanEquals"
            | "DateGreaterThan"
            | "DateGreaterThanEquals" => Some(Self::Date),
            "Bool" => Some(Self::Bool),
            "BinaryEquals" => Some(Self::Binary),
            "IpAddress" | "NotIpAddress" => Some(Self::IpAddress),
            "ArnEquals" | "ArnLike" | "ArnNotEquals" | "ArnNotLike" => Some(Self::Arn),
            "Null" => Some(Self::Presence),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_known_in_their_exact_case() {
        for (name, comparison) in [
            ("StringEquals", Some(Comparison::String)),
            ("StringNotLikeIfExists", Some(Comparison::String)),
            ("ForAnyValue:StringEqualsIgnoreCase", Some(Comparison::String)),
            ("ForAllValues:NumericLessThanEqualsIfExists", Some(Comparison::Numeric)),
            ("DateGreaterThan", Some(Comparison::Date)),
            ("BoolIfExists", Some(Comparison::Bool)),
            ("BinaryEquals", Some(Comparison::Binary)),
            ("NotIpAddress", Some(Comparison::IpAddress)),
            ("ArnNotLike", Some(Comparison::Arn)),
            ("Null", Some(Comparison::Presence)),
            ("ForAnyValue:Null", Some(Comparison::Presence)),
            ("NullIfExists", None),
            ("StringEquals IfExists", None),
            ("StringEqualsIfexists", None),
            ("StringEqualsIfExistsIfExists", None),
            ("StringEqual", None),
            ("stringequals", None),
            ("Ipaddress", None),
            ("BoolEquals", None),
            ("BinaryNotEquals", None),
            ("StringMatch", None),
            ("ForSomeValues:StringLike", None),
            ("foranyvalue:StringLike", None),
            ("ForAnyValue:ForAllValues:StringLike", None),
            ("ForAnyValue:", None),
            ("IfExists", None),
            ("", None),
        ] {
            assert_eq!(Comparison::of_operator(name), comparison, "{name}");
        }
    }
}
