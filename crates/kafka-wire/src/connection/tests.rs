//! The machine, fed with bytes at every cut, late answers, lies and the end of time.

mod handshakes;
mod peer;
mod requests;
mod throttles;
