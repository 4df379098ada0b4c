//! What is believed of what was seen.

use super::*;

fn seconds(of: u64) -> Duration {
    Duration::from_secs(of)
}

#[test]
fn a_time_that_was_found_twice_or_not_at_all_in_one_look_counts_once() {
    let mut cpu = Cpu::default();
    let used: Vec<Duration> = [1, 2, 9, 3, 4, 5, 5, 0, 5, 5].map(|seen| cpu.used(seconds(seen))).to_vec();
    assert!(used.is_sorted(), "{used:?}");
    assert_eq!(used.last(), Some(&seconds(5)));
}

#[test]
fn the_time_of_a_process_that_nobody_waited_for_still_counts() {
    let mut cpu = Cpu::default();
    let looks = [4, 4, 4, 1, 1, 1, 3, 3, 3, 0, 0, 0];
    assert_eq!(looks.map(|seen| cpu.used(seconds(seen))).last(), Some(&seconds(6)));
}

#[test]
fn a_name_hides_no_time() {
    let stat = "7 (a) R 1 2 (b) S 1 7 7 0 -1 4194304 1 2 3 4 10 20 300 4000 20 0 1 0 99 5 6";
    assert_eq!(ticks(stat), Some(4330));
    assert_eq!(ticks("7 (short) S 1 2"), None);
}
