//! JUnit's XML. There is no standard; this reads what its many writers agree on: `testcase` elements in `testsuite`
//! elements, with `failure`, `error` or `skipped` inside.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use patchwright_domain::results::{Results, Status};

use super::Unreadable;

/// How deeply suites may be nested.
const SUITES_MAX: usize = 64;

/// The test case that is being read.
struct Case {
    name: String,
    status: Status,
    /// Whether it stands for a whole file, which fails only if it cannot be loaded.
    is_file: bool,
}

impl Case {
    fn status(&self) -> Status {
        if self.is_file && self.status == Status::Failed { Status::Errored } else { self.status }
    }
}

pub(super) fn read(text: &str) -> Result<Results, Unreadable> {
    let mut reader = Reader::from_str(text);
    let mut results = Results::default();
    let (mut suites, mut case): (Vec<String>, Option<Case>) = (Vec::new(), None);
    let (mut depth, mut has_root) = (0_usize, false);
    loop {
        let event = reader.read_event().map_err(|e| malformed(&e))?;
        match &event {
            Event::Start(element) | Event::Empty(element) => {
                let is_empty = matches!(event, Event::Empty(_));
                let name = element.local_name();
                match name.as_ref() {
                    "testsuites" => has_root = true,
                    "testsuite" => {
                        has_root = true;
                        if !is_empty {
                            suites.push(attribute(element, "name")?.unwrap_or_default());
                        }
                        if suites.len() > SUITES_MAX {
                            return Err(Unreadable::Malformed(format!("more than {SUITES_MAX} suites within each other")));
                        }
                    }
                    "testcase" => {
                        let found = begun(element, &suites)?;
                        if is_empty { results.add(&found.name, found.status())? } else { case = Some(found) }
                    }
                    kind => {
                        if let Some(case) = &mut case {
                            case.status = case.status.max(status(kind));
                        }
                    }
                }
                depth += usize::from(!is_empty);
            }
            Event::End(element) => {
                depth = depth.saturating_sub(1);
                match element.local_name().as_ref() {
                    "testsuite" => drop(suites.pop()),
                    "testcase" => {
                        if let Some(case) = case.take() {
                            results.add(&case.name, case.status())?;
                        }
                    }
                    _ => {}
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if !has_root {
        return Err(Unreadable::Malformed("there is no test suite in it".into()));
    }
    results.is_complete = depth == 0;
    Ok(results)
}

fn status(element: &str) -> Status {
    match element {
        "failure" => Status::Failed,
        "error" => Status::Errored,
        "skipped" => Status::Skipped,
        _ => Status::Passed,
    }
}

/// A test case by its class and name; where it has no class of its own, by the suites around it.
fn begun(element: &BytesStart<'_>, suites: &[String]) -> Result<Case, Unreadable> {
    let name = attribute(element, "name")?.unwrap_or_default();
    let class = attribute(element, "classname")?.unwrap_or_default();
    // Node's runner calls every class `test`, and names a file that could not be loaded like a test.
    let is_of_node = class == "test";
    let parts: Vec<&str> = match is_of_node || class.is_empty() {
        true => suites.iter().map(String::as_str).skip(usize::from(!is_of_node)).chain([name.as_str()]).collect(),
        false => vec![&class, &name],
    };
    Ok(Case { name: parts.join(" > "), status: Status::Passed, is_file: is_of_node && name.starts_with('/') })
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, Unreadable> {
    let found = element.try_get_attribute(name).map_err(|e| malformed(&e))?;
    found.map(|found| found.normalized_value(XmlVersion::Implicit1_0).map(String::from).map_err(|e| malformed(&e))).transpose()
}

fn malformed(error: &dyn std::fmt::Display) -> Unreadable {
    Unreadable::Malformed(error.to_string())
}
