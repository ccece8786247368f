//! A workflow from a list of numbers: whoever shortens the list or lowers its numbers gets a smaller workflow.

use super::reference::{ENDLESS, predict};
use super::workflow::{
    Condition, ContinueOn, Decider, End, Handler, Limit, Order, Repeat, RepeatWord, Retry, Step, Task, Workflow,
};

/// Codes that steps end with and that policies list: few, so that they meet.
const CODES: [u8; 4] = [1, 3, 42, 137];
/// Most steps of a workflow.
const MOST_STEPS: usize = 8;

/// Numbers that are used up one by one; then there are only zeros, which choose what is simplest.
struct Choices<'a> {
    numbers: std::slice::Iter<'a, u8>,
}

impl Choices<'_> {
    /// One of `count` things, the simplest being 0.
    fn below(&mut self, count: usize) -> usize {
        self.numbers.next().map_or(0, |number| usize::from(*number) % count)
    }

    /// True in one of so many cases.
    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    fn list<T>(&mut self, most: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| one(self)).collect()
    }

    fn code(&mut self) -> u8 {
        CODES[self.below(CODES.len())]
    }

    fn codes(&mut self) -> Vec<u8> {
        // With 0 the list is about success, with 124 about a time limit.
        let mut codes = vec![[1, 3, 42, 137, 0, 124][self.below(6)]];
        codes.extend(self.list(2, Choices::code));
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    fn condition(&mut self, upstream: &[usize]) -> Condition {
        if !upstream.is_empty() && self.one_in(3) {
            let step = upstream[self.below(upstream.len())];
            return Condition::CodeOf { step, code: if self.one_in(3) { self.code() } else { 0 } };
        }
        Condition::Constant { is_met: !self.one_in(4), form: self.below(3) as u8 }
    }

    fn conditions(&mut self, upstream: &[usize]) -> Vec<Condition> {
        if !self.one_in(4) {
            return Vec::new();
        }
        let mut conditions = vec![self.condition(upstream)];
        conditions.extend(self.list(1, |choices| choices.condition(upstream)));
        conditions
    }

    /// Not met in half of the cases: few files have any.
    fn root_conditions(&mut self) -> Vec<Condition> {
        let mut conditions = vec![Condition::Constant { is_met: !self.one_in(2), form: self.below(3) as u8 }];
        conditions.extend(self.list(1, |choices| choices.condition(&[])));
        conditions
    }

    fn task(&mut self, upstream: &[usize]) -> Task {
        let limit = [Limit::None, Limit::None, Limit::None, Limit::Timeout, Limit::Deadline][self.below(5)];
        let end = |choices: &mut Self| match choices.below(6) {
            0..=2 => End::Code(0),
            5 if limit != Limit::None => End::Hang,
            _ => End::Code(choices.code()),
        };
        let ends = self.list(4, end);
        Task { ends, limit, preconditions: self.conditions(upstream) }
    }

    fn retry(&mut self) -> Retry {
        Retry {
            limit: self.below(4) as u64,
            interval: [0, 1, 30][self.below(3)],
            codes: self.one_in(2).then(|| self.codes()),
            backoff: self.one_in(3),
        }
    }

    fn repeat(&mut self) -> Repeat {
        let decides = match self.below(3) {
            0 => Decider::Success,
            1 => Decider::Codes(self.codes()),
            _ => Decider::Condition(Condition::Constant { is_met: self.one_in(2), form: self.below(2) as u8 }),
        };
        Repeat {
            word: [RepeatWord::While, RepeatWord::Until, RepeatWord::Absent][self.below(3)],
            decides,
            limit: self.below(4) as u64,
            interval: [0, 1, 30][self.below(3)],
        }
    }

    fn continue_on(&mut self) -> ContinueOn {
        ContinueOn {
            failed: !self.one_in(2),
            skipped: self.one_in(2),
            codes: if self.one_in(3) { self.codes() } else { Vec::new() },
            printed: if self.one_in(4) { vec![self.code()] } else { Vec::new() },
            mark_success: self.one_in(3),
            form: self.below(3) as u8,
        }
    }

    fn step(&mut self, place: usize, is_graph: bool) -> Step {
        let mut depends = Vec::new();
        if is_graph && place > 0 {
            for _ in 0..self.below(4) {
                let upstream = place - 1 - self.below(place);
                if !depends.contains(&upstream) {
                    depends.push(upstream);
                }
            }
        }
        let upstream = if is_graph { depends.clone() } else { Vec::new() };
        Step {
            task: self.task(&upstream),
            is_named: self.one_in(4),
            depends,
            depends_form: self.below(4) as u8,
            retry: self.one_in(2).then(|| self.retry()),
            repeat: self.one_in(4).then(|| self.repeat()),
            continue_on: self.one_in(2).then(|| self.continue_on()),
        }
    }

    fn order(&mut self, is_graph: bool, steps: usize) -> Order {
        if !is_graph {
            return Order::Chain { joined: (1..steps).filter(|_| self.one_in(3)).collect() };
        }
        let mut file_order = Vec::new();
        for place in 0..steps {
            // From the end, so that the simplest order is the plain one.
            file_order.insert(place - self.below(place + 1), place);
        }
        Order::Graph { file_order, mapping: self.one_in(4) }
    }

    fn handler(&mut self, handler: Handler, steps: usize) -> Task {
        let all: Vec<usize> = if handler == Handler::Init { Vec::new() } else { (0..steps).collect() };
        let mut task = self.task(&all);
        if handler != Handler::Init && self.one_in(4) {
            let statuses = ["succeeded", "partially_succeeded", "failed", "aborted"];
            task.preconditions.push(Condition::Status(statuses[self.below(statuses.len())]));
        }
        task
    }
}

/// The workflow that these numbers choose.
pub(super) fn generate(numbers: &[u8]) -> Workflow {
    let mut choices = Choices { numbers: numbers.iter() };
    let is_graph = !choices.one_in(3);
    let count = 1 + choices.below(MOST_STEPS);
    // Steps last: they take most of the numbers, and what comes behind the last number is always the simplest.
    let mut workflow = Workflow {
        preconditions: if choices.one_in(5) { choices.root_conditions() } else { Vec::new() },
        default_preconditions: if choices.one_in(8) { choices.conditions(&[]) } else { Vec::new() },
        default_retry: choices.one_in(6).then(|| choices.retry()),
        default_continue_on: choices.one_in(6).then(|| choices.continue_on()),
        max_active_steps: choices.one_in(2).then(|| choices.below(4) as u64),
        order: choices.order(is_graph, count),
        ..Workflow::default()
    };
    for handler in Handler::ALL {
        if choices.one_in(3) {
            workflow.handlers.insert(handler, choices.handler(handler, count));
        }
    }
    workflow.steps = (0..count).map(|place| choices.step(place, is_graph)).collect();
    end_every_repetition(&mut workflow);
    workflow
}

/// What would go on for ever gets a limit. What ends otherwise then may let another step begin, which may be as bad.
fn end_every_repetition(workflow: &mut Workflow) {
    loop {
        let prediction = predict(workflow);
        let is_endless = |place: &usize| prediction.steps[&workflow.name(*place)].attempts >= ENDLESS;
        let Some(endless) = (0..workflow.steps.len()).find(is_endless) else { return };
        workflow.steps[endless].repeat.as_mut().expect("only a repetition goes on for ever").limit = 2;
    }
}
