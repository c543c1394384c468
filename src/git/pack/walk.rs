//! Walking a pack: every object is rebuilt once, from the whole ones down to all that is made from them.

use super::delta::{Copied, Delta};
use super::entry::Content;
use super::forest::{Forest, Root};
use super::inflate::Inflater;
use super::{Damage, Pack, check_limit, check_size};
use crate::finding::object::ObjectKind;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Buffers that are not in use are kept for the next objects, up to this many bytes in all.
const MOST_KEPT: usize = 8 << 20;

/// No real pack unfolds to more bytes than this times its own length (in large public repositories it is 40 at most),
/// and every pack may unfold to some.
const MOST_UNFOLDING: u64 = 2000;
const ALWAYS_UNFOLDED: u64 = 8 << 30;

/// Takes the objects of a pack; each thread has one.
pub trait Visitor {
    /// What is remembered of an object while others are made from it.
    type State;

    /// Parts that an object shares with its base are told from this many bytes on.
    const LEAST_SHARED: usize;

    /// Takes a whole object.
    fn whole(&mut self, visit: Visit) -> Self::State;

    /// Takes an object that was made from another one, and the parts that both share, in order.
    fn derived(&mut self, visit: Visit, base: &Self::State, shared: &[Copied]) -> Self::State;

    /// Is told of an object that cannot be read, by its position in the index.
    fn lost(&mut self, position: u32, damage: Damage);
}

/// An object.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// Its position in the pack's index.
    pub position: u32,
    /// Its kind.
    pub kind: ObjectKind,
    /// Its content.
    pub bytes: &'a [u8],
}

/// A walk over one pack by several threads, each of which calls [`Walk::work`].
#[derive(Debug)]
pub struct Walk<'a> {
    pack: &'a Pack,
    forest: &'a Forest,
    kinds: &'a [ObjectKind],
    limit: u64,
    next: AtomicUsize,
    unfolded: AtomicU64,
}

impl<'a> Walk<'a> {
    /// A walk over the objects of some kinds. Those over `limit` bytes, and what is made from them, are lost.
    pub fn new(pack: &'a Pack, forest: &'a Forest, kinds: &'a [ObjectKind], limit: u64) -> Self {
        Self { pack, forest, kinds, limit, next: AtomicUsize::new(0), unfolded: AtomicU64::new(0) }
    }

    /// Visits families until there are none left. Many threads may do so at once, each with its own visitor.
    pub fn work<V: Visitor>(&self, visitor: &mut V) {
        let mut worker = Worker {
            walk: self,
            inflater: Inflater::new(),
            pool: Pool::default(),
            shared: Vec::new(),
            stack: Vec::new(),
            unfolded: 0,
        };
        while let Some(portion) = self.forest.portion(self.next.fetch_add(1, Ordering::Relaxed)) {
            for root in portion.iter().filter(|root| self.kinds.contains(&root.kind)) {
                worker.family(*root, visitor);
            }
        }
    }

    fn budget(&self) -> u64 {
        self.pack.end().saturating_mul(MOST_UNFOLDING).max(ALWAYS_UNFOLDED)
    }
}

/// What one thread needs.
struct Worker<'a, S> {
    walk: &'a Walk<'a>,
    inflater: Inflater,
    pool: Pool,
    shared: Vec<Copied>,
    stack: Vec<Frame<S>>,
    /// Bytes not yet added to the walk's.
    unfolded: u64,
}

/// An object from which others are still to be made.
struct Frame<S> {
    entry: u32,
    object: Buffer,
    state: S,
    /// The next of its children.
    next: usize,
}

