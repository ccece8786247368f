//! Syntax classes: the shapes a text may have, each with its check, its words and its regular expression.
//!
//! A class only looks at one text. Whether breaking it is an error or a doubt, and whether the text is complete enough
//! to be judged, is said by the field's table and the rules. Every check takes time linear in the text.

use std::fmt::Write as _;

use crate::problem::code;
use crate::quantity;

/// A shape that a text may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// No white space anywhere.
    NoWhiteSpace,
    /// 1 to 63 lower-case letters, digits and `-`; first and last a letter or digit.
    ///
    /// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>
    DnsLabel,
    /// Parts as in a DNS label, of any length, joined by `.`; at most 253 characters.
    ///
    /// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names>
    DnsSubdomain,
    /// An optional DNS subdomain and `/`, then 1 to 63 letters, digits, `-`, `_` and `.`; first and last a letter or
    /// digit.
    ///
    /// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>
    QualifiedName,
    /// The same, with upper case in the prefix too.
    ///
    /// <https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/#syntax-and-character-set>
    QualifiedNameAnyCase,
    /// Empty, or as a qualified name without prefix.
    ///
    /// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>
    LabelValue,
    /// Key inside a ConfigMap or Secret: 1 to 253 letters, digits, `-`, `_` and `.`; not `.`, not beginning with `..`.
    ///
    /// <https://kubernetes.io/docs/concepts/configuration/configmap/#configmap-object>
    ConfigKey,
    /// Name of a kernel parameter, parts joined by `.` or `/`; at most 253 characters.
    ///
    /// <https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/>
    SysctlName,
    /// A quantity that is not negative: [`crate::quantity`].
    ///
    /// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>
    Quantity,
    /// Name of a variable: printable ASCII without `=`.
    ///
    /// <https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/>
    EnvName,
    /// Name of a variable that every cluster accepts: letters, digits, `-`, `_` and `.`, not beginning with a digit;
    /// not `.`, not beginning with `..`.
    UsualEnvName,
    /// Beginning of names of variables, or nothing.
    EnvPrefix,
    /// Beginning of names of variables that every cluster accepts, or nothing.
    UsualEnvPrefix,
    /// A field of the pod that a variable can hold.
    ///
    /// <https://kubernetes.io/docs/concepts/workloads/pods/downward-api/#available-fields>
    FieldPath,
    /// Name of a resource: `cpu`, `memory`, `ephemeral-storage`, `hugepages-<size>`, or a qualified name with prefix.
    ///
    /// <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#resource-types>
    ResourceName,
    /// Begins with `/`.
    AbsolutePath,
    /// Does not begin with `/` and has no `..` part.
    RelativePath,
    /// Has no `..` part.
    NoParentFolder,
    /// Begins with `/` and has no `:`.
    MountPath,
    /// Does not begin with `CAP_`.
    ///
    /// <https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#set-capabilities-for-a-container>
    CapabilityName,
    /// Where an empty folder lives: empty, `Memory`, `HugePages`, `HugePages-<size>`.
    ///
    /// <https://kubernetes.io/docs/concepts/storage/volumes/#emptydir>
    Medium,
}

/// How a text breaks its class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Violation {
    /// What is wrong, with the text.
    pub message: String,
    /// What to type instead.
    pub help: Option<String>,
    /// The corrected text, where only one can be meant.
    pub fix: Option<String>,
}

impl From<quantity::QuantityError> for Violation {
    fn from(error: quantity::QuantityError) -> Violation {
        Violation { message: error.message, help: error.help, fix: error.fix }
    }
}

/// Longest DNS label, and longest last part of a qualified name.
const LABEL: usize = 63;
/// Longest DNS subdomain.
const SUBDOMAIN: usize = 253;

/// The field paths without a key.
const FIELD_PATHS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

