//! Counts the instructions of every layer of the MLPerf Tiny networks on an emulated board, and checks every output.
//!
//! Prints one line `network,layer,op,wbits,abits,macs,instructions` per layer and combination of widths.
#![no_std]
#![no_main]

extern crate alloc;

mod board;
#[path = "../../tests/harness/mod.rs"]
#[allow(dead_code)]
mod harness;
mod networks;

use core::fmt::Write;
use core::panic::PanicInfo;

use bitrack_kernels::Bits;
use board::{Bump, Uart};
use harness::{Case, Fill, Setting};
use networks::Layer;

#[global_allocator]
static HEAP: Bump = Bump::new();

#[cortex_m_rt::entry]
fn main() -> ! {
    board::start_counter();
    let mut good = true;
    for w_bits in Bits::ALL {
        for in_bits in Bits::ALL {
            for layer in networks::LAYERS {
                good &= measure(layer, w_bits, in_bits);
            }
        }
    }
    board::exit(good)
}

fn measure(layer: &Layer, w_bits: Bits, a_bits: Bits) -> bool {
    // SAFETY: the previous case is gone.
    unsafe { HEAP.reset() };
    let setting = Setting { w_bits, in_bits: a_bits, out_bits: a_bits, fill: Fill::Uniform, offset: 0, seed: 1 };
    let mut case = Case::new(layer.op, setting);
    case.operands.requant.shift = 0;
    case.operands.requant.act_min = 0;
    case.operands.requant.act_max = a_bits.max_activation();
    let instructions = board::count(|| case.run());
    let verdict = case.verify();
    let (w, a) = (w_bits.get(), a_bits.get());
    let macs = layer.macs();
    let milli = u64::from(instructions) * 1000 / macs.max(1);
    let _ = writeln!(Uart, "{},{},{},{w},{a},{macs},{instructions},{milli}", layer.network, layer.name, layer.kind());
    if let Err(difference) = &verdict {
        let _ = writeln!(Uart, "WRONG {} {} w{w} a{a}: {difference}", layer.network, layer.name);
    }
    verdict.is_ok()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(Uart, "{info}");
    board::exit(false)
}
