//! QEMU's side: C plugin interface, version 1 (`qemu-plugin.h`), declared by hand for the few functions in use.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs::File;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::thumb::{Kind, kind};

type Id = u64;

#[repr(C)]
struct Block {
    _private: [u8; 0],
}

#[repr(C)]
struct RawInstruction {
    _private: [u8; 0],
}

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: Id, call: extern "C" fn(Id, *mut Block));
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut RawInstruction;
    fn qemu_plugin_insn_data(instruction: *const RawInstruction) -> *const u8;
    fn qemu_plugin_insn_size(instruction: *const RawInstruction) -> usize;
    fn qemu_plugin_insn_vaddr(instruction: *const RawInstruction) -> u64;
    fn qemu_plugin_register_vcpu_tb_exec_cb(
        block: *mut Block,
        call: extern "C" fn(u32, *mut c_void),
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut RawInstruction,
        call: extern "C" fn(u32, *mut c_void),
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_insn_exec_inline(
        instruction: *mut RawInstruction,
        op: c_int,
        counter: *mut c_void,
        amount: u64,
    );
}

/// No access to registers is asked for.
const NO_REGISTERS: c_int = 0;
const ADD_U64: c_int = 0;

/// The hint that the measured program executes before and after what is to be counted: no processor acts on it.
const MARKER: [u8; 2] = 0xBF50u16.to_le_bytes();

/// Which version of the interface this is written against.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static qemu_plugin_version: c_int = 1;

/// Cycles so far. QEMU adds to it from generated code.
static CYCLES: AtomicU64 = AtomicU64::new(0);

/// Where control goes on if nothing branches.
static NEXT_IN_LINE: AtomicU64 = AtomicU64::new(0);

/// Cycles at the last marker, or `u64::MAX` outside a pair of markers.
static STARTED_AT: AtomicU64 = AtomicU64::new(u64::MAX);

static OUTPUT: Mutex<Option<File>> = Mutex::new(None);

/// QEMU's entry point: takes `out=FILE`, which gets one number per pair of markers. Anything but zero ends QEMU.
///
/// # Safety
/// As QEMU promises: `arguments` are `count` strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: Id,
    _info: *const c_void,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    let path = (0..usize::try_from(count).unwrap_or(0)).find_map(|index| {
        // SAFETY: the caller's promise.
        let argument = unsafe { CStr::from_ptr(*arguments.add(index)) };
        argument.to_str().ok()?.strip_prefix("out=")
    });
    let Some(file) = path.and_then(|path| File::create(path).ok()) else { return 1 };
    let Ok(mut output) = OUTPUT.lock() else { return 1 };
    *output = Some(file);
    // SAFETY: the identifier is the one that QEMU gave us.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, translated) };
    0
}

/// A block of instructions was translated: say what to do whenever it is executed.
extern "C" fn translated(_id: Id, block: *mut Block) {
    let mut before = None;
    let mut span: Option<Span> = None;
    // SAFETY: the block and its instructions live as long as this call.
    for index in 0..unsafe { qemu_plugin_tb_n_insns(block) } {
        // SAFETY: as above.
        let instruction = unsafe { Instruction::describe(qemu_plugin_tb_get_insn(block, index)) };
        before = Some(instruction.count(before));
        span = Some(Span { start: span.map_or(instruction.address, |span| span.start), end: instruction.end() });
    }
    if let Some(span) = span {
        // Blocks are translated once or a few times, and executed for as long as the program runs.
        let span: &'static mut Span = Box::leak(Box::new(span));
        // SAFETY: the data lives forever; the call takes what it is given here.
        unsafe { qemu_plugin_register_vcpu_tb_exec_cb(block, entered, NO_REGISTERS, (&raw mut *span).cast()) };
    }
}

/// Addresses of a block, which is executed from its first instruction to its last.
struct Span {
    start: u64,
    end: u64,
}

struct Instruction<'a> {
    raw: *mut RawInstruction,
    address: u64,
    bytes: &'a [u8],
}

impl Instruction<'_> {
    /// # Safety
    /// `raw` is QEMU's, and the block that it belongs to is being translated.
    unsafe fn describe(raw: *mut RawInstruction) -> Self {
        // SAFETY: the caller's promise; `size` bytes are there.
        unsafe {
            let bytes = std::slice::from_raw_parts(qemu_plugin_insn_data(raw), qemu_plugin_insn_size(raw));
            Instruction { raw, address: qemu_plugin_insn_vaddr(raw), bytes }
        }
    }

    fn end(&self) -> u64 {
        self.address + self.bytes.len() as u64
    }

    /// Has its cycles counted, or what it marks noticed.
    fn count(&self, before: Option<Kind>) -> Kind {
        let kind = kind(self.bytes);
        let cycles = 1 + kind.extra_cycles(before);
        // SAFETY: the instruction is being translated; the counter lives forever.
        unsafe {
            qemu_plugin_register_vcpu_insn_exec_inline(self.raw, ADD_U64, CYCLES.as_ptr().cast(), cycles);
            if self.bytes == MARKER {
                qemu_plugin_register_vcpu_insn_exec_cb(self.raw, marked, NO_REGISTERS, std::ptr::null_mut());
            }
        }
        kind
    }
}

/// A block is entered: by a branch, unless it begins where the last one ended.
extern "C" fn entered(_cpu: u32, span: *mut c_void) {
    // SAFETY: `translated` passed a span that lives forever.
    let span = unsafe { &*span.cast::<Span>() };
    if NEXT_IN_LINE.swap(span.end, Ordering::Relaxed) != span.start {
        CYCLES.fetch_add(2, Ordering::Relaxed);
    }
}

extern "C" fn marked(_cpu: u32, _data: *mut c_void) {
    let now = CYCLES.load(Ordering::Relaxed);
    let started = STARTED_AT.swap(now, Ordering::Relaxed);
    if started == u64::MAX {
        return;
    }
    STARTED_AT.store(u64::MAX, Ordering::Relaxed);
    if let Ok(mut output) = OUTPUT.lock()
        && let Some(file) = output.as_mut()
    {
        // A file that cannot be written ends too early, which the reader notices.
        let _ = writeln!(file, "{}", now - started);
    }
}
