//! Short text without an allocator.

use core::fmt;

/// UTF-8 text of at most `N` bytes, held in place; a plain string on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Text<N> {
    /// `text`, cut at the last whole character that fits.
    pub const fn new(text: &str) -> Self {
        let mut len = if N < u8::MAX as usize { N } else { u8::MAX as usize };
        if len > text.len() {
            len = text.len();
        }
        while !text.is_char_boundary(len) {
            len -= 1;
        }
        let mut bytes = [0; N];
        let mut at = 0;
        while at < len {
            bytes[at] = text.as_bytes()[at];
            at += 1;
        }
        Self { bytes, len: len as u8 }
    }

    /// `bytes` in lower-case hexadecimal, cut at the last whole byte that fits.
    pub fn hex(bytes: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = Self { bytes: [0; N], len: 0 };
        for (byte, pair) in bytes.iter().zip(text.bytes.chunks_exact_mut(2)).take(u8::MAX as usize / 2) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
            text.len += 2;
        }
        text
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    /// Its bytes, and how many of them are the text.
    pub(crate) fn held(&self) -> (&[u8], usize) {
        (&self.bytes, self.len.into())
    }
}

impl<const N: usize> From<&str> for Text<N> {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_whole_characters() {
        assert_eq!(Text::<4>::new("boards").as_str(), "boar");
        assert_eq!(Text::<4>::new("abcé").as_str(), "abc");
        assert_eq!(Text::<4>::new("").as_str(), "");
    }

    #[test]
    fn hex_has_two_digits_per_byte() {
        assert_eq!(Text::<8>::hex(&[0x0f, 0xa0]).as_str(), "0fa0");
        assert_eq!(Text::<3>::hex(&[1, 2]).as_str(), "01");
    }
}
