use super::RULES;

#[test]
fn every_kept_rule_is_one() {
    assert_eq!(RULES.rules.len(), 221);
    for rule in &RULES.rules {
        rule.pattern.regex();
        assert!(!rule.keywords.is_empty(), "{} has no keyword, so that it is never asked", rule.id);
        assert!(rule.keywords.iter().all(|keyword| *keyword == keyword.to_ascii_lowercase()), "{}", rule.id);
        assert!(rule.group.is_none_or(|group| group < rule.pattern.regex().captures_len()), "{}", rule.id);
        for pattern in rule.path.iter().chain(rule.allow.iter().flat_map(|allow| allow.regexes.iter().chain(&allow.paths))) {
            pattern.regex();
        }
    }
    for pattern in RULES.allow.regexes.iter().chain(&RULES.allow.paths) {
        pattern.regex();
    }
}
