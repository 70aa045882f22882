use super::*;
use crate::domain::{ColumnSet, StateKey};

fn info(digest: u8, name: &str, owners: &[u32]) -> PluginInfo {
    PluginInfo {
        digest: Digest([digest; 32]),
        name: name.to_owned(),
        version: "1".to_owned(),
        summary: String::new(),
        parameters_schema: "{}".to_owned(),
        state_key: StateKey::Device,
        state_words: 0,
        state_version: 1,
        reasons: Vec::new(),
        reads: ColumnSet::default(),
        size_bytes: 0,
        uploaded_ms: digest.into(),
        owners: owners.iter().map(|id| OperatorId::new(*id).unwrap()).collect(),
        signed_by: Vec::new(),
        revoked: None,
    }
}

fn digest(registry: &Registry, wanted: &str, user: Option<u32>) -> Result<u8, String> {
    let user = user.map(|id| OperatorId::new(id).unwrap());
    registry.resolve(wanted, |_| true, user).map(|info| info.digest.0[0])
}

#[test]
fn no_name_takes_the_place_of_a_digest() {
    let (host, named_so) = (Digest([0xA1; 32]).to_string(), Digest([0xB2; 32]).to_string());
    // As an older store may have them: both are newer than the plugin whose digest they are called.
    let plugins = vec![info(0xA1, "volts", &[0]), info(0xB2, &host, &[12]), info(0xC3, &host[..9], &[12])];
    let registry = Registry::load(plugins, Vec::new());
    for wanted in [host.as_str(), &host[..9], &host[..8], &host.to_uppercase()] {
        for user in [None, Some(0), Some(12), Some(14)] {
            assert_eq!(digest(&registry, wanted, user), Ok(0xA1), "{wanted} for {user:?}");
        }
    }
    assert_eq!(digest(&registry, &named_so, Some(0)), Ok(0xB2), "what is called so is still to be had by digest");
    assert!(digest(&registry, "a1a1a1a", None).unwrap_err().contains("no plugin has the name or digest"));
}

#[test]
fn a_name_brings_no_plugin_of_one_operator_over_the_alerts_of_others() {
    let plugins = vec![
        info(1, "volts", &[0]),
        info(2, "volts", &[12]),
        info(3, "quiet", &[12, 14]),
        info(4, "amps", &[0, 12]),
        info(5, "amps", &[14]),
    ];
    let registry = Registry::load(plugins, Vec::new());
    assert_eq!(digest(&registry, "volts", Some(0)), Ok(1), "not the newest, but the host's");
    assert_eq!(digest(&registry, "amps", Some(10)), Ok(4));
    for user in [12, 14] {
        assert_eq!(digest(&registry, "quiet", Some(user)), Ok(3));
    }
    let refused = digest(&registry, "quiet", Some(0)).unwrap_err();
    let owned = format!("\"quiet\" is a plugin of other operators alone: {} of operator 12 and 14;", Digest([3; 32]));
    assert!(refused.starts_with(&owned), "{refused}");
    assert_eq!(digest(&registry, "quiet", None), Ok(3), "to look at it, a name will do");
    assert_eq!(digest(&registry, &Digest([3; 32]).to_string(), Some(0)), Ok(3), "who gives the digest means it");
}

fn entry(number: u32, name: &str, since: u64, order: Option<u32>) -> RuleRevision {
    let rule = order.map(|order| Rule {
        plugin: Digest([0; 32]),
        parameters: "{}".to_owned(),
        scope: Scope::default(),
        mode: Mode::Active,
        order,
        namespace: Revision(number),
        guard: None,
        until_ms: None,
    });
    let (name, who, why) = (name.to_owned(), String::new(), String::new());
    RuleRevision { revision: Revision(number), since: Position(since), made_ms: 0, name, rule, who, why }
}

fn names(standing: &[Standing<'_>]) -> Vec<(String, u32)> {
    standing.iter().map(|one| (one.revision.name.clone(), one.revision.revision.0)).collect()
}

#[test]
fn rules_are_found_by_name_and_as_they_stood_at_a_position() {
    let entries = vec![
        entry(1, "b", 0, Some(20)),
        entry(2, "12-a", 0, Some(10)),
        entry(3, "b", 5, Some(5)),
        entry(4, "12-a", 9, None),
        entry(5, "12-c", 9, Some(1)),
    ];
    let registry = Registry::load(Vec::new(), entries);
    assert_eq!(names(&registry.rules()), [("12-c".to_owned(), 5), ("b".to_owned(), 3)]);
    assert_eq!(names(&registry.rules_at(Position(4))), [("12-a".to_owned(), 2), ("b".to_owned(), 1)]);
    assert_eq!(names(&registry.rules_at(Position(5))), [("b".to_owned(), 3), ("12-a".to_owned(), 2)]);
    assert_eq!(registry.rule("b").map(|rule| rule.revision.revision), Some(Revision(3)));
    assert!(registry.rule("12-a").is_none() && registry.rule("nobody").is_none());
    assert_eq!(registry.numbers("12-a"), [Revision(2), Revision(4)]);
    let before: Vec<Revision> = registry.history("b", Revision(3)).map(|entry| entry.revision).collect();
    assert_eq!(before, [Revision(1)]);
    assert_eq!(registry.revisions_of(OperatorId::new(12).unwrap()), 3);
    assert_eq!(registry.revisions_of(OperatorId::UNKNOWN), 2);
    assert_eq!(registry.names().collect::<Vec<_>>(), ["12-a", "12-c", "b"]);
}

/// A copy of all parameters with each change made changes ever dearer, for everybody.
#[test]
fn a_change_is_not_seen_by_clones_and_copies_no_entry() {
    let mut registry = Registry::load(Vec::new(), vec![entry(1, "a", 0, Some(1))]);
    let published = registry.clone();
    registry.append(entry(2, "a", 3, Some(1)));
    assert_eq!((published.revisions().count(), registry.revisions().count()), (1, 2));
    assert!(Arc::ptr_eq(&published.0.revisions[0], &registry.0.revisions[0]));
}
