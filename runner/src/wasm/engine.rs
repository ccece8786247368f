//! The compiler, the clock that ends calls, and the one way into a component.
//!
//! ```text
//! ComponentFile ─ Engine::compile ─► Component ─ Policy::load │ CorePolicy::load ─► calls, each in a fresh instance
//! ```
//!
//! Calls run on the thread of the caller and need 512 KiB of its stack. Any number may be asked for at once; those that
//! find every place of the pool taken wait for their turn, which is not part of their time.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use wasmtime::component::{Component as Code, InstancePre, Linker};
use wasmtime::{Config, PoolingAllocationConfig, Store, WasmBacktraceDetails};

use super::cache::{Cache, CacheWarning};
use super::failure::CallError;
use super::file::{ComponentFile, Sha256Digest};
use super::limits::{Guard, INSTANCES, Limits, MEMORIES, STACK_BYTES, TABLE_ELEMENTS, TABLES, Usage};
use super::load_error::LoadError;
use super::world::{self, World};

/// Compiles components and measures the time of their calls. Cloning is cheap; all clones are one engine.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    compiler: wasmtime::Engine,
    clock: Clock,
    cache: Cache,
    turns: Turns,
}

/// The machine cannot run components at all.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The compiler does not work on this machine.
    #[error("components cannot be compiled on this machine: {0}")]
    Compiler(String),
    /// No thread for the clock.
    #[error("the clock for components cannot be started")]
    Clock(#[source] std::io::Error),
}

impl Engine {
    /// An engine that keeps compiled components in the folder `cache`, or compiles each time without one.
    ///
    /// # Errors
    /// When this machine cannot compile or time components; never because of the cache.
    pub fn new(cache: Option<&Path>) -> Result<Engine, EngineError> {
        // A process that may not reserve the addresses of a pool gets its memories one by one: slower, and the same answers.
        let places = places();
        let compiler = wasmtime::Engine::new(config().allocation_strategy(pool(places)))
            .or_else(|_| wasmtime::Engine::new(&config()))
            .map_err(|error| EngineError::Compiler(format!("{error:#}")))?;
        let clock = Clock::start(compiler.clone()).map_err(EngineError::Clock)?;
        let cache = Cache::open(cache, &compiler);
        Ok(Engine { shared: Arc::new(Shared { compiler, clock, cache, turns: Turns::new(places) }) })
    }

    /// Compiles a component, or takes it from the cache. Slow for large files: milliseconds to seconds.
    ///
    /// # Errors
    /// When the bytes are not a component. Its world and imports are not judged here.
    pub fn compile(&self, file: &ComponentFile) -> Result<Component, LoadError> {
        let Shared { compiler, cache, .. } = &*self.shared;
        let cached = cache.load(compiler, file.sha256());
        let (code, cached) = match cached {
            Some(code) => (code, true),
            None => {
                let code = Code::from_binary(compiler, file.bytes()).map_err(|error| invalid(file, &error))?;
                cache.store(file.sha256(), &code);
                (code, false)
            }
        };
        Ok(Component {
            engine: self.clone(),
            code,
            cached,
            file: file.name().into(),
            size: file.size(),
            sha256: file.sha256(),
        })
    }

    /// What was wrong with the cache, once something was; the first only.
    pub fn cache_warning(&self) -> Option<&CacheWarning> {
        self.shared.cache.warning()
    }
}

/// The settings of the compiler. All of them are part of the key of the cache.
fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        // Results that differ between machines: an answer must not.
        .wasm_relaxed_simd(false)
        // Addresses of 64 bits and shared memory would pass by the limits.
        .wasm_memory64(false)
        // Names of functions are enough for a message; the rest makes the code larger, or depends on the environment.
        .generate_address_map(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .native_unwind_info(false);
    config
}

/// Calls that have an instance at once: one for each processor and some more. Addresses are reserved for all of them.
fn places() -> usize {
    thread::available_parallelism().map_or(1, usize::from).clamp(16, 64)
}

/// Memory that an instance leaves behind stays with the process up to this much, for the next one of the same component:
/// some hundred steps need about as much of a core policy.
const KEPT_BYTES: usize = 8 << 20;

