//! A 64-bit count out of a 32-bit counter.

/// Follows a wrapping 32-bit counter that is read at least once per wrap.
#[derive(Debug, Default)]
pub struct WideCounter {
    last: u32,
    total: u64,
}

impl WideCounter {
    /// A counter at zero.
    pub const fn new() -> Self {
        Self { last: 0, total: 0 }
    }

    /// Counts from here: `now` is the hardware's count.
    pub fn restart(&mut self, now: u32) {
        *self = Self { last: now, total: 0 };
    }

    /// The count since [`WideCounter::restart`].
    pub fn advance(&mut self, now: u32) -> u64 {
        self.total += u64::from(now.wrapping_sub(self.last));
        self.last = now;
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_across_wraps() {
        let mut counter = WideCounter::new();
        counter.restart(0xFFFF_FF00);
        assert_eq!(counter.advance(0xFFFF_FFFF), 0xFF);
        assert_eq!(counter.advance(0x10), 0x110);
        assert_eq!(counter.advance(0xFFFF_FFF0), 0x1_0000_00F0);
        assert_eq!(counter.advance(0xF), 0x1_0000_010F);
    }
}
