//! A channel whose receiver can be polled together with sockets.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc;

/// The sending end.
pub(crate) struct Sender<T> {
    messages: mpsc::Sender<T>,
    wake: Arc<UnixStream>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { messages: self.messages.clone(), wake: Arc::clone(&self.wake) }
    }
}

impl<T> Sender<T> {
    /// Sends a message; false when the receiver is gone.
    pub(crate) fn send(&self, message: T) -> bool {
        let sent = self.messages.send(message).is_ok();
        // A full socket wakes as well as one byte more would.
        let _ = (&*self.wake).write(&[0]);
        sent
    }
}

/// The receiving end.
pub(crate) struct Receiver<T> {
    messages: mpsc::Receiver<T>,
    wake: UnixStream,
}

impl<T> Receiver<T> {
    /// Readable when a message has come.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// The messages that have come.
    pub(crate) fn drain(&self) -> impl Iterator<Item = T> {
        let mut scratch = [0; 64];
        while (&self.wake).read(&mut scratch).is_ok_and(|count| count > 0) {}
        self.messages.try_iter()
    }
}

/// A new channel.
pub(crate) fn mailbox<T>() -> std::io::Result<(Sender<T>, Receiver<T>)> {
    let (near, far) = UnixStream::pair()?;
    near.set_nonblocking(true)?;
    far.set_nonblocking(true)?;
    let (sender, receiver) = mpsc::channel();
    Ok((Sender { messages: sender, wake: Arc::new(near) }, Receiver { messages: receiver, wake: far }))
}
