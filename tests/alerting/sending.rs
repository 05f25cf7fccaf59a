//! What is told of a delivery while it is tried again.

use crate::outside::{FakeHttp, delivery, drive, outside, registry_value};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use watchbell::alerts::Options;
use watchbell::notify::config::File;
use watchbell::notify::{FailedAttempt, Receivers, Templates, Turn};
use watchbell::sys::clock::Clock as _;
use watchbell::sys::metrics::Registry;
use watchbell::sys::sim::VirtualClock;

const YAML: &str = "{route: {receiver: team}, receivers: [{name: team, webhook_configs: [{url: \
                    'http://sink/hook', http_config: {authorization: {credentials: \
                    hunter2hunter2}}}]}]}";

fn at_once() -> Turn {
    Box::pin(std::future::ready(Box::new(()) as Box<dyn Send>))
}

/// Makes the sender of `YAML`, whose metrics are in the registry.
fn receivers(http: FakeHttp) -> (Receivers, VirtualClock, Registry) {
    let file: File = serde_yaml::from_str(YAML).expect("reads");
    let checked = file.check(&Options::default()).expect("valid");
    let (outside, clock) = outside(http);
    let (templates, registry) = (Templates::new(&[]).expect("templates"), Registry::new());
    let (receivers, problems) = Receivers::new(&checked.receivers, templates, outside, &registry);
    assert_eq!(problems, []);
    (receivers, clock, registry)
}

#[test]
fn a_turn_is_over_before_the_pause() {
    let (receivers, clock, _) = receivers(FakeHttp::answering(&[503, 503, 200]));
    let turns = Arc::new(());
    let turn = || -> Turn {
        let turn: Box<dyn Send> = Box::new(turns.clone());
        Box::pin(std::future::ready(turn))
    };
    let pauses = Mutex::new(0);
    let watch = |_| {
        assert_eq!(Arc::strong_count(&turns), 1, "nobody is held up");
        *pauses.lock().expect("not poisoned") += 1;
    };
    let delivery = delivery("team", "webhook");
    let outcome = drive(&clock, receivers.deliver_in_turn(&delivery, &turn, &watch));
    assert_eq!((outcome.error, outcome.attempts), (None, 3));
    assert_eq!(pauses.into_inner().expect("not poisoned"), 2);
}

#[test]
fn a_deadline_that_comes_in_the_queue_is_counted_as_a_failure() {
    let (receivers, clock, registry) = receivers(FakeHttp::answering(&[200]));
    let never = || -> Turn { Box::pin(std::future::pending()) };
    let delivery = delivery("team", "webhook");
    let outcome = drive(&clock, receivers.deliver_in_turn(&delivery, &never, &|_| {}));
    assert_eq!(outcome.attempts, 0);
    assert!(outcome.error.is_some_and(|why| why.starts_with("its deadline came before")));
    assert_eq!(clock.elapsed(), delivery.deadline);
    assert_eq!(registry_value(&registry, "alertmanager_notifications_failed_total"), 1.0);
}

#[test]
fn each_attempt_that_is_made_again_is_told_without_secrets() {
    let refusals = ["no Bearer hunter2hunter2", "later", "\u{1b}[31mlater"];
    let mut answers: Vec<_> = refusals.iter().map(|body| (503, "text/plain", *body)).collect();
    answers.push((200, "text/plain", "ok"));
    let (receivers, clock, _) = receivers(FakeHttp::saying(&answers));
    let told: Mutex<Vec<(Duration, FailedAttempt)>> = Mutex::default();
    let watch = |attempt| told.lock().expect("not poisoned").push((clock.elapsed(), attempt));
    let delivery = delivery("team", "webhook");
    let outcome = drive(&clock, receivers.deliver_in_turn(&delivery, &at_once, &watch));
    assert_eq!((outcome.error, outcome.attempts), (None, 4));
    let told = told.into_inner().expect("not poisoned");
    assert_eq!(told.len(), refusals.len(), "{told:?}");
    for (place, (at, attempt)) in told.iter().enumerate() {
        assert_eq!(attempt.attempts as usize, place + 1);
        assert_eq!(attempt.status, Some(503));
        assert!(attempt.error.contains("unexpected status code 503"), "{attempt:?}");
        assert!(attempt.next > *at && attempt.next < delivery.deadline, "{attempt:?}");
        assert!(!format!("{attempt:?}").contains("hunter2"), "{attempt:?}");
    }
    assert!(told[0].1.answer.starts_with("no Bearer "), "{:?}", told[0].1);
}

#[test]
fn the_last_attempt_before_the_deadline_is_told_by_the_outcome_alone() {
    let (receivers, clock, _) = receivers(FakeHttp::answering(&[429]).retry_after(600));
    let told: Mutex<Vec<FailedAttempt>> = Mutex::default();
    let watch = |attempt| told.lock().expect("not poisoned").push(attempt);
    let delivery = delivery("team", "webhook");
    let outcome = drive(&clock, receivers.deliver_in_turn(&delivery, &at_once, &watch));
    assert_eq!(outcome.attempts, 1);
    assert!(outcome.error.is_some() && told.into_inner().expect("not poisoned").is_empty());
}
