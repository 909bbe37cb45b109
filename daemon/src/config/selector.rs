//! A debug probe's selector: `VID:PID:SERIAL`.

use std::fmt;
use std::str::FromStr;

/// Names exactly one probe. The serial is required: with two boards of a kind on a host, anything less picks one by chance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Probe {
    pub vendor: u16,
    pub product: u16,
    /// Serial number, or `HOST:PORT` of a probe that speaks over TCP.
    pub serial: String,
}

impl FromStr for Probe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, ':');
        let mut hex = |what| {
            let part = parts.next().unwrap_or_default();
            u16::from_str_radix(part, 16)
                .map_err(|_| format!("`{part}` is not a {what} in hex; a probe is VID:PID:SERIAL"))
        };
        let (vendor, product) = (hex("vendor id")?, hex("product id")?);
        match parts.next().filter(|s| !s.is_empty()) {
            Some(serial) => Ok(Self { vendor, product, serial: serial.to_owned() }),
            None => Err(format!(
                "`{text}` names any probe of its kind; add the serial: VID:PID:SERIAL (`probe-rs list` shows it)"
            )),
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}:{}", self.vendor, self.product, self.serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tcp_probe_keeps_its_port() {
        let probe: Probe = "1d50:6018:127.0.0.1:4000".parse().expect("a selector");
        assert_eq!(probe.serial, "127.0.0.1:4000");
        assert_eq!(probe.to_string(), "1d50:6018:127.0.0.1:4000");
    }

    #[test]
    fn ambiguous_or_broken_selectors_are_refused() {
        for text in ["", "0483:374e", "0483:374e:", "st-link", "0483", "zz:374e:1"] {
            assert!(text.parse::<Probe>().is_err(), "{text}");
        }
    }
}
