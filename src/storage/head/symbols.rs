//! Each distinct label name and value once, with a number and a count of its uses.

use rustc_hash::FxBuildHasher;
use std::collections::HashMap;
use std::sync::Arc;

/// The number of a text.
pub(super) type Symbol = u32;

/// All texts of the head's labels.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    /// Texts come from clients, so this map keeps std's random seed.
    by_text: HashMap<Arc<str>, Symbol>,
    texts: Vec<Slot>,
    free: Vec<Symbol>,
    bytes: usize,
}

#[derive(Debug)]
struct Slot {
    text: Arc<str>,
    uses: u32,
}

impl Symbols {
    /// The number of `text`, used once more.
    pub(super) fn acquire(&mut self, text: &str) -> Symbol {
        if let Some(symbol) = self.by_text.get(text).copied() {
            if let Some(slot) = self.slot(symbol) {
                slot.uses += 1;
            }
            return symbol;
        }
        let text: Arc<str> = Arc::from(text);
        self.bytes += text.len();
        let slot = Slot { text: Arc::clone(&text), uses: 1 };
        let symbol = match self.free.pop() {
            Some(symbol) => {
                if let Some(place) = self.slot(symbol) {
                    *place = slot;
                }
                symbol
            }
            None => {
                let symbol = Symbol::try_from(self.texts.len()).expect("far fewer than 2^32 texts");
                self.texts.push(slot);
                symbol
            }
        };
        self.by_text.insert(text, symbol);
        symbol
    }

    /// Gives back one use; a text without uses is forgotten.
    pub(super) fn release(&mut self, symbol: Symbol) {
        let Some(slot) = self.slot(symbol) else { return };
        slot.uses = slot.uses.saturating_sub(1);
        if slot.uses > 0 {
            return;
        }
        let text = std::mem::replace(&mut slot.text, Arc::from(""));
        self.bytes -= text.len();
        self.by_text.remove(&text);
        self.free.push(symbol);
    }

    /// The number of a text, if any label has it.
    pub(super) fn find(&self, text: &str) -> Option<Symbol> {
        self.by_text.get(text).copied()
    }

    /// The text of a number.
    pub(super) fn text(&self, symbol: Symbol) -> &str {
        usize::try_from(symbol).ok().and_then(|at| self.texts.get(at)).map_or("", |slot| &slot.text)
    }

    /// Bytes of all texts.
    pub(super) const fn byte_len(&self) -> usize {
        self.bytes
    }

    fn slot(&mut self, symbol: Symbol) -> Option<&mut Slot> {
        self.texts.get_mut(usize::try_from(symbol).ok()?)
    }
}

/// A map with numbers that no client chooses.
pub(super) type NumberMap<K, V> = HashMap<K, V, FxBuildHasher>;
