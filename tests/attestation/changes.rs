//! What was changed after it was signed, or never had the form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use patchwright::attestation::check::Signature;
use patchwright::attestation::envelope;
use patchwright::attestation::key::PublicKey;
use patchwright::attestation::reading::ENVELOPE_BYTES_MAX;
use serde_json::{Value, json};

use super::{checked, fault, signer, statement};

/// An envelope that holds, its payload, and the key.
fn signed() -> (String, Vec<u8>, PublicKey) {
    let (_folder, attestor) = signer();
    let statement = statement(&attestor);
    (attestor.seal(&statement).expect("it holds"), statement.to_bytes(), attestor.key.public())
}

/// The envelope with another payload and the signature that it had.
fn with_payload(envelope: &str, payload: &[u8]) -> Vec<u8> {
    let mut parts: Value = serde_json::from_str(envelope).expect("it is JSON");
    parts["payload"] = STANDARD.encode(payload).into();
    parts.to_string().into_bytes()
}

#[test]
fn what_was_signed_holds_and_says_the_same() {
    let (envelope, payload, key) = signed();
    let found = checked(envelope.as_bytes(), &key);
    assert_eq!(found.signature, Signature::Holds);
    assert_eq!(found.statement.expect("it holds").to_bytes(), payload);
    assert_eq!(fault(format!(" {envelope}\n").as_bytes(), &key), None, "white space around it is nobody's");
}

#[test]
fn no_byte_of_the_envelope_can_be_changed() {
    let (envelope, _, key) = signed();
    for at in 0..envelope.len() {
        let mut changed = envelope.clone().into_bytes();
        changed[at] ^= 1 << (at % 8);
        assert_ne!(fault(&changed, &key), None, "byte {at} of {envelope}");
    }
}

#[test]
fn no_byte_of_the_payload_can_be_changed() {
    let (envelope, payload, key) = signed();
    for at in 0..payload.len() {
        let mut changed = payload.clone();
        changed[at] ^= 1 << (at % 8);
        assert_ne!(fault(&with_payload(&envelope, &changed), &key), None, "byte {at}");
    }
}

/// Every value of the payload, by its path.
fn leaves(value: &Value, path: &str, all: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| leaves(value, &format!("{path}/{name}"), all)),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, value)| leaves(value, &format!("{path}/{n}"), all)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => all.push(path.to_owned()),
    }
}

#[test]
fn no_value_of_the_payload_can_be_changed_or_taken_away() {
    let (envelope, payload, key) = signed();
    let statement: Value = serde_json::from_slice(&payload).expect("it is JSON");
    let mut all = Vec::new();
    leaves(&statement, "", &mut all);
    assert!(all.len() > 40, "{all:?}");
    for path in all {
        for to in [json!("x"), json!(7), json!(null), json!([]), json!({"x": 1})] {
            let mut changed = statement.clone();
            *changed.pointer_mut(&path).expect("it is there") = to;
            assert_ne!(fault(&with_payload(&envelope, changed.to_string().as_bytes()), &key), None, "{path}");
        }
    }
}

/// Changes the payload's text, signs nothing anew, and names the field that must be found.
#[track_caller]
fn check(from: &str, to: &str, field: &str) {
    let (envelope, payload, key) = signed();
    let text = String::from_utf8(payload).expect("it is text");
    let changed = text.replacen(from, to, 1);
    assert_ne!(text, changed, "`{from}` is there");
    assert_eq!(fault(&with_payload(&envelope, changed.as_bytes()), &key).as_deref(), Some(field));
}

#[test]
fn the_first_field_that_does_not_hold_is_named() {
    check("Statement/v1", "Statement/v0", "_type");
    check("proof/v1", "proof/v2", "predicateType");
    check("bbbb", "bbbB", "subject[0].digest.gitCommit");
    check("\"gitTree\"", "\"gitTrees\"", "subject[1].digest");
    check("\"value\":101", "\"value\":\"many\"", "predicate.runs[0].exit.value");
    check("\"value\":101", "\"value\":0", "predicate.runs[0].colour");
    check("\"stand\":\"code\"", "\"stand\":\"coda\"", "predicate.runs[1].stand");
    check("\"plan_digest\":\"", "\"plan_digest\":\"0", "predicate.plan_digest");
    check("\"test\":\"cargo test\"", "\"test\":\"true\"", "predicate.plan_digest");
    check("\"movement\":\"mended\"", "\"movement\":\"broken\"", "predicate.table.rows[0].movement");
    // What could as well be so is under the signature alone.
    check("\"duration_ms\":900", "\"duration_ms\":901", "signatures[0].sig");
}

#[test]
fn a_field_that_is_not_known_is_named_wherever_it_is() {
    check("\"subject\":", "\"more\":1,\"subject\":", "more");
    check("\"stand\":\"base\"", "\"more\":1,\"stand\":\"base\"", "predicate.runs[0].more");
    // In the types that are not of the statement alone.
    check("\"source\":", "\"more\":1,\"source\":", "predicate.plan.more");
    check("\"path\":", "\"more\":1,\"path\":", "predicate.patch.changes[0].more");
    check("\"counts\":{", "\"counts\":{\"mended\":1,", "payload");
}

