//! Numbers as C++ prints them, which is how they come in Envoy's answers.

/// `%.<digits>g`: so many digits that count, without zeros at the end.
pub(super) fn general(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs());
    }
    trimmed(&format!("{value:.*}", (digits as i32 - 1 - exponent).max(0) as usize)).to_owned()
}

fn trimmed(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// As `fmt::format("{}")` and our own `Display` print it: as few digits as tell it from others.
pub(super) fn shortest(value: f64) -> String {
    if value.is_nan() { "nan".to_owned() } else { value.to_string() }
}

/// As JSON: the shorter of the plain and the scientific form, `null` if there is none.
pub(super) fn json(value: f64) -> String {
    if value.is_nan() {
        return "null".to_owned();
    }
    let plain = value.to_string();
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return plain };
    let scientific = match exponent.strip_prefix('-') {
        Some(exponent) => format!("{mantissa}e-{exponent:0>2}"),
        None => format!("{mantissa}e+{exponent:0>2}"),
    };
    if scientific.len() < plain.len() { scientific } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_in_envoy() {
        assert_eq!(general(0.5, 6), "0.5");
        assert_eq!(general(600_000.0, 6), "600000");
        assert_eq!(general(1_800_000.0, 6), "1.8e+06");
        assert_eq!(general(0.1, 6), "0.1");
        let middle = 2.0 * 49.0 * 50.0 / 99.0;
        assert_eq!(general(middle, 32), "49.494949494949494805950962472707");
        assert_eq!(general(0.0, 32), "0");
        assert_eq!([300_000.0, 1_800_000.0, 0.5, 10_000.0].map(json), ["3e+05", "1800000", "0.5", "10000"]);
        assert_eq!(json(f64::NAN), "null");
        assert_eq!(shortest(1.033_333_333_333_333_4), "1.0333333333333334");
    }
}
