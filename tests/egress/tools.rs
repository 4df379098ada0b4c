//! The tools that a setup is made of, unchanged, against small registries of our own.
//!
//! What the machine does not have is left out; `git`, `curl` and a shell are always there.

use std::path::Path;
use std::process::Command;

use patchwright::egress::ecosystems::Sources;
use patchwright::egress::{Carried, Settings};
use patchwright::sandbox::Profile;
use patchwright::sandbox::local::LocalSettings;
use patchwright_domain::proof::Exit;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::origin::Origin;
use super::world::{World, near, origin, settings};

/// A setup with the machine's toolchains.
async fn equipped(carried: impl FnOnce(&Origin) -> Carried) -> World {
    let (origin, names) = origin().await;
    let settings = Settings { carried: carried(&origin), ..settings(&names, vec![near("registry.test", &origin)]) };
    World::open(origin, names, Some(settings), LocalSettings::default(), Profile::Setup).await
}

/// Whether a tool is on this machine; what is not tried is told.
#[expect(clippy::print_stderr, reason = "whoever runs the tests is told what was not tried")]
fn is_here(tool: &str) -> bool {
    let question = if tool == "go" { "version" } else { "--version" };
    let is_here = Command::new(tool).arg(question).output().is_ok_and(|output| output.status.success());
    if !is_here {
        eprintln!("{tool} is not installed, so its way to a registry is not tried");
    }
    is_here
}

/// A setup with what the host's own tools say, whose settings are these, and a registry that is `private.registry.test`.
async fn configured(home: &TempDir, variables: impl FnOnce(&Origin) -> Vec<(&'static str, String)>) -> World {
    let (origin, names) = origin().await;
    let none = [("PIP_CONFIG_FILE", "/dev/null".to_owned())];
    let environment = none.into_iter().chain(variables(&origin)).map(|(name, value)| (name.to_owned(), value)).collect();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sources = Sources { path, home: Some(home.path().to_owned()), environment };
    let settings = Settings { sources: Some(sources), ..settings(&names, vec![near("private.registry.test", &origin)]) };
    World::open(origin, names, Some(settings), LocalSettings::default(), Profile::Setup).await
}

/// The registry was asked for a path, and whom it was told each time is `me`, whose password nobody inside has seen.
async fn asks_as_me_and_never_sees_it(world: &mut World, path: &str) {
    let look = "env | grep -c hunter2; grep -rIls hunter2 /run /home /tmp /workspace; true";
    assert_eq!(world.prints(look).await, "0\n");
    let asked = world.origin.asked();
    assert!(asked.iter().any(|asked| asked.line == format!("GET {path}")), "{asked:?}");
    for asked in asked {
        let sent = asked.headers.get("authorization").map(|value| value.to_str().expect("it is text").to_owned());
        assert_eq!(sent.as_deref(), Some("Basic bWU6aHVudGVyMg=="), "{}", asked.line);
    }
}

/// A wheel with nothing but a module in it.
const WHEEL: &str = "import zipfile as z, sys\nw = z.ZipFile('demo-1.0-py3-none-any.whl', 'w')\nd = 'demo-1.0.dist-info/'\n\
     w.writestr('demo.py', 'x = 1\\n')\nw.writestr(d + 'METADATA', 'Metadata-Version: 2.1\\nName: demo\\nVersion: 1.0\\n')\n\
     w.writestr(d + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n\
     w.writestr(d + 'RECORD', '')\nw.close()\n";

/// Runs a command of the host that makes what a registry serves.
#[track_caller]
fn host(folder: &Path, script: &str) {
    let output = Command::new("sh").arg("-c").arg(script).current_dir(folder).output().expect("there is a shell");
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn put_all(origin: &Origin, folder: &Path, prefix: &str) {
    for entry in std::fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("it is readable")) {
        let path = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            put_all(origin, &entry.path(), &path);
        } else {
            origin.put(&path, std::fs::read(entry.path()).expect("it is readable"));
        }
    }
}

#[tokio::test]
async fn git_clones_over_http_and_https() {
    let mut world = World::new().await;
    let folder = TempDir::new().expect("there is room");
    host(
        folder.path(),
        "git init -q a && cd a && echo hello > file && git add . && \
         git -c user.name=a -c user.email=a@a.test commit -qm one && git clone -q --bare . ../b && cd ../b && git update-server-info",
    );
    put_all(&world.origin, &folder.path().join("b"), "/b.git");
    for url in ["http://registry.test:{plain}/b.git", "https://registry.test:{tls}/b.git"] {
        assert_eq!(world.prints(&format!("rm -rf b; git clone -q {url} b && cat b/file")).await, "hello\n");
    }
    let done = world.run("git clone -q https://evil.test:{tls}/b.git c").await;
    assert_ne!(done.exit, Exit::Code(0), "{}", done.text);
    assert!(done.text.contains("403"), "{}", done.text);
}