#[test]
fn a_field_that_is_there_twice_is_refused() {
    check("\"verdict\":\"proven\"", "\"verdict\":\"unproven\",\"verdict\":\"proven\"", "predicate.verdict");
    check("\"source\":\"cargo\"", "\"source\":\"none\",\"source\":\"cargo\"", "predicate.plan.source");
    let (envelope, _, key) = signed();
    let twice = envelope.replacen("\"payload\":", "\"payload\":\"\",\"payload\":", 1);
    assert_eq!(fault(twice.as_bytes(), &key).as_deref(), Some("payload"));
    check("\"base\":\"aaaa", "\"basis\":\"aaaa", "predicate.basis");
    check("\"log\":", "\"logs\":", "predicate.runs[0].logs");
}

#[test]
fn the_payload_has_one_form_even_for_the_key_s_owner() {
    let (_folder, attestor) = signer();
    let key = attestor.key.public();
    let text = String::from_utf8(statement(&attestor).to_bytes()).expect("it is text");
    let sealed = |text: &str| fault(envelope::seal(text.as_bytes(), &attestor.key).as_bytes(), &key);
    assert_eq!(sealed(&text), None);
    assert_eq!(sealed(&text.replacen(':', ": ", 1)).as_deref(), Some("payload"), "a space");
    assert_eq!(sealed(&text.replacen("cargo test", "cargo\\u0020test", 1)).as_deref(), Some("payload"), "an escape");
    let nothing = text.replacen("\"configuration\"", "\"doubt\":null,\"configuration\"", 1);
    assert_eq!(sealed(&nothing).as_deref(), Some("predicate.doubt"), "nothing, said aloud");
    assert_eq!(sealed(&format!("{text}{text}")).as_deref(), Some("payload"), "two of them");
}

#[test]
fn an_envelope_that_has_not_the_form_is_refused_by_its_field() {
    let (envelope, _, key) = signed();
    let parts: Value = serde_json::from_str(&envelope).expect("it is JSON");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut parts = parts.clone();
        change(&mut parts);
        fault(parts.to_string().as_bytes(), &key)
    };
    let named = |field: &str| Some(field.to_owned());
    assert_eq!(changed(&|e| e["payloadType"] = "text/plain".into()), named("payloadType"));
    assert_eq!(changed(&|e| e["more"] = 1.into()), named("more"));
    assert_eq!(changed(&|e| e["signatures"][0]["cert"] = "x".into()), named("signatures[0].cert"));
    assert_eq!(changed(&|e| e["signatures"] = json!([])), named("signatures"));
    let first = parts["signatures"][0].clone();
    assert_eq!(changed(&|e| e["signatures"] = json!([first, first])), named("signatures"), "twice the same is two");
    assert_eq!(changed(&|e| e["signatures"][0]["keyid"] = "".into()), named("signatures[0].keyid"));
    assert_eq!(changed(&|e| e["signatures"][0]["sig"] = "AAAA".into()), named("signatures[0].sig"));
    assert_eq!(changed(&|e| e["signatures"][0]["sig"] = STANDARD.encode([0; 64]).into()), named("signatures[0].sig"));
    assert_eq!(changed(&|e| e["payload"] = "=".into()), named("payload"));
    assert_eq!(changed(&|e| e["payload"] = 1.into()), named("payload"));
    for broken in ["", "{", "[]", "null", &envelope[..envelope.len() - 1], &envelope.repeat(2), &"[".repeat(100_000)] {
        assert_ne!(fault(broken.as_bytes(), &key), None, "{broken:.20}");
    }
}

#[test]
fn a_truncated_envelope_is_refused_wherever_it_ends() {
    let (envelope, payload, key) = signed();
    for end in 0..envelope.len() {
        assert_ne!(fault(&envelope.as_bytes()[..end], &key), None, "{end}");
    }
    for end in 0..payload.len() {
        assert_ne!(fault(&with_payload(&envelope, &payload[..end]), &key), None, "{end}");
    }
}

#[test]
fn another_key_does_not_do() {
    let (envelope, payload, key) = signed();
    let (_folder, other) = signer();
    assert_eq!(fault(envelope.as_bytes(), &other.key.public()).as_deref(), Some("signatures[0].keyid"));
    // Nor does it where it calls itself by the name of the first.
    let forged = envelope::seal(&payload, &other.key).replacen(&other.key.public().id(), &key.id(), 1);
    assert_eq!(fault(forged.as_bytes(), &key).as_deref(), Some("signatures[0].sig"));
}

#[test]
fn what_does_not_hold_is_not_signed_either() {
    let (_folder, attestor) = signer();
    let mut wrong = statement(&attestor);
    wrong.predicate.runs.clear();
    assert_eq!(attestor.seal(&wrong).map_err(|fault| fault.field), Err("predicate.verdict".to_owned()));
    let mut long = statement(&attestor);
    long.predicate.program.version = "1".repeat(ENVELOPE_BYTES_MAX);
    assert_eq!(attestor.seal(&long).map_err(|fault| fault.field), Err("payload".to_owned()));
}
