use bytes::Bytes;
use http::HeaderValue;
use patchwright_domain::event::RepoRef;

use super::{ANSWER_BYTES_MAX, Answers, Kept};
use crate::forge::github::tokens::Grant;

fn answer(length: usize) -> Kept {
    Kept { etag: HeaderValue::from_static("\"a\""), body: vec![b'x'; length].into(), has_next_page: false }
}

#[tokio::test]
async fn what_is_kept_is_bounded_in_bytes() {
    let (answers, repo) = (Answers::of(10_000), RepoRef::new(1, 1, "octo", "rocket", "main").expect("the names are fine"));
    let key = Grant::new(&repo, &[("issues", "read")]).key();
    for number in 0..100 {
        answers.keep(&key, &format!("/{number}"), &answer(1_000)).await;
    }
    answers.kept.run_pending_tasks().await;
    assert!(answers.kept.weighted_size() <= 10_000, "{}", answers.kept.weighted_size());
    assert!(answers.find(&key, "/99").await.is_some() && answers.find(&key, "/0").await.is_none(), "the oldest are gone");
    answers.keep(&key, "/long", &answer(ANSWER_BYTES_MAX + 1)).await;
    assert!(answers.find(&key, "/long").await.is_none());
}

#[tokio::test]
async fn what_is_kept_holds_nothing_else_that_was_read_with_it() {
    let (answers, repo) = (Answers::of(10_000), RepoRef::new(1, 1, "octo", "rocket", "main").expect("the names are fine"));
    let key = Grant::new(&repo, &[("issues", "read")]).key();
    let read = Bytes::from(vec![b'x'; 100_000]);
    let etag = HeaderValue::from_maybe_shared(read.slice(..10)).expect("it is a plain word");
    let part = Kept { etag, body: read.slice(10..1_000), has_next_page: false };
    answers.keep(&key, "/1", &part).await;
    let kept = answers.find(&key, "/1").await.expect("it is kept");
    assert_eq!((&kept.etag, &kept.body), (&part.etag, &part.body));
    drop((kept, part));
    assert!(read.is_unique(), "all that was read is still held");
}
