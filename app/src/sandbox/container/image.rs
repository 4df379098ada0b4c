//! Which image a container is made of: whose choice it is, whether it is allowed, and that it is there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bollard::query_parameters::CreateImageOptions;
use futures_util::StreamExt as _;
use tokio::time::timeout;
use tracing::{debug, info};

use crate::sandbox::container::engine::{Engine, is_absent};
use crate::sandbox::{Refusal, images};

/// How often a pull says how far it is.
const PROGRESS_PAUSE: Duration = Duration::from_secs(10);

/// When an image is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// When the engine does not have it.
    Missing,
    /// Never: the operator brings it.
    Never,
}

/// An image that the engine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) name: String,
    /// The variables that it sets.
    pub(super) environment: BTreeMap<String, String>,
}

/// The image to use: the repository's where the operator allows it, otherwise the operator's.
pub(super) fn chosen(own: Option<&str>, named: Option<&str>, allowed: &[String]) -> Result<String, Refusal> {
    let Some(named) = named else {
        return own.map(str::to_owned).ok_or_else(|| Refusal {
            missing: "an image: `sandbox.container.image` is not set".to_owned(),
            remedy: "set it to an image with a shell and the toolchains that your repositories need, such as \
                     `buildpack-deps:stable`"
                .to_owned(),
        });
    };
    let own: Vec<String> = own.map(str::to_owned).into_iter().collect();
    match images::refusal(named, allowed.iter().chain(&own)) {
        None => Ok(named.to_owned()),
        Some(refusal) => Err(refusal),
    }
}

/// Makes sure that the engine has the image, and says what it sets.
pub(super) async fn ensure(engine: &Engine, name: &str, pull: Pull, time: Duration) -> Result<Image, Refusal> {
    match inspect(engine, name).await {
        Ok(Some(image)) => return Ok(image),
        Ok(None) => {}
        Err(refusal) => return Err(refusal),
    }
    let by_hand = format!("fetch it by hand: `podman pull {name}` or `docker pull {name}`");
    if pull == Pull::Never {
        return Err(Refusal {
            missing: format!("the image `{name}`: {} does not have it, and `sandbox.container.pull` is `never`", engine.version),
            remedy: by_hand,
        });
    }
    let failed = |why: String| Refusal { missing: format!("the image `{name}`: {why}"), remedy: by_hand.clone() };
    let started = Instant::now();
    info!("fetching the image {name}");
    match timeout(time, fetch(engine, name)).await {
        Ok(Ok(())) => info!(duration_ms = started.elapsed().as_millis(), "the image {name} is here"),
        Ok(Err(why)) => return Err(failed(why)),
        Err(_) => return Err(failed(format!("fetching it takes longer than {} s", time.as_secs()))),
    }
    inspect(engine, name).await?.ok_or_else(|| failed("it was fetched and is not there".to_owned()))
}

async fn inspect(engine: &Engine, name: &str) -> Result<Option<Image>, Refusal> {
    let found = match engine.docker.inspect_image(name).await {
        Ok(found) => found,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(engine.refusal("looking for an image", &error)),
    };
    let variables = found.config.and_then(|config| config.env).unwrap_or_default();
    let pairs = variables.iter().filter_map(|pair| pair.split_once('='));
    let environment = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Ok(Some(Image { name: name.to_owned(), environment }))
}

async fn fetch(engine: &Engine, name: &str) -> Result<(), String> {
    // Without a tag an engine fetches every one that there is.
    let is_exact = name.contains('@') || name.rsplit('/').next().is_some_and(|last| last.contains(':'));
    let exact = if is_exact { name.to_owned() } else { format!("{name}:latest") };
    let options = CreateImageOptions { from_image: Some(exact), ..CreateImageOptions::default() };
    let mut progress = engine.docker.create_image(Some(options), None, None);
    let mut said = Instant::now();
    while let Some(step) = progress.next().await {
        let step = step.map_err(|error| error.to_string())?;
        let status = step.status.unwrap_or_default();
        debug!("{name}: {status}");
        if said.elapsed() >= PROGRESS_PAUSE {
            said = Instant::now();
            info!("still fetching the image {name}: {status}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
