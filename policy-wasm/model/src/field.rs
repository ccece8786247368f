//! What a key of the workflow file may hold: the one description that type check, normal form, suggestions, JSON
//! Schema and documentation read.
//!
//! A [`Mapping`] is made by the macro `mapping!` together with the Rust struct it describes, so the two cannot
//! differ. Nothing here looks at a value; that is the work of the rules.

use crate::syntax::Syntax;

/// A closed mapping: the keys it may have, and what they hold.
#[derive(Debug)]
pub struct Mapping {
    /// Name of the Rust type, for the JSON Schema's definitions.
    pub name: &'static str,
    /// What the mapping is, one or more sentences.
    pub doc: &'static str,
    /// The keys, in the order of the documentation.
    pub fields: &'static [Field],
    /// Keys of which exactly one must be there; empty: no such rule.
    pub exactly_one_of: &'static [&'static str],
    /// Keys that are accepted without effect: `core/ignored`.
    pub ignored: &'static [&'static str],
    /// Keys that are known but refused: `core/unsupported`.
    pub unsupported: &'static [&'static str],
}

impl Mapping {
    /// The description of `key`, or none: it does not exist here.
    pub fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.key == key)
    }
}

/// One key of a [`Mapping`].
#[derive(Debug)]
pub struct Field {
    /// The key as written in the file.
    pub key: &'static str,
    /// Meaning, unit, range and default, and the Kubernetes field it becomes.
    pub doc: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The key must be there (and its text not blank): `core/required` in every layer.
    pub required: bool,
    /// An empty mapping means something of its own and stays in the normal form.
    pub keep_empty: bool,
}

/// What a value is. Types are strict: nothing is converted.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Text.
    Text(Text),
    /// A whole number.
    Integer(Integer),
    /// A number, whole or not; greater than the bound, if there is one.
    Number(Option<i64>),
    /// `true` or `false`.
    Boolean,
    /// A list of one kind.
    List(List),
    /// An open mapping: any key, values of one kind.
    Map(Map),
    /// A closed mapping.
    Mapping(&'static Mapping),
    /// The first of these whose YAML type fits.
    OneOf(&'static [Kind]),
    /// Any value; the key is read by a rule of its own, or not at all (see its documentation).
    Any,
}

/// How a text is read.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    /// Outer white space is removed before use.
    pub trim: bool,
    /// What `${VAR}` in it means.
    pub variables: Variables,
    /// What a blank text means.
    pub blank: Blank,
    /// Value when no layer sets the key; none: unset.
    pub default: Option<&'static str>,
    /// The allowed words; empty: any text.
    pub words: &'static [Word],
    /// Words are compared without regard to case.
    pub any_case: bool,
    /// Words are checked in each layer alone, not only on the merged config.
    pub words_in_layer: bool,
    /// Shape the text must have, else `core/format` (a quantity: `core/quantity`).
    pub syntax: Option<Syntax>,
    /// Shape the text should have, else `core/doubtful`.
    pub expected: Option<Syntax>,
}

/// What `${VAR}` in a text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variables {
    /// It is put in just before an attempt.
    Resolved,
    /// `core/variable`: the value must be known when the file is read.
    Refused,
    /// Nothing: it is text like any other.
    Literal,
}

/// What an empty or all-white text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blank {
    /// An ordinary value.
    Value,
    /// The same as a key that is not there.
    Unset,
    /// `core/required`, in every layer.
    Refused,
    /// `core/required`, on the merged config.
    RefusedWhenMerged,
}

/// One of a set of allowed words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// The word as Kubernetes spells it.
    pub text: &'static str,
    /// What it does.
    pub doc: &'static str,
}

/// Bounds of an integer, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integer {
    /// Smallest allowed value.
    pub min: i64,
    /// Largest allowed value.
    pub max: i64,
    /// Value when no layer sets the key; none: unset.
    pub default: Option<i64>,
    /// A value that is accepted but can hardly be meant, with the reason: `core/doubtful`.
    pub doubtful: Option<(i64, &'static str)>,
}

/// A list.
#[derive(Debug, Clone, Copy)]
pub struct List {
    /// What each item is.
    pub item: &'static Kind,
    /// Smallest number of items.
    pub min: usize,
    /// Largest number of items.
    pub max: usize,
    /// No two items may have the same value under this key; the empty key: the items themselves.
    pub unique: Option<&'static str>,
    /// [`List::unique`] is checked in each layer alone, not only on the merged config.
    pub unique_in_layer: bool,
}

