use super::{boot, host, is_gone, worker};

#[test]
fn this_process_is_there_and_others_of_this_machine_are_known_to_be_gone() {
    assert!(!is_gone(&worker()));
    for (worker, gone) in [
        (format!("{}/{}/{}/1", host(), boot(), std::process::id()), true),
        (format!("{}/another-start/1/1", host()), true),
        ("another-host/x/1/1".to_owned(), false),
        ("nobody".to_owned(), true),
        (format!("{}/{}/../../etc/1", host(), boot()), true),
    ] {
        assert_eq!(is_gone(&worker), gone, "{worker}");
    }
}
