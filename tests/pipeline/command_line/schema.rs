//! The schema of a database, as an operator sees and changes it.

use super::*;
use crate::support::postgres::cluster;

/// What an operator sees of a database: what is missing, that it is applied, and that workers alone need one.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_migrated_by_hand_and_the_doctor_says_how_far_it_is() {
    let Some(cluster) = cluster().await else { return };
    let (database, folder) = (cluster.empty_database().await, folder());
    let url = database.url();
    let variables = [("PATCHWRIGHT__STORE__URL", url.as_str()), ("PATCHWRIGHT__STORE__MIGRATE", "false")];
    let mut told = String::new();
    for arguments in [["migrate", "--list"].as_slice(), &["migrate", "--json"], &["migrate", "--list"]] {
        let ended = patchwright(folder.path(), arguments, &variables).await;
        told += &format!("{:?} {}{}", ended.code.expect("it ends by itself"), ended.out, ended.err);
    }
    insta::assert_snapshot!(told.trim_end(), @r#"
    1 step 1 (first), which expands, is missing
    step 2 (given up), which expands, is missing
    step 3 (rates), which expands, is missing
    0 {"applied":[{"kind":"expands","name":"first","number":1},{"kind":"expands","name":"given up","number":2},{"kind":"expands","name":"rates","number":3}],"pending":[]}
    0 the schema is up to date
    "#);
    let store = [("PATCHWRIGHT__STORE__URL", "sqlite:patchwright.db")];
    let refused = patchwright(folder.path(), &["work"], &store).await;
    assert_eq!(refused.code, Some(2));
    insta::assert_snapshot!(refused.err.trim_end(), @"error: workers without a server need a store that several processes share: set `store.url` to `postgres://..`, or use `patchwright serve`");
    let secret = [("PATCHWRIGHT__STORE__URL", "mysql://ada:s3cret@host/work")];
    let refused = patchwright(folder.path(), &["migrate"], &secret).await;
    assert_eq!(refused.code, Some(2));
    insta::assert_snapshot!(refused.err.trim_end(), @"error: `store.url` is `sqlite:PATH`, `postgres://..` or `memory:`");
}
