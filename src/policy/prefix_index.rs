//! Which of many prefixes does a text begin with?
//!
//! The answer takes a binary search and a walk along the prefixes that do begin it, however many others there are: what
//! lets a policy of a thousand statements be asked only about those that may match.

/// Entries, each under a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PrefixIndex<T> {
    /// By prefix, no two alike.
    nodes: Box<[Node<T>]>,
}

/// A prefix and what is filed under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node<T> {
    pub(super) prefix: Box<str>,
    pub(super) entries: Box<[T]>,
    /// The node of the longest other prefix that this one begins with.
    parent: Option<usize>,
}

impl<T> PrefixIndex<T> {
    pub(super) fn new(entries: impl IntoIterator<Item = (Box<str>, T)>) -> Self {
        let mut entries: Vec<(Box<str>, T)> = entries.into_iter().collect();
        // Stable: what is filed under one prefix stays in order.
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut groups: Vec<(Box<str>, Vec<T>)> = Vec::new();
        for (prefix, entry) in entries {
            match groups.last_mut() {
                Some((last, entries)) if *last == prefix => entries.push(entry),
                _ => groups.push((prefix, vec![entry])),
            }
        }
        let mut nodes: Vec<Node<T>> = Vec::with_capacity(groups.len());
        for (prefix, entries) in groups {
            let mut parent = nodes.len().checked_sub(1);
            while let Some(node) = parent.and_then(|at| nodes.get(at))
                && !prefix.starts_with(&*node.prefix)
            {
                parent = node.parent;
            }
            nodes.push(Node { prefix, entries: entries.into(), parent });
        }
        Self { nodes: nodes.into() }
    }

    /// The nodes whose prefixes begin `text`, the longest first.
    pub(super) fn beginning<'i>(&'i self, text: &'i str) -> impl Iterator<Item = &'i Node<T>> {
        // Whatever sorts between a prefix of the text and the text itself begins with that prefix too. So the longest
        // prefix is the node that sorts last before the text, or one of its ancestors.
        let last = self.nodes.partition_point(|node| *node.prefix <= *text).checked_sub(1);
        std::iter::successors(self.node(last), |node| self.node(node.parent))
            .filter(|node| text.starts_with(&*node.prefix))
    }

    /// What is filed under the whole of `text`.
    pub(super) fn exactly(&self, text: &str) -> &[T] {
        let at = self.nodes.binary_search_by(|node| (*node.prefix).cmp(text)).ok();
        self.node(at).map_or(&[], |node| &node.entries)
    }

    fn node(&self, at: Option<usize>) -> Option<&Node<T>> {
        self.nodes.get(at?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_that_begin_the_text_are_found_and_no_others(
            prefixes in prop::collection::vec("[ab/ü]{0,5}", 0..20),
            text in "[ab/ü]{0,8}",
        ) {
            let index = PrefixIndex::new(prefixes.iter().enumerate().map(|(at, prefix)| (prefix.as_str().into(), at)));
            let mut found: Vec<usize> = index.beginning(&text).flat_map(|node| node.entries.iter().copied()).collect();
            found.sort_unstable();
            let expected: Vec<usize> =
                prefixes.iter().enumerate().filter(|(_, prefix)| text.starts_with(prefix.as_str())).map(|(at, _)| at).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn the_longest_comes_first(prefixes in prop::collection::vec("[ab]{0,4}", 1..20), text in "[ab]{0,8}") {
            let index = PrefixIndex::new(prefixes.iter().map(|prefix| (prefix.as_str().into(), ())));
            let lengths: Vec<usize> = index.beginning(&text).map(|node| node.prefix.len()).collect();
            prop_assert!(lengths.windows(2).all(|pair| pair[0] > pair[1]), "{lengths:?}");
        }
    }
}