/// An open mapping.
#[derive(Debug, Clone, Copy)]
pub struct Map {
    /// What each value is.
    pub value: &'static Kind,
    /// Shape of the keys, else `core/format`.
    pub keys: Option<Syntax>,
    /// Keys that belong to the runner or to Kubernetes: `core/reserved`.
    pub reserved: Reserved,
}

/// Keys of a [`Map`] that a file may not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserved {
    /// Whole keys.
    pub keys: &'static [&'static str],
    /// Beginnings of keys.
    pub prefixes: &'static [&'static str],
}

impl Reserved {
    /// Nothing is reserved.
    pub const NONE: Reserved = Reserved { keys: &[], prefixes: &[] };

    /// Whether `key` is reserved.
    pub fn holds(&self, key: &str) -> bool {
        self.keys.contains(&key) || self.prefixes.iter().any(|prefix| key.starts_with(prefix))
    }
}

/// Any text, nothing said about it.
const PLAIN: Text = Text {
    trim: false,
    variables: Variables::Literal,
    blank: Blank::Value,
    default: None,
    words: &[],
    any_case: false,
    words_in_layer: false,
    syntax: None,
    expected: None,
};

/// Text that may hold `${VAR}`.
pub const fn text() -> Kind {
    Kind::Text(Text { variables: Variables::Resolved, ..PLAIN })
}

/// Text in which `${VAR}` means nothing.
pub const fn literal() -> Kind {
    Kind::Text(PLAIN)
}

/// Text that may not hold `${VAR}`.
pub const fn fixed_text() -> Kind {
    Kind::Text(Text { variables: Variables::Refused, ..PLAIN })
}

/// One of `words`, in exact case, no `${VAR}`; checked in every layer.
pub const fn word(words: &'static [Word]) -> Kind {
    Kind::Text(Text { words, words_in_layer: true, variables: Variables::Refused, ..PLAIN })
}

/// A quantity, kept as written, no `${VAR}`.
pub const fn quantity() -> Kind {
    Kind::Text(Text { syntax: Some(Syntax::Quantity), variables: Variables::Refused, ..PLAIN })
}

/// An integer within bounds, both included.
pub const fn integer(min: i64, max: i64) -> Kind {
    Kind::Integer(Integer { min, max, default: None, doubtful: None })
}

/// Any number.
pub const fn number() -> Kind {
    Kind::Number(None)
}

/// A number greater than `bound`.
pub const fn number_above(bound: i64) -> Kind {
    Kind::Number(Some(bound))
}

/// A user or group id: 0 to 2147483647, because Kubernetes refuses more.
pub const fn id() -> Kind {
    integer(0, i32::MAX as i64)
}

/// A list of `item`.
pub const fn list(item: &'static Kind) -> Kind {
    Kind::List(List { item, min: 0, max: usize::MAX, unique: None, unique_in_layer: false })
}

/// A map of free keys to `value`.
pub const fn map(value: &'static Kind) -> Kind {
    Kind::Map(Map { value, keys: None, reserved: Reserved::NONE })
}

#[expect(clippy::panic, reason = "evaluated at compile time only: a wrong table does not build")]
impl Kind {
    const fn edit_text(self) -> Text {
        match self {
            Kind::Text(text) => text,
            _ => panic!("only a text can have this property"),
        }
    }

    /// A text whose outer white space is removed.
    pub const fn trimmed(self) -> Kind {
        Kind::Text(Text { trim: true, ..self.edit_text() })
    }

    /// A text that must not be blank.
    pub const fn not_blank(self) -> Kind {
        Kind::Text(Text { blank: Blank::Refused, ..self.edit_text() })
    }

    /// A text that must not be blank once all layers are merged.
    pub const fn not_blank_when_merged(self) -> Kind {
        Kind::Text(Text { blank: Blank::RefusedWhenMerged, ..self.edit_text() })
    }

    /// A text that is unset when blank.
    pub const fn blank_unset(self) -> Kind {
        Kind::Text(Text { blank: Blank::Unset, ..self.edit_text() })
    }

