//! Extracts the text of single elements from XML responses of the Security Token Service.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::secret::Secret;

/// The maximum nesting depth; AWS's responses are shallower.
const DEEPEST: usize = 32;

/// The text of the first element of this name. `None` if there is none, or if the document is malformed.
#[must_use]
pub fn element(document: &[u8], name: &str) -> Option<Secret> {
    let mut reader = Reader::from_str(std::str::from_utf8(document).ok()?);
    let (mut depth, mut inside, mut text) = (0_usize, None, Vec::new());
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                depth += 1;
                if depth > DEEPEST {
                    return None;
                }
                if inside.is_none() && start.local_name().as_ref() == name {
                    inside = Some(depth);
                }
            }
            Event::End(_) if inside == Some(depth) => return Some(Secret::new(text)),
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Text(piece) if inside == Some(depth) => text.extend_from_slice(piece.as_bytes()),
            Event::GeneralRef(entity) if inside == Some(depth) => {
                let character = match entity.resolve_char_ref().ok()? {
                    Some(character) => character.to_string(),
                    None => quick_xml::escape::resolve_predefined_entity(&entity)?.to_owned(),
                };
                text.extend_from_slice(character.as_bytes());
            }
            Event::CData(piece) if inside == Some(depth) => text.extend_from_slice(piece.as_bytes()),
            Event::DocType(_) | Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(document: &str, name: &str) -> Option<String> {
        element(document.as_bytes(), name).map(|it| String::from_utf8(it.expose().to_vec()).unwrap())
    }

    #[test]
    fn an_element_is_found_wherever_it_is() {
        let document = "<?xml version=\"1.0\"?><r xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><c>\
                        <AccessKeyId>AK</AccessKeyId><SessionToken>a+/=&amp;&#98;</SessionToken></c></r>";
        assert_eq!(text(document, "AccessKeyId").as_deref(), Some("AK"));
        assert_eq!(text(document, "SessionToken").as_deref(), Some("a+/=&b"));
        assert_eq!(text(document, "Expiration"), None);
    }

    #[test]
    fn what_is_no_whole_document_has_no_elements_behind_the_break() {
        for document in
            ["", "{}", "<a><b>x", "<a></b><c>x</c></a>", "<!DOCTYPE a [<!ENTITY x \"y\">]><a><c>&x;</c></a>"]
        {
            assert_eq!(text(document, "c"), None, "{document}");
        }
        let deep = "<a>".repeat(100) + "<c>x</c>";
        assert_eq!(text(&deep, "c"), None);
    }
}
