//! One running QEMU: the process and the three conversations with it.
//!
//! - gdbstub ([`gdb`]): run control, core registers, breakpoints;
//! - qtest ([`qtest`]): every memory access, device registers included, also while the core runs.
//!   (The gdbstub answers OK to writes of device registers and drops them.)
//! - QMP ([`qmp`]): reset.
//!
//! All of them, and the UART, are socket pairs that QEMU inherits: there are no files to clean up
//! and nothing to connect to. It does not know debug registers, flash or probes.

mod channel;
mod gdb;
mod process;
mod qmp;
mod qtest;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::error::Error;
use crate::options::Options;
pub(crate) use gdb::CoreRegisters;
use gdb::Gdb;
use process::Process;
use qmp::Qmp;
use qtest::Qtest;

/// A conversation broke off: QEMU is dead or mute and has to be replaced.
#[derive(Debug, thiserror::Error)]
#[error("QEMU does not answer: {0}")]
pub(crate) struct QemuLost(#[from] io::Error);

/// A running QEMU whose core is stopped at first.
pub(crate) struct Qemu {
    process: Process,
    gdb: Gdb,
    qtest: Qtest,
    qmp: Qmp,
}

/// QEMU's ends of the socket pairs.
struct Ends {
    gdb: OwnedFd,
    qtest: OwnedFd,
    qmp: OwnedFd,
    uart: OwnedFd,
}

impl Qemu {
    /// Starts QEMU with its core stopped and waits until it answers. Also gives the board's end
    /// of the UART.
    ///
    /// The calling thread must live as long as the value: when that thread ends, the kernel kills
    /// this QEMU.
    pub(crate) fn start(options: &Options) -> Result<(Self, UnixStream), Error> {
        let broken = |source: io::Error| failure("making sockets", &source, "");
        let (gdb, gdb_end) = UnixStream::pair().map_err(broken)?;
        let (qtest, qtest_end) = UnixStream::pair().map_err(broken)?;
        let (qmp, qmp_end) = UnixStream::pair().map_err(broken)?;
        let (uart, uart_end) = UnixStream::pair().map_err(broken)?;
        let ends = Ends { gdb: gdb_end.into(), qtest: qtest_end.into(), qmp: qmp_end.into(), uart: uart_end.into() };
        let process = spawn(options, &ends)?;
        drop(ends);
        let mut qemu = Self { process, gdb: Gdb::new(gdb), qtest: Qtest::new(qtest), qmp: Qmp::new(qmp) };
        match qemu.greet() {
            Ok(()) => Ok((qemu, uart)),
            Err(lost) => Err(failure("starting", &lost, &qemu.process.last_words())),
        }
    }

    fn greet(&mut self) -> Result<(), QemuLost> {
        self.qmp.greet()?;
        self.gdb.fetch_target_description()
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Kills the process at once, as a fault.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// What QEMU wrote to its standard error, read once it is dead.
    pub(crate) fn last_words(&mut self) -> String {
        self.process.last_words()
    }

    /// Becomes readable when a running core stops or QEMU dies.
    pub(crate) fn stop_fd(&self) -> BorrowedFd<'_> {
        self.gdb.fd()
    }

    /// Becomes readable at events such as a reset by the guest.
    pub(crate) fn event_fd(&self) -> BorrowedFd<'_> {
        self.qmp.fd()
    }

    /// Whether the guest has reset itself since the last call.
    pub(crate) fn take_guest_reset(&mut self) -> Result<bool, QemuLost> {
        self.qmp.take_guest_reset()
    }

    /// Resets core and devices; memory keeps its content. The core must be stopped and stays so.
    pub(crate) fn system_reset(&mut self) -> Result<(), QemuLost> {
        self.qmp.system_reset()
    }

    /// Reads plain memory.
    pub(crate) fn read_memory(&mut self, address: u32, len: usize) -> Result<Vec<u8>, QemuLost> {
        self.qtest.read(address, len)
    }

    /// Writes plain memory.
    pub(crate) fn write_memory(&mut self, address: u32, data: &[u8]) -> Result<(), QemuLost> {
        self.qtest.write(address, data)
    }

    /// Fills plain memory.
    pub(crate) fn fill_memory(&mut self, address: u32, len: u32, byte: u8) -> Result<(), QemuLost> {
        self.qtest.fill(address, len, byte)
    }

    /// Reads a device register of 1, 2 or 4 bytes.
    pub(crate) fn read_device(&mut self, address: u32, width: usize) -> Result<u32, QemuLost> {
        self.qtest.read_device(address, width)
    }

    /// Writes a device register of 1, 2 or 4 bytes.
    pub(crate) fn write_device(&mut self, address: u32, width: usize, value: u32) -> Result<(), QemuLost> {
        self.qtest.write_device(address, width, value)
    }

    /// Reads a word of memory or a device.
    pub(crate) fn read_word(&mut self, address: u32) -> Result<u32, QemuLost> {
        self.qtest.read_device(address, 4)
    }

    /// Lets the stopped core run.
    pub(crate) fn resume(&mut self) -> Result<(), QemuLost> {
        self.gdb.resume()
    }

    /// Lets the stopped core execute one instruction, interrupts masked; false when it has not
    /// finished in time (it sleeps) and runs on.
    pub(crate) fn step(&mut self, timeout: Duration) -> Result<bool, QemuLost> {
        self.gdb.step(timeout)
    }

    /// Waits for a running core to stop by itself; false when it still runs.
    pub(crate) fn wait_for_stop(&mut self, timeout: Duration) -> Result<bool, QemuLost> {
        self.gdb.wait_for_stop(timeout)
    }

    /// Stops the running core.
    pub(crate) fn interrupt(&mut self) -> Result<(), QemuLost> {
        self.gdb.interrupt()
    }

    /// The stopped core's registers.
    pub(crate) fn registers(&mut self) -> Result<CoreRegisters, QemuLost> {
        self.gdb.registers()
    }

    /// Replaces the stopped core's registers.
    pub(crate) fn set_registers(&mut self, registers: &CoreRegisters) -> Result<(), QemuLost> {
        self.gdb.set_registers(registers)
    }

    /// Reads a floating-point register of the stopped core, see [`FloatRegister`].
    pub(crate) fn float_register(&mut self, register: FloatRegister) -> Result<u64, QemuLost> {
        self.gdb.float_register(register)
    }

    /// Writes a floating-point register of the stopped core.
    pub(crate) fn set_float_register(&mut self, register: FloatRegister, value: u64) -> Result<(), QemuLost> {
        self.gdb.set_float_register(register, value)
    }

    /// Plants a breakpoint; it survives resets.
    pub(crate) fn insert_breakpoint(&mut self, address: u32) -> Result<(), QemuLost> {
        self.gdb.breakpoint('Z', address)
    }

    /// Removes a breakpoint.
    pub(crate) fn remove_breakpoint(&mut self, address: u32) -> Result<(), QemuLost> {
        self.gdb.breakpoint('z', address)
    }
}

