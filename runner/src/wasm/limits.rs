//! How much a component may use, and the guard that holds one call to it.
//!
//! The deadline is not here: the engine's clock ends a call from outside. What has no setting is a constant with the
//! reason of its number.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// What one call of a component may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Wall time of one call: making the instance, the call, and copying its answer. Setting: `limits.time`.
    pub time: Duration,
    /// Bytes of all linear memories together. Setting: `limits.memory`.
    pub memory: u64,
    /// Bytes of text in one answer. Setting: `limits.answer`.
    pub answer_bytes: u64,
    /// Problems in one answer. Setting: `limits.answer`.
    pub answer_problems: u64,
}

impl Limits {
    /// Defaults for an organisation's policy.
    pub const POLICY: Limits =
        Limits { time: Duration::from_secs(1), memory: 64 << 20, answer_bytes: 1 << 20, answer_problems: 1_000 };

    /// Defaults for the core policy: its call covers a whole file, not one step.
    pub const CORE: Limits =
        Limits { time: Duration::from_secs(30), memory: 1 << 30, answer_bytes: 256 << 20, answer_problems: 100_000 };
}

/// What one call used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Wall time, from making the instance to the copied answer.
    pub time: Duration,
    /// Bytes of all linear memories together; they only grow.
    pub memory: u64,
}

/// Stack of a call. It is the calling thread's own, so it must fit well into the 2 MiB that a thread usually has.
pub(super) const STACK_BYTES: usize = 512 << 10;

/// Core instances of a component. One language's tool makes a component of more than eight; nobody needs a hundred.
pub(super) const INSTANCES: usize = 100;

/// Linear memories of a component. Each reserves 4 GiB of addresses, so that no access needs a check.
pub(super) const MEMORIES: usize = 20;

/// Tables of a component: one for each core instance is usual.
pub(super) const TABLES: usize = 100;

/// Elements of all tables together, 16 bytes each at most. An interpreter has about ten thousand functions.
pub(super) const TABLE_ELEMENTS: u64 = 100_000;

/// Which bound a component met. The engine's own error says less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// Memory beyond [`Limits::memory`].
    Memory,
    /// Memory within the limit that the machine could not give.
    MachineMemory,
    /// Table elements beyond the fixed bound.
    Table,
}

/// Counts what one call takes. Growth beyond a limit traps: a component that is told "no" aborts without a word.
pub(super) struct Guard {
    memory_limit: u64,
    memory: u64,
    table_elements: u64,
    denied: Option<Denied>,
}

impl Guard {
    pub(super) fn new(limits: &Limits) -> Guard {
        Guard { memory_limit: limits.memory, memory: 0, table_elements: 0, denied: None }
    }

    /// Bytes of all linear memories.
    pub(super) fn memory(&self) -> u64 {
        self.memory
    }

    /// The bound that ended the call.
    pub(super) fn denied(&self) -> Option<Denied> {
        self.denied
    }

    fn deny(&mut self, denied: Denied) -> wasmtime::Error {
        self.denied = Some(denied);
        wasmtime::Error::msg("growth beyond a limit")
    }
}

impl ResourceLimiter for Guard {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let memory = self.memory.saturating_add(desired.saturating_sub(current) as u64);
        if memory > self.memory_limit {
            return Err(self.deny(Denied::Memory));
        }
        // A bound that the component has set itself is its own affair: there it may be told "no".
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.memory = memory;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(self.deny(Denied::MachineMemory))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let elements = self.table_elements.saturating_add(desired.saturating_sub(current) as u64);
        if elements > TABLE_ELEMENTS {
            return Err(self.deny(Denied::Table));
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.table_elements = elements;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(self.deny(Denied::Table))
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}
