//! Where an op reads and writes, and how far what it writes may lie over what it has read.
//!
//! An arena holds inputs, outputs and scratch as parts of one buffer, which references cannot say of parts that overlap. So
//! kernels take views: bytes that nobody else touches while the kernel runs, and that may overlap as far as the op bears it.
//! Every kernel checks that before it touches any.

use core::cmp::Ordering;
use core::marker::PhantomData;
use core::ops::Range;

use crate::KernelError;
use crate::parts::ensure;

/// Packed values that an op reads.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    start: *const u8,
    len: usize,
    life: PhantomData<&'a [u8]>,
}

/// Bytes that an op writes: its output, or scratch.
#[derive(Debug)]
pub struct Output<'a> {
    start: *mut u8,
    len: usize,
    life: PhantomData<&'a mut [u8]>,
}

/// Memory of which an op's buffers are parts.
#[derive(Debug)]
pub struct Arena<'a> {
    start: *mut u8,
    len: usize,
    life: PhantomData<&'a mut [u8]>,
}

impl<'a> Arena<'a> {
    /// All of `bytes`.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Arena { start: bytes.as_mut_ptr(), len: bytes.len(), life: PhantomData }
    }

    /// A part to read; `None` if it lies outside.
    pub fn input(&self, part: &Range<usize>) -> Option<Input<'a>> {
        let (start, len) = self.part(part)?;
        Some(Input { start, len, life: PhantomData })
    }

    /// A part to write; `None` if it lies outside.
    pub fn output(&self, part: &Range<usize>) -> Option<Output<'a>> {
        let (start, len) = self.part(part)?;
        Some(Output { start, len, life: PhantomData })
    }

    fn part(&self, part: &Range<usize>) -> Option<(*mut u8, usize)> {
        let len = part.end.checked_sub(part.start).filter(|_| part.end <= self.len)?;
        Some((self.start.wrapping_add(part.start), len))
    }
}

impl<'a> From<&'a [u8]> for Input<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Input { start: bytes.as_ptr(), len: bytes.len(), life: PhantomData }
    }
}

impl<'a> From<&'a mut [u8]> for Output<'a> {
    fn from(bytes: &'a mut [u8]) -> Self {
        Output { start: bytes.as_mut_ptr(), len: bytes.len(), life: PhantomData }
    }
}

impl<'a> Input<'a> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn pointer(&self) -> *const u8 {
        self.start
    }

    /// What lies from byte `at` on.
    #[inline(always)]
    pub(crate) fn rest(&self, at: usize) -> Self {
        ensure(at <= self.len);
        Input { start: self.start.wrapping_add(at), len: self.len - at, ..*self }
    }

    /// # Safety
    /// Nothing may write to these bytes as long as they are borrowed.
    #[inline(always)]
    pub(crate) unsafe fn bytes(&self) -> &'a [u8] {
        // SAFETY: the bytes exist, and the caller's promise.
        unsafe { core::slice::from_raw_parts(self.start, self.len) }
    }
}

impl<'a> Output<'a> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn pointer(&self) -> *mut u8 {
        self.start
    }

    /// What lies from byte `at` on.
    ///
    /// # Safety
    /// Nothing else may touch these bytes as long as they are borrowed.
    #[inline(always)]
    pub(crate) unsafe fn rest(&self, at: usize) -> &'a mut [u8] {
        ensure(at <= self.len);
        // SAFETY: the bytes exist, and the caller's promise.
        unsafe { core::slice::from_raw_parts_mut(self.start.wrapping_add(at), self.len - at) }
    }

    /// # Safety
    /// Nothing else may touch these bytes as long as they are borrowed.
    #[inline(always)]
    pub(crate) unsafe fn bytes(&mut self) -> &'a mut [u8] {
        // SAFETY: the bytes exist, and the caller's promise.
        unsafe { core::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

/// How an op's output may lie over an input that nobody reads later. Offsets and distances in bytes.
///
/// A kernel that goes through its tensors from front to back writes each output after it has read what lies in its place, as long as
/// the output starts far enough before the input. How far is the most that is ever written beyond what is still to be read:
///
/// ```text
/// before = max over p of  (bytes written once p pixels are done) - (first byte of the input that a pixel from p on reads)
/// ```
///
/// which for windows falls into rows and columns, see [`crate::ConvShape::lead`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// The output may start so far before the input, or farther.
    pub before: usize,
    /// The output may start so far behind the input, or farther, if at all: the kernel then goes from back to front.
    pub behind: Option<usize>,
    /// The distance must be a multiple of this.
    pub step: usize,
}

impl Overlay {
    /// That of a kernel which goes from front to back.
    pub const fn forward(before: usize) -> Self {
        Overlay { before, behind: None, step: 1 }
    }

