//! A script as it is written.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScriptForm {
    pub(super) rules: Vec<Spanned<RuleForm>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleForm {
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) when: WhenForm,
    #[serde(default)]
    pub(super) call: Vec<CallForm>,
    pub(super) say: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct WhenForm {
    pub(super) process: Option<String>,
    pub(super) step: Option<String>,
    pub(super) trigger: Option<Kinds>,
    pub(super) after: Option<String>,
    pub(super) result: Option<Spanned<String>>,
    pub(super) event: Option<Spanned<String>>,
    pub(super) shown: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallForm {
    pub(super) tool: Spanned<String>,
    pub(super) args: Option<Spanned<Args>>,
}

/// A tool's arguments: one object.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Args(Map<String, Value>);

impl From<Args> for Value {
    fn from(args: Args) -> Self {
        Self::Object(args.0)
    }
}

/// One kind of trigger, or a list of them.
pub(super) struct Kinds(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Kinds {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindsVisitor)
    }
}

struct KindsVisitor;

impl<'de> Visitor<'de> for KindsVisitor {
    type Value = Kinds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a kind of trigger, or a list of kinds")
    }

    fn visit_str<E: de::Error>(self, kind: &str) -> Result<Kinds, E> {
        Ok(Kinds(vec![kind.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kinds, A::Error> {
        let mut kinds = Vec::new();
        while let Some(kind) = items.next_element()? {
            kinds.push(kind);
        }
        Ok(Kinds(kinds))
    }
}
