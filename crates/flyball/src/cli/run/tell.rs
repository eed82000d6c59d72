//! Telling what happens as it happens.

use std::sync::{Arc, Mutex, PoisonError};

use flyball_journal::Record;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

use crate::cli::Output;
use crate::cli::output::{self, colour};
use crate::story::Page;

/// Prints the records of every log until the logs are closed.
pub(super) struct Teller {
    tasks: JoinSet<()>,
}

impl Teller {
    pub fn start(watches: Vec<broadcast::Receiver<Arc<Record>>>, output: Output) -> Self {
        let page = Arc::new(Mutex::new(Page::new([], output::terminal_width(), colour())));
        let mut tasks = JoinSet::new();
        for watch in watches {
            tasks.spawn(tell(watch, output, Arc::clone(&page)));
        }
        Self { tasks }
    }

    /// Returns when all that was recorded is told. The logs must be let go of by then.
    pub async fn end(mut self) {
        let rest = async { while self.tasks.join_next().await.is_some() {} };
        // Someone may still hold a log; what is recorded by now is told within a moment.
        let _ = tokio::time::timeout(std::time::Duration::from_millis(200), rest).await;
    }
}

async fn tell(mut watch: broadcast::Receiver<Arc<Record>>, output: Output, page: Arc<Mutex<Page>>) {
    loop {
        match watch.recv().await {
            Ok(record) => print(&record, output, &page),
            Err(RecvError::Lagged(missed)) => output::note(&format!("({missed} records were not shown: see flyball logs)")),
            Err(RecvError::Closed) => return,
        }
    }
}

fn print(record: &Record, output: Output, page: &Mutex<Page>) {
    match output {
        // A record is plain data: it cannot fail to be written as JSON.
        Output::Json => drop(output::json_line(record)),
        Output::Human => {
            let mut page = page.lock().unwrap_or_else(PoisonError::into_inner);
            page.lines(record).iter().for_each(|line| output::line(line));
        }
    }
}
