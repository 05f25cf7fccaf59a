//! Go's syntax: what it takes, refuses, means and says.

use super::*;
use proptest::prelude::*;

#[track_caller]
fn anchored(text: &str) -> Regex {
    Regex::anchored(text).unwrap_or_else(|err| panic!("{text:?}: {err}"))
}

#[test]
fn anchored_means_both_ends_and_the_dot_takes_newlines() {
    let regex = anchored("a|b.c");
    for (text, matches) in [("a", true), ("ab", false), ("b\nc", true), ("xa", false)] {
        assert_eq!(regex.is_match(text), matches, "{text:?}");
    }
}

#[test]
fn searching_finds_anywhere_and_the_dot_stops_at_a_newline() {
    let regex = Regex::searching("b.c").expect("valid");
    for (text, matches) in [("abxc", true), ("ab\nc", false), ("b", false)] {
        assert_eq!(regex.is_match(text), matches, "{text:?}");
    }
}

#[test]
fn replacements_expand_as_in_go() {
    let regex = anchored("(?P<host>[a-z]+):([0-9]+)");
    for (template, expected) in [
        ("$1-$2", "db-9100"),
        ("${1}x", "dbx"),
        ("$1x", ""),
        ("$host", "db"),
        ("$$1", "$1"),
        ("a$", "a$"),
        ("${", "${"),
        ("$01", ""),
        ("$9", ""),
        ("${host}:$0", "db:db:9100"),
    ] {
        assert_eq!(regex.expand("db:9100", template).as_deref(), Some(expected), "{template}");
    }
    assert_eq!(regex.expand("nothing", "$1"), None);
}

#[test]
fn of_two_groups_with_one_name_the_first_that_took_part_counts() {
    let regex = anchored("(?P<x>a)|(?<x>b)");
    assert_eq!(regex.expand("b", "<$x>").as_deref(), Some("<b>"));
}

