//! What the operator of a test's world has set.

use std::time::Duration;

use patchwright::guarded::Guarded;
use patchwright::store::Lanes;
use patchwright::store::ledger::Limits;
use patchwright::worker::Settings;
use secrecy::SecretString;

/// A secret of the operator's, which nobody is told.
pub(crate) const OPERATORS_SECRET: &str = "Grizzly_Marmalade_17";

pub(super) fn settings(web_url: &str, limits_of_day: Limits, operators_secret: &str) -> Settings {
    Settings {
        test_timeout: Duration::from_secs(60),
        proof_runs: 2,
        publishes_untested: false,
        progress_spacing: Duration::ZERO,
        model: "scripted".into(),
        is_priced: false,
        host: web_url.trim_start_matches("http://").to_owned(),
        author: "patchwright[bot]".into(),
        email: "patchwright[bot]@users.noreply.github.test".into(),
        instruction_fallbacks: Vec::new(),
        test_command: None,
        devcontainer_images: None,
        lanes: Lanes::default(),
        limits_of_day,
        patch_size: patchwright::config::Limits::default().patch_size(),
        guarded: Guarded::default().with([("`model.api_key`", SecretString::from(operators_secret))]),
    }
}
