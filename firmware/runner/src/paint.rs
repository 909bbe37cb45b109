//! A pattern that shows which bytes were written.

/// How the arena is painted. Two patterns that differ in every byte, so that a written byte that happens to equal one
/// is seen against the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    First,
    Second,
}

impl Pattern {
    fn byte(self) -> u8 {
        match self {
            Self::First => 0xA5,
            Self::Second => 0x5A,
        }
    }

    /// Fills `bytes`.
    pub fn paint(self, bytes: &mut [u8]) {
        bytes.fill(self.byte());
    }

    /// Bytes up to and with the last one that no longer shows the pattern.
    pub fn high_water(self, bytes: &[u8]) -> u32 {
        bytes.iter().rposition(|&b| b != self.byte()).map_or(0, |last| last as u32 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_written_byte_counts() {
        for pattern in [Pattern::First, Pattern::Second] {
            let mut arena = [0; 64];
            pattern.paint(&mut arena);
            assert_eq!(pattern.high_water(&arena), 0);
            arena[3] = 1;
            arena[40] = 0;
            assert_eq!(pattern.high_water(&arena), 41);
        }
    }

    #[test]
    fn a_byte_that_hides_in_one_pattern_shows_in_the_other() {
        let seen = [Pattern::First, Pattern::Second].map(|pattern| {
            let mut arena = [0; 8];
            pattern.paint(&mut arena);
            arena[5] = 0xA5;
            pattern.high_water(&arena)
        });
        assert_eq!(seen, [0, 6]);
    }
}
