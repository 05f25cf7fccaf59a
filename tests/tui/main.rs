//! The screens over a world that stands still: what each shows at each size, what keys do, what
//! happens when the server goes away, and that nothing makes them panic.

mod world;

use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use watchbell::sys::sim::VirtualClock;
use watchbell::tui::{CharsetChoice, Exit, Key, Options, ScreenName, Session, once};
use watchbell::wire::{Error, SendingStatus};
use world::{NOW, World, ago, disk_full, happened, options};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (60, 15)];

fn open(world: &Arc<World>, width: u16, height: u16) -> (Session, VirtualClock) {
    let clock = VirtualClock::at(NOW);
    let options = options(&clock, CharsetChoice::Braille);
    (Session::new(world.clone(), options, width, height), clock)
}

fn with(change: impl FnOnce(&mut Options)) -> Session {
    let clock = VirtualClock::at(NOW);
    let mut options = options(&clock, CharsetChoice::Braille);
    change(&mut options);
    Session::new(World::busy(), options, 80, 24)
}

#[test]
fn every_screen_at_every_size_in_every_charset() {
    for (charset, charset_name) in
        [(CharsetChoice::Braille, "braille"), (CharsetChoice::Ascii, "ascii")]
    {
        for (width, height) in SIZES {
            for name in ScreenName::ALL {
                let clock = VirtualClock::at(NOW);
                let options = options(&clock, charset);
                let text = once(World::busy(), name, width, height, options);
                let snapshot = format!("{name}_{width}x{height}_{charset_name}").to_lowercase();
                if charset == CharsetChoice::Ascii {
                    assert!(text.is_ascii(), "{snapshot} has bytes from 0x80 on:\n{text}");
                }
                insta::assert_snapshot!(snapshot, text);
            }
        }
    }
}

#[test]
fn block_charts() {
    let clock = VirtualClock::at(NOW);
    let text =
        once(World::busy(), ScreenName::Alerts, 80, 24, options(&clock, CharsetChoice::Block));
    insta::assert_snapshot!("alerts_80x24_block", text);
}

#[test]
fn overlays_and_states() {
    for (name, keys) in [
        ("detail", "enter"),
        ("help", "?"),
        ("palette", ":"),
        ("silence_sheet", "s"),
        ("hidden_shown", "z"),
        ("filter", "/ s e v > = w a r n"),
        ("filter_none", "/ n o p e enter"),
        ("grouped_by_nothing", "B B"),
        ("explore_from_alert", "e"),
        ("explore_proposals", "3 i ctrl-u n o d e _ l"),
        ("explore_values", "3 i ctrl-u u p { j o b = \" f"),
        ("explore_error", "3 i ctrl-u ( ( enter"),
        ("explore_nothing", "3 i ctrl-u n o t h i n g enter"),
        ("expire_question", "7 x"),
        ("target", "5 enter"),
        ("ack_sheet", "a o n space i t"),
        ("unack_question", "G k u"),
        ("why", "w"),
        ("history_alert", "H"),
        ("history_entry", "1 H enter"),
        ("history_sent", "1 H D"),
        ("history_filter", "1 H / a l e r t n a m e = ~ D i s k . *"),
        ("history_none", "1 H / n o p e enter"),
    ] {
        let (mut session, _) = open(&World::busy(), 80, 24);
        session.keys("2");
        session.keys(keys);
        insta::assert_snapshot!(format!("state_{name}"), session.text());
    }
    for (name, keys) in [
        ("detail", "2 enter"),
        ("target", "5 enter"),
        ("ack_sheet", "2 a"),
        ("why", "2 w"),
        ("history_alert", "2 H"),
        ("history_entry", "1 H enter"),
    ] {
        let (mut session, _) = open(&World::busy(), 120, 40);
        session.keys(keys);
        insta::assert_snapshot!(format!("state_{name}_120x40"), session.text());
    }
    let (session, _) = open(&World::quiet(), 80, 24);
    insta::assert_snapshot!("state_quiet", session.text());
    let (mut session, _) = open(&World::quiet(), 80, 24);
    session.keys("2");
    insta::assert_snapshot!("state_quiet_alerts", session.text());
    for (width, height) in [(40, 10), (20, 4)] {
        let (session, _) = open(&World::busy(), width, height);
        insta::assert_snapshot!(format!("state_tiny_{width}x{height}"), session.text());
    }
}

