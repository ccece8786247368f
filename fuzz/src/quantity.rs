//! Quantities against a second reader and fractions of another library.

use model::quantity::{MAX, Quantity};
use num_bigint::BigInt;
use num_rational::BigRational;

/// How the messages of the two refusals end that are not about the grammar.
const NEGATIVE: &str = "must not be negative";
const TOO_LARGE: &str = "is more than 2^63 − 1, the largest quantity";
/// Longer texts only take time.
const LONGEST: usize = 200;

/// Reads two texts, one a line: each has the value it should have, or is refused for the right reason, and the two
/// compare like their values.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if text.len() > LONGEST {
        return;
    }
    let (one, other) = text.split_once('\n').unwrap_or((text, "1"));
    if let (Some((one, left)), Some((other, right))) = (holds(one), holds(other)) {
        assert_eq!(one.cmp(&other), left.cmp(&right), "{text:?}");
        assert_eq!(one == other, left == right, "{text:?}");
    }
}

/// The two values of a text; none: both readers refuse it.
fn holds(text: &str) -> Option<(model::quantity::Amount, BigRational)> {
    let zero = BigRational::from_integer(0.into());
    let expected = value(text);
    let read = Quantity::new(text).parse();
    match (&expected, &read) {
        (None, Err(error)) => {
            // The message holds the text, which may hold anything.
            assert!(!error.message.ends_with(NEGATIVE) && !error.message.ends_with(TOO_LARGE), "{text:?}: {error}");
            if let Some(fix) = &error.fix {
                assert!(value(fix).is_some_and(|fix| fix >= zero), "{text:?}: {fix:?} is no quantity");
            }
            None
        }
        (Some(value), Err(error)) if *value < zero => {
            assert!(error.message.ends_with(NEGATIVE), "{text:?}: {error}");
            None
        }
        (Some(value), Err(error)) => {
            assert!(*value > BigRational::from_integer(MAX.into()), "{text:?} is right: {error}");
            assert!(error.message.ends_with(TOO_LARGE), "{text:?}: {error}");
            None
        }
        (None, Ok(amount)) => panic!("{text:?} is no quantity, read as {amount}"),
        (Some(value), Ok(amount)) => {
            assert!(*value >= zero && *value <= BigRational::from_integer(MAX.into()), "{text:?} read as {amount}");
            assert_eq!(amount.is_whole(), value.is_integer(), "{text:?}");
            assert_eq!(amount.is_zero(), *value == zero, "{text:?}");
            // A number written in full is a quantity, too, and the same one.
            let again = Quantity::new(amount.to_string()).parse();
            assert_eq!(again.as_ref(), Ok(amount), "{text:?}");
            Some((amount.clone(), value.clone()))
        }
    }
}

/// The value by the grammar of the API, read from the end: the suffix first. None: no quantity.
fn value(text: &str) -> Option<BigRational> {
    let ten = BigRational::from_integer(10.into());
    let start = text.rfind(|character: char| character.is_ascii_digit() || character == '.')? + 1;
    let (mut number, suffix) = text.split_at_checked(start)?;
    let mut factor = match suffix {
        "" => BigRational::from_integer(1.into()),
        "Ki" | "Mi" | "Gi" | "Ti" | "Pi" | "Ei" => {
            let power = "KMGTPE".find(suffix.get(..1)?)? + 1;
            BigRational::from_integer(BigInt::from(1024).pow(u32::try_from(power).ok()?))
        }
        _ => {
            let known = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
            let power = known.iter().position(|known| *known == suffix)?;
            ten.pow(3 * (i32::try_from(power).ok()? - 3))
        }
    };
    if let Some(at) = number.rfind(['e', 'E']) {
        // An exponent stands alone: `1e3k` is nothing.
        if !suffix.is_empty() {
            return None;
        }
        let exponent = number.get(at + 1..)?;
        let digits = exponent.trim_start_matches(['+', '-']);
        if exponent.len() - digits.len() > 1 || digits.len() > 3 || !all_digits(digits) || digits.is_empty() {
            return None;
        }
        factor = ten.pow(exponent.parse().ok()?);
        number = number.get(..at)?;
    }
    let negative = number.starts_with('-');
    let number = if negative || number.starts_with('+') { number.get(1..)? } else { number };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let digits: BigInt = format!("{whole}{fraction}").parse().ok()?;
    let value = BigRational::from_integer(digits) / ten.pow(i32::try_from(fraction.len()).ok()?) * factor;
    Some(if negative { -value } else { value })
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
