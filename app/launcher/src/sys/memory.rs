//! How the C library's allocator keeps memory.

/// How many arenas there may be. By default there are eight for each processor, and each keeps what bursts have left in it.
#[cfg(target_env = "gnu")]
const ARENAS_MAX: libc::c_int = 2;
/// What is larger than this, in bytes, is mapped on its own, and given back as soon as it is freed. By default the first large
/// piece that is freed raises it, and what is smaller stays.
#[cfg(target_env = "gnu")]
const MAPPED_BYTES_MIN: libc::c_int = 128 * 1024;

/// Has the allocator keep little of what bursts take. It must be called before there are threads. Where the library is another
/// one, nothing is changed.
pub(crate) fn keep_little() {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in [(libc::M_ARENA_MAX, ARENAS_MAX), (libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN)] {
        // SAFETY: it sets a number of the allocator, which refuses what it does not know.
        unsafe { libc::mallopt(parameter, value) };
    }
}
