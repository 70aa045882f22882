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
