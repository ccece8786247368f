//! The little protobuf that `kubectl create secret`, `configmap` and `namespace` send; everything else is JSON.
//!
//! Kubernetes puts its messages into an envelope: four magic bytes and a `runtime.Unknown` with kind and content. Field
//! numbers are those of `k8s.io/api/core/v1/generated.proto`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::object::set;

pub(super) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

const MAGIC: &[u8] = b"k8s\0";

/// Reads a Secret, ConfigMap or Namespace; `None` for anything else.
pub(super) fn read(bytes: &[u8]) -> Option<Value> {
    let envelope = Message::read(bytes.strip_prefix(MAGIC)?)?;
    let kind = Message::read(envelope.bytes(1)?)?;
    let (api_version, kind) = (kind.text(1)?, kind.text(2)?);
    let content = Message::read(envelope.bytes(2)?)?;
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata(content.bytes(1)?)?});
    let map = object.as_object_mut()?;
    match (api_version.as_str(), kind.as_str()) {
        ("v1", "Namespace") => {}
        ("v1", "Secret") => {
            set(map, "data", content.map(2, encoded)?);
            set(map, "type", content.text(3));
            set(map, "stringData", content.map(4, plain)?);
            set(map, "immutable", content.flag(5));
        }
        ("v1", "ConfigMap") => {
            set(map, "data", content.map(2, plain)?);
            set(map, "binaryData", content.map(3, encoded)?);
            set(map, "immutable", content.flag(4));
        }
        _ => return None,
    }
    Some(object)
}

fn metadata(bytes: &[u8]) -> Option<Value> {
    let message = Message::read(bytes)?;
    let mut meta = Map::new();
    for (field, number) in [("name", 1), ("generateName", 2), ("namespace", 3)] {
        set(&mut meta, field, message.text(number).filter(|text| !text.is_empty()));
    }
    set(&mut meta, "labels", message.map(11, plain)?);
    set(&mut meta, "annotations", message.map(12, plain)?);
    Some(meta.into())
}

fn plain(bytes: &[u8]) -> Option<Value> {
    Some(std::str::from_utf8(bytes).ok()?.into())
}

fn encoded(bytes: &[u8]) -> Option<Value> {
    Some(STANDARD.encode(bytes).into())
}

/// The fields of a message in their order.
struct Message<'a> {
    fields: Vec<(u64, Field<'a>)>,
}

#[derive(Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Message<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let key = varint(&mut rest)?;
            let field = match key & 7 {
                0 => Field::Number(varint(&mut rest)?),
                1 => Field::Bytes(take(&mut rest, 8)?),
                2 => {
                    let length = usize::try_from(varint(&mut rest)?).ok()?;
                    Field::Bytes(take(&mut rest, length)?)
                }
                5 => Field::Bytes(take(&mut rest, 4)?),
                _ => return None,
            };
            fields.push((key >> 3, field));
        }
        Some(Self { fields })
    }

    fn all(&self, number: u64) -> impl Iterator<Item = Field<'a>> {
        self.fields.iter().filter(move |(found, _)| *found == number).map(|(_, field)| *field)
    }

    fn bytes(&self, number: u64) -> Option<&'a [u8]> {
        // Of a repeated single field the last counts.
        self.all(number).filter_map(|field| if let Field::Bytes(bytes) = field { Some(bytes) } else { None }).last()
    }

    fn text(&self, number: u64) -> Option<String> {
        Some(std::str::from_utf8(self.bytes(number)?).ok()?.to_owned())
    }

    fn flag(&self, number: u64) -> Option<bool> {
        self.all(number)
            .filter_map(|field| if let Field::Number(value) = field { Some(value != 0) } else { None })
            .last()
    }

    /// A map field: `Null` when it has no entries, `None` when it is no map.
    fn map(&self, number: u64, value: fn(&[u8]) -> Option<Value>) -> Option<Value> {
        let mut map = Map::new();
        for field in self.all(number) {
            let Field::Bytes(bytes) = field else { return None };
            let entry = Message::read(bytes)?;
            map.insert(entry.text(1).unwrap_or_default(), value(entry.bytes(2).unwrap_or_default())?);
        }
        Some(if map.is_empty() { Value::Null } else { map.into() })
    }
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    fn envelope(kind: &str, content: &[u8]) -> Vec<u8> {
        let kind = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &kind), field(2, content)].concat()
    }

    #[test]
    fn a_secret_is_read_and_what_is_unknown_is_not() {
        let entry = [field(1, b"key"), field(2, b"\xff")].concat();
        let content = [field(1, &field(1, b"name")), field(2, &entry), field(3, b"Opaque")].concat();
        let expected = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "name"},
            "data": {"key": "/w=="}, "type": "Opaque"});
        assert_eq!(read(&envelope("Secret", &content)), Some(expected));
        assert_eq!(read(&envelope("Pod", &content)), None);
        let whole = envelope("Secret", &content);
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), None, "cut at {end}");
        }
    }
}
