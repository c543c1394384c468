//! Chats as lines of text: WhatsApp, Element, DiscordChatExporter, and the logs of IRC programs.

use super::Visit;
use super::time::{self, plain};
use crate::finding::message::{Channel, Medium, Message, Party};
use jiff::civil::Date;
use memchr::memmem;
use regex::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// How many lines at the start show what a file is.
const HEAD_LINES: usize = 40;
/// How much of a log is searched for lines that only IRC programs write, in bytes.
const MAX_HEAD: usize = 1 << 20;
/// The maximum number of people told of a chat.
const MAX_PEOPLE: usize = 10;
/// The maximum length of the head of a line, in bytes: time and author.
const MAX_LINE_HEAD: usize = 400;

/// A line that starts a message. Its groups are `date`, `time` and `who`, as far as there are such.
static FORMS: LazyLock<[Regex; 5]> = LazyLock::new(|| {
    let date = r"(?P<date>\d{1,4}[./-] ?\d{1,2}[./-] ?\d{1,4})\.?";
    let time = r"(?:klo )?(?P<time>(?:오전 |오후 )?\d{1,2}[:.]\d\d(?:[:.]\d\d)?(?: ?[AaPp]\. ?[Mm]\.| ?[AaPp][Mm])?)";
    [
        // WhatsApp on iOS; on Android, and Element.
        format!(r"^\[{date},? {time}\] (?P<who>[^:\n]{{1,80}}): "),
        format!(r"^{date},? {time} - (?P<who>[^:\n]{{1,80}}): "),
        // DiscordChatExporter.
        format!(r"^\[{date} {time}\] (?P<who>[^\n]{{1,80}})$"),
        // irssi, mIRC, ZNC, eggdrop and others; HexChat.
        r"^(?:[A-Z][a-z]{2} \d\d )?\[?(?P<time>\d\d:\d\d(?::\d\d)?)\]? <[ @+~&%]?(?P<who>[^>\s]{1,60})>\s".to_owned(),
        // WeeChat.
        r"^(?P<date>\d{4}-\d\d-\d\d) (?P<time>\d\d:\d\d:\d\d)\t[@+~&%]?(?P<who>[A-Za-z0-9_\[\]`^{}|\\][^\t\s]{0,60})\t"
            .to_owned(),
    ]
    .map(|form| Regex::new(&form).expect("a valid regex"))
});

/// Lines that only the logs of IRC programs have.
const OF_IRC: [&str; 8] = [
    "--- Log opened ",
    "BEGIN LOGGING AT ",
    "Session Start: ",
    "*** Joins: ",
    "*** Quits: ",
    "\t-->\t",
    "\t<--\t",
    ") has joined #",
];

static DAY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?P<month>[A-Z][a-z]{2}) +(?P<day>\d{1,2})(?: \d\d:\d\d:\d\d)? (?P<year>\d{4})").expect("a valid regex")
});
static DAY_OF_FILE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?P<year>20\d\d)-?(?P<month>\d\d)-?(?P<day>\d\d)").expect("a valid regex"));
static CHANNEL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"#[A-Za-z0-9_#-]{1,60}").expect("a valid regex"));

/// A chat in lines.
struct Chat<'a> {
    form: &'static Regex,
    channel: String,
    day: Option<Date>,
    /// True if dates start with the day; in the other order, with the month.
    is_day_first: bool,
    text: &'a str,
}

/// True if a file is such a chat.
pub(super) fn is_known(path: &[u8], text: &[u8]) -> bool {
    let head = text.get(..text.len().min(MAX_HEAD)).unwrap_or_default();
    Chat::new(path, &String::from_utf8_lossy(head)).is_some()
}

