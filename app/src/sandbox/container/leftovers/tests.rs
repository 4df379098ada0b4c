use super::{INSTANCE, PID, STARTED, is_left_behind, labels};

#[test]
fn a_container_is_left_behind_when_its_server_is_gone() {
    let ours = labels("one");
    assert!(!is_left_behind(&ours, true) && !is_left_behind(&ours, false));
    for (label, value) in [(STARTED, "1"), (PID, "0"), (PID, "../1"), (PID, "")] {
        let mut gone = ours.clone();
        gone.insert(label.to_owned(), value.to_owned());
        assert!(is_left_behind(&gone, true), "{label} {value}");
    }
    let mut elsewhere = ours;
    elsewhere.insert(INSTANCE.to_owned(), "another machine's".to_owned());
    assert!(!is_left_behind(&elsewhere, true) && is_left_behind(&elsewhere, false));
}
