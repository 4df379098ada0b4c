//! A PostgreSQL of the tests' own, started once, by whoever needs it first.
//!
//! Every test has a database of its own, copied from one that is up to date, or one
//! that another test has done with, emptied. A password is asked for in the first one only, since checking it takes long.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use patchwright::store::postgres::address::Address;
use patchwright::store::postgres::schema::{Kind, Migration, Schema};
use patchwright::store::postgres::{PostgresStore, Settings, migrate};
use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};
use tokio::sync::{Mutex, OnceCell};

use crate::support::uml::is_required;
use server::{INSTALL, Server, programs};

pub(crate) use server::PASSWORD;

pub(crate) mod server;

/// What makes a server quick that nobody needs after a crash.
const FORGETFUL: &str = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off";

/// A running server, and the databases in it.
pub(crate) struct Cluster {
    server: Server,
    n_databases: AtomicU32,
    /// Databases that tests have done with, by what they were copied from.
    free: [std::sync::Mutex<Vec<String>>; 2],
    /// What connects to the server itself, one thing at a time: a database is copied while nobody is in it.
    copying: Mutex<()>,
}

/// A step that a later version might bring: older programs go on beside it.
pub(crate) const NEXT: Migration = Migration {
    number: 900,
    name: "what a later version might add",
    kind: Kind::Expands,
    sql: "ALTER TABLE job ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm';
          ALTER TABLE delivery ADD COLUMN weight BIGINT;
          ALTER TABLE entry ADD COLUMN colour TEXT;
          CREATE TABLE further (job TEXT PRIMARY KEY REFERENCES job (id));
          CREATE INDEX job_by_mood ON job (mood);",
};

/// The databases that others are copied from, of this version of the program and of one that comes after it.
const TEMPLATES: [&str; 2] = [NOW, LATER];
pub(crate) const NOW: &str = "now";
pub(crate) const LATER: &str = "later";

/// Empties a database that a test has done with.
const EMPTY: &str = "DELETE FROM spending; DELETE FROM entry; DELETE FROM job; DELETE FROM delivery; DELETE FROM artifact; DELETE FROM flaky_test";

static CLUSTER: OnceCell<Option<Cluster>> = OnceCell::const_new();

/// The server, or none where PostgreSQL is not installed; then the test's words say what to install.
#[expect(clippy::print_stderr, reason = "whoever runs the tests is told what was not tried")]
pub(crate) async fn cluster() -> Option<&'static Cluster> {
    let found = CLUSTER
        .get_or_init(|| async {
            let Some(programs) = programs() else {
                assert!(!is_required("postgres"), "PostgreSQL is required and not installed: {INSTALL}");
                return None;
            };
            let start = move || Server::start(&std::env::temp_dir(), &programs, FORGETFUL);
            let server = tokio::task::spawn_blocking(start).await.unwrap();
            let cluster = Cluster { server, n_databases: AtomicU32::new(0), free: Default::default(), copying: Mutex::new(()) };
            for (template, schema) in TEMPLATES.iter().zip([Schema::default(), later()]) {
                cluster.execute(&format!("CREATE DATABASE {template}")).await;
                migrate(&cluster.address(template), &schema, Timestamp::UNIX_EPOCH).await.unwrap();
            }
            Some(cluster)
        })
        .await;
    if found.is_none() {
        eprintln!("PostgreSQL is not installed, so the store on it is not tried: {INSTALL}");
    }
    found.as_ref()
}

/// A server whose data lie on a disk of their own, which is so large, and the words that let it have one.
pub(crate) async fn on_disk(words: &'static [&'static str], size: &'static str) -> Server {
    let start = move || {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("sh");
        Server::run(command, &std::env::temp_dir(), &programs().unwrap(), FORGETFUL, size)
    };
    tokio::task::spawn_blocking(start).await.unwrap()
}

/// The schema of a later version.
pub(crate) fn later() -> Schema {
    let mut schema = Schema::default();
    schema.migrations.push(NEXT);
    schema
}

