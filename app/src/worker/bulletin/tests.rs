use patchwright_domain::effect::CheckName;
use patchwright_domain::journal::CommitId;

use super::*;

const SPACING: Duration = Duration::from_secs(5);

fn check_of(digit: &str) -> Option<CheckUnderWay> {
    let commit = CommitId::parse(&digit.repeat(40)).unwrap();
    Some(CheckUnderWay { name: CheckName::Proof, commit, title: "Under way".into(), summary: "Soon.".into() })
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_760_000_000 + seconds).unwrap()
}

fn telling(stage: Stage) -> Option<Told> {
    Some(Told { issue: IssueNumber(1), stage, walls: Vec::new() })
}

/// A bulletin that has told of the first step at the beginning.
fn bulletin() -> Bulletin {
    let mut bulletin = Bulletin::new(watch::Sender::new(Usage::default()).subscribe());
    bulletin.tell(telling(Stage::Preparing), None);
    wrote(&mut bulletin, 0);
    bulletin
}

fn wrote(bulletin: &mut Bulletin, second: i64) {
    bulletin.wrote(at(second));
}

/// After how many seconds the next edit is due.
#[track_caller]
fn check(bulletin: &Bulletin, due: Option<i64>) {
    let found = bulletin.due(SPACING).map(|(_, at)| at.as_second() - 1_760_000_000);
    assert_eq!(found, due);
}

#[test]
fn the_first_word_is_due_at_once() {
    let mut bulletin = Bulletin::new(watch::Sender::new(Usage::default()).subscribe());
    check(&bulletin, None);
    bulletin.tell(telling(Stage::Preparing), None);
    assert!(bulletin.due(SPACING).is_some_and(|(_, due)| due <= at(0)));
}

#[test]
fn another_step_is_told_of_soon_and_the_same_one_ever_less_often() {
    let mut bulletin = bulletin();
    check(&bulletin, Some(20));
    bulletin.tell(telling(Stage::Verifying), None);
    check(&bulletin, Some(5));
    for (second, due) in [(5, 25), (25, 65), (65, 145), (145, 305), (305, 605), (605, 905)] {
        wrote(&mut bulletin, second);
        bulletin.tell(telling(Stage::Verifying), None);
        check(&bulletin, Some(due));
    }
    bulletin.tell(None, None);
    check(&bulletin, None);
}

#[test]
fn a_long_spacing_holds_for_all_edits() {
    let bulletin = bulletin();
    let due = bulletin.due(Duration::from_secs(400)).map(|(_, due)| due);
    assert_eq!(due, Some(at(400)));
}

#[test]
fn a_limit_is_waited_for() {
    let mut bulletin = bulletin();
    bulletin.heard(at(1), What::Comment, Err(ForgeError::RateLimited { retry_after: Duration::from_secs(300) }));
    bulletin.tell(telling(Stage::Verifying), None);
    check(&bulletin, Some(301));
}

#[test]
fn what_is_refused_is_not_tried_again_and_what_is_lost_is_told_of_later() {
    let (what, reason) = (String::new(), String::new());
    let denied = ForgeError::Denied { what: what.clone(), reason: reason.clone(), remedy: String::new() };
    for refusal in [denied, ForgeError::Rejected { what, reason }] {
        let mut bulletin = bulletin();
        bulletin.heard(at(1), What::Comment, Err(refusal));
        bulletin.tell(telling(Stage::Verifying), None);
        check(&bulletin, None);
    }
    let mut bulletin = bulletin();
    bulletin.heard(at(1), What::Comment, Err(ForgeError::Unavailable("no answer".into())));
    check(&bulletin, Some(20));
}

#[test]
fn a_check_run_is_begun_once_and_first_and_again_only_behind_a_limit() {
    let mut bulletin = bulletin();
    bulletin.tell(telling(Stage::Preparing), check_of("a"));
    let due = |bulletin: &Bulletin| bulletin.due(SPACING).unwrap();
    assert!(matches!(due(&bulletin), (Notice::Check(_), moment) if moment <= at(0)));
    bulletin.is_check_begun = true;
    bulletin.heard(at(1), What::Check, Err(ForgeError::RateLimited { retry_after: Duration::from_secs(60) }));
    assert!(matches!(due(&bulletin), (Notice::Check(_), moment) if moment == at(61)));
    bulletin.is_check_begun = true;
    let denied = ForgeError::Denied { what: String::new(), reason: String::new(), remedy: String::new() };
    for refused in [denied, ForgeError::Unavailable("no answer".into())] {
        bulletin.heard(at(61), What::Check, Err(refused));
        assert!(matches!(due(&bulletin), (Notice::Comment(_), moment) if moment == at(61)), "the comment goes on");
    }
}
