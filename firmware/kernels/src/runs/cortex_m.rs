//! Runs of quads on a core with the DSP extension: `runs.s`.

use super::Sum;
use crate::Bits;
use crate::built::by_activations;

core::arch::global_asm!(include_str!("runs.s"), options(raw));

/// Called by the loops only, with registers of their own choice.
type Routine = unsafe extern "C" fn();

/// Arguments of `add_quads`, in the order of `runs.s`.
#[repr(C)]
struct Frame {
    inputs: [*const u8; 2],
    output: *mut u8,
    shift: u32,
    loaders: [Routine; 2],
    mults: [i32; 2],
    bias: i32,
    store: Routine,
    output_end: *mut u8,
    above: u32,
    below: u32,
    min: u32,
}

unsafe extern "C" {
    fn bitrack_load_strided_b8();
    fn bitrack_load_strided_b4();
    fn bitrack_load_strided_b2();
    fn bitrack_load_first_b8();
    fn bitrack_load_first_b4();
    fn bitrack_load_first_b2();
    fn bitrack_load_first_crossed_b4();
    fn bitrack_load_first_crossed_b2();
    fn bitrack_load_second_b8();
    fn bitrack_load_second_b4();
    fn bitrack_load_second_b2();
    fn bitrack_load_second_crossed_b4();
    fn bitrack_load_second_crossed_b2();
    fn bitrack_store_b8();
    fn bitrack_store_b4();
    fn bitrack_store_b2();
    fn bitrack_store_crossed_b4();
    fn bitrack_store_crossed_b2();
    fn bitrack_store_all_b8();
    // Two words of sums, in the halves of a 64-bit value.
    fn bitrack_sum_quads(first: *const u8, step: usize, count: usize, load: Routine) -> u64;
    fn bitrack_max_quads(first: *const u8, step: usize, count: usize, load: Routine) -> u32;
    fn bitrack_add_quads(frame: &Frame);
}

/// # Safety
/// `count > 0` whole quads must lie `step` bytes apart from `first` on.
pub(super) unsafe fn sum(first: *const u8, step: usize, count: usize, bits: Bits) -> [u32; 2] {
    // SAFETY: the caller's promise.
    let sums = unsafe { bitrack_sum_quads(first, step, count, strided(bits)) };
    [sums as u32, (sums >> 32) as u32]
}

/// # Safety
/// As [`sum`].
pub(super) unsafe fn max(first: *const u8, step: usize, count: usize, bits: Bits) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { bitrack_max_quads(first, step, count, strided(bits)) }
}

/// # Safety
/// `count > 0` whole quads must lie side by side from each of the pointers on.
pub(super) unsafe fn add(sum: &Sum, inputs: [*const u8; 2], output: *mut u8, count: usize) {
    let [bits1, bits2, out_bits] = sum.bits;
    let all = |byte: u8| u32::from(byte) * 0x0101_0101;
    let (min, above) = (sum.act_min, 255 - sum.act_max);
    // Narrow quads may be crossed, as long as all are.
    let crossed = sum.bits.iter().all(|&bits| bits != Bits::B8) && min == 0;
    let frame = Frame {
        inputs,
        output,
        shift: sum.shift.into(),
        loaders: [first(bits1, crossed), second(bits2, crossed)],
        mults: sum.mults,
        bias: sum.bias,
        store: if min == 0 && above == 0 { bitrack_store_all_b8 } else { store(out_bits, crossed) },
        output_end: output.wrapping_add(count * super::quad_len(out_bits)),
        above: all(above),
        below: all(above + min),
        min: all(min),
    };
    // SAFETY: the caller's promise.
    unsafe { bitrack_add_quads(&frame) }
}

fn strided(bits: Bits) -> Routine {
    by_activations!(bits, bitrack_load_strided_b8, bitrack_load_strided_b4, bitrack_load_strided_b2)
}

fn first(bits: Bits, crossed: bool) -> Routine {
    if crossed {
        by_activations!(bits, bitrack_load_first_b8, bitrack_load_first_crossed_b4, bitrack_load_first_crossed_b2)
    } else {
        by_activations!(bits, bitrack_load_first_b8, bitrack_load_first_b4, bitrack_load_first_b2)
    }
}

fn second(bits: Bits, crossed: bool) -> Routine {
    if crossed {
        by_activations!(bits, bitrack_load_second_b8, bitrack_load_second_crossed_b4, bitrack_load_second_crossed_b2)
    } else {
        by_activations!(bits, bitrack_load_second_b8, bitrack_load_second_b4, bitrack_load_second_b2)
    }
}

fn store(bits: Bits, crossed: bool) -> Routine {
    if crossed {
        by_activations!(bits, bitrack_store_b8, bitrack_store_crossed_b4, bitrack_store_crossed_b2)
    } else {
        by_activations!(bits, bitrack_store_b8, bitrack_store_b4, bitrack_store_b2)
    }
}
