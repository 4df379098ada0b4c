//! Whose processes are found where the kernel lists no children.

use std::fs;
use std::path::PathBuf;

use super::{children_of, mapped_of};

/// A `/proc` of three processes, as kernels without lists of children show it.
fn proc_without_lists() -> PathBuf {
    let proc = std::env::temp_dir().join(format!("patchwright-proc-{}", std::process::id()));
    for (process, parent) in [(7, 1), (8, 7), (9, 70)] {
        fs::create_dir_all(proc.join(process.to_string())).unwrap();
        let status = format!("Name:\tx\nPid:\t{process}\nPPid:\t{parent}\nTracerPid:\t7\n");
        fs::write(proc.join(format!("{process}/status")), status).unwrap();
    }
    proc
}

#[test]
fn children_are_found_without_a_list_of_them() {
    let proc = proc_without_lists();
    let found = children_of(&proc, 7);
    let gone = children_of(&proc, 5);
    fs::remove_dir_all(&proc).unwrap();
    assert_eq!((found, gone), (Some(vec!["8".to_owned()]), None));
}

#[test]
fn what_is_mapped_of_a_file_is_told_apart_from_what_is_mapped_beside_it() {
    let smaps = "7f00-7f10 rw-s 00000000 00:01 7   /memfd:a: b (deleted)\nRss:  64 kB\nPss:  32 kB\nAnonymous:  8 kB\n\
                 7f10-7f20 rw-s 00000000 00:01 8   /dev/zero (deleted)\nPss:  500 kB\nAnonymous:  0 kB\n\
                 7f20-7f30 rw-p 00000000 00:00 0 \nPss:  9000 kB\n";
    let file = (rustix::fs::makedev(0, 1), 7);
    assert_eq!(mapped_of(&[file].into(), smaps.as_bytes()), 24 * 1024);
}
