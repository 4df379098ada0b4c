//! What no test may leave behind, and no run may tell.

use std::path::Path;

use patchwright::rehearsal::WORTHLESS_PRIVATE_KEY;
use patchwright::store::JobState;
use patchwright_domain::event::DeliveryId;
use patchwright_domain::job::JobSpec;
use patchwright_domain::journal::Digest;
use patchwright_domain::run::Run;

use super::{MODEL_KEY, PREVIOUS_SECRET, WEBHOOK_SECRET, World};
use crate::support::openapi::assert_conform;

/// Looks over a world whose test has ended.
pub(super) async fn inspect(world: &World) {
    world.github.settle().await;
    assert_conform(&world.github.exchanges());
    for delivery in world.github.deliveries() {
        let id = DeliveryId::new(&delivery.guid).expect("the rehearsal names them well");
        assert!(world.tools.store.received_at(&id).await.is_ok(), "{} {} is not stored", delivery.event, delivery.guid);
        assert!(matches!(delivery.status, Some(202) | None), "{} {}", delivery.event, delivery.guid);
    }
    let secrets = secrets(world);
    for spec in world.started().await {
        let (_, state) = world.tools.store.job(&spec.id()).await.expect("the job is stored");
        assert!(matches!(state, JobState::Done(_)), "job {} is left {state:?}", spec.id());
        let journal = world.tools.store.journal(&spec.id(), 0).await.expect("the chain holds");
        Run::fold(&spec, &journal).expect("the journal folds");
        if world.is_replayed {
            replay(world, &spec).await;
        }
        for entry in journal {
            let text = serde_json::to_string(&entry.kind).expect("an entry is JSON");
            look_through(&secrets, "a journal", text.as_bytes());
            artifacts(world, &secrets, &text).await;
        }
    }
    for exchange in world.github.exchanges() {
        look_through(&secrets, "a request to GitHub", exchange.request.to_string().as_bytes());
    }
    for request in world.model.requests() {
        look_through(&secrets, "a request to the model", &request.bytes);
    }
    let scratch = std::fs::read_dir(world.folder.path().join("workspace/scratch")).expect("the folder is there");
    assert_eq!(scratch.count(), 0, "a scratch tree is left on disk");
    look_through_folder(&secrets, world.folder.path());
}

/// Drives every solve of a job again from its record: it comes to the same tree.
async fn replay(world: &World, spec: &JobSpec) {
    let solves = world.replayer().replay(&spec.id()).await.expect("the run can be replayed");
    for solve in solves {
        assert_eq!((&solve.divergence, &solve.tree), (&None, &solve.recorded_tree), "job {}", spec.id());
    }
}

/// Everything that only this process may know, the tokens that GitHub gave it included.
fn secrets(world: &World) -> Vec<String> {
    let exchanges = world.github.exchanges();
    let minted = exchanges.iter().filter(|exchange| exchange.path.ends_with("/access_tokens"));
    let tokens = minted.filter(|exchange| exchange.status == 201).map(|exchange| {
        let token = exchange.response["token"].as_str().expect("GitHub's answer holds the token");
        token.to_owned()
    });
    let key = WORTHLESS_PRIVATE_KEY.lines().nth(5).expect("the key has many lines");
    tokens.chain([WEBHOOK_SECRET, PREVIOUS_SECRET, MODEL_KEY, key].map(str::to_owned)).collect()
}

/// Every artifact that an entry names.
async fn artifacts(world: &World, secrets: &[String], entry: &str) {
    let words = entry.split(|c: char| !c.is_ascii_alphanumeric()).filter_map(Digest::parse);
    for digest in words {
        if let Ok(bytes) = world.tools.store.artifact(&digest).await {
            look_through(secrets, "an artifact", &bytes);
        }
    }
}

fn look_through_folder(secrets: &[String], folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("the folder is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            look_through_folder(secrets, &path);
        } else if let Ok(bytes) = std::fs::read(&path) {
            look_through(secrets, &path.display().to_string(), &bytes);
        }
        if path.extension().is_some_and(|extension| extension == "db") {
            look_through_deliveries(secrets, &path);
        }
    }
}

/// Bodies are compressed in there.
fn look_through_deliveries(secrets: &[String], file: &Path) {
    let store = rusqlite::Connection::open(file).expect("it is a database");
    let mut packed = store.prepare("SELECT body FROM delivery WHERE encoding = 1").expect("it has deliveries");
    let bodies = packed.query_map([], |row| row.get::<_, Vec<u8>>(0)).expect("it can be read");
    for body in bodies {
        let body = zstd::decode_all(body.expect("it can be read").as_slice()).expect("it is compressed");
        look_through(secrets, "a delivery", &body);
    }
}

#[track_caller]
fn look_through(secrets: &[String], place: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{place} holds the secret that begins with {}", &secret[..8]);
    }
}
