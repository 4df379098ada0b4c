//! What is done to the files of a workspace that lies elsewhere: this program runs there, is told one errand over its
//! standard input, and answers over its standard output.
//!
//! An errand and an answer are four bytes of length, big end first, and JSON. A tree is a tar stream, behind the errand or
//! before the answer. It knows nothing of how the streams are connected.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use patchwright_domain::excerpt::search::{Found, Hit, Search};
use patchwright_domain::patch::FileState;
use patchwright_launcher::spec::{HOME, WORKSPACE};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::sandbox::carried::{Carried, FOLDER};
use crate::sandbox::files::{FILE_BYTES_MAX, Files};
use crate::sandbox::stamps::{Look, Stamps};
use crate::sandbox::tarball::{self, Bounds};
use crate::sandbox::{OBJECTS, SandboxError, search, stamps};

/// The longest errand and the longest answer, in bytes: a few of the largest files.
pub(super) const MESSAGE_BYTES_MAX: u32 = 8 * FILE_BYTES_MAX as u32;

// A tree that may be looked through is also told, whatever is in it.
const _: () = assert!(
    stamps::PATHS_BYTES_MAX + stamps::ENTRIES_MAX * stamps::ENTRY_BYTES_MAX < MESSAGE_BYTES_MAX as usize,
    "what is seen of a tree is one message"
);

/// Where the folders beside the workspace are, for who fills them.
const BESIDE: &str = "/opt/patchwright/beside";

/// One thing to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Errand {
    /// Check that a command can start in this directory.
    Look { directory: String },
    /// Read a file.
    Read { path: String },
    /// Write and delete files, in order.
    Write { changes: Vec<(String, Option<Content>)> },
    /// Search the workspace.
    Search(Looked),
    /// Say when everything in the workspace was changed.
    Stamp(Look),
    /// Lay down the tree that follows.
    Unpack { place: Place, n_bytes: u64, n_entries: u64 },
    /// Send a tree and then the answer.
    Pack { place: Place, n_bytes: u64, n_entries: u64 },
    /// Try to reach these addresses, and what the environment says of the cluster; the answer names those that answer.
    Reach { addresses: Vec<String>, timeout_ms: u64 },
}

/// What a tree is for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    Workspace,
    Home,
    Objects,
    /// What commands see read only beside these, by number.
    Beside(usize),
}

impl Place {
    pub(super) fn path(self) -> PathBuf {
        match self {
            Place::Workspace => WORKSPACE.into(),
            Place::Home => HOME.into(),
            Place::Objects => OBJECTS.into(),
            Place::Beside(number) => Path::new(BESIDE).join(number.to_string()),
        }
    }
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Done,
    File(Option<Content>),
    Found(Box<Sighted>),
    Stamped(Stamps),
    Reached {
        n_tried: usize,
        addresses: Vec<String>,
    },
    /// The path was refused.
    Refused {
        path: String,
        reason: String,
    },
    /// The machine failed.
    Failed(String),
}

/// A file, as it is sent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Content {
    base64: String,
    is_executable: bool,
    is_link: bool,
}

impl From<&FileState> for Content {
    fn from(state: &FileState) -> Content {
        match state {
            FileState::Regular { content, executable } => {
                Content { base64: BASE64.encode(content), is_executable: *executable, is_link: false }
            }
            FileState::Symlink { target } => Content { base64: BASE64.encode(target), is_executable: false, is_link: true },
        }
    }
}

impl TryFrom<Content> for FileState {
    type Error = io::Error;

    fn try_from(sent: Content) -> io::Result<FileState> {
        let content = BASE64.decode(sent.base64).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(match sent.is_link {
            true => FileState::Symlink { target: content },
            false => FileState::Regular { content, executable: sent.is_executable },
        })
    }
}

/// A [`Search`], as it is sent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Looked {
    pattern: String,
    is_literal: bool,
    ignore_case: bool,
    directory: String,
    globs: Vec<String>,
    n_context_lines: usize,
    n_hits_max: usize,
}

impl From<&Search> for Looked {
    fn from(search: &Search) -> Looked {
        let Search { pattern, is_literal, ignore_case, directory, globs, n_context_lines, n_hits_max } = search.clone();
        Looked { pattern, is_literal, ignore_case, directory, globs, n_context_lines, n_hits_max }
    }
}

impl From<Looked> for Search {
    fn from(sent: Looked) -> Search {
        let Looked { pattern, is_literal, ignore_case, directory, globs, n_context_lines, n_hits_max } = sent;
        Search { pattern, is_literal, ignore_case, directory, globs, n_context_lines, n_hits_max }
    }
}

/// What a search [`Found`], as it is sent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Sighted {
    hits: Vec<(String, u64, String, bool)>,
    n_hits_omitted: u64,
    n_files_searched: u64,
    n_files_skipped: u64,
    is_cut_short: bool,
}

impl From<Found> for Sighted {
    fn from(found: Found) -> Sighted {
        let hits = found.hits.into_iter().map(|hit| (hit.path, hit.line, BASE64.encode(hit.text), hit.is_context));
        Sighted {
            hits: hits.collect(),
            n_hits_omitted: found.n_hits_omitted,
            n_files_searched: found.n_files_searched,
            n_files_skipped: found.n_files_skipped,
            is_cut_short: found.is_cut_short,
        }
    }
}

impl TryFrom<Sighted> for Found {
    type Error = io::Error;

