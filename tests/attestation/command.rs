//! `patchwright verify`, on what `patchwright prove --attestation` wrote.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use git2::{Repository, Signature};
use patchwright::attestation::key::PublicKey;
use patchwright::attestation::reading::ENVELOPE_BYTES_MAX;
use patchwright_domain::journal::Digest;
use serde_json::Value;
use tempfile::TempDir;

/// A checkout with a fault and its mend, and what was attested of it.
struct Attested {
    folder: TempDir,
    head: String,
}

/// What a command left.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

impl Attested {
    /// Proves a small patch and keeps its attestation.
    fn make() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let checkout = folder.path().join("checkout");
        std::fs::create_dir(&checkout).expect("a folder");
        let repository = Repository::init(&checkout).expect("a repository");
        let policy = "commands:\n  test: sh test.sh\n";
        // What a checkout says of how differences are shown counts for nothing.
        let first = [
            (".github/patchwright.yml", policy),
            (".gitattributes", "*.sh -diff\n"),
            ("test.sh", "test \"$(cat value)\" = 4\n"),
            ("value", "5\n"),
            ("tool.sh", "old\n"),
        ];
        let base = commit(&repository, &first);
        let head = commit(&repository, &[("value", "4\n"), ("tool.sh", "new\n")]);
        let attested = Self { folder, head };
        let ended = attested.run(&["prove", "--attestation", "attestation.json", "--repo", "checkout", "--base", &base]);
        assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
        attested
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the program as a user who has a home directory, and no configuration.
    fn run(&self, arguments: &[&str]) -> Ended {
        let output = Command::new(env!("CARGO_BIN_EXE_patchwright"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("PATCHWRIGHT__LIMITS__PROOF_RUNS", "1")
            .stdin(Stdio::null())
            .output()
            .expect("the program starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// What `verify --json` names as the first field that does not hold.
    #[track_caller]
    fn fault(&self, arguments: &[&str]) -> String {
        let ended = self.run(&[&["verify", "--json"], arguments].concat());
        let told = ended.json();
        assert_eq!((ended.code, &told["holds"]), (Some(1), &false.into()), "{told}");
        assert_eq!(told["statement"], Value::Null, "what does not hold says nothing");
        told["field"].as_str().expect("a field is named").to_owned()
    }
}

fn commit(repository: &Repository, files: &[(&str, &str)]) -> String {
    let folder = repository.workdir().expect("a checkout").to_owned();
    for (path, text) in files {
        let place = folder.join(path);
        std::fs::create_dir_all(place.parent().expect("a folder")).expect("it can be made");
        std::fs::write(place, text).expect("it can be written");
    }
    let mut index = repository.index().expect("an index");
    index.add_all(["*"], git2::IndexAddOption::FORCE, None).expect("the files");
    index.write().expect("it can be written");
    let tree = repository.find_tree(index.write_tree().expect("a tree")).expect("the tree");
    let who = Signature::now("Mona", "mona@example.com").expect("a signature");
    let parent = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
    repository.commit(Some("HEAD"), &who, &who, "a step", &tree, &parents).expect("a commit").to_string()
}

#[test]
fn what_prove_has_attested_verifies_against_the_checkout() {
    let attested = Attested::make();
    let ended = attested.run(&["verify", "attestation.json", "--repo", "checkout", "--json"]);
    let told = ended.json();
    assert_eq!((ended.code, &told["holds"], &told["signature"]), (Some(0), &true.into(), &"holds".into()), "{told}");
    let statement = &told["statement"];
    assert_eq!(statement["subject"][0]["digest"]["gitCommit"], attested.head.as_str());
    let predicate = &statement["predicate"];
    assert_eq!(predicate["verdict"], "proven");
    let changed = |n: usize| predicate["patch"]["changes"][n]["path"].as_str();
    assert_eq!((changed(0), changed(1)), (Some("tool.sh"), Some("value")));
    let runs = predicate["runs"].as_array().expect("they are told");
    let told: Vec<_> = runs.iter().map(|run| (&run["command"], &run["stand"], &run["exit"]["value"])).collect();
    let command = Value::from("sh test.sh");
    assert_eq!(told[..2], [(&command, &"base".into(), &1.into()), (&command, &"code".into(), &0.into())]);
    assert_ne!(predicate["walls"].as_array().map(Vec::len), Some(0), "what confined them is told");
    for absent in ["trigger", "model", "journal", "request", "transcripts"] {
        assert_eq!(predicate[absent], Value::Null, "{absent} is not known, and not made up");
    }
    let people = attested.run(&["verify", "attestation.json"]);
    assert_eq!(people.code, Some(0));
    assert!(people.out.starts_with("Holds: the patch is proven.\n  commit  "), "{}", people.out);
    assert!(people.out.contains("The commits were not looked at"), "{}", people.out);
}

#[test]
fn without_a_key_nothing_holds() {
    let attested = Attested::make();
    let own = attested.path("home/.local/share/patchwright/attestation-key.pem");
    let key = PublicKey::read(&own).expect("it was made for the user");
    std::fs::write(attested.path("public.pem"), key.to_pem()).expect("there is room");
    std::fs::remove_file(&own).expect("it is there");
    let ended = attested.run(&["verify", "attestation.json"]);
    assert_eq!(ended.code, Some(1));
    insta::assert_snapshot!(ended.out.trim_end(), @"Does not hold: signatures[0].sig: was not checked, for want of a key: name one with `--key`");
    assert_eq!(attested.run(&["verify", "attestation.json", "--key", "public.pem"]).code, Some(0));
    // Nothing in the current folder says whose signatures count.
    std::fs::write(attested.path("attestation-key.pem"), key.to_pem()).expect("there is room");
    assert_eq!(attested.fault(&["attestation.json"]), "signatures[0].sig");
    assert!(!own.exists(), "verifying makes no key");
}

#[test]
fn what_git_does_not_say_is_named() {
    let attested = Attested::make();
    let other = attested.path("other");
    commit(&Repository::init(&other).expect("a repository"), &[("value", "4\n")]);
    assert_eq!(attested.fault(&["attestation.json", "--repo", "other"]), "subject[0].digest.gitCommit");
    let forged = |from: &str, to: &str| {
        use base64::Engine as _;
        let engine = base64::engine::general_purpose::STANDARD;
        let text = std::fs::read_to_string(attested.path("attestation.json")).expect("it is there");
        let mut envelope: Value = serde_json::from_str(&text).expect("it is JSON");
        let payload = engine.decode(envelope["payload"].as_str().expect("it has one")).expect("it is base64");
        let payload = String::from_utf8(payload).expect("it is text");
        let changed = payload.replacen(from, to, 1);
        assert_ne!(payload, changed, "`{from}` is there");
        envelope["payload"] = engine.encode(changed).into();
        std::fs::write(attested.path("forged.json"), envelope.to_string()).expect("there is room");
        attested.fault(&["forged.json", "--repo", "checkout"])
    };
    let repository = Repository::open(attested.path("checkout")).expect("it is there");
    let head = repository.head().and_then(|head| head.peel_to_commit()).expect("it has commits");
    let (tree, base) = (head.tree_id().to_string(), head.parent_id(0).expect("it has one").to_string());
    let base_tree = head.parent(0).and_then(|base| base.tree()).expect("it has one").id().to_string();
    assert_eq!(forged(&tree, &base_tree), "subject[1].digest.gitTree");
    assert_eq!(forged(&format!("\"base\":\"{base}\""), &format!("\"base\":\"{}\"", "0".repeat(40))), "predicate.base");
    assert_eq!(forged("\"path\":\"value\"", "\"path\":\"values\""), "predicate.patch.changes[1].path");
    assert_eq!(forged("\"lines_added\":1", "\"lines_added\":2"), "predicate.patch.changes[0]");
    let told = attested.run(&["verify", "attestation.json", "--json"]).json();
    let another = Digest::of(b"another").to_string();
    for (field, pointer) in [("predicate.patch.diff", "/patch/diff"), ("predicate.policy", "/policy")] {
        let digest = told["statement"]["predicate"].pointer(pointer).and_then(Value::as_str).expect("it has one");
        assert_eq!(forged(digest, &another), field);
    }
    assert_eq!(forged("\"verdict\":\"proven\"", "\"verdict\":\"unproven\""), "predicate.doubt");
}

#[test]
fn a_file_that_is_too_long_is_not_read_to_its_end() {
    let attested = Attested::make();
    let text = std::fs::read(attested.path("attestation.json")).expect("it is there");
    let spaces = vec![b' '; ENVELOPE_BYTES_MAX];
    std::fs::write(attested.path("long.json"), [text, spaces].concat()).expect("there is room");
    assert_eq!(attested.fault(&["long.json"]), "envelope");
    // It has no end.
    assert_eq!(attested.fault(&["/dev/zero"]), "envelope");
}

#[test]
fn what_cannot_be_looked_at_is_an_error_of_usage() {
    let attested = Attested::make();
    let has = |arguments: &[&str], told: &str| {
        let ended = attested.run(&[&["verify"], arguments].concat());
        assert_eq!(ended.code, Some(2), "{}", ended.out);
        assert!(ended.err.contains(told), "{}", ended.err);
    };
    has(&["missing.json"], "reading `missing.json`");
    has(&["attestation.json", "--key", "missing.pem"], "the key file `missing.pem`");
    has(&["attestation.json", "--key", "attestation.json"], "holds no ed25519 key in PEM form");
    has(&["attestation.json", "--repo", "home"], "reading the checkout");
    has(&[], "FILE");
}

#[test]
fn a_key_of_the_operator_s_must_be_there_and_narrow() {
    let attested = Attested::make();
    let named = |file: &Path| {
        std::fs::write(attested.path("config.toml"), format!("[attestation]\nkey_file = {file:?}\n")).expect("there is room");
        attested.run(&["prove", "--config", "config.toml", "--attestation", "x.json", "--repo", "checkout", "--base", "HEAD~1"])
    };
    let missing = named(Path::new("missing.pem"));
    assert_eq!(missing.code, Some(2));
    assert!(missing.err.contains("reading `attestation.key_file`: the key file `missing.pem`"), "{}", missing.err);
    assert!(!attested.path("missing.pem").exists(), "what the operator names is the operator's to make");
    std::fs::write(attested.path("wide.pem"), "x").expect("there is room");
    std::fs::set_permissions(attested.path("wide.pem"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("ours");
    let wide = named(Path::new("wide.pem"));
    assert!(wide.code == Some(2) && wide.err.contains("make it 0600"), "{}", wide.err);
    assert!(!attested.path("x.json").exists());
}
