//! Every panic is noted: in a task or a thread of the product none would else be seen.

use std::sync::{Mutex, MutexGuard};

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Notes panics from now on, in place of printing them.
pub fn watch() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, ToString::to_string);
        seen().push(format!("panicked at {place}: {}", what(info.payload())));
    }));
}

/// The panics since this was last asked.
pub fn take() -> Vec<String> {
    std::mem::take(&mut *seen())
}

/// A panic's words.
pub fn what(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("it did not say why").to_owned()
}

fn seen() -> MutexGuard<'static, Vec<String>> {
    SEEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
