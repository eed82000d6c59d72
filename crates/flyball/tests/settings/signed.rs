//! Webhooks that a manifest protects, with the real program: who signs, who may send, how late and how much.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flyball_core_agent::TriggerEvent;
use flyball_journal::Entry;
use hmac::{Hmac, Mac};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::binary::{LONG, Live, Scene, eventually};
use crate::support::free_port;

/// One after the other: the key that senders have now, and the one before it.
const KEYS: [&[u8]; 2] = [b"the new key of the bank, 32 bytes", b"the old key of the bank, 32 bytes"];
const FORGE_KEY: &[u8] = b"the forge's key";

/// Two hours may lie between a signature and now, and half a kilobyte may be in a body: neither is the default.
const MANIFEST: &str = r#"
name: door
model: "scripted:script.yaml"
triggers:
  - type: webhook
    webhook_path: /bank
    webhook_port: PORT
    hmac_secret: ["${BANK_NEW}", "${BANK_OLD}"]
    signature_scheme: standard
    signature_tolerance: 7200
    allowed_sources: [127.0.0.0/8]
    webhook_max_body_bytes: 512
  - type: webhook
    webhook_path: /forge
    webhook_port: PORT
    hmac_secret: "${FORGE}"
    signature_scheme: github
  - type: webhook
    webhook_path: /own
    webhook_port: PORT
    hmac_secret: "${FORGE}"
    signature_header: X-Own-Signature
    signature_tolerance: 1
  - type: webhook
    webhook_path: /elsewhere
    webhook_port: PORT
    hmac_secret: "${FORGE}"
    signature_scheme: github
    allowed_sources: [10.0.0.0/8, 192.168.1.1]
"#;

/// The program with these webhooks.
struct Door {
    scene: Scene,
    _live: Live,
    port: u16,
    client: reqwest::Client,
}

impl Door {
    fn open(manifest: &str) -> Self {
        let (scene, port) = (Scene::empty(), free_port());
        scene.write("door.agent", &manifest.replace("PORT", &port.to_string()));
        scene.write("script.yaml", "rules: [{say: noted}]");
        let [new, old] = KEYS.map(|key| format!("whsec_{}", STANDARD.encode(key)));
        let mut run = scene.run();
        run.env("BANK_NEW", new).env("BANK_OLD", old).env("FORGE", String::from_utf8_lossy(FORGE_KEY).as_ref());
        let live = Live::start(&mut run);
        eventually(LONG, || scene.ask(&["ps"]).stdout.contains("awaiting").then_some(())).expect("it is up");
        flyball_core_agent::install_tls_provider();
        Self { scene, _live: live, port, client: reqwest::Client::new() }
    }