#[test]
fn opens_on_alerts_when_something_fires_and_on_overview_when_not() {
    let (session, _) = open(&World::busy(), 80, 24);
    assert!(session.text().contains("[2 Alerts]"), "{}", session.text());
    let (session, _) = open(&World::quiet(), 80, 24);
    assert!(session.text().contains("[1 Over]"), "{}", session.text());
}

#[test]
fn targets_say_what_is_wrong_with_jobs() {
    let world = World::busy();
    let skipped = "skipped: kubernetes_sd_configs cannot be used here";
    let told = |text: &str| vec![text.to_owned()];
    *world.job_problems.lock().expect("not poisoned") =
        [("pods".to_owned(), told(skipped)), ("sd".to_owned(), told("cannot read http://sd/"))]
            .into();
    let (mut session, _) = open(&world, 80, 24);
    session.keys("5");
    let text = session.text();
    assert!(text.contains("9 of 10 up   2 problems"), "{text}");
    for (place, line) in
        ["! JOB    pods           skipped: kube", "! JOB    sd             cannot read http://sd/"]
            .into_iter()
            .enumerate()
    {
        let found = text.lines().nth(4 + place).expect("a line");
        assert!(found.contains(line), "{text}");
    }
    assert!(text.contains(&format!(" problem   {skipped}")), "the selected one whole: {text}");
    assert!(text.contains("! DOWN   zoekt          zoekt-0:6070"), "{text}");
    session.keys("enter");
    assert!(session.text().contains(" Targets > pods > skipped"), "{}", session.text());
}

#[test]
fn a_target_is_told_whole_with_each_rule_of_its_relabelling() {
    let world = World::busy();
    let (word, words): (String, String) = (
        (0..90).map(|n| format!("{n}/")).collect(),
        (0..200).map(|n| format!("word {n} ")).collect(),
    );
    let long = format!("cannot read {word}: {words}");
    *world.last_error.lock().expect("not poisoned") = Some(long.clone());
    let (mut session, _) = open(&world, 80, 24);
    session.keys("5 enter");
    let text = session.text();
    assert!(text.contains(" Targets > zoekt > zoekt-0:6070"), "{text}");
    assert!(text.contains("1 of 10  ] next") && text.contains("  j k scroll"), "{text}");
    // All of it can be read, a line after the other, and nothing of it is cut.
    let mut read = Vec::new();
    for _ in 0..100 {
        let text = session.text();
        assert!(!text.contains('…'), "{text}");
        for line in text.lines().skip(4).take(19) {
            if !read.iter().any(|one| one == line) {
                read.push(line.to_owned());
            }
        }
        session.keys("j");
    }
    let read: String = read.iter().map(|line| line.get(13..).unwrap_or_default()).collect();
    let bare = |text: &str| text.replace(' ', "");
    assert!(bare(&read).contains(&bare(&long)), "{read}");
    for expected in ["__address__=\"zoekt-0:6070\"", "shard=\"zoekt-0\"", "= no change"] {
        assert!(read.contains(expected), "no {expected}: {read}");
    }
    let end = session.text();
    session.keys("k k pgup g");
    assert!(session.text().contains(" 1-19 of "), "{}", session.text());
    session.keys("G");
    assert_eq!(session.text(), end);
    session.keys("] esc");
    assert!(session.text().contains("> "), "{}", session.text());
    session.keys("enter");
    let text = session.text();
    assert!(text.contains(" > frontend-0:6060") && text.contains("2 of 10"), "{text}");
    assert!(text.contains("the job has no relabel_configs"), "{text}");
    session.keys("q");
    assert!(session.text().contains("/ filter"), "{}", session.text());
}

