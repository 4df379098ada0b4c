use super::parse;

#[test]
fn a_template_says_where_pods_run() {
    let pod = parse(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  labels: {team: tools}\nspec:\n  nodeSelector: {pool: untrusted}\n  tolerations:\n\
         \x20 - {key: untrusted, operator: Exists, effect: NoSchedule}\n",
    )
    .unwrap();
    assert_eq!(pod.metadata.labels.unwrap()["team"], "tools");
    assert_eq!(pod.spec.unwrap().tolerations.unwrap()[0].key.as_deref(), Some("untrusted"));
}

#[test]
fn what_weakens_the_sandbox_or_is_unknown_may_not_be_in_it() {
    for (text, wrong) in [
        ("spec: {hostNetwork: true}", "`spec.hostNetwork` may not be in it"),
        ("spec: {containers: []}", "`spec.containers` may not be in it"),
        ("spec: {serviceAccountName: admin}", "`spec.serviceAccountName` may not be in it"),
        ("metadata: {ownerReferences: []}", "`metadata.ownerReferences` may not be in it"),
        ("status: {}", "`status` may not be in it"),
        ("kind: Job", "`kind` may not be in it"),
        ("spec: {tolerations: [{keys: x}]}", "`spec.tolerations[0].keys` is unknown"),
        ("spec: []", "`spec` is no object"),
        ("- 1", "it is no object"),
    ] {
        assert_eq!(parse(text).unwrap_err(), wrong, "{text}");
    }
}
