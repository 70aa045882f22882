//! Tokens: given out, looked up by their hash, revoked.
//!
//! It must not know how a token reaches the host. Invariant: a token is good for somebody only after the commit that
//! holds it, and no longer good after the one that revokes it.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest as _, Sha256};

use crate::{
    domain::{AuditEvent, Effects, Identity, Millis, Role, Token, TokenHash, listed},
    near::{did_you_mean, nearest},
    pipeline::{
        engine::{Engine, Work},
        refusal::Refusal,
    },
};

/// How a token begins: whoever finds one knows what it is.
const PREFIX: &str = "weir_";

/// Random bytes of a token.
const SECRET_BYTES: usize = 32;

/// Makes a token: its text, which is shown once, and its hash.
pub fn make() -> Result<(String, TokenHash), Refusal> {
    let mut secret = [0_u8; SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(|error| Refusal::Internal(format!("no randomness: {error}")))?;
    let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = format!("{PREFIX}{digits}");
    let hash = hash(&text);
    Ok((text, hash))
}

fn hash(text: &str) -> TokenHash {
    Sha256::digest(text.as_bytes()).into()
}

/// Every token, and the names by hash.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    by_name: BTreeMap<String, Token>,
    names: HashMap<TokenHash, String>,
}

impl Tokens {
    /// From what a store kept.
    pub fn load(tokens: Vec<Token>) -> Self {
        let mut loaded = Self::default();
        tokens.into_iter().for_each(|token| loaded.put(token));
        loaded
    }

    fn put(&mut self, token: Token) {
        self.names.insert(token.hash, token.name.clone());
        if let Some(before) = self.by_name.insert(token.name.clone(), token.clone())
            && before.hash != token.hash
        {
            self.names.remove(&before.hash);
        }
    }

    /// Whose a token is, if it is good.
    pub fn identify(&self, text: &str, now_ms: Millis) -> Result<Identity, &'static str> {
        let token = self.names.get(&hash(text)).and_then(|name| self.by_name.get(name));
        good(token.ok_or("the token is not one of this host")?, now_ms)
    }

    /// Who the holder of a certificate is: whoever has the token that it was made for, if that is good. A certificate of
    /// somebody who had the name before is good for nothing.
    pub fn identify_holder(&self, certified: &str, now_ms: Millis) -> Result<Identity, &'static str> {
        let name = certified.split_once(':').map_or(certified, |(name, _)| name);
        let token = self.by_name.get(name);
        let token = token.ok_or("the certificate names somebody that this host has made no token for")?;
        if token.certified_as() != certified {
            return Err(
                "the certificate is not of whoever has the token of this name now: `weir token list` says which \
                        URI one must name",
            );
        }
        good(token, now_ms)
    }

    /// All of them, in order of names.
    pub fn list(&self) -> impl Iterator<Item = &Token> {
        self.by_name.values()
    }
}

fn good(token: &Token, now_ms: Millis) -> Result<Identity, &'static str> {
    match token {
        token if token.revoked_ms.is_some() => Err("the token was revoked"),
        token if !token.is_live(now_ms) => Err("the token has expired"),
        token => Ok(Identity { name: token.name.clone(), role: token.role, sender: token.sender.clone() }),
    }
}

/// What a token is good for, in words.
fn extent(token: &Token) -> String {
    let mut words = token.role.name().to_owned();
    if let Role::Operator(operator) = token.role {
        words.push_str(&format!(" {operator}"));
    }
    if !token.sender.operators.is_all() {
        words.push_str(&format!(", of {} alone", token.sender.operators));
    }
    if !token.sender.producers.is_empty() {
        let producers: Vec<String> = token.sender.producers.iter().map(ToString::to_string).collect();
        words.push_str(&format!(", under {} alone", listed(&producers)));
    }
    words
}

