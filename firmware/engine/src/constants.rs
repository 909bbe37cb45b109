//! Constants in flash, read in place as what they are.

use bitrack_kernels::Channel;

#[cfg(target_endian = "big")]
compile_error!("images are little-endian and read in place");

/// Types of which every bit pattern is a value, so that flash may be read as them.
///
/// # Safety
/// No padding, no invalid bit patterns, no pointers.
unsafe trait Plain: Sized {}
// SAFETY: an integer.
unsafe impl Plain for u32 {}
// SAFETY: `repr(C)` of two `i32`: eight bytes without padding.
unsafe impl Plain for Channel {}

/// `{bias, mult}` pairs; `None` unless the bytes are aligned and a whole number of pairs.
pub fn channels(bytes: &[u8]) -> Option<&[Channel]> {
    read(bytes)
}

/// Words; `None` unless the bytes are aligned and a whole number of words.
pub fn words(bytes: &[u8]) -> Option<&[u32]> {
    read(bytes)
}

fn read<T: Plain>(bytes: &[u8]) -> Option<&[T]> {
    let start = bytes.as_ptr().cast::<T>();
    let whole = start.is_aligned() && bytes.len().is_multiple_of(size_of::<T>());
    // SAFETY: `Plain` types take any bit pattern; so many of them lie there, aligned.
    whole.then(|| unsafe { core::slice::from_raw_parts(start, bytes.len() / size_of::<T>()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(4))]
    struct Aligned([u8; 17]);

    #[test]
    fn reads_only_whole_aligned_records() {
        let bytes = Aligned([1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0x80, 9]).0;
        let bytes = Aligned(bytes);
        assert_eq!(words(&bytes.0[..8]), Some(&[1, 2][..]));
        assert_eq!(channels(&bytes.0[8..16]), Some(&[Channel { bias: 3, mult: i32::MIN }][..]));
        assert_eq!(channels(&bytes.0[..12]), None);
        assert_eq!(words(&bytes.0[1..9]), None);
        assert_eq!(words(&bytes.0[..17]), None);
    }
}
