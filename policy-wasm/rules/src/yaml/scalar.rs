//! What a plain scalar means by the core schema of YAML 1.2.

use super::Content;

/// The meaning of a plain scalar by the core schema of YAML 1.2; none: text.
pub(super) fn resolve(text: &str) -> Option<Content> {
    let written = || text.to_owned();
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Content::Null),
        "true" | "True" | "TRUE" => return Some(Content::Boolean(true, written())),
        "false" | "False" | "FALSE" => return Some(Content::Boolean(false, written())),
        ".nan" | ".NaN" | ".NAN" => return Some(Content::Float(written())),
        _ => {}
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits(unsigned)
        || text.strip_prefix("0x").is_some_and(|hex| !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit()))
        || text
            .strip_prefix("0o")
            .is_some_and(|octal| !octal.is_empty() && octal.bytes().all(|b| (b'0'..=b'7').contains(&b)))
    {
        return Some(Content::Integer(written()));
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(Content::Float(written()));
    }
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (unsigned.get(..at)?, Some(unsigned.get(at + 1..)?)),
        None => (unsigned, None),
    };
    let exponent_fits = exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)));
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let mantissa_fits = match fraction {
        Some(fraction) => {
            (digits(whole) && (fraction.is_empty() || digits(fraction))) || (whole.is_empty() && digits(fraction))
        }
        None => digits(whole),
    };
    (exponent_fits && mantissa_fits).then(|| Content::Float(written()))
}

/// The value of a whole number as written; none: it does not fit 64 bits.
pub(crate) fn integer(text: &str) -> Option<i64> {
    if let Some(hex) = text.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok();
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return i64::from_str_radix(octal, 8).ok();
    }
    text.parse().ok()
}

/// The value of a number as written, whole or not; none: it is no number that is finite.
pub(crate) fn number(text: &str) -> Option<f64> {
    let number = match integer(text) {
        Some(whole) => whole as f64,
        None => text.parse().ok()?,
    };
    number.is_finite().then_some(number)
}