/// Calls `visit` for each of `offsets` (in ascending order) that is in a message.
pub(super) fn messages(path: &[u8], text: &[u8], offsets: &[usize], visit: Visit) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Some(mut chat) = Chat::new(path, text) else { return };
    let people: BTreeSet<String> = chat.authors().collect();
    let mut wanted = offsets.iter().copied().enumerate().peekable();
    let mut last: Option<(String, String)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        chat.note_day(line);
        if let Some(head) = chat.head(line) {
            last = Some(head);
        } else if chat.is_irc() {
            last = None;
        }
        while let Some((number, _)) = wanted.next_if(|(_, offset)| *offset < end) {
            if let Some((who, date)) = &last {
                visit(number, chat.message(who, date, &people).bounded());
            }
        }
        if wanted.peek().is_none() {
            return;
        }
        at = end;
    }
}

impl<'a> Chat<'a> {
    fn new(path: &[u8], text: &'a str) -> Option<Self> {
        let head: Vec<String> =
            text.lines().filter(|line| !line.trim().is_empty()).take(HEAD_LINES).map(cleaned).collect();
        // Cheaper than the forms, which take time to compile: all begin so, and have a time of day.
        let may_start = |line: &&String| {
            let begins = |char: char| char == '[' || char.is_numeric() || char.is_ascii_uppercase();
            line.starts_with(begins) && line.contains([':', '.'])
        };
        if head.iter().filter(may_start).count() < 2 {
            return None;
        }
        let index =
            (0..FORMS.len()).find(|index| head.iter().filter(|line| FORMS[*index].is_match(line)).count() >= 2)?;
        let path = String::from_utf8_lossy(path);
        let file = path.rsplit('/').next().unwrap_or_default();
        let is_irc = index >= 3;
        let begin = &text.as_bytes()[..text.len().min(MAX_HEAD)];
        if is_irc && !path.contains('#') && !OF_IRC.iter().any(|line| memmem::find(begin, line.as_bytes()).is_some()) {
            return None;
        }
        // A form that others write, too.
        if index == 2 && !text.starts_with("====") {
            return None;
        }
        let named = |prefix: &str| head.iter().find_map(|line| line.strip_prefix(prefix).map(str::to_owned));
        let channel = if is_irc {
            let in_text = named("Session Ident: ");
            let in_path = CHANNEL.find(&path).map(|channel| DAY_OF_FILE.replace(channel.as_str(), "").into_owned());
            let in_path = in_path.map(|channel| channel.trim_end_matches(['-', '_']).to_owned());
            in_path.or(in_text).unwrap_or_else(|| file.split(['_', '.']).next().unwrap_or_default().to_owned())
        } else {
            let name = named("Channel: ").or_else(|| whatsapp_name(&path));
            name.unwrap_or_else(|| file.trim_end_matches(".txt").to_owned())
        };
        let day = DAY_OF_FILE.captures(file).and_then(|found| {
            Date::new(found["year"].parse().ok()?, found["month"].parse().ok()?, found["day"].parse().ok()?).ok()
        });
        let mut chat = Self { form: &FORMS[index], channel, day, is_day_first: true, text };
        chat.is_day_first = chat.starts_with_day();
        Some(chat)
    }

    fn is_irc(&self) -> bool {
        std::ptr::eq(self.form, &raw const FORMS[3]) || std::ptr::eq(self.form, &raw const FORMS[4])
    }

    /// The order of dates, by a number that can be no month, or by what goes with it.
    fn starts_with_day(&self) -> bool {
        for line in self.text.lines().take(100_000) {
            let line = cleaned(line);
            let Some(found) = self.form.captures(&line) else { continue };
            let Some(date) = found.name("date") else { return true };
            let numbers: Vec<u32> =
                date.as_str().split(['.', '/', '-']).filter_map(|part| part.trim().parse().ok()).collect();
            match numbers[..] {
                [first, ..] if first > 12 => return true,
                [_, second, _] if second > 12 => return false,
                _ => {}
            }
        }
        !self.text.lines().take(HEAD_LINES).any(|line| {
            let line = cleaned(line);
            let time = self.form.captures(&line);
            time.is_some_and(|found| {
                found["time"].to_ascii_lowercase().ends_with('m')
                    && found.name("date").is_some_and(|date| date.as_str().contains('/'))
            })
        })
    }

