//! Files of ours in `tests/fixtures/rules`, and those that `WATCHBELL_UNIT_TESTS` names.

use crate::both::{compare, is_installed, ours};
use std::path::{Path, PathBuf};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rules");
    let mut found: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| !path.to_string_lossy().ends_with(".rules.yml"))
        .collect();
    found.sort();
    assert!(found.len() > 10, "{found:?}");
    found
}

#[test]
fn tests_pass_but_for_those_whose_name_says_that_they_fail() {
    let (mut passed, mut failed) = (0, 0);
    for file in files() {
        let name = file.display();
        let outcomes = match ours(&file) {
            Ok(outcomes) => outcomes,
            Err(err) => {
                let text = std::fs::read_to_string(&file).expect("readable");
                assert!(text.contains("- name: fails before it begins"), "{err}");
                continue;
            }
        };
        for outcome in outcomes {
            let fails = outcome.name.starts_with("fails");
            let failures: Vec<_> = outcome.failures.iter().map(ToString::to_string).collect();
            assert_eq!(!failures.is_empty(), fails, "{name} {}: {failures:#?}", outcome.name);
            passed += usize::from(!fails);
            failed += usize::from(fails);
        }
    }
    println!("{passed} tests pass, {failed} fail");
    assert!(passed > 25 && failed > 25, "{passed} and {failed}");
}

#[test]
fn promtool_says_the_same_of_our_files() {
    if !is_installed() {
        return;
    }
    // What came after promtool 2.42, which is what distributions have.
    let both = files().into_iter().filter(|file| !file.ends_with("later.yml"));
    let failures: usize = both.map(|file| compare(&file)).sum();
    println!("{failures} failures are the same");
    assert!(failures > 40, "{failures}");
}

/// Files from elsewhere, by hand: names parted by colons.
#[test]
fn promtool_says_the_same_of_other_files() {
    let Ok(list) = std::env::var("WATCHBELL_UNIT_TESTS") else { return };
    if !is_installed() {
        return;
    }
    for file in list.split(':').filter(|file| !file.is_empty()) {
        println!("{file}: {} failures are the same", compare(Path::new(file)));
    }
}
