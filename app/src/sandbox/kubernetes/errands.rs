//! Errands to the files of a Pod: each is one start of our program beside them, and one answer.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use crate::sandbox::SandboxError;
use crate::sandbox::errand::{self, Answer, Errand, Place};
use crate::sandbox::kubernetes::connection::Connection;
use crate::sandbox::kubernetes::life::Life;
use crate::sandbox::kubernetes::pod::FILES;
use crate::sandbox::resident::machine;
use crate::sandbox::stamps::LOOK_TIMEOUT;
use crate::sandbox::tarball::{self, Bounds};

/// How long reading, writing or searching may take.
const ERRAND_TIMEOUT: Duration = Duration::from_secs(120);
/// How long carrying a tree may take.
const TREE_TIMEOUT: Duration = Duration::from_secs(1800);

/// What is carried out of a Pod at most, below what the workspace may have there: it goes through the cluster's API, and all
/// of it is written here. In bytes of all files together, and in files, directories and links.
const COLLECTED_BYTES_MAX: u64 = 4 << 30;
const COLLECTED_ENTRIES_MAX: u64 = 1_000_000;

/// Who does errands in one Pod.
pub(super) struct Errands {
    /// Our program in the image that keeps the files.
    pub(super) program: String,
    pub(super) bounds: Bounds,
}

impl Errands {
    /// Does one that has no tree.
    pub(super) async fn run(&self, life: &Life, context: &str, errand: Errand) -> Result<Answer, SandboxError> {
        // A look that takes too long ends by itself, and says so.
        let is_look = matches!(errand, Errand::Stamp(_));
        let time = if is_look { LOOK_TIMEOUT + ERRAND_TIMEOUT } else { ERRAND_TIMEOUT };
        let answer = self.start(life, context, time, errand, |_| Ok(())).await?;
        answered(context, answer)
    }

    /// Carries a folder of this machine into the Pod.
    pub(super) async fn send(&self, life: &Life, folder: &Path, place: Place) -> Result<(), SandboxError> {
        const CONTEXT: &str = "carrying files into the Pod";
        let (folder, bounds) = (folder.to_owned(), self.bounds);
        let errand = Errand::Unpack { place, n_bytes: bounds.n_bytes, n_entries: bounds.n_entries };
        let answer = self.start(life, CONTEXT, TREE_TIMEOUT, errand, move |stream| {
            let root = Dir::open_ambient_dir(&folder, ambient_authority())?;
            tarball::pack(&root, io::BufWriter::with_capacity(CHUNK_BYTES, stream), bounds)
        });
        answered(CONTEXT, answer.await?).map(drop)
    }

    /// Carries a folder of the Pod out and puts it in the place of one of this machine, all of it or nothing.
    pub(super) async fn fetch(&self, life: &Life, place: Place, folder: &Path) -> Result<(), SandboxError> {
        const CONTEXT: &str = "carrying files out of the Pod";
        let broken = |error: io::Error| machine(CONTEXT, error);
        let beside = folder.parent().unwrap_or(Path::new("/"));
        let made = tempfile::Builder::new().prefix(".patchwright-").tempdir_in(beside).map_err(broken)?;
        let tree = made.path().join("tree");
        std::fs::create_dir(&tree).map_err(broken)?;
        let bounds = self.collected();
        let errand = Errand::Pack { place, n_bytes: bounds.n_bytes, n_entries: bounds.n_entries };
        let into = tree.clone();
        let answer = self.start(life, CONTEXT, TREE_TIMEOUT, errand, move |stream| {
            let root = Dir::open_ambient_dir(&into, ambient_authority())?;
            tarball::unpack(&root, stream, bounds)
        });
        answer.await.and_then(|answer| answered(CONTEXT, answer)).map_err(|error| advised(error, bounds))?;
        put(tree, folder.to_owned(), made).await.map_err(broken)
    }