/// Places for instances, made once: a new memory of its own for each call costs more than most calls. A place is given
/// back to its first state before the next instance gets it, so that nothing travels from one call to another.
fn pool(places: usize) -> PoolingAllocationConfig {
    /// Everything the machine can address without checks; [`Limits::memory`] is the bound that counts.
    const ADDRESSES: usize = 4 << 30;
    /// What the host keeps for one component, beside memories and tables. It grows with the number of its functions.
    const INSTANCE_BYTES: usize = 64 << 20;
    /// Memories and tables that a module can have at all, as the format's readers see it.
    const MODULE: u32 = 100;
    let all = |each: usize| u32::try_from(places * each).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    // How much one component may have is for its guard to say, in words: here only all of them together count.
    pool.total_component_instances(all(1))
        .total_core_instances(all(INSTANCES))
        .total_memories(all(MEMORIES))
        .total_tables(all(TABLES))
        .max_core_instances_per_component(u32::MAX)
        .max_memories_per_component(u32::MAX)
        .max_memories_per_module(MODULE)
        .max_tables_per_component(u32::MAX)
        .max_tables_per_module(MODULE)
        .max_component_instance_size(INSTANCE_BYTES)
        .max_core_instance_size(INSTANCE_BYTES)
        .max_memory_size(ADDRESSES)
        .table_elements(usize::try_from(TABLE_ELEMENTS).unwrap_or(usize::MAX));
    // Where the system tells which pages were written, only those are put back; elsewhere all would be.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.linear_memory_keep_resident(KEPT_BYTES).table_keep_resident(KEPT_BYTES);
    }
    pool
}

fn invalid(file: &ComponentFile, error: &wasmtime::Error) -> LoadError {
    let (file, reason) = (file.name().to_owned(), error.root_cause().to_string());
    if reason.starts_with("unexpected end") {
        LoadError::Truncated { file, reason }
    } else {
        LoadError::Invalid { file, reason }
    }
}

/// A compiled component. Cloning is cheap.
#[derive(Clone)]
pub struct Component {
    engine: Engine,
    code: Code,
    cached: bool,
    file: Arc<str>,
    size: u64,
    sha256: Sha256Digest,
}

impl Component {
    /// The name in messages: the path as given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Size of the file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// SHA-256 of the file.
    pub fn sha256(&self) -> Sha256Digest {
        self.sha256
    }

    /// Whether its code came from the cache.
    pub fn cached(&self) -> bool {
        self.cached
    }

    /// Names of everything it asks for; empty for one that can run here.
    pub fn imports(&self) -> Vec<String> {
        self.code.component_type().imports(self.code.engine()).map(|(name, _)| name.to_owned()).collect()
    }

    /// Names of everything it offers.
    pub fn exports(&self) -> Vec<String> {
        self.code.component_type().exports(self.code.engine()).map(|(name, _)| name.to_owned()).collect()
    }

    /// Which contract it implements.
    pub fn world(&self) -> World {
        world::of_exports(self.exports())
    }

    pub(super) fn code(&self) -> &Code {
        &self.code
    }

    /// Everything about instances that is the same each time. A component with imports has none.
    pub(super) fn prepare(&self) -> wasmtime::Result<InstancePre<Guard>> {
        Linker::new(self.code.engine()).instantiate_pre(&self.code)
    }

    /// Runs `call`, which makes an instance in the store and calls its `function`, under the limits.
    pub(super) fn call<R>(
        &self,
        function: &str,
        limits: &Limits,
        call: impl FnOnce(&mut Store<Guard>) -> wasmtime::Result<R>,
    ) -> (Result<R, CallError>, Usage) {
        self.open(limits).call(function, call)
    }

    /// A place for one instance, which `call` of the answer makes.
    pub(super) fn open(&self, limits: &Limits) -> Session<'_> {
        let turn = self.engine.shared.turns.take();
        let mut store = Store::new(self.code.engine(), Guard::new(limits));
        store.limiter(|guard| guard);
        Session { clock: &self.engine.shared.clock, limits: *limits, store, _turn: turn }
    }
}

/// A place for one instance and the calls of it.
pub(super) struct Session<'a> {
    clock: &'a Clock,
    limits: Limits,
    // Before the turn: what it holds is given back first.
    store: Store<Guard>,
    _turn: Turn<'a>,
}