// Pieces of regular expressions. Lengths are bounded by looking ahead at the characters of the class only, so that a
// pattern can stand inside a larger one.
macro_rules! name_part {
    () => {
        "[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?"
    };
}
macro_rules! dns_subdomain {
    () => {
        r"(?![-.a-z0-9]{254})[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*"
    };
}
macro_rules! qualified_name {
    () => {
        concat!("(?:", dns_subdomain!(), "/)?", name_part!())
    };
}
macro_rules! qualified_name_any_case {
    () => {
        concat!(
            r"(?:(?![-.A-Za-z0-9]{254})[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?",
            r"(?:\.[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?)*/)?",
            name_part!()
        )
    };
}
macro_rules! quantity {
    () => {
        concat!(
            r"(?:\+?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)|-(?:0+(?:\.0*)?|\.0+))",
            r"(?:[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,3})?"
        )
    };
}

impl Syntax {
    /// Whether `text` has this shape.
    ///
    /// # Errors
    /// It has not; with advice where there is some.
    pub fn check(self, text: &str) -> Result<(), Violation> {
        if self == Syntax::Quantity {
            return Ok(quantity::parse(text).map(drop)?);
        }
        if self.holds(text) {
            return Ok(());
        }
        let message = match self {
            Syntax::NoWhiteSpace => format!("`{}` has white space inside", shown(text)),
            Syntax::NoParentFolder => format!("`{}` has a `..` part", shown(text)),
            Syntax::CapabilityName => format!("`{}` begins with `CAP_`", shown(text)),
            _ => format!("`{}` is not {}", shown(text), self.expected()),
        };
        let fix = self.correction(text).filter(|fix| !fix.is_empty() && self.holds(fix));
        let help = match &fix {
            Some(fix) => Some(format!("write `{}`", shown(fix))),
            None => self.advice(text),
        };
        Err(Violation { message, help, fix })
    }