#[test]
fn what_relabelling_dropped_is_listed_with_the_rule_that_did() {
    let (mut session, _) = open(&World::busy(), 80, 24);
    session.keys("5");
    let text = session.text();
    assert!(text.contains("3 dropped: z") && !text.contains("zoekt-1"), "{text}");
    session.keys("z G");
    let text = session.text();
    assert!(text.contains("3 dropped, 2 of them kept"), "{text}");
    assert!(text.contains("- drop   zoekt          zoekt-1:6070"), "{text}");
    session.keys("enter");
    insta::assert_snapshot!("state_target_dropped", session.text());
    session.keys("[");
    let text = session.text();
    assert!(text.contains("not scraped \"zoekt 2:80\" is not a valid hostname"), "{text}");
    session.keys("esc z");
    assert!(!session.text().contains("zoekt-1"), "{}", session.text());
}

#[test]
fn two_keys_silence_the_selected_alert_for_two_hours() {
    let world = World::busy();
    let (mut session, _) = open(&world, 80, 24);
    session.keys("s enter");
    let posted = world.posted.lock().expect("not poisoned");
    let silence = posted.first().expect("a silence is made");
    assert_eq!(silence.ends_at.millis_since(silence.starts_at), 2 * 3_600_000);
    assert_eq!(
        (silence.created_by.as_str(), silence.comment.as_str()),
        ("op1", "on it: op1 03:12")
    );
    let matchers: Vec<_> =
        silence.matchers.iter().map(|one| (one.name.as_str(), one.value.as_str())).collect();
    assert_eq!(matchers, [("alertname", "DiskFull"), ("instance", "gitserver-0")]);
}

#[test]
fn a_silence_for_a_group_leaves_the_place_out() {
    let world = World::busy();
    let (mut session, _) = open(&world, 80, 24);
    session.keys("k s enter");
    let posted = world.posted.lock().expect("not poisoned");
    let matchers: Vec<_> = posted[0].matchers.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(matchers, ["alertname"]);
}

#[test]
fn the_sheet_takes_choices_lengths_words_and_more_matchers() {
    let world = World::busy();
    let (mut session, _) = open(&world, 80, 24);
    // Leave the instance out, add a matcher, choose 8 h, add a word to the comment.
    session.keys("j s g up up up up up up up up up down space tab t e a m = a enter");
    session.keys("tab 5 tab space o k enter");
    let posted = world.posted.lock().expect("not poisoned");
    let silence = posted.first().unwrap_or_else(|| panic!("no silence:\n{}", session.text()));
    assert_eq!(silence.ends_at.millis_since(silence.starts_at), 8 * 3_600_000);
    assert_eq!(silence.comment, "on it: op1 03:12 ok");
    let matchers: Vec<_> =
        silence.matchers.iter().map(|one| (one.name.as_str(), one.value.as_str())).collect();
    assert_eq!(matchers, [("alertname", "DiskFull"), ("team", "a")]);
}

#[test]
fn a_silence_without_matchers_is_refused() {
    let world = World::busy();
    let (mut session, _) = open(&world, 80, 24);
    session.keys("7 A enter");
    assert!(world.posted.lock().expect("not poisoned").is_empty());
    assert!(session.text().contains("needs a matcher"), "{}", session.text());
}

#[test]
fn a_silence_ends_only_after_a_yes() {
    let world = World::busy();
    let (mut session, _) = open(&world, 80, 24);
    session.keys("7 x n x esc");
    assert!(world.expired.lock().expect("not poisoned").is_empty());
    session.keys("x y");
    assert_eq!(*world.expired.lock().expect("not poisoned"), ["a01b7742"]);
}

#[test]
fn read_only_refuses_to_write_and_says_why() {
    let mut session = with(|options| options.read_only = true);
    session.keys("2 s");
    let text = session.text();
    assert!(text.contains("read-only: started with --read-only"), "{text}");
    assert!(text.contains("RO"), "{text}");
}

