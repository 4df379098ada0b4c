//! A PostgreSQL server of one's own, for tests and benchmarks: Debian's programs, a private folder, and no address but a socket
//! in it. It ends with whoever started it, however that ends.

#![expect(clippy::unwrap_used, reason = "whoever starts it cannot go on without")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sqlx::postgres::PgConnectOptions;

/// What the machine needs, in the words of the shell.
pub(crate) const INSTALL: &str = "apt-get install -y --no-install-recommends postgresql";
/// Where Debian puts the programs, of each version in a folder of its own.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Who the databases belong to, with the password that every connection needs.
const USER: &str = "patchwright";
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Makes the cluster and runs it until standard input ends, then removes what is left. Where the tests are root's it runs as the
/// package's user, for it refuses to be root. The server outlives nobody: the shell ends it, and where the shell is killed the
/// kernel does.
const SERVICE: &str = r#"
    cd / ; folder=$1; programs=$2; user=$3; disk=$5 # and further settings in $4
    trap 'if [ -n "$disk" ]; then umount -l "$folder/data"; fi; rm -rf "$folder"' EXIT
    # Whoever is told that it is ready may be gone already.
    trap '' PIPE
    if [ -n "$disk" ]; then
        mkdir "$folder/data" && mount -t tmpfs -o size="$disk",mode=700 none "$folder/data" || exit 1
    fi
    plain="setpriv --pdeathsig KILL"
    if [ "$(id -u)" = 0 ]; then
        chown -R postgres: "$folder"
        plain="$plain --reuid postgres --regid postgres --init-groups"
    fi
    $plain "$programs/initdb" --pgdata="$folder/data" --username="$user" --pwfile="$folder/password" --auth=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
    printf 'local now all scram-sha-256\nlocal all all trust\n' >"$folder/data/pg_hba.conf"
    $plain "$programs/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= \
        -c max_connections=400 $4 >>"$folder/log" 2>&1 &
    server=$!
    tries=0
    until "$programs/pg_isready" --quiet --host="$folder"; do
        tries=$((tries + 1))
        if [ $tries -gt 600 ] || ! kill -0 $server 2>/dev/null; then cat "$folder/log"; exit 1; fi
        sleep 0.05
    done
    echo ready
    while read -r _; do :; done
    kill -QUIT $server; wait $server
"#;

/// A running server.
pub(crate) struct Server {
    /// Where its socket is.
    pub(crate) folder: PathBuf,
    /// Its standard input is what keeps the server up.
    _service: Child,
}

/// Where the programs are, of the newest version that is installed.
pub(crate) fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).ok()?.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    versions.filter(|folder| folder.join("initdb").is_file()).max()
}

impl Server {
    /// Starts one in a fresh folder inside of this one.
    pub(crate) fn start(inside: &Path, programs: &Path, settings: &str) -> Self {
        Self::run(Command::new("sh"), inside, programs, settings, "")
    }

    /// Starts one by a command that runs a shell. Where a size is given, its data lie on a disk of their own which is so large; the
    /// command is then one that lets the shell mount it.
    pub(crate) fn run(mut service: Command, inside: &Path, programs: &Path, settings: &str, size: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("patchwright-pg-").tempdir_in(inside).unwrap().keep();
        fs::write(folder.join("password"), PASSWORD).unwrap();
        service.args(["-c", SERVICE, "postgres"]).arg(&folder).arg(programs).args([USER, settings, size]);
        let mut service = service.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(service.stdout.take().unwrap());
        while !said.ends_with("ready\n") {
            if lines.read_line(&mut said).unwrap() == 0 {
                service.wait().unwrap();
                panic!("PostgreSQL does not start:\n{said}");
            }
        }
        Self { folder, _service: service }
    }

    /// What an operator would write for a server on the same machine.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&user={USER}", self.folder.display())
    }

    /// How anybody but the program connects.
    pub(crate) fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new().socket(&self.folder).username(USER).password(PASSWORD).database(database)
    }
}