    /// The code of the problem when a text must have this shape and has not.
    pub fn code(self) -> &'static str {
        match self {
            Syntax::Quantity => code::QUANTITY,
            Syntax::FieldPath => code::ENUM,
            _ => code::FORMAT,
        }
    }

    /// What fits, on one line.
    pub fn expected(self) -> &'static str {
        match self {
            Syntax::NoWhiteSpace => "a text without white space",
            Syntax::DnsLabel => {
                "a DNS label: 1 to 63 lower-case letters, digits and `-`, first and last a letter or digit"
            }
            Syntax::DnsSubdomain => {
                "a DNS subdomain: 1 to 253 lower-case letters, digits, `-` and `.`, each part with a letter or digit \
                 first and last"
            }
            Syntax::QualifiedName => {
                "a qualified name: 1 to 63 letters, digits, `-`, `_` and `.`, first and last a letter or digit, with or \
                 without a DNS subdomain and `/` before it"
            }
            Syntax::QualifiedNameAnyCase => {
                "a qualified name: 1 to 63 letters, digits, `-`, `_` and `.`, first and last a letter or digit, with or \
                 without a DNS subdomain in any case and `/` before it"
            }
            Syntax::LabelValue => {
                "a label value: empty, or 1 to 63 letters, digits, `-`, `_` and `.`, first and last a letter or digit"
            }
            Syntax::ConfigKey => {
                "a key of a ConfigMap or Secret: 1 to 253 letters, digits, `-`, `_` and `.`, not `.` and not beginning \
                 with `..`"
            }
            Syntax::SysctlName => {
                "a kernel parameter: at most 253 lower-case letters, digits, `-` and `_` in parts joined by `.` or `/`, \
                 each part with a letter or digit first and last"
            }
            Syntax::Quantity => "a quantity: a number that is not negative with a unit, as `500m`, `2`, `128Mi`",
            Syntax::EnvName => "a name of a variable: printable ASCII characters without `=`",
            Syntax::UsualEnvName => {
                "a name that every cluster accepts: letters, digits, `-`, `_` and `.`, no digit first, not `.` and not \
                 beginning with `..`"
            }
            Syntax::EnvPrefix => "a beginning of variable names: printable ASCII characters without `=`, or empty",
            Syntax::UsualEnvPrefix => {
                "a beginning that every cluster accepts: letters, digits, `-`, `_` and `.`, no digit first, not beginning \
                 with `..`, or empty"
            }
            Syntax::FieldPath => {
                "one of `metadata.name`, `metadata.namespace`, `metadata.uid`, `metadata.labels['KEY']`, \
                 `metadata.annotations['KEY']`, `spec.nodeName`, `spec.serviceAccountName`, `status.hostIP`, \
                 `status.hostIPs`, `status.podIP`, `status.podIPs`"
            }
            Syntax::ResourceName => {
                "a resource: `cpu`, `memory`, `ephemeral-storage`, `hugepages-<size>`, or a qualified name with prefix as \
                 `nvidia.com/gpu`"
            }
            Syntax::AbsolutePath => "an absolute path: it begins with `/`",
            Syntax::RelativePath => "a relative path without `..`: it does not begin with `/`",
            Syntax::NoParentFolder => "a path without `..`",
            Syntax::MountPath => "an absolute path without `:`: it begins with `/`",
            Syntax::CapabilityName => "a capability without `CAP_` before it, as `NET_ADMIN`",
            Syntax::Medium => "empty, `Memory`, `HugePages` or `HugePages-<size>`",
        }
    }

    /// The same as a regular expression of ECMA-262, anchored at both ends, for the JSON Schema.
    ///
    /// It fits the same texts as [`Syntax::check`], but that the size of a quantity has no bound in it.
    pub fn pattern(self) -> Option<&'static str> {
        Some(match self {
            Syntax::NoWhiteSpace => r"^[^\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*$",
            Syntax::DnsLabel => r"^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$",
            Syntax::DnsSubdomain => concat!("^", dns_subdomain!(), "$"),
            Syntax::QualifiedName => concat!("^", qualified_name!(), "$"),
            Syntax::QualifiedNameAnyCase => concat!("^", qualified_name_any_case!(), "$"),
            Syntax::LabelValue => concat!("^(?:", name_part!(), ")?$"),
            Syntax::ConfigKey => r"^(?![-._A-Za-z0-9]{254})\.?[-_A-Za-z0-9][-._A-Za-z0-9]*$",
            Syntax::SysctlName => {
                r"^(?![-._/a-z0-9]{254})[a-z0-9](?:[-_a-z0-9]*[a-z0-9])?(?:[./][a-z0-9](?:[-_a-z0-9]*[a-z0-9])?)*$"
            }
            Syntax::Quantity => concat!("^", quantity!(), "$"),
            Syntax::EnvName => r"^[ -<>-~]+$",
            Syntax::UsualEnvName => r"^(?:[-_a-zA-Z]|\.[-_a-zA-Z0-9])[-._a-zA-Z0-9]*$",
            Syntax::EnvPrefix => r"^[ -<>-~]*$",
            Syntax::UsualEnvPrefix => r"^(?:\.?|(?:[-_a-zA-Z]|\.[-_a-zA-Z0-9])[-._a-zA-Z0-9]*)$",
            Syntax::FieldPath => concat!(
                r"^(?:metadata\.(?:name|namespace|uid)|metadata\.labels\['",
                qualified_name!(),
                r"'\]|metadata\.annotations\['",
                qualified_name_any_case!(),
                r"'\]|spec\.(?:nodeName|serviceAccountName)|status\.(?:hostIPs?|podIPs?))$"
            ),
            Syntax::ResourceName => concat!(
                // Without prefix the whole is a name part: no `+`, no `.` at the end, 63 characters.
                r"^(?:cpu|memory|ephemeral-storage|hugepages-(?![-_.A-Za-z0-9]{54})(?:(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)",
                r"(?:[numkMGTPE]|[KMGTPE]i|[eE]-?[0-9]{1,3})?|[0-9]+\.(?:[numkMGTPE]|[KMGTPE]i|[eE]-?[0-9]{1,3}))|",
                dns_subdomain!(),
                "/",
                name_part!(),
                ")$"
            ),
            Syntax::AbsolutePath => r"^/",
            Syntax::RelativePath => r"^(?!/)(?!(?:[^/]*/)*\.\.(?:/|$))",
            Syntax::NoParentFolder => r"^(?!(?:[^/]*/)*\.\.(?:/|$))",
            Syntax::MountPath => r"^/[^:]*$",
            Syntax::CapabilityName => r"^(?!CAP_)",
            Syntax::Medium => concat!("^(?:Memory|HugePages(?:-", quantity!(), ")?)?$"),
        })
    }

    fn holds(self, text: &str) -> bool {
        match self {
            Syntax::NoWhiteSpace => !text.contains(char::is_whitespace),
            Syntax::DnsLabel => text.len() <= LABEL && is_dns_part(text),
            Syntax::DnsSubdomain => is_dns_subdomain(text),
            Syntax::QualifiedName => is_qualified_name(text, is_dns_subdomain),
            Syntax::QualifiedNameAnyCase => is_qualified_name(text, |prefix| {
                prefix.len() <= SUBDOMAIN && is_dns_subdomain(&prefix.to_ascii_lowercase())
            }),
            Syntax::LabelValue => text.is_empty() || is_name_part(text),
            Syntax::ConfigKey => {
                (1..=SUBDOMAIN).contains(&text.len())
                    && text.bytes().all(is_name_byte)
                    && text != "."
                    && !text.starts_with("..")
            }
            Syntax::SysctlName => {
                text.len() <= SUBDOMAIN
                    && text.split(['.', '/']).all(|part| {
                        has_alphanumeric_ends(part) && part.bytes().all(|byte| is_dns_byte(byte) || byte == b'_')
                    })
            }
            Syntax::Quantity => quantity::parse(text).is_ok(),
            Syntax::EnvName => !text.is_empty() && Syntax::EnvPrefix.holds(text),
            Syntax::UsualEnvName => !text.is_empty() && text != "." && Syntax::UsualEnvPrefix.holds(text),
            Syntax::EnvPrefix => text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'='),
            Syntax::UsualEnvPrefix => {
                text.bytes().all(is_name_byte)
                    && !text.starts_with(|first: char| first.is_ascii_digit())
                    && !text.starts_with("..")
            }
            Syntax::FieldPath => FIELD_PATHS.contains(&text) || is_subscripted(text),
            Syntax::ResourceName => match text.strip_prefix("hugepages-") {
                Some(size) if !text.contains('/') => {
                    is_name_part(text) && !size.starts_with('-') && quantity::parse(size).is_ok()
                }
                _ => {
                    matches!(text, "cpu" | "memory" | "ephemeral-storage")
                        || text.contains('/') && Syntax::QualifiedName.holds(text)
                }
            },
            Syntax::AbsolutePath => text.starts_with('/'),
            Syntax::RelativePath => !text.starts_with('/') && Syntax::NoParentFolder.holds(text),
            Syntax::NoParentFolder => text.split('/').all(|part| part != ".."),
            Syntax::MountPath => text.starts_with('/') && !text.contains(':'),
            Syntax::CapabilityName => !text.starts_with("CAP_"),
            Syntax::Medium => match text {
                "" | "Memory" | "HugePages" => true,
                _ => text.strip_prefix("HugePages-").is_some_and(|size| quantity::parse(size).is_ok()),
            },
        }
    }

    /// What was probably meant, when it is clear; the caller looks whether it holds.
    fn correction(self, text: &str) -> Option<String> {
        // A longer text is no slip of the pen.
        if text.len() > 2 * SUBDOMAIN {
            return None;
        }
        let trimmed = text.trim();
        Some(match self {
            Syntax::DnsLabel => with_dashes(&trimmed.to_ascii_lowercase(), "_."),
            Syntax::DnsSubdomain => with_dashes(&trimmed.to_ascii_lowercase(), "_"),
            Syntax::QualifiedName => match trimmed.rsplit_once('/') {
                Some((prefix, name)) => {
                    format!("{}/{}", with_dashes(&prefix.to_ascii_lowercase(), "_"), with_dashes(name, ""))
                }
                None => with_dashes(trimmed, ":"),
            },
            Syntax::QualifiedNameAnyCase => with_dashes(trimmed, ":"),
            // Without its sign it would be another number.
            Syntax::LabelValue if is_signed_number(trimmed) => return None,
            Syntax::LabelValue => with_dashes(trimmed, "/:@+,"),
            Syntax::ConfigKey => with_dashes(trimmed, "/:"),
            Syntax::SysctlName => trimmed.to_ascii_lowercase(),
            Syntax::UsualEnvName | Syntax::UsualEnvPrefix | Syntax::EnvName => trimmed.replace([' ', '='], "_"),
            Syntax::FieldPath => return known_field_path(trimmed),
            Syntax::ResourceName => return known_resource(trimmed),
            Syntax::Medium => {
                return ["Memory", "HugePages"]
                    .iter()
                    .find(|word| word.eq_ignore_ascii_case(trimmed))
                    .map(|word| (*word).to_owned());
            }
            Syntax::AbsolutePath => format!("/{}", trimmed.strip_prefix("./").unwrap_or(trimmed)),
            Syntax::MountPath if !text.starts_with('/') => {
                format!("/{}", trimmed.strip_prefix("./").unwrap_or(trimmed))
            }
            Syntax::RelativePath => trimmed.trim_start_matches('/').to_owned(),
            Syntax::CapabilityName => text.trim_start_matches("CAP_").to_owned(),
            Syntax::NoWhiteSpace
            | Syntax::Quantity
            | Syntax::EnvPrefix
            | Syntax::NoParentFolder
            | Syntax::MountPath => {
                return None;
            }
        })
    }

    /// What to do where no corrected text is clear.
    fn advice(self, text: &str) -> Option<String> {
        let (limit, fits): (usize, fn(char) -> bool) = match self {
            Syntax::DnsLabel => (LABEL, |character| is_dns_char(character)),
            Syntax::DnsSubdomain => (SUBDOMAIN, |character| is_dns_char(character) || character == '.'),
            Syntax::LabelValue => (LABEL, is_name_char),
            Syntax::QualifiedName | Syntax::QualifiedNameAnyCase => {
                let name = text.rsplit('/').next().unwrap_or(text);
                if name.len() > LABEL {
                    return Some(format!("shorten `{}`: it has more than {LABEL} characters", shown(name)));
                }
                (SUBDOMAIN + 1 + LABEL, |character| is_name_char(character) || character == '/')
            }
            Syntax::ConfigKey => (SUBDOMAIN, is_name_char),
            Syntax::SysctlName => {
                (SUBDOMAIN, |character| is_dns_char(character) || matches!(character, '.' | '/' | '_'))
            }
            Syntax::EnvName | Syntax::EnvPrefix => {
                (usize::MAX, |character| matches!(character, ' '..='~') && character != '=')
            }
            Syntax::UsualEnvName | Syntax::UsualEnvPrefix => (usize::MAX, is_name_char),
            Syntax::ResourceName => {
                return Some("write an extended resource with its prefix, as `nvidia.com/gpu`".to_owned());
            }
            Syntax::NoWhiteSpace => return Some("take the white space out".to_owned()),
            Syntax::RelativePath | Syntax::NoParentFolder => {
                return Some("write the path without `..`".to_owned());
            }
            Syntax::MountPath if text.contains(':') => return Some("write the path without `:`".to_owned()),
            Syntax::MountPath | Syntax::AbsolutePath => return Some("begin the path with `/`".to_owned()),
            Syntax::Quantity | Syntax::FieldPath | Syntax::CapabilityName | Syntax::Medium => return None,
        };
        if text.is_empty() {
            return Some("write a name; here it is empty".to_owned());
        }
        if self == Syntax::LabelValue && is_signed_number(text) {
            return Some("no label holds a number with a sign: Kubernetes 1.33 and later refuse it".to_owned());
        }
        if let Some(wrong) = text.chars().find(|character| !fits(*character)) {
            if wrong.is_whitespace() {
                return Some("take the white space out".to_owned());
            }
            return Some(format!("`{}` cannot stand here", shown(wrong.encode_utf8(&mut [0; 4]))));
        }
        if text.len() > limit {
            return Some(format!("shorten it: it has {} characters, at most {limit} are possible", text.len()));
        }
        match self {
            Syntax::UsualEnvName | Syntax::UsualEnvPrefix if text.starts_with(|first: char| first.is_ascii_digit()) => {
                Some(format!("put a letter or `_` first, as `_{}`", shown(text)))
            }
            Syntax::ConfigKey | Syntax::UsualEnvName | Syntax::UsualEnvPrefix => {
                Some("begin with one `.` at most".to_owned())
            }
            _ => Some("let each part begin and end with a letter or digit".to_owned()),
        }
    }
}

