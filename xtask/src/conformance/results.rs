//! Test results, from the JUnit file that cargo-nextest writes.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

/// Whether each test passed, by `binary-id test::name`, as nextest prints it.
#[derive(Debug, Default)]
pub struct Results {
    passed: BTreeMap<String, bool>,
}

impl Results {
    /// `None`: no such test ran.
    pub fn passed(&self, id: &str) -> Option<bool> {
        self.passed.get(id).copied()
    }

    #[cfg(test)]
    pub fn of(tests: &[(&str, bool)]) -> Self {
        Self { passed: tests.iter().map(|(id, passed)| ((*id).to_owned(), *passed)).collect() }
    }

    /// Reads the few elements of the format that matter; all text in it is escaped, so a tag is a tag.
    pub fn from_junit(xml: &str) -> Result<Self> {
        if !xml.contains("<testsuites") {
            bail!("not a JUnit report");
        }
        let mut passed = BTreeMap::new();
        for part in xml.split("<testcase ").skip(1) {
            let Some(end) = end_of_tag(part) else { bail!("a test case without an end") };
            let (tag, rest) = part.split_at(end);
            let (Some(name), Some(binary)) = (attribute(tag, "name"), attribute(tag, "classname")) else {
                bail!("a test case without name and classname: {tag}");
            };
            let body = if tag.ends_with('/') { "" } else { rest.split("</testcase>").next().unwrap_or_default() };
            let failed = ["<failure", "<error", "<skipped"].iter().any(|tag| body.contains(tag));
            passed.insert(format!("{binary} {name}"), !failed);
        }
        Ok(Self { passed })
    }
}

/// Where the tag's `>` is; one inside quotes does not count.
fn end_of_tag(part: &str) -> Option<usize> {
    let mut quoted = false;
    part.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '>' && !quoted).then_some(at)
    })
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    // `classname` ends in `name`, so the space counts.
    let tag = format!(" {tag}");
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    let value = tag[start..].split('"').next()?;
    let unescaped = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(unescaped.iter().fold(value.to_owned(), |text, (from, to)| text.replace(from, to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="3" failures="1" errors="0">
  <testsuite name="flyball::seed" tests="3">
    <testcase name="step_01::wakes" classname="flyball::seed" timestamp="x" time="0.1">
    </testcase>
    <testcase name="step_02::a&lt;b&gt;" classname="flyball::seed" time="0.1"/>
    <testcase name="step_03::fails" classname="flyball::seed" time="0.1">
      <failure message="a &quot;b&quot;" type="test failure">panicked &lt;testcase name=</failure>
    </testcase>
    <testcase name="flaky" classname="flyball" time="0.1"><flakyFailure type="x">once</flakyFailure></testcase>
  </testsuite>
</testsuites>
"#;

    #[test]
    fn a_report_is_read_by_binary_and_name() {
        let results = Results::from_junit(REPORT).unwrap();
        assert_eq!(results.passed("flyball::seed step_01::wakes"), Some(true));
        assert_eq!(results.passed("flyball::seed step_02::a<b>"), Some(true));
        assert_eq!(results.passed("flyball::seed step_03::fails"), Some(false));
        assert_eq!(results.passed("flyball flaky"), Some(true));
        assert_eq!(results.passed("flyball::seed step_04::never_written"), None);
    }

    #[test]
    fn something_else_is_refused() {
        assert!(Results::from_junit("all tests passed").is_err());
        assert!(Results::from_junit("<testsuites><testcase name=\"a\"/>").is_err());
    }
}
