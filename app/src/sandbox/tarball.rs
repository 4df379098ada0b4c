//! A tree as a tar stream, where it has to be carried: packed from below a descriptor, and laid down below another.
//!
//! A stream that comes back is as hostile as what ran beside its files. Of it only directories, regular files and links
//! are taken, each where nothing is yet and below directories that this stream has made; what is over a bound ends it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use cap_std::fs::{Dir, MetadataExt as _, OpenOptions, OpenOptionsExt as _, PermissionsExt as _};
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
use tar::{Archive, Builder, EntryType, Header};

/// How deep directories may be; each level holds one descriptor open.
const DEPTH_MAX: usize = 256;
/// The longest path, and the longest text of a link, in bytes.
const PATH_BYTES_MAX: u64 = 4096;

/// What is said of a tree that is over its bounds, wherever it is packed or laid down.
pub(super) const TOO_LARGE: &str = "it is larger than what may be carried";

/// What a tree may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes of all its files together.
    pub(super) n_bytes: u64,
    /// Files, directories and links.
    pub(super) n_entries: u64,
}

/// What is left of the bounds.
struct Left(Bounds);

impl Left {
    fn take(&mut self, n_bytes: u64) -> io::Result<()> {
        let Bounds { n_bytes: bytes, n_entries: entries } = self.0;
        let left = bytes.checked_sub(n_bytes).zip(entries.checked_sub(1));
        let (n_bytes, n_entries) = left.ok_or_else(too_large)?;
        self.0 = Bounds { n_bytes, n_entries };
        Ok(())
    }
}

fn too_large() -> io::Error {
    refused(Path::new("the tree"), TOO_LARGE)
}

fn refused(path: &Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()))
}

/// Writes a directory's content as a tar stream. Pipes, sockets and devices are left out.
///
/// # Errors
/// What the system says, and `InvalidData` for a tree that is over the bounds or too deep.
pub(super) fn pack(root: &Dir, out: impl Write, bounds: Bounds) -> io::Result<()> {
    let mut builder = Builder::new(out);
    pack_below(root, Path::new(""), 0, &mut builder, &mut Left(bounds))?;
    builder.into_inner()?.flush()
}

fn pack_below(directory: &Dir, above: &Path, depth: usize, out: &mut Builder<impl Write>, left: &mut Left) -> io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(refused(above, "it is too deep"));
    }
    let mut names = directory.entries()?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    for name in names {
        let path = above.join(&name);
        let found = match directory.symlink_metadata(&name) {
            Ok(found) => found,
            // It was there a moment ago.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let mut header = Header::new_gnu();
        header.set_mode(found.permissions().mode() & 0o777);
        header.set_mtime(u64::try_from(found.mtime()).unwrap_or_default());
        if found.is_dir() {
            left.take(0)?;
            header.set_entry_type(EntryType::Directory);
            header.set_size(0);
            out.append_data(&mut header, &path, io::empty())?;
            let below = readable(directory, &name, found.permissions().mode() | 0o700, || open_directory(directory, &name))?;
            pack_below(&below, &path, depth + 1, out, left)?;
        } else if found.is_symlink() {
            left.take(0)?;
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            out.append_link(&mut header, &path, directory.read_link_contents(&name)?)?;
        } else if found.is_file() {
            let file = readable(directory, &name, found.permissions().mode() | 0o400, || open_file(directory, &name))?;
            let size = file.metadata()?.len();
            left.take(size)?;
            header.set_entry_type(EntryType::Regular);
            header.set_size(size);
            // Whatever becomes of the file meanwhile, the stream has what its header says.
            out.append_data(&mut header, &path, file.chain(io::repeat(0)).take(size))?;
        }
    }
    Ok(())
}

/// Opens what may have been made unreadable by whoever it belongs to, who is the same user.
fn readable<T>(directory: &Dir, name: &OsStr, mode: u32, open: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match open() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            rustix::fs::chmodat(directory, name, Mode::from_raw_mode(mode & 0o777), AtFlags::empty())?;
            open()
        }
        opened => opened,
    }
}

fn open_directory(parent: &Dir, name: &OsStr) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(Dir::from_std_file(rustix::fs::openat(parent, name, flags, Mode::empty())?.into()))
}

fn open_file(parent: &Dir, name: &OsStr) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(parent, name, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(refused(Path::new(name), "it is no regular file any more"));
    }
    Ok(file)
}

