//! Short text without an allocator.

use core::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// UTF-8 text of at most `N` bytes, held in place; a plain string on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Text<N> {
    /// `text`, cut at the last whole character that fits.
    pub fn new(text: &str) -> Self {
        let limit = N.min(u8::MAX as usize);
        let len = (0..=limit.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        let mut bytes = [0; N];
        bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
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

impl<const N: usize> Serialize for Text<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Bytes and strings are the same on the wire, and checking UTF-8 again would cost the board flash for nothing.
        serializer.serialize_bytes(&self.bytes[..usize::from(self.len)])
    }
}

impl<'de, const N: usize> Deserialize<'de> for Text<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor<const N: usize>;
        impl<const N: usize> Visitor<'_> for TextVisitor<N> {
            type Value = Text<N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "text of at most {N} bytes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<N>, E> {
                let fits = text.len() <= N.min(u8::MAX as usize);
                if fits { Ok(Text::new(text)) } else { Err(E::invalid_length(text.len(), &self)) }
            }
        }
        deserializer.deserialize_str(TextVisitor)
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
