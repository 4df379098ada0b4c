//! What a container cannot be made of or with: every refusal names what is missing and what to do about it.

use super::*;

async fn refused(settings: ContainerSettings, image: Option<&str>) -> Refusal {
    let workspace = tempfile::tempdir().unwrap();
    let terms = Terms { image, ..Profile::Proof.into() };
    sandbox(settings).open(Tree::alone(workspace.path()), terms).await.map(drop).unwrap_err()
}

#[track_caller]
fn check(refusal: &Refusal, missing: &str, remedy: &str) {
    assert!(refusal.missing.contains(missing), "{refusal:?}");
    assert!(refusal.remedy.contains(remedy), "{refusal:?}");
}

#[tokio::test]
async fn an_image_that_is_not_there_or_not_allowed_is_refused() {
    let Some(engine) = podman::engine().await else { return };
    let settings = || engine.settings();
    let absent = "localhost/no-such-image:1";
    let missing = refused(ContainerSettings { image: Some(absent.to_owned()), ..settings() }, None).await;
    check(&missing, "does not have it", &format!("podman pull {absent}"));
    check(&refused(ContainerSettings { image: None, ..settings() }, None).await, "sandbox.container.image", "buildpack-deps");
    check(&refused(settings(), Some(BARE_IMAGE)).await, "not allowed", "sandbox.container.allowed_images");
    let allowed = ContainerSettings { allowed_images: vec!["localhost/patchwright-*".to_owned()], ..settings() };
    let workspace = tempfile::tempdir().unwrap();
    let terms = Terms { image: Some(BARE_IMAGE), ..Profile::Proof.into() };
    sandbox(allowed).open(Tree::alone(workspace.path()), terms).await.map(drop).unwrap();
}

#[tokio::test]
async fn a_runtime_that_the_engine_does_not_know_is_refused() {
    let Some(engine) = podman::engine().await else { return };
    let unknown = refused(ContainerSettings { runtime: Some("no-such-runtime".to_owned()), ..engine.settings() }, None).await;
    check(&unknown, "no-such-runtime", "runtime");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_refused() {
    let Some(engine) = podman::engine().await else { return };
    let settings = ContainerSettings { read_only: vec!["/nonexistent/toolchain".into()], ..engine.settings() };
    check(&refused(settings, None).await, "/nonexistent/toolchain", "make the path exist");
    let nowhere = sandbox(engine.settings()).open(Tree::alone(Path::new("/nonexistent")), Profile::Agent.into()).await;
    check(&nowhere.map(drop).unwrap_err(), "/nonexistent", "directory");
}

#[tokio::test]
async fn without_an_engine_everything_is_refused() {
    let settings = |socket: &Path| ContainerSettings {
        sockets: vec![socket.to_owned()],
        image: Some(podman::IMAGE.to_owned()),
        ..podman::settings(socket)
    };
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    check(&refused(settings(&socket), None).await, "there is no socket", "apt-get install podman");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    check(&refused(settings(&socket), None).await, "nobody listens", "systemctl");
    check(&sandbox(settings(&socket)).probe().await.unwrap_err(), "nobody listens", "systemctl");
    check(&sandbox(settings(&socket)).sweep().await.unwrap_err(), "nobody listens", "systemctl");
    let other = folder.path().join("other.sock");
    let listener = tokio::net::UnixListener::bind(&other).unwrap();
    let no_engine = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"220 mail\r\n").await;
            // All that is asked has to be read, or it is a broken connection that is seen first.
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    check(&refused(settings(&other), None).await, "no container engine", "log");
    no_engine.abort();
    let absent = ContainerSandbox::new("/nonexistent/patchwright".into(), settings(&socket));
    check(&absent.probe().await.unwrap_err(), "/nonexistent/patchwright", "patchwright binary");
}
