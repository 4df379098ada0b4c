//! Who may do what: the App's signed tokens, installation tokens, and the permissions in them.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, errors::ErrorKind};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use super::{scene::RepositoryId, world::World};

/// How long an App's own token may live, in seconds.
pub(super) const APP_TOKEN_SECONDS_MAX: i64 = 600;

/// How long an installation token lives, in seconds.
pub(super) const INSTALLATION_TOKEN_SECONDS: i64 = 3_600;

/// How far the caller's clock may be off, in seconds.
pub(super) const CLOCK_SKEW_SECONDS: i64 = 60;

/// An installation token.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) installation: u64,
    pub(super) expires_at: Timestamp,
    /// The repositories it was narrowed to; all of the installation's if none.
    pub(super) repositories: Option<BTreeSet<RepositoryId>>,
    pub(super) permissions: BTreeMap<String, String>,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// There are no credentials.
    Missing,
    /// They are unknown or expired.
    Bad(&'static str),
    /// They are known, and suspended.
    Suspended,
}

#[derive(Deserialize)]
struct Claims {
    iss: Value,
    iat: i64,
    exp: i64,
}

impl World {
    /// Checks a token that the App signed itself.
    pub(super) fn check_app_token(&self, authorization: Option<&str>) -> Result<(), Denied> {
        let token = authorization.and_then(bearer).ok_or(Denied::Missing)?;
        let key = DecodingKey::from_rsa_pem(self.settings.public_key_pem.as_bytes())
            .map_err(|_| Denied::Bad("The App has no usable public key"))?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = match jsonwebtoken::decode::<Claims>(token, &key, &validation) {
            Ok(decoded) => decoded.claims,
            Err(error) if matches!(error.kind(), ErrorKind::Json(_)) => {
                return Err(Denied::Bad("Missing 'issuer', 'iat' or 'exp' claim in assertion"));
            }
            Err(_) => return Err(Denied::Bad("A JSON web token could not be decoded")),
        };
        self.check_claims(&claims)
    }

    fn check_claims(&self, claims: &Claims) -> Result<(), Denied> {
        let now = self.now().as_second();
        let id = self.settings.app_id;
        let is_ours = claims.iss.as_u64() == Some(id) || claims.iss.as_str() == Some(id.to_string().as_str());
        if !is_ours {
            return Err(Denied::Bad("Integration not found"));
        }
        if claims.iat > now + CLOCK_SKEW_SECONDS {
            return Err(Denied::Bad(
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
            ));
        }
        if claims.exp <= now - CLOCK_SKEW_SECONDS {
            return Err(Denied::Bad(
                "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
            ));
        }
        let latest = (claims.iat + APP_TOKEN_SECONDS_MAX).min(now + APP_TOKEN_SECONDS_MAX + CLOCK_SKEW_SECONDS);
        if claims.exp > latest {
            return Err(Denied::Bad("'Expiration time' claim ('exp') is too far in the future"));
        }
        Ok(())
    }

    /// Makes a token that nobody can guess who does not know the webhook's secret.
    pub(super) fn mint(&mut self, token: Token) -> String {
        let secret = self.settings.webhook_secret.expose_secret().as_bytes();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
        mac.update(format!("installation token {} at {}", self.tokens.len(), self.now()).as_bytes());
        let text = format!("ghs_{}", &hex::encode(mac.finalize().into_bytes())[..36]);
        self.tokens.insert(text.clone(), token);
        text
    }

    /// Finds the installation token in an `Authorization` header: `Bearer`, `token`, or the password of `Basic`.
    pub(super) fn check_token(&self, authorization: Option<&str>) -> Result<Token, Denied> {
        let header = authorization.ok_or(Denied::Missing)?;
        let text = match bearer(header) {
            Some(text) => text.to_owned(),
            None => password(header).ok_or(Denied::Bad("Bad credentials"))?,
        };
        let token = self.tokens.get(&text).filter(|token| token.expires_at > self.now());
        let token = token.ok_or(Denied::Bad("Bad credentials"))?;
        let installation = self.installations.iter().find(|found| found.id == token.installation);
        match installation.map(|found| found.suspended_at) {
            None => Err(Denied::Bad("Bad credentials")),
            Some(Some(_)) => Err(Denied::Suspended),
            Some(None) => Ok(token.clone()),
        }
    }

    /// Whether a token reaches a repository.
    pub(super) fn reaches(&self, token: &Token, repo: RepositoryId) -> bool {
        let Some(repository) = self.repository(repo) else { return false };
        let covers = self.installation_of(&repository.owner).is_some_and(|found| found.id == token.installation);
        covers && token.repositories.as_ref().is_none_or(|repositories| repositories.contains(&repo))
    }
}

impl Token {
    /// Whether it holds a permission at a level or above.
    pub(super) fn holds(&self, name: &str, level: &str) -> bool {
        self.permissions.get(name).is_some_and(|held| rank(held) >= rank(level))
    }
}

/// Orders the levels of permissions; an unknown word is above all that can be granted.
pub(super) fn rank(level: &str) -> u8 {
    match level {
        "none" => 0,
        "read" => 1,
        "write" => 2,
        "admin" => 3,
        _ => 4,
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token")).then_some(token.trim())
}

fn password(header: &str) -> Option<String> {
    let (scheme, encoded) = header.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok())??;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    (user == "x-access-token").then(|| password.to_owned())
}