/// `text` for a message: control characters escaped, cut after 80 characters.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == LONGEST {
            shown.push('…');
            break;
        }
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            // The latter turn the direction of writing: the message would not read as the file does.
            _ if character.is_control()
                || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
            }
            _ => shown.push(character),
        }
    }
    shown
}

/// White space and the characters of `others` become `-`; what may not stand at the ends is cut there.
fn with_dashes(text: &str, others: &str) -> String {
    text.replace(|character: char| character.is_whitespace() || others.contains(character), "-")
        .trim_matches(|character: char| matches!(character, '-' | '_' | '.'))
        .to_owned()
}

/// Whether `text` is an integer with `+` or `-` before it.
fn is_signed_number(text: &str) -> bool {
    text.starts_with(['+', '-']) && text.parse::<i64>().is_ok()
}

fn is_dns_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')
}

fn is_dns_char(character: char) -> bool {
    u8::try_from(character).is_ok_and(is_dns_byte)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn is_name_char(character: char) -> bool {
    u8::try_from(character).is_ok_and(is_name_byte)
}

fn has_alphanumeric_ends(text: &str) -> bool {
    let ends = [text.bytes().next(), text.bytes().next_back()];
    ends.iter().all(|end| end.is_some_and(|byte| byte.is_ascii_alphanumeric()))
}

fn is_dns_part(text: &str) -> bool {
    has_alphanumeric_ends(text) && text.bytes().all(is_dns_byte)
}

fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= SUBDOMAIN && text.split('.').all(is_dns_part)
}

