use proptest::prelude::*;

use super::*;
use crate::policy::{AccountId, CanonicalUserId};

const SHOWN: &str = "abababababababababababababababababababababababababababababababab";

fn account() -> Account {
    Account { id: AccountId::parse("111122223333").unwrap(), canonical_id: CanonicalUserId::from_bytes([0xab; 32]) }
}

/// The whole answer, each bucket in brackets with the name read, in pieces that end where `cuts` says.
fn split(answer: &[u8], cuts: &[usize]) -> Result<String, BucketListError> {
    let mut splitter = Splitter::new(&account(), Some("a<b"));
    let mut out = Vec::new();
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (answer.len() + 1)).chain([answer.len()]).collect();
    ends.sort_unstable();
    let mut from = 0;
    for end in ends {
        splitter.push(&answer[from..end]);
        from = end;
        while let Some(piece) = splitter.next_piece()? {
            match piece {
                Piece::Passing(bytes) => out.extend_from_slice(&bytes),
                Piece::Bucket(element, name) => {
                    let name = name.map_or_else(|| "?".to_owned(), |name| name.to_string());
                    out.extend_from_slice(&[b"[", name.as_bytes(), b" ", &element, b"]"].concat());
                }
            }
        }
    }
    splitter.finish()?;
    Ok(String::from_utf8(out).unwrap())
}

const AMAZONS: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListAllMyBucketsResult \
                       xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Owner><ID>0000</ID><DisplayName>the store's\
                       </DisplayName></Owner><Buckets><Bucket><Name>photos</Name><CreationDate>2026-01-01T00:00:00.000Z\
                       </CreationDate></Bucket><Bucket><Name>music</Name></Bucket></Buckets><Prefix/>\
                       <ContinuationToken>ü &gt; x</ContinuationToken></ListAllMyBucketsResult>\n";

const ODD: &str = "\u{feff}\n<?xml version='1.0' ?><!-- > --><s:ListAllMyBucketsResult xmlns:s=\"a>b\" \n>\r\n <s:Buckets  x='>' >\n\
                   <s:Bucket a='/>'>\n <s:Region><s:Name>no</s:Name></s:Region><s:Name b=\"]]>\" >\n ph<!-- -->ot&#x6f;<![CDATA[s]]>\
                   </s:Name\n><s:X/></s:Bucket><!-- </s:Buckets> --> <s:Bucket><s:Name>a b</s:Name></s:Bucket></s:Buckets>\
                   <s:Owner y=\"1\" /><s:T><![CDATA[<Bucket>]]></s:T></s:ListAllMyBucketsResult>";

#[test]
fn every_bucket_is_found_and_the_owner_is_another() {
    let owner = format!("<ID>{SHOWN}</ID><DisplayName>a&lt;b</DisplayName>");
    let expected = AMAZONS
        .replace("<ID>0000</ID><DisplayName>the store's</DisplayName>", &owner)
        .replace("<Bucket><Name>photos", "[photos <Bucket><Name>photos")
        .replace("<Bucket><Name>music", "[music <Bucket><Name>music")
        .replace("</Bucket>", "</Bucket>]");
    assert_eq!(split(AMAZONS.as_bytes(), &[]), Ok(expected));

    let owner = format!("<s:Owner y=\"1\" ><s:ID>{SHOWN}</s:ID><s:DisplayName>a&lt;b</s:DisplayName></s:Owner>");
    let expected = ODD
        .replace("<s:Owner y=\"1\" />", &owner)
        .replace("<s:Bucket a=", "[photos <s:Bucket a=")
        .replace("<s:Bucket><s:Name>a b", "[? <s:Bucket><s:Name>a b")
        .replace("</s:Bucket>", "</s:Bucket>]");
    assert_eq!(split(ODD.as_bytes(), &[]), Ok(expected));
}

#[test]
fn without_a_name_none_is_shown() {
    let mut splitter = Splitter::new(&account(), None);
    splitter.push(b"<ListAllMyBucketsResult><Owner><ID/><x><y>z</y></x>text</Owner></ListAllMyBucketsResult>");
    let mut out = Vec::new();
    while let Some(Piece::Passing(bytes)) = splitter.next_piece().unwrap() {
        out.extend_from_slice(&bytes);
    }
    let expected = format!("<ListAllMyBucketsResult><Owner><ID>{SHOWN}</ID></Owner></ListAllMyBucketsResult>");
    assert_eq!(out, expected.as_bytes());
}

#[test]
fn what_names_no_bucket_passes() {
    for answer in ["", "<ListAllMyBucketsResult/>", "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"] {
        assert_eq!(split(answer.as_bytes(), &[]), Ok(answer.to_owned()));
    }
}

