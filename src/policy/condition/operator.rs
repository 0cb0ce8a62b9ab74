//! Which operators may a `Condition` use, and what does each ask?
//!
//! Follows Amazon's "IAM JSON policy elements: Condition operators" and, for the set qualifiers, "Single-valued vs.
//! multivalued context keys".

use std::cmp::Ordering;

/// An operator, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Operator {
    qualifier: Qualifier,
    pub(in crate::policy) comparison: Comparison,
    /// It holds where no value matches: `StringNotEquals` and its like.
    negated: bool,
    /// It holds where the key is absent.
    if_exists: bool,
}

/// Of how many of the request's values the comparison must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Qualifier {
    /// There is no qualifier: the key should have one value. Of several, any may match; where the operator is negated, none
    /// may.
    None,
    ForAllValues,
    ForAnyValue,
}

/// How a value of the request is compared with the policy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Comparison {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    Numeric(Order),
    Date(Order),
    Bool,
    Binary,
    IpAddress,
    /// `ArnEquals` and `ArnLike`, which Amazon says are the same.
    Arn,
    /// `Null`, which asks whether the key is there.
    Null,
}

/// How the request's value must stand to the policy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    /// Reads a name: a base name in its exact case, perhaps with one of the two set qualifiers in front and `IfExists`
    /// behind. None where there is no such operator.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (qualifier, name) = if let Some(name) = name.strip_prefix("ForAllValues:") {
            (Qualifier::ForAllValues, name)
        } else if let Some(name) = name.strip_prefix("ForAnyValue:") {
            (Qualifier::ForAnyValue, name)
        } else {
            (Qualifier::None, name)
        };
        let (name, if_exists) = name.strip_suffix("IfExists").map_or((name, false), |name| (name, true));
        let (comparison, negated) = base(name)?;
        // It would ask whether a key is there, if it is there.
        let pointless = if_exists && comparison == Comparison::Null;
        (!pointless).then_some(Self { qualifier, comparison, negated, if_exists })
    }

    /// What it says where the key is absent.
    pub(super) fn holds_without_key(self) -> bool {
        self.if_exists
            || match self.qualifier {
                Qualifier::None => self.negated,
                Qualifier::ForAllValues => true,
                Qualifier::ForAnyValue => false,
            }
    }

    /// What it says of a single value, which is no empty string, by whether the policy has it.
    pub(super) fn holds_for_one(self, matches: bool) -> bool {
        matches != self.negated
    }

    /// What it says of the values of a key that is there, `matches` telling of one whether the policy has it.
    pub(super) fn holds<'v, I: Iterator<Item = &'v str> + Clone>(
        self,
        mut values: I,
        matches: impl Fn(&'v str) -> bool,
    ) -> bool {
        // Amazon calls values that are empty strings a null data set, of which everything is true and nothing is there.
        let is_null = |values: &I| values.clone().all(str::is_empty);
        match self.qualifier {
            Qualifier::None => values.any(matches) != self.negated,
            Qualifier::ForAllValues => is_null(&values) || values.all(|value| matches(value) != self.negated),
            Qualifier::ForAnyValue => !is_null(&values) && values.any(|value| matches(value) != self.negated),
        }
    }

    /// Whether it demands that the key have one of the policy's values, so that a request without any of them is never meant.
    pub(in crate::policy) fn demands_a_value(self) -> bool {
        let positive = self.comparison.expands_variables() || self.comparison == Comparison::IpAddress;
        positive && !self.negated && !self.if_exists && self.qualifier != Qualifier::ForAllValues
    }
}

impl Comparison {
    /// Whether policy variables may stand in the values: in those that are compared as texts or as ARNs.
    pub(super) fn expands_variables(self) -> bool {
        match self {
            Self::StringEquals | Self::StringEqualsIgnoreCase | Self::StringLike | Self::Arn => true,
            Self::Numeric(_) | Self::Date(_) | Self::Bool | Self::Binary | Self::IpAddress | Self::Null => false,
        }
    }
}

