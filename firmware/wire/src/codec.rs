//! A message's body: how values become bytes, and bytes values.
//!
//! Unsigned integers are variable-length, seven bits a byte, the lowest first, except for single bytes, which are themselves. A
//! flag is 0 or 1, an option a flag and then the value, bytes and texts are their length and then themselves, a structure its
//! fields, an alternative its number and then its fields: the format of `postcard`, in a fraction of a board's flash.

use crate::frame::Stuffer;

/// What a message consists of.
pub trait Value<'a>: Sized {
    /// Appends the value; a frame that has become too long notices at its end.
    fn put(&self, to: &mut Stuffer<'_>);

    /// The next value, `None` when the bytes are no such value.
    fn take(from: &mut Body<'a>) -> Option<Self>;
}

/// The bytes of a body that are not read yet.
pub struct Body<'a>(pub &'a [u8]);

impl<'a> Body<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    /// The next integer, which is `max` at most.
    fn integer(&mut self, max: u32) -> Option<u32> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = u32::from(self.byte()?);
            // The fifth byte has room for four bits.
            if shift == 28 && byte > 15 {
                return None;
            }
            value |= (byte & 0x7F) << shift;
            if byte < 0x80 {
                return (value <= max).then_some(value);
            }
            shift += 7;
        }
    }

    /// The next integer of 64 bits.
    fn long_integer(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = u64::from(self.byte()?);
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= (byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(value);
            }
            shift += 7;
        }
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.integer(u32::MAX)? as usize;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }
}

impl Stuffer<'_> {
    fn integer(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    /// The first `len` of `bytes`, which are so many at least.
    #[inline(never)]
    fn bytes(&mut self, bytes: &[u8], len: usize) {
        self.integer(len as u64);
        bytes.iter().take(len).for_each(|&byte| self.byte(byte));
    }
}

impl Value<'_> for u8 {
    fn put(&self, to: &mut Stuffer<'_>) {
        to.byte(*self);
    }

    fn take(from: &mut Body<'_>) -> Option<Self> {
        from.byte()
    }
}

macro_rules! integers {
    ($($integer:ident)*) => {
        $(impl Value<'_> for $integer {
            fn put(&self, to: &mut Stuffer<'_>) {
                to.integer((*self).into());
            }

            fn take(from: &mut Body<'_>) -> Option<Self> {
                from.integer(Self::MAX.into()).map(|value| value as Self)
            }
        })*
    };
}

integers!(u16 u32);

impl Value<'_> for u64 {
    fn put(&self, to: &mut Stuffer<'_>) {
        to.integer(*self);
    }

    fn take(from: &mut Body<'_>) -> Option<Self> {
        from.long_integer()
    }
}

impl Value<'_> for bool {
    fn put(&self, to: &mut Stuffer<'_>) {
        to.byte((*self).into());
    }

    fn take(from: &mut Body<'_>) -> Option<Self> {
        match from.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<'a, T: Value<'a>> Value<'a> for Option<T> {
    fn put(&self, to: &mut Stuffer<'_>) {
        self.is_some().put(to);
        if let Some(value) = self {
            value.put(to);
        }
    }

    fn take(from: &mut Body<'a>) -> Option<Self> {
        if bool::take(from)? { T::take(from).map(Some) } else { Some(None) }
    }
}

impl<'a, T: Value<'a> + Copy + Default, const N: usize> Value<'a> for [T; N] {
    fn put(&self, to: &mut Stuffer<'_>) {
        self.iter().for_each(|value| value.put(to));
    }

    fn take(from: &mut Body<'a>) -> Option<Self> {
        let mut values = [T::default(); N];
        for value in &mut values {
            *value = T::take(from)?;
        }
        Some(values)
    }
}

impl<'a> Value<'a> for &'a [u8] {
    fn put(&self, to: &mut Stuffer<'_>) {
        to.bytes(self, self.len());
    }

    fn take(from: &mut Body<'a>) -> Option<Self> {
        from.bytes()
    }
}

impl<const N: usize> Value<'_> for crate::Text<N> {
    fn put(&self, to: &mut Stuffer<'_>) {
        let (bytes, len) = self.held();
        to.bytes(bytes, len);
    }

    fn take(from: &mut Body<'_>) -> Option<Self> {
        let text = core::str::from_utf8(from.bytes()?).ok()?;
        let fits = text.len() <= N.min(u8::MAX as usize);
        fits.then(|| Self::new(text))
    }
}

impl Value<'_> for crate::Reason {
    fn put(&self, to: &mut Stuffer<'_>) {
        to.byte(self.code());
    }

    fn take(from: &mut Body<'_>) -> Option<Self> {
        Self::from_code(from.byte()?)
    }
}

/// A structure: its fields in order.
macro_rules! structure {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl Value<'_> for $name {
            fn put(&self, to: &mut Stuffer<'_>) {
                $(self.$field.put(to);)*
            }

            fn take(from: &mut Body<'_>) -> Option<Self> {
                Some(Self { $($field: Value::take(from)?),* })
            }
        }
    };
}

/// Alternatives: each one's number, and its fields in order; one without names is called `value` here.
macro_rules! alternatives {
    ($name:ty, $life:lifetime: $($number:literal $variant:ident $(($value:ident))? $({ $($field:ident),* })?,)*) => {
        impl<$life> Value<$life> for $name {
            fn put(&self, to: &mut Stuffer<'_>) {
                // Numbers first: alternatives with like fields are then one piece of code.
                to.byte(match self {
                    $(Self::$variant { .. } => $number,)*
                });
                match self {
                    $(Self::$variant $(($value))? $({ $($field),* })? => {
                        $($value.put(to);)?
                        $($($field.put(to);)*)?
                    })*
                }
            }

            fn take(from: &mut Body<$life>) -> Option<Self> {
                Some(match u8::take(from)? {
                    $($number => alternatives!(@take from, $variant $(($value))? $({ $($field),* })?),)*
                    _ => return None,
                })
            }
        }
    };
    (@take $from:ident, $variant:ident) => { Self::$variant };
    (@take $from:ident, $variant:ident ($value:ident)) => { Self::$variant(Value::take($from)?) };
    (@take $from:ident, $variant:ident { $($field:ident),* }) => { Self::$variant { $($field: Value::take($from)?),* } };
}

pub(crate) use {alternatives, structure};
