//! Groups of values to one lane of a column buffer. On a core with the DSP extension: `lane.s`.

use super::Order;
use crate::Bits;

/// How the values of a group lie in their bytes, and in which order they are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Four bytes to [`Order::Fours`].
    BytesToFours,
    /// Eight bytes to [`Order::Eights`].
    BytesToEights,
    /// Eight nibbles to [`Order::Eights`].
    Nibbles,
    /// Eight crumbs to [`Order::Eights`].
    Crumbs,
}

impl Form {
    /// Of packed activations; `None` where they must be taken one by one.
    pub const fn of(order: Order, bits: Bits) -> Option<Self> {
        match (order, bits) {
            (Order::Fours, Bits::B8) => Some(Form::BytesToFours),
            (Order::Eights, Bits::B8) => Some(Form::BytesToEights),
            (Order::Eights, Bits::B4) => Some(Form::Nibbles),
            (Order::Eights, Bits::B2) => Some(Form::Crumbs),
            (Order::Fours, _) => None,
        }
    }
}

/// Which words of a column buffer are a pixel's, and where in them its values lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(super) index: usize,
    /// Lanes that alternate.
    pub(super) count: usize,
}

impl Lane {
    /// The only lane of its buffer.
    pub const ALONE: Lane = Lane { index: 0, count: 1 };

    /// One of two.
    pub const fn of_pair(index: usize) -> Self {
        Lane { index, count: 2 }
    }
}

/// Bytes in groups of four, given a few at a time: arguments of `fours`, in the order of `lane.s`.
#[repr(C)]
pub(super) struct Fours {
    /// The lane's next word.
    pub target: *mut u32,
    /// Bytes to the one behind it.
    pub step_bytes: usize,
    /// The group's values so far, in the upper bytes.
    pub group: u32,
    /// Their number, 30 bits up.
    pub phase: u32,
    /// Of all values of whole groups.
    pub sum: u32,
}

/// Value `index` of packed ones.
///
/// # Safety
/// It must lie at `packed`.
#[inline(always)]
pub(super) unsafe fn value(packed: *const u8, index: usize, bits: Bits) -> u8 {
    let (byte, at) = (index / bits.per_byte(), index % bits.per_byte() * usize::from(bits.get()));
    // SAFETY: the caller's promise.
    unsafe { *packed.add(byte) >> at & bits.max_activation() }
}

#[cfg(target_arch = "arm")]
pub(super) use cortex_m::{expand, fields, fours};
#[cfg(not(target_arch = "arm"))]
pub(super) use portable::{expand, fields, fours};

#[cfg(target_arch = "arm")]
mod cortex_m {
    use super::{Form, Fours};
    use crate::Bits;

    core::arch::global_asm!(include_str!("lane.s"), options(raw));

    type Kernel = unsafe extern "C" fn(*const u8, *mut u32, usize, usize) -> u32;

    unsafe extern "C" {
        fn bitrack_lane_bytes_fours(source: *const u8, target: *mut u32, groups: usize, step_bytes: usize) -> u32;
        fn bitrack_lane_bytes_eights(source: *const u8, target: *mut u32, groups: usize, step_bytes: usize) -> u32;
        fn bitrack_lane_nibbles(source: *const u8, target: *mut u32, groups: usize, step_bytes: usize) -> u32;
        fn bitrack_lane_crumbs(source: *const u8, target: *mut u32, groups: usize, step_bytes: usize) -> u32;
        fn bitrack_lane_fours(state: &mut Fours, values: *const u8, step: usize, count: usize);
        fn bitrack_lane_fields(state: &mut Fours, packed: *const u8, bits: usize, count: usize);
    }

    /// Expands groups; returns the sum of their values, of which narrow ones are summed in 16 bits.
    ///
    /// # Safety
    /// `groups > 0` groups must lie at `source`, and the lane's words for them from `target` on.
    pub unsafe fn expand(form: Form, source: *const u8, target: *mut u32, groups: usize, step_bytes: usize) -> u32 {
        const NIBBLES: bool = crate::Kernel::Activations4.is_built();
        const CRUMBS: bool = crate::Kernel::Activations2.is_built();
        let kernel: Kernel = match form {
            Form::BytesToFours => bitrack_lane_bytes_fours,
            Form::BytesToEights if NIBBLES || CRUMBS => bitrack_lane_bytes_eights,
            Form::Nibbles if NIBBLES => bitrack_lane_nibbles,
            Form::Crumbs if CRUMBS => bitrack_lane_crumbs,
            _ => crate::built::missing(),
        };
        // SAFETY: the caller's promise.
        unsafe { kernel(source, target, groups, step_bytes) }
    }

