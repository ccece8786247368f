//! The compiler, the clock that ends calls, and the one way into a component.
//!
//! ```text
//! ComponentFile ─ Engine::compile ─► Component ─ Policy::load │ CorePolicy::load ─► calls, each in a fresh instance
//! ```
//!
//! Calls run on the thread of the caller and need 512 KiB of its stack; any number may run at once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use wasmtime::component::{Component as Code, InstancePre, Linker};
use wasmtime::{Config, Store, WasmBacktraceDetails};

use super::cache::{Cache, CacheWarning};
use super::failure::CallError;
use super::file::{ComponentFile, Sha256Digest};
use super::limits::{Guard, Limits, STACK_BYTES, Usage};
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
        let compiler = wasmtime::Engine::new(&config()).map_err(|error| EngineError::Compiler(format!("{error:#}")))?;
        let clock = Clock::start(compiler.clone()).map_err(EngineError::Clock)?;
        let cache = Cache::open(cache, &compiler);
        Ok(Engine { shared: Arc::new(Shared { compiler, clock, cache }) })
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
        let start = Instant::now();
        let mut store = Store::new(self.code.engine(), Guard::new(limits));
        store.limiter(|guard| guard);
        store.set_hostcall_fuel(answer_fuel(limits));
        let answer = {
            let _ticking = self.engine.shared.clock.tick_for_a_call();
            store.set_epoch_deadline(ticks(limits.time));
            call(&mut store)
        };
        let guard = store.data();
        let answer = answer.map_err(|error| CallError::read(function, limits, guard, &error));
        (answer, Usage { time: start.elapsed(), memory: guard.memory() })
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
