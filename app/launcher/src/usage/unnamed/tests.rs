//! What the kernel's own lines say.

use super::*;

#[test]
fn a_mapping_of_a_file_without_a_name_is_told_by_its_line() {
    let line = "00401000-00402000 rw-s 00000000 fe:10 4711                       /work space/a b (deleted)";
    let found = Mapping::deleted(line).unwrap();
    assert_eq!((found.device, found.inode), (rustix::fs::makedev(0xfe, 0x10), 4711));
    assert_eq!(found.name(), "401000-402000");
    assert!(Mapping::deleted("00401000-00402000 rw-s 00000000 fe:10 4711   /work/a").is_none());
    assert!(Mapping::deleted("7ffc (deleted)").is_none());
}

#[test]
fn a_socket_tells_of_files_on_their_way() {
    assert!(has_files_on_their_way("pos:\t0\nflags:\t02\nscm_fds: 3\n"));
    assert!(!has_files_on_their_way("pos:\t0\nscm_fds: 0\n"));
    assert!(!has_files_on_their_way("pos:\t0\n"));
}