fn is_name_part(text: &str) -> bool {
    text.len() <= LABEL && has_alphanumeric_ends(text) && text.bytes().all(is_name_byte)
}

fn is_qualified_name(text: &str, is_prefix: impl Fn(&str) -> bool) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_prefix(prefix) && is_name_part(name),
        None => is_name_part(text),
    }
}

/// `metadata.labels['KEY']` or `metadata.annotations['KEY']`.
fn is_subscripted(text: &str) -> bool {
    let key = |field: &str| text.strip_prefix(field)?.strip_prefix("['")?.strip_suffix("']");
    key("metadata.labels").is_some_and(|key| Syntax::QualifiedName.holds(key))
        || key("metadata.annotations").is_some_and(|key| Syntax::QualifiedNameAnyCase.holds(key))
}

/// The field path meant by a spelling that differs in case, in `_`, or in how the key is quoted.
fn known_field_path(text: &str) -> Option<String> {
    let plain = |text: &str| text.replace('_', "").to_ascii_lowercase();
    if let Some(path) = FIELD_PATHS.iter().find(|path| plain(path) == plain(text)) {
        return Some((*path).to_owned());
    }
    for field in ["metadata.labels", "metadata.annotations"] {
        if let Some(rest) = text.strip_prefix(field) {
            let key = rest.trim_matches(|character: char| matches!(character, '.' | '[' | ']' | '"' | '\'' | ' '));
            return Some(format!("{field}['{key}']"));
        }
    }
    None
}

