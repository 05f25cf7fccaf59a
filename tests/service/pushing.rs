//! Pushes: durable before the answer, scraped until the group is gone, over after their time.

use super::{CONFIG, Scene, copy_folder, values};
use std::time::Duration;
use watchbell::ingest::push::PushRules;
use watchbell::model::NameValidation;
use watchbell::service::Service;
use watchbell::wire::{Core, ErrorKind, PushField, PushVerb, RawPush};

fn push(verb: PushVerb, path: &str, ttl: &str, body: &str) -> RawPush {
    RawPush {
        verb,
        path: path.to_owned(),
        ttl: ttl.to_owned(),
        content_type: "text/plain".to_owned(),
        content_encoding: String::new(),
        body: body.as_bytes().to_vec(),
    }
}

fn put(service: &Service, path: &str, ttl: &str, body: &str) {
    service.push(push(PushVerb::Replace, path, ttl, body)).expect("taken");
}

/// The labels of all groups, in order.
fn groups(service: &Service) -> Vec<String> {
    let groups = service.push_groups().expect("answers").into_iter();
    let labels = |group: watchbell::wire::PushGroup| match group.0.get("labels") {
        Some(PushField::Labels(labels)) => format!("{labels:?}"),
        other => panic!("{other:?} are no labels"),
    };
    groups.map(labels).collect()
}

#[test]
fn pushed_values_go_on_being_stored_until_the_group_is_deleted() {
    let scene = Scene::new();
    let service = scene.start();
    let pools = |service: &Service| service.scrape_pools().expect("answers");
    assert_eq!(pools(&service), ["node"], "without a push nothing more is scraped");
    put(&service, "job/batch", "", "done 1\n");
    put(&service, "job/batch/instance/i", "", "done 2\n");
    assert_eq!(pools(&service), ["node", "push"]);
    scene.until(&service, "three scrapes", |core| {
        values(core, "count_over_time(done{job=\"batch\",instance=\"\"}[1h]) >= bool 3") == [1.0]
    });
    assert_eq!(values(service.as_ref(), "done{job=\"batch\",instance=\"i\"}"), [2.0]);
    assert_eq!(values(service.as_ref(), "up{job=\"push\"}"), [1.0]);
    assert_eq!(values(service.as_ref(), "count(push_time_seconds)"), [2.0]);
    service.push(push(PushVerb::Delete, "job/batch", "", "")).expect("deleted");
    scene.until(&service, "the end of the series", |core| {
        values(core, "done") == [2.0] && values(core, "count(push_time_seconds)") == [1.0]
    });
    service.wipe_push().expect("wiped");
    scene.until(&service, "the end of all", |core| values(core, "done").is_empty());
    assert_eq!(groups(&service), Vec::<String>::new());
    let text = service.push_text().expect("answers");
    assert_eq!(text, "");
    service.close();
}

#[test]
fn a_push_that_was_answered_is_there_after_a_kill() {
    let scene = Scene::new();
    let service = scene.start();
    put(&service, "job/batch", "", "# HELP done A \\\\ and a \\n.\n# TYPE done counter\ndone 1\n");
    let wrong = push(PushVerb::Add, "job/batch", "", "done 1\ndone 2\n");
    assert_eq!(service.push(wrong).expect_err("refused").kind, ErrorKind::BadData);
    put(&service, "job/gone", "", "gone 1\n");
    service.push(push(PushVerb::Delete, "job/gone", "", "")).expect("deleted");
    let shown = service.push_groups().expect("answers");
    let failed = shown[0].0.get("last_push_successful");
    // The clock stands still, so that the failure is not later than the push before.
    assert_eq!(failed, Some(&PushField::Flag(true)));
    // Nothing is closed: the next one reads what a killed process leaves, in a copy of the folder.
    let copy = Scene::new();
    copy_folder(&scene.folder.path().join("data"), &copy.folder.path().join("data"));
    let again = copy.start();
    assert_eq!(again.push_groups().expect("answers"), shown);
    copy.until(&again, "a scrape", |core| values(core, "done") == [1.0]);
    again.close();
    service.close();
}

#[test]
fn without_the_check_what_was_read_is_no_error_and_a_failure_is_noted() {
    let scene = Scene::new();
    let rules = PushRules { names: NameValidation::Utf8, unchecked: true };
    let service = scene.start_with(|options| options.push = rules);
    put(&service, "job/a", "", "done 1\ndone 2\n");
    put(&service, "job/b/U__c_2e_d/e", "", "# TYPE done counter\n{\"done\",\"f.g\"=\"h\"} 3\n");
    put(&service, "job/stamped", "", "done 4 123\n");
    let unread = push(PushVerb::Replace, "job/a", "", "done\n");
    assert_eq!(service.push(unread).expect_err("refused").kind, ErrorKind::BadData);
    scene.until(&service, "a scrape", |core| values(core, "count(done)") == [2.0]);
    assert_eq!(values(service.as_ref(), "done{job=\"a\"}"), [1.0]);
    let utf8 = "{\"done\", \"c.d\"=\"e\", \"f.g\"=\"h\"}";
    assert_eq!(values(service.as_ref(), utf8), [3.0]);
    let failed = "push_failure_time_seconds{job=\"stamped\"} > bool 0";
    assert_eq!(values(service.as_ref(), failed), [1.0]);
    service.close();
}

#[test]
fn a_group_is_gone_when_its_time_to_live_is_over() {
    let scene = Scene::new();
    let config = format!("{CONFIG}watchbell: {{push: {{ttl: 1m}}}}\n");
    std::fs::write(scene.folder.path().join("p.yml"), config).expect("writes");
    let service = scene.start();
    put(&service, "job/file", "", "done 1\n");
    put(&service, "job/short", "20", "done 2\n");
    put(&service, "job/long", "2h", "done 3\n");
    put(&service, "job/ever", "0", "done 4\n");
    let wrong = push(PushVerb::Add, "job/long", "soon", "done 1\n");
    let err = service.push(wrong).expect_err("no time");
    assert_eq!(err.message, "cannot read the time to live \"soon\"; write 30m, or seconds");
    scene.until(&service, "a scrape", |core| values(core, "count(done)") == [4.0]);
    scene.until(&service, "the end of one", |core| values(core, "count(done)") == [3.0]);
    assert_eq!(values(service.as_ref(), "done{job=\"short\"}"), Vec::<f64>::new());
    scene.until(&service, "the end of two", |core| values(core, "count(done)") == [2.0]);
    let left = ["{\"job\": \"ever\"}", "{\"job\": \"long\"}"];
    assert_eq!(groups(&service), left);
    // Also for a server that was down when the time was over.
    let now = service.status().expect("answers").now;
    service.close();
    drop(service);
    scene.clock.set_wall(now.plus(Duration::from_secs(7300)));
    assert_eq!(groups(&scene.start()), ["{\"job\": \"ever\"}"]);
}
