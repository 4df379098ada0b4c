use std::io::Cursor;

use super::{Answer, Errand, MESSAGE_BYTES_MAX, frame, receive, serve};

#[test]
fn a_message_comes_back_as_it_was_sent_and_one_that_was_cut_does_not() {
    let sent = frame(&Errand::Read { path: "src/lib.rs".to_owned() }).unwrap();
    assert!(matches!(receive(&mut Cursor::new(&sent)).unwrap(), Errand::Read { path } if path == "src/lib.rs"));
    for end in 0..sent.len() {
        assert!(receive::<Errand>(&mut Cursor::new(&sent[..end])).is_err(), "{end}");
    }
    let mut announced = (MESSAGE_BYTES_MAX + 1).to_be_bytes().to_vec();
    announced.extend(b"{}");
    assert_eq!(receive::<Errand>(&mut Cursor::new(announced)).unwrap_err().to_string(), "what is said is no message");
}

#[test]
fn what_is_no_errand_is_answered() {
    let mut output = Vec::new();
    serve(&b"\0\0\0\x04null"[..], &mut output).unwrap();
    assert!(
        matches!(receive(&mut Cursor::new(output)).unwrap(), Answer::Failed(why) if why.contains("unit variant") || why.contains("expected"))
    );
}
