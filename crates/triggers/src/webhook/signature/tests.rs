//! Answers that are known from each scheme's own documentation, or were made with openssl.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{SignatureScheme as Scheme, Signed, Unsigned};
use crate::Secret;

struct Sample {
    scheme: Scheme,
    secret: &'static str,
    headers: Vec<(&'static str, String)>,
    body: &'static str,
    /// When it was signed; 0 where no time is signed.
    at: i64,
}

const SLACK_BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
    &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
    &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
    &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";

fn samples() -> Vec<Sample> {
    let sample = |scheme, secret, at, body, headers: &[(&'static str, &str)]| Sample {
        scheme,
        secret,
        headers: headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        body,
        at,
    };
    let github = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let stripe = "t=1492774577,v1=7656fc2882a7ca0a651666b36bf2f2f22ee204f54f608f227498a2419f2890b2,v0=6ffbb59b";
    let standard = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    vec![
        sample(
            Scheme::Generic,
            "s3cret",
            0,
            "{}",
            &[("x-webhook-signature", "sha256=adbde1ce40c89c14215687d5d762a47df6dfaefcfad61e2e86718ffc8498571b")],
        ),
        sample(Scheme::Github, "It's a Secret to Everybody", 0, "Hello, World!", &[("x-hub-signature-256", github)]),
        sample(Scheme::Stripe, "whsec_test", 1_492_774_577, r#"{"id":"evt_1"}"#, &[("stripe-signature", stripe)]),
        sample(
            Scheme::Standard,
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            &[
                ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                ("webhook-timestamp", "1614265330"),
                ("webhook-signature", standard),
            ],
        ),
        sample(
            Scheme::Slack,
            "8f742231b10e8888abcd99yyyzzz85a5",
            1_531_420_618,
            SLACK_BODY,
            &[
                ("x-slack-request-timestamp", "1531420618"),
                ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
            ],
        ),
        sample(Scheme::Telegram, "Open-Sesame_7", 0, "{}", &[("x-telegram-bot-api-secret-token", "Open-Sesame_7")]),
    ]
}

impl Sample {
    fn ask<T>(&self, secrets: &[&str], now: i64, then: impl Fn(&Signed<'_>) -> T) -> T {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
        let header = self.scheme.header();
        then(&Signed { headers: &headers, body: self.body.as_bytes(), secrets: &secrets, header, now, tolerance: 300 })
    }

    fn verify(&self, now: i64) -> Result<(), Unsigned> {
        self.ask(&[self.secret], now, |signed| self.scheme.verify(signed))
    }
}

#[test]
fn what_the_vendors_print_as_signed_is_signed() {
    for sample in samples() {
        assert_eq!(sample.verify(sample.at), Ok(()), "{:?}", sample.scheme);
    }
}

#[test]
fn another_body_another_secret_and_a_missing_header_are_refused() {
    for mut sample in samples() {
        let scheme = sample.scheme;
        let other = if scheme == Scheme::Standard { "b3RoZXI=" } else { "other" };
        assert_eq!(sample.ask(&[other], sample.at, |signed| scheme.verify(signed)), Err(Unsigned::Wrong), "{scheme:?}");
        assert_eq!(sample.ask(&[], sample.at, |signed| scheme.verify(signed)), Err(Unsigned::Wrong), "{scheme:?}");
        for header in 0..sample.headers.len() {
            let missing = sample.headers.remove(header);
            assert_eq!(sample.verify(sample.at), Err(Unsigned::Wrong), "{scheme:?} without {missing:?}");
            sample.headers.insert(header, missing);
        }
        // Nothing but the token is held against the secret.
        if scheme != Scheme::Telegram {
            sample.body = "something else";
            assert_eq!(sample.verify(sample.at), Err(Unsigned::Wrong), "{scheme:?}");
        }
    }
}

#[test]
fn each_changed_character_of_a_header_is_noticed() {
    for mut sample in samples() {
        for header in 0..sample.headers.len() {
            let whole = sample.headers[header].1.clone();
            // Stripe's `v0` is not looked at.
            let looked_at = whole.find(",v0=").unwrap_or(whole.len());
            for at in 0..looked_at {
                let mut changed = whole.clone();
                let with = if whole.as_bytes()[at] == b'3' { "4" } else { "3" };
                changed.replace_range(at..=at, with);
                sample.headers[header].1 = changed;
                assert!(sample.verify(sample.at).is_err(), "{:?}: byte {at} of {whole}", sample.scheme);
            }
            sample.headers[header].1 = whole;
        }
    }
}

#[test]
fn an_old_and_a_future_timestamp_are_stale() {
    for sample in samples().into_iter().filter(|sample| sample.at != 0) {
        for near in [-300, 0, 300] {
            assert_eq!(sample.verify(sample.at + near), Ok(()), "{:?} {near}", sample.scheme);
        }
        for far in [-301, 301, i64::from(i32::MAX)] {
            assert_eq!(sample.verify(sample.at + far), Err(Unsigned::Stale), "{:?} {far}", sample.scheme);
        }
    }
}

#[test]
fn one_of_several_secrets_is_enough() {
    for sample in samples() {
        let scheme = sample.scheme;
        for secrets in [["bmV4dA==", sample.secret], [sample.secret, "bmV4dA=="]] {
            assert_eq!(sample.ask(&secrets, sample.at, |signed| scheme.verify(signed)), Ok(()), "{scheme:?}");
        }
    }
}

#[test]
fn one_of_several_signatures_is_enough_and_two_timestamps_are_too_many() {
    let zeros = "0".repeat(64);
    let mut all = samples();
    let stripe = all.iter_mut().find(|sample| sample.scheme == Scheme::Stripe).unwrap();
    let signature = stripe.headers[0].1.clone();
    stripe.headers[0].1 = signature.replace(",v1=", &format!(",v1={zeros},v1="));
    assert_eq!(stripe.verify(stripe.at), Ok(()));
    stripe.headers[0].1 = format!("t=1,{signature}");
    assert_eq!(stripe.verify(stripe.at), Err(Unsigned::Wrong));

    let standard = all.iter_mut().find(|sample| sample.scheme == Scheme::Standard).unwrap();
    standard.headers[2].1 = format!("v1a,AAAA v1,AAAA {}", standard.headers[2].1);
    assert_eq!(standard.verify(standard.at), Ok(()));
    standard.headers.push(("webhook-timestamp", "1614265330".to_owned()));
    assert_eq!(standard.verify(standard.at), Err(Unsigned::Wrong), "a header given twice");
}

#[test]
fn a_delivery_has_its_vendors_name() {
    let named = |scheme: Scheme, payload: &Value| {
        let mut all = samples();
        let sample = all.iter_mut().find(|sample| sample.scheme == scheme).unwrap();
        sample.headers.push(("x-github-delivery", "72d3".to_owned()));
        sample.ask(&[], 0, |signed| scheme.delivery(signed, payload))
    };
    assert_eq!(named(Scheme::Github, &json!({})).as_deref(), Some("x-github-delivery:72d3"));
    assert_eq!(named(Scheme::Stripe, &json!({"id": "evt_1"})).as_deref(), Some("stripe:evt_1"));
    assert_eq!(named(Scheme::Stripe, &json!({"id": 7})), None);
    assert_eq!(named(Scheme::Standard, &json!({})).as_deref(), Some("webhook-id:msg_p5jXN8AQM9LWM0D4loKWxJek"));
    assert_eq!(named(Scheme::Slack, &json!({"event_id": "Ev1"})).as_deref(), Some("slack:Ev1"));
    assert!(named(Scheme::Slack, &json!("text")).unwrap().starts_with("slack:sha256:"));
    assert_eq!(named(Scheme::Telegram, &json!({"update_id": 9})).as_deref(), Some("telegram:9"));
    assert_eq!(named(Scheme::Generic, &json!({"id": "evt_1"})), None);
}
