//! What receivers need of the world, handed in at construction.

use super::config::Source;
use super::revealed::Revealed;
use crate::model::Problem;
use crate::sys::clock::SharedClock;
use crate::sys::entropy::Entropy;
use crate::sys::http::{Http, HttpClient};
use crate::sys::local::Local;
use crate::sys::settings::HttpClientSettings;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A longer file is no secret and no URL.
const FILE_BYTES_MAX: usize = 64 << 10;

/// Reads a file whole.
pub type ReadFile = Arc<dyn Fn(&Path) -> io::Result<Vec<u8>> + Send + Sync>;

/// Reads one YAML document by the rules of YAML 1.1, with limits; `None` when it is none.
pub type ReadYaml = Arc<dyn Fn(&str) -> Option<serde_json::Value> + Send + Sync>;

/// The world, as receivers see it.
#[derive(Clone)]
pub struct Outside {
    /// Outbound HTTP.
    pub http: Arc<dyn Http>,
    /// Commands, logging sockets and files of this host.
    pub local: Arc<dyn Local>,
    /// Time of day for messages, elapsed time for deadlines.
    pub clock: SharedClock,
    /// Spreads pauses, makes message ids.
    pub entropy: Arc<dyn Entropy>,
    /// Reads secrets and URLs that stand in files, each time they are used.
    pub read_file: ReadFile,
    /// Reads what the texts of structured fields expand to.
    pub read_yaml: ReadYaml,
    /// This host's name, for message ids.
    pub hostname: String,
    /// Relative files are looked up here: the folder of the configuration.
    pub base: PathBuf,
    /// What no text may repeat; empty at first.
    pub revealed: Revealed,
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Outside {
    /// A client with these settings; names of files in them are relative to the configuration's
    /// folder.
    pub(super) fn client(
        &self,
        settings: &HttpClientSettings,
    ) -> Result<Arc<dyn HttpClient>, Problem> {
        self.revealed.note_client(settings);
        let made = self.http.sink_client(settings, &self.base);
        made.map_err(|problem| problem.below("http_config"))
    }

    /// The world for one attempt: what is revealed in it is forgotten after it.
    pub(super) fn for_attempt(&self) -> Self {
        Self { revealed: self.revealed.branch(), ..self.clone() }
    }

    /// The value, or what stands in its file now.
    pub(super) fn reveal(&self, source: &Source) -> Result<String, String> {
        let text = match source {
            Source::Inline(secret) => secret.reveal().to_owned(),
            Source::File(path) => self.read_text(path)?,
        };
        self.revealed.note(&text);
        Ok(text)
    }

    /// A text that people may see, without the secrets that were used.
    pub(super) fn hide_secrets(&self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        // Read by the HTTP client, at a moment that we do not know.
        for secret in self.revealed.files().iter().filter_map(|file| self.read_text(file).ok()) {
            self.revealed.note(&secret);
        }
        self.revealed.hide(text)
    }

    /// The same without the space around it, which an editor leaves in a file.
    pub(super) fn reveal_trimmed(&self, source: &Source) -> Result<String, String> {
        self.reveal(source).map(|text| text.trim().to_owned())
    }

    /// A variable of the environment; an empty one is none.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        self.local.variable(name).filter(|value| !value.is_empty())
    }

    /// The text of a small file; a relative path belongs to the configuration's folder.
    pub(super) fn read_text(&self, path: &Path) -> Result<String, String> {
        let shown = path.display();
        let bytes = (self.read_file)(&self.base.join(path))
            .map_err(|err| format!("could not read {shown}: {err}"))?;
        if bytes.len() > FILE_BYTES_MAX {
            let len = bytes.len();
            return Err(format!("could not read {shown}: {len} bytes, at most {FILE_BYTES_MAX}"));
        }
        String::from_utf8(bytes).map_err(|_| format!("could not read {shown}: it is not UTF-8"))
    }
}
