//! Signatures that the vendors' own libraries make, installed on first use into the target directory.

use std::fs::{File, create_dir_all, remove_dir_all};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use flyball_core_agent::SystemClock;
use flyball_triggers::{SignatureScheme, WebhookTrigger};
use serde_json::{Value, json};

use crate::support::{running, signed, taken};

const PACKAGES: [&str; 2] = ["standardwebhooks@1.1.1", "stripe@23.1.0"];

/// Set to 1 where these tests must run, as in CI; elsewhere they are skipped if they cannot.
const REQUIRED: &str = "FLYBALL_REQUIRE_FOREIGN";

const BODY: &str = r#"{"id": "evt_1", "amount": "12 \u20ac", "note": "übermäßig"}"#;

/// Prints the headers that each library sends with the body in argument 1.
const SIGN: &str = r"
const body = process.argv[1];
const { Webhook } = require('standardwebhooks');
const stripe = require('stripe');
const Stripe = stripe.Stripe || stripe.default || stripe;
const now = new Date();
const standard = new Webhook('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw').sign('msg_1', now, body);
const header = new Stripe('sk_test_x').webhooks.generateTestHeaderString({ payload: body, secret: 'whsec_stripe' });
const seconds = Math.floor(now.getTime() / 1000);
console.log(JSON.stringify({ standard: `webhook-id: msg_1\nwebhook-timestamp: ${seconds}\nwebhook-signature: ${standard}`,
  stripe: `Stripe-Signature: ${header}` }));
";

#[tokio::test]
async fn what_the_vendors_libraries_sign_is_heard_and_nothing_else() {
    let headers = match signatures() {
        Ok(headers) => headers,
        Err(why) if std::env::var(REQUIRED).is_ok_and(|value| value == "1") => panic!("{REQUIRED}=1, but {why}"),
        Err(why) => return println!("SKIPPED: {why}"),
    };
    let cases = [
        (SignatureScheme::Standard, "standard", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "webhook-id:msg_1"),
        (SignatureScheme::Stripe, "stripe", "whsec_stripe", "stripe:evt_1"),
    ];
    for (scheme, vendor, secret, key) in cases {
        let trigger = WebhookTrigger::new(signed(scheme, &[secret]), Arc::new(SystemClock)).unwrap();
        let mut hook = running(trigger, Box::new(taken)).await;
        let head = format!("POST /pipeline-events\n{}", headers[vendor].as_str().unwrap());
        let forged = BODY.replace("12", "13");
        assert_eq!(hook.ask(&head, forged.as_bytes()).await.status, 401, "{vendor}");
        let answer = hook.ask(&head, BODY.as_bytes()).await;
        assert_eq!(answer.status, 202, "{vendor}: {}", answer.body);
        let event = hook.events.recv().await.unwrap();
        assert_eq!((event.dedup_key.as_deref(), &event.payload["amount"]), (Some(key), &json!("12 €")), "{vendor}");
    }
}

fn signatures() -> Result<Value, String> {
    let folder = installed()?;
    let output = run(Command::new("node").current_dir(&folder).args(["-e", SIGN, BODY]))?;
    serde_json::from_slice(&output.stdout).map_err(|error| format!("node printed no JSON: {error}"))
}

/// The folder with both libraries, beside what cargo builds.
fn installed() -> Result<PathBuf, String> {
    for program in ["node", "npm"] {
        run(Command::new(program).arg("--version")).map_err(|why| format!("{program} is missing: {why}"))?;
    }
    let test = std::env::current_exe().map_err(|error| error.to_string())?;
    let tools = test.ancestors().nth(3).ok_or("tests lie in target/PROFILE/deps")?.join("tools");
    let folder = tools.join("webhook-vendors");
    prepare(&tools, &folder).map_err(|why| format!("{}: the installation failed: {why}", folder.display()))?;
    Ok(folder)
}

fn prepare(tools: &Path, folder: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    create_dir_all(tools).map_err(failed)?;
    // Tests run side by side, in processes of their own; one installs.
    let lock = File::create(tools.join("webhook-vendors.lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let complete = folder.join("complete");
    if complete.exists() {
        return Ok(());
    }
    // What an installation that was cut off left behind is no good.
    if folder.exists() {
        remove_dir_all(folder).map_err(failed)?;
    }
    let options = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
    run(Command::new("npm").args(options).arg(folder).args(PACKAGES))?;
    File::create(complete).map_err(failed)?;
    Ok(())
}

fn run(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}", output.status, said.lines().rev().take(3).collect::<Vec<_>>().join(" | ")))
}
