//! Colors: 14 roles, each with a style in the terminal's own 16 colors and one without color.

use ratatui::style::{Color, Modifier, Style};

/// What a piece of text is; nothing else decides its color.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// Ordinary text.
    Text,
    /// Less important.
    #[default]
    Dim,
    /// Lines between panes.
    Rule,
    /// Headings.
    Title,
    /// The selected row.
    Select,
    /// Severity critical, down.
    Crit,
    /// Severity warning, slow.
    Warn,
    /// Severity info.
    Info,
    /// Up, well.
    Ok,
    /// Pending, silenced, waiting.
    Pending,
    /// A series of a chart, by its place.
    Series(usize),
    /// A limit line.
    Limit,
    /// Where typing goes.
    Focus,
    /// Something failed.
    Error,
}

/// The styles of the roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Theme {
    /// Whether there is color.
    pub(crate) color: bool,
}

/// Series colors; distinct from severities as far as 16 colors allow.
const SERIES: [Color; 8] = [
    Color::Cyan,
    Color::Yellow,
    Color::Magenta,
    Color::Green,
    Color::LightBlue,
    Color::LightRed,
    Color::LightCyan,
    Color::LightMagenta,
];

impl Theme {
    /// The style of `role`.
    pub(crate) fn style(self, role: Role) -> Style {
        if self.color { Self::colored(role) } else { Self::plain(role) }
    }

    fn colored(role: Role) -> Style {
        let fg = |color| Style::new().fg(color);
        match role {
            Role::Text => Style::new(),
            Role::Dim | Role::Rule => fg(Color::DarkGray),
            Role::Title => Style::new().add_modifier(Modifier::BOLD),
            Role::Select => Style::new().add_modifier(Modifier::REVERSED),
            Role::Crit => fg(Color::LightRed).add_modifier(Modifier::BOLD),
            Role::Warn => fg(Color::Yellow),
            Role::Info => fg(Color::LightBlue),
            Role::Ok => fg(Color::Green),
            Role::Pending => fg(Color::Magenta),
            Role::Series(place) => {
                fg(SERIES.get(place % SERIES.len()).copied().unwrap_or(Color::Reset))
            }
            Role::Limit => fg(Color::LightRed),
            Role::Focus => fg(Color::LightCyan),
            Role::Error => fg(Color::LightRed),
        }
    }

    fn plain(role: Role) -> Style {
        let with = |modifier| Style::new().add_modifier(modifier);
        match role {
            Role::Title | Role::Crit | Role::Error => with(Modifier::BOLD),
            Role::Select => with(Modifier::REVERSED),
            Role::Focus => with(Modifier::UNDERLINED),
            Role::Text
            | Role::Dim
            | Role::Rule
            | Role::Warn
            | Role::Info
            | Role::Ok
            | Role::Pending
            | Role::Series(_)
            | Role::Limit => Style::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_color_no_role_has_a_color() {
        let roles = [
            Role::Text,
            Role::Dim,
            Role::Rule,
            Role::Title,
            Role::Select,
            Role::Crit,
            Role::Warn,
            Role::Info,
            Role::Ok,
            Role::Pending,
            Role::Series(0),
            Role::Series(99),
            Role::Limit,
            Role::Focus,
            Role::Error,
        ];
        for role in roles {
            let style = Theme { color: false }.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
        }
    }
}
