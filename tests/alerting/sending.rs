//! What is told of a delivery while it is tried again.

use crate::outside::{FakeHttp, delivery, drive, outside};
use std::sync::Mutex;
use std::time::Duration;
use watchbell::alerts::Options;
use watchbell::notify::config::File;
use watchbell::notify::{FailedAttempt, Receivers, Templates};
use watchbell::sys::clock::Clock as _;
use watchbell::sys::metrics::Registry;

const YAML: &str = "{route: {receiver: team}, receivers: [{name: team, webhook_configs: [{url: \
                    'http://sink/hook', http_config: {authorization: {credentials: \
                    hunter2hunter2}}}]}]}";

#[test]
fn each_attempt_that_is_made_again_is_told_without_secrets() {
    let file: File = serde_yaml::from_str(YAML).expect("reads");
    let checked = file.check(&Options::default()).expect("valid");
    let refusals = ["no Bearer hunter2hunter2", "later", "\u{1b}[31mlater"];
    let mut answers: Vec<_> = refusals.iter().map(|body| (503, "text/plain", *body)).collect();
    answers.push((200, "text/plain", "ok"));
    let (outside, clock) = outside(FakeHttp::saying(&answers));
    let templates = Templates::new(&[]).expect("templates");
    let (receivers, problems) =
        Receivers::new(&checked.receivers, templates, outside, &Registry::new());
    assert_eq!(problems, []);
    let told: Mutex<Vec<(Duration, FailedAttempt)>> = Mutex::default();
    let watch = |attempt| told.lock().expect("not poisoned").push((clock.elapsed(), attempt));
    let delivery = delivery("team", "webhook");
    let outcome = drive(&clock, receivers.deliver_watched(&delivery, &watch));
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
    let file: File = serde_yaml::from_str(YAML).expect("reads");
    let checked = file.check(&Options::default()).expect("valid");
    let (outside, clock) = outside(FakeHttp::answering(&[429]).retry_after(600));
    let templates = Templates::new(&[]).expect("templates");
    let (receivers, _) = Receivers::new(&checked.receivers, templates, outside, &Registry::new());
    let told: Mutex<Vec<FailedAttempt>> = Mutex::default();
    let watch = |attempt| told.lock().expect("not poisoned").push(attempt);
    let outcome = drive(&clock, receivers.deliver_watched(&delivery("team", "webhook"), &watch));
    assert_eq!(outcome.attempts, 1);
    assert!(outcome.error.is_some() && told.into_inner().expect("not poisoned").is_empty());
}
