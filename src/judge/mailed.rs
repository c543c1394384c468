//! Judges keys in mail: who sent and received it, and whether any of them is outside the organisation.

use super::inventory::Credential;
use super::{Assessment, list};
use crate::config::Config;
use crate::finding::Finding;
use crate::finding::message::{Medium, Message, Party};
use crate::rule::{Finder, Grade};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Judges all mail that contains the key; the worst message decides.
pub(super) fn judge<'a>(key: &Credential<'a>, config: &Config) -> Option<Assessment<'a>> {
    let mailed = key.occurrences.iter().filter_map(|finding| Some((*finding, grade(finding, config)?)));
    let mut mailed: Vec<_> = mailed.collect();
    mailed.sort_by_key(|(_, (grade, _))| Reverse(*grade));
    let (_, (grade, reasons)) = mailed.first()?.clone();
    let mut reasons = reasons;
    let messages: BTreeSet<_> = mailed.iter().map(|(finding, _)| &finding.message).collect();
    if messages.len() > 1 {
        reasons.push(format!("It is in {} mail messages.", messages.len()));
    }
    let findings = mailed.into_iter().map(|(finding, _)| finding).collect();
    Some(Assessment { finder: Finder::EmailedKey, grade, reasons, findings })
}

fn grade(finding: &Finding, config: &Config) -> Option<(Grade, Vec<String>)> {
    let message = finding.message.as_deref()?;
    let messages = || std::iter::successors(Some(message), |message| message.outer.as_deref());
    let sent: Vec<&Message> =
        messages().filter(|message| message.medium == Medium::Mail && message.addressees().next().is_some()).collect();
    if sent.is_empty() {
        return None;
    }
    let names = |parties: &mut dyn Iterator<Item = &Party>| parties.map(Party::to_text).collect::<Vec<_>>();
    let from = names(&mut sent.iter().flat_map(|message| &message.from));
    let to = names(&mut sent.iter().flat_map(|message| message.addressees()));
    let mut reasons = vec![format!("It was mailed by {} to {}.", list(&from, 2), list(&to, 3))];
    if finding.secret().is_none() {
        return Some((Grade::Low, reasons));
    }
    let people: Vec<&Party> = sent.iter().flat_map(|message| everyone(message)).collect();
    let mut grade = Grade::High;
    let amazon = people.iter().find(|party| claims_amazon(party));
    if let Some(party) = amazon {
        grade = Grade::Critical;
        let text = "claims to be AWS or Amazon, which never ask for keys";
        reasons.push(format!("{} {text}.", party.to_text()));
    }
    if let Some(message) = sent.iter().find(|message| !message.list_id.is_empty()) {
        grade = Grade::Critical;
        reasons.push(format!("It was sent via the mailing list {}.", message.list_id));
    }
    if config.org_domains.is_empty() {
        reasons
            .push("Not checked for people outside the organisation: org_domains is not set in keyspill.toml.".into());
    } else {
        let is_outside = |party: &&&Party| party.address.contains('@') && !config.is_inside(&party.address);
        let outside: BTreeSet<String> = people.iter().filter(is_outside).map(|party| party.address.clone()).collect();
        if !outside.is_empty() {
            grade = Grade::Critical;
            let outside: Vec<_> = outside.into_iter().collect();
            let verb = if outside.len() == 1 { "is" } else { "are" };
            reasons.push(format!("{} {verb} outside the organisation.", list(&outside, 3)));
        }
    }
    Some((grade, reasons))
}

/// The senders and recipients of a message.
fn everyone(message: &Message) -> impl Iterator<Item = &Party> {
    message.from.iter().chain(&message.sender).chain(message.addressees())
}

/// True if the name or domain of a party mentions AWS or Amazon.
fn claims_amazon(party: &Party) -> bool {
    let says = |text: &str| {
        let mut words = text.split(|c: char| !c.is_alphanumeric());
        words.any(|word| ["aws", "amazon", "amazonaws"].iter().any(|name| word.eq_ignore_ascii_case(name)))
    };
    let domain = party.address.rsplit_once('@').map_or("", |(_, domain)| domain);
    says(&party.name) || says(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_claims_to_be_amazon() {
        let party = |name: &str, address: &str| Party { name: name.into(), address: address.into() };
        for (name, address) in
            [("AWS Support", "x@evil.io"), ("", "x@amazon.com"), ("", "x@aws-support.io"), ("Amazon Web Services", "")]
        {
            assert!(claims_amazon(&party(name, address)), "{name} {address}");
        }
        for (name, address) in [("Lawson", "x@laws.example"), ("", "aws@corp.example"), ("Ann", "ann@amazonia.example")]
        {
            assert!(!claims_amazon(&party(name, address)), "{name} {address}");
        }
    }
}