impl Cluster {
    /// A database of the test's own, as this version of the program makes it, to do with as it likes.
    pub(crate) async fn database(&self) -> Database<'_> {
        self.copy(NOW).await
    }

    /// A database of the test's own as a version of the program has left it, with no row in it; the store on it is all that
    /// comes to it.
    pub(crate) async fn store(&self, template: &str) -> (Lent<'_>, Arc<PostgresStore>) {
        let place = TEMPLATES.iter().position(|known| *known == template).unwrap();
        let free = self.free[place].lock().unwrap().pop();
        let database = match free {
            Some(name) => {
                self.execute_in(&name, EMPTY).await;
                Database { cluster: self, name }
            }
            None => self.copy(template).await,
        };
        let store = database.open().await;
        (Lent { place, database }, Arc::new(store))
    }

    /// A database of the test's own with nothing in it.
    pub(crate) async fn empty_database(&self) -> Database<'_> {
        self.copy("template1").await
    }

    async fn copy(&self, template: &str) -> Database<'_> {
        let name = format!("test_{}", self.n_databases.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Database { cluster: self, name }
    }

    /// What an operator would write for a server on the same machine.
    pub(crate) fn url(&self, database: &str) -> String {
        self.server.url(database)
    }

    pub(crate) fn address(&self, database: &str) -> Address {
        Address::parse(&self.url(database), Some(&PASSWORD.into())).unwrap()
    }

    /// Ends every connection to a database, as a restart or a router would.
    pub(crate) async fn cut(&self, database: &str) {
        let sql = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'");
        self.execute_in("postgres", &sql).await;
    }

    pub(crate) fn folder(&self) -> String {
        self.server.folder.display().to_string()
    }

    async fn execute(&self, sql: &str) {
        let _alone = self.copying.lock().await;
        self.execute_in("postgres", sql).await;
    }

    async fn connect(&self, database: &str) -> PgConnection {
        PgConnection::connect_with(&self.server.options(database)).await.unwrap()
    }

    async fn execute_in(&self, database: &str, sql: &str) {
        let mut connection = self.connect(database).await;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

/// A database that another test has after this one.
pub(crate) struct Lent<'c> {
    place: usize,
    database: Database<'c>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.database.cluster.free[self.place].lock().unwrap().push(std::mem::take(&mut self.database.name));
    }
}

/// One test's database; it is gone with the cluster.
pub(crate) struct Database<'c> {
    cluster: &'c Cluster,
    pub(crate) name: String,
}

impl Database<'_> {
    pub(crate) fn url(&self) -> String {
        self.cluster.url(&self.name)
    }

    pub(crate) fn address(&self) -> Address {
        self.cluster.address(&self.name)
    }

    /// The store of one process, of this version of the program.
    pub(crate) async fn open(&self) -> PostgresStore {
        let settings = Settings { address: self.address(), migrate: false, schema: Schema::default() };
        PostgresStore::open(settings, Timestamp::UNIX_EPOCH).await.unwrap()
    }

    /// What somebody else does to the rows.
    pub(crate) async fn tamper(&self, sql: &str) {
        self.cluster.execute_in(&self.name, sql).await;
    }

    /// Lets nobody in any more, and ends who is in.
    pub(crate) async fn shut(&self) {
        self.cluster.execute(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", self.name)).await;
        self.cluster.cut(&self.name).await;
    }

    /// Lets everybody in again.
    pub(crate) async fn unshut(&self) {
        self.cluster.execute(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", self.name)).await;
    }

    /// What somebody else is about to do to the rows, and has not ended yet.
    pub(crate) async fn begin(&self, sql: &str) -> Begun {
        let mut connection = self.cluster.connect(&self.name).await;
        sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; {sql}"))).execute(&mut connection).await.unwrap();
        Begun { connection }
    }

    /// Waits until so many of those who are in this database wait for others to end.
    pub(crate) async fn until_so_many_wait(&self, n_waiting: i64) {
        let mut connection = self.cluster.connect("postgres").await;
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(sql).bind(&self.name).fetch_one(&mut connection).await.unwrap() < n_waiting {
            tokio::task::yield_now().await;
        }
    }

    /// Hears of every row that comes into a table, once it is committed.
    pub(crate) async fn told_of(&self, table: &str) -> PgListener {
        let trigger = format!(
            "CREATE OR REPLACE FUNCTION tell_{table}() RETURNS trigger LANGUAGE plpgsql AS \
             $$BEGIN PERFORM pg_notify('{table}', ''); RETURN NULL; END$$; \
             DROP TRIGGER IF EXISTS tell ON {table}; CREATE TRIGGER tell AFTER INSERT ON {table} EXECUTE FUNCTION tell_{table}()"
        );
        self.tamper(&trigger).await;
        let pool = PgPool::connect_lazy_with(self.cluster.server.options(&self.name));
        let mut listener = PgListener::connect_with(&pool).await.unwrap();
        listener.listen(table).await.unwrap();
        listener
    }

    /// What somebody reads from the rows.
    pub(crate) async fn text(&self, sql: &'static str) -> String {
        let mut connection = self.cluster.connect(&self.name).await;
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    }
}

/// A transaction of somebody else's that is under way.
pub(crate) struct Begun {
    connection: PgConnection,
}

impl Begun {
    pub(crate) async fn commit(mut self) {
        sqlx::raw_sql("COMMIT").execute(&mut self.connection).await.unwrap();
        self.connection.close().await.unwrap();
    }
}
