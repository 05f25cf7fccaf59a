//! Texts from a small grammar, by a seed: what a dot may be decides what may stand there.
//!
//! A line of a grammar names the kind of the dot (`*`: any) and a symbol; each line below it that
//! is set in is a way to write the symbol. `@text` stands for a symbol, `@body:Alert` for one under
//! another dot, `\\n` and `\\s` for a line end and a blank.

use std::collections::BTreeMap;
use watchbell::sys::entropy::Entropy as _;
use watchbell::sys::sim::SeededEntropy;

/// Writes texts of a grammar.
pub(crate) struct Writer {
    /// By the kind of the dot and the symbol.
    ways: BTreeMap<(String, String), Vec<String>>,
    dice: SeededEntropy,
}

impl Writer {
    pub(crate) fn new(grammar: &str, seed: u64) -> Self {
        let mut ways: BTreeMap<_, Vec<String>> = BTreeMap::new();
        let mut of = (String::new(), String::new());
        for line in grammar.lines() {
            match line.strip_prefix("  ") {
                Some(way) => {
                    let way = way.replace("\\n", "\n").replace("\\s", " ");
                    ways.entry(of.clone()).or_default().push(way);
                }
                None => {
                    let (dot, symbol) = line.split_once(' ').expect("a dot and a symbol");
                    of = (dot.to_owned(), symbol.to_owned());
                }
            }
        }
        Self { ways, dice: SeededEntropy::new(seed) }
    }

    /// One text of a symbol under a dot; symbols stand no deeper than `depth` inside each other,
    /// but for those that have no shorter way to be written.
    pub(crate) fn write(&mut self, dot: &str, symbol: &str, depth: usize) -> String {
        let of = |dot: &str| self.ways.get(&(dot.to_owned(), symbol.to_owned()));
        let all: Vec<&String> = of("*").into_iter().chain(of(dot)).flatten().collect();
        let short: Vec<&String> = all.iter().copied().filter(|way| !way.contains('@')).collect();
        let ways = if depth == 0 && !short.is_empty() { short } else { all };
        assert!(!ways.is_empty(), "BUG: no {symbol} under {dot}");
        let chosen = self.dice.next_u64() % ways.len() as u64;
        let way = usize::try_from(chosen).ok().and_then(|chosen| ways.get(chosen));
        let way = way.expect("less than there are").to_string();
        let mut parts = way.split('@');
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_at(letters(part));
            let (inner, rest) = match rest.strip_prefix(':') {
                None => (dot, rest),
                Some(rest) => rest.split_at(letters(rest)),
            };
            out.push_str(&self.write(inner, name, depth.saturating_sub(1)));
            out.push_str(rest);
        }
        out
    }
}

/// How many letters a text begins with.
fn letters(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len())
}