    /// Takes `count` values, `step` bytes apart.
    ///
    /// # Safety
    /// `count > 0` values must lie at `values`, and the lane's words of every group that they fill from the target on.
    pub unsafe fn fours(state: &mut Fours, values: *const u8, step: usize, count: usize) {
        // SAFETY: the caller's promise.
        unsafe { bitrack_lane_fours(state, values, step, count) }
    }

    /// Takes `count` narrow values, packed from `packed` on.
    ///
    /// # Safety
    /// As [`fours`].
    pub unsafe fn fields(state: &mut Fours, packed: *const u8, bits: Bits, count: usize) {
        // SAFETY: the caller's promise.
        unsafe { bitrack_lane_fields(state, packed, bits.get().into(), count) }
    }
}

#[cfg(not(target_arch = "arm"))]
mod portable {
    use super::{Form, Fours, value};
    use crate::Bits;

    /// Expands groups; returns the sum of their values.
    ///
    /// # Safety
    /// `groups > 0` groups must lie at `source`, and the lane's words for them from `target` on.
    pub unsafe fn expand(form: Form, source: *const u8, target: *mut u32, groups: usize, step_bytes: usize) -> u32 {
        let lane = (source, target, groups, step_bytes);
        // SAFETY: the caller's promise.
        unsafe {
            match form {
                Form::BytesToFours => expand_as(lane, bytes_to_fours),
                Form::BytesToEights => expand_as(lane, bytes_to_eights),
                Form::Nibbles => expand_as(lane, nibbles),
                Form::Crumbs => expand_as(lane, crumbs),
            }
        }
    }

    /// # Safety
    /// As [`expand`], with groups of `BYTES` bytes and `STEPS` words.
    #[inline(always)]
    unsafe fn expand_as<const BYTES: usize, const STEPS: usize>(
        (source, mut target, groups, step_bytes): (*const u8, *mut u32, usize, usize),
        pairs: impl Fn([u8; BYTES]) -> [u32; STEPS],
    ) -> u32 {
        let mut sum = 0;
        for group in 0..groups {
            // SAFETY: the caller's promise. Group by group: the words may lie over groups that were read.
            let pairs = pairs(unsafe { *source.cast::<[u8; BYTES]>().add(group) });
            for pair in pairs {
                // SAFETY: the caller's promise.
                unsafe { *target = pair };
                target = target.wrapping_byte_add(step_bytes);
            }
            let halves: u32 = pairs.iter().sum();
            sum += (halves & 0xFFFF) + (halves >> 16);
        }
        sum
    }

    fn bytes_to_fours(bytes: [u8; 4]) -> [u32; 2] {
        let word = u32::from_le_bytes(bytes);
        [word & 0x00FF_00FF, (word >> 8) & 0x00FF_00FF]
    }

    fn bytes_to_eights(bytes: [u8; 8]) -> [u32; 4] {
        core::array::from_fn(|i| u32::from(bytes[i]) | u32::from(bytes[i + 4]) << 16)
    }

    fn nibbles(bytes: [u8; 4]) -> [u32; 4] {
        let word = u32::from_le_bytes(bytes);
        core::array::from_fn(|i| word >> (4 * i) & 0x000F_000F)
    }

    fn crumbs(bytes: [u8; 2]) -> [u32; 4] {
        let halves = u32::from(bytes[0]) | u32::from(bytes[1]) << 16;
        core::array::from_fn(|i| halves >> (2 * i) & 0x0003_0003)
    }

    /// Takes `count` values, `step` bytes apart.
    ///
    /// # Safety
    /// `count > 0` values must lie at `values`, and the lane's words of every group that they fill from the target on.
    pub unsafe fn fours(state: &mut Fours, values: *const u8, step: usize, count: usize) {
        for i in 0..count {
            // SAFETY: the caller's promise.
            let value = unsafe { *values.add(i * step) };
            state.group = state.group >> 8 | u32::from(value) << 24;
            state.phase = state.phase.wrapping_add(1 << 30);
            if state.phase == 0 {
                let group = state.group.to_le_bytes();
                // SAFETY: the caller's promise.
                state.sum += unsafe { expand(Form::BytesToFours, group.as_ptr(), state.target, 1, state.step_bytes) };
                state.target = state.target.wrapping_byte_add(2 * state.step_bytes);
            }
        }
    }

    /// Takes `count` narrow values, packed from `packed` on.
    ///
    /// # Safety
    /// As [`fours`].
    pub unsafe fn fields(state: &mut Fours, packed: *const u8, bits: Bits, count: usize) {
        for k in 0..count {
            // SAFETY: the caller's promise, of as many values and of one.
            unsafe { fours(state, &value(packed, k, bits), 1, 1) };
        }
    }
}
