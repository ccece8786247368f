//! Quantities of Kubernetes, as `500m` or `1Gi`: the text as written, and its exact value.
//!
//! The text is what goes to the manifest, never rewritten to another unit. The value is only compared: exactly, as a
//! fraction, never as floating point. Reading takes time linear in the text, however long it is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::document::{Document, Reading};
use crate::syntax::shown;

/// A quantity as written in the file; it may still be wrong, [`Quantity::parse`] says so.
///
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantity(String);

impl Quantity {
    /// The quantity with this text.
    pub fn new(text: impl Into<String>) -> Quantity {
        Quantity(text.into())
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The exact value.
    ///
    /// # Errors
    /// The text is no quantity, is negative, or is more than [`MAX`].
    pub fn parse(&self) -> Result<Amount, QuantityError> {
        parse(&self.0)
    }
}

impl Document for Quantity {
    fn read(value: serde_json::Value, reading: &mut Reading) -> Result<Quantity, String> {
        String::read(value, reading).map(Quantity)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Largest value: 2^63 − 1. Kubernetes cuts a larger one down to it without a word.
pub const MAX: i64 = i64::MAX;

/// The exact value of a quantity: a decimal fraction that is not negative. The order is that of the numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount {
    // INVARIANT: the fields are in an order, and the digits in a form, that makes the derived comparison the numeric one.
    /// Number of digits before the decimal point; negative: zeros behind it. Zero has the smallest possible one.
    magnitude: i64,
    /// Decimal digits, highest first, neither beginning nor ending with 0.
    digits: Vec<u8>,
}

impl Amount {
    /// `digits` (highest first, each 0 to 9) times ten to the power of `exponent`.
    fn new(mut digits: Vec<u8>, exponent: i64) -> Amount {
        let length = digits.len();
        while digits.last() == Some(&0) {
            digits.pop();
        }
        let leading = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..leading);
        if digits.is_empty() {
            return Amount { magnitude: i64::MIN, digits };
        }
        Amount { magnitude: signed(length - leading) + exponent, digits }
    }

    /// Whether it has no part behind the decimal point.
    pub fn is_whole(&self) -> bool {
        signed(self.digits.len()) <= self.magnitude.max(0)
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }
}

impl From<u64> for Amount {
    fn from(number: u64) -> Amount {
        Amount::new(number.to_string().bytes().map(|digit| digit - b'0').collect(), 0)
    }
}

/// The plain decimal number: no suffix, no exponent.
impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return formatter.write_str("0");
        }
        let digits: String = self.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or_default());
        match usize::try_from(self.magnitude).ok().filter(|before| *before > 0) {
            None => write!(formatter, "0.{}{digits}", zeros(-self.magnitude)),
            Some(before) => match digits.split_at_checked(before) {
                Some((whole, "")) => formatter.write_str(whole),
                Some((whole, fraction)) => write!(formatter, "{whole}.{fraction}"),
                None => write!(formatter, "{digits}{}", zeros(self.magnitude - signed(digits.len()))),
            },
        }
    }
}

/// Why a text is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QuantityError {
    /// What is wrong, with the text.
    pub message: String,
    /// What to type instead.
    pub help: Option<String>,
    /// The corrected text, where only one can be meant.
    pub fix: Option<String>,
}

/// What a suffix multiplies by.
enum Factor {
    /// A power of two.
    Binary(u32),
    /// A power of ten.
    Decimal(i64),
}

/// The suffixes; the exponent forms `e3` and `E3` beside them.
const SUFFIXES: [(&str, Factor); 16] = [
    ("", Factor::Decimal(0)),
    ("n", Factor::Decimal(-9)),
    ("u", Factor::Decimal(-6)),
    ("m", Factor::Decimal(-3)),
    ("k", Factor::Decimal(3)),
    ("M", Factor::Decimal(6)),
    ("G", Factor::Decimal(9)),
    ("T", Factor::Decimal(12)),
    ("P", Factor::Decimal(15)),
    ("E", Factor::Decimal(18)),
    ("Ki", Factor::Binary(10)),
    ("Mi", Factor::Binary(20)),
    ("Gi", Factor::Binary(30)),
    ("Ti", Factor::Binary(40)),
    ("Pi", Factor::Binary(50)),
    ("Ei", Factor::Binary(60)),
];