impl Session<'_> {
    /// Runs `call`, which calls `function`, under the limits. Memory is counted over all calls of the session.
    pub(super) fn call<R>(
        &mut self,
        function: &str,
        call: impl FnOnce(&mut Store<Guard>) -> wasmtime::Result<R>,
    ) -> (Result<R, CallError>, Usage) {
        let Session { clock, limits, store, .. } = self;
        let start = Instant::now();
        store.set_hostcall_fuel(answer_fuel(limits));
        let answer = {
            let _ticking = clock.tick_for_a_call();
            store.set_epoch_deadline(ticks(limits.time));
            call(store)
        };
        let guard = store.data();
        let answer = answer.map_err(|error| CallError::read(function, limits, guard, &error));
        (answer, Usage { time: start.elapsed(), memory: guard.memory() })
    }
}

/// How many places of the pool are free.
struct Turns {
    free: Mutex<usize>,
    given_back: Condvar,
}

impl Turns {
    fn new(places: usize) -> Turns {
        Turns { free: Mutex::new(places), given_back: Condvar::new() }
    }

    /// Waits for a place. Whoever has one must not wait for another: all could hold one and wait for ever.
    fn take(&self) -> Turn<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.given_back.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Turn { turns: self }
    }
}

/// A place of the pool, given back when it is dropped.
struct Turn<'a> {
    turns: &'a Turns,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.turns.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.turns.given_back.notify_one();
    }
}

/// What the host may copy of one answer. It is checked before anything is copied; the exact limits after.
fn answer_fuel(limits: &Limits) -> usize {
    /// Upper bound of what one problem costs beside its texts.
    const PROBLEM: u64 = 256;
    let fuel = limits.answer_bytes.saturating_add(limits.answer_problems.saturating_mul(PROBLEM));
    usize::try_from(fuel).unwrap_or(usize::MAX)
}

/// How long a tick lasts: a call may go over its time by about two.
const TICK: Duration = Duration::from_millis(2);

/// One late tick counts as at most this many: a busy machine delays the clock a little, a process that was stopped
/// for an hour does not use up the time of its calls.
const MAX_LATE_TICKS: u128 = 50;

/// Ticks until the deadline; one more, because the first may come at once.
fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX / 2).saturating_add(1)
}

/// Ticks while calls are under way, sleeps otherwise, and ends with the engine.
struct Clock {
    state: Arc<ClockState>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct ClockState {
    calls: AtomicUsize,
    ended: AtomicBool,
}

impl Clock {
    fn start(engine: wasmtime::Engine) -> std::io::Result<Clock> {
        let state = Arc::new(ClockState::default());
        let run = Arc::clone(&state);
        let thread = thread::Builder::new().name("component clock".to_owned()).spawn(move || run.tick(&engine))?;
        Ok(Clock { state, thread: Some(thread) })
    }

    /// Ticks as long as the answer lives.
    fn tick_for_a_call(&self) -> Ticking<'_> {
        if self.state.calls.fetch_add(1, Ordering::SeqCst) == 0
            && let Some(thread) = self.thread()
        {
            thread.unpark();
        }
        Ticking { state: &self.state }
    }

    fn thread(&self) -> Option<&Thread> {
        self.thread.as_ref().map(JoinHandle::thread)
    }
}

impl ClockState {
    fn tick(&self, engine: &wasmtime::Engine) {
        while !self.ended.load(Ordering::SeqCst) {
            if self.calls.load(Ordering::SeqCst) == 0 {
                // An unpark between the look and here is not lost: then this returns at once.
                thread::park();
                continue;
            }
            let before = Instant::now();
            thread::sleep(TICK);
            let passed = (before.elapsed().as_nanos() / TICK.as_nanos()).clamp(1, MAX_LATE_TICKS);
            for _ in 0..passed {
                engine.increment_epoch();
            }
        }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It ends within a tick and does not panic; were it otherwise, nothing here depends on it any more.
            let _ = thread.join();
        }
    }
}

/// A call is under way.
struct Ticking<'a> {
    state: &'a ClockState,
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.state.calls.fetch_sub(1, Ordering::SeqCst);
    }
}
