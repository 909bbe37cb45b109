//! Bit widths as a closed set, so that no code path meets a width it was not written for.

/// Width of a weight or an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Bits {
    /// Four values per byte.
    B2 = 2,
    /// Two values per byte.
    B4 = 4,
    /// One value per byte.
    B8 = 8,
}

impl Bits {
    /// All widths, narrowest first.
    pub const ALL: [Bits; 3] = [Bits::B2, Bits::B4, Bits::B8];

    /// The width in bits.
    pub const fn get(self) -> u8 {
        self as u8
    }

    /// How often 8 is halved to get the width.
    pub(crate) const fn halvings(self) -> u32 {
        2 - (self as u32 >> 2)
    }

    /// How many values share a byte.
    pub const fn per_byte(self) -> usize {
        8 / self as usize
    }

    /// The largest activation of this width, `2^b - 1`.
    pub const fn max_activation(self) -> u8 {
        (0xFFu16 >> (8 - self as u8)) as u8
    }

    /// The smallest weight of this width, `-2^(b-1)`.
    pub const fn min_weight(self) -> i8 {
        -(1i16 << (self as u8 - 1)) as i8
    }

    /// The largest weight of this width, `2^(b-1) - 1`.
    pub const fn max_weight(self) -> i8 {
        ((1i16 << (self as u8 - 1)) - 1) as i8
    }
}

/// A width other than 2, 4 or 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsupportedWidth(pub u8);

impl core::fmt::Display for UnsupportedWidth {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} bits: only 2, 4 and 8 are supported", self.0)
    }
}

impl core::error::Error for UnsupportedWidth {}

impl TryFrom<u8> for Bits {
    type Error = UnsupportedWidth;

    fn try_from(width: u8) -> Result<Self, UnsupportedWidth> {
        match width {
            2 => Ok(Bits::B2),
            4 => Ok(Bits::B4),
            8 => Ok(Bits::B8),
            other => Err(UnsupportedWidth(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_from_the_width() {
        assert_eq!(Bits::ALL.map(Bits::max_activation), [3, 15, 255]);
        assert_eq!(Bits::ALL.map(Bits::min_weight), [-2, -8, -128]);
        assert_eq!(Bits::ALL.map(Bits::max_weight), [1, 7, 127]);
        assert_eq!(Bits::ALL.map(Bits::per_byte), [4, 2, 1]);
    }

    #[test]
    fn only_three_widths_exist() {
        let accepted: Vec<u8> = (0..=255).filter(|&w| Bits::try_from(w).is_ok()).collect();
        assert_eq!(accepted, [2, 4, 8]);
    }
}