/// Reads `text` as a quantity.
///
/// # Errors
/// The text is no quantity, is negative, or is more than [`MAX`].
pub fn parse(text: &str) -> Result<Amount, QuantityError> {
    value(text).map_err(|refused| match refused {
        Refused::Malformed => malformed(text),
        Refused::Negative => QuantityError {
            message: format!("`{}` must not be negative", shown(text)),
            help: Some("write 0 or more".to_owned()),
            fix: None,
        },
        Refused::TooLarge => QuantityError {
            message: format!("`{}` is more than 2^63 − 1, the largest quantity", shown(text)),
            help: Some(format!("write at most {MAX}, which is 1 less than `8Ei`; Kubernetes would cut it silently")),
            fix: None,
        },
    })
}

/// Why a text has no value.
enum Refused {
    Malformed,
    Negative,
    TooLarge,
}

fn value(text: &str) -> Result<Amount, Refused> {
    let parts = split(text).ok_or(Refused::Malformed)?;
    let amount = parts.amount();
    if parts.negative && !amount.is_zero() {
        return Err(Refused::Negative);
    }
    if amount > Amount::from(MAX.unsigned_abs()) {
        return Err(Refused::TooLarge);
    }
    Ok(amount)
}

/// A text that follows the grammar.
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    factor: Factor,
}

impl Parts<'_> {
    fn amount(&self) -> Amount {
        let mut digits: Vec<u8> = self.whole.bytes().chain(self.fraction.bytes()).map(|digit| digit - b'0').collect();
        let exponent = -signed(self.fraction.len());
        match self.factor {
            Factor::Decimal(power) => Amount::new(digits, exponent + power),
            Factor::Binary(power) => {
                multiply(&mut digits, 1 << power);
                // Digits were added in front, so the exponent still counts from the last one.
                Amount::new(digits, exponent)
            }
        }
    }
}

/// Multiplies decimal digits, highest first, by at most 2^60: ten times that still fits the carry.
fn multiply(digits: &mut Vec<u8>, factor: u64) {
    let mut carry: u64 = 0;
    let mut product = Vec::with_capacity(digits.len() + 20);
    for digit in digits.iter().rev() {
        carry += u64::from(*digit) * factor;
        product.push(last_digit(carry));
        carry /= 10;
    }
    while carry > 0 {
        product.push(last_digit(carry));
        carry /= 10;
    }
    product.reverse();
    *digits = product;
}

fn last_digit(number: u64) -> u8 {
    u8::try_from(number % 10).unwrap_or_default()
}

/// A length as a signed number; a text longer than that does not exist.
fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Takes a text apart; none: it does not follow the grammar.
fn split(text: &str) -> Option<Parts<'_>> {
    let (negative, number) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    let (whole, rest) = take_digits(number);
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => take_digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    Some(Parts { negative, whole, fraction, factor: factor(suffix)? })
}

