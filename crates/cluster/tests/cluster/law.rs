//! Over HTTP a control does what it does without.

use std::sync::Arc;

use flyball_cluster::{RemoteControl, RuntimeTransport, TransportConfig};
use flyball_core_agent::{RunId, StepId, TriggerEvent};
use flyball_journal::Decision;
use flyball_runtime::{Control, ControlError, Settlement};
use flyball_triggers::{Receipt, Refusal};
use serde_json::json;

use super::support::Fake;

async fn remote(token: Option<&str>) -> (RuntimeTransport, RemoteControl) {
    let token = token.map(str::to_owned);
    let addr = "127.0.0.1:0".parse().unwrap();
    let config = TransportConfig { addr, token: token.clone(), ..TransportConfig::default() };
    let transport = RuntimeTransport::serve(Arc::new(Fake::default()), config).await.unwrap();
    let remote = RemoteControl::new(&format!("http://{}", transport.local_addr()), token).unwrap();
    (transport, remote)
}

fn settlement(decision: Decision) -> Settlement {
    Settlement { run: RunId("r".into()), step: StepId::call(0, 0), decision, note: "looked it up".into() }
}

/// Everything that a control can be asked, with every kind of answer, in words.
async fn story(control: &dyn Control) -> Vec<String> {
    let event = || TriggerEvent::new("cron-1", "cron", chrono::DateTime::UNIX_EPOCH, json!({"b": [1, null]}));
    let mut story = Vec::new();
    macro_rules! ask {
        ($($question:expr),+ $(,)?) => { $(story.push(format!("{}: {:?}", stringify!($question), $question.await));)+ };
    }
    ask!(
        control.status(),
        control.start("monitor"),
        control.stop("monitor"),
        control.pause("monitor", "too late"),
        control.start("monitor"),
        control.pause("monitor", "lunch & \"rest\""),
        control.process_status("monitor"),
        control.resume("monitor"),
        control.pause("ärger & co/2?", "odd names travel too"),
        control.process_status("ärger & co/2?"),
        control.process_status("nobody"),
        control.start(".."),
        control.inject("nobody", event()),
        control.inject("busy", event()),
        control.inject("away", event()),
        control.inject("full-disk", event()),
        control.inject("broken-disk", event()),
        control.emit("alert.critical", "cli", json!({"a": 1})),
        control.emit("other", "other", json!(null)),
        control.publish("analysis.complete", "cli", json!("text")),
        control.publish("other", "other", json!([])),
        control.resolve("monitor", settlement(Decision::Happened { result: "done".into() })),
        control.resolve("monitor", settlement(Decision::Retry)),
        control.see_to_dead_letter("monitor", "dead", true, "mended"),
        control.see_to_dead_letter("monitor", "dead", false, ""),
        control.see_to_dead_letter("monitor", "alive", true, "mended"),
        control.command("monitor", "budget", "set", json!({"max": 3})),
        control.command("monitor", "budget", "show", json!(null)),
        control.command("monitor", "weather", "show", json!(null)),
        control.status(),
    );
    story
}

#[tokio::test]
async fn every_answer_is_the_same_over_http() {
    let (_transport, remote) = remote(Some("s3cret")).await;
    let (there, here) = (story(&remote).await, story(&Fake::default()).await);
    for (there, here) in there.iter().zip(&here) {
        assert_eq!(there, here);
    }
    assert_eq!(there.len(), here.len());
}

async fn an_event_sent_twice_is_one(control: &dyn Control) {
    let event = TriggerEvent::new("hook", "webhook", chrono::Utc::now(), json!(1));
    let first = control.inject("monitor", event.clone()).await.unwrap();
    let second = control.inject("monitor", event.clone()).await.unwrap();
    assert!(!first.duplicate);
    assert_eq!(second, Receipt { event_id: first.event_id, duplicate: true });
    let keyed = TriggerEvent { dedup_key: Some("k".into()), ..event };
    assert!(!control.inject("monitor", keyed.clone()).await.unwrap().duplicate);
    assert!(control.inject("monitor", keyed).await.unwrap().duplicate);
}

#[tokio::test]
async fn an_event_sent_twice_is_one_here_and_there() {
    an_event_sent_twice_is_one(&Fake::default()).await;
    let (_transport, remote) = remote(None).await;
    an_event_sent_twice_is_one(&remote).await;
}

#[tokio::test]
async fn errors_keep_their_kind_over_http() {
    let (_transport, remote) = remote(None).await;
    let event = || TriggerEvent::new("a", "b", chrono::Utc::now(), json!(1));
    let refused = remote.inject("busy", event()).await.unwrap_err();
    assert_eq!(refused, ControlError::Refused(Refusal::Full { waiting: 7 }));
    let unwanted = remote.inject("picky", event()).await.unwrap_err();
    assert_eq!(unwanted, ControlError::Refused(Refusal::Filtered { why: "filter_expression is false".into() }));
    assert_eq!(remote.inject("shallow", event()).await.unwrap_err(), ControlError::Refused(Refusal::TooDeep));
    let nobody = remote.process_status("nobody").await.unwrap_err();
    assert!(matches!(&nobody, ControlError::NotFound { name, known } if name == "nobody" && known.contains("monitor")));
}
