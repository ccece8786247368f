//! A plan: a workflow, what its programs do, and what goes wrong meanwhile; made at random, or read from a file.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use local_cluster::{After, Answer, ConnectionLost, Disruption, Hook, Interruption, LocalCluster, Resource, Script};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use runner::run::Signal;
use serde::{Deserialize, Serialize};
use tests::faults::{Fault, Seen, Stage};

/// What a program ends with that shall be tried again. No other does.
pub(super) const FAILING: i32 = 99;

/// A workflow and what goes wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) steps: Vec<Program>,
    pub(super) mishaps: Vec<Mishap>,
}

/// A step and what its container does. Times are in milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Program {
    /// Steps that it waits for, counted among those before it.
    pub(super) depends: Vec<usize>,
    /// So long its image is not there.
    pub(super) pull: u64,
    /// After so long, so many lines.
    pub(super) prints: Vec<(u64, usize)>,
    /// So long it goes on after the last.
    pub(super) rest: u64,
    /// What it ends with.
    pub(super) exit: i32,
    /// So many pods end with [`FAILING`] before.
    pub(super) failing: u64,
    /// So many pods may fail.
    pub(super) backoff_limit: u64,
}

/// Something that goes wrong. Steps are counted modulo how many there are; `at` and `lasting` are in milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mishap {
    /// The `nth` watch of a kind ends.
    WatchEnds { of: Kind, nth: u64, after: u64, how: Break },
    /// The version from which the `nth` watch begins is gone.
    WatchGone { of: Kind, nth: u64 },
    /// Something happens to the `nth` event about a step.
    Event { of: Kind, step: usize, nth: u64, what: EventFault },
    /// Requests are answered with an error.
    Refused { what: Asked, code: u16, at: u64, lasting: u64 },
    /// The first POST or DELETE of a step is carried out, and answered with an error or not at all.
    AnswerLost { what: Write, step: usize, code: Option<u16> },
    /// The `nth` stream of a log ends.
    LogEnds { step: usize, nth: u64, after: Reach, how: Break },
    /// The logs of a step cannot be read.
    LogRefused { step: usize, code: u16, at: u64, lasting: u64 },
    /// Something happens to the pods of a step.
    Struck { step: usize, at: u64, how: Blow },
    /// Somebody deletes the Job of a step.
    JobDeleted { step: usize, at: u64 },
    /// Nobody answers, and the watches break.
    Away { at: u64, lasting: u64 },
    /// All answers are late.
    Slow { by: u64, at: u64, lasting: u64 },
    /// The Job controller says so much later how a Job ended.
    JobLate { step: usize, by: u64 },
    /// A finalizer holds a Job that is being deleted.
    Held { step: usize, lasting: u64 },
    /// The token is refused.
    TokenExpires { at: u64 },
    /// The machine was asleep.
    Asleep { at: u64, hours: i64 },
    /// Ctrl-C, perhaps a second time.
    Interrupted { at: u64, again: Option<u64> },
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Jobs,
    Pods,
}