    fn to(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("http://127.0.0.1:{}{path}", self.port))
    }

    /// A delivery to the bank's webhook, signed with `key` so many seconds ago.
    fn bank(&self, id: &str, key: &[u8], ago: u64, body: &str) -> RequestBuilder {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
        let at = (now - ago).to_string();
        let signature = STANDARD.encode(mac(key, &format!("{id}.{at}.{body}")));
        let request = self.to("/bank").header("webhook-id", id).header("webhook-timestamp", at);
        request.header("webhook-signature", format!("v1,{signature}")).body(body.to_owned())
    }

    /// The events that were taken in.
    fn events(&self) -> Vec<TriggerEvent> {
        let events = self.scene.records().into_iter().filter_map(|record| match record.entry {
            Entry::TriggerEvent { event, .. } => Some(event),
            _ => None,
        });
        events.collect()
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

/// As GitHub and the generic scheme write it.
fn hex(key: &[u8], body: &str) -> String {
    format!("sha256={}", mac(key, body).iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// The status and the words of the answer.
async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("it answers");
    let status = answer.status().as_u16();
    (status, answer.json().await.expect("it answers in JSON"))
}

async fn status(request: RequestBuilder) -> u16 {
    answer(request).await.0
}

#[tokio::test]
async fn a_signed_delivery_is_taken_once_with_either_of_two_keys_and_no_other() {
    let door = Door::open(MANIFEST);
    let (status, first) = answer(door.bank("msg_1", KEYS[0], 0, r#"{"paid": 7}"#)).await;
    assert_eq!(status, 202, "{first}");
    let again = answer(door.bank("msg_1", KEYS[0], 0, r#"{"paid": 7}"#)).await;
    assert_eq!(again, (200, json!({"status": "accepted", "event_id": first["event_id"], "duplicate": true})));
    assert_eq!(self::status(door.bank("msg_2", KEYS[1], 0, r#"{"paid": 8}"#)).await, 202, "the key before is good too");

    let stranger = answer(door.bank("msg_3", b"a key that nobody gave it", 0, "{}")).await;
    assert_eq!(stranger, (401, json!({"error": "webhook-signature is missing or wrong"})));
    assert_eq!(self::status(door.bank("msg_4", KEYS[0], 0, "{}").body("{ }")).await, 401, "another body was signed");
    assert_eq!(self::status(door.to("/bank").body("{}")).await, 401, "nothing was signed");

    let events = door.events();
    let payloads: Vec<&Value> = events.iter().map(|event| &event.payload).collect();
    assert_eq!(payloads, [&json!({"paid": 7}), &json!({"paid": 8})]);
    assert!(events.iter().all(|event| event.metadata["signature_verified"] == true), "{events:?}");
}

#[tokio::test]
async fn a_signature_may_be_as_old_as_the_manifest_says_and_no_older() {
    let door = Door::open(MANIFEST);
    assert_eq!(status(door.bank("msg_1", KEYS[0], 3_600, "{}")).await, 202, "an hour is less than two");
    let (status, told) = answer(door.bank("msg_2", KEYS[0], 4 * 3_600, "{}")).await;
    assert!(status == 401 && told["error"].as_str().is_some_and(|why| why.contains("outside of the tolerance")), "{told}");
}

#[tokio::test]
async fn a_delivery_as_github_signs_it_is_taken_once() {
    let door = Door::open(MANIFEST);
    let push = |signature: String| {
        let request = door.to("/forge").header("x-github-delivery", "d-1").header("x-github-event", "push");
        request.header("x-hub-signature-256", signature).body("{}")
    };
    assert_eq!(status(push(hex(b"a guess", "{}"))).await, 401);
    let (status, first) = answer(push(hex(FORGE_KEY, "{}"))).await;
    assert_eq!(status, 202, "{first}");
    let again = answer(push(hex(FORGE_KEY, "{}"))).await;
    assert_eq!(again, (200, json!({"status": "accepted", "event_id": first["event_id"], "duplicate": true})));
}

#[tokio::test]
async fn a_signature_is_looked_for_in_the_header_that_the_manifest_names() {
    let door = Door::open(MANIFEST);
    let usual = door.to("/own").header("x-webhook-signature", hex(FORGE_KEY, "{}")).body("{}");
    assert_eq!(answer(usual).await, (401, json!({"error": "x-own-signature is missing or wrong"})));
    assert_eq!(status(door.to("/own").header("x-own-signature", hex(FORGE_KEY, "{}")).body("{}")).await, 202);
}

#[tokio::test]
async fn who_sends_from_elsewhere_or_sends_too_much_is_refused_though_he_signs() {
    let door = Door::open(MANIFEST);
    let elsewhere = door.to("/elsewhere").header("x-hub-signature-256", hex(FORGE_KEY, "{}")).body("{}");
    assert_eq!(answer(elsewhere).await, (403, json!({"error": "this address may not send here"})));
    let large = json!("x".repeat(600)).to_string();
    let (status, told) = answer(door.bank("msg_1", KEYS[0], 0, &large)).await;
    assert_eq!((status, told), (413, json!({"error": "the body may have 512 bytes"})));
    let fits = json!("x".repeat(500)).to_string();
    assert_eq!(self::status(door.bank("msg_1", KEYS[0], 0, &fits)).await, 202);
}

#[tokio::test]
async fn what_others_can_reach_needs_a_signature_or_a_word_that_it_needs_none() {
    let everywhere = "name: door\nmodel: \"scripted:script.yaml\"\ntriggers:\n  - {type: webhook, webhook_port: PORT, webhook_host: 0.0.0.0, auth: none}\n";
    let door = Door::open(everywhere);
    assert_eq!(status(door.to("/webhook").body("{}")).await, 202);
    let scene = Scene::empty();
    scene.write("script.yaml", "rules: [{say: noted}]");
    scene.write("door.agent", &everywhere.replace("PORT", &free_port().to_string()).replace(", auth: none", ""));
    let refused = crate::binary::finish(&mut scene.run(), LONG);
    assert!(refused.code != Some(0) && refused.stderr.contains("set hmac_secret"), "{}", refused.stderr);
}

#[tokio::test]
async fn no_key_of_a_webhook_is_written_anywhere() {
    let door = Door::open(MANIFEST);
    assert_eq!(status(door.bank("msg_1", KEYS[1], 0, "{}")).await, 202);
    let records = serde_json::to_string(&door.scene.records()).expect("records are JSON");
    let said = door.scene.ask(&["status", "-o", "json"]).with_code(0).stdout;
    for key in KEYS.map(|key| STANDARD.encode(key)).into_iter().chain([String::from_utf8_lossy(FORGE_KEY).into_owned()]) {
        assert!(!records.contains(&key) && !said.contains(&key), "{key}");
    }
}
