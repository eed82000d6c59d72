//! What an operator says of a call in doubt, and what its run does then: told to a running instance, and written
//! down while none runs.

use flyball_journal::{Decision, Entry};
use serde_json::{Value, json};

use crate::binary::{LONG, Live, Scene, eventually, till};

const AGENT: &str = r#"
name: payer
model: "scripted:script.yaml"
servers: {till: {command: ./till, cwd: .}}
triggers: [{type: event, event_type: bill}]
"#;

/// It pays, and then tells what the till said.
const SCRIPT: &str = r#"
rules:
  - when: {step: t0}
    call: [{tool: pay, args: {amount: 7}}]
  - when: {after: pay, result: '(?s)(?<said>.*)'}
    say: 'the till said: {{said}}'
"#;

/// An agent whose only call was taken by a server that died of it.
struct Bill {
    scene: Scene,
    live: Option<Live>,
    /// How the call is named.
    id: String,
}

impl Bill {
    fn in_doubt() -> Self {
        let scene = Scene::empty();
        scene.write("payer.agent", AGENT);
        scene.write("script.yaml", SCRIPT);
        till::write(&scene.example(), "{}", "exit 3");
        let live = up(&scene);
        scene.ask(&["emit", "bill"]).with_code(0);
        let held = || scene.ask_json(&["ps"])["processes"]["payer"]["held_runs"].as_object().map(serde_json::Map::len);
        eventually(LONG, || (held() == Some(1)).then_some(())).expect("the run is held");
        let told = scene.ask_json(&["indoubt"]);
        assert_eq!((&told[0]["tool"], &told[0]["args"]), (&json!("pay"), &json!({"amount": 7})), "{told}");
        let id = told[0]["id"].as_str().expect("it has a name").to_owned();
        Self { scene, live: Some(live), id }
    }

    /// Ends the instance in order.
    fn stop(&mut self) {
        let live = self.live.take().expect("it runs");
        live.signal("TERM");
        live.end(LONG).with_code(0);
    }

    /// `flyball resolve` with this decision and a note, and the answer.
    fn resolve(&self, decision: &[&str]) -> Value {
        let args = [&["resolve", &self.id], decision, &["--note", "I looked it up"]].concat();
        self.scene.ask_json(&args)
    }

    /// Waits until no event is open, and gives what became of them and what the run said last.
    fn end(&self) -> (Value, Option<String>) {
        let shown = || Some(self.scene.ask_json(&["ps"])["processes"]["payer"].clone());
        let payer = eventually(LONG, || shown().filter(|payer| payer["open_events"] == 0)).expect("the run has an end");
        let said = self.scene.records().into_iter().rev().find_map(|record| match record.entry {
            Entry::InvocationResult { outcome, .. } => Some(outcome.reply),
            _ => None,
        });
        (payer["events"].clone(), said)
    }

    /// The decisions that are written down, each with its note.
    fn decided(&self) -> Vec<(Decision, String)> {
        let decided = self.scene.records().into_iter().filter_map(|record| match record.entry {
            Entry::Settled { decision, note, .. } => Some((decision, note)),
            _ => None,
        });
        decided.collect()
    }
}

fn up(scene: &Scene) -> Live {
    let mut live = Live::start(&mut scene.run());
    live.says("ready");
    live
}

