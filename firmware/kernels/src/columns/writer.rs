//! Writes one pixel's values into its lane of a column buffer.

use super::Order;
use crate::Bits;
use crate::quads;

/// A lane of `L` interleaved ones, from value 0 on.
pub(crate) struct Writer<'a, const L: usize> {
    words: &'a mut [u32],
    lane: usize,
    order: Order,
    /// Values written so far.
    count: usize,
    sum: u32,
}

impl<'a, const L: usize> Writer<'a, L> {
    pub fn new(words: &'a mut [u32], lane: usize, order: Order) -> Self {
        Writer { words, lane, order, count: 0, sum: 0 }
    }

    /// The sum of all values written.
    pub fn sum(&self) -> i32 {
        self.sum as i32
    }

    /// Writes one value.
    #[inline(always)]
    pub fn value(&mut self, value: u8) {
        let (step, half) = self.order.place(self.count);
        let word = &mut self.words[step * L + self.lane];
        // The low half of a word always comes first.
        *word = if half == 0 { value.into() } else { *word | u32::from(value) << 16 };
        self.sum = self.sum.wrapping_add(value.into());
        self.count += 1;
    }

    /// Writes `count` times the same value.
    pub fn fill(&mut self, value: u8, count: usize) {
        let word = u32::from(value) * 0x0101_0101;
        if !self.at_group() {
            return (0..count).for_each(|_| self.value(value));
        }
        for _ in 0..count / 4 {
            self.four_bytes(word);
        }
        for _ in 0..count % 4 {
            self.value(value);
        }
    }

    /// Completes the last group with zeros.
    pub fn end_row(&mut self) {
        while !self.at_group() {
            self.value(0);
        }
    }

    /// Expands `count` packed values.
    #[inline(always)]
    pub fn expand(&mut self, packed: &[u8], count: usize, bits: Bits) {
        match bits {
            Bits::B8 => self.expand_at(packed, count, Bits::B8),
            Bits::B4 => self.expand_at(packed, count, Bits::B4),
            Bits::B2 => self.expand_at(packed, count, Bits::B2),
        }
    }

    #[inline(always)]
    fn expand_at(&mut self, packed: &[u8], count: usize, bits: Bits) {
        let step = quads::quad_bytes(4, bits);
        for four in packed[..count / 4 * step].chunks_exact(step) {
            self.four_bytes(quads::read(four, bits));
        }
        if !count.is_multiple_of(4) {
            let rest = quads::read(&packed[count / 4 * step..][..quads::quad_bytes(count % 4, bits)], bits);
            for byte in rest.to_le_bytes().into_iter().take(count % 4) {
                self.value(byte);
            }
        }
    }

    fn at_group(&self) -> bool {
        self.count.is_multiple_of(4) && (self.order == Order::Fours || self.count.is_multiple_of(8))
    }

    /// Writes four values given as bytes, at a multiple of four values.
    #[inline(always)]
    fn four_bytes(&mut self, word: u32) {
        self.sum = self.sum.wrapping_add(sum_of_bytes(word));
        let first = self.count / 2 * L + self.lane;
        match self.order {
            Order::Fours => {
                self.words[first] = word & 0x00FF_00FF;
                self.words[first + L] = (word >> 8) & 0x00FF_00FF;
            }
            Order::Eights if self.count.is_multiple_of(8) => {
                for (i, byte) in word.to_le_bytes().into_iter().enumerate() {
                    self.words[first + i * L] = byte.into();
                }
            }
            Order::Eights => {
                for (i, byte) in word.to_le_bytes().into_iter().enumerate() {
                    self.words[first + i * L - 2 * L] |= u32::from(byte) << 16;
                }
            }
        }
        self.count += 4;
    }
}

#[inline(always)]
fn sum_of_bytes(word: u32) -> u32 {
    let pairs = (word & 0x00FF_00FF) + ((word >> 8) & 0x00FF_00FF);
    (pairs & 0xFFFF) + (pairs >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_alternate_in_fours() {
        let mut words = [0; 8];
        for lane in 0..2 {
            let mut writer = Writer::<2>::new(&mut words, lane, Order::Fours);
            writer.expand(&[1, 2, 3, 4, 5], 5, Bits::B8);
            writer.end_row();
            assert_eq!(writer.sum(), 15);
        }
        assert_eq!(words, [0x3_0001, 0x3_0001, 0x4_0002, 0x4_0002, 5, 5, 0, 0]);
    }

    #[test]
    fn eights_pair_across_halves() {
        let packed = [0x21, 0x43, 0x65, 0x87];
        let mut words = [0; 4];
        let mut writer = Writer::<1>::new(&mut words, 0, Order::Eights);
        writer.expand(&packed, 8, Bits::B4);
        assert_eq!((words, 36), ([0x5_0001, 0x6_0002, 0x7_0003, 0x8_0004], 36));
        let mut again = [0; 4];
        let mut writer = Writer::<1>::new(&mut again, 0, Order::Eights);
        (1..=8).for_each(|value| writer.value(value));
        assert_eq!(words, again);
    }
}
