//! What is kept of one file: however much is found in it, memory and report stay bounded.

use super::Examined;
use crate::finding::{BlobPath, Finding, Kind};
use crate::source::{Skip, SkipCause};
use std::sync::Arc;

/// Maximum size of the results kept from one file, in bytes: the details of each finding (names of nested archives, all
/// recipients of a mail) can be many thousand times as long as what was read.
pub const MAX_HELD: usize = 64 << 20;

/// What was found in the parts of one file, up to [`MAX_HELD`].
#[derive(Default)]
pub struct Held {
    /// The parts with results.
    parts: Vec<Part>,
    /// The weight of all parts, in bytes.
    weight: usize,
    /// True if parts were dropped.
    is_cut: bool,
    blobs: u64,
    bytes: u64,
}

struct Part {
    order: PathOrder,
    weight: usize,
    examined: Examined,
}

impl Held {
    pub fn add(&mut self, path: &BlobPath, mut examined: Examined) {
        self.blobs += std::mem::take(&mut examined.blobs);
        self.bytes += std::mem::take(&mut examined.bytes);
        if examined.is_nothing() {
            return;
        }
        let part = Part { order: path_order(path), weight: examined.weight(), examined };
        self.weight += part.weight;
        self.parts.push(part);
        // Not for every small excess.
        if self.weight > 2 * MAX_HELD {
            self.cut();
        }
    }

    /// Drops the last parts, in report order, so that what is kept does not depend on thread timing.
    fn cut(&mut self) {
        self.is_cut = true;
        self.parts.sort_by(|a, b| a.order.cmp(&b.order));
        let mut room = MAX_HELD;
        self.parts.retain_mut(|part| {
            if part.weight > room {
                part.examined.truncate(room);
                part.weight = part.examined.weight();
                room = 0;
            }
            room -= part.weight.min(room);
            !part.examined.is_nothing()
        });
        self.weight = self.parts.iter().map(|part| part.weight).sum();
    }

    pub fn into_examined(mut self, path: &BlobPath) -> Examined {
        let mut all = Examined { blobs: self.blobs, bytes: self.bytes, ..Examined::default() };
        if self.is_cut {
            self.cut();
            all.skips.push(Skip { path: path.clone(), cause: SkipCause::TooMany });
        }
        self.parts.sort_by(|a, b| a.order.cmp(&b.order));
        for mut part in self.parts {
            part.examined.findings.sort_by(|a, b| (a.location, &a.rule.id).cmp(&(b.location, &b.rule.id)));
            all.add(part.examined);
        }
        all
    }
}

/// The size of a finding in a report, in bytes: what several findings share in memory counts for each.
pub fn weight(finding: &Finding) -> usize {
    let excerpts = finding.excerpts.iter().map(|excerpt| size_of_val(excerpt) + excerpt.text.len());
    let messages = std::iter::successors(finding.message.as_ref(), |message| message.outer.as_ref());
    let messages = messages.map(|message| message.weight());
    let key = match &finding.kind {
        Kind::Key(key) => size_of_val(&**key) + key.evidence.request.as_ref().map_or(0, |request| request.weight()),
        _ => 0,
    };
    size_of::<Finding>() + key + finding.path.weight() + excerpts.sum::<usize>() + messages.sum::<usize>()
}

pub fn weight_of_skip(skip: &Skip) -> usize {
    size_of_val(skip) + skip.path.weight()
}

/// The inner names of a path, each as text and number.
type PathOrder = Vec<(Vec<u8>, u64)>;

/// The order of parts in their container, as far as their names show it: the tenth message is after the second.
fn path_order(path: &BlobPath) -> PathOrder {
    let number = |name: &Arc<[u8]>| {
        let digits = name.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let (text, digits) = name.split_at(name.len() - digits);
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0);
        (text.to_vec(), number)
    };
    path.inside().iter().map(number).collect()
}
