//! Which of many texts is this one, and with which of them does it begin?
//!
//! The answer takes one walk along the text, however many others there are: what lets a policy of a thousand statements
//! be asked only about those that may match.

/// Entries, each filed under a text: a radix tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PrefixTree<T> {
    /// The first is the root, whose label is empty.
    nodes: Vec<Node<T>>,
}

/// What a text must be for an entry filed under another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filed {
    /// The same.
    Whole,
    /// Any that begins with it.
    Beginning,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node<T> {
    /// What stands between the node above and this one.
    label: Box<[u8]>,
    /// The first bytes of the labels below, in the order of `children`.
    branches: Vec<u8>,
    /// By their positions in the tree.
    children: Vec<usize>,
    whole: Vec<T>,
    beginning: Vec<T>,
}

const ROOT: usize = 0;

impl<T> PrefixTree<T> {
    pub(super) fn new<S: AsRef<str>>(entries: impl IntoIterator<Item = (S, Filed, T)>) -> Self {
        let mut tree = Self { nodes: vec![Node::labelled(&[])] };
        for (text, filed, entry) in entries {
            let at = tree.node_of(text.as_ref().as_bytes());
            let Some(node) = tree.nodes.get_mut(at) else { continue };
            match filed {
                Filed::Whole => node.whole.push(entry),
                Filed::Beginning => node.beginning.push(entry),
            }
        }
        tree
    }

    /// Whether the test holds for any of the entries that `text` is meant by; those under shorter texts are tested first.
    pub(super) fn any(&self, text: &str, mut test: impl FnMut(&T) -> bool) -> bool {
        let mut rest = text.as_bytes();
        let mut node = self.nodes.get(ROOT);
        while let Some(reached) = node {
            if reached.beginning.iter().any(&mut test) {
                return true;
            }
            let Some(branch) = rest.first() else { return reached.whole.iter().any(test) };
            node = reached.child(*branch).and_then(|at| self.nodes.get(at));
            // The root's own label is never compared: it is empty, and comparing nothing costs more on some processors than
            // comparing something.
            match node.and_then(|node| rest.strip_prefix(&*node.label)) {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        false
    }

    /// Every entry, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &T> {
        self.nodes.iter().flat_map(|node| node.whole.iter().chain(&node.beginning))
    }

    /// The node of a text, made where it is not there.
    fn node_of(&mut self, text: &[u8]) -> usize {
        let (mut at, mut rest) = (ROOT, text);
        while let Some(branch) = rest.first() {
            let child = self.nodes.get(at).and_then(|node| node.child(*branch));
            let Some(child) = child else {
                return self.add(at, Node::labelled(rest));
            };
            let label = self.nodes.get(child).map_or(&[][..], |node| &node.label);
            let common = label.iter().zip(rest).take_while(|(one, other)| one == other).count();
            at = if common == label.len() { child } else { self.split(at, child, common) };
            rest = rest.get(common..).unwrap_or_default();
        }
        at
    }

    fn add(&mut self, above: usize, node: Node<T>) -> usize {
        let at = self.nodes.len();
        if let (Some(above), Some(branch)) = (self.nodes.get_mut(above), node.label.first()) {
            above.branches.push(*branch);
            above.children.push(at);
        }
        self.nodes.push(node);
        at
    }

    /// Puts a node between two, at so many bytes of the lower one's label.
    fn split(&mut self, above: usize, below: usize, at: usize) -> usize {
        let between = self.nodes.len();
        let Some(lower) = self.nodes.get_mut(below) else { return above };
        let (head, tail) = lower.label.split_at_checked(at).unwrap_or_default();
        let mut node = Node::labelled(head);
        node.branches.extend(tail.first());
        node.children.push(below);
        lower.label = tail.into();
        for child in self.nodes.get_mut(above).into_iter().flat_map(|node| &mut node.children) {
            if *child == below {
                *child = between;
            }
        }
        self.nodes.push(node);
        between
    }
}

impl<T> Node<T> {
    fn labelled(label: &[u8]) -> Self {
        Self {
            label: label.into(),
            branches: Vec::new(),
            children: Vec::new(),
            whole: Vec::new(),
            beginning: Vec::new(),
        }
    }

    fn child(&self, branch: u8) -> Option<usize> {
        let position = self.branches.iter().position(|first| *first == branch)?;
        self.children.get(position).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_a_text_is_or_begins_with_is_found_and_nothing_else(
            filed in prop::collection::vec(("[abü/]{0,5}", any::<bool>()), 0..24),
            text in "[abüû/]{0,7}",
        ) {
            let kind = |whole| if whole { Filed::Whole } else { Filed::Beginning };
            let tree = PrefixTree::new(filed.iter().enumerate().map(|(at, (text, whole))| (text, kind(*whole), at)));
            let mut found = Vec::new();
            tree.any(&text, |at| {
                found.push(*at);
                false
            });
            // Shorter texts come first.
            prop_assert!(found.windows(2).all(|pair| filed[pair[0]].0.len() <= filed[pair[1]].0.len()));
            found.sort_unstable();
            let meant = |(filed, whole): &(String, bool)| if *whole { text == *filed } else { text.starts_with(filed) };
            let expected: Vec<usize> =
                filed.iter().enumerate().filter(|(_, filed)| meant(filed)).map(|(at, _)| at).collect();
            prop_assert_eq!(&found, &expected);
            for at in expected {
                prop_assert!(tree.any(&text, |entry| *entry == at), "and the walk ends where the test holds");
            }
        }
    }
}
