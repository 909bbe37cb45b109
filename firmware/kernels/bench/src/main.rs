//! Counts the instructions of every layer of the MLPerf Tiny networks on an emulated board, and checks every output.
//!
//! Prints one line `network,layer,op,shape,wbits,abits,macs,instructions,scratch,variant,usual` per layer and combination of widths;
//! scratch in bytes. The last is 1 for the variant that is usual and 0 for the others, which are counted at some widths.
//! `cargo xtask bench kernels` makes tables of it.
#![no_std]
#![no_main]

extern crate alloc;

mod board;
#[path = "../../tests/harness/mod.rs"]
#[allow(dead_code)]
mod harness;
mod networks;
mod random;
#[path = "../../tests/harness/shapes.rs"]
mod shapes;
mod unweighted;

use core::fmt::Write;
use core::panic::PanicInfo;

use alloc::string::String;
use bitrack_kernels::{Bits, Requant, Variant};
use board::{Bump, Uart};
use harness::{Case, Fill, Op, Rng, Setting, plain};
use networks::{Layer, Work};

#[global_allocator]
static HEAP: Bump = Bump::new();

#[cortex_m_rt::entry]
fn main() -> ! {
    board::start_counter();
    let mut good = check_tables();
    good &= unweighted::check();
    good &= check_random();
    for w_bits in Bits::ALL {
        for in_bits in Bits::ALL {
            for layer in networks::LAYERS {
                good &= measure(layer, w_bits, in_bits, layer.usual(in_bits));
            }
        }
    }
    for bits in Bits::ALL {
        for layer in networks::LAYERS {
            good &= layer.others(bits).all(|variant| measure(layer, bits, bits, variant));
        }
    }
    board::exit(good)
}

/// The shapes of the host's tests, all widths, both fills and all alignments, on this processor.
fn check_tables() -> bool {
    let convs = shapes::CONVS.iter().map(|shape| Op::Conv(*shape));
    let depthwise = shapes::DEPTHWISE.iter().map(|shape| Op::Depthwise(*shape));
    let connected = shapes::FULLY_CONNECTED.iter().map(|shape| Op::Fc(*shape));
    let (mut cases, mut wrong) = (0u32, 0u32);
    for op in convs.chain(depthwise).chain(connected) {
        for (index, (w_bits, in_bits, out_bits)) in harness::all_widths().enumerate() {
            for fill in [Fill::Uniform, Fill::Extreme] {
                // SAFETY: the previous case is gone.
                unsafe { HEAP.reset() };
                let setting = Setting { variant: Variant::General, w_bits, in_bits, out_bits, fill, offset: index % 4, seed: 1 };
                cases += 1;
                if let Err(difference) = check(op, setting) {
                    wrong += 1;
                    let _ = writeln!(Uart, "WRONG {difference}");
                }
            }
        }
    }
    let _ = writeln!(Uart, "# {cases} cases of the shape tables, {wrong} wrong");
    wrong == 0
}

/// Buffers apart, then as close as the op bears.
fn check(op: Op, setting: Setting) -> Result<(), String> {
    harness::check(op, setting).and_then(|()| harness::check_overlaid(op, setting))
}

/// Random shapes at random widths.
const RANDOM_CASES: u32 = 2000;

fn check_random() -> bool {
    let mut rng = Rng(2);
    let mut wrong = 0u32;
    for _ in 0..RANDOM_CASES {
        // SAFETY: the previous case is gone.
        unsafe { HEAP.reset() };
        let (op, setting) = random::case(&mut rng);
        if let Err(difference) = check(op, setting) {
            wrong += 1;
            let _ = writeln!(Uart, "WRONG {difference}");
        }
    }
    let _ = writeln!(Uart, "# {RANDOM_CASES} random cases, {wrong} wrong");
    wrong == 0
}

/// Counts one layer, checks its output against the oracle and prints a line.
fn measure(layer: &Layer, w_bits: Bits, a_bits: Bits, variant: Variant) -> bool {
    // SAFETY: the previous case is gone.
    unsafe { HEAP.reset() };
    let mut instructions = 0;
    let mut counted = |kernel: &mut dyn FnMut()| instructions = board::count(kernel);
    let verdict = match layer.work {
        Work::Weighted(op) => weighted(op, variant, [w_bits, layer.in_bits(a_bits), a_bits], &mut counted),
        Work::Average(shape) => plain::check_average(shape, a_bits, a_bits, 1, &mut counted),
        Work::Add(pixels, channels) => plain::check_add(pixels, channels, [a_bits; 3], 1, &mut counted),
        Work::Softmax(classes) => plain::check_softmax(classes, a_bits, 1, &mut counted),
    };
    let (w, a, macs) = (w_bits.get(), a_bits.get(), layer.macs());
    let (network, name, op, shape) = (layer.network, layer.name, layer.kind(), layer.shape());
    let scratch = layer.scratch_bytes(variant, [w_bits, a_bits]);
    let (way, usual) = (variant.name(), u8::from(variant == layer.usual(a_bits)));
    let _ = writeln!(Uart, "{network},{name},{op},{shape},{w},{a},{macs},{instructions},{scratch},{way},{usual}");
    if let Err(difference) = &verdict {
        let _ = writeln!(Uart, "WRONG {} {} w{w} a{a} {way}: {difference}", layer.network, layer.name);
    }
    verdict.is_ok()
}

fn weighted(
    op: Op,
    variant: Variant,
    [w_bits, in_bits, out_bits]: [Bits; 3],
    counted: plain::Around<'_>,
) -> Result<(), String> {
    let setting = Setting { variant, w_bits, in_bits, out_bits, fill: Fill::Uniform, offset: 0, seed: 1 };
    let mut case = Case::new(op, setting);
    // What nearly every layer of a real network has: no shift, a fused activation that is the output's range.
    let requant = &mut case.operands.requant;
    *requant = Requant::full_range(0, requant.out_zero, out_bits);
    counted(&mut || case.run());
    case.verify()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(Uart, "{info}");
    board::exit(false)
}
