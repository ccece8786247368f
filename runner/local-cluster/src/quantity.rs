//! Resource quantities: whether a text is one, which of two is larger, and how the server writes it.
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>

/// A quantity in billionths of its unit, rounded up, as far as an `i128` reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Quantity(i128);

const BILLION: i128 = 1_000_000_000;

pub(crate) const PROBLEM: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

impl Quantity {
    pub(crate) const ZERO: Self = Self(0);

    /// Whether it is a whole number of its unit.
    pub(crate) fn is_whole(self) -> bool {
        self.0 % BILLION == 0
    }

    /// Whether it is some times `size`, which is more than zero.
    pub(crate) fn is_multiple_of(self, size: Self) -> bool {
        size.0 > 0 && self.0 % size.0 == 0
    }

    /// Reads a number with a suffix: `1`, `0.5`, `100m`, `64Mi`, `2e3`. White space around it does not count.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at_checked(end)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        // A point alone is zero.
        if number.is_empty() || fraction.contains('.') {
            return None;
        }
        let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
        let (numerator, denominator) = scale(suffix)?;
        let fraction = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let below = fraction.checked_mul(denominator)?;
        let billionths = digits.checked_mul(numerator)?.checked_mul(BILLION)?;
        let rounded = billionths.checked_add(below.checked_sub(1)?)?.checked_div(below)?;
        Some(Self(if negative { -rounded } else { rounded }))
    }
}

/// The form in which the server writes a quantity: the largest unit without a fraction, of the family it came in.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let text = text.trim();
    let Quantity(billionths) = Quantity::parse(text)?;
    let suffix = text.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    let whole = (billionths % BILLION == 0).then_some(billionths / BILLION);
    Some(match whole {
        Some(whole) if suffix.ends_with('i') && whole.abs() >= 1024 => {
            let power = (0..BINARY.len()).rev().find(|power| whole % 1024_i128.pow(*power as u32) == 0).unwrap_or(0);
            format!("{}{}", whole / 1024_i128.pow(power as u32), BINARY.get(power).unwrap_or(&""))
        }
        _ => {
            let power =
                (0..DECIMAL.len()).rev().find(|power| billionths % 1000_i128.pow(*power as u32) == 0).unwrap_or(0);
            let number = billionths / 1000_i128.pow(power as u32);
            let exponent = 3 * (power as i32) - 9;
            let is_exponent = suffix.len() > 1 && suffix.starts_with(['e', 'E']) && !suffix.ends_with('i');
            match (number, exponent) {
                (0, _) => "0".to_owned(),
                (number, 0) => number.to_string(),
                (number, exponent) if is_exponent => format!("{number}e{exponent}"),
                (number, _) => format!("{number}{}", DECIMAL.get(power).unwrap_or(&"")),
            }
        }
    })
}

const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];

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
        assert_eq!(read("."), Some(Quantity::ZERO));
        assert!(read("64Mi") > read("64M"));
        assert!(read("-1") < Some(Quantity::ZERO));
        for bad in ["", "Mi", "1MB", "1 Gi", "one", "1.2.3", "+"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_form_of_the_server() {
        for (text, expected) in [
            ("1", "1"),
            ("0", "0"),
            ("-0", "0"),
            ("0.5Gi", "512Mi"),
            ("1024Mi", "1Gi"),
            ("1000Mi", "1000Mi"),
            ("0.5Ki", "512"),
            ("0.1Ki", "102400m"),
            ("1.5", "1500m"),
            ("1000m", "1"),
            ("1e3", "1e3"),
            ("1E3", "1e3"),
            ("12e2", "1200"),
            ("1E", "1E"),
            ("1000k", "1M"),
            ("0.1n", "1n"),
            (" 2 ", "2"),
            ("+.5", "500m"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(canonical("1Zi"), None);
    }
}
