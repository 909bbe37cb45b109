//! Writes one pixel's values into its lane of a column buffer.

use super::Order;
use crate::{Bits, activations, quads};

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
        let bits = u32::from(value) << (half as u32 * 16);
        // The low half of a word always comes first.
        *word = if half == 0 { bits } else { *word | bits };
        self.sum = self.sum.wrapping_add(value.into());
        self.count += 1;
    }

    /// Writes `count` times the same value.
    pub fn fill(&mut self, value: u8, count: usize) {
        let group = self.order.group();
        let whole = if self.at_group() { count / group * group } else { 0 };
        let pair = u32::from(value) * 0x0001_0001;
        for word in self.lane_words(whole / 2) {
            *word = pair;
        }
        self.sum = self.sum.wrapping_add(u32::from(value) * whole as u32);
        self.count += whole;
        for _ in whole..count {
            self.value(value);
        }
    }

    /// The next `steps` words of the lane, from a group on.
    fn lane_words(&mut self, steps: usize) -> impl Iterator<Item = &mut u32> {
        let first = self.count / 2 * L;
        let (lane, end) = (self.lane, first + steps * L);
        self.words[first..end].iter_mut().skip(lane).step_by(L)
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
        let group = self.order.group();
        let whole = if self.at_group() { count / group * group } else { 0 };
        let (groups, rest) = packed.split_at(whole / bits.per_byte());
        let step = group / bits.per_byte();
        let mut sum = self.sum;
        let mut at = self.count / 2 * L + self.lane;
        for bytes in groups.chunks_exact(step) {
            let words = &mut self.words[at..];
            if self.order == Order::Fours {
                let [even, odd] = pairs_of_four(quads::read(bytes, bits));
                words[0] = even;
                words[L] = odd;
                sum = sum.wrapping_add(sum_of_halves(even + odd));
            } else {
                let pairs = pairs_of_eight(bytes, bits);
                for (i, pair) in pairs.into_iter().enumerate() {
                    words[i * L] = pair;
                }
                sum = sum.wrapping_add(sum_of_halves(pairs.iter().sum()));
            }
            at += group / 2 * L;
        }
        self.sum = sum;
        self.count += whole;
        for k in 0..count - whole {
            self.value(activations::get(rest, k, bits));
        }
    }

    fn at_group(&self) -> bool {
        self.count.is_multiple_of(self.order.group())
    }
}

fn pairs_of_four(bytes: u32) -> [u32; 2] {
    [bytes & 0x00FF_00FF, (bytes >> 8) & 0x00FF_00FF]
}

/// Values `i` and `i + 4` of eight narrow ones.
#[inline(always)]
fn pairs_of_eight(packed: &[u8], bits: Bits) -> [u32; 4] {
    let bytes = packed.iter().rev().fold(0u32, |word, &byte| word << 8 | u32::from(byte));
    let spread = if bits == Bits::B4 { bytes } else { (bytes | bytes << 8) & 0x00FF_00FF };
    let mask = u32::from(bits.max_activation()) * 0x0001_0001;
    core::array::from_fn(|i| spread >> (i as u8 * bits.get()) & mask)
}

fn sum_of_halves(pair: u32) -> u32 {
    (pair & 0xFFFF) + (pair >> 16)
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
