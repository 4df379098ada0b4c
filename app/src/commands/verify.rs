//! `patchwright verify`: whether an attestation holds, without asking anybody.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use patchwright::attestation::check::{self, Found, Signature};
use patchwright::attestation::key::PublicKey;
use patchwright::attestation::reading;
use patchwright::attestation::repository::Presence;
use patchwright::workspace::Checkout;
use patchwright_domain::turn::output;
use patchwright_domain::walls::{MARK, Walls};

use super::{ConfigArguments, Failure, NEGATIVE, signing, terminal};

/// What `--help` says behind the options.
pub(super) const HELP: &str = "\
The public key: a server tells its own at `GET /attestation/key`, so `curl -o key.pem https://HOST/attestation/key`, over TLS and
from the host that you trust, gets it once. Without `--key` it is that of `attestation.key_file`, or the one beside the store that
`--config` names, or your own by which `prove --attestation` signs; where there is none, the signature is not checked, and that
is no success.

The file: what `prove` and `run` write with `--attestation FILE`, or the line in the details of a pull request's check run.

Exit codes: 0 it holds, 1 it does not, and the first field that does not is named, 2 usage.";

/// What is checked.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The envelope
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A checkout that has the commits: they are looked at too
    #[arg(long, value_name = "PATH")]
    repo: Option<PathBuf>,
    /// The public key of whoever must have signed it, in PEM form
    #[arg(long, value_name = "KEYFILE")]
    key: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn verify(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let key = key(arguments)?;
    let checkout = arguments.repo.as_deref().map(Checkout::open).transpose();
    let checkout = checkout.map_err(|error| Failure::usage(error.into()))?;
    let read = reading::read(&arguments.file).with_context(|| format!("reading `{}`", arguments.file.display()));
    let found = match read.map_err(Failure::usage)? {
        Ok(bytes) => check::check(&bytes, key.as_ref(), checkout.as_ref())
            .map_err(|error| Failure::usage(anyhow!(error).context("looking at `--repo`")))?,
        Err(fault) => Found { signature: Signature::NotChecked, statement: Err(fault), presence: None },
    };
    let told =
        if arguments.json { json(&found, key.as_ref()).to_string() } else { text(&found, key.as_ref(), checkout.is_some()) };
    terminal::say(told);
    Ok(if found.statement.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(NEGATIVE) })
}

/// The key that counts; none where nobody has named one and there is none of one's own.
fn key(arguments: &Arguments) -> Result<Option<PublicKey>, Failure> {
    let read = |file: &PathBuf| PublicKey::read(file).map(Some).map_err(|error| Failure::usage(error.into()));
    if let Some(file) = &arguments.key {
        return read(file);
    }
    let config = arguments.config.load_named()?;
    if let Some(file) = &config.attestation.key_file {
        return read(file);
    }
    let file = signing::file_of_user(&config);
    if file.exists() { read(&file) } else { Ok(None) }
}

fn json(found: &Found, key: Option<&PublicKey>) -> serde_json::Value {
    let fault = found.statement.as_ref().err();
    serde_json::json!({
        "holds": fault.is_none(),
        "signature": found.signature.as_str(),
        "key": key.map(PublicKey::id),
        "field": fault.map(|fault| &fault.field),
        "problem": fault.map(|fault| &fault.problem),
        // Under which commit the checkout has the files, where one was looked at.
        "checkout": found.presence.as_ref().filter(|_| fault.is_none()).map(|presence| match presence {
            Presence::Named => serde_json::json!({ "is_named": true }),
            Presence::Remade(commit) => serde_json::json!({ "is_named": false, "commit": commit.as_str() }),
        }),
        // What does not hold says nothing.
        "statement": found.statement.as_deref().ok(),
    })
}

fn text(found: &Found, key: Option<&PublicKey>, has_checkout: bool) -> String {
    let statement = match &found.statement {
        Ok(statement) => statement,
        Err(fault) => {
            let is_unsigned = found.signature == Signature::DoesNotHold && !fault.field.starts_with("signatures");
            let unsigned = if is_unsigned { "\nThe signature does not hold either." } else { "" };
            return format!("Does not hold: {}{unsigned}", plain(&fault.to_string()));
        }
    };
    let predicate = &statement.predicate;
    let (version, n_runs) = (plain(&predicate.program.version), predicate.runs.len());
    let mut lines = vec![
        format!("Holds: the patch is {}.", predicate.verdict),
        format!("  commit  {}", statement.commit().map(ToString::to_string).unwrap_or_default()),
        format!("  tree    {}", statement.tree().unwrap_or_default()),
        format!("  against {}", predicate.base),
        format!("  judged  {}, by version {version}, from {n_runs} runs", predicate.judged_at),
        format!("  signed  by the key {}", key.map(PublicKey::id).unwrap_or_default()),
    ];
    if let Some(Presence::Remade(commit)) = &found.presence {
        lines.insert(2, format!("  here as {commit}, the same files on the same base"));
    }
    if let Some(head) = &predicate.head {
        lines.insert(2, format!("  which is the merge of {head} into the base"));
    }
    if let Some(doubt) = predicate.doubt {
        lines.insert(1, format!("  {}", doubt.sentence()));
    }
    if predicate.walls.iter().any(Walls::are_missing) {
        lines.push(MARK.to_owned());
    }
    if !has_checkout {
        lines.push("The commits were not looked at: name a checkout that has them with `--repo`.".to_owned());
    }
    lines.join("\n")
}

/// What a stranger wrote, without what a terminal would act on.
fn plain(text: &str) -> String {
    output::plain(text.as_bytes()).replace('\n', " ")
}