#[tokio::test]
async fn pip_downloads_a_package() {
    if !is_here("python3") || !is_here("pip") {
        return;
    }
    let carried = |origin: &Origin| Carried {
        environment: vec![("PIP_INDEX_URL".into(), format!("https://registry.test:{}/simple/", origin.tls))],
        files: Vec::new(),
    };
    let mut world = equipped(carried).await;
    let folder = TempDir::new().expect("there is room");
    std::fs::write(folder.path().join("make.py"), WHEEL).expect("there is room");
    host(folder.path(), "python3 make.py");
    put_all(&world.origin, folder.path(), "/files");
    world.origin.put("/simple/demo/", "<a href=\"/files/demo-1.0-py3-none-any.whl\">demo-1.0-py3-none-any.whl</a>");
    world.prints("python3 -m pip download -q --no-deps -d out demo==1.0 && test -f out/demo-1.0-py3-none-any.whl").await;
    let done = world.run("python3 -m pip download -q --retries 0 --no-deps -d out -i https://evil.test:{tls}/simple/ demo").await;
    assert_ne!(done.exit, Exit::Code(0), "{}", done.text);
}

#[tokio::test]
async fn npm_views_and_packs_a_package() {
    if !is_here("npm") {
        return;
    }
    let carried = |origin: &Origin| Carried {
        environment: vec![("npm_config_globalconfig".into(), "/run/outlet-npmrc".into())],
        files: vec![("/run/outlet-npmrc".into(), format!("registry=http://registry.test:{}/npm/\n", origin.plain))],
    };
    let mut world = equipped(carried).await;
    let folder = TempDir::new().expect("there is room");
    host(
        folder.path(),
        "mkdir package && echo '{\"name\":\"demo\",\"version\":\"1.0.0\"}' > package/package.json && tar czf demo.tgz package",
    );
    world.origin.put("/npm/demo/-/demo-1.0.0.tgz", std::fs::read(folder.path().join("demo.tgz")).expect("it is readable"));
    let tarball = world.fill("http://registry.test:{plain}/npm/demo/-/demo-1.0.0.tgz");
    let version = serde_json::json!({ "name": "demo", "version": "1.0.0", "dist": { "tarball": tarball } });
    let package = serde_json::json!({ "name": "demo", "dist-tags": { "latest": "1.0.0" }, "versions": { "1.0.0": version } });
    world.origin.put("/npm/demo", package.to_string());
    assert_eq!(world.prints("npm view demo version").await.trim(), "1.0.0");
    world.prints("npm pack --silent demo && test -f demo-1.0.0.tgz").await;
    world
        .prints(
            "echo '{\"dependencies\":{\"demo\":\"1.0.0\"}}' > package.json && npm install --silent && test -d node_modules/demo",
        )
        .await;
    let done = world.run("npm view --registry https://evil.test:{tls}/ --fetch-retries 0 demo version").await;
    assert_ne!(done.exit, Exit::Code(0), "{}", done.text);
}

#[tokio::test]
async fn cargo_fetches_a_crate_from_what_replaces_its_registry() {
    if !is_here("cargo") {
        return;
    }
    let carried = |origin: &Origin| {
        let index = format!("sparse+http://registry.test:{}/index/", origin.plain);
        let config = format!("[source.crates-io]\nreplace-with = \"own\"\n[source.own]\nregistry = \"{index}\"\n");
        Carried { environment: Vec::new(), files: vec![("/.cargo/config.toml".into(), config)] }
    };
    let mut world = equipped(carried).await;
    serve_crate(&world, "{\"dl\": \"http://registry.test:{plain}/crates\"}");
    world
        .prints(
            "mkdir -p a/src && cd a && touch src/lib.rs && \
             printf '[package]\\nname = \"a\"\\nversion = \"0.1.0\"\\n[dependencies]\\ndemo = \"1\"\\n' > Cargo.toml && cargo fetch -q",
        )
        .await;
    assert!(world.origin.asked().iter().any(|asked| asked.line == "GET /crates/demo/1.0.0/download"));
}

/// What cargo's registry serves of one crate, and its settings.
fn serve_crate(world: &World, settings: &str) {
    let folder = TempDir::new().expect("there is room");
    host(
        folder.path(),
        "mkdir -p demo-1.0.0/src && touch demo-1.0.0/src/lib.rs && \
         printf '[package]\nname = \"demo\"\nversion = \"1.0.0\"\n' > demo-1.0.0/Cargo.toml && tar czf demo.crate demo-1.0.0",
    );
    let package = std::fs::read(folder.path().join("demo.crate")).expect("it is readable");
    let checksum = hex::encode(Sha256::digest(&package));
    world.origin.put("/crates/demo/1.0.0/download", package);
    let entry =
        serde_json::json!({ "name": "demo", "vers": "1.0.0", "deps": [], "cksum": checksum, "features": {}, "yanked": false });
    world.origin.put("/index/de/mo/demo", format!("{entry}\n"));
    world.origin.put("/index/config.json", world.fill(settings));
}

