//! What a board can be told to do, mostly to suffer: the words of the control socket.

use std::str::FromStr;

use crate::error::Error;

/// The most garbage that can be asked for at once, in bytes.
const MAX_GARBAGE_BYTES: usize = 1 << 20;

/// A command to the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Kill QEMU: the core is locked up, RAM and what the program did are lost, flash is not.
    KillQemu,
    /// Cut the connection to the probe's client. The next one is welcome.
    DropProbe,
    /// Invert the bits of `mask` in the flash byte at `offset`.
    FlipFlash {
        /// Bytes from the start of the flash.
        offset: u32,
        /// Bits to invert.
        mask: u8,
    },
    /// Discard what the board says on its serial port, or stop doing so.
    MuteUart(bool),
    /// Say this many random bytes on the serial port, in the board's place.
    Garbage(usize),
    /// Hold the core in reset, or let it go.
    HoldReset(bool),
    /// Press the reset button.
    Reset,
}

impl FromStr for Command {
    type Err = Error;

    /// Parses one line of the control socket; the error says what is accepted.
    fn from_str(line: &str) -> Result<Self, Error> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let command = match words.as_slice() {
            ["kill-qemu"] => Some(Self::KillQemu),
            ["drop-probe"] => Some(Self::DropProbe),
            ["flip-flash", offset, mask] => flip(offset, mask),
            ["mute-uart", switch] => on_or_off(switch).map(Self::MuteUart),
            ["garbage", count] => garbage(count),
            ["hold-reset", switch] => on_or_off(switch).map(Self::HoldReset),
            ["reset"] => Some(Self::Reset),
            _ => None,
        };
        command.ok_or_else(|| Error::Refused(format!("cannot obey {line:?}. {USAGE}")))
    }
}

const USAGE: &str = "Commands: kill-qemu, drop-probe, flip-flash OFFSET MASK, mute-uart on|off, \
     garbage COUNT (at most 1048576), hold-reset on|off, reset; numbers may be 0x hexadecimal";

fn flip(offset: &str, mask: &str) -> Option<Command> {
    let mask = u8::try_from(number(mask)?).ok()?;
    Some(Command::FlipFlash { offset: number(offset)?, mask })
}

fn garbage(count: &str) -> Option<Command> {
    let count = number(count)? as usize;
    (count <= MAX_GARBAGE_BYTES).then_some(Command::Garbage(count))
}

fn on_or_off(word: &str) -> Option<bool> {
    match word {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

fn number(word: &str) -> Option<u32> {
    match word.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_parsed() {
        for (line, command) in [
            ("kill-qemu", Command::KillQemu),
            ("drop-probe", Command::DropProbe),
            ("flip-flash 0x10 1", Command::FlipFlash { offset: 16, mask: 1 }),
            (" mute-uart  on ", Command::MuteUart(true)),
            ("garbage 7", Command::Garbage(7)),
            ("hold-reset off", Command::HoldReset(false)),
            ("reset", Command::Reset),
        ] {
            assert_eq!(line.parse::<Command>().ok(), Some(command), "{line}");
        }
    }

    #[test]
    fn wrong_lines_are_refused_with_the_commands() {
        for line in ["", "explode", "flip-flash 1", "flip-flash 1 256", "mute-uart", "garbage -1", "garbage 1048577"] {
            let error = line.parse::<Command>().expect_err(line).to_string();
            assert!(error.contains("kill-qemu") && error.contains(&format!("{line:?}")), "{error}");
        }
    }
}