    fn authors(&self) -> impl Iterator<Item = String> {
        let mut seen = BTreeSet::new();
        let heads = self.text.lines().filter_map(|line| Some(self.form.captures(&cleaned(line))?["who"].to_owned()));
        heads.filter(move |who| seen.len() < MAX_PEOPLE && seen.insert(who.clone()))
    }

    /// IRC programs write when a day begins.
    fn note_day(&mut self, line: &str) {
        if self.is_irc()
            && line.len() < MAX_LINE_HEAD
            && let Some(found) = DAY.captures(line)
            && !line.contains('<')
        {
            let date = format!("{} {} {}", &found["day"], &found["month"], &found["year"]);
            self.day =
                jiff::fmt::strtime::parse("%d %b %Y", &date).ok().and_then(|date| date.to_date().ok()).or(self.day);
        }
    }

    /// The author and time of the message that a line starts.
    fn head(&self, line: &str) -> Option<(String, String)> {
        let line = cleaned(line);
        let found = self.form.captures(&line)?;
        let time = found["time"].to_owned();
        let day = match found.name("date") {
            Some(date) => self.date(date.as_str()),
            None => self.day,
        };
        let date = match (day, clock(&time)) {
            (Some(day), Some(clock)) => day.to_datetime(clock).to_string(),
            _ => time,
        };
        Some((found["who"].trim().to_owned(), date))
    }

    fn date(&self, text: &str) -> Option<Date> {
        let numbers: Vec<i16> = text.split(['.', '/', '-']).filter_map(|part| part.trim().parse().ok()).collect();
        let [first, second, third] = numbers[..] else { return None };
        let (year, month, day) = match () {
            () if first > 31 => (first, second, third),
            () if self.is_day_first => (third, second, first),
            () => (third, first, second),
        };
        let year = if year < 100 { year + 2000 } else { year };
        Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
    }

    fn message(&self, who: &str, date: &str, people: &BTreeSet<String>) -> Message {
        let party = |name: &str| Party { name: name.to_owned(), address: String::new() };
        Message {
            from: vec![party(who)],
            to: people.iter().filter(|other| *other != who).map(|other| party(other)).collect(),
            date: time::written(date),
            channel: (!self.channel.is_empty()).then(|| Channel { name: self.channel.clone(), is_external: false }),
            ..Message::new(Medium::Chat)
        }
    }
}

/// The start of a line, with usual spaces and without marks of direction.
fn cleaned(line: &str) -> String {
    line[..line.floor_char_boundary(MAX_LINE_HEAD)].trim_end().chars().filter_map(plain).collect()
}

/// `WhatsApp Chat with Ops.txt`, or `WhatsApp Chat - Ops.zip`, in the languages of the program.
fn whatsapp_name(path: &str) -> Option<String> {
    let part = path.rsplit(['/', '»']).map(str::trim).find(|part| part.contains("WhatsApp"))?;
    let name = part.trim_end_matches(".txt").trim_end_matches(".zip");
    let after = |separator| name.split_once(separator).map(|(_, name)| name);
    Some(after(" - ").or_else(|| after(" with ")).or_else(|| after(" mit ")).unwrap_or(name).to_owned())
}

/// A time of day, with or without seconds, of twelve or twenty-four hours.
fn clock(text: &str) -> Option<jiff::civil::Time> {
    let lower = text.to_lowercase();
    let is_afternoon = lower.contains('p') || lower.contains("오후");
    let is_morning = lower.contains('a') || lower.contains("오전");
    let digits = lower.trim_matches(|char: char| !char.is_ascii_digit());
    let mut numbers =
        digits.split([':', '.']).map(|part| part.trim_matches(|char: char| !char.is_ascii_digit()).parse::<i8>());
    let (hour, minute) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let second = numbers.next().and_then(Result::ok).unwrap_or(0);
    let hour = match hour {
        12 if is_morning => 0,
        1..=11 if is_afternoon => hour + 12,
        _ => hour,
    };
    jiff::civil::Time::new(hour, minute, second, 0).ok()
}
