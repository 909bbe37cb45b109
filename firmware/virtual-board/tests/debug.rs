//! Run control: what a debugger can ask of a core, and what a core can do to a debugger.

mod support;

use std::time::{Duration, Instant};

use bitrack_virtual_board::{Command, FLASH_START, RAM_START, VirtualBoard};
use probe_rs::{Core, CoreStatus, HaltReason, MemoryInterface, RegisterId, VectorCatchCondition};
use serialport::SerialPort;
use support::{PATIENCE, attach, boot, core, flash, program, read, serial, start};

const HALT_TIMEOUT: Duration = Duration::from_secs(5);

fn booted() -> (VirtualBoard, Box<dyn SerialPort>) {
    let board = start();
    let mut port = serial(&board);
    boot(&board, &mut *port);
    (board, port)
}

fn say(port: &mut dyn SerialPort, command: u8) {
    port.write_all(&[command]).expect("written");
}

/// Asks until the core's status is as expected.
fn await_status(core: &mut Core<'_>, is_expected: impl Fn(CoreStatus) -> bool) -> CoreStatus {
    let begin = Instant::now();
    loop {
        let status = core.status().expect("a status");
        if is_expected(status) {
            return status;
        }
        assert!(begin.elapsed() < PATIENCE, "the core stays {status:?}");
    }
}

#[test]
fn registers_and_memory_of_a_halted_core() {
    let (board, _port) = booted();
    let mut session = attach(&board);
    let mut core = core(&mut session);
    let pc = core.halt(HALT_TIMEOUT).expect("halted").pc;
    assert!((FLASH_START as u64..program().len() as u64).contains(&pc), "{pc:#x}");

    // General, floating-point, and special registers, which take different ways.
    let fpscr = 33;
    for (register, value) in
        [(4u16, 0x1234_5678u32), (12, 1), (64, 0x3F80_0000), (65, 0x4000_0000), (fpscr, 0x0300_0000)]
    {
        core.write_core_reg(RegisterId(register), value).expect("written");
    }
    for (register, value) in
        [(4u16, 0x1234_5678u32), (12, 1), (64, 0x3F80_0000), (65, 0x4000_0000), (fpscr, 0x0300_0000)]
    {
        let read: u32 = core.read_core_reg(RegisterId(register)).expect("read");
        assert_eq!(read, value, "register {register}");
    }
    let (sp, msp, psp) = (13, 17, 18);
    let stack: u32 = core.read_core_reg(RegisterId(msp)).expect("MSP");
    assert_eq!(stack, core.read_core_reg::<u32>(RegisterId(sp)).expect("SP"));
    core.write_core_reg(RegisterId(psp), 0x2000_8000u32).expect("PSP");
    assert_eq!(core.read_core_reg::<u32>(RegisterId(psp)).expect("PSP"), 0x2000_8000);
    core.write_core_reg(RegisterId(msp), 0x2000_4000u32).expect("MSP");
    assert_eq!(core.read_core_reg::<u32>(RegisterId(sp)).expect("SP"), 0x2000_4000);
    core.write_core_reg(RegisterId(20), 0x0000_2001u32).expect("BASEPRI, PRIMASK");
    assert_eq!(core.read_core_reg::<u32>(RegisterId(20)).expect("packed"), 0x0000_2001);
    assert_eq!(core.read_core_reg::<u32>(core.program_counter()).expect("PC"), pc as u32);

    core.write_32(u64::from(RAM_START) + 0x100, &[1, 2, 3]).expect("written");
    core.write_8(u64::from(RAM_START) + 0x105, &[0xAA]).expect("written");
    assert_eq!(core.read_word_32(u64::from(RAM_START) + 0x104).expect("read"), 0xAA02);
}

#[test]
fn breakpoint_and_steps() {
    let (board, mut port) = booted();
    let mut session = attach(&board);
    let mut core = core(&mut session);
    core.halt(HALT_TIMEOUT).expect("halted");
    // Where `count` is in program.s, says arm-none-eabi-nm.
    let count = 0x48;
    core.set_hw_breakpoint(count).expect("a breakpoint");
    core.run().expect("running");
    say(&mut *port, b'c');
    core.wait_for_core_halted(HALT_TIMEOUT).expect("halted");
    let status = core.status().expect("a status");
    assert!(matches!(status, CoreStatus::Halted(HaltReason::Breakpoint(_))), "{status:?}");
    assert_eq!(core.read_core_reg::<u32>(core.program_counter()).expect("PC"), count as u32);
    assert_eq!(core.step().expect("a step").pc, count + 2);
    assert_eq!(core.step().expect("a step").pc, count + 4);
    core.clear_hw_breakpoint(count).expect("cleared");
    core.run().expect("running");
    assert_eq!(read(&mut *port, 8).len(), 8);
}

