//! How long whoever could not go on waits before the next try: longer each time, and everybody a little differently.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// The part of a pause by which it may become longer.
const SPREAD: u32 = 4;

/// A pause that doubles with every try, up to the longest one.
pub fn growing(first: Duration, n_tries: u32, longest: Duration) -> Duration {
    first.saturating_mul(1_u32.checked_shl(n_tries).unwrap_or(u32::MAX)).min(longest)
}

/// A pause that is up to a quarter longer than this one: by how much follows from who waits and the how manieth time. Whatever
/// stopped many at once, such as a limit that ends for all at the same moment, does not meet them again all at once.
pub fn spread(pause: Duration, who: &str, n_tries: u32) -> Duration {
    let digest = Sha256::new().chain_update(who).chain_update(n_tries.to_be_bytes()).finalize();
    let place = digest.iter().take(4).fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
    pause.saturating_add((pause / SPREAD).mul_f64(f64::from(place) / f64::from(u32::MAX)))
}

#[cfg(test)]
mod tests;
