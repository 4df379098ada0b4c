use futures_util::FutureExt as _;

use super::*;

#[tokio::test]
async fn who_looks_on_slowly_holds_the_command_up_until_it_is_over() {
    let (live, mut shown) = live();
    let piece = vec![7; WAITING_BYTES_MAX as usize / 4];
    let n_waiting = (0..).take_while(|_| live.push(&piece).now_or_never().is_some()).count();
    assert_eq!(n_waiting, 4, "it is held up when nothing is looked at");
    assert_eq!(shown.next().await.map(|bytes| bytes.len()), Some(piece.len()));
    assert!(live.push(&piece).now_or_never().is_some(), "what was looked at makes room");
    assert!(live.push(&piece).now_or_never().is_none());
    live.finish();
    assert!(live.push(&piece).now_or_never().is_some(), "once it is over nothing is waited for");
    drop(live);
    let mut n_bytes = 0;
    while let Some(bytes) = shown.next().await {
        n_bytes += bytes.len();
    }
    assert_eq!(n_bytes, 5 * piece.len(), "and nothing is lost");
}

#[tokio::test]
async fn where_nobody_looks_on_nothing_is_waited_for() {
    let (live, shown) = live();
    drop(shown);
    for _ in 0..8 {
        assert!(live.push(&vec![7; WAITING_BYTES_MAX as usize]).now_or_never().is_some());
    }
}
