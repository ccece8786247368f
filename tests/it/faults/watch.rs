//! Watches and requests: none of their troubles is ever a verdict.
