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
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let n_bytes = recvmsg(socket, &mut [IoSliceMut::new(length)], &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes;
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

/// Receives one whole message with its descriptors; `None` where the supervisor is gone.
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
