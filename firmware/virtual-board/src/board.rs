//! A running virtual board, as the outside sees it.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use crate::command::Command;
use crate::error::Error;
use crate::flash::Flash;
use crate::mailbox::{self, Sender};
use crate::options::{Machine, Options};
use crate::serial::Serial;
use crate::server::{Order, Server};

/// An emulated board behind a debug probe on TCP and a pseudo terminal. Dropping it stops it.
pub struct VirtualBoard {
    machine: Machine,
    probe_address: SocketAddr,
    commander: Commander,
    thread: Option<JoinHandle<()>>,
    /// Dropped after the thread has ended, so that the board's last words get out.
    serial: Serial,
}

impl VirtualBoard {
    /// Starts a board: its probe listens, its serial port exists, and it runs what its flash
    /// holds.
    ///
    /// # Errors
    /// When QEMU, the port, the pseudo terminal, the link or the flash file cannot be had.
    pub fn start(options: Options) -> Result<Self, Error> {
        let machine = options.machine;
        let (listener, probe_address) = listen(options.probe_address)?;
        let mut flash = Flash::open(options.flash_file.as_deref())?;
        flash.number_chip()?;
        let (orders, inbox) = mailbox::mailbox().map_err(Error::Serial)?;
        let nudge = orders.clone();
        let serial = Serial::open(options.serial_link.as_deref(), move || {
            // When the board has stopped there is nobody left to nudge.
            nudge.send(Order::NudgeQemu);
        })?;
        let (report, started) = mpsc::sync_channel(1);
        let serial_handle = serial.handle();
        // QEMU is killed when the thread that started it ends, so one thread does it all.
        let body = move || match Server::start(options, serial_handle, flash, listener, inbox) {
            Ok(server) => {
                // The receiver waits for exactly this.
                let _ = report.send(Ok(()));
                server.run();
            }
            Err(error) => {
                let _ = report.send(Err(error));
            }
        };
        let thread = thread::Builder::new().name("board".into()).spawn(body);
        let thread = thread.map_err(Error::Serial)?;
        let board = Self { machine, probe_address, commander: Commander(orders), thread: Some(thread), serial };
        started.recv().unwrap_or(Err(Error::Stopped))?;
        Ok(board)
    }

    /// What probe-rs opens: `1d50:6018:ADDRESS:PORT`.
    pub fn probe_selector(&self) -> String {
        format!("1d50:6018:{}", self.probe_address)
    }

    /// The serial port to open.
    pub fn serial_path(&self) -> &Path {
        self.serial.path()
    }

    /// The emulated machine.
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// A handle by which other threads can command the board.
    pub fn commander(&self) -> Commander {
        self.commander.clone()
    }

    /// Commands the board and waits until it has obeyed.
    ///
    /// # Errors
    /// When the board cannot obey, or has stopped.
    pub fn command(&self, command: Command) -> Result<(), Error> {
        self.commander.command(command)
    }

    /// The process id of the QEMU behind the board; it changes when QEMU had to be replaced.
    /// `None` while there is none.
    ///
    /// # Errors
    /// When the board has stopped.
    pub fn qemu_pid(&self) -> Result<Option<u32>, Error> {
        self.commander.ask(Order::QemuPid)
    }
}

impl Drop for VirtualBoard {
    fn drop(&mut self) {
        self.commander.0.send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so, and has taken QEMU along.
            let _ = thread.join();
        }
    }
}

/// A handle by which to command a board.
#[derive(Clone)]
pub struct Commander(Sender<Order>);

impl Commander {
    /// Commands the board and waits until it has obeyed.
    ///
    /// # Errors
    /// When the board cannot obey, or has stopped.
    pub fn command(&self, command: Command) -> Result<(), Error> {
        self.ask(|reply| Order::Obey(command, reply))?
    }

    fn ask<T>(&self, order: impl FnOnce(mpsc::Sender<T>) -> Order) -> Result<T, Error> {
        let (reply, answer) = mpsc::channel();
        self.0.send(order(reply));
        answer.recv().map_err(|_| Error::Stopped)
    }
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
