//! The three widths a tensor may have.

use serde::{Deserialize, Serialize};

/// Bits of every value of a tensor. Written as the number 2, 4 or 8 in files and over the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Bits {
    Two,
    Four,
    Eight,
}

impl Bits {
    /// All widths, narrowest first.
    pub const ALL: [Self; 3] = [Self::Two, Self::Four, Self::Eight];

    /// 2, 4 or 8.
    pub const fn get(self) -> u8 {
        match self {
            Self::Two => 2,
            Self::Four => 4,
            Self::Eight => 8,
        }
    }

    /// Largest unsigned code, `2^bits - 1`: activations.
    pub const fn max_code(self) -> u8 {
        u8::MAX >> (8 - self.get())
    }

    /// Smallest and largest signed value, `[-2^(bits-1), 2^(bits-1) - 1]`: weights.
    pub const fn signed_range(self) -> (i32, i32) {
        let half = 1 << (self.get() - 1);
        (-half, half - 1)
    }

    /// Position in [`Bits::ALL`], for tables with a column per width.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The next narrower width, or `None` at 2 bits.
    pub const fn narrower(self) -> Option<Self> {
        match self {
            Self::Two => None,
            Self::Four => Some(Self::Two),
            Self::Eight => Some(Self::Four),
        }
    }
}

impl From<Bits> for u8 {
    fn from(bits: Bits) -> u8 {
        bits.get()
    }
}

impl From<Bits> for bitrack_kernels::Bits {
    fn from(bits: Bits) -> Self {
        match bits {
            Bits::Two => Self::B2,
            Bits::Four => Self::B4,
            Bits::Eight => Self::B8,
        }
    }
}

impl TryFrom<u8> for Bits {
    type Error = String;

    fn try_from(value: u8) -> Result<Self, Self::Error> {
        Self::ALL.into_iter().find(|b| b.get() == value).ok_or_else(|| format!("{value} bits: must be 2, 4 or 8"))
    }
}

impl std::fmt::Display for Bits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.get())
    }
}
