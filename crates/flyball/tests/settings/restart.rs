//! After what a manifest has a process started again, and after what nothing does.

use flyball::journal::LifecycleState;
use serde_json::json;

use crate::support::{World, fire, until};

/// No rule ever answers, so every run fails.
const FAILS: &str = "rules: [{when: {step: never}, say: x}]";

const TWO_CALLS: &str = "
rules:
  - when: {step: t0}
    call: [{tool: emit_event, args: {event_type: news}}, {tool: emit_event, args: {event_type: news}}]
  - say: that is all
";

fn policy(word: &str) -> String {
    format!("config: {{restart_policy: {word}, max_consecutive_failures: 1, max_restarts: 1, restart_backoff: 0.01}}")
}

#[tokio::test]
async fn always_and_on_failure_start_a_process_again_that_failed_and_never_does_not() {
    for (word, restarts) in [("never", 0), ("on_failure", 1), ("always", 1)] {
        let world = World::new();
        world.script(FAILS);
        let process = world.start(&format!("name: failing\n{}", policy(word))).await;
        for life in 0..=restarts {
            let what = format!("{word}: life {life}");
            until(&process, &what, |status| status.restart_count == life && status.state == LifecycleState::Awaiting).await;
            fire(&process, json!({})).await;
        }
        let status = until(&process, &format!("{word}: it is given up"), |status| status.given_up).await;
        assert_eq!((status.state, status.restart_count), (LifecycleState::Failed, restarts), "{word}");
    }
}

#[tokio::test]
async fn a_process_that_was_told_to_stop_is_not_started_again_not_even_by_always() {
    for word in ["never", "on_failure", "always"] {
        let world = World::new();
        world.script(TWO_CALLS);
        let budget = "budget: {enabled: true, max_tool_calls_per_run: 1, on_exceeded: stop}";
        let process = world.start(&format!("name: spender\n{}\n{budget}", policy(word))).await;
        fire(&process, json!({})).await;
        // Over is what nothing will start by itself.
        until(&process, &format!("{word}: it stays stopped"), |status| status.over && status.state == LifecycleState::Stopped)
            .await;
        process.start().await.expect("an operator starts it");
        process.stop().await.expect("and stops it");
        let status = until(&process, &format!("{word}: it stays so"), |status| status.over).await;
        assert_eq!((status.state, status.restart_count), (LifecycleState::Stopped, 0), "{word}");
    }
}