    /// Whether the op bears an output that starts at `output` over an input that starts at `input`.
    pub const fn bears(&self, input: usize, output: usize) -> bool {
        let backward = match self.behind {
            Some(behind) => output >= input && output - input >= behind,
            None => false,
        };
        let forward = input >= output && input - output >= self.before;
        (backward || forward) && input.abs_diff(output).is_multiple_of(self.step)
    }
}

/// The way through an op's tensors that spares what is still to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Forward,
    Backward,
}

/// Refuses buffers that overlap more than the op bears, which is asked only of those that do.
#[inline(always)]
pub(crate) fn check_overlay(
    input: &Input<'_>,
    output: &Output<'_>,
    bears: impl FnOnce() -> Option<Overlay>,
) -> Result<(), KernelError> {
    let bears = are_apart(input, output) || is_borne(input.start.addr(), output.start.addr(), bears());
    if bears { Ok(()) } else { Err(KernelError::overlap()) }
}

#[cold]
#[inline(never)]
fn is_borne(input: usize, output: usize, bears: Option<Overlay>) -> bool {
    bears.is_some_and(|overlay| overlay.bears(input, output))
}

/// The way through buffers that overlap no more than the op bears: an output on this side of its input or on that is borne by one way
/// only. Where both begin at one place, `in_place_backward` says whether the way back is.
pub(crate) fn way(input: &Input<'_>, output: &Output<'_>, in_place_backward: impl FnOnce() -> bool) -> Way {
    if are_apart(input, output) {
        return Way::Forward;
    }
    match output.start.addr().cmp(&input.start.addr()) {
        Ordering::Greater => Way::Backward,
        Ordering::Equal if in_place_backward() => Way::Backward,
        _ => Way::Forward,
    }
}

#[inline(always)]
fn are_apart(input: &Input<'_>, output: &Output<'_>) -> bool {
    let (from, to) = (input.start.addr(), output.start.addr());
    from + input.len <= to || to + output.len <= from
}

/// Refuses buffers to write that overlap.
#[inline(always)]
pub(crate) fn check_apart(one: &Output<'_>, other: &Output<'_>) -> Result<(), KernelError> {
    let other = Input { start: other.start, len: other.len, life: PhantomData };
    check_overlay(&other, one, || None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_in_the_arena() {
        let mut bytes = [1, 2, 3, 4];
        let arena = Arena::new(&mut bytes);
        assert_eq!(arena.input(&(1..3)).map(|part| part.len()), Some(2));
        assert!(arena.input(&(1..5)).is_none() && arena.output(&(5..5)).is_none());
        #[allow(clippy::reversed_empty_ranges)]
        let reversed = arena.output(&(3..1));
        assert!(reversed.is_none());
    }

    #[test]
    fn an_overlay_has_a_distance_and_a_direction() {
        let forward = Overlay::forward(8);
        assert!(forward.bears(8, 0) && forward.bears(20, 0));
        assert!(!forward.bears(7, 0) && !forward.bears(0, 8));
        let either = Overlay { before: 8, behind: Some(4), step: 4 };
        assert!(either.bears(8, 0) && either.bears(0, 4) && either.bears(12, 0));
        assert!(Overlay { before: 8, behind: Some(0), step: 4 }.bears(4, 4));
        assert!(!either.bears(10, 0) && !either.bears(4, 0) && !either.bears(0, 6));
    }

    #[test]
    fn buffers_that_touch_are_apart() {
        let mut bytes = [0; 12];
        let arena = Arena::new(&mut bytes);
        let in_place = Overlay { before: 8, behind: Some(0), step: 4 };
        let check = |input, output, bears| {
            let (input, output) = arena.input(&input).zip(arena.output(&output)).expect("they lie in the arena");
            check_overlay(&input, &output, || bears).map(|()| way(&input, &output, || bears == Some(in_place)))
        };
        assert_eq!(check(0..4, 4..8, None), Ok(Way::Forward));
        assert_eq!(check(8..12, 4..8, None), Ok(Way::Forward));
        assert_eq!(check(0..5, 4..8, None), Err(KernelError::Overlap));
        assert_eq!(check(4..8, 0..8, Some(Overlay::forward(4))), Ok(Way::Forward));
        assert_eq!(check(4..8, 0..8, Some(Overlay::forward(5))), Err(KernelError::Overlap));
        let either = Overlay { before: 8, behind: Some(4), step: 4 };
        assert_eq!(check(0..8, 4..12, Some(either)), Ok(Way::Backward));
        assert_eq!(check(0..8, 0..8, Some(in_place)), Ok(Way::Backward));
        assert_eq!(check(0..8, 0..8, Some(Overlay::forward(0))), Ok(Way::Forward));
    }
}