#[test]
fn bkpt_in_the_program_halts_and_goes_on() {
    let (board, mut port) = booted();
    let mut session = attach(&board);
    let mut core = core(&mut session);
    // On the main stack and on the process stack, where an operating system's threads run.
    for command in *b"bp" {
        say(&mut *port, command);
        let status = await_status(&mut core, |status| status.is_halted());
        assert!(matches!(status, CoreStatus::Halted(HaltReason::Breakpoint(_))), "{status:?}");
        let pc: u32 = core.read_core_reg(core.program_counter()).expect("PC");
        assert_eq!(core.read_word_16(u64::from(pc)).expect("an instruction"), 0xBE01);
        core.run().expect("running");
        assert_eq!(read(&mut *port, 1), b"B");
    }
}

#[test]
fn bkpt_without_a_debugger_is_a_hard_fault() {
    let (_board, mut port) = booted();
    say(&mut *port, b'b');
    assert_eq!(read(&mut *port, 1), b"!");
}

#[test]
fn hard_fault_is_caught_when_asked_for() {
    let (board, mut port) = booted();
    let mut session = attach(&board);
    let mut core = core(&mut session);
    core.enable_vector_catch(VectorCatchCondition::HardFault).expect("enabled");
    core.halt(HALT_TIMEOUT).expect("halted");
    core.run().expect("running");
    say(&mut *port, b'u');
    let status = await_status(&mut core, |status| status.is_halted());
    assert_eq!(status, CoreStatus::Halted(HaltReason::Exception));
}

#[test]
fn sleeping_core_is_halted_stepped_and_reflashed() {
    let (board, mut port) = booted();
    say(&mut *port, b's');
    assert_eq!(read(&mut *port, 1), b"S");
    {
        let mut session = attach(&board);
        let mut core = core(&mut session);
        core.halt(HALT_TIMEOUT).expect("halted");
        let pc = core.step().expect("a step").pc;
        assert_ne!(core.step().expect("a step").pc, pc);
    }
    boot(&board, &mut *port);
}

#[test]
fn blank_flash_locks_the_core_up_and_is_still_flashed() {
    let board = start();
    let mut session = attach(&board);
    core(&mut session).reset().expect("reset");
    await_status(&mut core(&mut session), |status| status == CoreStatus::LockedUp);
    flash(&mut session, 0, &program()).expect("flashed");
    drop(session);
    let mut port = serial(&board);
    boot(&board, &mut *port);
}

#[test]
fn lockup_that_kills_qemu_is_survived_with_the_flash() {
    let (board, mut port) = booted();
    let before = board.qemu_pid().expect("a board");
    // The program faults in its HardFault handler: nobody can foresee that.
    say(&mut *port, b'u');
    assert_eq!(read(&mut *port, 1), b"!");
    let mut session = attach(&board);
    await_status(&mut core(&mut session), |status| matches!(status, CoreStatus::LockedUp | CoreStatus::Halted(_)));
    assert_ne!(board.qemu_pid().expect("a board"), before);
    // No reset since the program was flashed: the copy has to know it all the same.
    core(&mut session).reset().expect("reset");
    assert_eq!(read(&mut *port, 1), b">");
}

#[test]
fn reset_button_and_reset_by_the_program() {
    let (board, mut port) = booted();
    board.command(Command::Reset).expect("reset");
    assert_eq!(read(&mut *port, 1), b">");
    say(&mut *port, b'r');
    assert_eq!(read(&mut *port, 1), b">");
}

#[test]
fn held_in_reset_it_cannot_be_halted_and_says_nothing() {
    let (board, mut port) = booted();
    board.command(Command::HoldReset(true)).expect("held");
    let mut session = support::try_attach(&board.probe_selector(), board.machine());
    let halted = session.as_mut().map(|session| {
        let mut core = session.core(0)?;
        core.reset_and_halt(Duration::from_millis(100))
    });
    assert!(!matches!(halted, Ok(Ok(_))), "a core in reset was halted");
    drop(session);
    say(&mut *port, b'c');
    board.command(Command::HoldReset(false)).expect("released");
    // The command was lost in reset or is answered after it; either way the boot comes first.
    assert_eq!(read(&mut *port, 1), b">");
}

#[test]
fn attach_under_reset() {
    let (board, _port) = booted();
    let mut registry = probe_rs::config::Registry::new();
    registry.add_target_family_from_yaml(bitrack_virtual_board::TARGET_YAML).expect("a description");
    let selector: probe_rs::probe::DebugProbeSelector = board.probe_selector().parse().expect("a selector");
    let mut probe = probe_rs::probe::list::Lister::new().open(selector).expect("a probe");
    probe.select_protocol(probe_rs::probe::WireProtocol::Swd).expect("SWD");
    let target = registry.get_target_by_name("mps2-an386").expect("a target");
    let mut session = probe.attach_under_reset(target, probe_rs::Permissions::default()).expect("attached under reset");
    let mut core = core(&mut session);
    let pc: u32 = core.read_core_reg(core.program_counter()).expect("PC");
    assert_eq!(pc, 0x10, "not at the reset vector");
}
