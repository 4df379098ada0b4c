use std::path::Path;

use super::{Carried, libraries};

#[test]
fn the_libraries_are_those_that_are_loaded() {
    let maps = b"55d0-55d1 r--p 00000000 fe:00 12    /usr/bin/patchwright\n\
        7f00-7f01 r-xp 00000000 fe:00 13    /usr/lib/x86_64-linux-gnu/libc.so.6\n\
        7f01-7f02 r--p 00000000 fe:00 13    /usr/lib/x86_64-linux-gnu/libc.so.6\n\
        7f03-7f04 rw-p 00000000 00:00 0 \n\
        7f05-7f06 r--p 00000000 fe:00 14    /usr/lib64/ld-linux-x86-64.so.2\n\
        7ffd-7ffe rw-p 00000000 00:00 0     [stack]\n";
    let found: Vec<_> = libraries(maps).into_iter().collect();
    assert_eq!(
        found,
        ["/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib64/ld-linux-x86-64.so.2"].map(|path| Path::new(path).to_owned())
    );
}

#[test]
fn this_program_is_packed_with_its_loader() {
    let carried = Carried::pack(Path::new("/proc/self/exe")).unwrap();
    assert!(carried.files.iter().all(|(source, _)| source.is_absolute() && source.exists()));
    assert_eq!(carried.arguments.last().map(String::as_str), Some("resident"));
}
