//! The control socket: lines of text in, `ok` or `error ...` out.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread;

use bitrack_virtual_board::{Command, Commander, Error};

/// A listening control socket; its file is removed when dropped. Its threads live as long as the
/// process.
pub(crate) struct ControlSocket {
    path: PathBuf,
}

impl ControlSocket {
    /// Listens on `path`, in place of a socket that nobody listens on any more.
    pub(crate) fn open(path: PathBuf, commander: Commander) -> Result<Self, Error> {
        let failed = |source| Error::Control { path: path.clone(), source };
        let is_stale = UnixStream::connect(&path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
        if is_stale {
            std::fs::remove_file(&path).map_err(failed)?;
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        thread::Builder::new().name("control".into()).spawn(move || accept(&listener, &commander)).map_err(failed)?;
        Ok(Self { path })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Someone may have removed it meanwhile.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// One thread per connection: a client that says nothing does not keep others waiting.
fn accept(listener: &UnixListener, commander: &Commander) {
    for stream in listener.incoming() {
        let commander = commander.clone();
        let served = stream.and_then(|stream| {
            thread::Builder::new().name("control".into()).spawn(move || {
                if let Err(error) = serve(&stream, &commander) {
                    tracing::info!("a control client is gone: {error}");
                }
            })
        });
        if let Err(error) = served {
            tracing::warn!("a control client cannot be served: {error}");
        }
    }
}

fn serve(stream: &UnixStream, commander: &Commander) -> io::Result<()> {
    let mut answers = stream;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let obeyed = line.parse::<Command>().and_then(|command| commander.command(command));
        match obeyed {
            Ok(()) => answers.write_all(b"ok\n")?,
            Err(error) => answers.write_all(format!("error {error}\n").as_bytes())?,
        }
    }
    Ok(())
}
