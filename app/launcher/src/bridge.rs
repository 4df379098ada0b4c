//! The bridge: a process inside that leads every connection to a port of the loopback on to a Unix socket.
//!
//! It is confined as the command is, which may end it and harms only itself by that. It knows nothing of what is said.

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::fault::{Fault, OrFault, Step};
use crate::spec::Bridge;
use crate::sys;

/// Connections at a time; a further one is closed at once.
const CONNECTIONS_MAX: usize = 64;

/// Takes the port; connections wait in the kernel's queue until [`serve`] runs.
pub(crate) fn listen(bridge: &Bridge) -> Result<TcpListener, Fault> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, bridge.port)).or_fault(Step::Network, "the bridge's port")
}

/// Serves until the namespace ends.
pub(crate) fn serve(listener: &TcpListener, socket: &Path) -> ! {
    let n_open = Arc::new(AtomicUsize::new(0));
    let Err(_) = accept(listener, socket, &n_open);
    sys::processes::exit_now(1)
}

fn accept(listener: &TcpListener, socket: &Path, n_open: &Arc<AtomicUsize>) -> io::Result<Infallible> {
    loop {
        let (inner, _) = listener.accept()?;
        if n_open.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
            n_open.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let (socket, n_open) = (socket.to_owned(), Arc::clone(n_open));
        // A thread that cannot be started drops the connection with its closure, which is all that can be done.
        let _ = std::thread::Builder::new().spawn(move || {
            let _ = carry(&inner, &socket);
            n_open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Carries both directions to their ends.
fn carry(inner: &TcpStream, socket: &Path) -> io::Result<()> {
    let outer = UnixStream::connect(socket)?;
    let _ = inner.set_nodelay(true);
    std::thread::scope(|scope| {
        let there = std::thread::Builder::new().spawn_scoped(scope, || {
            let _ = io::copy(&mut &*inner, &mut &outer);
            let _ = outer.shutdown(Shutdown::Write);
        });
        if there.is_ok() {
            let _ = io::copy(&mut &outer, &mut &*inner).and_then(|_| (&*inner).flush());
        }
        let _ = inner.shutdown(Shutdown::Both);
        let _ = outer.shutdown(Shutdown::Both);
        there.map(drop)
    })
}
