//! A run with tools from outside, driven again where they are not there any more.

use std::sync::Arc;

use patchwright::agent::mcp::McpServers;
use patchwright_domain::journal::Outcome;
use serde_json::json;

use super::http::{Behaviour, Remote};
use super::{Step, call, done, program};
use crate::support::pipeline::{FIX, Setup};

#[tokio::test]
async fn a_replay_answers_from_the_record_and_starts_nothing() {
    let remote = Remote::start(Behaviour::Json).await;
    let mut tracker = remote.server(&["double"]);
    tracker.name = "tracker".to_owned();
    let toolbox = Arc::new(McpServers(vec![program("good", &[], &["add", "fail"]), tracker]));
    let model = vec![
        call("mcp__calc__add", &json!({"a": 2, "b": 4})),
        call("mcp__calc__fail", &json!({})),
        call("mcp__tracker__double", &json!({"n": 2})),
        Step::ApplyPatch(FIX.into()),
        done(),
    ];
    Setup { toolbox, ..Setup::model(model) }
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            assert!(remote.n_seen() > 0);
            remote.shutdown().await;
            let solves = world.replayer().replay(&world.job().await.id()).await.expect("it can be replayed");
            let [solve] = solves.as_slice() else { panic!("{solves:?}") };
            assert_eq!((solve.turns, &solve.divergence), (5, &None));
            assert!(solve.tree.is_some() && solve.tree == solve.recorded_tree, "{solve:?}");
        })
        .await;
}