fn take_digits(text: &str) -> (&str, &str) {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn factor(suffix: &str) -> Option<Factor> {
    for (known, factor) in SUFFIXES {
        if suffix == known {
            return Some(factor);
        }
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if !(1..=3).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let power: i64 = digits.parse().ok()?;
    Some(Factor::Decimal(if exponent.starts_with('-') { -power } else { power }))
}

/// The error of a text that does not follow the grammar, with the slip that was probably made.
fn malformed(text: &str) -> QuantityError {
    let guesses = guess(text);
    let (help, fix) = match guesses.as_slice() {
        [] => ("write a number and a unit, as `500m`, `2`, `128Mi`".to_owned(), None),
        [only] => (format!("write `{only}`"), Some(only.clone())),
        [first, rest @ ..] => (format!("write `{first}` or `{}`", rest.join("` or `")), None),
    };
    let message = if text.is_empty() {
        "an empty text is not a quantity".to_owned()
    } else {
        format!("`{}` is not a quantity: a number, then one of {UNITS}, or an exponent", shown(text))
    };
    QuantityError { message, help: Some(help), fix }
}

/// The suffixes as messages show them.
const UNITS: &str = "`n` `u` `m` `k` `M` `G` `T` `P` `E` `Ki` `Mi` `Gi` `Ti` `Pi` `Ei`";

/// What was probably meant; every guess is a quantity.
fn guess(text: &str) -> Vec<String> {
    // A longer text is no slip of the pen.
    if text.len() > 64 {
        return Vec::new();
    }
    let mut number: String = text.chars().filter(|character| !character.is_whitespace() && *character != '_').collect();
    let comma = number.matches(',').count() == 1 && !number.contains('.');
    if comma {
        number = number.replace(',', ".");
    }
    let end = number
        .find(|character: char| !character.is_ascii_digit() && !matches!(character, '.' | '+' | '-'))
        .unwrap_or(number.len());
    let (number, unit) = number.split_at(end);
    let mut guesses: Vec<String> = units(unit).iter().map(|unit| format!("{number}{unit}")).collect();
    // `1,000` is a thousand to some and one to others.
    if comma && text.split_once(',').is_some_and(|(_, after)| take_digits(after).0.len() == 3) && !text.starts_with('0')
    {
        guesses = guesses.iter().flat_map(|guess| [guess.replacen('.', "", 1), guess.clone()]).collect();
    }
    guesses.retain(|guess| value(guess).is_ok());
    guesses.dedup();
    guesses
}

/// The units that `unit` may stand for.
fn units(unit: &str) -> Vec<String> {
    if factor(unit).is_some() {
        return vec![unit.to_owned()];
    }
    let lower = unit.to_ascii_lowercase();
    let without_byte = ["bytes", "byte", "b"].iter().find_map(|byte| lower.strip_suffix(byte)).unwrap_or(&lower);
    match without_byte {
        "" | "cpu" | "cpus" | "core" | "cores" => vec![String::new()],
        "n" | "u" => vec![without_byte.to_owned()],
        "k" => vec!["k".to_owned(), "Ki".to_owned()],
        "m" | "g" | "t" | "p" | "e" => {
            let upper = without_byte.to_ascii_uppercase();
            vec![upper.clone(), format!("{upper}i")]
        }
        "ki" | "mi" | "gi" | "ti" | "pi" | "ei" => {
            let (prefix, _) = without_byte.split_at(1);
            vec![format!("{}i", prefix.to_ascii_uppercase())]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;
    use num_rational::BigRational;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_grammar_accepts() {
        for (text, value) in [
            ("0", "0"),
            ("1", "1"),
            ("007", "7"),
            ("+1", "1"),
            ("-0", "0"),
            ("-0.00Gi", "0"),
            ("1.", "1"),
            ("1.5", "1.5"),
            (".5", "0.5"),
            ("0.05", "0.05"),
            ("100m", "0.1"),
            ("1n", "0.000000001"),
            ("1u", "0.000001"),
            ("1k", "1000"),
            ("1M", "1000000"),
            ("1G", "1000000000"),
            ("1T", "1000000000000"),
            ("1P", "1000000000000000"),
            ("1E", "1000000000000000000"),
            ("1Ki", "1024"),
            ("1Mi", "1048576"),
            ("1Gi", "1073741824"),
            ("1Ti", "1099511627776"),
            ("1Pi", "1125899906842624"),
            ("1Ei", "1152921504606846976"),
            ("1.5Ki", "1536"),
            ("0.1Ki", "102.4"),
            ("1E3", "1000"),
            ("1e3", "1000"),
            ("1e+3", "1000"),
            ("5E-2", "0.05"),
            ("1e000", "1"),
            ("0e999", "0"),
            ("1e-3", "0.001"),
            ("9223372036854775807", "9223372036854775807"),
            ("7.99Ei", "9211842821808707338.24"),
        ] {
            let amount = Quantity::new(text).parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(amount.to_string(), value, "{text}");
        }
    }

    #[test]
    fn slips_are_refused_with_what_was_meant() {
        for (text, guesses) in [
            ("", &[][..]),
            (".", &[]),
            ("+", &[]),
            ("1.2.3", &[]),
            ("--1", &[]),
            ("1e", &["1E", "1Ei"]),
            ("1e1234", &[]),
            ("1e+", &[]),
            ("0x10", &[]),
            ("Mi", &[]),
            ("lots", &[]),
            ("½", &[]),
            ("128MB", &["128M", "128Mi"]),
            ("128mb", &["128M", "128Mi"]),
            ("1K", &["1k", "1Ki"]),
            ("1g", &["1G", "1Gi"]),
            ("128mi", &["128Mi"]),
            ("128MI", &["128Mi"]),
            ("1GiB", &["1Gi"]),
            ("1 Gi", &["1Gi"]),
            (" 1", &["1"]),
            ("1\n", &["1"]),
            ("0,5", &["0.5"]),
            ("1,5Gi", &["1.5Gi"]),
            ("1,000", &["1000", "1.000"]),
            ("0,125", &["0.125"]),
            ("1_000_000", &["1000000"]),
            ("100 bytes", &["100"]),
            ("2 cores", &["2"]),
            ("5U", &["5u"]),
        ] {
            let error = Quantity::new(text).parse().expect_err(text);
            assert_eq!(guess(text), guesses, "{text}");
            assert_eq!(error.fix.as_deref(), guesses.first().copied().filter(|_| guesses.len() == 1), "{text}");
        }
    }

    #[test]
    fn negative_and_too_large_are_refused() {
        for text in ["-1", "-0.001", "-1n", "-1e-999"] {
            let error = Quantity::new(text).parse().expect_err(text);
            assert_eq!(error.message, format!("`{text}` must not be negative"));
        }
        for text in ["9223372036854775808", "9223372036854775807.000001", "8Ei", "10E", "1e19", "1e999"] {
            let error = Quantity::new(text).parse().expect_err(text);
            assert!(error.message.contains("more than 2^63"), "{error}");
        }
    }

    #[test]
    fn values_compare_exactly() {
        let amount = |text: &str| Quantity::new(text).parse().unwrap();
        for (one, other) in [("1", "1000m"), ("1", "1e0"), ("0", "-0n"), ("1Gi", "1073741824"), ("0.5", "500m")] {
            assert_eq!(amount(one), amount(other), "{one} = {other}");
        }
        for (less, more) in [
            ("1G", "1Gi"),
            ("0", "1e-999"),
            ("0.3333333333333333333333333333", "0.33333333333333333333333333331"),
            ("1.02299Ki", "1.023Ki"),
            ("999m", "1"),
            ("9", "10"),
        ] {
            assert!(amount(less) < amount(more), "{less} < {more}");
        }
        for (text, whole) in
            [("1", true), ("0", true), ("1.5", false), ("1.5Ki", true), ("128m", false), ("1e-3", false)]
        {
            assert_eq!(amount(text).is_whole(), whole, "{text}");
        }
        assert_eq!(amount("1000m"), Amount::from(1));
    }

    #[test]
    fn a_very_long_text_is_read_at_once() {
        let long = "9".repeat(1_000_000);
        assert!(parse(&format!("0.{long}Ki")).is_ok());
        assert!(parse(&long).is_err());
        let error = parse(&format!("{long}!")).expect_err("no quantity");
        assert!(error.message.len() < 300, "{}", error.message.len());
    }

    /// The value in another library's words.
    fn reference(text: &str) -> BigRational {
        let digits_end =
            text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits: BigInt = format!("0{whole}{fraction}").parse().unwrap();
        let ten = BigRational::from_integer(10.into());
        let value = BigRational::from_integer(digits) / ten.pow(i32::try_from(fraction.len()).unwrap());
        let powers = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        if let Some(power) = powers.iter().position(|known| *known == suffix) {
            return value * BigRational::from_integer(BigInt::from(1024).pow(u32::try_from(power).unwrap() + 1));
        }
        let decimal =
            [("", 0), ("n", -9), ("u", -6), ("m", -3), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
        let power = match decimal.iter().find(|(known, _)| *known == suffix) {
            Some((_, power)) => *power,
            None => suffix[1..].trim_start_matches('+').parse().unwrap(),
        };
        value * ten.pow(power)
    }

    const GRAMMAR: &str = r"([0-9]{1,22}(\.[0-9]{0,12})?|\.[0-9]{1,12})([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?";

    proptest! {
        #[test]
        fn comparing_agrees_with_fractions(one in GRAMMAR, other in GRAMMAR) {
            let (left, right) = (reference(&one), reference(&other));
            let max = BigRational::from_integer(MAX.into());
            prop_assert_eq!(parse(&one).is_ok(), left <= max, "{}", one);
            prop_assert_eq!(parse(&other).is_ok(), right <= max, "{}", other);
            if let (Ok(a), Ok(b)) = (parse(&one), parse(&other)) {
                prop_assert_eq!(a.cmp(&b), left.cmp(&right), "{} and {}", one, other);
                prop_assert_eq!(a.is_whole(), left.is_integer());
            }
        }

        #[test]
        fn any_text_gets_an_answer(text in "\\PC{0,40}") {
            if let Some(fix) = parse(&text).err().and_then(|error| error.fix) {
                prop_assert!(parse(&fix).is_ok());
            }
        }
    }
}