/// The resource meant by a spelling that differs in case or in `_`.
fn known_resource(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase().replace('_', "-");
    let resource = match text.as_str() {
        "cpu" => "cpu",
        "memory" | "mem" => "memory",
        "ephemeral-storage" | "ephemeralstorage" => "ephemeral-storage",
        _ => return None,
    };
    Some(resource.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts that fit a class, and texts that do not.
    const CASES: &[(Syntax, &[&str], &[&str])] = &[
        (Syntax::NoWhiteSpace, &["", "nginx:1.27"], &["a b", "a\n", "a\u{a0}b", "\u{3000}"]),
        (Syntax::DnsLabel, &["a", "0", "my-app", "a--b"], &["", "-a", "a-", "A", "a.b", "a_b", "ä", "a\n"]),
        (Syntax::DnsSubdomain, &["a", "a.b", "0.a-b.9"], &["", ".", "a.", ".a", "a..b", "a.-b", "a-.b", "A.b", "a_b"]),
        (
            Syntax::QualifiedName,
            &["a", "A.b_c-D", "example.com/a", "a/B"],
            &["", "/a", "a/", "a/b/c", "Example.com/a", "-a", "a-", "a b", "a/.b"],
        ),
        (Syntax::QualifiedNameAnyCase, &["a", "Example.COM/a"], &["", "/a", "a/", "A_b/c"]),
        (Syntax::LabelValue, &["", "a", "A.b_c-D", "1"], &["-a", "a.", "a/b", "a b", "ü"]),
        (Syntax::ConfigKey, &["a", ".a", "-", "_", "a..b", "tls.crt", ".-"], &["", ".", "..", "..a", "a/b", "a b"]),
        (
            Syntax::SysctlName,
            &["net.ipv4.tcp_syncookies", "kernel/shm_rmid_forced", "a/b.c"],
            &["", "a.", "a..b", "_a", "A", "a-", "a//b"],
        ),
        (Syntax::Quantity, &["1", "500m", "1Gi", "-0"], &["", "1K", "-1", "9E99"]),
        (Syntax::EnvName, &["A", "a b", "1", "..", "%"], &["", "A=B", "ä", "a\tb", "\u{7f}"]),
        (Syntax::UsualEnvName, &["A", "_", "-", ".a", ".1", "A.B-C_D1"], &["", ".", "..", "..a", "1A", "a b", "a=b"]),
        (Syntax::EnvPrefix, &["", "A_", "1", "a b"], &["=", "ä"]),
        (Syntax::UsualEnvPrefix, &["", "A_", ".", ".1"], &["..", "1", "a b"]),
        (
            Syntax::FieldPath,
            &[
                "metadata.name",
                "status.podIPs",
                "metadata.labels['app']",
                "metadata.labels['a.b/C']",
                "metadata.annotations['A.b/C']",
            ],
            &[
                "",
                "metadata.labels",
                "metadata.labels['']",
                "metadata.labels['A.b/C']",
                "metadata.labels[\"app\"]",
                "spec.nodename",
                "metadata.labels['a']b']",
            ],
        ),
        (
            Syntax::ResourceName,
            &[
                "cpu",
                "memory",
                "ephemeral-storage",
                "hugepages-2Mi",
                "hugepages-.5Gi",
                "nvidia.com/gpu",
                "hugepages-x/y",
            ],
            &["", "gpu", "CPU", "hugepages-", "hugepages-2MB", "hugepages-2.", "hugepages-+2Mi", "hugepages--0", "a/"],
        ),
        (Syntax::AbsolutePath, &["/", "/a"], &["", "a", " /a"]),
        (Syntax::RelativePath, &["", "a", "a/b", "a..b", "..."], &["/a", "..", "a/../b", "a/..", "../a"]),
        (Syntax::NoParentFolder, &["", "/a", "/a..b/...", "a//b"], &["..", "/..", "/a/../b"]),
        (Syntax::MountPath, &["/", "/a b"], &["", "a", "/a:b"]),
        (Syntax::CapabilityName, &["NET_ADMIN", "", "cap_x"], &["CAP_NET_ADMIN", "CAP_"]),
        (
            Syntax::Medium,
            &["", "Memory", "HugePages", "HugePages-2Mi", "HugePages-1Gi"],
            &["memory", "HugePages-", "HugePages-x", "Disk"],
        ),
    ];

    #[test]
    fn classes_hold_what_they_say() {
        for (syntax, fitting, broken) in CASES {
            for text in *fitting {
                assert_eq!(syntax.check(text), Ok(()), "{syntax:?}");
            }
            for text in *broken {
                let violation = syntax.check(text).expect_err(&format!("{syntax:?}: {text:?}"));
                if let Some(fix) = violation.fix {
                    assert_eq!(syntax.check(&fix), Ok(()), "{syntax:?}: {text:?}");
                }
            }
        }
    }

    #[test]
    fn lengths_have_their_limits() {
        let part = |length: usize| "a".repeat(length);
        for (syntax, longest) in [
            (Syntax::DnsLabel, 63),
            (Syntax::DnsSubdomain, 253),
            (Syntax::QualifiedName, 63),
            (Syntax::LabelValue, 63),
            (Syntax::ConfigKey, 253),
            (Syntax::SysctlName, 253),
        ] {
            assert!(syntax.check(&part(longest)).is_ok(), "{syntax:?}");
            assert!(syntax.check(&part(longest + 1)).is_err(), "{syntax:?}");
        }
        for syntax in [Syntax::QualifiedName, Syntax::QualifiedNameAnyCase, Syntax::ResourceName] {
            assert!(syntax.check(&format!("{}/{}", part(253), part(63))).is_ok(), "{syntax:?}");
            assert!(syntax.check(&format!("{}/{}", part(254), part(63))).is_err(), "{syntax:?}");
            assert!(syntax.check(&format!("{}/{}", part(253), part(64))).is_err(), "{syntax:?}");
        }
    }

    #[test]
    fn advice_says_what_to_type() {
        for (syntax, text, help) in [
            (Syntax::DnsLabel, "My_App", "write `my-app`"),
            (Syntax::DnsLabel, " team a ", "write `team-a`"),
            (Syntax::DnsLabel, "größe", "`ö` cannot stand here"),
            (Syntax::DnsLabel, "", "write a name; here it is empty"),
            (Syntax::LabelValue, "-", "let each part begin and end with a letter or digit"),
            (Syntax::LabelValue, "ö ü", "`ö` cannot stand here"),
            (Syntax::DnsSubdomain, "My.Secret_1", "write `my.secret-1`"),
            (Syntax::QualifiedName, "Example.com/My Key", "write `example.com/My-Key`"),
            (Syntax::LabelValue, "repo/app:1", "write `repo-app-1`"),
            (Syntax::LabelValue, "ends-", "write `ends`"),
            (Syntax::LabelValue, "-3", "no label holds a number with a sign: Kubernetes 1.33 and later refuse it"),
            (Syntax::ConfigKey, "a/b", "write `a-b`"),
            (Syntax::UsualEnvName, "1A", "put a letter or `_` first, as `_1A`"),
            (Syntax::FieldPath, "metadata.labels[\"app\"]", "write `metadata.labels['app']`"),
            (Syntax::FieldPath, "spec.node_name", "write `spec.nodeName`"),
            (Syntax::FieldPath, "metadata.labels.app", "write `metadata.labels['app']`"),
            (Syntax::ResourceName, "CPU", "write `cpu`"),
            (Syntax::ResourceName, "gpu", "write an extended resource with its prefix, as `nvidia.com/gpu`"),
            (Syntax::RelativePath, "/logs", "write `logs`"),
            (Syntax::AbsolutePath, "data", "write `/data`"),
            (Syntax::CapabilityName, "CAP_NET_ADMIN", "write `NET_ADMIN`"),
            (Syntax::Medium, "memory", "write `Memory`"),
            (Syntax::Quantity, "128mi", "write `128Mi`"),
        ] {
            assert_eq!(syntax.check(text).expect_err(text).help.as_deref(), Some(help), "{syntax:?}: {text:?}");
        }
    }

    #[test]
    fn messages_stay_short_and_on_one_line() {
        let violation = Syntax::DnsLabel.check(&"x\n\u{1b}[31m\u{202e}".repeat(100_000)).expect_err("wrong");
        assert!(violation.message.starts_with(r"`x\n\u{1b}[31m\u{202e}x\n"), "{violation}");
        assert!(violation.message.contains("…` is not a DNS label: "), "{violation}");
        assert!(violation.message.len() < 800 && !violation.message.contains(char::is_control), "{violation}");
    }
}