/// Lays a tar stream down in a directory, and reads on to the end of the archive, not of the stream.
///
/// # Errors
/// What the system says; `UnexpectedEof` for a stream that was cut; `InvalidData` for one that is over the bounds or has
/// what no tree has: a path out of it or through a link, the same path twice, a device.
pub(super) fn unpack(root: &Dir, stream: impl Read, bounds: Bounds) -> io::Result<()> {
    let mut left = Left(bounds);
    let mut stream = Watched { stream, is_over: false };
    let mut archive = Archive::new(&mut stream);
    let mut long = Long::default();
    let mut n_headers = 0_u64;
    // Times and modes of directories last, since what is laid down in them would change them again.
    let mut directories: Vec<(PathBuf, u32, u64)> = Vec::new();
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        n_headers += 1;
        if n_headers > bounds.n_entries.saturating_mul(3) {
            return Err(too_large());
        }
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::GNULongName | EntryType::GNULongLink) {
            long.read(kind, &mut entry)?;
            continue;
        }
        let Long { path, target } = std::mem::take(&mut long);
        let path = path.unwrap_or_else(|| entry.header().path_bytes().into_owned());
        let path = PathBuf::from(OsStr::from_bytes(path.strip_suffix(b"/").unwrap_or(&path)));
        let (mode, mtime, size) = (entry.header().mode()?, entry.header().mtime()?, entry.header().entry_size()?);
        let (parent, name) = place(root, &path)?;
        left.take(size)?;
        match kind {
            EntryType::Directory => {
                parent.create_dir(&name).map_err(|error| at(&path, &error))?;
                directories.push((path, mode & 0o777 | 0o700, mtime));
            }
            EntryType::Symlink => {
                let target = target.or_else(|| entry.header().link_name_bytes().map(std::borrow::Cow::into_owned));
                let target =
                    target.filter(|target| !target.is_empty()).ok_or_else(|| refused(&path, "it is a link to nothing"))?;
                parent.symlink_contents(OsStr::from_bytes(&target), &name).map_err(|error| at(&path, &error))?;
            }
            EntryType::Regular => {
                let options = OpenOptions::new().write(true).create_new(true).mode(0o600).clone();
                let mut file = parent.open_with(&name, &options).map_err(|error| at(&path, &error))?;
                if io::copy(&mut entry, &mut file)? != size {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & 0o777 | 0o600))?;
                rustix::fs::futimens(&file, &times(mtime))?;
            }
            _ => return Err(refused(&path, "it is no directory, no regular file and no symbolic link")),
        }
    }
    for (path, mode, mtime) in directories.into_iter().rev() {
        let (parent, name) = place(root, &path)?;
        let directory = open_directory(&parent, &name)?;
        // A descriptor opened for reading is enough for both.
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode))?;
        rustix::fs::futimens(&directory, &times(mtime))?;
    }
    // An archive ends with two empty blocks, of which the first was read; one that ends with its stream was cut.
    let mut last = [0; 512];
    if stream.is_over {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    stream.read_exact(&mut last)?;
    if last.iter().any(|byte| *byte != 0) { Err(refused(Path::new("the tree"), "it has no end")) } else { Ok(()) }
}

/// A stream of which is known whether it was read to its end.
struct Watched<R> {
    stream: R,
    is_over: bool,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_bytes = self.stream.read(buffer)?;
        self.is_over |= n_bytes == 0 && !buffer.is_empty();
        Ok(n_bytes)
    }
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn times(mtime: u64) -> Timestamps {
    let seconds = i64::try_from(mtime).unwrap_or(i64::MAX);
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: 0 },
    }
}

/// The names that are too long for the header that comes after them.
#[derive(Default)]
struct Long {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

impl Long {
    fn read(&mut self, kind: EntryType, entry: &mut impl Read) -> io::Result<()> {
        let mut name = Vec::new();
        entry.take(PATH_BYTES_MAX + 1).read_to_end(&mut name)?;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        name.truncate(end);
        let slot = if kind == EntryType::GNULongName { &mut self.path } else { &mut self.target };
        if name.len() as u64 > PATH_BYTES_MAX || slot.replace(name).is_some() {
            return Err(refused(Path::new("a name"), "it is too long, or there are two"));
        }
        Ok(())
    }
}

/// The directory that something is to be laid down in, reached without following a link, and its name there.
fn place(root: &Dir, path: &Path) -> io::Result<(Dir, std::ffi::OsString)> {
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => names.push(name),
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => {
                return Err(refused(path, "it leads out of the tree"));
            }
        }
    }
    let is_too_long = path.as_os_str().len() as u64 > PATH_BYTES_MAX || names.len() > DEPTH_MAX + 1;
    let name = names.pop().filter(|_| !is_too_long).ok_or_else(|| refused(path, "it is no path below the tree"))?;
    let mut parent = root.try_clone()?;
    for part in names {
        parent = open_directory(&parent, part).map_err(|error| at(path, &error))?;
    }
    Ok((parent, name.to_owned()))
}

#[cfg(test)]
mod tests;
