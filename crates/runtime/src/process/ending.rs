//! How a life ends: what is under way gets its time, and what it says last is heard.

use flyball_journal::{LifecycleState, TOO_OLD};

use super::commands::Answer;
use super::drive::Next;
use super::life::{End, Life};

impl Life {
    /// Ends in order: no more events, unless others still speak to it (`listen`); runs end at their next
    /// step, and what is under way gets its time.
    pub async fn stop(&mut self, why: &str, listen: bool, answer: Option<Answer<()>>) -> End {
        let _ = self.move_to(LifecycleState::Stopping, why);
        // It stops whatever its last runs want.
        self.wind_up(listen).await;
        self.stopped(why).await;
        End::Stopped { listen, answer }
    }

    /// Ends because it is too old, and is started anew, unless one of its last runs says that it shall not be.
    pub async fn start_anew(&mut self) -> End {
        let _ = self.move_to(LifecycleState::Stopping, TOO_OLD);
        match self.wind_up(true).await {
            Next::Stop { why, .. } => {
                self.stopped(&why).await;
                End::Stopped { listen: false, answer: None }
            }
            Next::Fail { why } => self.failed(why).await,
            Next::GoOn | Next::StartAnew => {
                self.stopped(TOO_OLD).await;
                End::TooOld
            }
        }
    }

    /// It cannot go on. That one of its last runs wants it to stop keeps it from being started again.
    pub async fn fail(&mut self, why: String) -> End {
        if let Next::Stop { why, .. } = self.wind_up(true).await {
            let _ = self.move_to(LifecycleState::Stopping, &why);
            self.stopped(&why).await;
            return End::Stopped { listen: false, answer: None };
        }
        self.failed(why).await
    }

    async fn stopped(&mut self, why: &str) {
        if let Err(error) = self.end(LifecycleState::Stopped, why).await {
            // An order to stop is obeyed all the same.
            tracing::error!(%error, "that the process has stopped could not be recorded");
        }
    }

    async fn failed(&mut self, why: String) -> End {
        let _ = self.end(LifecycleState::Failed, &why).await;
        End::Failed { why, had_success: self.had_success }
    }

    /// Lets no run begin, and those that are on come to an end. The answer is what the first of them says that
    /// ends the life.
    async fn wind_up(&mut self, listen: bool) -> Next {
        self.listeners.stop(listen).await;
        self.cancel.cancel();
        self.drain(listen).await
    }

    /// Gives what is under way its time. Whoever offers an event meanwhile is answered at once: it may
    /// be one of our own runs, or a process that is stopping too and waits for us.
    async fn drain(&mut self, listen: bool) -> Next {
        let mut said = Next::GoOn;
        let deadline = tokio::time::sleep(self.spec.drain_timeout);
        tokio::pin!(deadline);
        while !(self.runs.is_empty() && self.reception.is_quiet()) {
            tokio::select! {
                Some(ended) = self.runs.join_next() => said = said.or(self.run_ended(ended)),
                // What is on its way to the disk waits there for the next start.
                heard = self.reception.next() => {
                    if listen { self.reception.take(heard) } else { self.reception.refuse(heard) }
                }
                () = &mut deadline => break,
            }
        }
        // What is still on is cut off here as by a crash, and goes on at the next start.
        self.cut.cancel();
        while let Some(ended) = self.runs.join_next().await {
            said = said.or(self.run_ended(ended));
        }
        let ends = self.ends.take();
        said = said.or(self.see_to_all(ends));
        if !listen {
            self.reception.refuse_waiting();
        }
        said
    }
}