/// Expression, texts that match, texts that do not. Where Rust's own syntax means another thing
/// or refuses, the comment says so.
const MEANINGS: &[(&str, &[&str], &[&str])] = &[
    // Perl classes hold ASCII only.
    (r"\d", &["7"], &["\u{0661}"]),
    (r"\w+", &["az_09"], &["é"]),
    (r"\s", &[" ", "\t", "\x0c"], &["\u{a0}", "\x0b"]),
    (r"\D\W\S", &["\u{0661}éé"], &["1éé"]),
    (r"[[:space:]]", &["\x0b"], &["\u{a0}"]),
    (r"é\bx", &["éx"], &[]),
    (r"a\Bé", &[], &["aé"]),
    (r"(?i)\w", &["\u{17f}", "\u{212a}"], &["é"]),
    // POSIX classes.
    ("[[:alpha:][:digit:]_-]+", &["aZ9_-"], &["é", "["]),
    ("[[:^alpha:]]", &["1", "é"], &["a"]),
    ("[[:word:]]", &["_"], &["-"]),
    ("[[:punct:]]", &["!", "~", "`"], &["a", " "]),
    // Not a POSIX class without the second pair of brackets.
    ("[:alpha:]", &["a", ":", "l"], &["z"]),
    ("[[:alpha]", &["[", ":", "a"], &["]"]),
    // Unicode classes.
    (r"\pN", &["1", "\u{0661}", "½"], &["a"]),
    (r"\PN", &["a"], &["1"]),
    (r"\p{Greek}+", &["αβγ"], &["a"]),
    (r"\p{^Greek}", &["a"], &["α"]),
    (r"\P{^Greek}", &["α"], &["a"]),
    (r"[\p{Lu}\d]", &["Ä", "5"], &["ä"]),
    (r"(?i)\p{Lu}", &["ä"], &["1"]),
    // Flags.
    ("(?i)straße", &["STRAßE", "straẞe"], &["strasse"]),
    ("(?i:a)b", &["Ab", "ab"], &["aB"]),
    ("a(?i)b|c", &["aB", "C"], &["AB"]),
    ("(a(?i)b)c", &["aBc"], &["aBC"]),
    ("(?-s).", &["a"], &["\n"]),
    ("(?m)a$\n^b", &["a\nb"], &["ab"]),
    ("(?m:^)a(?-m:$)", &["a"], &[]),
    ("(?)a", &["a"], &[]),
    ("(?i-s:A.)", &["ax"], &["a\n"]),
    // Quotes and escapes.
    (r"\Qa.b|[\E+", &["a.b|[", "a.b|[["], &["axb", ""]),
    (r"\Qa.b", &["a.b"], &["axb"]),
    (r"a\Q\E*", &["", "aa"], &["b"]),
    (r"\101\060\x41\x{42}", &["A0AB"], &[]),
    (r"\0", &["\0"], &["0"]),
    (r"\a\f\t\n\r\v", &["\x07\x0c\t\n\r\x0b"], &[]),
    (r"\_\-\/\!\~\<", &["_-/!~<"], &[]),
    (r"\x{D800}|a", &["a"], &["\u{fffd}"]),
    // Ends of the text.
    (r"\Aa\z", &["a"], &["a\n"]),
    ("^a$", &["a"], &["a\n"]),
    ("(^a|b$)", &["a", "b"], &["ab"]),
    ("a^b", &[], &["ab", "a^b"]),
    ("^*a", &["a"], &["^a"]),
    // Classes: no set operations, a dash anywhere.
    ("[a&&b]", &["a", "b", "&"], &["c"]),
    (r"[\w-.]", &["x", "-", "."], &["+"]),
    ("[a-]", &["a", "-"], &["b"]),
    ("[]a]", &["]", "a"], &["["]),
    ("[^]a]", &["b"], &["]", "a"]),
    ("[[]", &["["], &["]"]),
    ("[a-c-e]", &["b", "-", "e"], &["d"]),
    ("[^a]", &["b", "\n"], &["a", ""]),
    (r"[\]\\^]", &["]", "\\", "^"], &["["]),
    ("[--~~]", &["-", ".", "~"], &["+"]),
    (r"[^\x00-\x{10FFFF}]", &[], &["a", ""]),
    ("(?i)[^k]", &["a"], &["k", "K", "\u{212a}"]),
    // Braces that are no count stand for themselves.
    ("a{,3}", &["a{,3}"], &["aa", ""]),
    ("a{", &["a{"], &["a"]),
    ("a{x}", &["a{x}"], &[]),
    ("a{1", &["a{1"], &["a"]),
    ("a{01}", &["a{01}"], &["a"]),
    ("a{1,02}", &["a{1,02}"], &["a"]),
    ("}", &["}"], &[]),
    ("{", &["{"], &[]),
    ("{}", &["{}"], &[]),
    ("a{2}", &["aa"], &["a", "aaa"]),
    ("a{2,}", &["aa", "aaa"], &["a"]),
    ("a{0}b", &["b"], &["ab"]),
    // Empty parts.
    ("", &[""], &["a"]),
    ("a||b", &["a", "", "b"], &["ab"]),
    ("()", &[""], &["a"]),
    ("(?:)", &[""], &["a"]),
    ("(|a)*", &["", "aaa"], &["b"]),
    // White space and # are themselves.
    ("a #b", &["a #b"], &["a"]),
    ("(?i)k", &["K", "\u{212a}"], &[]),
];

#[test]
fn t88_expressions_mean_what_they_mean_in_go() {
    for (text, matching, others) in MEANINGS {
        let regex = anchored(text);
        for haystack in *matching {
            assert!(regex.is_match(haystack), "{text:?} must match {haystack:?}");
        }
        for haystack in *others {
            assert!(!regex.is_match(haystack), "{text:?} must not match {haystack:?}");
        }
    }
}