#[test]
fn leaving_asks_about_the_server_only_when_it_runs_here() {
    let (mut session, _) = open(&World::busy(), 80, 24);
    session.keys("q");
    assert_eq!(session.exit(), Some(Exit::Leave));
    for (keys, exit) in [
        ("q", None),
        ("q y", Some(Exit::StopServer)),
        ("q n", Some(Exit::Leave)),
        ("q esc", None),
        ("ctrl-c", Some(Exit::StopServer)),
        ("3 i ctrl-c", Some(Exit::StopServer)),
        ("3 i q", None),
    ] {
        let mut session = with(|options| options.in_process = true);
        session.keys(keys);
        assert_eq!(session.exit(), exit, "{keys}");
    }
}

#[test]
fn q_in_a_detail_goes_back_first() {
    let (mut session, _) = open(&World::busy(), 80, 24);
    session.keys("2 enter q");
    assert_eq!(session.exit(), None);
    assert!(session.text().contains("ALERT / WHERE"), "{}", session.text());
}

#[test]
fn the_selection_follows_its_alert_when_the_order_changes() {
    let world = World::busy();
    let (mut session, clock) = open(&world, 80, 24);
    let selected = |session: &Session| {
        let text = session.text();
        text.lines().find(|line| line.starts_with('>')).map(str::to_owned).unwrap_or_default()
    };
    assert!(selected(&session).contains("gitserver-0"), "{}", session.text());
    world.alerts.lock().expect("not poisoned").insert(0, disk_full("gitserver-7", 1, "0.99"));
    *world.revision.lock().expect("not poisoned") = 2;
    clock.advance(Duration::from_secs(2));
    session.notice();
    let text = session.text();
    assert!(text.contains("gitserver-7"), "{text}");
    assert!(selected(&session).contains("gitserver-0"), "{text}");
}

#[test]
fn a_new_critical_alert_rings_once_and_marks_the_tab_until_seen() {
    let world = World::busy();
    let (mut session, clock) = open(&world, 80, 24);
    session.keys("5");
    world.alerts.lock().expect("not poisoned").push(disk_full("gitserver-7", 1, "0.99"));
    *world.revision.lock().expect("not poisoned") = 2;
    clock.advance(Duration::from_secs(2));
    session.notice();
    assert_eq!(session.bells(), 1);
    assert!(session.text().contains("2 Alerts*"), "{}", session.text());
    session.keys("2 5");
    assert!(!session.text().contains("2 Alerts*"), "{}", session.text());
}

#[test]
fn old_data_never_looks_live() {
    let world = World::busy();
    let (mut session, clock) = open(&world, 80, 24);
    assert!(session.text().contains("live <5s"), "{}", session.text());
    // Two evaluation intervals of 15 s without an answer.
    clock.advance(Duration::from_secs(40));
    session.resize(80, 24);
    assert!(session.text().contains("STALE"), "{}", session.text());
}

#[test]
fn a_server_that_goes_away_leaves_its_last_picture_and_nothing_is_sent() {
    let world = World::busy();
    let (mut session, clock) = open(&world, 80, 24);
    *world.down.lock().expect("not poisoned") = true;
    clock.advance(Duration::from_secs(2));
    session.notice();
    let text = session.text();
    assert!(text.contains("OFFLINE") && text.contains("gitserver-0"), "{text}");
    session.keys("s");
    assert!(session.text().contains("offline: not sent"), "{}", session.text());
    *world.down.lock().expect("not poisoned") = false;
    clock.advance(Duration::from_secs(20));
    session.tick();
    assert!(!session.text().contains("OFFLINE"), "{}", session.text());
}

#[test]
fn a_pause_holds_the_picture_and_asks_for_nothing() {
    let world = World::busy();
    let (mut session, clock) = open(&world, 80, 24);
    session.keys("p");
    assert!(session.text().contains("paused"), "{}", session.text());
    world.alerts.lock().expect("not poisoned").clear();
    *world.revision.lock().expect("not poisoned") = 7;
    session.notice();
    for _ in 0..5 {
        clock.advance(Duration::from_secs(20));
        session.tick();
        assert!(session.idle_for() >= Duration::from_millis(500), "{:?}", session.idle_for());
    }
    assert!(session.text().contains("gitserver-0"), "{}", session.text());
    session.keys("p");
    assert!(!session.text().contains("gitserver-0"), "{}", session.text());
}

