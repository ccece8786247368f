//! Resource quantities: whether a text is one, and which of two is larger.

/// A quantity in billionths of its unit, rounded up, as far as an `i128` reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Quantity(i128);

pub(super) const PROBLEM: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

impl Quantity {
    pub(super) const ZERO: Self = Self(0);

    /// Reads a number with a suffix: `1`, `0.5`, `100m`, `64Mi`, `2e3`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at_checked(end)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let (numerator, denominator) = scale(suffix)?;
        let fraction = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let below = fraction.checked_mul(denominator)?;
        let billionths = digits.checked_mul(numerator)?.checked_mul(1_000_000_000)?;
        let rounded = billionths.checked_add(below.checked_sub(1)?)?.checked_div(below)?;
        Some(Self(if negative { -rounded } else { rounded }))
    }
}

/// The factor of a suffix as a fraction.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    let power = |base: i128, exponent: u32| base.checked_pow(exponent);
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "k" => (power(10, 3)?, 1),
        "M" => (power(10, 6)?, 1),
        "G" => (power(10, 9)?, 1),
        "T" => (power(10, 12)?, 1),
        "P" => (power(10, 15)?, 1),
        "E" => (power(10, 18)?, 1),
        "Ki" => (power(2, 10)?, 1),
        "Mi" => (power(2, 20)?, 1),
        "Gi" => (power(2, 30)?, 1),
        "Ti" => (power(2, 40)?, 1),
        "Pi" => (power(2, 50)?, 1),
        "Ei" => (power(2, 60)?, 1),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let size = power(10, exponent.unsigned_abs())?;
            if exponent < 0 { (1, size) } else { (size, 1) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        let read = |text: &str| Quantity::parse(text);
        assert_eq!(read("1"), read("1000m"));
        assert_eq!(read("0.5"), read("500m"));
        assert_eq!(read("1Ki"), read("1024"));
        assert_eq!(read("2e3"), read("2k"));
        assert!(read("64Mi") > read("64M"));
        assert!(read("-1") < Some(Quantity::ZERO));
        for bad in ["", "Mi", "1MB", "1 Gi", "one", "1.2.3", "."] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
