//! What a judge said, read strictly, and what follows from it.

use flyball_core_agent::Directive;
use serde::{Deserialize, Serialize};
use serde_json::{Deserializer, Map, Value};

use super::config::{MissionConfig, OnComplete};

/// A judge's verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The criteria are met.
    pub achieved: bool,
    /// How sure the judge is; 0 to 1.
    pub confidence: f64,
    /// Why.
    pub reasoning: String,
    /// How far the mission has come.
    pub progress_summary: String,
}

/// A reply longer than this is no verdict.
const MAX_REPLY_CHARS: usize = 20_000;

impl Verdict {
    /// The verdict in a judge's reply, which may stand in a code fence or among prose.
    ///
    /// There must be exactly one, of the right types: a guess here would end a mission that is not
    /// achieved. The error says what is wrong, for the operator.
    pub fn parse(reply: &str) -> Result<Self, String> {
        if reply.chars().count() > MAX_REPLY_CHARS {
            return Err(format!("the judge's reply is longer than {MAX_REPLY_CHARS} characters"));
        }
        let mut candidates: Vec<Map<String, Value>> = objects(reply);
        candidates.retain(|object| object.contains_key("achieved"));
        candidates.dedup();
        match candidates.as_slice() {
            [one] => Self::read(one),
            [] => Err("the judge's reply holds no JSON object with `achieved`".into()),
            _ => Err("the judge's reply holds more than one verdict".into()),
        }
    }

    fn read(object: &Map<String, Value>) -> Result<Self, String> {
        let achieved = object["achieved"].as_bool().ok_or("`achieved` is neither true nor false")?;
        let confidence = object.get("confidence").and_then(Value::as_f64).ok_or("`confidence` is not a number")?;
        if !(0.0..=1.0).contains(&confidence) {
            return Err("`confidence` is not between 0 and 1".into());
        }
        let text = |key: &str| match object.get(key) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(format!("`{key}` is not a text")),
        };
        Ok(Self { achieved, confidence, reasoning: text("reasoning")?, progress_summary: text("progress_summary")? })
    }
}

/// Every JSON object in `text` that stands in no other.
fn objects(text: &str) -> Vec<Map<String, Value>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find('{').map(|offset| at + offset) {
        let mut stream = Deserializer::from_str(&text[start..]).into_iter::<Value>();
        match stream.next() {
            Some(Ok(Value::Object(object))) => {
                found.push(object);
                at = start + stream.byte_offset();
            }
            _ => at = start + 1,
        }
    }
    found
}

/// What follows from a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The mission is complete.
    Complete,
    /// The criteria are met; an operator has the last word.
    Achieved,
    /// The judge is not sure enough: someone must look.
    LowConfidence,
    /// Not yet.
    GoOn,
}

/// What follows from `verdict`.
pub(super) fn decide(config: &MissionConfig, verdict: &Verdict) -> Decision {
    if verdict.confidence < config.confidence_threshold {
        Decision::LowConfidence
    } else if !verdict.achieved {
        Decision::GoOn
    } else if config.auto_complete {
        Decision::Complete
    } else {
        Decision::Achieved
    }
}

/// What a decision asks of the process.
pub(super) fn directive(config: &MissionConfig, decision: Decision, verdict: &Verdict) -> Directive {
    match decision {
        Decision::Complete => completion(config),
        Decision::LowConfidence => Directive::pause(format!(
            "mission: the judge is unsure (confidence {:.2}, below {:.2})",
            verdict.confidence, config.confidence_threshold
        )),
        Decision::Achieved | Decision::GoOn => Directive::Continue,
    }
}

/// What becomes of a process whose mission is complete.
pub(super) fn completion(config: &MissionConfig) -> Directive {
    match config.on_complete.unwrap_or_default() {
        OnComplete::Stop => Directive::stop("mission complete"),
        OnComplete::Suspend => Directive::pause("mission complete"),
        OnComplete::Continue => Directive::Continue,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(achieved: bool, confidence: f64) -> Verdict {
        Verdict { achieved, confidence, reasoning: "r".into(), progress_summary: "p".into() }
    }

    #[test]
    fn a_verdict_is_found_bare_fenced_and_among_prose() {
        let bare = r#"{"achieved": true, "confidence": 0.9, "reasoning": "r", "progress_summary": "p"}"#;
        for reply in [
            bare.to_owned(),
            format!("```json\n{bare}\n```"),
            format!("Here {{is}} my verdict: {bare} That is all."),
            format!("{bare}\n{bare}"),
        ] {
            assert_eq!(Verdict::parse(&reply), Ok(verdict(true, 0.9)), "{reply}");
        }
    }

    #[test]
    fn a_verdict_of_wrong_types_or_without_its_parts_is_none() {
        for reply in [
            "",
            "yes",
            "[true]",
            r#"{"achieved": "false", "confidence": 0.9}"#,
            r#"{"achieved": "true", "confidence": 0.9}"#,
            r#"{"achieved": 1, "confidence": 0.9}"#,
            r#"{"achieved": null, "confidence": 0.9}"#,
            r#"{"achieved": true}"#,
            r#"{"achieved": true, "confidence": "0.9"}"#,
            r#"{"achieved": true, "confidence": 1.5}"#,
            r#"{"achieved": true, "confidence": -0.1}"#,
            r#"{"achieved": true, "confidence": 90}"#,
            r#"{"achieved": true, "confidence": 0.9, "reasoning": 7}"#,
            r#"{"achieved": true, "confidence": 0.9"#,
            r#"{"verdict": {"achieved": true, "confidence": 0.9}}"#,
            r#"{"achieved": true, "confidence": 0.9} or rather {"achieved": false, "confidence": 0.9}"#,
        ] {
            assert!(Verdict::parse(reply).is_err(), "{reply}");
        }
    }

    #[test]
    fn an_unsure_judge_completes_nothing() {
        let config = MissionConfig::default();
        assert_eq!(decide(&config, &verdict(true, 0.7)), Decision::Complete);
        assert_eq!(decide(&config, &verdict(true, 0.69)), Decision::LowConfidence);
        assert_eq!(decide(&config, &verdict(false, 0.69)), Decision::LowConfidence);
        assert_eq!(decide(&config, &verdict(false, 0.9)), Decision::GoOn);
        let manual = MissionConfig { auto_complete: false, ..config };
        assert_eq!(decide(&manual, &verdict(true, 1.0)), Decision::Achieved);
    }
}
