//! A board's serial line, for this daemon alone: `serialport` sets the kernel's exclusive mode and locks the port, so that
//! a second program is told that it is busy, root's included.

use std::path::Path;
use std::time::Duration;

use bitrack_wire::client::{Client, Patience};
use serialport::SerialPort;

use super::Fault;

/// Reads return at least this often, so that deadlines are kept.
const READ_TIMEOUT: Duration = Duration::from_millis(10);

/// A conversation over a serial port.
pub type Line = Client<Box<dyn SerialPort>>;

/// Opens the port and begins a conversation. Nothing is sent yet.
///
/// # Errors
/// [`Fault::Port`] naming the port: it is missing, busy, or no port.
pub fn open_line(path: &Path, baud: u32) -> Result<Line, Fault> {
    let fault = |reason: String| Fault::Port { port: path.to_owned(), reason };
    let opened = serialport::new(path.to_string_lossy(), baud).timeout(READ_TIMEOUT).open();
    let port = opened.map_err(|e| match e.to_string() {
        text if text.contains("busy") || text.contains("lock") => {
            fault(format!("busy, another program uses it: {text}"))
        }
        text => fault(text),
    })?;
    Ok(Client::new(port, Patience::default()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::PathBuf;

    use super::*;

    fn pseudo_terminal() -> (serialport::TTYPort, PathBuf) {
        let (master, slave) = serialport::TTYPort::pair().expect("a pseudo terminal");
        let name = slave.name().expect("pairs have names");
        (master, name.into())
    }

    #[test]
    fn a_missing_port_is_named() {
        let error = open_line(Path::new("/dev/serial/by-id/nothing"), 115_200).err().expect("no port");
        assert!(error.to_string().contains("/dev/serial/by-id/nothing"), "{error}");
        assert_eq!(error.what(), "serial");
    }

    #[test]
    fn a_file_is_no_port() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert!(matches!(open_line(file.path(), 115_200), Err(Fault::Port { .. })));
    }

    #[test]
    fn a_port_in_use_is_busy_and_free_again_afterwards() {
        let (_master, path) = pseudo_terminal();
        let first = open_line(&path, 115_200).map_err(|e| e.to_string()).expect("free");
        let error = open_line(&path, 115_200).err().expect("busy").to_string();
        assert!(error.contains("busy") && error.contains(&path.display().to_string()), "{error}");
        drop(first);
        assert!(open_line(&path, 115_200).is_ok());
    }

    #[test]
    fn garbage_on_the_line_is_not_taken_for_a_board() {
        let (mut master, path) = pseudo_terminal();
        let mut line = open_line(&path, 115_200).map_err(|e| e.to_string()).expect("free");
        master.write_all(b"U-Boot 2024.01\r\nHit any key\0\0\x01\x02").expect("sent");
        assert!(line.hello(Duration::from_millis(50)).is_err());
        assert!(line.damaged_frames() > 0, "it was read, and seen to be garbage");
    }
}
