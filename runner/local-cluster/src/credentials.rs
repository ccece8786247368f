//! Credentials that expire, for tests: which tokens are still taken.
//!
//! The cluster itself asks for none in the same process. A token that has expired is refused whoever sends it, so that a
//! client has to come with a fresh one.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
pub(crate) struct Credentials {
    tokens: Mutex<Tokens>,
}

/// Tokens as clients sent them; an empty one stands for a request without.
#[derive(Debug, Default)]
struct Tokens {
    seen: BTreeSet<String>,
    expired: BTreeSet<String>,
}

impl Credentials {
    /// Whether a request with this token is taken. The token counts as used.
    pub(crate) fn accept(&self, token: &str) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if !tokens.seen.contains(token) {
            tokens.seen.insert(token.to_owned());
        }
        !tokens.expired.contains(token)
    }

    /// All tokens that were used, and none at all, are refused from now on.
    pub(crate) fn expire(&self) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.expired = tokens.seen.clone();
        tokens.expired.insert(String::new());
    }

    /// What had expired is taken again.
    pub(crate) fn renew(&self) {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).expired.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_that_was_not_seen_before_is_fresh() {
        let credentials = Credentials::default();
        assert!(credentials.accept("") && credentials.accept("a"));
        credentials.expire();
        assert!(!credentials.accept("") && !credentials.accept("a"));
        assert!(credentials.accept("b") && credentials.accept("b"));
        credentials.expire();
        assert!(!credentials.accept("b") && credentials.accept("c"));
        credentials.renew();
        assert!(credentials.accept("") && credentials.accept("a"));
    }
}
