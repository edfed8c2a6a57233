//! Requests and their answers.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::{
    super::ConnectionError,
    peer::{Peer, beat},
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn answers_come_in_order() {
    let mut peer = Peer::ready();
    peer.send(SECOND);
    peer.send(SECOND);
    let (first, second) = (peer.request(), peer.request());
    peer.answer(first, &beat());
    peer.answer(second, &beat());
    assert_eq!(peer.events(), ["0 answered", "1 answered"]);
    assert_eq!(peer.machine.poll_timeout(), None);
}

#[test]
fn the_fastest_answer_tells_how_far_the_broker_is() {
    let mut peer = Peer::ready();
    assert_eq!(peer.machine.fastest_answer(), None);
    for (millis, fastest) in [(40, 40), (7, 7), (300, 7)] {
        peer.send(SECOND);
        let request = peer.request();
        peer.pass(Duration::from_millis(millis));
        peer.answer(request, &beat());
        assert_eq!(peer.machine.fastest_answer(), Some(Duration::from_millis(fastest)));
    }
    // It may wait before it is sent: only the time on the way counts.
    peer.send(SECOND);
    peer.pass(Duration::from_millis(100));
    let request = peer.request();
    peer.pass(Duration::from_millis(3));
    peer.answer(request, &beat());
    assert_eq!(peer.machine.fastest_answer(), Some(Duration::from_millis(3)));
}

#[test]
fn an_answer_out_of_order_ends_everything() {
    let mut peer = Peer::ready();
    for _ in 0..6 {
        peer.send(SECOND);
    }
    peer.request();
    let second = peer.request();
    peer.answer(second, &beat());
    let expected = [
        "0 unknown",
        "1 unknown",
        "2 not sent",
        "3 not sent",
        "4 not sent",
        "5 not sent",
        "closed",
    ];
    assert_eq!(peer.events(), expected);
    assert!(peer.machine.is_closed());
    peer.send(SECOND);
    assert_eq!(peer.events(), ["6 not sent"]);
    peer.machine.shut_down();
    peer.machine.handle_transport_closed(None);
    assert_eq!(peer.events(), Vec::<String>::new());
}

#[test]
fn an_answer_without_a_question_ends_everything() {
    let mut peer = Peer::ready();
    peer.input(Bytes::from_static(&[0, 0, 0, 1]));
    assert!(matches!(peer.closed(), ConnectionError::OutOfOrder { expected: None, found: 1 }));
}

#[test]
fn requests_under_way_are_bounded() {
    let mut peer = Peer::ready();
    for _ in 0..5 {
        peer.send(SECOND);
    }
    let first = peer.request();
    for _ in 0..3 {
        peer.request();
    }
    assert!(peer.frame().is_none());
    assert_eq!((peer.machine.in_flight(), peer.machine.queued()), (4, 1));
    peer.answer(first, &beat());
    assert!(peer.frame().is_some());
}

#[test]
fn a_late_answer_ends_the_connection() {
    let mut peer = Peer::ready();
    peer.send(3 * SECOND);
    peer.send(SECOND);
    peer.request();
    peer.request();
    peer.send(9 * SECOND);
    assert_eq!(peer.machine.poll_timeout(), Some(peer.now + SECOND));
    peer.pass(SECOND);
    assert_eq!(peer.events(), ["0 unknown", "1 unknown", "2 not sent", "closed"]);
}

#[test]
fn a_request_not_sent_in_time_fails_alone() {
    let mut peer = Peer::ready();
    for _ in 0..4 {
        peer.send(9 * SECOND);
        peer.request();
    }
    peer.send(SECOND);
    peer.send(9 * SECOND);
    peer.pass(SECOND);
    assert_eq!(peer.events(), ["4 not sent"]);
    assert!(!peer.machine.is_closed());
}

/// What a test does to the machine.
#[derive(Clone, Debug)]
enum Step {
    Send(u8),
    Take,
    Answer,
    AnswerWrongly,
    Garbage(Vec<u8>),
    Pass(u8),
    Lose,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..10_u8).prop_map(Step::Send),
        6 => Just(Step::Take),
        6 => Just(Step::Answer),
        1 => Just(Step::AnswerWrongly),
        1 => proptest::collection::vec(any::<u8>(), 0..12).prop_map(Step::Garbage),
        3 => (0..3_u8).prop_map(Step::Pass),
        1 => Just(Step::Lose),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    /// Every request ends exactly once; those that were sent end in the order in which they were sent.
    #[test]
    fn every_request_ends_once(steps in steps()) {
        let mut peer = Peer::ready();
        let mut waiting = std::collections::VecDeque::new();
        let (mut handed, mut sent) = (Vec::new(), Vec::new());
        let mut events = Vec::new();
        for step in steps {
            match step {
                Step::Send(seconds) => handed.push(peer.send(u32::from(seconds) * SECOND)),
                Step::Take => {
                    if let Some(frame) = peer.frame() {
                        let request = crate::message::RequestPreamble::parse(&frame).unwrap();
                        sent.push(u64::try_from(request.correlation_id).unwrap());
                        waiting.push_back(request);
                    }
                }
                Step::Answer => {
                    if let Some(request) = waiting.pop_front() {
                        peer.answer(request, &beat());
                    }
                }
                Step::AnswerWrongly => {
                    if let Some(request) = waiting.pop_back() {
                        peer.answer(request, &beat());
                    }
                }
                Step::Garbage(bytes) => peer.input(bytes.into()),
                Step::Pass(seconds) => peer.pass(u32::from(seconds) * SECOND),
                Step::Lose => peer.machine.handle_transport_closed(None),
            }
            events.extend(peer.events());
        }
        peer.machine.shut_down();
        events.extend(peer.events());
        prop_assert_eq!(events.iter().filter(|event| *event == "closed").count(), 1);
        let token = |event: &String| event.split(' ').next().and_then(|token| token.parse::<u64>().ok());
        let mut ended: Vec<_> = events.iter().filter_map(token).collect();
        let sent_ended: Vec<_> = ended.iter().copied().filter(|token| sent.contains(token)).collect();
        prop_assert_eq!(sent_ended, sent);
        ended.sort_unstable();
        prop_assert_eq!(ended, handed);
    }
}
