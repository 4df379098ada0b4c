use std::collections::BTreeSet;
use std::time::Duration;

use super::{growing, spread};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_pause_doubles_until_it_is_the_longest() {
    let pause = |n_tries| growing(Duration::from_secs(5), n_tries, 10 * MINUTE).as_secs();
    assert_eq!([0, 1, 2, 6, 7, 31, 32, u32::MAX].map(pause), [5, 10, 20, 320, 600, 600, 600, 600]);
}

#[test]
fn a_hundred_that_wait_for_the_same_moment_come_at_different_ones() {
    let pauses: BTreeSet<u128> = (0..100).map(|number| spread(MINUTE, &format!("job {number}"), 1).as_millis()).collect();
    assert!(pauses.len() > 95, "{} different pauses", pauses.len());
    assert!(pauses.iter().all(|pause| (60_000..=75_000).contains(pause)), "{pauses:?}");
    let (first, last) = (pauses.first().expect("there are some"), pauses.last().expect("there are some"));
    assert!(last - first > 12_000, "they lie between {first} and {last}");
}

#[test]
fn the_same_one_waits_as_long_again_only_for_the_same_try() {
    assert_eq!(spread(MINUTE, "job", 1), spread(MINUTE, "job", 1));
    assert_ne!(spread(MINUTE, "job", 1), spread(MINUTE, "job", 2));
    assert_eq!([Duration::ZERO, Duration::MAX].map(|pause| spread(pause, "job", 1)), [Duration::ZERO, Duration::MAX]);
}
