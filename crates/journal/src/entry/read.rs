//! Entries from text.
//!
//! An entry's kind stands before its fields wherever we wrote it, so the fields can be read as what they
//! are, one after the other. What serde derives for such an enum reads everything into a tree first,
//! which takes most of a recovery's time. Fields that come before the kind are kept until it is there.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, VariantAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;

use super::{Entry, Record};

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object).and_then(|(envelope, entry)| {
            Ok(Self {
                seq: envelope.seq.ok_or_else(|| D::Error::missing_field("seq"))?,
                process: envelope.process.ok_or_else(|| D::Error::missing_field("process"))?,
                n: envelope.n.ok_or_else(|| D::Error::missing_field("n"))?,
                epoch: envelope.epoch.ok_or_else(|| D::Error::missing_field("epoch"))?,
                at: envelope.at.ok_or_else(|| D::Error::missing_field("at"))?,
                entry,
            })
        })
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object).map(|(_, entry)| entry)
    }
}

/// What a record has beside its entry.
#[derive(Default)]
struct Envelope {
    seq: Option<u64>,
    process: Option<String>,
    n: Option<u64>,
    epoch: Option<u64>,
    at: Option<DateTime<Utc>>,
}

impl Envelope {
    /// Takes the member `key`, if it is one of the envelope's.
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A) -> Result<(), A::Error> {
        match key {
            Member::Seq => self.seq = Some(map.next_value()?),
            Member::Process => self.process = Some(map.next_value()?),
            Member::N => self.n = Some(map.next_value()?),
            Member::Epoch => self.epoch = Some(map.next_value()?),
            Member::At => self.at = Some(map.next_value()?),
        }
        Ok(())
    }
}

/// A member of the envelope.
#[derive(Clone, Copy)]
enum Member {
    Seq,
    Process,
    N,
    Epoch,
    At,
}

impl Member {
    fn of(key: &str) -> Option<Self> {
        match key {
            "seq" => Some(Self::Seq),
            "process" => Some(Self::Process),
            "n" => Some(Self::N),
            "epoch" => Some(Self::Epoch),
            "at" => Some(Self::At),
            _ => None,
        }
    }
}

/// A record, or an entry alone.
struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = (Envelope, Entry);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record of the journal")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope::default();
        let mut early = Vec::new();
        loop {
            match map.next_key_seed(Key(Text))? {
                None => return Err(A::Error::missing_field("kind")),
                Some(Read::Member(member, _)) => envelope.take(member, &mut map)?,
                Some(Read::Other(key)) if key == "kind" => break,
                Some(Read::Other(key)) => early.push((key, map.next_value()?)),
            }
        }
        let kind: String = map.next_value()?;
        let fields = Fields { early: early.into_iter(), value: None, map, envelope: &mut envelope };
        let entry = Entry::deserialize(Kind { name: &kind, fields })?;
        Ok((envelope, entry))
    }
}

/// Reads a key: one of the envelope's, or another one with the seed `K`.
struct Key<K>(K);

enum Read<K, T> {
    /// The seed was not needed.
    Member(Member, K),
    Other(T),
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for Key<K> {
    type Value = Read<K, K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'de, K: DeserializeSeed<'de>> Visitor<'de> for Key<K> {
    type Value = Read<K, K::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        match Member::of(key) {
            Some(member) => Ok(Read::Member(member, self.0)),
            None => self.0.deserialize::<StrDeserializer<'_, E>>(key.into_deserializer()).map(Read::Other),
        }
    }
}

/// A key as it is.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        String::deserialize(deserializer)
    }
}

/// What is left of an object after the kind, without the envelope's members.
struct Fields<'a, A> {
    early: std::vec::IntoIter<(String, Value)>,
    value: Option<Value>,
    map: A,
    envelope: &'a mut Envelope,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        if let Some((key, value)) = self.early.next() {
            self.value = Some(value);
            return seed.deserialize(key.into_deserializer()).map(Some);
        }
        let mut seed = seed;
        loop {
            match self.map.next_key_seed(Key(seed))? {
                None => return Ok(None),
                Some(Read::Other(key)) => return Ok(Some(key)),
                Some(Read::Member(member, unused)) => {
                    self.envelope.take(member, &mut self.map)?;
                    seed = unused;
                }
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(value).map_err(A::Error::custom),
            None => self.map.next_value_seed(seed),
        }
    }
}

/// An entry's kind and its fields, for what serde derives for the enum.
struct Kind<'a, A> {
    name: &'a str,
    fields: A,
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Kind<'_, A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for Kind<'_, A> {
    type Error = A::Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), A::Error> {
        let name: StrDeserializer<'_, A::Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Kind<'_, A> {
    type Error = A::Error;

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_map(self.fields)
    }

    fn unit_variant(self) -> Result<(), A::Error> {
        Err(A::Error::invalid_type(de::Unexpected::UnitVariant, &"an entry with named fields"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, A::Error> {
        Err(A::Error::invalid_type(de::Unexpected::NewtypeVariant, &"an entry with named fields"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, A::Error> {
        Err(A::Error::invalid_type(de::Unexpected::TupleVariant, &"an entry with named fields"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_may_come_in_any_order() {
        let record = json!({
            "seq": 7, "process": "p", "n": 3, "epoch": 1, "at": "2026-01-02T03:04:05Z",
            "kind": "note", "layer": "l", "body": {"seq": 1, "kind": "x"}, "hash": "h", "crc": "c",
        });
        let text = r#"{"body": {"seq": 1, "kind": "x"}, "n": 3, "kind": "note", "process": "p", "layer": "l",
            "at": "2026-01-02T03:04:05Z", "seq": 7, "epoch": 1}"#;
        let sorted: Record = serde_json::from_value(record).expect("a record");
        assert_eq!(serde_json::from_str::<Record>(text).expect("a record"), sorted);
        let entry = Entry::Note { layer: "l".into(), run: None, body: json!({"seq": 1, "kind": "x"}) };
        assert_eq!(sorted.entry, entry);
        assert_eq!(serde_json::from_value::<Entry>(serde_json::to_value(&entry).expect("written")).expect("an entry"), entry);
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        let failed = |text: &str| serde_json::from_str::<Record>(text).expect_err("no record").to_string();
        assert!(failed(r#"{"seq": 1}"#).contains("missing field `kind`"));
        assert!(failed(r#"{"kind": "note", "layer": "l", "body": 1}"#).contains("missing field `seq`"));
        assert!(failed(r#"{"kind": "note", "layer": "l"}"#).contains("missing field `body`"));
        assert!(failed(r#"{"kind": "of_the_future"}"#).contains("of_the_future"));
    }
}
