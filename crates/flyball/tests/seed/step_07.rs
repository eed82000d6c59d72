//! Step 7: a mission that is judged, and what its end makes of the process.

use flyball::journal::LifecycleState;
use flyball::runtime::{AgentProcess, ProcessStatus};
use serde_json::{Value, json};

use crate::support::{ECHO, Receiver, World, fire, in_state, run_times, runs, until};

fn migrates(mission: &str) -> String {
    format!(
        r"
name: migrator
instructions: Migrate all database tables to v2 schema.
context: {{initial_state: {{tables: 0}}, conversation_history: false}}
triggers: [{{type: cron, cron_expression: '*/10 * * * *'}}]
mission:
  enabled: true
  objective: Migrate all database tables to v2 schema
  success_criteria: All tables pass v2 schema validation with zero errors
{mission}"
    )
}

/// An agent that migrates one table in each run, and a judge that wants three.
fn script(confidence: f64) -> String {
    let next = |from: u32| {
        let (seen, to) = (format!("\\[Context State\\]\\n\\{{\"tables\":{from}"), from + 1);
        format!("  - when: {{step: t0, shown: '{seen}'}}\n    call: [{{tool: set_state, args: {{key: tables, value: {to}}}}}]\n")
    };
    let verdict = |achieved: bool| {
        format!(
            "'{{\"achieved\": {achieved}, \"confidence\": {confidence}, \"reasoning\": \"by the state\", \
             \"progress_summary\": \"counted the tables\"}}'"
        )
    };
    format!(
        "rules:\n  - when: {{step: judge, event: '\"tables\":[3-9]'}}\n    say: {}\n  - when: {{step: judge}}\n    say: {}\n{}{}{}{}{}  - say: one more table\n",
        verdict(true),
        verdict(false),
        next(0),
        next(1),
        next(2),
        next(3),
        next(4),
    )
}

async fn started(mission: &str) -> (World, AgentProcess) {
    let world = World::new();
    world.script(&script(0.9));
    let process = world.start(&migrates(mission)).await;
    (world, process)
}

fn mission(status: &ProcessStatus) -> &str {
    status.layers["mission"]["state"].as_str().expect("it has a mission")
}