impl Order {
    pub(super) fn holds(self, ordering: Option<Ordering>) -> bool {
        ordering.is_some_and(|ordering| match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        })
    }
}

/// What a base name compares, and whether it is negated.
fn base(name: &str) -> Option<(Comparison, bool)> {
    use Comparison::*;
    Some(match name {
        "StringEquals" => (StringEquals, false),
        "StringNotEquals" => (StringEquals, true),
        "StringEqualsIgnoreCase" => (StringEqualsIgnoreCase, false),
        "StringNotEqualsIgnoreCase" => (StringEqualsIgnoreCase, true),
        "StringLike" => (StringLike, false),
        "StringNotLike" => (StringLike, true),
        "Bool" => (Bool, false),
        "BinaryEquals" => (Binary, false),
        "IpAddress" => (IpAddress, false),
        "NotIpAddress" => (IpAddress, true),
        "ArnEquals" | "ArnLike" => (Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Arn, true),
        "Null" => (Null, false),
        _ => {
            let (family, order) = match name.strip_prefix("Numeric") {
                Some(order) => (Numeric as fn(Order) -> Comparison, order),
                None => (Date as fn(Order) -> Comparison, name.strip_prefix("Date")?),
            };
            match order {
                "Equals" => (family(Order::Equal), false),
                "NotEquals" => (family(Order::Equal), true),
                "LessThan" => (family(Order::Less), false),
                "LessThanEquals" => (family(Order::LessOrEqual), false),
                "GreaterThan" => (family(Order::Greater), false),
                "GreaterThanEquals" => (family(Order::GreaterOrEqual), false),
                _ => return None,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_known_in_their_exact_case() {
        use Comparison::*;
        let parsed = |name| Operator::parse(name).map(|o| (o.qualifier, o.comparison, o.negated, o.if_exists));
        for (name, expected) in [
            ("StringEquals", (Qualifier::None, StringEquals, false, false)),
            ("StringNotLikeIfExists", (Qualifier::None, StringLike, true, true)),
            ("ForAnyValue:StringEqualsIgnoreCase", (Qualifier::ForAnyValue, StringEqualsIgnoreCase, false, false)),
            ("StringNotEqualsIgnoreCase", (Qualifier::None, StringEqualsIgnoreCase, true, false)),
            (
                "ForAllValues:NumericLessThanEqualsIfExists",
                (Qualifier::ForAllValues, Numeric(Order::LessOrEqual), false, true),
            ),
            ("NumericNotEquals", (Qualifier::None, Numeric(Order::Equal), true, false)),
            ("DateGreaterThan", (Qualifier::None, Date(Order::Greater), false, false)),
            ("BoolIfExists", (Qualifier::None, Bool, false, true)),
            ("BinaryEquals", (Qualifier::None, Binary, false, false)),
            ("NotIpAddress", (Qualifier::None, IpAddress, true, false)),
            ("ArnEquals", (Qualifier::None, Arn, false, false)),
            ("ArnNotLike", (Qualifier::None, Arn, true, false)),
            ("Null", (Qualifier::None, Null, false, false)),
            ("ForAnyValue:Null", (Qualifier::ForAnyValue, Null, false, false)),
        ] {
            assert_eq!(parsed(name), Some(expected), "{name}");
        }
        for name in [
            "NullIfExists",
            "StringEquals IfExists",
            "StringEqualsIfexists",
            "StringEqualsIfExistsIfExists",
            "StringEqual",
            "stringequals",
            "Ipaddress",
            "BoolEquals",
            "BinaryNotEquals",
            "NumericLike",
            "Date",
            "StringMatch",
            "ForSomeValues:StringLike",
            "foranyvalue:StringLike",
            "ForAnyValue:ForAllValues:StringLike",
            "ForAnyValue:",
            "IfExists",
            "",
        ] {
            assert_eq!(parsed(name), None, "{name}");
        }
    }
}
