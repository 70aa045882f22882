//! Signatures of uploads: by whom a component may be signed, and whether it is.
//!
//! It must not know who uploads. Invariant: whether a signature is asked for is the host's to say, never the upload's.

use std::fmt;

use ring::signature::{ED25519, UnparsedPublicKey};

use crate::domain::{OperatorId, SigningKey};

/// The same of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// Keys that components may be signed with, each of one operator; the unknown one stands for the host.
#[derive(Clone, Default)]
pub struct Signers(Vec<(OperatorId, SigningKey)>);

impl fmt::Debug for Signers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signers({} keys)", self.0.len())
    }
}

impl Signers {
    /// From keys, each of an operator.
    pub fn new(keys: Vec<(OperatorId, SigningKey)>) -> Self {
        Self(keys)
    }

    /// Returns the key of an operator that a component was signed with.
    pub fn check(&self, operator: OperatorId, component: &[u8], signature: &[u8]) -> Result<SigningKey, String> {
        if signature.len() != SIGNATURE_BYTES {
            let found = signature.len();
            return Err(format!("{found} bytes, where an ed25519 signature of the component has {SIGNATURE_BYTES}"));
        }
        let mut keys = self.0.iter().filter(|(owner, _)| *owner == operator).map(|(_, key)| key).peekable();
        if keys.peek().is_none() {
            return Err("this host has no key of whoever uploads".to_owned());
        }
        let fits = |key: &SigningKey| UnparsedPublicKey::new(&ED25519, key).verify(component, signature).is_ok();
        let signer = keys.find(|key| fits(key)).copied();
        signer.ok_or_else(|| "it is not one of this component, made with a key of whoever uploads".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    #[test]
    fn a_component_is_signed_by_whoever_uploads_it_or_not_at_all() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let key: SigningKey = pair.public_key().as_ref().try_into().unwrap();
        let (lond, east) = (OperatorId::new(12).unwrap(), OperatorId::new(10).unwrap());
        let signers = Signers::new(vec![(lond, key), (OperatorId::UNKNOWN, [0; 32])]);
        let signature = pair.sign(b"component");
        assert_eq!(signers.check(lond, b"component", signature.as_ref()), Ok(key));
        for (operator, component, signature, words) in [
            (east, &b"component"[..], signature.as_ref(), "no key of whoever uploads"),
            (OperatorId::UNKNOWN, b"component", signature.as_ref(), "not one of this component"),
            (lond, b"another", signature.as_ref(), "not one of this component"),
            (lond, b"component", b"", "0 bytes, where"),
        ] {
            let said = signers.check(operator, component, signature).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
    }
}