impl Engine {
    /// Keeps a token. The name of one that is no longer good may be given again; the certificates of before stay behind.
    pub fn create_token(&mut self, mut token: Token) -> Result<(Token, Work), Refusal> {
        let max = self.config.access.tokens_max;
        let known = self.tokens.by_name.get(&token.name);
        if known.is_some_and(|known| known.is_live(token.made_ms)) {
            let message = format!("{:?} has a token that is good: revoke it first, or choose another name", token.name);
            return Err(Refusal::Precondition(message));
        }
        if known.is_none() && self.tokens.by_name.len() >= max {
            return Err(Refusal::Exhausted(format!("access.tokens_max ({max}) is reached")));
        }
        token.issue = known.map_or(1, |known| known.issue.saturating_add(1));
        let detail = format!("{}, good until {} ms", extent(&token), token.expires_ms);
        let event = AuditEvent::new(&token.made_by, "token.create", &token.name, &detail);
        let work = self.keep_token(token.clone(), event);
        Ok((token, work))
    }

    /// Revokes a token by name.
    pub fn revoke_token(&mut self, name: &str, who: &Identity) -> Result<(Token, Work), Refusal> {
        let now_ms = (self.clock)();
        let known = self.tokens.by_name.get(name).filter(|token| token.is_live(now_ms)).cloned();
        let token = known.ok_or_else(|| self.no_such_holder(name, now_ms))?;
        let token = Token { revoked_ms: Some(now_ms), ..token };
        let event = AuditEvent::new(&who.name, "token.revoke", name, token.role.name());
        let work = self.keep_token(token.clone(), event);
        Ok((token, work))
    }

    /// Why somebody has no token to revoke.
    fn no_such_holder(&self, name: &str, now_ms: Millis) -> Refusal {
        let good = self.tokens.list().filter(|token| token.is_live(now_ms)).map(|token| token.name.as_str());
        let near = did_you_mean(nearest(name, good));
        Refusal::not_found("token", name, format!("nobody named {name:?} has a token that is good{near}"))
    }

    fn keep_token(&mut self, token: Token, event: AuditEvent) -> Work {
        self.note(event);
        self.tokens.put(token.clone());
        let effects = Effects { tokens: vec![token], ..self.effects() };
        let tokens = self.tokens.clone();
        let mut work = Work { effects: Some(effects), ..Work::default() };
        work.acts.push(Box::new(move |shared| *shared.tokens.write() = tokens));
        work
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SenderLimits;

    #[test]
    fn a_token_names_its_holder_until_another_takes_the_name() {
        let (text, hash) = make().unwrap();
        assert!(text.len() == 69 && text.starts_with("weir_") && make().unwrap().0 != text);
        let token = |hash| Token {
            name: "grid".into(),
            role: Role::Reader,
            hash,
            made_by: String::new(),
            made_ms: 0,
            expires_ms: 100,
            revoked_ms: None,
            issue: 1,
            sender: SenderLimits::default(),
        };
        let mut tokens = Tokens::load(vec![token(hash)]);
        assert_eq!(tokens.identify(&text, 99), Ok(Identity::new("grid", Role::Reader)));
        assert_eq!(tokens.identify(&text, 100), Err("the token has expired"));
        assert_eq!(tokens.identify(&text[..68], 0), Err("the token is not one of this host"));
        tokens.put(Token { revoked_ms: Some(5), ..token(hash) });
        assert_eq!(tokens.identify(&text, 99), Err("the token was revoked"));
        let (again, other) = make().unwrap();
        tokens.put(Token { issue: 2, ..token(other) });
        assert!(tokens.identify_holder("grid", 0).is_err() && tokens.identify_holder("grid:1", 0).is_err());
        assert_eq!(tokens.identify_holder("grid:2", 0), Ok(Identity::new("grid", Role::Reader)));
        assert!(tokens.identify(&again, 99).is_ok());
        assert_eq!(tokens.identify(&text, 99), Err("the token is not one of this host"));
    }
}
