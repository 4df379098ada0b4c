//! The memory of one command's processes.

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::{kilobytes, shared_memory_of_machine};

/// A file without a name is looked for again when the machine's shared memory has grown by this much, in bytes.
const GROWTH_BYTES: u64 = 16 << 20;

/// The processes of a command, by the `/proc` that shows them alone.
pub(super) struct Processes {
    proc: PathBuf,
    /// Keeps the path above.
    _held: File,
    /// How many of the first processes are copies of ourselves.
    n_ours: u32,
    /// What files without a name held, and the machine's shared memory when they were looked for.
    nameless: (u64, u64),
    /// The machine's shared memory in the beginning.
    machine_before: u64,
}

impl Processes {
    /// `None` as long as the command has no `/proc` of its own.
    pub(super) fn of(first: i32, n_ours: u32) -> Option<Processes> {
        // Without being root we may look into what has become another program, not into the copy of ourselves before it.
        let children = fs::read_to_string(format!("/mnt/proc/{first}/task/{first}/children")).ok()?;
        let processes = [first.to_string()].into_iter().chain(children.split_whitespace().map(str::to_owned));
        let seen = |process: String| File::open(format!("/mnt/proc/{process}/root/proc")).ok();
        let held = processes.filter_map(seen).find(is_own_proc)?;
        let proc = PathBuf::from(format!("/mnt/proc/self/fd/{}", held.as_raw_fd()));
        Some(Processes { proc, _held: held, n_ours, nameless: (0, 0), machine_before: shared_memory_of_machine() })
    }

    /// What they have at most, in bytes: pages that several of them share count several times.
    pub(super) fn estimate(&mut self) -> u64 {
        let page = rustix::param::page_size() as u64;
        let mut n_pages = 0;
        let mut shared = 0;
        self.each(|process| {
            let Ok(text) = fs::read_to_string(process.join("statm")) else { return };
            let mut numbers = text.split(' ').skip(1).map(|number| number.trim().parse::<u64>().unwrap_or_default());
            let (resident, of_files) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
            n_pages += resident.saturating_sub(of_files);
            shared += of_files;
        });
        let machine = shared_memory_of_machine();
        if machine >= self.nameless.1 + GROWTH_BYTES || machine + GROWTH_BYTES < self.nameless.1 {
            self.nameless = (self.nameless_files(), machine);
        }
        // Shared pages are mostly those of programs and libraries, which are no memory of the command's own; where they
        // could make a difference, the exact count tells them apart.
        let mapped = if shared * page > self.nameless.0 + GROWTH_BYTES { self.mapped() } else { 0 };
        n_pages * page + self.nameless.0 + mapped
    }

    /// What they have, each page counted once, in bytes.
    pub(super) fn count(&self) -> u64 {
        let mut bytes = 0;
        self.each(|process| {
            let text = fs::read_to_string(process.join("smaps_rollup")).unwrap_or_default();
            bytes += kilobytes(&text, "Pss_Anon") + kilobytes(&text, "Pss_Shmem");
        });
        bytes + self.nameless_files()
    }

    /// What they map of memory that is shared, in bytes; what several of them map counts several times.
    fn mapped(&self) -> u64 {
        let mut bytes = 0;
        self.each(|process| {
            bytes += fs::read_to_string(process.join("status")).map_or(0, |text| kilobytes(&text, "RssShmem"));
        });
        bytes
    }

    /// What open files hold that are in memory and have no name, in bytes.
    ///
    /// A process can see to it that only root may look at its files; then all that the machine's shared memory has grown
    /// by since the beginning is taken for its own.
    fn nameless_files(&self) -> u64 {
        let mut seen = HashSet::new();
        let mut bytes = 0;
        let mut is_hidden = false;
        self.each(|process| {
            let Ok(files) = fs::read_dir(process.join("fd")) else {
                let number = process.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
                is_hidden |= process.exists() && number.is_some_and(|number| number > self.n_ours);
                return;
            };
            for open in files.flatten() {
                let points_to = fs::read_link(open.path()).unwrap_or_default();
                if points_to.as_os_str().as_encoded_bytes().starts_with(b"/memfd:")
                    && let Ok(found) = fs::metadata(open.path())
                    && seen.insert((found.dev(), found.ino()))
                {
                    bytes += found.blocks() * 512;
                }
            }
        });
        let grown = shared_memory_of_machine().saturating_sub(self.machine_before);
        if is_hidden { bytes.max(grown) } else { bytes }
    }

    fn each(&self, mut look: impl FnMut(PathBuf)) {
        for entry in fs::read_dir(&self.proc).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.as_encoded_bytes().first().is_some_and(u8::is_ascii_digit) {
                look(entry.path());
            }
        }
    }
}

/// Whether a directory is a `/proc` other than the host's.
fn is_own_proc(directory: &File) -> bool {
    let kind = rustix::fs::fstatfs(directory).map(|found| found.f_type);
    let device = |metadata: std::io::Result<fs::Metadata>| metadata.map(|found| found.dev()).ok();
    kind == Ok(rustix::fs::PROC_SUPER_MAGIC) && device(directory.metadata()) != device(fs::metadata("/mnt/proc"))
}
