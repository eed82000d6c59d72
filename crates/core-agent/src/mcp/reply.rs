//! What a tool said, as text.

use rmcp::model::{CallToolResult, ContentBlock, ErrorData, ResourceContents};
use serde_json::Value;

use crate::ToolReply;

/// A tool's result as text of at most `max` bytes.
pub(super) fn reply(result: CallToolResult, max: usize) -> ToolReply {
    let mut parts: Vec<String> = result.content.iter().map(part).collect();
    if let Some(data) = &result.structured_content
        && !parts.iter().any(|part| says(part, data))
    {
        parts.push(data.to_string());
    }
    let text = cut(parts.join("\n"), max);
    ToolReply { is_error: result.is_error == Some(true), ..ToolReply::ok(text) }
}

/// An error of the protocol is an answer too: the server refused the call.
pub(super) fn refusal(error: &ErrorData, max: usize) -> ToolReply {
    let details = error.data.as_ref().map(|data| format!(" {data}")).unwrap_or_default();
    ToolReply::error(cut(format!("the server refused the call: {} (code {}){details}", error.message, error.code.0), max))
}

/// Cuts `text` to at most `max` bytes and says so.
pub(super) fn cut(mut text: String, max: usize) -> String {
    if text.len() <= max {
        return text;
    }
    let whole = text.len();
    let end = text.floor_char_boundary(max);
    text.truncate(end);
    text.push_str(&format!("\n[... cut: the first {end} of {whole} bytes ...]"));
    text
}

/// Whether `part` is `data`, written out for clients that know no structured content.
fn says(part: &str, data: &Value) -> bool {
    serde_json::from_str::<Value>(part).is_ok_and(|said| said == *data)
}

fn part(block: &ContentBlock) -> String {
    match block {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::Image(image) => format!("[an image, {}, {} bytes of base64 left out]", image.mime_type, image.data.len()),
        ContentBlock::Audio(audio) => format!("[a sound, {}, {} bytes of base64 left out]", audio.mime_type, audio.data.len()),
        ContentBlock::Resource(embedded) => resource(&embedded.resource),
        ContentBlock::ResourceLink(link) => format!("[resource '{}': {}]", link.name, link.uri),
        _ => "[content of an unknown kind left out]".to_owned(),
    }
}

fn resource(contents: &ResourceContents) -> String {
    match contents {
        ResourceContents::TextResourceContents { uri, text, .. } => format!("[resource {uri}]\n{text}"),
        ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => {
            let kind = mime_type.as_deref().unwrap_or("of an unknown type");
            format!("[resource {uri}, {kind}, {} bytes of base64 left out]", blob.len())
        }
        _ => "[a resource of an unknown kind left out]".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn structured_content_is_added_unless_the_text_says_it_already() {
        let data = json!({"rows": 3});
        let with = |content: Vec<ContentBlock>| {
            let mut result = CallToolResult::success(content);
            result.structured_content = Some(data.clone());
            reply(result, 1000).text
        };
        assert_eq!(with(vec![]), r#"{"rows":3}"#);
        assert_eq!(with(vec![ContentBlock::text("{\n  \"rows\": 3\n}")]), "{\n  \"rows\": 3\n}");
        assert_eq!(with(vec![ContentBlock::text("three rows")]), "three rows\n{\"rows\":3}");
    }

    #[test]
    fn what_is_no_text_is_named_and_left_out() {
        let text = reply(CallToolResult::success(vec![ContentBlock::image("QUJD", "image/png")]), 1000).text;
        assert_eq!(text, "[an image, image/png, 4 bytes of base64 left out]");
    }

    #[test]
    fn a_long_text_is_cut_between_letters_and_says_so() {
        assert_eq!(cut("short".into(), 5), "short");
        assert_eq!(cut("ééé".into(), 3), "é\n[... cut: the first 2 of 6 bytes ...]");
    }
}