#[tokio::test]
async fn cargo_fetches_from_a_registry_that_wants_a_token_and_never_sees_it() {
    if !is_here("cargo") {
        return;
    }
    let home = TempDir::new().expect("there is room");
    let (origin, names) = origin().await;
    let index = format!("sparse+https://private.registry.test:{}/index/", origin.tls);
    std::fs::create_dir(home.path().join(".cargo")).expect("there is room");
    let config = format!("[registries.own]\nindex = \"{index}\"\ntoken = \"hunter2\"\n");
    std::fs::write(home.path().join(".cargo/config.toml"), config).expect("there is room");
    let sources = Sources {
        path: std::env::var_os("PATH").unwrap_or_default(),
        home: Some(home.path().to_owned()),
        environment: std::collections::BTreeMap::from([("PIP_CONFIG_FILE".to_owned(), "/dev/null".to_owned())]),
    };
    let settings = Settings { sources: Some(sources), ..settings(&names, vec![near("private.registry.test", &origin)]) };
    let mut world = World::open(origin, names, Some(settings), LocalSettings::default(), Profile::Setup).await;
    serve_crate(&world, "{\"dl\": \"https://private.registry.test:{tls}/crates\", \"auth-required\": true}");
    world
        .prints(
            "mkdir -p a/src && cd a && touch src/lib.rs && \
             printf '[package]\nname = \"a\"\nversion = \"0.1.0\"\n[dependencies]\ndemo = { version = \"1\", registry = \"own\" }\n' \
             > Cargo.toml && cargo fetch -q",
        )
        .await;
    assert_eq!(world.prints("env | grep -c hunter2; grep -rIls hunter2 /.cargo /run /home /tmp /workspace; true").await, "0\n");
    let asked = world.origin.asked();
    assert!(asked.iter().any(|asked| asked.line == "GET /crates/demo/1.0.0/download"));
    for asked in asked {
        let sent = asked.headers.get("authorization").map(|value| value.to_str().expect("it is text").to_owned());
        assert_eq!(sent.as_deref(), Some("hunter2"), "{}", asked.line);
    }
}

#[tokio::test]
async fn uv_installs_from_an_index_that_wants_a_password_and_never_sees_it() {
    if !is_here("uv") || !is_here("python3") {
        return;
    }
    let home = TempDir::new().expect("there is room");
    let index =
        |origin: &Origin| vec![("UV_DEFAULT_INDEX", format!("https://me:hunter2@private.registry.test:{}/simple/", origin.tls))];
    let mut world = configured(&home, index).await;
    std::fs::write(home.path().join("make.py"), WHEEL).expect("there is room");
    host(home.path(), "python3 make.py");
    let file = "/simple/demo/demo-1.0-py3-none-any.whl";
    world.origin.put(file, std::fs::read(home.path().join("demo-1.0-py3-none-any.whl")).expect("it is readable"));
    world.origin.put("/simple/demo/", format!("<a href=\"{file}\">demo-1.0-py3-none-any.whl</a>"));
    world.prints("uv pip install -q --no-deps --python python3 --target out demo==1.0 && test -f out/demo.py").await;
    asks_as_me_and_never_sees_it(&mut world, file).await;
}

#[tokio::test]
async fn go_downloads_a_module_from_a_proxy_that_wants_a_password_and_never_sees_it() {
    if !is_here("go") || !is_here("python3") {
        return;
    }
    let home = TempDir::new().expect("there is room");
    let proxy = |origin: &Origin| {
        let proxy = format!("https://me:hunter2@private.registry.test:{}/go", origin.tls);
        vec![("GOPROXY", proxy), ("GOSUMDB", "off".to_owned())]
    };
    let mut world = configured(&home, proxy).await;
    let module = "import zipfile as z\nw = z.ZipFile('demo.zip', 'w')\np = 'demo.test/mod@v1.0.0/'\n\
                  w.writestr(p + 'go.mod', 'module demo.test/mod\\n')\nw.writestr(p + 'demo.go', 'package demo\\n')\nw.close()\n";
    std::fs::write(home.path().join("make.py"), module).expect("there is room");
    host(home.path(), "python3 make.py");
    let at = |name: &str| format!("/go/demo.test/mod/@v/{name}");
    world.origin.put(&at("v1.0.0.info"), "{\"Version\": \"v1.0.0\"}");
    world.origin.put(&at("v1.0.0.mod"), "module demo.test/mod\n");
    world.origin.put(&at("v1.0.0.zip"), std::fs::read(home.path().join("demo.zip")).expect("it is readable"));
    world.prints("go mod download demo.test/mod@v1.0.0 && test -f \"$(go env GOMODCACHE)/demo.test/mod@v1.0.0/demo.go\"").await;
    asks_as_me_and_never_sees_it(&mut world, &at("v1.0.0.zip")).await;
}
