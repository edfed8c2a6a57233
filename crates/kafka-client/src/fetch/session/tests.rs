//! Laws of the session against a model of the broker.