    /// A text of this shape, else `core/format`.
    pub const fn syntax(self, syntax: Syntax) -> Kind {
        Kind::Text(Text { syntax: Some(syntax), ..self.edit_text() })
    }

    /// A text that should have this shape, else `core/doubtful`.
    pub const fn expected(self, syntax: Syntax) -> Kind {
        Kind::Text(Text { expected: Some(syntax), ..self.edit_text() })
    }

    /// A text that is one of these words, checked on the merged config.
    pub const fn words(self, words: &'static [Word]) -> Kind {
        Kind::Text(Text { words, ..self.edit_text() })
    }

    /// A word in any case.
    pub const fn any_case(self) -> Kind {
        Kind::Text(Text { any_case: true, ..self.edit_text() })
    }

    /// A word that is checked in each layer alone.
    pub const fn in_layer(self) -> Kind {
        match self {
            Kind::Text(text) => Kind::Text(Text { words_in_layer: true, ..text }),
            Kind::List(list) => Kind::List(List { unique_in_layer: true, ..list }),
            _ => panic!("only a text or a list can have this property"),
        }
    }

    /// An integer with a value of its own when no layer sets it.
    pub const fn default_to(self, value: i64) -> Kind {
        match self {
            Kind::Integer(integer) => Kind::Integer(Integer { default: Some(value), ..integer }),
            _ => panic!("only an integer can have this property"),
        }
    }

    /// An integer with a value that can hardly be meant.
    pub const fn doubtful(self, value: i64, why: &'static str) -> Kind {
        match self {
            Kind::Integer(integer) => Kind::Integer(Integer { doubtful: Some((value, why)), ..integer }),
            _ => panic!("only an integer can have this property"),
        }
    }

    /// A text with a value of its own when no layer sets it.
    pub const fn default_text(self, value: &'static str) -> Kind {
        Kind::Text(Text { default: Some(value), ..self.edit_text() })
    }

    /// A list with this many items, both bounds included.
    pub const fn length(self, min: usize, max: usize) -> Kind {
        match self {
            Kind::List(list) => Kind::List(List { min, max, ..list }),
            _ => panic!("only a list can have this property"),
        }
    }

    /// A list in which no two items have the same value under `key` (`""`: the items themselves).
    pub const fn unique(self, key: &'static str) -> Kind {
        match self {
            Kind::List(list) => Kind::List(List { unique: Some(key), ..list }),
            _ => panic!("only a list can have this property"),
        }
    }

    /// A map whose keys have this shape.
    pub const fn keys(self, keys: Syntax) -> Kind {
        match self {
            Kind::Map(map) => Kind::Map(Map { keys: Some(keys), ..map }),
            _ => panic!("only a map can have this property"),
        }
    }

    /// A map in which these keys cannot be set.
    pub const fn reserved(self, reserved: Reserved) -> Kind {
        match self {
            Kind::Map(map) => Kind::Map(Map { reserved, ..map }),
            _ => panic!("only a map can have this property"),
        }
    }

    /// The YAML type in the words of a message: `text`, `an integer`, `a list` …
    pub fn wanted(&self) -> String {
        match self {
            Kind::Text(_) => "text".to_owned(),
            Kind::Integer(_) => "an integer".to_owned(),
            Kind::Number(_) => "a number".to_owned(),
            Kind::Boolean => "a boolean".to_owned(),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) | Kind::Mapping(_) => "a mapping".to_owned(),
            Kind::OneOf(kinds) => {
                let mut words: Vec<String> = kinds.iter().map(Kind::wanted).collect();
                words.dedup();
                match words.split_last() {
                    Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
                    _ => words.concat(),
                }
            }
            Kind::Any => "a value".to_owned(),
        }
    }
}