/// Facts of the mission, by name.
async fn facts(world: &World) -> Vec<String> {
    let reading = world.read("migrator").await;
    reading.notes("mission").iter().map(|note| note["event"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn the_objective_and_the_progress_are_shown_to_every_run() {
    let world = World::new();
    world.script(ECHO);
    let process = world.start(&migrates("  eval_every: 10\n  max_invocations: 50\n  timeout_hours: 24")).await;
    run_times(&process, 2).await;
    let reading = world.read("migrator").await;
    for (n, outcome) in reading.outcomes().iter().enumerate() {
        let expected = [
            "[Mission]\nObjective: Migrate all database tables to v2 schema",
            "Success criteria: All tables pass v2 schema validation with zero errors",
            &format!("Progress: {n}/50 runs completed"),
            "Deadline: 2026-03-03T08:58:00+00:00",
        ];
        for part in expected {
            assert!(outcome.reply.contains(part), "{part:?} is not in {}", outcome.reply);
        }
    }
}

#[tokio::test]
async fn the_judge_is_asked_after_every_third_run_and_a_mission_achieved_stops_the_process() {
    let (world, process) = started("  eval_every: 3\n  auto_complete: true\n  on_complete: stop").await;
    world.minutes(2);
    runs(&process, 1).await;
    world.minutes(10);
    runs(&process, 2).await;
    assert!(!world.read("migrator").await.turns().contains(&"judge"));
    world.minutes(10);
    let status = in_state(&process, LifecycleState::Stopped).await;
    assert_eq!((mission(&status), status.invocation_count), ("completed", 3));
    assert_eq!(status.reason, "mission complete");
    assert_eq!(facts(&world).await, ["started", "ran", "ran", "ran", "evaluated", "completed"]);
    let turns = world.read("migrator").await;
    assert_eq!(turns.turns().iter().filter(|step| **step == "judge").count(), 1);
}

#[tokio::test]
async fn a_mission_that_is_not_achieved_goes_on_and_is_judged_again() {
    let (world, process) = started("  eval_every: 2").await;
    let status = run_times(&process, 3).await;
    assert_eq!((mission(&status), status.state), ("active", LifecycleState::Awaiting));
    assert_eq!(status.layers["mission"]["last_evaluation"]["achieved"], false);
    fire(&process, json!({})).await;
    assert_eq!(mission(&in_state(&process, LifecycleState::Stopped).await), "completed");
    assert_eq!(facts(&world).await.iter().filter(|fact| *fact == "evaluated").count(), 2);
}

#[tokio::test]
async fn a_judge_that_is_not_sure_pauses_the_process_and_someone_is_told() {
    let receiver = Receiver::start().await;
    let world = World::new();
    world.script(&script(0.5));
    let escalation = format!("  confidence_threshold: 0.7\n  escalation: {{webhook_url: '{}'}}", receiver.url());
    let process = world.start(&migrates(&escalation)).await;
    run_times(&process, 1).await;
    let status = in_state(&process, LifecycleState::Suspended).await;
    assert!(status.reason.contains("confidence 0.50, below 0.70"), "{}", status.reason);
    assert_eq!(receiver.posted("mission.low_confidence").await["body"]["confidence"], 0.5);
}

#[tokio::test]
async fn a_mission_whose_time_is_over_has_failed_though_nothing_happens() {
    let (world, process) = started("  eval_every: 3\n  timeout_hours: 24").await;
    run_times(&process, 1).await;
    world.minutes(24 * 60 - 1);
    until(&process, "cron fired", |status| status.invocation_count == 2).await;
    assert!(process.status().state.is_alive());
    world.minutes(2);
    let status = in_state(&process, LifecycleState::Stopped).await;
    assert_eq!(mission(&status), "failed");
    assert_eq!(status.reason, "mission failed: timeout after 24 hours");
}

#[tokio::test]
async fn a_mission_with_too_many_runs_has_failed() {
    let (_world, process) = started("  eval_every: 10\n  max_invocations: 2").await;
    run_times(&process, 1).await;
    fire(&process, json!({})).await;
    let status = in_state(&process, LifecycleState::Stopped).await;
    assert_eq!(mission(&status), "failed");
    assert!(status.reason.contains("max_invocations 2"), "{}", status.reason);
}

#[tokio::test]
async fn on_complete_says_what_becomes_of_the_process() {
    let (world, process) = started("  eval_every: 3\n  on_complete: suspend").await;
    run_times(&process, 3).await;
    assert_eq!(mission(&in_state(&process, LifecycleState::Suspended).await), "completed");
    world.runtime.stop_all().await;

    let (_world, process) = started("  eval_every: 3\n  on_complete: continue").await;
    let status = run_times(&process, 4).await;
    assert_eq!((mission(&status), status.state), ("completed", LifecycleState::Awaiting));
}

#[tokio::test]
async fn without_auto_complete_an_operator_has_the_last_word() {
    let (_world, process) = started("  eval_every: 3\n  auto_complete: false").await;
    let status = run_times(&process, 3).await;
    assert_eq!((mission(&status), status.state), ("active", LifecycleState::Awaiting));
    assert_eq!(status.layers["mission"]["last_evaluation"]["achieved"], true);
    process.command("mission", "complete", json!({"reason": "seen"})).await.expect("it is on");
    assert_eq!(mission(&in_state(&process, LifecycleState::Stopped).await), "completed");
}

#[tokio::test]
async fn another_model_may_judge() {
    let world = World::new();
    world.script("rules: [{say: I have migrated everything}]");
    let judge: Value = json!({"achieved": true, "confidence": 1.0, "reasoning": "", "progress_summary": ""});
    world.file("judge.yaml", &format!("rules: [{{when: {{step: judge}}, say: '{judge}'}}]"));
    let process = world.start(&migrates("  eval_model: scripted:judge.yaml")).await;
    fire(&process, json!({})).await;
    assert_eq!(mission(&in_state(&process, LifecycleState::Stopped).await), "completed");
}

#[tokio::test]
async fn a_crash_does_not_set_the_mission_back() {
    let (world, process) = started("  eval_every: 3\n  max_invocations: 3").await;
    run_times(&process, 2).await;
    let later = world.after_a_crash();
    let process = later.start(&migrates("  eval_every: 3\n  max_invocations: 3")).await;
    fire(&process, json!({})).await;
    let status = in_state(&process, LifecycleState::Stopped).await;
    assert_eq!((mission(&status), status.invocation_count), ("completed", 3));
}
