use std::path::Path;

use patchwright_domain::turn::tools::EditForm;

use super::{Config, LimitField, example};
use crate::store::ledger::{Limit, Limits, Quantity, Scope};

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("patchwright.toml");
    std::fs::write(&file, text).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(Some(&file), variables).map_err(|e| e.to_string())
}

#[test]
fn nothing_given_is_the_defaults() {
    let config = Config::load(None, []).unwrap();
    assert_eq!(config.github.mention, "@codex");
    assert_eq!(config.store.url, "sqlite:patchwright.db");
    assert!(config.github.webhook_secrets().is_empty());
}

#[test]
fn the_environment_wins_over_the_file() {
    let config = load("[github]\napp_id = 1\n", &[("PATCHWRIGHT__GITHUB__APP_ID", "2")]).unwrap();
    assert_eq!(config.github.app_id, 2);
}

#[test]
fn a_format_brings_the_form_of_edits_that_its_models_know() {
    for (format, form) in [("responses", EditForm::Freeform), ("chat", EditForm::Replace), ("messages", EditForm::Replace)] {
        let model = load(&format!("[model]\nformat = \"{format}\"\n"), &[]).unwrap().model;
        assert_eq!((model.format.edit_form(), model.edit_form, model.context_tokens), (form, None, 200_000));
    }
    let variables = [
        ("PATCHWRIGHT__MODEL__EDIT_FORM", "function"),
        ("PATCHWRIGHT__MODEL__NATIVE_TOOLS", "false"),
        ("PATCHWRIGHT__MODEL__LIMIT_FIELD", "max_completion_tokens"),
        ("PATCHWRIGHT__MODEL__CONTEXT_TOKENS", "32768"),
    ];
    let model = load("", &variables).unwrap().model;
    assert_eq!((model.edit_form, model.native_tools, model.context_tokens), (Some(EditForm::Function), false, 32_768));
    assert_eq!(model.limit_field, LimitField::MaxCompletionTokens);
    assert!(load("[model]\nformat = \"assistants\"\n", &[]).is_err());
}

