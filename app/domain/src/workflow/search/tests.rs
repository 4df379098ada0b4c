use super::*;
use crate::workflow::Value;
use crate::workflow::matrix::Matrix;
use crate::workflow::sample::{job, run, text};

fn workflow(path: &str, jobs: Vec<Job>) -> Workflow {
    Workflow { path: path.into(), jobs, ..Workflow::default() }
}

fn named(id: &str) -> Job {
    Job { id: id.into(), ..job(vec![run("true")]) }
}

#[test]
fn a_check_is_found_by_its_name() {
    let values = vec![("os".into(), Value::List(vec![text("a"), text("b")]))];
    let matrix = Job { matrix: Some(Matrix { values, ..Matrix::default() }), ..named("test") };
    let all = [workflow("ci.yml", vec![matrix, named("lint")]), workflow("more.yml", vec![named("lint")])];
    let found = find(&all, None, &Untrusted::new("test (b)"), &[]).expect("it is there");
    assert_eq!((found.job.id.as_str(), found.run.values()), ("test", vec![("os", &text("b"))]));
    assert_eq!(
        find(&all, Some("more.yml"), &Untrusted::new("lint"), &[]).map(|found| found.workflow.path.as_str()),
        Ok("more.yml")
    );
    let told = |check: &str| find(&all, None, &Untrusted::new(check), &[]).map(|_| ()).unwrap_err();
    assert_eq!(told("lint"), "The check `lint` may be more than one job's: `lint` in `ci.yml` and `lint` in `more.yml`.");
    assert_eq!(told("docs"), "No job in a workflow file is called `docs`.");
}
