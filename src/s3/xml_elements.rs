//! What does a small XML body say, all of whose elements are known?
//!
//! Read so that no store can read it otherwise: an element is where it belongs, and once where one is meant; a value has
//! nothing within it and no white space around it, which some parsers trim.

use super::xml_body::{Piece, walk};

/// An element that a body may have.
#[derive(Debug)]
pub(super) struct Element {
    name: &'static str,
    content: Content,
    /// It may be there several times.
    many: bool,
    /// Elements that are not known may be in it too: nothing here depends on them.
    open: bool,
}

#[derive(Debug)]
enum Content {
    Text,
    Elements(&'static [Element]),
}

impl Element {
    /// One with a value.
    pub(super) const fn text(name: &'static str) -> Self {
        Self { name, content: Content::Text, many: false, open: false }
    }

    /// One with others in it.
    pub(super) const fn of(name: &'static str, elements: &'static [Self]) -> Self {
        Self { name, content: Content::Elements(elements), many: false, open: false }
    }

    pub(super) const fn many(self) -> Self {
        Self { many: true, ..self }
    }

    pub(super) const fn among_others(self) -> Self {
        Self { open: true, ..self }
    }
}

/// An element that was found.
#[derive(Debug)]
pub(super) struct Found {
    name: &'static str,
    text: String,
    children: Vec<Self>,
}

impl Found {
    /// The value of the element in it that has this name.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    /// The one element in it of this name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children(name).next()
    }

    /// All elements in it of this name.
    pub(super) fn children(&self, name: &str) -> impl Iterator<Item = &Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The values of all elements in it of this name.
    pub(super) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.children(name).map(|child| child.text.as_str())
    }
}

/// Reads a whole document; why it is refused otherwise.
pub(super) fn read(document: &[u8], root: &'static Element) -> Result<Found, String> {
    let mut reading = Reading { root, open: Vec::new(), unknown: 0, done: None };
    walk(document, |piece| reading.take(piece))?;
    reading.done.ok_or_else(|| "no root element".to_owned())
}

struct Reading {
    root: &'static Element,
    /// The known elements around the reader, the innermost last.
    open: Vec<(&'static Element, Found)>,
    /// How many unknown ones are around it within those.
    unknown: usize,
    done: Option<Found>,
}

impl Reading {
    fn take(&mut self, piece: Piece<'_>) -> Result<(), String> {
        match piece {
            Piece::Open(name) => self.open(name),
            Piece::Close if self.unknown > 0 => {
                self.unknown -= 1;
                Ok(())
            }
            Piece::Close => self.close(),
            Piece::Text(_) | Piece::Aside if self.unknown > 0 => Ok(()),
            Piece::Text(text) => match self.open.last_mut() {
                Some((Element { content: Content::Text, .. }, found)) => {
                    found.text.push_str(&text);
                    Ok(())
                }
                Some(_) | None if text.trim().is_empty() => Ok(()),
                Some(_) | None => Err("text between elements".to_owned()),
            },
            Piece::Aside => match self.open.last() {
                Some((Element { content: Content::Text, .. }, _)) => Err("a comment within a value".to_owned()),
                Some(_) | None => Ok(()),
            },
        }
    }

    fn open(&mut self, name: &str) -> Result<(), String> {
        let misplaced = || Err(format!("element `{name}` where none is expected"));
        let Some((around, found)) = self.open.last() else {
            return if name == self.root.name { self.enter(self.root) } else { Err(format!("root element `{name}`")) };
        };
        let Content::Elements(known) = around.content else { return misplaced() };
        match known.iter().find(|element| element.name == name) {
            Some(element) if self.unknown == 0 => {
                if !element.many && found.child(name).is_some() {
                    return Err(format!("element `{name}` is there twice"));
                }
                self.enter(element)
            }
            // Whoever looks for names and not for places would find it.
            Some(_) => misplaced(),
            None if !around.open || known.iter().any(|element| element.name.eq_ignore_ascii_case(name)) => misplaced(),
            None => {
                self.unknown += 1;
                Ok(())
            }
        }
    }

    fn enter(&mut self, element: &'static Element) -> Result<(), String> {
        self.open.push((element, Found { name: element.name, text: String::new(), children: Vec::new() }));
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        // INVARIANT: the reader has matched end tags to start tags, so one is open.
        let Some((_, found)) = self.open.pop() else { return Ok(()) };
        if found.text.trim().len() != found.text.len() {
            return Err(format!("white space around the value of `{}`", found.name));
        }
        match self.open.last_mut() {
            Some((_, around)) => around.children.push(found),
            None => self.done = Some(found),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSED: Element = Element::of("A", &[Element::text("B"), Element::text("C").many()]);
    const OPEN: Element =
        Element::of("A", &[Element::text("B"), Element::of("D", &[Element::text("C").many()])]).among_others();

    fn values(document: &str, root: &'static Element) -> Result<Vec<String>, String> {
        let found = read(document.as_bytes(), root)?;
        let inner = found.child("D").unwrap_or(&found);
        Ok(found.text("B").into_iter().chain(inner.texts("C")).map(str::to_owned).collect())
    }

    #[test]
    fn values_are_found_where_they_belong() {
        for (document, root, expected) in [
            ("<A/>", &CLOSED, vec![]),
            ("<A xmlns=\"x\">\n <B>1</B><!-- --> <C>2</C><C/>\n</A>", &CLOSED, vec!["1", "2", ""]),
            ("<A><C>a b</C><B>&lt;<![CDATA[&]]></B></A>", &CLOSED, vec!["<&", "a b"]),
            ("<A><X><C>no</C><Y>text<!-- --></Y></X><D><C>1</C></D><X/></A>", &OPEN, vec!["1"]),
        ] {
            assert_eq!(values(document, root), Ok(expected.into_iter().map(str::to_owned).collect()), "{document}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (document, root) in [
            ("", &CLOSED),
            ("<B>1</B>", &CLOSED),
            ("<a/>", &CLOSED),
            ("<A><B>1</B><B>1</B></A>", &CLOSED),
            ("<A><B>1<C>2</C></B></A>", &CLOSED),
            ("<A><B>1<!-- --></B></A>", &CLOSED),
            ("<A><B> 1</B></A>", &CLOSED),
            ("<A><B>1\n</B></A>", &CLOSED),
            ("<A><X/></A>", &CLOSED),
            ("<A>x</A>", &CLOSED),
            ("<A><b>1</b></A>", &OPEN),
            ("<A><X><B>1</B></X></A>", &OPEN),
            ("<A><X><d/></X></A>", &OPEN),
            ("<A><D/><D/></A>", &OPEN),
            ("<A><D><X/></D></A>", &OPEN),
            ("<A><X>", &OPEN),
        ] {
            assert!(values(document, root).is_err(), "{document}");
        }
    }
}
