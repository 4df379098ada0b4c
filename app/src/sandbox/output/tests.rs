//! Head and tail, whatever the chunks.

use super::Kept;

#[track_caller]
fn check(bytes_max: usize, chunks: &[&str], kept: &str, omitted_bytes: u64) {
    let mut output = Kept::new(bytes_max);
    for chunk in chunks {
        output.push(chunk.as_bytes());
    }
    let (bytes, omitted) = output.into_parts();
    assert_eq!((String::from_utf8_lossy(&bytes).as_ref(), omitted), (kept, omitted_bytes));
}

#[test]
fn the_head_and_the_tail_are_kept_and_the_middle_is_counted() {
    check(4, &[], "", 0);
    check(4, &["abcd"], "abcd", 0);
    check(4, &["abcdefgh"], "abgh", 4);
    check(4, &["a", "b", "c", "d", "e", "f", "g", "h"], "abgh", 4);
    check(4, &["abc", "defgh"], "abgh", 4);
    check(5, &["abc", "d", "efgh"], "abfgh", 3);
    check(0, &["abc"], "", 3);
    check(1, &["abc"], "c", 2);
}
