//! Why a runner refuses an image, in a sentence each.
//!
//! Owns the list. A board compares numbers and sends a number; the sentence is written where a person reads it, and takes no
//! flash, since nothing on a board asks for it. Does not know images, kernels or the protocol: what a reason is about (which
//! op, which tensor) is said by the errors that carry it.
#![cfg_attr(not(test), no_std)]
#![warn(missing_docs)]

mod list;

pub use list::Reason;

impl Reason {
    /// The reason's number on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The reason with this number, if this side knows it.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Whether only this runner refuses: another build has what this one leaves out.
    pub const fn is_left_out(self) -> bool {
        self.code() >= Self::LacksConv2dW8.code()
    }
}

impl core::fmt::Display for Reason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_places_in_the_list() {
        for (at, &reason) in Reason::ALL.iter().enumerate() {
            assert_eq!((usize::from(reason.code()), Reason::from_code(at as u8)), (at, Some(reason)));
        }
        assert_eq!(Reason::from_code(Reason::ALL.len() as u8), None);
    }

    #[test]
    fn no_two_reasons_read_the_same() {
        let mut texts: Vec<_> = Reason::ALL.iter().map(|reason| reason.text()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), Reason::ALL.len());
    }

    #[test]
    fn what_is_left_out_comes_last() {
        for reason in Reason::ALL {
            assert_eq!(reason.is_left_out(), reason.text().starts_with("the runner is built without "), "{reason}");
        }
    }
}
