//! The key that signs, as a file.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Barrier;

use patchwright::attestation::key::{Key, PublicKey};

/// How many start at the same time.
const N_STARTS: usize = 8;

fn mode(file: &Path) -> u32 {
    std::fs::metadata(file).expect("it is there").permissions().mode() & 0o7777
}

#[test]
fn servers_that_start_at_the_same_time_take_one_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, barrier) = (folder.path().join("key.pem"), Barrier::new(N_STARTS));
    let start = || {
        barrier.wait();
        Key::ensure(&file).expect("it can be made").public().id()
    };
    let ids: Vec<String> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..N_STARTS).map(|_| scope.spawn(start)).collect();
        starts.into_iter().map(|start| start.join().expect("it goes through")).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("it is there").collect();
    assert_eq!((left.len(), mode(&file)), (1, 0o600), "nothing else is left, and nobody else may read it");
    assert_eq!(Key::read(&file).expect("it is a key").public().id(), ids[0]);
}

#[test]
fn a_key_that_others_can_read_is_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key.pem");
    Key::ensure(&file).expect("it can be made");
    for wrong in [0o644, 0o640, 0o604, 0o660, 0o601] {
        std::fs::set_permissions(&file, Permissions::from_mode(wrong)).expect("it is ours");
        let told = Key::ensure(&file).expect_err("others can use it").to_string();
        assert!(told.ends_with(&format!("has the mode 0{wrong:o}, so that others can use it: make it 0600")), "{told}");
        assert_eq!(mode(&file), wrong, "nothing is made of it");
    }
    std::fs::set_permissions(&file, Permissions::from_mode(0o400)).expect("it is ours");
    assert!(Key::ensure(&file).is_ok(), "read only is narrow enough");
    // As a secret of Kubernetes is: the link's target counts.
    let link = folder.path().join("link.pem");
    symlink(&file, &link).expect("a link");
    assert!(Key::read(&link).is_ok());
}

#[test]
fn what_is_no_key_is_refused_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key.pem");
    for text in ["", "none", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        std::fs::write(&file, text).expect("it can be written");
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("it is ours");
        let told = Key::ensure(&file).expect_err("it is no key").to_string();
        assert!(told.contains("openssl genpkey -algorithm ed25519"), "{told}");
        assert_eq!(std::fs::read_to_string(&file).expect("it is there"), text, "it may be somebody's");
    }
    assert!(Key::ensure(folder.path()).is_err(), "a folder");
    assert!(Key::ensure(&folder.path().join("nowhere/key.pem")).is_err(), "no folder");
}

#[test]
fn the_public_half_is_read_from_either_form() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, public) = (folder.path().join("key.pem"), folder.path().join("public.pem"));
    let key = Key::ensure(&file).expect("it can be made").public();
    let pem = key.to_pem();
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{pem}");
    std::fs::write(&public, pem).expect("it can be written");
    assert_eq!(PublicKey::read(&public).expect("it is a key"), key);
    assert_eq!(PublicKey::read(&file).expect("it is a key"), key);
    std::fs::write(&public, "none").expect("it can be written");
    assert!(PublicKey::read(&public).is_err());
}