/// Makes a struct and the [`Mapping`] that describes it in one go.
///
/// Each field is written `name: Type = kind;`, optionally `name as "key": …` where the key is no Rust identifier, and
/// `required` or `keep_empty` after the kind. The type has a neutral default: a key that is not there leaves it so,
/// and it is not serialised.
macro_rules! mapping {
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident $([exactly one of $($one:literal),+])? {
            $(
                $(#[doc = $field_doc:literal])*
                $field:ident $(as $key:literal)? : $type:ty = $kind:expr $(, $flag:ident)* ;
            )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
        pub struct $name {
            $(
                $(#[doc = $field_doc])*
                #[serde(skip_serializing_if = "crate::field::is_default")]
                $(#[serde(rename = $key)])?
                pub $field: $type,
            )*
        }

        impl $crate::document::Document for $name {
            fn read(value: serde_json::Value, reading: &mut $crate::document::Reading) -> Result<Self, String> {
                let mut object = reading.object(value)?;
                let read = Self { $( $field: reading.field(&mut object, mapping!(@key $field $($key)?))?, )* };
                reading.rest(&object);
                Ok(read)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = serde_json::Value::deserialize(deserializer)?;
                $crate::document::Document::read(value, &mut $crate::document::Reading::default())
                    .map_err(serde::de::Error::custom)
            }
        }

        impl $name {
            /// What the keys hold: the description that checks, schema and documentation read.
            pub const MAPPING: $crate::field::Mapping = $crate::field::Mapping {
                name: stringify!($name),
                doc: concat!($($doc, "\n"),*),
                fields: &[
                    $(
                        #[allow(clippy::needless_update, reason = "without a flag the struct is complete")]
                        $crate::field::Field {
                            key: mapping!(@key $field $($key)?),
                            doc: concat!($($field_doc, "\n"),*),
                            kind: $kind,
                            $($flag: true,)*
                            ..$crate::field::UNFLAGGED
                        },
                    )*
                ],
                exactly_one_of: &[$($($one),+)?],
                ignored: &[],
                unsupported: &[],
            };
            /// [`Self::MAPPING`] as the kind of a field.
            pub const KIND: $crate::field::Kind = $crate::field::Kind::Mapping(&Self::MAPPING);
        }
    };
    (@key $field:ident $key:literal) => { $key };
    (@key $field:ident) => { stringify!($field) };
}

/// Describes the keys of a mapping that no struct mirrors, because its values have forms of their own.
macro_rules! keys {
    (
        $(#[doc = $doc:literal])*
        pub const $const:ident: $name:literal {
            $(
                $(#[doc = $field_doc:literal])*
                $key:literal: $kind:expr $(, $flag:ident)* ;
            )*
        }
        ignored [$($ignored:literal),* $(,)?]
        unsupported [$($unsupported:literal),* $(,)?]
    ) => {
        $(#[doc = $doc])*
        pub const $const: $crate::field::Mapping = $crate::field::Mapping {
            name: $name,
            doc: concat!($($doc, "\n"),*),
            fields: &[
                $(
                    $crate::field::Field {
                        key: $key,
                        doc: concat!($($field_doc, "\n"),*),
                        kind: $kind,
                        $($flag: true,)*
                        ..$crate::field::UNFLAGGED
                    },
                )*
            ],
            exactly_one_of: &[],
            ignored: &[$($ignored),*],
            unsupported: &[$($unsupported),*],
        };
    };
}

/// Makes an enum of the words a field may hold. A word that is not known is kept as it is, so that a new one does not
/// break a deployed policy.
macro_rules! words {
    (
        $(#[doc = $doc:literal])*
        pub enum $name:ident {
            $( $(#[doc = $word_doc:literal])* $word:ident = $text:literal, )+
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[doc = $word_doc])* $word, )+
            /// A word this version does not know, as written.
            Other(String),
        }

        impl $name {
            /// The known words.
            pub const WORDS: &[$crate::field::Word] =
                &[$( $crate::field::Word { text: $text, doc: concat!($($word_doc, "\n"),*) } ),+];

            /// The word as Kubernetes spells it.
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$word => $text, )+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                match text.as_str() {
                    $( $text => Self::$word, )+
                    _ => Self::Other(text),
                }
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> String {
                word.as_str().to_owned()
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl $crate::document::Document for $name {
            fn read(value: serde_json::Value, reading: &mut $crate::document::Reading) -> Result<Self, String> {
                String::read(value, reading).map(Self::from)
            }
        }
    };
}

pub(crate) use {keys, mapping, words};

/// A field with neither flag; only for `mapping!`.
pub(crate) const UNFLAGGED: Field = Field { key: "", doc: "", kind: Kind::Any, required: false, keep_empty: false };

/// Whether a value is the neutral one; for `skip_serializing_if` in `mapping!`.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