    fn try_from(sent: Sighted) -> io::Result<Found> {
        let hits = sent.hits.into_iter().map(|(path, line, text, is_context)| {
            let text = BASE64.decode(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            Ok(Hit { path, line, text, is_context })
        });
        Ok(Found {
            hits: hits.collect::<io::Result<_>>()?,
            n_hits_omitted: sent.n_hits_omitted,
            n_files_searched: sent.n_files_searched,
            n_files_skipped: sent.n_files_skipped,
            is_cut_short: sent.is_cut_short,
        })
    }
}

/// Writes a message with its length.
pub(super) fn frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = u32::try_from(frame.len() - 4).ok().filter(|length| *length <= MESSAGE_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, "it is too much for one message"))?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// Reads a message with its length.
pub(super) fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > MESSAGE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "what is said is no message"));
    }
    // It grows with what really comes, not with what is announced.
    let mut json = Vec::new();
    from.take(length.into()).read_to_end(&mut json)?;
    if json.len() < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&json)?)
}

/// Does the one errand that comes over `input` and answers over `output`.
///
/// # Errors
/// What the streams say; what becomes of the errand is in the answer.
pub fn serve(mut input: impl Read, mut output: impl Write) -> io::Result<()> {
    let answer = match receive::<Errand>(&mut input) {
        Ok(errand) => run(errand, &mut input, &mut output),
        Err(error) => Answer::Failed(error.to_string()),
    };
    output.write_all(&frame(&answer)?)?;
    output.flush()
}

/// Copies this program, with its loader and its libraries, into a folder that commands' containers see.
///
/// # Errors
/// What the system says.
pub fn carry(folder: &Path) -> io::Result<()> {
    Carried::pack(Path::new("/proc/self/exe"))?.lay_down(folder)
}

/// Where [`carry`] puts it inside.
pub const CARRIED: &str = FOLDER;

fn run(errand: Errand, input: &mut impl Read, output: &mut impl Write) -> Answer {
    match errand {
        Errand::Look { directory } => with_files(|files| files.directory(&directory).map(|()| Answer::Done)),
        Errand::Read { path } => {
            with_files(|files| files.read(&path).map(|state| Answer::File(state.as_ref().map(Content::from))))
        }
        Errand::Write { changes } => with_files(|files| write(files, changes).map(|()| Answer::Done)),
        Errand::Search(sent) => {
            with_files(|files| search::search(files, &sent.into()).map(|found| Answer::Found(Box::new(found.into()))))
        }
        Errand::Stamp(look) => with_files(|files| stamps::stamps(files, &look).map(Answer::Stamped)),
        Errand::Unpack { place, n_bytes, n_entries } => answered(
            open(place).and_then(|root| tarball::unpack(&root, io::BufReader::new(input), Bounds { n_bytes, n_entries })),
        ),
        Errand::Pack { place, n_bytes, n_entries } => answered(open(place).and_then(|root| {
            let mut out = io::BufWriter::new(output);
            tarball::pack(&root, &mut out, Bounds { n_bytes, n_entries })?;
            out.flush()
        })),
        Errand::Reach { addresses, timeout_ms } => reached(addresses, timeout_ms),
    }
}

fn open(place: Place) -> io::Result<Dir> {
    Dir::open_ambient_dir(place.path(), ambient_authority())
}

fn answered(done: io::Result<()>) -> Answer {
    done.map_or_else(|error| Answer::Failed(error.to_string()), |()| Answer::Done)
}

fn with_files(work: impl FnOnce(&Files) -> Result<Answer, SandboxError>) -> Answer {
    let done = Files::open(&Place::Workspace.path(), None)
        .map_err(|source| SandboxError::Machine { context: "opening the workspace".to_owned(), source })
        .and_then(|files| work(&files));
    match done {
        Ok(answer) => answer,
        Err(SandboxError::Path { path, reason }) => Answer::Refused { path, reason },
        Err(SandboxError::Refused(refusal)) => Answer::Failed(refusal.missing),
        Err(SandboxError::Machine { context, source }) => Answer::Failed(format!("{context}: {source}")),
    }
}

fn write(files: &Files, changes: Vec<(String, Option<Content>)>) -> Result<(), SandboxError> {
    for (path, content) in changes {
        let state = content.map(FileState::try_from).transpose();
        let state = state.map_err(|error| SandboxError::Path { path: path.clone(), reason: error.to_string() })?;
        files.write(&path, state.as_ref())?;
    }
    Ok(())
}

/// Which of the addresses accept a connection; the cluster's own is what every Pod is told.
fn reached(mut addresses: Vec<String>, timeout_ms: u64) -> Answer {
    let told = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let (Some(host), Some(port)) = (told("KUBERNETES_SERVICE_HOST"), told("KUBERNETES_SERVICE_PORT")) {
        addresses.push(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") });
    }
    let timeout = std::time::Duration::from_millis(timeout_ms.max(1));
    let is_reached = |address: &String| {
        let parsed = address.parse::<std::net::SocketAddr>();
        parsed.is_ok_and(|address| std::net::TcpStream::connect_timeout(&address, timeout).is_ok())
    };
    addresses.retain(|address| address.parse::<std::net::SocketAddr>().is_ok());
    let n_tried = addresses.len();
    addresses.retain(is_reached);
    Answer::Reached { n_tried, addresses }
}

#[cfg(test)]
mod tests;
