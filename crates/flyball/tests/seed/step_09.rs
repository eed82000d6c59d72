//! Step 9: many agents by name, with a bus and a broker that the program brings.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use flyball::journal::LifecycleState;
use flyball::manifest::{load_directory, process_env};
use flyball::runtime::Control;
use flyball::triggers::{
    BusEvent, Delivery, Error, EventBus, Handled, Handler, InProcessBroker, InProcessBus, Message, MessageBroker, Pattern,
    Subscription,
};
use serde_json::json;

use crate::support::{World, fire, in_state, runs};

/// Someone else's way to carry things: it counts them, and hands them out one after the other.
struct Carrier<T> {
    listeners: Listeners<T>,
    carried: AtomicUsize,
}

type Listeners<T> = Arc<Mutex<Vec<(usize, Pattern, Arc<dyn Handler<T>>)>>>;

impl<T: Clone + Send + 'static> Carrier<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self { listeners: Listeners::default(), carried: AtomicUsize::new(0) })
    }

    fn add(&self, pattern: &Pattern, handler: Arc<dyn Handler<T>>) -> Subscription {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let listeners = Arc::clone(&self.listeners);
        listeners.lock().expect("no holder panics").push((number, pattern.clone(), handler));
        Subscription::new(move || listeners.lock().expect("no holder panics").retain(|(other, ..)| *other != number))
    }

    async fn carry(&self, topic: &str, item: T) -> Delivery {
        self.carried.fetch_add(1, Ordering::Relaxed);
        let listeners = self.listeners.lock().expect("no holder panics").clone();
        let mut delivery = Delivery::default();
        for (_, _, handler) in listeners.into_iter().filter(|(_, pattern, _)| pattern.matches(topic)) {
            match handler.handle(item.clone()).await {
                Ok(Handled::Taken) => delivery.taken += 1,
                Ok(Handled::Ignored) => {}
                Err(why) => delivery.failures.push(why),
            }
        }
        delivery
    }
}

#[async_trait]
impl EventBus for Carrier<BusEvent> {
    async fn subscribe(&self, pattern: &Pattern, handler: Arc<dyn Handler<BusEvent>>) -> Result<Subscription, Error> {
        Ok(self.add(pattern, handler))
    }

    async fn emit(&self, event: BusEvent) -> Result<Delivery, Error> {
        Ok(self.carry(&event.event_type.clone(), event).await)
    }
}

#[async_trait]
impl MessageBroker for Carrier<Message> {
    async fn subscribe(&self, pattern: &Pattern, handler: Arc<dyn Handler<Message>>) -> Result<Subscription, Error> {
        Ok(self.add(pattern, handler))
    }

    async fn publish(&self, message: Message) -> Result<Delivery, Error> {
        Ok(self.carry(&message.topic.clone(), message).await)
    }
}

const AGENTS: [(&str, &str); 3] = [
    (
        "monitor",
        "instructions: Monitor pipelines. Emit 'alert.critical' events on failures.
triggers: [{type: cron, cron_expression: '*/5 * * * *'}]",
    ),
    (
        "analyst",
        "instructions: Analyze alerts and determine root cause.
triggers: [{type: event, event_type: alert.critical}]",
    ),
    (
        "responder",
        "instructions: Execute remediation based on analysis.
triggers: [{type: message, topic: analysis.complete}]",
    ),
];

const SCRIPT: &str = r#"
rules:
  - when: {process: monitor, step: t0}
    call: [{tool: emit_event, args: {event_type: alert.critical, data: {pipeline: weather}}}]
  - when: {process: analyst, step: t0, event: '"pipeline": "(?<name>\w+)"'}
    call: [{tool: publish_message, args: {topic: analysis.complete, content: {cause: "{{name}} is late"}}}]
  - when: {process: responder, event: '"cause": "(?<cause>[^"]*)"'}
    say: "mended: {{cause}}"
  - say: done
"#;

fn with_three_agents(world: World) -> World {
    world.script(SCRIPT);
    for (name, rest) in AGENTS {
        world.add(&format!("name: {name}\n{rest}"));
    }
    world
}

async fn the_chain_runs(world: &World) {
    assert!(world.runtime.start_all().await.is_empty());
    world.minutes(2);
    let responder = world.runtime.get_process("responder").expect("it is there");
    runs(&responder, 1).await;
    let reading = world.read("responder").await;
    assert_eq!(reading.last_reply(), "mended: weather is late");
    let message = reading.events()[0];
    assert_eq!((&message.payload["sender"], &message.payload["topic"]), (&json!("analyst"), &json!("analysis.complete")));
    assert_eq!(message.cause.as_ref().map(|cause| (cause.process.as_str(), cause.hops)), Some(("analyst", 2)));
}

