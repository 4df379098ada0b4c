//! What is believed of what was seen.

use super::*;

fn seconds(of: u64) -> Duration {
    Duration::from_secs(of)
}

#[test]
fn a_time_that_was_found_twice_or_not_at_all_in_one_look_counts_once() {
    let mut cpu = Cpu::after(Duration::ZERO);
    let used: Vec<Duration> = [1, 2, 9, 3, 4, 5, 5, 0, 5, 5].map(|seen| cpu.told(seconds(seen))).to_vec();
    assert!(used.is_sorted(), "{used:?}");
    assert_eq!(used.last(), Some(&seconds(5)));
}

#[test]
fn the_time_of_a_process_that_nobody_waited_for_still_counts() {
    let mut cpu = Cpu::after(Duration::ZERO);
    let looks = [4, 4, 4, 1, 1, 1, 3, 3, 3, 0, 0, 0];
    assert_eq!(looks.map(|seen| cpu.told(seconds(seen))).last(), Some(&seconds(6)));
}

/// What is concluded after so many looks, 50 ms apart, at each of which this is found.
fn concluded(n_looks: u32, found: impl Fn(u32) -> Vec<Seen>) -> Duration {
    let mut sampled = Sampled::default();
    let looks = (0..n_looks).map(|number| sampled.add(&found(number), Duration::from_millis(50), 2));
    looks.last().unwrap_or_default()
}

fn computing(number: u32, n_computing: f64) -> Seen {
    Seen { id: (number, 0), own: Duration::ZERO, n_computing }
}

#[test]
fn processes_that_are_each_met_once_stand_for_those_that_never_are() {
    let full = concluded(400, |number| vec![computing(number, 1.0)]);
    assert!((seconds(15)..=seconds(20)).contains(&full), "{full:?}");
    // There are no more processors than there are.
    let crowd = concluded(400, |look| (0..9).map(|number| computing(look * 9 + number, 1.0)).collect());
    assert!((seconds(30)..=seconds(40)).contains(&crowd), "{crowd:?}");
    let idle = concluded(400, |number| vec![computing(number, 0.0)]);
    assert_eq!(idle, Duration::ZERO);
    // A few of them may have been met by accident.
    let few = concluded(4, |number| vec![computing(number, 1.0)]);
    assert!(few < Duration::from_millis(10), "{few:?}");
}

#[test]
fn the_time_of_a_process_that_stays_is_known() {
    let used = concluded(9, |number| vec![Seen { own: seconds(number.into()), ..computing(7, 0.0) }]);
    assert_eq!(used, seconds(8));
}

#[test]
fn waiting_for_a_processor_is_no_computing() {
    assert_eq!(["300 100 7", "0 0 0", ""].map(share_of), [0.75, 1.0, 1.0]);
}

#[test]
fn a_name_hides_no_time() {
    let stat = "7 (a) R 1 2 (b) S 1 7 7 0 -1 4194304 1 2 3 4 10 20 300 4000 20 0 1 0 99 5 6";
    assert_eq!(ticks(stat), Some(Ticks { began: 99, own: 30, waited_for: 4300 }));
    assert_eq!(ticks("7 (short) S 1 2"), None);
}
