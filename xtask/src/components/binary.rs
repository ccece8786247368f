//! The outermost sections of a component's binary form, as far as stamps need them: read a custom section, append one,
//! see whether there are imports. Contents of sections are not looked into.
//!
//! <https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md>

use anyhow::{Result, anyhow, bail};

/// `\0asm`, version 13 and layer 1: a component, not a module.
const COMPONENT: [u8; 8] = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];
const CUSTOM: u8 = 0;
const IMPORT: u8 = 10;

/// Content of the custom section of this name; none when there is no such section.
pub(super) fn custom_section<'a>(component: &'a [u8], name: &str) -> Result<Option<&'a [u8]>> {
    for (id, payload) in sections(component)? {
        if id == CUSTOM {
            let (length, rest) = unsigned(payload)?;
            if let Some((found, content)) = rest.split_at_checked(length)
                && found == name.as_bytes()
            {
                return Ok(Some(content));
            }
        }
    }
    Ok(None)
}

/// The component with one more custom section at its end.
pub(super) fn with_custom_section(mut component: Vec<u8>, name: &str, content: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    push_unsigned(&mut payload, name.len());
    payload.extend(name.as_bytes());
    payload.extend(content);
    component.push(CUSTOM);
    push_unsigned(&mut component, payload.len());
    component.extend(payload);
    component
}

/// Whether the component asks its host for anything.
pub(super) fn imports_something(component: &[u8]) -> Result<bool> {
    Ok(sections(component)?.iter().any(|(id, _)| *id == IMPORT))
}

/// Id and payload of each outermost section.
fn sections(component: &[u8]) -> Result<Vec<(u8, &[u8])>> {
    let Some(mut rest) = component.strip_prefix(&COMPONENT) else { bail!("not a component") };
    let mut sections = Vec::new();
    while let Some((id, after_id)) = rest.split_first() {
        let (length, after_length) = unsigned(after_id)?;
        let (payload, next) = after_length
            .split_at_checked(length)
            .ok_or_else(|| anyhow!("a section runs over the end of the component"))?;
        sections.push((*id, payload));
        rest = next;
    }
    Ok(sections)
}

/// A LEB128 number of at most 32 bits, and what follows it.
fn unsigned(bytes: &[u8]) -> Result<(usize, &[u8])> {
    let mut value: u64 = 0;
    let mut rest = bytes;
    for shift in [0, 7, 14, 21, 28] {
        let Some((byte, next)) = rest.split_first() else { bail!("the component ends inside a number") };
        value |= u64::from(byte & 0x7f) << shift;
        rest = next;
        if byte & 0x80 == 0 {
            return Ok((usize::try_from(value)?, rest));
        }
    }
    bail!("a number of the component has more than 32 bits")
}

fn push_unsigned(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_that_was_added_is_found() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            let content = vec![7; length];
            let component = with_custom_section(COMPONENT.to_vec(), "other", b"x");
            let component = with_custom_section(component, "mine", &content);
            assert_eq!(custom_section(&component, "mine").unwrap(), Some(content.as_slice()), "{length} bytes");
            assert_eq!(custom_section(&component, "none").unwrap(), None);
            assert!(!imports_something(&component).unwrap());
        }
    }

    #[test]
    fn imports_are_seen() {
        let component = [COMPONENT.as_slice(), &[IMPORT, 1, 0]].concat();
        assert!(imports_something(&component).unwrap());
    }

    #[test]
    fn what_is_not_a_component_is_an_error() {
        let cut = with_custom_section(COMPONENT.to_vec(), "mine", b"content");
        let cut = &cut[..cut.len() - 1];
        let module = b"\0asm\x01\0\0\0";
        for bytes in [b"".as_slice(), module, cut, &[COMPONENT.as_slice(), &[0, 0xff, 0xff, 0xff, 0xff, 0xff]].concat()]
        {
            assert!(custom_section(bytes, "mine").is_err(), "{bytes:?}");
        }
    }
}
