//! A tensor kept as 8-bit codes, block by block.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Codebook;

/// Codes, and each block's largest magnitude.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quantized {
    book: Codebook,
    codes: Vec<u8>,
    /// Of each block; 0 for a block of zeros.
    largest: Vec<f32>,
    block: usize,
}

impl Quantized {
    /// `len` zeros in blocks of `block` elements, at least one; the last block may be shorter.
    pub fn zeros(len: usize, block: usize, book: Codebook) -> Self {
        let block = block.max(1);
        let codes = vec![book.nearest(0.0); len];
        Self { book, codes, largest: vec![0.0; len.div_ceil(block)], block }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.largest.len()
    }

    /// Bytes of codes and scales; all tensors can share one codebook.
    pub fn bytes(&self) -> usize {
        self.codes.len() + 4 * self.largest.len()
    }

    /// The elements of a block.
    pub fn range(&self, block: usize) -> Range<usize> {
        block * self.block..((block + 1) * self.block).min(self.codes.len())
    }

    /// A block's values.
    pub fn read(&self, block: usize) -> Vec<f32> {
        self.codes[self.range(block)].iter().map(|&code| self.book.value(code) * self.largest[block]).collect()
    }

    /// Rounds `values` into a block.
    pub fn write(&mut self, block: usize, values: &[f32]) {
        let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let divisor = if largest > 0.0 { largest } else { 1.0 };
        self.largest[block] = largest;
        let range = self.range(block);
        let codes = self.codes[range].iter_mut().zip(values);
        codes.for_each(|(code, value)| *code = self.book.nearest(value / divisor));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The spacing of the signed codes is at most 0.9 / 64 of the largest value of the block.
        #[test]
        fn what_is_read_is_near_what_was_written(
            values in prop::collection::vec(-1e3f32..1e3, 1..100),
            block in 1usize..40,
        ) {
            let mut kept = Quantized::zeros(values.len(), block, Codebook::signed());
            for index in 0..kept.blocks() {
                let range = kept.range(index);
                kept.write(index, &values[range.clone()]);
                let largest = values[range.clone()].iter().fold(0.0f32, |l, v| l.max(v.abs()));
                for (read, value) in kept.read(index).iter().zip(&values[range]) {
                    prop_assert!((read - value).abs() <= largest * 0.9 / 64.0);
                }
            }
            prop_assert_eq!(kept.bytes(), values.len() + 4 * values.len().div_ceil(block));
        }
    }

    #[test]
    fn an_outlier_costs_precision_in_its_own_block_only() {
        let mut kept = Quantized::zeros(4, 2, Codebook::signed());
        kept.write(0, &[1e6, 0.01]);
        kept.write(1, &[0.01, 0.003]);
        assert_eq!(kept.read(0)[1], 0.0);
        assert!((kept.read(1)[0] - 0.01).abs() < 1e-9 && (kept.read(1)[1] - 0.003).abs() < 1e-4);
    }
}