/// A register of the floating-point unit as the gdbstub numbers them.
#[derive(Clone, Copy)]
pub(crate) enum FloatRegister {
    /// A double register, 0 to 15: the single registers 2n (low half) and 2n + 1.
    Double(u8),
    /// FPSCR.
    Status,
}

fn failure(doing: &'static str, reason: &dyn std::fmt::Display, last_words: &str) -> Error {
    let detail = format!("{reason}. {last_words}");
    Error::Qemu { doing, detail: detail.trim_end().to_owned() }
}

fn spawn(options: &Options, ends: &Ends) -> Result<Process, Error> {
    let arguments = arguments(options, ends);
    let inherited = [&ends.gdb, &ends.qtest, &ends.qmp, &ends.uart].map(AsRawFd::as_raw_fd);
    Process::spawn(&options.qemu, &arguments, &inherited)
        .map_err(|source| Error::QemuSpawn { path: options.qemu.clone(), source })
}

/// `-icount shift=8`: an instruction takes 256 ns of virtual time, so the 25 MHz SysTick advances
/// 6.4 ticks per instruction, exactly and repeatably.
fn arguments(options: &Options, ends: &Ends) -> Vec<String> {
    let mut arguments: Vec<String> =
        ["-nodefaults", "-display", "none", "-S", "-icount", "shift=8"].map(str::to_owned).into();
    arguments.extend(["-M".into(), options.machine.name().into()]);
    for (id, end) in [("gdb", &ends.gdb), ("qtest", &ends.qtest), ("qmp", &ends.qmp), ("uart", &ends.uart)] {
        arguments.push("-chardev".into());
        arguments.push(format!("socket,id={id},fd={}", end.as_raw_fd()));
    }
    let users = [
        ["-gdb", "chardev:gdb"],
        ["-object", "qtest,id=memory,chardev=qtest,log=/dev/null"],
        ["-mon", "chardev=qmp,mode=control"],
        ["-serial", "chardev:uart"],
    ];
    arguments.extend(users.as_flattened().iter().map(|text| (*text).to_owned()));
    arguments
}
