use std::io;
use std::path::Path;

use super::{Kind, nobody, parse};

#[test]
fn an_engine_says_who_it_is_and_what_it_speaks() {
    let podman = "HTTP/1.0 200 OK\r\nApi-Version: 1.41\r\nLibpod-Api-Version: 4.3.1\r\n\r\nOK";
    let (kind, version) = parse(podman).unwrap();
    assert_eq!((kind, version.major_version, version.minor_version), (Kind::Podman, 1, 41));
    let docker = "HTTP/1.0 200 OK\r\nApi-Version: 9.99\r\nServer: Docker/99\r\n\r\nOK";
    let (kind, version) = parse(docker).unwrap();
    assert!(kind == Kind::Docker && version.major_version == 1, "no newer than what we know");
    for other in ["", "HTTP/1.0 404 Not Found\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nApi-Version: 1.41", "SSH-2.0-x\r\n"] {
        assert!(parse(other).is_none(), "{other}");
    }
}

#[test]
fn the_remedy_is_that_of_the_most_telling_reason() {
    let refusal = |kinds: &[io::ErrorKind]| {
        let misses: Vec<_> = kinds.iter().map(|kind| (Path::new("/run/engine.sock"), io::Error::from(*kind))).collect();
        nobody(&misses)
    };
    let absent = refusal(&[io::ErrorKind::NotFound]);
    assert!(absent.missing.contains("/run/engine.sock") && absent.remedy.contains("apt-get install podman"), "{absent:?}");
    let silent = refusal(&[io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused]);
    assert!(silent.remedy.contains("systemctl start docker"), "{silent:?}");
    let forbidden = refusal(&[io::ErrorKind::ConnectionRefused, io::ErrorKind::PermissionDenied]);
    assert!(forbidden.remedy.contains("usermod -aG docker"), "{forbidden:?}");
}
