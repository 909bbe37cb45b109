//! Parts of slices that a kernel knows to exist. An index in brackets puts its place in the source and a sentence into flash, for
//! each of dozens; these all end in one [`bug`] on a board, and say where they were on a host.

use core::slice::SliceIndex;

/// Where a kernel would go on if one of its own checks did not hold.
#[cold]
#[inline(never)]
#[cfg_attr(not(target_arch = "arm"), track_caller)]
pub(crate) fn bug() -> ! {
    panic!("a kernel is wrong about its buffers")
}

/// Fails unless `holds`.
#[inline(always)]
#[cfg_attr(not(target_arch = "arm"), track_caller)]
pub(crate) fn ensure(holds: bool) {
    if !holds {
        bug();
    }
}

/// `a / b` for a `b` that was checked not to be zero.
#[inline(always)]
pub(crate) const fn quotient(a: usize, b: usize) -> usize {
    match a.checked_div(b) {
        Some(quotient) => quotient,
        None => 0,
    }
}

/// Indexing without brackets.
pub(crate) trait Parts<T> {
    /// What lies at `index`.
    fn part<I: SliceIndex<[T]>>(&self, index: I) -> &I::Output;

    /// What lies at `index`, to be written.
    fn part_mut<I: SliceIndex<[T]>>(&mut self, index: I) -> &mut I::Output;

    /// What lies before and from `mid` on, to be written.
    fn parts_at_mut(&mut self, mid: usize) -> (&mut [T], &mut [T]);
}

impl<T> Parts<T> for [T] {
    #[inline(always)]
    #[cfg_attr(not(target_arch = "arm"), track_caller)]
    fn part<I: SliceIndex<[T]>>(&self, index: I) -> &I::Output {
        match self.get(index) {
            Some(part) => part,
            None => bug(),
        }
    }

    #[inline(always)]
    #[cfg_attr(not(target_arch = "arm"), track_caller)]
    fn part_mut<I: SliceIndex<[T]>>(&mut self, index: I) -> &mut I::Output {
        match self.get_mut(index) {
            Some(part) => part,
            None => bug(),
        }
    }

    #[inline(always)]
    #[cfg_attr(not(target_arch = "arm"), track_caller)]
    fn parts_at_mut(&mut self, mid: usize) -> (&mut [T], &mut [T]) {
        match self.split_at_mut_checked(mid) {
            Some(parts) => parts,
            None => bug(),
        }
    }
}
