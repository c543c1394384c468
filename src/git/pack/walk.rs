//! Walking a pack: every object is rebuilt once, from whole objects down to everything derived from them.

use super::delta::{Copied, Delta};
use super::entry::Content;
use super::forest::{Forest, Root};
use super::inflate::Inflater;
use super::{Damage, Pack, check_limit, check_size};
use crate::finding::object::ObjectKind;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Maximum total size of unused buffers that are kept for reuse, in bytes.
const MAX_KEPT: usize = 8 << 20;

/// No real pack expands to more than this many times its own length (large public repositories: at most 40). Every pack
/// may expand to `ALWAYS_UNFOLDED` bytes.
const MAX_UNFOLDING: u64 = 2000;
const ALWAYS_UNFOLDED: u64 = 8 << 30;

/// Receives the objects of a pack; each thread has its own visitor.
pub trait Visitor {
    /// State that is kept for an object while others are derived from it.
    type State;

    /// Minimum length in bytes of the shared parts of an object and its base that are passed on.
    const MIN_SHARED: usize;

    /// Receives a whole object.
    fn whole(&mut self, visit: Visit) -> Self::State;

    /// Receives an object that is derived from another one, and the parts that they share, in order.
    fn derived(&mut self, visit: Visit, base: &Self::State, shared: &[Copied]) -> Self::State;

    /// Receives the position in the index of an object that cannot be read.
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
    /// A walk over the objects of some kinds. Those over `limit` bytes, and everything derived from them, are lost.
    pub fn new(pack: &'a Pack, forest: &'a Forest, kinds: &'a [ObjectKind], limit: u64) -> Self {
        Self { pack, forest, kinds, limit, next: AtomicUsize::new(0), unfolded: AtomicU64::new(0) }
    }

    /// Visits families until none are left. Several threads may call this at once, each with its own visitor.
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
        self.pack.end().saturating_mul(MAX_UNFOLDING).max(ALWAYS_UNFOLDED)
    }
}

/// The state of one thread.
struct Worker<'a, S> {
    walk: &'a Walk<'a>,
    inflater: Inflater,
    pool: Pool,
    shared: Vec<Copied>,
    stack: Vec<Frame<S>>,
    /// Bytes not yet added to the walk's total.
    unfolded: u64,
}

/// An object from which others are still to be derived.
struct Frame<S> {
    entry: u32,
    object: Buffer,
    state: S,
    /// Index of its next child.
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
            // Objects without children are not pushed, and a parent is not pushed back with its last child, below.
            let children = forest.children(frame.entry);
            let child = children[frame.next];
            frame.next += 1;
            let is_last = frame.next == children.len();
            // The frame is taken off the stack while the child is made, since both need the worker.
            let Some(frame) = self.stack.pop() else { break };
            let made = self.derived(child, &frame.object, V::MIN_SHARED);
            let made = made.map(|object| {
                let visit = Visit { position: forest.position(child), kind: root.kind, bytes: &object };
                let state = visitor.derived(visit, &frame.state, &self.shared);
                (object, state)
            });
            // The heaviest child comes last, and its base is released before descending, so that the number of bases in
            // memory never exceeds the logarithm of the family's size.
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

    /// Rebuilds an object from its base, and lists the parts that they share in `shared`.
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

    /// Counts expanded bytes, to stop at decompression bombs.
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

/// A reusable buffer; it is not cleared between uses.
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

/// Unused buffers.
#[derive(Debug, Default)]
struct Pool {
    buffers: Vec<Buffer>,
    /// Their total size in bytes.
    size: usize,
}

impl Pool {
    /// A buffer of `length` bytes with arbitrary content.
    fn take(&mut self, length: usize) -> Buffer {
        let mut buffer = self.buffers.pop().unwrap_or_default();
        self.size -= buffer.place.len();
        if buffer.place.len() < length {
            // Fresh memory is zeroed already, and growing the buffer would copy content that is not needed.
            buffer.place = vec![0; if length < MAX_KEPT { length.next_power_of_two() } else { length }];
        }
        buffer.length = length;
        buffer
    }

    fn give(&mut self, buffer: Buffer) {
        if self.size + buffer.place.len() <= MAX_KEPT {
            self.size += buffer.place.len();
            self.buffers.push(buffer);
        }
    }
}