#[test]
fn nothing_changes_by_itself_for_a_while() {
    let world = World::busy();
    let (mut session, clock) = open(&world, 80, 24);
    let mut wakes = 0;
    let before = session.text();
    for _ in 0..60 {
        let idle = session.idle_for();
        if idle >= Duration::from_secs(60) {
            break;
        }
        clock.advance(idle.max(Duration::from_millis(1)));
        session.tick();
        wakes += 1;
        if clock_seconds(&clock) >= 60 {
            break;
        }
    }
    assert!(wakes <= 60, "{wakes} wake-ups in a minute");
    assert_ne!(before, session.text(), "after a minute the clock shows another one");
}

fn clock_seconds(clock: &VirtualClock) -> u64 {
    use watchbell::sys::clock::Clock as _;
    clock.elapsed().as_secs()
}

#[test]
fn from_the_alert_to_its_expression_and_back_in_two_keys() {
    let (mut session, _) = open(&World::busy(), 80, 24);
    session.keys("e");
    let text = session.text();
    assert!(text.contains("> 1 - node_filesystem_avail_bytes"), "{text}");
    assert!(text.contains("[3 Explore]"), "{text}");
}

#[test]
fn what_is_copied_can_be_used_elsewhere() {
    let (mut session, _) = open(&World::busy(), 80, 24);
    session.keys("r 7 y");
    let copied = session.copied();
    assert_eq!(copied[0], "https://runbooks.example/disk-full");
    assert!(copied[1].starts_with("amtool silence add --author 'op1'"), "{}", copied[1]);
}

