use super::Launchers;

/// A program that waits until its connection ends.
fn waiting() -> Launchers {
    Launchers::new("/bin/cat".into())
}

#[tokio::test]
async fn the_one_that_waits_is_taken_once() {
    let launchers = waiting();
    let first = launchers.take().expect("a launcher");
    launchers.refill();
    let waiting = launchers.spare().as_ref().and_then(|spare| spare.child.id());
    launchers.refill();
    let second = launchers.take().expect("the one that waits");
    let third = launchers.take().expect("a new one");
    assert_eq!(second.child.id(), waiting);
    assert_ne!(third.child.id(), waiting);
    assert_ne!(first.child.id(), waiting);
}

#[tokio::test]
async fn one_that_was_ended_while_it_waited_is_not_taken() {
    let launchers = waiting();
    launchers.refill();
    let mut spare = launchers.spare().take().expect("the one that waits");
    let ended = spare.child.id();
    spare.child.kill().await.expect("it can be killed");
    *launchers.spare() = Some(spare);
    let mut taken = launchers.take().expect("another one");
    assert!(matches!(taken.child.try_wait(), Ok(None)), "it was {ended:?}");
}

#[tokio::test]
async fn one_that_waits_ends_with_its_connection() {
    let launchers = waiting();
    launchers.refill();
    let mut spare = launchers.spare().take().expect("the one that waits");
    drop(spare.connection);
    assert!(spare.child.wait().await.expect("it ends").success());
}
