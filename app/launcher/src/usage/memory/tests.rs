//! Whose processes are found where the kernel lists no children.

use std::fs;
use std::path::PathBuf;

use super::children_of;

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
