//! A plan as text and as Markdown.

use super::Section;
use crate::report::wording::{plural, short_key};
use std::io::{self, Write};

/// Columns of text; commands are never broken.
const WIDTH: usize = 100;

/// For people.
pub fn text(sections: &[Section], out: &mut dyn Write) -> io::Result<()> {
    if sections.is_empty() {
        return writeln!(out, "Nothing to do: the report has no keys that count.");
    }
    writeln!(out, "What to do about {}, worst first", plural(sections.len(), "key"))?;
    for (number, section) in sections.iter().enumerate() {
        writeln!(out)?;
        let title = format!("{}. {}", number + 1, title(section));
        writeln!(out, "{title}\n{}", "=".repeat(title.chars().count()))?;
        for sentence in &section.evidence {
            filled(out, sentence, "", "")?;
        }
        writeln!(out)?;
        for (number, step) in section.steps.iter().enumerate() {
            filled(out, &step.task, &format!("{}. ", number + 1), "   ")?;
            for command in &step.commands {
                writeln!(out, "       {command}")?;
            }
        }
        if !section.tell.is_empty() {
            writeln!(out, "\nTell:")?;
            for who in &section.tell {
                filled(out, who, "- ", "  ")?;
            }
        }
    }
    Ok(())
}

/// For a ticket.
pub fn markdown(sections: &[Section], out: &mut dyn Write) -> io::Result<()> {
    if sections.is_empty() {
        return writeln!(out, "Nothing to do: the report has no keys that count.");
    }
    writeln!(out, "# What to do about {}, worst first", plural(sections.len(), "key"))?;
    for section in sections {
        writeln!(out, "\n## {}\n", escaped(&title(section)))?;
        for sentence in &section.evidence {
            writeln!(out, "- {}", escaped(sentence))?;
        }
        writeln!(out)?;
        for (number, step) in section.steps.iter().enumerate() {
            writeln!(out, "{}. {}", number + 1, escaped(&step.task))?;
            if !step.commands.is_empty() {
                // Commands hold nothing that a file could have chosen but ids and names of users, which are checked.
                writeln!(out, "\n   ```sh\n   {}\n   ```\n", step.commands.join("\n   "))?;
            }
        }
        if !section.tell.is_empty() {
            writeln!(out, "\nTell:\n")?;
            for who in &section.tell {
                writeln!(out, "- {}", escaped(who))?;
            }
        }
    }
    Ok(())
}

fn title(section: &Section) -> String {
    let account = section.account.as_ref().map_or_else(String::new, |account| format!(" of account {account}"));
    format!("{}, {}{account}: {}", short_key(&section.key), section.what, section.status)
}

/// Text broken at blanks, but not in what is in backticks.
fn filled(out: &mut dyn Write, text: &str, first: &str, rest: &str) -> io::Result<()> {
    const NO_BREAK: &str = "\u{a0}";
    let parts = text.split('`').enumerate();
    let parts: Vec<_> =
        parts.map(|(n, part)| if n % 2 == 1 { part.replace(' ', NO_BREAK) } else { part.to_owned() }).collect();
    let options = textwrap::Options::new(WIDTH)
        .initial_indent(first)
        .subsequent_indent(rest)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .word_separator(textwrap::WordSeparator::AsciiSpace);
    writeln!(out, "{}", textwrap::fill(&parts.join("`"), options).replace(NO_BREAK, " "))
}

/// Text that Markdown takes as it is.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '!' | '@' | '~') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}
