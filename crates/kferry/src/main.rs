//! The kferry command line.
fn main() {}
