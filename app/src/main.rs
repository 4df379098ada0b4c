//! The `patchwright` binary.

fn main() {
    patchwright_launcher::run_if_launched();
}
