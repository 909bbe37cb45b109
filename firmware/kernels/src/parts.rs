//! Parts of slices that a kernel knows to exist. An index in brackets puts its place in the source and a sentence into flash, for
//! each of dozens; these all end in one [`bug`] on a board, and say where they were on a host.

use core::slice::SliceIndex;

/// Whether flash is short: in a runner for one network.
pub(crate) const SHORT: bool = cfg!(not(feature = "all"));

/// Where a kernel would go on if one of its own checks did not hold.
#[cfg(not(all(target_arch = "arm", not(feature = "all"))))]
#[cold]
#[inline(never)]
#[cfg_attr(not(target_arch = "arm"), track_caller)]
pub(crate) fn bug() -> ! {
    panic!("a kernel is wrong about its buffers")
}

/// The same where flash is short: an instruction that is defined to fault, and the fault's address names the place.
#[cfg(all(target_arch = "arm", not(feature = "all")))]
#[cold]
#[inline(never)]
pub(crate) fn bug() -> ! {
    // SAFETY: the core takes a fault here, and never goes on.
    unsafe { core::arch::asm!("udf #0", options(noreturn, nomem, nostack)) }
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

/// `a / b`, rounded up, likewise.
#[inline(always)]
pub(crate) const fn quotient_up(a: usize, b: usize) -> usize {
    quotient(a + b - 1, b)
}

/// Indexing without brackets.
pub(crate) trait Parts<T> {
    /// What lies at `index`.
    fn part<I: SliceIndex<[T]>>(&self, index: I) -> &I::Output;

    /// What lies at `index`, to be written.
    fn part_mut<I: SliceIndex<[T]>>(&mut self, index: I) -> &mut I::Output;

    /// `len` values from `start` on. Where flash is not short this is brackets: what follows it in inner loops is faster then.
    fn stretch(&self, start: usize, len: usize) -> &[T];

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
    fn stretch(&self, start: usize, len: usize) -> &[T] {
        if SHORT { self.part(start..).part(..len) } else { &self[start..][..len] }
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
