//! How far away a broker is, and what that asks of the windows: at most one window passes in a round trip.

use std::time::Duration;

use kafka_client::BrokerConnection;

/// Up to here the windows are as they are for brokers nearby.
const NEAR: Duration = Duration::from_millis(1);

/// The windows grow up to this factor, which 100 ms reach; the budget bounds what becomes of it. One answer stays below what the client
/// takes for a frame.
const FACTOR_MAX: u32 = 100;

/// By how much the windows of nearby brokers are multiplied for this one.
pub(super) fn factor_of(connection: Option<&BrokerConnection>) -> u32 {
    factor(round_trip_of(connection))
}

/// How far away it is; no way at all where there is no connection.
pub(super) fn round_trip_of(connection: Option<&BrokerConnection>) -> Duration {
    connection.map_or(Duration::ZERO, BrokerConnection::round_trip)
}

/// `size` times `factor`.
pub(super) fn times(size: usize, factor: u32) -> usize {
    size.saturating_mul(usize::try_from(factor).unwrap_or(usize::MAX))
}

fn factor(round_trip: Duration) -> u32 {
    let factor = round_trip.as_micros() / NEAR.as_micros();
    u32::try_from(factor).unwrap_or(FACTOR_MAX).clamp(1, FACTOR_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_grow_with_the_distance_up_to_a_bound() {
        let of = |milliseconds| factor(Duration::from_millis(milliseconds));
        assert_eq!((of(0), of(3), of(10), of(32), of(5000)), (1, 3, 10, 32, 100));
    }
}
