//! Messages with descriptors over the connection to the supervisor.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::spec::{self, LENGTH_BYTES};

/// The most descriptors that one message brings.
const DESCRIPTORS_MAX: usize = 4;
/// The most that is taken of a message at a time, in bytes.
const CHUNK_BYTES_MAX: usize = 16 * 1024;

/// Sends the beginning of `bytes` with descriptors, as much as fits; the rest follows without them.
///
/// # Errors
/// What `sendmsg(2)` says, `WouldBlock` among it.
pub fn send_some(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
}

/// Receives the length of a message and the descriptors that come with it; `None` at the end of the connection.
///
/// # Errors
/// What `recvmsg(2)` says, `WouldBlock` among it.
pub fn receive_some(socket: impl AsFd, length: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    receive_with(socket, length, RecvFlags::empty())
}

fn receive_with(socket: impl AsFd, bytes: &mut [u8], flags: RecvFlags) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let n_bytes = recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut control, flags | RecvFlags::CMSG_CLOEXEC)?.bytes;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        match message {
            RecvAncillaryMessage::ScmRights(received) => descriptors.extend(received),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    Ok((n_bytes, descriptors))
}

/// Sends one whole message.
pub(crate) fn send(mut socket: &UnixStream, message: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let frame = spec::frame(message)?;
    let n_sent = send_some(socket, &frame, descriptors)?;
    socket.write_all(&frame[n_sent..])
}

/// Receives one whole message with its descriptors, waiting for all of it; `None` where the supervisor is gone.
pub(crate) fn receive<T: DeserializeOwned>(mut socket: &UnixStream) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut length = [0; LENGTH_BYTES];
    let (n_bytes, descriptors) = receive_some(socket, &mut length)?;
    if n_bytes == 0 {
        return Ok(None);
    }
    socket.read_exact(&mut length[n_bytes..])?;
    let mut json = vec![0; spec::length(length)?];
    socket.read_exact(&mut json)?;
    Ok(Some((serde_json::from_slice(&json)?, descriptors)))
}

/// What has come so far of the message that comes next. Whoever has other things to do takes what is there and comes back
/// for the rest, so that half a message holds nothing up.
#[derive(Default)]
pub(crate) struct Inbox {
    /// The length, as far as it has come, and the JSON behind it, unless that is too long to be kept.
    frame: Vec<u8>,
    /// How much of a message that is too long is still to come and to be dropped, in bytes.
    n_dropped: Option<usize>,
    descriptors: Vec<OwnedFd>,
}

/// What an [`Inbox`] holds.
pub(crate) enum Incoming<T> {
    Message(T, Vec<OwnedFd>),
    /// The whole of something that is no message; the next one can still be understood.
    Unusable(io::Error, Vec<OwnedFd>),
    /// The rest is still on its way.
    Partial,
    /// The supervisor is gone.
    End,
}

impl Inbox {
    /// Takes what is there, up to the end of a message, without waiting for more.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, socket: &UnixStream) -> io::Result<Incoming<T>> {
        loop {
            let mut chunk = [0; CHUNK_BYTES_MAX];
            let n_wanted = self.n_missing()?.min(CHUNK_BYTES_MAX);
            if n_wanted == 0 {
                return Ok(self.whole());
            }
            let (n_bytes, descriptors) = match receive_with(socket, &mut chunk[..n_wanted], RecvFlags::DONTWAIT) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Incoming::Partial),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if n_bytes == 0 {
                return Ok(Incoming::End);
            }
            self.descriptors.extend(descriptors.into_iter().take(DESCRIPTORS_MAX.saturating_sub(self.descriptors.len())));
            match &mut self.n_dropped {
                Some(n_dropped) => *n_dropped -= n_bytes,
                None => self.frame.extend_from_slice(&chunk[..n_bytes]),
            }
        }
    }

    /// How much is still to come of what this message says is its length. Never more is read: the descriptors of the next
    /// message come with the first of its bytes.
    fn n_missing(&mut self) -> io::Result<usize> {
        if let Some(n_dropped) = self.n_dropped {
            return Ok(n_dropped);
        }
        let Some((length, json)) = self.frame.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(LENGTH_BYTES - self.frame.len());
        };
        match spec::length(*length) {
            Ok(n_bytes) => Ok(n_bytes - json.len()),
            Err(_) => {
                let n_bytes = usize::try_from(u32::from_be_bytes(*length)).map_err(io::Error::other)?;
                self.n_dropped = Some(n_bytes);
                Ok(n_bytes)
            }
        }
    }

    fn whole<T: DeserializeOwned>(&mut self) -> Incoming<T> {
        let Inbox { frame, n_dropped, descriptors } = std::mem::take(self);
        if n_dropped.is_some() {
            let most = format!("it is longer than {} bytes", spec::SPEC_BYTES_MAX);
            return Incoming::Unusable(io::Error::new(io::ErrorKind::InvalidData, most), descriptors);
        }
        match serde_json::from_slice(frame.get(LENGTH_BYTES..).unwrap_or_default()) {
            Ok(message) => Incoming::Message(message, descriptors),
            Err(error) => Incoming::Unusable(error.into(), descriptors),
        }
    }
}