    /// What may come out.
    fn collected(&self) -> Bounds {
        let Bounds { n_bytes, n_entries } = self.bounds;
        Bounds { n_bytes: n_bytes.min(COLLECTED_BYTES_MAX), n_entries: n_entries.min(COLLECTED_ENTRIES_MAX) }
    }

    async fn start(
        &self,
        life: &Life,
        context: &str,
        time: Duration,
        errand: Errand,
        work: impl FnOnce(&mut Blocking) -> io::Result<()> + Send + 'static,
    ) -> Result<Answer, SandboxError> {
        let command = vec![self.program.clone(), "in-pod".to_owned(), "errand".to_owned()];
        let connection = life.cluster.execute(&life.name, FILES, command).await?;
        let runtime = Handle::current();
        let done = tokio::task::spawn_blocking(move || {
            let mut stream = Blocking { connection, runtime, until: Instant::now() + time };
            let worked = errand::frame(&errand).and_then(|frame| stream.write_all(&frame)).and_then(|()| stream.flush());
            let worked = worked.and_then(|()| work(&mut stream));
            // What it says outranks what became of the stream: it may have ended it for a reason.
            let answer = match (&worked, errand) {
                (Err(error), Errand::Pack { .. }) => Err(io::Error::new(error.kind(), error.to_string())),
                _ => errand::receive::<Answer>(&mut stream),
            };
            (answer.map_err(|error| worked.err().unwrap_or(error)), stream.connection)
        });
        let (answer, mut connection) = done.await.map_err(|error| machine(context, io::Error::other(error)))?;
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe) => {
                let complaint = connection.complaint().await;
                let why = if complaint.is_empty() { "the connection to the Pod was cut".to_owned() } else { complaint };
                Err(machine(context, io::Error::new(error.kind(), why)))
            }
            Err(error) => Err(machine(context, error)),
        }
    }
}

/// Says of a tree that is too large what to do about it.
fn advised(error: SandboxError, bounds: Bounds) -> SandboxError {
    match error {
        SandboxError::Machine { context, source } if source.to_string().contains(tarball::TOO_LARGE) => {
            let (n_mib, n_entries) = (bounds.n_bytes >> 20, bounds.n_entries);
            let most = format!(
                "{source}: {n_mib} MiB in {n_entries} entries. Have the repository's commands remove what they build, or keep it \
                 in /tmp; where `sandbox.limits.disk_mib` or `files` is lower than that, raise it"
            );
            SandboxError::Machine { context, source: io::Error::new(source.kind(), most) }
        }
        error @ (SandboxError::Machine { .. } | SandboxError::Path { .. } | SandboxError::Refused(_)) => error,
    }
}

fn answered(context: &str, answer: Answer) -> Result<Answer, SandboxError> {
    match answer {
        Answer::Refused { path, reason } => Err(SandboxError::Path { path, reason }),
        Answer::Failed(why) => Err(machine(context, io::Error::other(why))),
        answer @ (Answer::Done | Answer::File(_) | Answer::Found(_) | Answer::Stamped(_) | Answer::Reached { .. }) => Ok(answer),
    }
}

/// Puts a tree in the place of a folder and removes what was there.
async fn put(tree: PathBuf, folder: PathBuf, made: tempfile::TempDir) -> io::Result<()> {
    let done = tokio::task::spawn_blocking(move || {
        renameat_with(CWD, &tree, CWD, &folder, RenameFlags::EXCHANGE)?;
        made.close()
    });
    done.await.map_err(io::Error::other)?
}

/// How much is sent at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// A connection for a thread that may wait, until its time is over.
struct Blocking {
    connection: Connection,
    runtime: Handle,
    until: Instant,
}

impl Read for Blocking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.runtime.block_on(async { timeout_at(self.until, self.connection.read(buffer)).await });
        read.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Write for Blocking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.runtime.block_on(async { timeout_at(self.until, self.connection.write(bytes)).await });
        written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.runtime.block_on(async { timeout_at(self.until, self.connection.flush()).await });
        flushed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}
