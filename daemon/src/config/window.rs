//! The hours in which a campaign may use the rack.

use std::fmt;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use serde::{Deserialize, Serialize};

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// `"22:00-06:30"` on some weekdays in a time zone. The weekday is that on which the window opens.
#[derive(Debug, Clone)]
pub struct Window {
    opens: Time,
    closes: Time,
    days: [bool; 7],
    zone: TimeZone,
    /// As written, for people and for the store.
    text: WindowText,
}

/// A window as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowText {
    pub hours: String,
    pub days: String,
    pub zone: String,
}

/// Whether a window is open, and until when that stays so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowState {
    pub open: bool,
    /// `None`: it never changes.
    pub changes_at: Option<Timestamp>,
}

impl Window {
    /// `hours` as `"HH:MM-HH:MM"` (midnight may be crossed; `24:00` may end it), `days` as `"mon-fri,sun"`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn new(hours: &str, days: &str, zone: &str) -> Result<Self, String> {
        let (opens, closes) = parse_hours(hours)?;
        let text = WindowText { hours: hours.to_owned(), days: days.to_owned(), zone: zone.to_owned() };
        Ok(Self { opens, closes, days: parse_days(days)?, zone: parse_zone(zone)?, text })
    }

    /// What [`Window::new`] was given.
    pub fn text(&self) -> &WindowText {
        &self.text
    }

    /// A moment as a clock in the window's time zone shows it.
    pub fn local(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%a %Y-%m-%d %H:%M %Z").to_string()
    }

    /// Whether the window is open at `now`.
    pub fn at(&self, now: Timestamp) -> WindowState {
        let today = now.to_zoned(self.zone.clone()).date();
        let mut open_until: Option<Timestamp> = None;
        for offset in -1..=8 {
            let Some((from, to)) = self.on(today, offset) else { continue };
            match open_until {
                None if now < from => return WindowState { open: false, changes_at: Some(from) },
                None if now < to => open_until = Some(to),
                // A window that begins where the last one ends is the same window.
                Some(until) if from <= until => open_until = Some(to.max(until)),
                _ => {}
            }
        }
        WindowState { open: open_until.is_some(), changes_at: open_until }
    }

    /// When the window that opens `offset` days from `today` opens and closes.
    fn on(&self, today: Date, offset: i64) -> Option<(Timestamp, Timestamp)> {
        let day = today.checked_add(Span::new().days(offset)).ok()?;
        if !self.days[day.weekday().to_monday_zero_offset() as usize] {
            return None;
        }
        let end = if self.closes <= self.opens { day.tomorrow().ok()? } else { day };
        let moment = |date: Date, time| -> Option<Zoned> { date.to_datetime(time).to_zoned(self.zone.clone()).ok() };
        Some((moment(day, self.opens)?.timestamp(), moment(end, self.closes)?.timestamp()))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}, {}", self.text.hours, self.text.days, self.text.zone)
    }
}

fn parse_hours(text: &str) -> Result<(Time, Time), String> {
    let bad = || format!("`{text}` is not a window; write \"22:00-06:30\"");
    let (from, to) = text.split_once('-').ok_or_else(bad)?;
    let opens = parse_time(from).ok_or_else(bad)?;
    let closes = if to.trim() == "24:00" { Time::midnight() } else { parse_time(to).ok_or_else(bad)? };
    if opens == closes && to.trim() != "24:00" {
        return Err(format!("`{text}` opens and closes at the same time; leave `window` out to run always"));
    }
    Ok((opens, closes))
}

fn parse_time(text: &str) -> Option<Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

fn parse_days(text: &str) -> Result<[bool; 7], String> {
    let index = |name: &str| {
        let found = DAYS.iter().position(|(n, _)| *n == name.trim().to_ascii_lowercase());
        found.ok_or_else(|| format!("`{name}` is not a weekday; write \"mon-fri\" or \"sat,sun\""))
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (index(first)?, index(last)?);
        (0..=(last + 7 - first) % 7).for_each(|i| days[(first + i) % 7] = true);
    }
    Ok(days)
}

fn parse_zone(name: &str) -> Result<TimeZone, String> {
    let help = "use an IANA name such as \"Europe/Berlin\" (the host needs them: apt-get install tzdata)";
    TimeZone::get(name).map_err(|_| format!("`{name}` is not a time zone this host knows; {help}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(hours: &str, days: &str) -> Window {
        Window::new(hours, days, "Europe/Berlin").expect("a window")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    fn state(window: &Window, now: &str) -> (bool, Option<String>) {
        let state = window.at(at(now));
        (state.open, state.changes_at.map(|t| t.to_string()))
    }

    #[test]
    fn a_night_belongs_to_the_day_it_begins_on() {
        let nights = window("22:00-06:30", "mon-fri");
        // 2026-05-01 is a Friday; Berlin is two hours ahead of UTC then.
        assert_eq!(state(&nights, "2026-05-01T19:59:59Z"), (false, Some("2026-05-01T20:00:00Z".into())));
        assert_eq!(state(&nights, "2026-05-01T20:00:00Z"), (true, Some("2026-05-02T04:30:00Z".into())));
        assert_eq!(state(&nights, "2026-05-02T04:29:59Z"), (true, Some("2026-05-02T04:30:00Z".into())));
        // Saturday evening is not named: the next one is Monday's.
        assert_eq!(state(&nights, "2026-05-02T21:00:00Z"), (false, Some("2026-05-04T20:00:00Z".into())));
    }

    #[test]
    fn a_night_in_which_the_clocks_change_has_its_true_length() {
        // Sunday 2026-03-29, 02:00 becomes 03:00 in Berlin.
        let night = window("22:00-06:30", "sat");
        assert_eq!(state(&night, "2026-03-28T22:00:00Z"), (true, Some("2026-03-29T04:30:00Z".into())));
    }

    #[test]
    fn days_that_touch_are_one_window() {
        let always = window("00:00-24:00", "mon-sun");
        let state = always.at(at("2026-05-01T12:00:00Z"));
        assert!(state.open);
        assert!(state.changes_at > Some(at("2026-05-07T00:00:00Z")));
    }

    #[test]
    fn weekdays_may_wrap() {
        assert_eq!(parse_days("fri-mon").expect("days"), [true, false, false, false, true, true, true]);
    }

    #[test]
    fn nonsense_is_refused() {
        for hours in ["", "22-6", "22:00", "25:00-06:00", "22:00-22:00", "22:61-23:00"] {
            assert!(parse_hours(hours).is_err(), "{hours}");
        }
        assert!(parse_days("funday").is_err());
        assert!(parse_zone("Mars/Olympus_Mons").is_err());
    }
}
