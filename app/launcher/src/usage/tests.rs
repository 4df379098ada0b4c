//! What cannot be seen is said, and never taken for nothing.

use std::path::PathBuf;

use super::{BLIND_LOOKS_MAX, Watch};
use crate::spec::{Limits, Spec};

fn spec() -> Spec {
    Spec {
        workspace: PathBuf::from("/nonexistent"),
        layer: None,
        is_workspace_read_only: false,
        refuses_set_id: false,
        home: None,
        read_only: Vec::new(),
        uid: 1,
        gid: 1,
        limits: Limits {
            n_processes: 1,
            n_open_files: 1,
            file_bytes: 1,
            tmp_bytes: 1,
            cpu_seconds: 1,
            memory_bytes: 1,
            disk_bytes: u64::MAX,
            n_files: u64::MAX,
            oom_score_adj: None,
        },
        has_group: false,
    }
}

#[test]
fn a_command_whose_processes_stay_out_of_sight_is_named() {
    /// More than the kernel gives.
    const NOBODY: i32 = 1 << 24;
    let mut watch = Watch::new(&spec());
    watch.begin(NOBODY, 1, false);
    // The kernel keeps the memory of this one.
    watch.begin(NOBODY + 1, 1, true);
    for _ in 0..BLIND_LOOKS_MAX {
        watch.exceeded();
        assert_eq!(watch.unseen(), Vec::<i32>::new());
    }
    watch.exceeded();
    assert_eq!(watch.unseen(), [NOBODY]);
}