#[test]
fn where_a_bucket_could_be_overlooked_the_reading_ends() {
    let inside = |inner: &str| format!("<ListAllMyBucketsResult>{inner}</ListAllMyBucketsResult>");
    let buckets = |inner: &str| inside(&format!("<Buckets>{inner}</Buckets>"));
    for answer in [
        "hello".to_owned(),
        " ".to_owned() + "x",
        "{\"Buckets\":[]}".to_owned(),
        "<Error><Code>InternalError</Code></Error>".to_owned(),
        "<!DOCTYPE x [<!ENTITY e \"<Bucket/>\">]>".to_owned() + &inside(""),
        "<?xml version=\"1.0\" encoding=\"utf-16\"?>".to_owned() + &inside(""),
        inside("") + "<?xml version=\"1.0\"?>",
        inside("") + &inside(""),
        inside("") + "x",
        inside("x"),
        inside("<Other><Bucket><Name>photos</Name></Bucket></Other>"),
        inside("<Bucket>photos</Bucket>"),
        inside("<![CDATA[x]]>"),
        buckets("photos"),
        buckets("<Name>photos</Name>"),
        buckets("<Bucket/>"),
        buckets("<Bucket></Bucket>"),
        buckets("<Bucket><Name/></Bucket>"),
        buckets("<Bucket><x><Name>photos</Name></x></Bucket>"),
        buckets("<Bucket><Name>photos</Name><Name>music</Name></Bucket>"),
        buckets("<Bucket><Name>pho<x>t</x>os</Name></Bucket>"),
        buckets("<Bucket><Name>pho<x/>tos</Name></Bucket>"),
        buckets("<Bucket><Name>&e;</Name></Bucket>"),
        buckets("<Bucket><Name>photos</Bucket></Name>"),
        inside("<Buckets></Buckets x=\"1\">"),
        "<ListAllMyBucketsResult>".to_owned(),
        "<ListAllMyBucketsResult><Buckets><Bucket>".to_owned(),
        "<ListAllMyBucketsResult></ListAllMyBucketsResult".to_owned(),
    ] {
        let found = split(answer.as_bytes(), &[]);
        assert!(found.is_err(), "{answer}: {found:?}");
    }
    assert!(split(b"<ListAllMyBucketsResult><P>\xff</P><\xff/></ListAllMyBucketsResult>", &[]).is_err());
}

#[test]
fn there_is_a_bound_on_every_element() {
    let of = |padding: usize| {
        format!(
            "<ListAllMyBucketsResult><Buckets><Bucket><Name>photos</Name><x>{}</x></Bucket></Buckets></ListAllMyBucketsResult>",
            "x".repeat(padding)
        )
    };
    assert!(split(of(MAX_ELEMENT - 100).as_bytes(), &[]).is_ok());
    assert_eq!(split(of(MAX_ELEMENT).as_bytes(), &[]), Err(BucketListError::TooLong));
    let tag = format!("<ListAllMyBucketsResult x=\"{}", "x".repeat(MAX_ELEMENT));
    assert_eq!(split(tag.as_bytes(), &[]), Err(BucketListError::TooLong));
    let deep = format!("<ListAllMyBucketsResult><Buckets><Bucket>{}", "<x>".repeat(40));
    assert_eq!(split(deep.as_bytes(), &[]), Err(BucketListError::TooLong));
    // Text beside the buckets is not held, however long.
    let long = format!("<ListAllMyBucketsResult><P>{}</P></ListAllMyBucketsResult>", "x".repeat(3 * MAX_ELEMENT));
    assert_eq!(split(long.as_bytes(), &[]), Ok(long));
}

#[test]
fn it_makes_no_difference_where_one_piece_ends() {
    for answer in [AMAZONS, ODD] {
        let whole = split(answer.as_bytes(), &[]);
        assert!(whole.is_ok());
        for cut in 0..answer.len() {
            assert_eq!(split(answer.as_bytes(), &[cut]), whole, "{cut}");
        }
        assert_eq!(split(answer.as_bytes(), &(0..answer.len()).collect::<Vec<_>>()), whole);
    }
}

proptest! {
    #[test]
    fn any_pieces_give_the_same(cuts in proptest::collection::vec(any::<usize>(), 0..40), odd in any::<bool>()) {
        let answer = if odd { ODD } else { AMAZONS };
        prop_assert_eq!(split(answer.as_bytes(), &cuts), split(answer.as_bytes(), &[]));
    }

    /// Every name that is text of an answer which is read stands in a bucket's brackets.
    #[test]
    fn no_bucket_is_overlooked(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("<Buckets>"), Just("</Buckets>"), Just("<Bucket>"), Just("</Bucket>"), Just("<Name>"), Just("</Name>"),
                Just("photos"), Just("<Owner>"), Just("</Owner>"), Just("<Owner/>"), Just("<x>"), Just("</x>"),
                Just("<Bucket><Name>photos</Name></Bucket>"), Just("<!--"), Just("-->"), Just("<![CDATA["), Just("]]>"),
            ],
            0..12,
        ),
        cuts in proptest::collection::vec(any::<usize>(), 0..6),
    ) {
        let answer = format!("<ListAllMyBucketsResult>{}</ListAllMyBucketsResult>", parts.concat());
        let whole = split(answer.as_bytes(), &[]);
        prop_assert_eq!(split(answer.as_bytes(), &cuts).is_ok(), whole.is_ok());
        if let Ok(found) = whole {
            let mut outside = String::new();
            for (at, part) in found.split('[').enumerate() {
                outside.push_str(if at == 0 { part } else { part.split_once(']').map_or("", |(_, after)| after) });
            }
            prop_assert!(found.contains("CDATA[") || found.contains("<!--") || !outside.contains("<Bucket>"), "{}", found);
        }
    }
}
