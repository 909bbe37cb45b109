//! Limits of a campaign: absolute, or relative to the uniform 8-bit network.

use serde_json::{Value, json};

use super::{BoardType, Unit};

/// What a candidate may need. `None` is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// Bytes of flash.
    pub flash: Option<Limit>,
    /// Bytes of RAM (the planned arena).
    pub ram: Option<Limit>,
    /// Ticks of the board type's timer.
    pub latency: Option<Limit>,
}

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// Bytes or ticks.
    Absolute(u64),
    /// Per cent of what the uniform 8-bit network needs; the agent resolves it.
    Percent(f64),
}

impl Limits {
    /// As the agent gets them: `{"flash": {"bytes": N} | {"percent": P} | null, ...}`.
    pub fn to_json(self) -> Value {
        let limit = |limit: Option<Limit>, unit: &str| match limit {
            None => Value::Null,
            Some(Limit::Absolute(n)) => json!({ unit: n }),
            Some(Limit::Percent(p)) => json!({ "percent": p }),
        };
        json!({
            "flash": limit(self.flash, "bytes"),
            "ram": limit(self.ram, "bytes"),
            "latency": limit(self.latency, "ticks"),
        })
    }

    /// The limits in bytes and ticks, unless one is relative and so not known yet.
    pub fn resolved(self) -> Option<crate::types::Limits> {
        let absolute = |limit: Option<Limit>| match limit {
            None => Some(None),
            Some(Limit::Absolute(n)) => Some(Some(n)),
            Some(Limit::Percent(_)) => None,
        };
        Some(crate::types::Limits {
            flash_bytes: absolute(self.flash)?,
            ram_bytes: absolute(self.ram)?,
            latency_ticks: absolute(self.latency)?,
        })
    }
}

/// A latency as written: ticks once the board type is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Latency {
    Percent(f64),
    Instructions(u64),
    Cycles(u64),
    Seconds(f64),
}

/// `"64 KiB"`, `"65536"`, `"60%"`.
pub fn parse_bytes(text: &str) -> Result<Limit, String> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "%" => return percent(number).map(Limit::Percent),
        "" | "B" => 1.0,
        "kB" => 1e3,
        "KiB" => 1024.0,
        "MB" => 1e6,
        "MiB" => 1024.0 * 1024.0,
        other => return Err(format!("`{other}` is not a size; write \"48 KiB\", \"65536\" or \"60%\"")),
    };
    positive(number * factor).map(Limit::Absolute)
}

/// `"3.2 Minstr"`, `"900 kcycles"`, `"40 ms"`, `"75%"`.
pub fn parse_latency(text: &str) -> Result<Latency, String> {
    let (number, unit) = split(text)?;
    let seconds = |factor: f64| positive(number * factor * 1e9).map(|_| Latency::Seconds(number * factor));
    match unit {
        "%" => percent(number).map(Latency::Percent),
        "instr" => positive(number).map(Latency::Instructions),
        "kinstr" => positive(number * 1e3).map(Latency::Instructions),
        "Minstr" => positive(number * 1e6).map(Latency::Instructions),
        "cycles" => positive(number).map(Latency::Cycles),
        "kcycles" => positive(number * 1e3).map(Latency::Cycles),
        "Mcycles" => positive(number * 1e6).map(Latency::Cycles),
        "s" => seconds(1.0),
        "ms" => seconds(1e-3),
        "us" => seconds(1e-6),
        other => {
            Err(format!("`{other}` is not a latency; write \"3.2 Minstr\", \"900 kcycles\", \"40 ms\" or \"75%\""))
        }
    }
}

impl Latency {
    /// The limit in ticks of `board_type`.
    ///
    /// # Errors
    /// When the unit is not what the board type's timer counts: an emulator's instructions are not a time.
    pub fn for_board_type(self, board_type: &BoardType) -> Result<Limit, String> {
        let counts = |what| Err(format!("board type {} counts {}, not {what}", board_type.name, board_type.unit));
        match (self, board_type.unit) {
            (Self::Percent(p), _) => Ok(Limit::Percent(p)),
            (Self::Instructions(n), Unit::Instructions) | (Self::Cycles(n), Unit::Cycles) => Ok(Limit::Absolute(n)),
            (Self::Seconds(s), Unit::Cycles) => positive(s * f64::from(board_type.clock_hz)).map(Limit::Absolute),
            (Self::Seconds(_), Unit::Instructions) => counts("seconds"),
            (Self::Instructions(_), Unit::Cycles) => counts("instructions"),
            (Self::Cycles(_), Unit::Instructions) => counts("cycles"),
        }
    }
}

fn split(text: &str) -> Result<(f64, &str), String> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(text.len());
    let number = text[..end].replace('_', "");
    let number = number.parse().map_err(|_| format!("`{text}` does not begin with a number"))?;
    Ok((number, text[end..].trim()))
}

fn positive(value: f64) -> Result<u64, String> {
    if (1.0..9e15).contains(&value) {
        Ok(value.round() as u64)
    } else {
        Err("no candidate can meet a limit of nothing".into())
    }
}

fn percent(value: f64) -> Result<f64, String> {
    let possible = value > 0.0 && value <= 1000.0;
    if possible { Ok(value) } else { Err(format!("{value} % is not possible; use more than 0 and at most 1000")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_every_unit() {
        for (text, bytes) in
            [("65536", 65536), ("64 KiB", 65536), ("1.5kB", 1500), ("1_000 B", 1000), ("2 MiB", 2 << 20)]
        {
            assert_eq!(parse_bytes(text), Ok(Limit::Absolute(bytes)), "{text}");
        }
        assert_eq!(parse_bytes("60%"), Ok(Limit::Percent(60.0)));
    }

    #[test]
    fn impossible_sizes_say_why() {
        for text in ["", "KiB", "0", "0 KiB", "0%", "5 parsecs", "-4 KiB", "1.2.3 KiB", "9999999999 TB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn instructions_are_never_taken_for_time() {
        let virt = BoardType::builtin("mps2-an386").expect("built in");
        let real = BoardType::builtin("nucleo-l4r5zi").expect("built in");
        assert!(parse_latency("40 ms").expect("a latency").for_board_type(&virt).is_err());
        assert_eq!(parse_latency("40 ms").expect("a latency").for_board_type(&real), Ok(Limit::Absolute(4_800_000)));
        assert!(parse_latency("3 Minstr").expect("a latency").for_board_type(&real).is_err());
    }
}