#[tokio::test]
async fn three_agents_wake_each_other_over_the_bus_and_the_broker() {
    let world = with_three_agents(World::new());
    the_chain_runs(&world).await;
    assert_eq!(world.read("analyst").await.events()[0].payload["source"], "monitor");
}

#[tokio::test]
async fn a_program_may_bring_its_own_bus_and_broker() {
    let (bus, broker) = (Carrier::<BusEvent>::new(), Carrier::<Message>::new());
    let world = with_three_agents(World::with(bus.clone(), broker.clone()));
    the_chain_runs(&world).await;
    assert_eq!((bus.carried.load(Ordering::Relaxed), broker.carried.load(Ordering::Relaxed)), (1, 1));
    world.runtime.stop_all().await;
    assert!(bus.listeners.lock().expect("no holder panics").is_empty());
    assert!(broker.listeners.lock().expect("no holder panics").is_empty());
}

#[tokio::test]
async fn two_runtimes_may_share_a_bus() {
    let bus: Arc<dyn EventBus> = Arc::new(InProcessBus::default());
    let here = World::with(Arc::clone(&bus), Arc::new(InProcessBroker::default()));
    let there = World::with(bus, Arc::new(InProcessBroker::default()));
    here.script(SCRIPT);
    there.script("rules: [{say: heard over there}]");
    let monitor = here.start("name: monitor").await;
    let analyst = there.start("name: analyst\ntriggers: [{type: event, event_type: alert.critical}]").await;
    fire(&monitor, json!({})).await;
    runs(&analyst, 1).await;
}

#[tokio::test]
async fn the_status_shows_every_process_by_name_with_its_state_and_counts() {
    let world = with_three_agents(World::new());
    let before = world.runtime.status().await;
    assert_eq!(before.process_count, 3);
    assert!(before.processes.values().all(|process| process.state == LifecycleState::Created));
    the_chain_runs(&world).await;
    for process in world.runtime.processes() {
        in_state(&process, LifecycleState::Awaiting).await;
    }
    let status = serde_json::to_value(world.runtime.status().await).expect("plain data");
    assert_eq!(status["process_count"], 3);
    for (name, _) in AGENTS {
        assert_eq!(status["processes"][name]["state"], "awaiting", "{name}");
        assert_eq!(status["processes"][name]["invocation_count"], 1, "{name}");
        assert_eq!(status["processes"][name]["consecutive_failures"], 0, "{name}");
        assert!(status["processes"][name]["uptime_seconds"].is_number(), "{name}");
    }
    let one = world.runtime.process_status("monitor").await.expect("it is there");
    assert_eq!(serde_json::to_value(one).expect("plain data"), status["processes"]["monitor"]);
    assert!(world.runtime.process_status("nobody").await.is_err());
}

#[tokio::test]
async fn processes_are_started_and_stopped_one_by_one_and_all_together() {
    let world = with_three_agents(World::new());
    world.runtime.start("analyst").await.expect("it starts");
    assert!(world.runtime.start("analyst").await.is_err(), "it is alive already");
    assert!(world.runtime.start_all().await.is_empty(), "the others start");
    world.runtime.stop("monitor").await.expect("it stops");
    let state = |name: &str| world.runtime.get_process(name).expect("it is there").status().state;
    assert_eq!((state("monitor"), state("analyst")), (LifecycleState::Stopped, LifecycleState::Awaiting));
    world.runtime.stop_all().await;
    assert!(AGENTS.iter().all(|(name, _)| state(name) == LifecycleState::Stopped));
}

#[tokio::test]
async fn agents_are_loaded_from_a_directory_of_manifests() {
    let world = World::new();
    world.script(SCRIPT);
    for (name, rest) in AGENTS {
        world.file(&format!("{name}.agent"), &format!("name: {name}\nmodel: scripted:model.yaml\n{rest}\n"));
    }
    let loaded = load_directory(world.dir(), &process_env).expect("good manifests");
    let names: Vec<&str> = loaded.manifests.iter().map(|manifest| manifest.name.as_str()).collect();
    assert_eq!(names, ["analyst", "monitor", "responder"], "in the order of their files");
    for manifest in &loaded.manifests {
        world.add_manifest(manifest);
    }
    the_chain_runs(&world).await;
}
