//! Numbers with a point or exponent that are whole all the same.

/// What a number with a point or exponent is.
pub(super) enum Whole {
    /// This one.
    Number(i64),
    /// It does not fit 64 bits.
    TooLarge,
    /// It is not whole.
    Fraction,
}

/// `5.0` and `1e3` are whole. Decided on the digits, so that nothing is rounded.
pub(super) fn whole(written: &str) -> Whole {
    let (negative, unsigned) = match written.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, written.strip_prefix('+').unwrap_or(written)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => match exponent.parse::<i32>() {
            Ok(exponent) => (mantissa, exponent),
            Err(_) if exponent.starts_with('-') => return Whole::Fraction,
            Err(_) => return Whole::TooLarge,
        },
        None => (unsigned, 0),
    };
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !before.bytes().chain(after.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Whole::Fraction;
    }
    let digits = format!("{before}{after}");
    let significant = digits.trim_end_matches('0');
    let dropped = digits.len() - significant.len();
    // The value is `significant` × 10^scale.
    let scale = i64::from(exponent) - after.len() as i64 + dropped as i64;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Whole::Number(0);
    }
    if scale < 0 {
        return Whole::Fraction;
    }
    if significant.len() as i64 + scale > 19 {
        return Whole::TooLarge;
    }
    let zeros = "0".repeat(usize::try_from(scale).unwrap_or(0));
    let sign = if negative { "-" } else { "" };
    format!("{sign}{significant}{zeros}").parse().map_or(Whole::TooLarge, Whole::Number)
}