/// What an operator can say, what is written down of it, how often the till was called in all, and what the agent
/// says at the end, if its run comes to one.
fn decisions() -> [(Vec<&'static str>, Decision, usize, Option<&'static str>); 5] {
    let happened = |result: &str| Decision::Happened { result: result.to_owned() };
    [
        (vec!["--happened"], happened("done"), 1, Some("the till said: done")),
        (
            vec!["--happened", "--result", r#"{"receipt":7}"#],
            happened(r#"{"receipt":7}"#),
            1,
            Some(r#"the till said: {"receipt":7}"#),
        ),
        (vec!["--did-not-happen"], Decision::DidNotHappen, 2, Some("the till said: paid again")),
        (vec!["--retry"], Decision::Retry, 2, Some("the till said: paid again")),
        (vec!["--abort"], Decision::Abort, 1, None),
    ]
}

fn settled(bill: &Bill, (args, decision, calls, says): (Vec<&str>, Decision, usize, Option<&str>)) {
    let (events, said) = bill.end();
    assert_eq!(said.as_deref(), says, "{args:?}");
    assert_eq!(till::calls(&bill.scene.example()), calls, "{args:?}");
    let (completed, cancelled) = if says.is_some() { (1, 0) } else { (0, 1) };
    assert_eq!((&events["completed"], &events["cancelled"]), (&json!(completed), &json!(cancelled)), "{args:?}: {events}");
    assert_eq!(bill.decided(), [(decision, "I looked it up".to_owned())], "{args:?}");
    assert_eq!(bill.scene.ask_json(&["indoubt"]), json!([]), "{args:?}");
}

#[test]
fn a_running_instance_does_at_once_what_is_decided() {
    for case in decisions() {
        let bill = Bill::in_doubt();
        let told = bill.resolve(&case.0);
        assert_eq!((&told["live"], &told["when"]), (&json!(true), &json!("now")), "{told}");
        assert_eq!(told["decision"], serde_json::to_value(&case.1).expect("it is JSON"));
        settled(&bill, case);
    }
}

#[test]
fn the_next_run_does_what_was_decided_while_nobody_ran() {
    for case in decisions() {
        let mut bill = Bill::in_doubt();
        bill.stop();
        let told = bill.resolve(&case.0);
        assert_eq!((&told["live"], &told["when"]), (&json!(false), &json!("at the next `flyball run`")), "{told}");
        assert_eq!(till::calls(&bill.scene.example()), 1, "nothing is done yet");
        bill.live = Some(up(&bill.scene));
        settled(&bill, case);
    }
}

#[test]
fn what_was_decided_is_told_in_words_and_not_decided_twice() {
    let bill = Bill::in_doubt();
    // The beginning of a name is enough where it names one call only.
    let told = bill.scene.ask(&["resolve", &bill.id[..12], "--abort"]).with_code(0).stdout;
    assert_eq!(told, "pay: recorded; the run of payer is given up\n");
    bill.end();
    let again = super::complaint(&bill.scene, &["resolve", &bill.id, "--retry"], 1);
    assert!(again.contains("no call in doubt is named"), "{again}");
    assert_eq!(bill.decided(), [(Decision::Abort, String::new())]);
    let why = bill.scene.ask(&["why", "payer"]).with_code(0).stdout;
    assert!(why.contains("last run") && !why.contains("in doubt  "), "{why}");
}

#[test]
fn what_was_decided_while_nobody_ran_is_not_told_as_waiting_for_a_word() {
    let mut bill = Bill::in_doubt();
    bill.stop();
    let ask = |bill: &Bill, args: &[&str]| bill.scene.ask(args).with_code(0).stdout;
    let run = bill.scene.ask_json(&["runs"])[0]["run"].as_str().expect("a run").to_owned();
    assert!(ask(&bill, &["why", &run]).contains(": held, "), "{run}");
    bill.resolve(&["--did-not-happen"]);
    for (args, said) in [
        (["why", "payer"], format!("  decided   run {run}: goes on at the next `flyball run`\n")),
        (["why", &run], format!("run {run} of payer: decided; it goes on at the next `flyball run`, ")),
        (["runs", "payer"], " decided goes on at the next `flyball run`\n".to_owned()),
    ] {
        let told = ask(&bill, &args);
        let squeezed = told.replace("decided  goes", "decided goes");
        assert!(squeezed.contains(&said) && !told.contains("in doubt  ") && !told.contains("  held "), "{args:?}: {told}");
    }
    bill.live = Some(up(&bill.scene));
    bill.end();
    assert!(ask(&bill, &["why", &run]).contains(": ok, "), "{run}");
}
