//! What evaluating an expression for an event can cost at the most.
//!
//! CEL has loops over what is there, and a value that a loop makes may be gone through again:
//! `[x].map(y, y + y).map(y, y + y)` doubles a text with every call. So the depth of loops alone
//! bounds nothing. Here each part of the expression gets the largest size that its value can have,
//! from the sizes of the event at hand, and with it the steps that it can take.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr, operators};

use super::functions::MATCHES;
use super::size::{BYTES_A_STEP, SCALAR, Size, Sizes, part, sum, text};

/// A third of a second's work, more or less, in which the process's other events wait.
pub(super) const MAX_STEPS: u64 = 5_000_000;

/// Looking for a pattern takes so many times the steps of copying the text.
const STEPS_OF_A_MATCH: u64 = 64;

/// The text of a number is as long as this at the most: `1e-320` has all its digits written out.
const STEPS_OF_A_NUMBER: u64 = 12;

/// How many steps evaluating `expr` can take, with what it takes to make the event's values ready.
pub(super) fn steps(expr: &IdedExpr, sizes: &Sizes<'_>) -> u64 {
    let ready = sizes.names.values().fold(0_u64, |sum, size| sum.saturating_add(size.weight));
    let mut count = Count { sizes, scopes: Vec::new(), steps: ready };
    count.size(expr);
    count.steps
}

struct Count<'s, 'p> {
    sizes: &'s Sizes<'p>,
    /// The names that loops give, innermost last.
    scopes: Vec<(String, Size)>,
    steps: u64,
}

impl Count<'_, '_> {
    fn add(&mut self, steps: u64) {
        self.steps = self.steps.saturating_add(steps);
    }

    /// Counts the steps of `expr`, and says how large its value is.
    fn size(&mut self, expr: &IdedExpr) -> Size {
        self.add(1);
        match &expr.expr {
            Expr::Literal(LiteralValue::String(literal)) => text(literal.inner()),
            Expr::Literal(LiteralValue::Bytes(literal)) => {
                Size { weight: 1 + literal.inner().len() as u64 / BYTES_A_STEP, ..SCALAR }
            }
            Expr::Literal(_) | Expr::Unspecified => SCALAR,
            Expr::Ident(name) => self.named(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => self.literal(list.elements.iter(), list.elements.len()),
            Expr::Map(map) => {
                let parts = map.entries.iter().flat_map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => [&entry.key, &entry.value],
                    EntryExpr::StructField(field) => [&field.value, &field.value],
                });
                self.literal(parts, map.entries.len())
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            // It is refused when the expression is checked.
            Expr::Struct(_) => SCALAR,
        }
    }

    fn scoped(&self, name: &str) -> Option<Size> {
        self.scopes.iter().rev().find(|(scoped, _)| scoped == name).map(|(_, size)| *size)
    }

    fn named(&self, name: &str) -> Size {
        self.scoped(name).or_else(|| self.sizes.names.get(name).copied()).unwrap_or(SCALAR)
    }

    fn select(&mut self, select: &SelectExpr) -> Size {
        if matches!(&select.operand.expr, Expr::Ident(name) if name == "payload") && self.scoped("payload").is_none() {
            self.add(1);
            return self.sizes.fields.get(select.field.as_str()).copied().unwrap_or(SCALAR);
        }
        part(self.size(&select.operand))
    }

    /// A list or map that is written out: all that is in it is copied.
    fn literal<'x>(&mut self, parts: impl Iterator<Item = &'x IdedExpr>, len: usize) -> Size {
        let mut whole = Size { len: len as u64, ..SCALAR };
        for item in parts {
            let item = self.size(item);
            self.add(item.weight);
            whole.inner = whole.inner.max(item.longest());
            whole.weight = whole.weight.saturating_add(item.weight);
        }
        whole
    }

    fn call(&mut self, call: &CallExpr) -> Size {
        let parts: Vec<Size> = call.target.iter().map(|target| &**target).chain(&call.args).map(|part| self.size(part)).collect();
        let all = parts.iter().copied().fold(Size { weight: 0, ..SCALAR }, sum);
        match call.func_name.as_str() {
            operators::CONDITIONAL | operators::ADD => {
                self.add(all.weight);
                all
            }
            operators::INDEX => {
                // An index that does not fit is told with a copy of all that it was to be found in.
                let index = call.args.get(1).map(|index| &index.expr);
                let fits = matches!(index, Some(Expr::Literal(LiteralValue::Int(_) | LiteralValue::String(_))));
                self.add(if fits { 1 } else { all.weight });
                parts.first().copied().map_or(SCALAR, part)
            }
            operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT | operators::NOT_STRICTLY_FALSE => SCALAR,
            MATCHES => {
                self.add(all.weight.saturating_mul(STEPS_OF_A_MATCH));
                SCALAR
            }
            "dyn" => all,
            "string" | "bytes" => {
                self.add(all.weight);
                Size { weight: all.weight.saturating_add(STEPS_OF_A_NUMBER), ..SCALAR }
            }
            _ => {
                self.add(all.weight);
                SCALAR
            }
        }
    }

    /// Goes through `iter_range` once for each item. What is done with the items takes steps in
    /// proportion to their sizes, so it may be counted as if they were all of the same.
    fn comprehension(&mut self, loops: &ComprehensionExpr) -> Size {
        let range = self.size(&loops.iter_range);
        let times = range.len;
        let item = Size { weight: range.weight / times.max(1) + 1, ..part(range) };
        let first = self.size(&loops.accu_init);
        self.scopes.push((loops.accu_var.clone(), first));
        self.scopes.push((loops.iter_var.clone(), item));
        let before = std::mem::take(&mut self.steps);
        self.size(&loops.loop_cond);
        let step = self.size(&loops.loop_step);
        let once = self.steps.saturating_add(item.weight);
        self.steps = before.saturating_add(once.saturating_mul(times));
        self.scopes.pop();
        self.scopes.pop();
        // All macros add to what they gather, and take nothing of it twice.
        let grown = |first: u64, step: u64| first.saturating_add(step.saturating_sub(first).saturating_mul(times));
        let gathered = Size { len: grown(first.len, step.len), inner: step.inner, weight: grown(first.weight, step.weight) };
        self.scopes.push((loops.accu_var.clone(), gathered));
        let result = self.size(&loops.result);
        self.scopes.pop();
        self.add(result.weight);
        result
    }
}
