//! Requests that get no answer at all.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::LazyLock;

/// There is no connection, or it broke before an answer came: the one error of the service. Its source is an
/// [`io::Error`] of the kind a real connection has.
///
/// Over [`serve`](crate::LocalCluster::serve) the socket is there, so that each of these closes it without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionLost {
    /// Nobody listens.
    Refused,
    /// It was there and broke.
    Reset,
    /// The two sides could not agree on TLS, as with the certificate of another server.
    Tls,
    /// The server's name leads nowhere.
    Dns,
}

impl ConnectionLost {
    /// What was going on, in the words of a client.
    fn words(self) -> &'static str {
        match self {
            Self::Refused => "tcp connect error",
            Self::Reset => "the connection was lost",
            Self::Tls => "tls handshake failed",
            Self::Dns => "dns error",
        }
    }

    fn io_error(self) -> &'static io::Error {
        static REFUSED: LazyLock<io::Error> =
            LazyLock::new(|| io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused"));
        static RESET: LazyLock<io::Error> =
            LazyLock::new(|| io::Error::new(io::ErrorKind::ConnectionReset, "connection reset by peer"));
        // The kind in which TLS libraries report what they could not make sense of.
        static TLS: LazyLock<io::Error> = LazyLock::new(|| {
            io::Error::new(io::ErrorKind::InvalidData, "invalid peer certificate: certificate not valid for name")
        });
        static DNS: LazyLock<io::Error> =
            LazyLock::new(|| io::Error::other("failed to lookup address information: Name or service not known"));
        match self {
            Self::Refused => &REFUSED,
            Self::Reset => &RESET,
            Self::Tls => &TLS,
            Self::Dns => &DNS,
        }
    }
}

impl fmt::Display for ConnectionLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl Error for ConnectionLost {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.io_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_has_the_kind_of_a_real_one() {
        for (lost, kind, text) in [
            (ConnectionLost::Refused, io::ErrorKind::ConnectionRefused, "tcp connect error: connection refused"),
            (
                ConnectionLost::Reset,
                io::ErrorKind::ConnectionReset,
                "the connection was lost: connection reset by peer",
            ),
        ] {
            let source = lost.source().and_then(|source| source.downcast_ref::<io::Error>()).unwrap();
            assert_eq!((source.kind(), format!("{lost}: {source}").as_str()), (kind, text));
        }
        let source = |lost: ConnectionLost| lost.source().unwrap().to_string();
        assert!(source(ConnectionLost::Tls).contains("certificate"));
        assert!(source(ConnectionLost::Dns).contains("lookup"));
    }
}
