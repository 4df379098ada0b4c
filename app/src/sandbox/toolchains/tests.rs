//! What is never mounted.

use std::path::Path;

use super::is_narrow;

#[test]
fn a_home_directory_or_what_holds_one_is_never_mounted() {
    let home = Some(Path::new("/srv/people/ada"));
    for wide in ["/", "/srv", "/srv/people", "/srv/people/ada", "/home/bob", "/opt", "relative/path"] {
        assert!(!is_narrow(Path::new(wide), home), "{wide}");
    }
    for narrow in ["/srv/people/ada/.rustup", "/opt/go", "/home/bob/.pyenv/versions/3.12"] {
        assert!(is_narrow(Path::new(narrow), home), "{narrow}");
    }
}
