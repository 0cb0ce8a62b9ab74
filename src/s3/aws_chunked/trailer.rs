//! What stands behind the last chunk?

use http::{HeaderName, HeaderValue};

use super::{ChunkSignatures, ChunkedError, Framing, is_signature};

const SIGNATURE: &str = "x-amz-trailer-signature";

/// Reads all that came after the last chunk's line: nothing but a line end, or trailers that end with an empty line.
pub(super) fn parse(
    section: &[u8],
    framing: Framing,
    signatures: Option<&mut impl ChunkSignatures>,
) -> Result<Vec<(HeaderName, HeaderValue)>, ChunkedError> {
    if section.is_empty() || section == b"\r" {
        return Err(ChunkedError::Truncated);
    }
    let text = std::str::from_utf8(section).map_err(|_| malformed("not UTF-8"))?;
    let lines = text.strip_suffix("\r\n").ok_or_else(|| malformed("no line end"))?;
    match framing {
        Framing::Signed if lines.is_empty() => Ok(Vec::new()),
        Framing::Signed => Err(malformed("trailers that were not announced")),
        Framing::UnsignedTrailer => Ok(fields(lines)?.0),
        Framing::SignedTrailer => {
            let (lines, signature) = split_signature(lines)?;
            let (fields, canonical) = fields(lines)?;
            if signatures.is_some_and(|signatures| signatures.trailer(canonical.as_bytes(), signature)) {
                Ok(fields)
            } else {
                Err(ChunkedError::BadSignature)
            }
        }
    }
}

/// Cuts off the last line, which holds the signature of those before it.
fn split_signature(lines: &str) -> Result<(&str, &str), ChunkedError> {
    let without_end = lines.strip_suffix("\r\n").ok_or_else(|| malformed("no signature line"))?;
    let (before, last) = match without_end.rfind('\n') {
        Some(end) => without_end.split_at_checked(end + 1).unwrap_or((without_end, "")),
        None => ("", without_end),
    };
    match last.split_once(':') {
        Some((name, value)) if trimmed(name).eq_ignore_ascii_case(SIGNATURE) && is_signature(trimmed(value)) => {
            // Some clients end each trailer with LF alone, as the canonical form does, and the block of them with CRLF.
            let fields = before.strip_suffix("\r\n").filter(|fields| fields.ends_with('\n')).unwrap_or(before);
            Ok((fields, trimmed(value)))
        }
        _ => Err(malformed("the last line is no signature")),
    }
}

/// The trailers, and the lines their signature is made over.
fn fields(lines: &str) -> Result<(Vec<(HeaderName, HeaderValue)>, String), ChunkedError> {
    let (mut fields, mut canonical) = (Vec::new(), String::new());
    for line in lines.split_inclusive('\n') {
        let line = line.strip_suffix('\n').ok_or_else(|| malformed("no line end"))?;
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("a line without `:`"))?;
        let value = trimmed(value);
        let field = HeaderName::from_bytes(trimmed(name).as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
        let (name, header_value) = field.ok_or_else(|| malformed("a line that is no header"))?;
        if name == SIGNATURE {
            return Err(malformed("a signature among the trailers"));
        }
        canonical.extend([name.as_str(), ":", value, "\n"]);
        fields.push((name, header_value));
    }
    Ok((fields, canonical))
}

/// Without the white space HTTP allows around a name or value; other control characters are no white space there.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn malformed(cause: &str) -> ChunkedError {
    ChunkedError::MalformedTrailer(cause.to_owned())
}