#[test]
fn escapes_in_labels_never_reach_the_screen() {
    let world = World::busy();
    world.alerts.lock().expect("not poisoned").push(disk_full(
        "evil\u{1b}[31m\u{202e}host",
        1,
        "0.99",
    ));
    let (session, _) = open(&world, 120, 40);
    let text = session.text();
    assert!(text.contains("evil\\x1b[31m"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
}

#[test]
fn each_state_reads_the_same_without_color() {
    let (mut session, _) = open(&World::busy(), 80, 24);
    for keys in ["1", "2", "3", "5", "6", "7", "9", "H", "2 w", "esc H"] {
        session.keys(keys);
        for cell in &session.picture().content {
            assert_eq!(cell.fg, ratatui::style::Color::Reset, "{keys}");
            assert_eq!(cell.bg, ratatui::style::Color::Reset, "{keys}");
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Key(Key),
    Resize(u16, u16),
    Answer,
    Settle,
    Pass(u64),
    Notice,
    Toggle,
    Paste(String),
}

fn step() -> impl Strategy<Value = Step> {
    let keys = "jkghlGs/z:?q123567 9-enpyxAi0+tRSBe]rp[=\"{(auwHDauwHD".chars().map(Key::Char);
    let named = ["enter", "esc", "tab", "shift-tab", "up", "down", "left", "right", "pgdn", "pgup"];
    let named = named.into_iter().filter_map(Key::parse);
    let more = [Key::Backspace, Key::Delete, Key::Home, Key::End, Key::Ctrl('u'), Key::Ctrl('w')];
    let keys: Vec<Key> = keys.chain(named).chain(more).collect();
    prop_oneof![
        8 => prop::sample::select(keys).prop_map(Step::Key),
        2 => (1u16..=300, 1u16..=100).prop_map(|(width, height)| Step::Resize(width, height)),
        3 => Just(Step::Answer),
        2 => Just(Step::Settle),
        1 => (0u64..100).prop_map(Step::Pass),
        1 => Just(Step::Notice),
        1 => Just(Step::Toggle),
        1 => ".{0,12}".prop_map(Step::Paste),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_sequence_of_events_at_any_size_panics(
        steps in prop::collection::vec(step(), 0..40),
        width in 1u16..=300,
        height in 1u16..=100,
        ascii in any::<bool>(),
    ) {
        let world = World::busy();
        let clock = VirtualClock::at(NOW);
        let charset = if ascii { CharsetChoice::Ascii } else { CharsetChoice::Block };
        let mut session = Session::new(world.clone(), options(&clock, charset), width, height);
        for step in steps {
            match step {
                Step::Key(key) => session.press(key),
                Step::Resize(width, height) => session.resize(width, height),
                Step::Answer => session.answer_one(),
                Step::Settle => session.settle(),
                Step::Pass(seconds) => {
                    clock.advance(Duration::from_secs(seconds));
                    session.tick();
                }
                Step::Notice => session.notice(),
                Step::Toggle => {
                    let mut down = world.down.lock().expect("not poisoned");
                    *down = !*down;
                    world.alerts.lock().expect("not poisoned").reverse();
                    if *down { world.alerts.lock().expect("not poisoned").pop(); }
                }
                Step::Paste(text) => session.paste(&text),
            }
            session.text();
        }
    }
}

#[test]
fn an_expression_that_cannot_be_read_is_marked_and_never_sent() {
    let (mut session, _) = open(&World::busy(), 80, 24);
    session.keys("3 i ctrl-u s u m ( u p");
    let text = session.text();
    assert!(text.contains("> sum(up\n") && text.contains('^'), "{text}");
    session.keys("enter");
    let text = session.text();
    assert!(text.contains("parse error"), "{text}");
    assert!(text.contains("frontend-0:6060"), "the last picture stays:\n{text}");
    session.keys(") enter");
    assert!(!session.text().contains("parse error at"), "{}", session.text());
}

#[test]
fn an_acknowledgement_says_who_and_what_and_the_alert_shows_it() {
    let world = World::busy();
    let (mut session, _) = open(&world, 80, 24);
    let text = session.text();
    assert!(text.contains("a WARN   frontend-2"), "marked by a sign: {text}");
    assert!(text.contains("ack op1 1h") && text.contains("ack 1"), "{text}");
    session.keys("a o n space i t");
    assert!(session.text().contains("Acknowledge  DiskFull gitserver-0"), "{}", session.text());
    session.keys("esc a d i s k enter");
    let acked = world.acked.lock().expect("not poisoned");
    let [request] = acked.as_slice() else { panic!("{acked:?}") };
    assert_eq!((request.by.as_str(), request.comment.as_str()), ("op1", "disk"));
    assert_eq!(request.fingerprints, [disk_full("gitserver-0", 41, "0.938").fingerprint]);
    assert!(session.text().contains("1 alert is acknowledged"), "{}", session.text());
}

#[test]
fn the_heading_of_a_group_acknowledges_those_of_it_that_nobody_works_on() {
    let world = World::busy();
    let (mut session, _) = open(&world, 80, 24);
    session.keys("k a enter");
    assert_eq!(world.acked.lock().expect("not poisoned")[0].fingerprints.len(), 2);
    // Three of them are slow, and on one of them somebody works already.
    session.keys("j j j j a");
    let text = session.text();
    assert!(text.contains("Acknowledge  2 alerts SearchLatencyHigh"), "{text}");
}

#[test]
fn what_cannot_be_acknowledged_says_why() {
    let world = World::busy();
    let (mut session, _) = open(&world, 80, 24);
    for (keys, told) in [
        ("G a", "this alert is pending: only one that fires"),
        ("k a", "op1 works on it already; u takes that back"),
        ("g j u", "it is not acknowledged; a does that"),
    ] {
        session.keys(keys);
        assert!(session.text().contains(told), "{keys}: {}", session.text());
    }
    assert!(world.acked.lock().expect("not poisoned").is_empty());
    let mut session = with(|options| options.read_only = true);
    for keys in ["2 a", "G k u"] {
        session.keys(keys);
        let text = session.text();
        assert!(text.contains("read-only: started with --read-only"), "{keys}: {text}");
    }
}

#[test]
fn an_acknowledgement_is_taken_back_only_after_a_yes() {
    let world = World::busy();
    let (mut session, _) = open(&world, 80, 24);
    session.keys("G k u n u esc");
    assert!(world.withdrawn.lock().expect("not poisoned").is_empty());
    session.keys("u y");
    let withdrawn = world.withdrawn.lock().expect("not poisoned");
    assert_eq!(withdrawn.len(), 1);
    assert_eq!(withdrawn[0].1, "op1");
    let text = session.text();
    assert!(text.contains("taken back: repeats go out again"), "{text}");
}

#[test]
fn a_silence_until_resolved_is_offered() {
    let world = World::busy();
    let (mut session, _) = open(&world, 80, 24);
    session.keys("s 7");
    let text = session.text();
    assert!(text.contains("[until resolved]") && text.contains("in 24h at the latest"), "{text}");
    session.keys("enter");
    let posted = world.posted.lock().expect("not poisoned");
    assert_eq!(posted[0].annotations.get("watchbell_until"), Some("resolved"));
}

#[test]
fn a_delivery_that_is_tried_again_is_told_on_the_list_and_explained() {
    let world = World::busy();
    world.alerts.lock().expect("not poisoned")[2].sending = vec![SendingStatus {
        receiver: "slack-oncall".to_owned(),
        integration: "slack".to_owned(),
        since: ago(2),
        attempts: 4,
        error: Some("unexpected status code 503".to_owned()),
        code: Some(503),
        answer: "try\u{1b}[31m later".to_owned(),
        next_attempt: Some(NOW.plus_millis(12_000)),
        until: ago(-3),
    }];
    for (width, height) in [(80, 24), (120, 40)] {
        let (mut session, _) = open(&world, width, height);
        let text = session.text();
        assert!(text.contains("RETRY 4x slack-onc"), "{text}");
        session.keys("j j w");
        let text = session.text().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("Why ZoektDown zoekt-0:6070"), "{text}");
        assert!(text.contains("RETRYING since 03:10:00: 4 attempts failed"), "{text}");
        assert!(text.contains("last answer: 503 try\\x1b[31m later"), "{text}");
        session.keys("esc enter");
        assert!(session.text().contains("RETRY 4x, next 03:12:12"), "{}", session.text());
    }
}

#[test]
fn the_history_of_an_alert_begins_with_what_is_new_and_leads_back_to_it() {
    let world = World::busy();
    let (mut session, _) = open(&world, 80, 24);
    session.keys("enter H");
    let text = session.text();
    assert!(text.contains(" History of DiskFull gitserver-0   7d"), "{text}");
    let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("no {word}: {text}"));
    assert!(at("notified") < at("firing") && at("firing") < at("pending"), "{text}");
    assert!(!text.contains("ZoektDown"), "{text}");
    session.keys("esc");
    assert!(session.text().contains("Alerts > DiskFull > gitserver-0"), "{}", session.text());
    session.keys("H q");
    assert_eq!(session.exit(), None);
    session.keys("H H");
    assert!(session.text().contains("History of all alerts"), "{}", session.text());
    let prints: Vec<_> = {
        let asked = world.asked.lock().expect("not poisoned");
        asked.iter().map(|request| request.fingerprint.is_some()).collect()
    };
    assert_eq!(prints, [true, true, true, false]);
}

#[test]
fn the_history_is_filtered_by_matchers_kind_and_time() {
    let world = World::busy();
    let (mut session, _) = open(&world, 80, 24);
    session.keys("1 H");
    let last = || world.asked.lock().expect("not poisoned").last().expect("asked").clone();
    let hours = |from| NOW.millis_since(from) / 3_600_000;
    assert_eq!((last().start.map(hours), last().end, last().limit), (Some(168), None, 100));
    session.keys("+ h");
    assert_eq!((last().start.map(hours), last().end.map(hours)), (Some(30), Some(6)));
    session.keys("0 - - -");
    assert_eq!((last().start, last().end), (None, None));
    session.keys("/ D i s k F u l l space k i n d : a c k enter");
    let request = last();
    assert_eq!(request.matchers[0].to_string(), "alertname=\"DiskFull\"");
    assert_eq!(request.kind.as_deref(), Some("ack"));
    let count = world.asked.lock().expect("not poisoned").len();
    session.keys("/ space w e b enter");
    assert!(session.text().contains("\"web\" is no matcher"), "{}", session.text());
    assert_eq!(world.asked.lock().expect("not poisoned").len(), count, "nothing is asked");
    session.keys("esc");
    assert!(last().matchers.is_empty() && last().kind.is_none());
}

#[test]
fn the_history_is_read_by_pages_up_to_a_bound() {
    let world = World::busy();
    let row = |minutes| happened(minutes, "firing", Some(&disk_full("many", 1, "1")), "".into());
    *world.history.lock().expect("not poisoned") = (0..2_000).map(row).collect();
    let (mut session, _) = open(&world, 80, 24);
    session.keys("1 H");
    assert!(session.text().contains("100, older: G"), "{}", session.text());
    session.keys("G");
    assert!(session.text().contains("200, older: G"), "{}", session.text());
    for _ in 0..20 {
        session.keys("G");
    }
    let text = session.text();
    assert!(text.contains("no more than 1000 entries are listed"), "{text}");
    assert_eq!(world.asked.lock().expect("not poisoned").len(), 10);
}

#[test]
fn new_entries_come_to_the_top_and_the_selected_one_stays() {
    let world = World::busy();
    let (mut session, clock) = open(&world, 120, 40);
    session.keys("1 H j j");
    let selected = |session: &Session| {
        let text = session.text();
        text.lines().find(|line| line.starts_with('>')).map(str::to_owned).unwrap_or_default()
    };
    let before = selected(&session);
    assert!(before.contains("silence"), "{}", session.text());
    let new = happened(0, "firing", Some(&disk_full("gitserver-7", 1, "0.99")), "".into());
    world.history.lock().expect("not poisoned").insert(0, new);
    *world.revision.lock().expect("not poisoned") = 2;
    clock.advance(Duration::from_secs(2));
    session.notice();
    let text = session.text();
    assert!(text.contains("gitserver-7"), "{text}");
    assert_eq!(selected(&session), before);
    let asked = world.asked.lock().expect("not poisoned").last().expect("asked").clone();
    assert!(asked.start.is_some_and(|start| start >= ago(2)), "only what is new: {asked:?}");
}

#[test]
fn a_history_that_cannot_be_read_says_what_to_do() {
    let world = World::busy();
    *world.history_error.lock().expect("not poisoned") = Some(Error::internal("disk I/O error"));
    let (mut session, _) = open(&world, 80, 24);
    session.keys("1 H");
    assert!(session.text().contains("disk I/O error. R asks again."), "{}", session.text());
    *world.history_error.lock().expect("not poisoned") = None;
    session.keys("R");
    assert!(session.text().contains("11 in all"), "{}", session.text());
    let (mut session, _) = open(&World::quiet(), 80, 24);
    session.keys("1 H");
    let text = session.text();
    assert!(text.contains("Nothing happened in the last 7d. - looks further back."), "{text}");
}

#[test]
fn elsewhere_an_acknowledgement_is_a_short_silence_and_there_is_no_history() {
    let world = World::busy();
    *world.foreign.lock().expect("not poisoned") = true;
    let refused = Error::not_offered("history of alerts");
    *world.history_error.lock().expect("not poisoned") = Some(refused);
    let (mut session, _) = open(&world, 80, 24);
    session.keys("a o k");
    assert!(session.text().contains("a silence of 30m"), "{}", session.text());
    session.keys("enter");
    let asked = world.acked.lock().expect("not poisoned").pop().expect("it is asked for");
    assert_eq!((asked.by.as_str(), asked.comment.as_str()), ("op1", "ok"));
    session.keys("s 7");
    assert!(!session.text().contains("until resolved"), "{}", session.text());
    session.keys("esc H");
    let text = session.text();
    assert!(text.contains("n/a: only a watchbell server keeps a history."), "{text}");
}
