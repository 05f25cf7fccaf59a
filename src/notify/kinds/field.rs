//! A row of the table below a message, as Slack, Mattermost and Rocket.Chat have it.

use crate::model::Problem;
use crate::notify::form::Form;
use crate::notify::keys::keys;

keys! {
    /// One item of `fields`.
    pub struct Field {
        /// The name.
        title: String = String::new(),
        /// What stands there.
        value: String = String::new(),
        /// Whether it leaves room for one beside it.
        short: Option<bool> = None,
    }
}

impl Field {
    /// Refuses a row without a name or a value.
    pub(super) fn check(&self, at: &str, service: &str) -> Result<(), Problem> {
        let parts = [("title", &self.title), ("value", &self.value)];
        match parts.iter().find(|(_, text)| text.is_empty()) {
            None => Ok(()),
            Some((name, _)) => {
                let text = format!("missing {name} in {service} field configuration");
                Err(Problem::new(at, text))
            }
        }
    }

    /// The row with its templates expanded. Upstream leaves out a name or a value that expands to
    /// nothing.
    pub(super) fn form<E>(
        &self,
        said: impl Fn(&str) -> Result<String, E>,
        short: Option<bool>,
    ) -> Result<Form, E> {
        let form =
            Form::default().filled("title", said(&self.title)?).filled("value", said(&self.value)?);
        Ok(match short {
            Some(short) => form.with("short", short),
            None => form,
        })
    }
}