/// Expression and Go's message without its first words.
const REFUSED: &[(&str, &str)] = &[
    ("(", "missing closing ): `(`"),
    ("(a", "missing closing ): `(a`"),
    ("x(y(z)", "missing closing ): `x(y(z)`"),
    (")", "unexpected ): `)`"),
    ("a)(b", "unexpected ): `a)(b`"),
    ("[a", "missing closing ]: `[a`"),
    ("x[", "missing closing ]: `[`"),
    ("[]", "missing closing ]: `[]`"),
    ("[^]", "missing closing ]: `[^]`"),
    ("[a-", "missing closing ]: `[a-`"),
    ("[z-a]", "invalid character class range: `z-a`"),
    (r"[a-\d]", r"invalid escape sequence: `\d`"),
    ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
    ("*", "missing argument to repetition operator: `*`"),
    ("+a", "missing argument to repetition operator: `+`"),
    ("(*)", "missing argument to repetition operator: `*`"),
    ("a|*", "missing argument to repetition operator: `*`"),
    ("(?i)*", "missing argument to repetition operator: `*`"),
    ("{2}", "missing argument to repetition operator: `{2}`"),
    ("a|+?", "missing argument to repetition operator: `+?`"),
    ("a**", "invalid nested repetition operator: `**`"),
    ("a*+", "invalid nested repetition operator: `*+`"),
    ("a??*", "invalid nested repetition operator: `??*`"),
    ("a{2}*", "invalid nested repetition operator: `{2}*`"),
    ("a*{2}?", "invalid nested repetition operator: `*{2}?`"),
    ("a{1001}", "invalid repeat count: `{1001}`"),
    ("a{1,1001}", "invalid repeat count: `{1,1001}`"),
    ("a{1001,}", "invalid repeat count: `{1001,}`"),
    ("a{2,1}", "invalid repeat count: `{2,1}`"),
    ("a{100000000000}", "invalid repeat count: `{100000000000}`"),
    ("(a{100}){11}", "invalid repeat count: `{11}`"),
    ("((a{10}){10}b){11}", "invalid repeat count: `{11}`"),
    ("(?:(?:a{2,})+){501}", "invalid repeat count: `{501}`"),
    (r"\", "trailing backslash at end of expression: ``"),
    (r"\C", r"invalid escape sequence: `\C`"),
    (r"\1", r"invalid escape sequence: `\1`"),
    (r"\18", r"invalid escape sequence: `\1`"),
    (r"\8", r"invalid escape sequence: `\8`"),
    (r"\q", r"invalid escape sequence: `\q`"),
    (r"\Z", r"invalid escape sequence: `\Z`"),
    (r"\é", r"invalid escape sequence: `\é`"),
    (r"\x", r"invalid escape sequence: `\x`"),
    (r"\x1", r"invalid escape sequence: `\x1`"),
    (r"\xg0", r"invalid escape sequence: `\xg0`"),
    (r"\x{}", r"invalid escape sequence: `\x{}`"),
    (r"\x{12", r"invalid escape sequence: `\x{12`"),
    (r"\x{110000}", r"invalid escape sequence: `\x{110000`"),
    (r"\x{ffffffffffffffff}", r"invalid escape sequence: `\x{ffffff`"),
    (r"\u0041", r"invalid escape sequence: `\u`"),
    (r"\pX", r"invalid character class range: `\pX`"),
    (r"\p", r"invalid character class range: `\p`"),
    (r"\p{Foo}b", r"invalid character class range: `\p{Foo}`"),
    (r"\p{Greek", r"invalid character class range: `\p{Greek`"),
    (r"[\p{Grek}]", r"invalid character class range: `\p{Grek}`"),
    ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
    ("(?!a)", "invalid or unsupported Perl syntax: `(?!`"),
    ("(?>a)", "invalid or unsupported Perl syntax: `(?>`"),
    ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
    ("(?i-)a", "invalid or unsupported Perl syntax: `(?i-)`"),
    ("(?i--s)a", "invalid or unsupported Perl syntax: `(?i--`"),
    ("(?", "invalid or unsupported Perl syntax: `(?`"),
    ("(?P=n)", "invalid or unsupported Perl syntax: `(?P`"),
    ("(?P<", "invalid or unsupported Perl syntax: `(?P`"),
    ("(?<=a)b>", "invalid named capture: `(?<=a)b>`"),
    ("(?P<n", "invalid named capture: `(?P<n`"),
    ("(?P<>a)", "invalid named capture: `(?P<>`"),
    ("(?P<a b>c)", "invalid named capture: `(?P<a b>`"),
    ("(?<é>c)", "invalid named capture: `(?<é>`"),
];

#[test]
fn t88_what_go_refuses_is_refused_in_gos_words() {
    for (text, message) in REFUSED {
        let found = Regex::anchored(text).map_err(|err| err.to_string());
        let expected = format!("error parsing regexp: {message}");
        assert_eq!(found, Err(expected), "{text:?}");
    }
}

#[test]
fn counts_may_multiply_to_a_thousand() {
    for text in ["a{1000}", "(a{10}){100}", "((a{10}){10}){10}", "(a{1000}){0}", "(a{1000})*"] {
        assert!(Regex::anchored(text).is_ok(), "{text}");
    }
}

#[test]
fn t88_the_first_alternative_wins_not_the_longest() {
    let regex = Regex::searching("a|ab").expect("valid");
    assert_eq!(regex.replace_all("ab", "<$0>"), "<a>b");
}

#[test]
fn an_empty_match_right_behind_a_match_is_not_replaced() {
    let regex = Regex::searching("a*").expect("valid");
    assert_eq!(regex.replace_all("baaac", "x"), "xbxcx");
}

#[test]
fn greed_follows_flag_and_question_mark() {
    for (text, expected) in
        [("a+", "<aa>"), ("a+?", "<a><a>"), ("(?U)a+", "<a><a>"), ("(?U)a+?", "<aa>")]
    {
        let regex = Regex::searching(text).expect("valid");
        assert_eq!(regex.replace_all("aa", "<$0>"), expected, "{text}");
    }
}

#[test]
fn depth_and_size_are_bounded() {
    let deep = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    let mixed = format!("{}x{}", "(?:a|(b".repeat(60), ")+)".repeat(60));
    for (text, haystack) in [(deep(249), "a"), (mixed, "a")] {
        assert!(Regex::anchored(&text).expect("not too deep").is_match(haystack));
    }
    for text in [
        deep(300),
        deep(60_000),
        "(?:a|".repeat(60_000),
        format!("a{}", "*(?i)".repeat(300)),
        "a".repeat(300 << 10),
        r"\pL".repeat(2_000),
        r"(?i)[\x{100}-\x{10000}]".repeat(1_000),
        r"\pL{1000}".to_owned(),
    ] {
        let err = Regex::anchored(&text).expect_err("too large");
        let known = ["expression nests too deeply", "expression too large"];
        assert!(known.iter().any(|known| err.0.starts_with(known)), "{}", err.0);
        assert!(err.0.len() < 500, "the message does not repeat all of it");
    }
}

#[test]
fn long_lists_of_names_compile_and_need_no_automaton() {
    let names = |count: u32| (0..count).map(|n| format!("pod-{n}")).collect::<Vec<_>>().join("|");
    let regex = anchored(&names(8_000));
    assert!(regex.is_match("pod-7999") && !regex.is_match("pod-8000"));
    assert_eq!(regex.set_matches().map(<[String]>::len), Some(8_000));
    assert_eq!(regex.expand("pod-7999", "<$0>").as_deref(), Some("<pod-7999>"));

    let regex = anchored(&format!("(?i){}", names(1_000)));
    assert!(regex.is_match("POD-999") && !regex.is_match("POD-1000"));
    assert_eq!(regex.set_matches(), None);
}

#[test]
fn lists_and_prefixes_are_found() {
    for (text, set, prefix) in [
        ("a|b|c", Some(&["a", "b", "c"][..]), None),
        ("foo(1|2)", Some(&["foo1", "foo2"]), Some("foo")),
        ("foo", Some(&["foo"]), Some("foo")),
        ("^foo$", Some(&["foo"]), Some("foo")),
        (r"10\.0\.0\.1:9100", Some(&["10.0.0.1:9100"]), Some("10.0.0.1:9100")),
        ("", Some(&[""]), None),
        ("a||b", Some(&["", "a", "b"]), None),
        ("x(?:y)?", Some(&["x", "xy"]), Some("x")),
        ("b|a|b", Some(&["a", "b"]), None),
        ("(?i)ab", Some(&["AB", "Ab", "aB", "ab"]), None),
        ("(?i)1", Some(&["1"]), Some("1")),
        ("foo.*", None, Some("foo")),
        ("foo.+|foobar", None, Some("foo")),
        ("(foo)+", None, Some("foo")),
        ("fo+", None, Some("fo")),
        ("fo*", None, Some("f")),
        ("foo[a-z]{2}", None, Some("foo")),
        (".*foo", None, None),
        ("(a|b)(c|d)x.*", None, None),
        ("é+ä", None, Some("é")),
        ("éa.|éb.|èa.", None, None),
        ("(^a)b.*", None, None),
        (r"\x{D800}", Some(&[]), None),
    ] {
        let regex = anchored(text);
        let found = regex.set_matches().map(|set| set.iter().map(String::as_str).collect());
        assert_eq!(found, set.map(<[&str]>::to_vec), "{text}");
        assert_eq!(regex.literal_prefix(), prefix, "{text}");
    }
    let regex = Regex::searching("a|b").expect("valid");
    assert_eq!((regex.set_matches(), regex.literal_prefix()), (None, None));
}

/// Patterns of the subset that Go and Rust read alike.
fn simple_pattern() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        "[a-cA-C]",
        Just(".".to_owned()),
        Just("[a-b]".to_owned()),
        Just("[^b]".to_owned()),
        Just(r"\.".to_owned()),
        Just("(?:)".to_owned()),
        Just("^".to_owned()),
        Just("$".to_owned()),
    ];
    atom.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            prop::collection::vec(inner.clone(), 1..4)
                .prop_map(|parts| format!("({})", parts.join("|"))),
            (inner.clone(), "[*+?]|\\{[0-3]\\}|\\{1,3\\}")
                .prop_map(|(part, repeat)| format!("(?:{part}){repeat}")),
            inner.clone().prop_map(|part| format!("(?i:{part})")),
            inner.prop_map(|part| format!("(?s-i:{part})")),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_compiled_or_refused(text in any::<String>(), haystack in any::<String>()) {
        if let Ok(regex) = Regex::anchored(&text) {
            let _ = regex.is_match(&haystack);
            let _ = regex.expand(&haystack, &text);
        }
    }

    #[test]
    fn any_soup_of_operators_is_compiled_or_refused(
        text in r"([(){}\[\]|*+?^$.,:<>=!\\-]|\(\?|\(\?P<|\[:|:\]|\\[pPQEdDxzC]|[ab01imsU]|é){0,24}",
    ) {
        if let Ok(regex) = Regex::searching(&text) {
            let _ = regex.replace_all("ab01é", "$1$x");
        }
    }

    #[test]
    fn t48_the_common_subset_agrees_with_rusts_own_parser(
        pattern in simple_pattern(),
        haystacks in prop::collection::vec("[a-dA-D.\n]{0,5}", 8),
    ) {
        let own = Regex::anchored(&pattern).expect("valid in Go");
        let theirs = meta::Regex::new(&format!("^(?s:{pattern})$")).expect("valid in Rust");
        for haystack in &haystacks {
            prop_assert_eq!(own.is_match(haystack), theirs.is_match(haystack), "{:?}", haystack);
            let mut captures = theirs.create_captures();
            theirs.captures(haystack, &mut captures);
            let first = captures.get_group(1).map(|span| haystack[span.range()].to_owned());
            if captures.is_match() {
                prop_assert_eq!(own.expand(haystack, "$1"), Some(first.unwrap_or_default()));
            }
        }
    }

    #[test]
    fn t48_hints_never_change_what_matches(
        pattern in simple_pattern(),
        haystacks in prop::collection::vec("[a-dA-D.]{0,5}", 8),
    ) {
        let regex = Regex::anchored(&pattern).expect("valid in Go");
        for text in regex.set_matches().unwrap_or_default() {
            prop_assert!(regex.compiled.is_match(text), "{:?} is in the list", text);
        }
        for haystack in &haystacks {
            if regex.compiled.is_match(haystack) {
                prop_assert!(regex.is_match(haystack), "{:?} matches", haystack);
                prop_assert!(haystack.starts_with(regex.literal_prefix().unwrap_or_default()));
            }
        }
    }
}
