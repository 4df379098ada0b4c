use std::sync::Arc;

use super::*;

/// A machine whose time of day is somebody's to set.
#[derive(Clone, Default)]
struct Machine(Arc<Mutex<(SignedDuration, Duration)>>);

impl Machine {
    fn set(&self, by_hours: i64) {
        self.0.lock().unwrap().0 += SignedDuration::from_hours(by_hours);
    }

    fn pass(&self, seconds: u64) {
        let mut machine = self.0.lock().unwrap();
        machine.0 += SignedDuration::from_secs(seconds.cast_signed());
        machine.1 += Duration::from_secs(seconds);
    }
}

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(48) + self.0.lock().unwrap().0
    }

    fn uptime(&self) -> Duration {
        self.0.lock().unwrap().1
    }
}

/// What it shows after each of these, in seconds since it began.
fn shown(happens: &[(i64, u64)]) -> Vec<i64> {
    let machine = Machine::default();
    let clock = SteadyClock::over(machine.clone());
    let began = clock.now();
    let look = |&(hours, seconds): &(i64, u64)| {
        machine.set(hours);
        machine.pass(seconds);
        clock.now().duration_since(began).as_secs()
    };
    happens.iter().map(look).collect()
}

#[test]
fn it_goes_with_the_time_of_day_as_long_as_nobody_sets_that() {
    assert_eq!(shown(&[(0, 1), (0, 59), (0, 3_600)]), [1, 60, 3_660]);
}

#[test]
fn it_does_not_jump_and_comes_back_by_a_tenth_of_what_passes() {
    assert_eq!(shown(&[(1, 0), (0, 10), (0, 0), (0, 10_000), (0, 30_000)]), [0, 11, 11, 11_011, 43_610]);
    assert_eq!(shown(&[(-1, 0), (0, 10), (0, 0), (0, 10_000), (0, 30_000)]), [0, 9, 9, 9_009, 36_410]);
}

#[test]
fn the_machine_says_both_and_they_agree() {
    let clock = SteadyClock::over(SystemClock);
    let (before, now) = (SystemClock.now(), clock.now());
    assert!(now.duration_since(before).abs() < SignedDuration::from_secs(60) && SystemClock.uptime() > Duration::ZERO);
}