impl Kind {
    fn plural(self) -> &'static str {
        match self {
            Kind::Jobs => "jobs",
            Kind::Pods => "pods",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Break {
    Eof,
    Reset,
    Stall,
}

impl From<Break> for Interruption {
    fn from(how: Break) -> Interruption {
        match how {
            Break::Eof => Interruption::Eof,
            Break::Reset => Interruption::Reset,
            Break::Stall => Interruption::Stall,
        }
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EventFault {
    Gone,
    Error,
    Unknown,
    Twice,
    Swapped,
    Late(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Asked {
    Create,
    Delete,
    Lists,
    Watches,
    Logs,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Write {
    Create,
    Delete,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reach {
    Bytes(usize),
    Lines(usize),
    Time(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Blow {
    Evict,
    NodeShutdown,
    Preempt,
    Drain,
    NodeLost,
    Collect,
    Delete,
}

impl From<Blow> for Disruption {
    fn from(how: Blow) -> Disruption {
        match how {
            Blow::Evict => Disruption::Evict,
            Blow::NodeShutdown => Disruption::NodeShutdown,
            Blow::Preempt => Disruption::Preempt,
            Blow::Drain => Disruption::Drain,
            Blow::NodeLost => Disruption::NodeLost,
            Blow::Collect => Disruption::Collect,
            Blow::Delete => Disruption::Delete(None),
        }
    }
}

/// What somebody did to a step, and the cluster took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Struck(usize, Blow),
    JobDeleted(usize),
}

fn breaks() -> impl Strategy<Value = Break> {
    prop_oneof![Just(Break::Eof), Just(Break::Reset), Just(Break::Stall)]
}

fn programs() -> impl Strategy<Value = Program> {
    let pause = prop_oneof![6 => 0..2_000_u64, 6 => 0..30_000_u64, 1 => 0..900_000_u64];
    let exit = prop_oneof![5 => Just(0), 2 => 1..20_i32];
    let failing = prop_oneof![5 => Just(0), 1 => 1..=2_u64];
    let pull = prop_oneof![5 => Just(0), 1 => 0..60_000_u64];
    (
        vec(any::<prop::sample::Index>(), 0..=2),
        pull,
        vec((pause, 1..30_usize), 0..=4),
        0..5_000_u64,
        exit,
        failing,
        0..=1_u64,
    )
        .prop_map(|(depends, pull, prints, rest, exit, failing, more)| Program {
            depends: depends.into_iter().map(|index| index.index(1 << 20)).collect(),
            pull,
            prints,
            rest,
            exit,
            failing,
            backoff_limit: failing + more,
        })
}

fn mishaps() -> impl Strategy<Value = Mishap> {
    let at = || prop_oneof![3 => 1_000..20_000_u64, 2 => 1_000..180_000_u64];
    let lasting = || prop_oneof![4 => 0..20_000_u64, 1 => 0..240_000_u64];
    let kind = || prop_oneof![Just(Kind::Jobs), Just(Kind::Pods)];
    let step = || 0..12_usize;
    let event = prop_oneof![
        Just(EventFault::Gone),
        Just(EventFault::Error),
        Just(EventFault::Unknown),
        Just(EventFault::Twice),
        Just(EventFault::Swapped),
        (0..30_000_u64).prop_map(EventFault::Late),
    ];
    let asked = prop_oneof![
        Just(Asked::Create),
        Just(Asked::Delete),
        Just(Asked::Lists),
        Just(Asked::Watches),
        Just(Asked::Logs)
    ];
    let code = prop_oneof![Just(429), Just(500), Just(502), Just(503), Just(504)];
    let write = prop_oneof![Just(Write::Create), Just(Write::Delete)];
    let reach = prop_oneof![
        (0..2_000_usize).prop_map(Reach::Bytes),
        (0..60_usize).prop_map(Reach::Lines),
        (0..60_000_u64).prop_map(Reach::Time)
    ];
    // `NodeLost` is not drawn yet: the log of a lost node stands still, as that of a stream below.
    let blow = prop_oneof![
        Just(Blow::Evict),
        Just(Blow::NodeShutdown),
        Just(Blow::Preempt),
        Just(Blow::Drain),
        Just(Blow::Collect),
        Just(Blow::Delete)
    ];
    prop_oneof![
        3 => (kind(), 1..4_u64, 0..60_000_u64, breaks())
            .prop_map(|(of, nth, after, how)| Mishap::WatchEnds { of, nth, after, how }),
        1 => (kind(), 2..4_u64).prop_map(|(of, nth)| Mishap::WatchGone { of, nth }),
        3 => (kind(), step(), 1..9_u64, event)
            .prop_map(|(of, step, nth, what)| Mishap::Event { of, step, nth, what }),
        3 => (asked, code, at(), lasting())
            .prop_map(|(what, code, at, lasting)| Mishap::Refused { what, code, at, lasting }),
        2 => (write, step(), option::of(prop_oneof![Just(500), Just(504)]))
            .prop_map(|(what, step, code)| Mishap::AnswerLost { what, step, code }),
        3 => (step(), 1..4_u64, reach, breaks())
            // An answer that stands still before it has come to the last line keeps the engine busy: not yet.
            .prop_map(|(step, nth, after, how)| Mishap::LogEnds {
                step,
                nth,
                after,
                how: if nth > 1 && how == Break::Stall { Break::Reset } else { how },
            }),
        2 => (step(), prop_oneof![Just(403), Just(404), Just(500)], at(), lasting())
            .prop_map(|(step, code, at, lasting)| Mishap::LogRefused { step, code, at, lasting }),
        3 => (step(), at(), blow).prop_map(|(step, at, how)| Mishap::Struck { step, at, how }),
        1 => (step(), at()).prop_map(|(step, at)| Mishap::JobDeleted { step, at }),
        1 => (at(), prop_oneof![6 => 0..240_000_u64, 1 => 700_000..900_000_u64])
            .prop_map(|(at, lasting)| Mishap::Away { at, lasting }),
        1 => (0..15_000_u64, at(), lasting()).prop_map(|(by, at, lasting)| Mishap::Slow { by, at, lasting }),
        1 => (step(), 0..120_000_u64).prop_map(|(step, by)| Mishap::JobLate { step, by }),
        1 => (step(), 0..30_000_u64).prop_map(|(step, lasting)| Mishap::Held { step, lasting }),
        1 => at().prop_map(|at| Mishap::TokenExpires { at }),
        1 => (at(), 1..5_i64).prop_map(|(at, hours)| Mishap::Asleep { at, hours }),
        1 => (at(), option::of(0..20_000_u64)).prop_map(|(at, again)| Mishap::Interrupted { at, again }),
    ]
}

/// Workflows of 3 to 12 steps in which up to five things go wrong.
pub(super) fn plans() -> impl Strategy<Value = Plan> {
    (vec(programs(), 3..=12), vec(mishaps(), 1..=5)).prop_map(|(steps, mishaps)| Plan { steps, mishaps })
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// The name of a step. No name begins another one.
pub(super) fn name(step: usize) -> String {
    format!("s{step}")
}

/// All that begins with the name of a step: its Job and its pods.
fn of(step: usize) -> String {
    format!("{}-*", name(step))
}

impl Program {
    /// The steps that step `place` waits for.
    pub(super) fn depends(&self, place: usize) -> Vec<usize> {
        let mut depends: Vec<usize> =
            if place == 0 { Vec::new() } else { self.depends.iter().map(|index| index % place).collect() };
        depends.sort_unstable();
        depends.dedup();
        depends
    }

    /// What it writes: when after its start, and what. A pod that fails says so.
    pub(super) fn writes(&self, step: usize, fails: bool) -> Vec<(u64, String)> {
        let word = if fails { "fails" } else { "does" };
        let (mut time, mut number, mut writes) = (0, 0, Vec::new());
        for (pause, lines) in &self.prints {
            time += pause;
            let lines = (0..*lines).map(|_| {
                number += 1;
                format!("{} {word} {number}\n", name(step))
            });
            writes.push((time, lines.collect()));
        }
        writes
    }

    /// How long its program runs.
    pub(super) fn lasts(&self) -> u64 {
        self.prints.iter().map(|(pause, _)| pause).sum::<u64>() + self.rest
    }

    fn script(&self, step: usize, fails: bool) -> Script {
        let mut script = Script::new();
        if self.pull > 0 {
            script = script.waiting("ErrImagePull", "no such host", Some(millis(self.pull)));
        }
        let mut before = 0;
        for (time, text) in self.writes(step, fails) {
            script = script.sleep(millis(time - before)).print(text);
            before = time;
        }
        script.sleep(millis(self.rest)).exit(if fails { FAILING } else { self.exit })
    }
}

impl Plan {
    /// The step that a number means.
    pub(super) fn step(&self, number: usize) -> usize {
        number % self.steps.len()
    }

    fn workflow(&self) -> String {
        let step = |(place, program): (usize, &Program)| {
            let depends: Vec<String> = program.depends(place).into_iter().map(name).collect();
            format!(
                "  - {{id: {}, type: k8s, depends: [{}], config: {{image: x, backoff_limit: {}}}, command: work}}\n",
                name(place),
                depends.join(", "),
                program.backoff_limit
            )
        };
        format!("type: graph\nsteps:\n{}", self.steps.iter().enumerate().map(step).collect::<String>())
    }

    /// Runs it. Also tells what was done to steps.
    pub(super) fn run(&self) -> (Seen, Vec<Deed>) {
        let deeds: Arc<Mutex<Vec<Deed>>> = Arc::default();
        let mut fault = Fault::new("mix").workflow(self.workflow()).remembering();
        for (step, program) in self.steps.iter().enumerate() {
            let [fails, does] = [true, false].map(|fails| program.script(step, fails));
            let failing = program.failing;
            fault = fault.cluster(move |cluster| {
                cluster.faults().on("run", "pods", &of(step)).first(failing).script("step", fails);
                cluster.faults().on("run", "pods", &of(step)).from(failing + 1).script("step", does);
            });
        }
        for mishap in &self.mishaps {
            let plan = self.clone();
            let (deeds, mishap, acting) = (deeds.clone(), mishap.clone(), mishap.clone());
            fault = fault.cluster({
                let plan = plan.clone();
                move |cluster| plan.hook(&mishap, cluster)
            });
            fault = fault.meanwhile(move |stage| async move { plan.act(acting, stage, &deeds).await });
        }
        let seen = fault.run();
        let deeds = deeds.lock().unwrap().clone();
        (seen, deeds)
    }

    /// What of a mishap is a hook.
    fn hook(&self, mishap: &Mishap, cluster: &LocalCluster) {
        let faults = cluster.faults();
        let of_step = |step: &usize| of(self.step(*step));
        let window = |hook: Hook, at: &u64, lasting: &u64| hook.after(millis(*at)).lasting(millis(*lasting));
        match mishap {
            Mishap::WatchEnds { of, nth, after, how } => {
                let hook = faults.on("watch", of.plural(), "*").nth(*nth);
                hook.interrupt(After::Time(millis(*after)), (*how).into());
            }
            Mishap::WatchGone { of, nth } => faults.on("watch", of.plural(), "*").nth(*nth).gone(),
            Mishap::Event { of, step, nth, what } => {
                let hook = faults.on("send", of.plural(), &of_step(step)).nth(*nth);
                match what {
                    EventFault::Gone => hook.gone(),
                    EventFault::Error => hook.error(500, "etcdserver: leader changed"),
                    EventFault::Unknown => hook.retype("RENAMED"),
                    EventFault::Twice => hook.repeat(),
                    EventFault::Swapped => hook.swap(),
                    EventFault::Late(by) => hook.hold(millis(*by)),
                }
            }
            Mishap::Refused { what, code, at, lasting } => {
                let answer = || match code {
                    429 => Answer::status(429, "too many requests").with_header("Retry-After", "2"),
                    code => Answer::status(*code, "the server is busy"),
                };
                let places: &[(&str, &str)] = match what {
                    Asked::Create => &[("create", "jobs")],
                    Asked::Delete => &[("delete", "jobs")],
                    Asked::Lists => &[("list", "jobs"), ("list", "pods")],
                    Asked::Watches => &[("watch", "jobs"), ("watch", "pods")],
                    Asked::Logs => &[("get", "pods/log")],
                };
                for (verb, resource) in places {
                    window(faults.on(verb, resource, "*"), at, lasting).answer(answer());
                }
            }
            Mishap::AnswerLost { what, step, code } => {
                let verb = match what {
                    Write::Create => "create",
                    Write::Delete => "delete",
                };
                let hook = faults.on(verb, "jobs", &of_step(step)).nth(1);
                match code {
                    Some(code) => hook.commit_then(Answer::status(*code, "etcdserver: request timed out")),
                    None => hook.commit_then_cut(),
                }
            }
            Mishap::LogEnds { step, nth, after, how } => {
                let after = match after {
                    Reach::Bytes(count) => After::Bytes(*count),
                    Reach::Lines(count) => After::Lines(*count),
                    Reach::Time(time) => After::Time(millis(*time)),
                };
                faults.on("get", "pods/log", &of_step(step)).nth(*nth).interrupt(after, (*how).into());
            }
            Mishap::LogRefused { step, code, at, lasting } => {
                let answer = Answer::status(*code, "the log cannot be had");
                window(faults.on("get", "pods/log", &of_step(step)), at, lasting).answer(answer);
            }
            Mishap::Away { at, lasting } => {
                for kind in [Kind::Jobs, Kind::Pods] {
                    let hook = faults.on("watch", kind.plural(), "*").nth(1);
                    hook.interrupt(After::Time(millis(*at)), Interruption::Reset);
                }
                window(faults.on("*", "*", "*"), at, lasting).connect(ConnectionLost::Refused);
            }
            Mishap::Slow { by, at, lasting } => window(faults.on("*", "*", "*"), at, lasting).delay(millis(*by)),
            Mishap::JobLate { step, by } => faults.on("conclude", "jobs", &of_step(step)).hold(millis(*by)),
            Mishap::Held { step, lasting } => faults.on("remove", "jobs", &of_step(step)).hold(millis(*lasting)),
            Mishap::Struck { .. }
            | Mishap::JobDeleted { .. }
            | Mishap::TokenExpires { .. }
            | Mishap::Asleep { .. }
            | Mishap::Interrupted { .. } => {}
        }
    }

    /// What of a mishap somebody does.
    async fn act(&self, mishap: Mishap, stage: Stage, deeds: &Mutex<Vec<Deed>>) {
        let cluster = stage.cluster();
        match mishap {
            Mishap::Struck { step, at, how } => {
                let step = self.step(step);
                tokio::time::sleep(millis(at)).await;
                if cluster.disrupt("default", &of(step), how.into()).is_ok() {
                    deeds.lock().unwrap().push(Deed::Struck(step, how));
                }
            }
            Mishap::JobDeleted { step, at } => {
                let step = self.step(step);
                tokio::time::sleep(millis(at)).await;
                if cluster.delete(Resource::Jobs, "default", &of(step)).is_ok() {
                    deeds.lock().unwrap().push(Deed::JobDeleted(step));
                }
            }
            Mishap::TokenExpires { at } => {
                tokio::time::sleep(millis(at)).await;
                cluster.expire_tokens();
            }
            Mishap::Asleep { at, hours } => {
                tokio::time::sleep(millis(at)).await;
                stage.offset_local_clock(SignedDuration::from_hours(hours));
            }
            Mishap::Interrupted { at, again } => {
                tokio::time::sleep(millis(at)).await;
                stage.signal(Signal::Interrupt);
                if let Some(again) = again {
                    tokio::time::sleep(millis(again)).await;
                    stage.signal(Signal::Interrupt);
                }
            }
            _ => {}
        }
    }
}