impl<S> Worker<'_, S> {
    fn family<V: Visitor<State = S>>(&mut self, root: Root, visitor: &mut V) {
        let forest = self.walk.forest;
        let object = match self.whole(root.entry) {
            Ok(object) => object,
            Err(damage) => return self.lose(root.entry, damage, visitor),
        };
        let state = visitor.whole(Visit { position: forest.position(root.entry), kind: root.kind, bytes: &object });
        self.push(root.entry, object, state);
        while let Some(frame) = self.stack.last_mut() {
            // Those without children are not pushed, and the last child's parent is popped below.
            let children = forest.children(frame.entry);
            let child = children[frame.next];
            frame.next += 1;
            let is_last = frame.next == children.len();
            // Taken out while the child is made, since both need the worker.
            let Some(frame) = self.stack.pop() else { break };
            let made = self.derived(child, &frame.object, V::LEAST_SHARED);
            let made = made.map(|object| {
                let visit = Visit { position: forest.position(child), kind: root.kind, bytes: &object };
                let state = visitor.derived(visit, &frame.state, &self.shared);
                (object, state)
            });
            // The heaviest child comes last, and its base is let go before going down, so that there are never more
            // bases in memory than the logarithm of the family's size.
            if is_last {
                self.pool.give(frame.object);
            } else {
                self.stack.push(frame);
            }
            match made {
                Ok((object, state)) => self.push(child, object, state),
                Err(damage) => self.lose(child, damage, visitor),
            }
        }
    }

    fn push(&mut self, entry: u32, object: Buffer, state: S) {
        if self.walk.forest.children(entry).is_empty() {
            self.pool.give(object);
        } else {
            self.stack.push(Frame { entry, object, state, next: 0 });
        }
    }

    fn lose<V: Visitor<State = S>>(&mut self, entry: u32, damage: Damage, visitor: &mut V) {
        for lost in self.walk.forest.descendants(entry) {
            let damage = if lost == entry { damage.clone() } else { Damage::LostBase };
            visitor.lost(self.walk.forest.position(lost), damage);
        }
    }

    fn whole(&mut self, entry: u32) -> Result<Buffer, Damage> {
        let (start, end) = self.walk.forest.extent(entry);
        let (header, bytes) = self.walk.pack.entry(start, end)?;
        if !matches!(header.content, Content::Whole(_)) {
            return Err(Damage::Kind);
        }
        self.inflate(header.size, bytes)
    }

    /// Makes an object from its base, and lists in `shared` what both have in common.
    fn derived(&mut self, entry: u32, base: &[u8], least_shared: usize) -> Result<Buffer, Damage> {
        let (start, end) = self.walk.forest.extent(entry);
        let (header, bytes) = self.walk.pack.entry(start, end)?;
        let inflated = self.inflate(header.size, bytes)?;
        let delta = Delta::read(&inflated)?;
        check_limit(delta.size, self.walk.limit)?;
        self.account(delta.size)?;
        let mut object = self.pool.take(delta.size as usize);
        self.shared.clear();
        delta.apply(base, object.as_mut(), |copied| {
            if copied.length >= least_shared {
                self.shared.push(copied);
            }
        })?;
        self.pool.give(inflated);
        Ok(object)
    }

    fn inflate(&mut self, size: u64, bytes: &[u8]) -> Result<Buffer, Damage> {
        check_size(size, bytes.len(), self.walk.limit)?;
        self.account(size)?;
        let mut out = self.pool.take(size as usize);
        self.inflater.inflate(bytes, out.as_mut())?;
        Ok(out)
    }

    /// Counts what is unfolded, against packs that are made to never end.
    fn account(&mut self, bytes: u64) -> Result<(), Damage> {
        const FLUSH: u64 = 1 << 20;
        self.unfolded += bytes;
        if self.unfolded > FLUSH {
            let before = self.walk.unfolded.fetch_add(self.unfolded, Ordering::Relaxed);
            let sum = before.saturating_add(std::mem::take(&mut self.unfolded));
            if sum > self.walk.budget() {
                return Err(Damage::Bomb);
            }
        }
        Ok(())
    }
}

/// Bytes whose place is used again and again; it is not cleared in between.
#[derive(Debug, Default)]
struct Buffer {
    place: Vec<u8>,
    length: usize,
}

impl Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.place[..self.length]
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.place[..self.length]
    }
}

/// Buffers that are not in use.
#[derive(Debug, Default)]
struct Pool {
    buffers: Vec<Buffer>,
    /// Bytes of them.
    size: usize,
}

impl Pool {
    /// A buffer of `length` bytes of no particular content.
    fn take(&mut self, length: usize) -> Buffer {
        let mut buffer = self.buffers.pop().unwrap_or_default();
        self.size -= buffer.place.len();
        if buffer.place.len() < length {
            // Fresh memory is zero already, and growing would copy what nobody wants.
            buffer.place = vec![0; if length < MOST_KEPT { length.next_power_of_two() } else { length }];
        }
        buffer.length = length;
        buffer
    }

    fn give(&mut self, buffer: Buffer) {
        if self.size + buffer.place.len() <= MOST_KEPT {
            self.size += buffer.place.len();
            self.buffers.push(buffer);
        }
    }
}
