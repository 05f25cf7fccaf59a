//! Replacement templates as Go expands them: `$1`, `${1}`, `$name`, `$$`.

use regex_automata::util::captures::Captures;

/// Adds `template` with the groups of a match in `haystack`. The longest run of word characters
/// after `$` is the group's name, so `$1x` is the group `1x` (empty) and `${1}x` is group 1
/// followed by an x.
///
/// Source: golang/go, src/regexp/regexp.go (expand, extract).
pub(super) fn expand_into(
    captures: &Captures,
    group_names: &[Option<String>],
    haystack: &str,
    template: &str,
    out: &mut String,
) {
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let after = after.strip_prefix('$').unwrap_or(after);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let Some((name, after)) = reference(after) else {
            out.push('$');
            rest = after;
            continue;
        };
        let span = match group_number(name) {
            Some(number) => captures.get_group(number),
            // Two groups may have the same name: the first that took part counts.
            None => group_names
                .iter()
                .enumerate()
                .filter(|(_, group)| group.as_deref() == Some(name))
                .find_map(|(number, _)| captures.get_group(number)),
        };
        if let Some(span) = span {
            out.push_str(haystack.get(span.range()).unwrap_or_default());
        }
        rest = after;
    }
    out.push_str(rest);
}

/// A number is written without leading zeros; anything else is a name.
fn group_number(name: &str) -> Option<usize> {
    let digits = name.bytes().all(|b| b.is_ascii_digit());
    let leading_zero = name.len() > 1 && name.starts_with('0');
    if digits && !leading_zero { name.parse().ok() } else { None }
}

fn reference(after_dollar: &str) -> Option<(&str, &str)> {
    let is_word = |c: char| c == '_' || c.is_alphanumeric();
    if let Some(braced) = after_dollar.strip_prefix('{') {
        let (name, rest) = braced.split_once('}')?;
        return (!name.is_empty() && name.chars().all(is_word)).then_some((name, rest));
    }
    let end = after_dollar.find(|c| !is_word(c)).unwrap_or(after_dollar.len());
    (end > 0).then(|| after_dollar.split_at(end))
}
