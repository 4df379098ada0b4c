//! Bombs: what takes more than its share is refused or killed, and the machine does not notice. Each ends by itself a
//! little over the limits here.

use std::time::Duration;

use patchwright::sandbox::Limits;
use patchwright_domain::proof::Limit;

use super::trial::{Bare, Case};

/// Low enough that the machine survives a sandbox that keeps none of them.
pub(super) fn limits() -> Limits {
    Limits {
        n_processes: 64,
        n_open_files: 256,
        memory_bytes: 256 << 20,
        cpu_seconds: 60,
        file_bytes: 32 << 20,
        tmp_bytes: 64 << 20,
        disk_bytes: 64 << 20,
        n_files: 500,
        output_bytes: 1 << 20,
        grace: Duration::from_millis(100),
    }
}

/// The same for bombs whose disk space is not found: more files than everybody on this machine makes meanwhile, for those
/// cannot be told from a bomb's own.
pub(super) fn limits_of_unseen() -> Limits {
    Limits { n_files: 1_000_000, ..limits() }
}

/// The same where processor time is what a bomb takes.
pub(super) fn limits_of_computing() -> Limits {
    Limits { cpu_seconds: 1, ..limits() }
}

const fn bomb(name: &'static str, script: &'static str, limit: Limit) -> (Case, Limit) {
    (Case { name, script, bare: Bare::User }, limit)
}

/// What the kernel refuses as soon as it is over the limit, whatever else watches.
pub(super) const REFUSED: &[(Case, Limit)] = &[
    bomb("a fork bomb", "weapons/bombs forks 80", Limit::Processes),
    bomb("a bomb of threads", "weapons/bombs threads 80", Limit::Processes),
    bomb("a bomb in /tmp", "weapons/bombs tmp 96", Limit::Memory),
    bomb("a bomb in /dev/shm", "weapons/bombs dev-shm 96", Limit::Memory),
    bomb("a huge sparse file", "weapons/bombs sparse 1024", Limit::FileSize),
    bomb("disk space that is only asked for", "weapons/bombs promised 16", Limit::Disk),
    bomb("a bomb of descriptors", "weapons/bombs descriptors 300", Limit::OpenFiles),
];

/// What has to be watched: all processes together, or the disk.
pub(super) const WATCHED: &[(Case, Limit)] = &[
    bomb("memory of one process", "weapons/bombs memory 384", Limit::Memory),
    bomb("memory of many processes", "weapons/bombs memories 384", Limit::Memory),
    bomb("memory without a process", "weapons/bombs memfd 384", Limit::Memory),
    bomb("memory without a process beside shared memory", "weapons/bombs both 400", Limit::Memory),
    bomb("shared memory", "weapons/bombs shm 384", Limit::Memory),
    bomb(
        "memory of processes without a first thread",
        // The kernel's own limit may be faster than the launcher's look, where there is one.
        r#"weapons/bombs leaderless 192 & weapons/bombs leaderless 192; [ $? -le 128 ] || echo "HELD: a signal ended it"; wait"#,
        Limit::Memory,
    ),
    bomb("page tables", "for n in 1 2 3 4; do weapons/bombs tables 96 & done; wait", Limit::Memory),
    bomb("files", "weapons/bombs files 3000", Limit::Files),
    bomb("disk space", "weapons/bombs disk 96", Limit::Disk),
    bomb("files without a name", "weapons/bombs nameless 1000", Limit::Files),
    bomb("output", "weapons/bombs output 8", Limit::Output),
];

/// What takes room where a walk cannot find it, and is known by what has gone of all of the file system's.
pub(super) const UNSEEN: &[(Case, Limit)] = &[
    bomb("disk space in a folder that is shut", "weapons/bombs shut 256", Limit::Disk),
    bomb("disk space that is only mapped", "weapons/bombs mapped 256", Limit::Disk),
    bomb("disk space on its way between processes", "weapons/bombs underway 256", Limit::Disk),
];

/// Processor time, which is less than in the other limits here.
pub(super) const COMPUTING: &[(Case, Limit)] = &[
    bomb("processor time", r#"weapons/bombs cpu 2; [ $? -le 128 ] || echo "HELD: a signal ended it""#, Limit::Cpu),
    bomb(
        "processor time of one short process after another",
        "for n in 1 2 3 4 5 6 7 8; do perl -e '1 while times < 0.3'; done; echo 'ESCAPED: 2.4 seconds'",
        Limit::Cpu,
    ),
    bomb(
        "processor time of processes for which nobody waits",
        r#"perl -e '$SIG{CHLD} = "IGNORE"; for (1..6) { fork or do { 1 while times < 0.4; exit }; wait }'; echo 'ESCAPED: 2.4 seconds'"#,
        Limit::Cpu,
    ),
    bomb(
        "processor time of processes that are gone before anybody looks",
        "for n in 1 2; do weapons/bombs churn 250 & done; wait; echo 'ESCAPED: 6 seconds'",
        Limit::Cpu,
    ),
];

/// What nobody but the kernel sees: only control groups count it.
pub(super) const COUNTED: &[(Case, Limit)] = &[
    bomb("buffers of sockets", "weapons/bombs sockets 384", Limit::Memory),
    bomb("files in memory on their way", "weapons/bombs flight 384", Limit::Memory),
];