#[test]
fn a_secret_of_digits_keeps_its_zeros() {
    use secrecy::ExposeSecret as _;
    let config = load("", &[("PATCHWRIGHT__GITHUB__WEBHOOK_SECRET", "007")]).unwrap();
    assert_eq!(config.github.webhook_secrets()[0].expose_secret(), "007");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest() {
    let error = load("[github]\nweb_hook_secret = \"x\"\n", &[]).unwrap_err();
    assert_eq!(error, "there is no configuration key `github.web_hook_secret`; did you mean `github.webhook_secret`?");
    let error = load("", &[("PATCHWRIGHT__LIMIT__TURNS", "3")]).unwrap_err();
    assert_eq!(error, "there is no configuration key `limit.turns`; did you mean `limits.turns`?");
}

#[test]
fn a_value_of_the_wrong_kind_is_named() {
    let error = load("[limits]\nturns = \"many\"\n", &[]).unwrap_err();
    assert!(error.contains("turns"), "{error}");
    assert!(load("[limits]\nrounds = 0\n", &[]).unwrap_err().contains("limits.rounds"));
    assert!(load("[github]\nmention = \"codex\"\n", &[]).unwrap_err().contains("github.mention"));
    let error = load("[limits]\nuser_tokens_per_day = 0\n", &[]).unwrap_err();
    assert_eq!(error, "`limits.user_tokens_per_day` must be at least 1");
    let error = load("[limits]\nrepository_jobs_per_hour = 1001\n", &[]).unwrap_err();
    assert_eq!(error, "`limits.repository_jobs_per_hour` must be at most 1000, or 0 for no limit");
    for dollars in ["0.0", "-1.0", "nan"] {
        let error = load(&format!("[limits]\nusd_per_day = {dollars}\n"), &[]).unwrap_err();
        assert_eq!(error, "`limits.usd_per_day` must be above 0");
    }
}

#[test]
fn a_days_limits_are_none_until_they_are_set() {
    assert_eq!(Config::default().limits.of_day(), Limits::default());
    let text = "[limits]\nrepository_tokens_per_day = 1\nrepository_usd_per_day = 2\nuser_tokens_per_day = 3\n\
                user_usd_per_day = 4.5\nusd_per_day = 6.0\n";
    let limits = load(text, &[("PATCHWRIGHT__LIMITS__TOKENS_PER_DAY", "5")]).unwrap().limits;
    let limit = |tokens, cost_microusd| Limit { tokens: Some(tokens), cost_microusd: Some(cost_microusd) };
    assert_eq!(
        limits.of_day(),
        Limits { repository: limit(1, 2_000_000), user: limit(3, 4_500_000), everything: limit(5, 6_000_000) }
    );
}

#[test]
fn every_limit_of_a_day_has_its_key() {
    let keys = example::keys();
    for scope in [Scope::Repository(1), Scope::User(1), Scope::Everything] {
        for quantity in [Quantity::Tokens, Quantity::Cost] {
            let name = super::Limits::key_of_day(scope, quantity);
            assert!(keys.iter().any(|key| key.name == name), "{name}");
        }
    }
}

#[test]
fn an_mcp_server_is_a_program_or_an_address() {
    let text = "[[mcp]]\nname = \"docs\"\ncommand = [\"/usr/bin/docs\", \"--stdio\"]\ntools = [\"find\"]\n\
                [[mcp]]\nname = \"tracker\"\nurl = \"https://mcp.test/\"\ntoken = \"t\"\ntools = [\"read\"]\n\
                read_only = true\ntimeout_seconds = 5\n";
    let servers = load(text, &[]).unwrap().mcp;
    assert_eq!((servers[0].command.len(), servers[0].timeout_seconds, servers[0].read_only), (2, 60, false));
    assert_eq!((servers[1].url.as_deref(), servers[1].timeout_seconds), (Some("https://mcp.test/"), 5));
    for (given, told) in [
        ("name = \"Docs\"\ncommand = [\"/d\"]\ntools = [\"x\"]", "not `Docs`"),
        ("name = \"d\"\ncommand = [\"/d\"]", "`mcp.tools` of `d` must name"),
        ("name = \"d\"\ntools = [\"x\"]", "either `mcp.command` or `mcp.url`"),
        ("name = \"d\"\ntools = [\"x\"]\ncommand = [\"/d\"]\nurl = \"https://d/\"", "either `mcp.command` or `mcp.url`"),
        ("name = \"d\"\ntools = [\"x\"]\ncommand = [\"npx\"]", "not `npx`"),
        ("name = \"d\"\ntools = [\"x\"]\ncommand = [\"/d\"]\ntoken = \"t\"", "no secret goes into a sandbox"),
        ("name = \"d\"\ntools = [\"x\"]\nurl = \"http://d.test/\"\ntoken = \"t\"", "must be https"),
        ("name = \"d\"\ntools = [\"x\"]\nurl = \"https://me:pw@d.test/\"", "without user and password"),
        ("name = \"d\"\ntools = [\"x\"]\ncommand = [\"/d\"]\ntimeout_seconds = 0", "must be at least 1"),
        ("name = \"d\"\ntools = [\"x\"]\ncommand = [\"/d\"]\nallow = [\"x\"]", "unknown field `allow`"),
    ] {
        let error = load(&format!("[[mcp]]\n{given}\n"), &[]).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
    assert!(load(&text.replace("tracker", "docs"), &[]).unwrap_err().contains("two servers `docs`"));
}

#[test]
fn what_a_setup_reaches_is_named_and_nothing_else() {
    let text = "[sandbox.egress]\nhosts = [\"crates.test\", \"*.npm.test\"]\nupload_mib = 1\n\
                [[sandbox.egress.host]]\nname = \"registry.test\"\ntoken = \"t\"\nupgrade_to_tls = true\n\
                [[sandbox.egress.host]]\nname = \"mirror.test\"\nports = [8081]\nprivate = true\n";
    let egress = load(text, &[("PATCHWRIGHT__SANDBOX__EGRESS__IDLE_SECONDS", "7")]).unwrap().sandbox.egress;
    let hosts = egress.hosts().unwrap();
    assert_eq!((hosts.len(), hosts[0].upgrade_to_tls, &hosts[1].ports[..], hosts[1].private), (4, true, &[8081][..], true));
    assert_eq!((egress.limits().up_bytes, egress.limits().idle.as_secs()), (1024 * 1024, 7));
    for (given, told) in [
        ("hosts = [\"10.0.0.1\"]", "`sandbox.egress.hosts` has `10.0.0.1`"),
        ("hosts = [\"*\"]", "has `*`, which is neither"),
        ("hosts = [\"https://a.test/\"]", "has `https://a.test/`"),
        ("connections = 0", "`sandbox.egress.connections` must be at least 1"),
        ("[[sandbox.egress.host]]\nname = \"a.test\"\ntoken = \"t\"", "over TLS only"),
        ("[[sandbox.egress.host]]\nname = \"a.test\"\nusername = \"u\"", "`username` and `password`"),
        ("[[sandbox.egress.host]]\nname = \"a.test\"\nports = []", "at least one port"),
        ("[[sandbox.egress.host]]\nname = \"a.test\"\nallow = true", "unknown field `allow`"),
    ] {
        let error = load(&format!("[sandbox.egress]\n{given}\n"), &[]).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let text = "[[sandbox.egress.host]]\nname = \"a.test\"\ntoken = \"hunter2\"\nupgrade_to_tls = true\n";
    assert!(!format!("{:?}", load(text, &[]).unwrap()).contains("hunter2"));
    let text = "[[mcp]]\nname = \"d\"\nurl = \"https://d/\"\ntools = [\"x\"]\ntoken = \"hunter2\"\n";
    assert!(!format!("{:?}", load(text, &[]).unwrap()).contains("hunter2"));
    let config = load("[model]\napi_key = \"hunter2\"\n", &[]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn the_example_file_is_up_to_date_and_loads_as_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/patchwright.example.toml");
    if std::env::var_os("UPDATE_REFERENCES").is_some() {
        std::fs::write(&path, example::file()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), example::file(), "run this test once with UPDATE_REFERENCES=1");
    let (loaded, defaults) = (Config::load(Some(&path), []).unwrap(), Config::default());
    assert_eq!(format!("{loaded:?}"), format!("{defaults:?}"));
}

#[test]
fn every_key_is_documented() {
    for key in example::keys() {
        assert!(key.doc.ends_with(['.', ')', '`']) || key.doc.contains(". "), "{}: {:?}", key.name, key.doc);
    }
}

#[test]
fn a_devcontainer_is_read_only_where_it_is_wanted_and_images_are_run() {
    let container = "[sandbox]\nexecutor = \"container\"\ndevcontainer = true\n";
    let allowed = format!("{container}[sandbox.container]\nimage = \"debian\"\nallowed_images = [\"node:*\"]\n");
    let images = load(&allowed, &[]).unwrap().sandbox.devcontainer_images().unwrap();
    assert_eq!(images, ["node:*", "debian"]);
    assert!(load(container, &[]).unwrap_err().contains("`sandbox.container.allowed_images` allows no image"));
    let local = load("[sandbox]\ndevcontainer = true\n", &[]).unwrap_err();
    assert!(local.contains("of use to the executor `container` alone"), "{local}");
    assert!(!load("[sandbox]\nexecutor = \"container\"\n", &[]).unwrap().sandbox.reads_devcontainer());
}

#[test]
fn limits_with_which_nothing_could_run_are_refused_by_their_key() {
    for (key, value) in [
        ("memory_mib", "0"),
        ("file_mib", "0"),
        ("open_files", "2"),
        ("processes", "0"),
        ("disk_mib", "0"),
        ("memory_mib", "18446744073709551615"),
        ("grace_ms", "600001"),
    ] {
        let variable = format!("PATCHWRIGHT__SANDBOX__LIMITS__{}", key.to_uppercase());
        let error = load("", &[(&variable, value)]).unwrap_err();
        assert!(error.contains(&format!("`sandbox.limits.{key}` is {value}, and must be between ")), "{error}");
    }
}

#[test]
fn a_value_that_is_none_of_those_that_there_are_is_told_with_them() {
    for (text, variables) in [
        ("[sandbox]\nexecutor = \"docker\"\n", [].as_slice()),
        ("", &[("PATCHWRIGHT__SANDBOX__EXECUTOR", "docker"), ("PATCHWRIGHT__SERVER__WORKERS", "2")]),
    ] {
        let error = load(text, variables).unwrap_err();
        assert_eq!(error, "`sandbox.executor`: there is no `docker`, expected one of `local`, `container`, `kubernetes`, `none`");
    }
}

#[test]
fn no_minimum_is_for_what_has_no_walls_alone() {
    for executor in ["local", "container"] {
        let error = load(&format!("[sandbox]\nexecutor = \"{executor}\"\nisolation = \"none\"\n"), &[]).unwrap_err();
        assert!(error.contains("is for the executor `none` alone"), "{error}");
    }
}

#[test]
fn no_sandbox_goes_together_with_nothing_that_promises_one() {
    let none = |more: &str| load(&format!("[sandbox]\nexecutor = \"none\"\n{more}"), &[]).map(drop);
    let demands = none("[sandbox.egress]\nenabled = false\n").unwrap_err();
    assert!(demands.contains("`sandbox.isolation` demands `namespaces`"), "{demands}");
    assert!(none("isolation = \"none\"\n").unwrap_err().contains("sandbox.egress.enabled"));
    assert_eq!(none("isolation = \"none\"\n[sandbox.egress]\nenabled = false\n"), Ok(()));
}
