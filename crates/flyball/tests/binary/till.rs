//! A tool server in a few lines of shell, which counts its calls and can be told to fail.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes `till` into `folder`: an MCP server with one tool, `pay`, which says of itself what `annotations` say.
/// Each call is a line in `calls`. The first is never answered: `first` is what the server does then.
pub fn write(folder: &Path, annotations: &str, first: &str) {
    let server = SERVER.replace("ANNOTATIONS", annotations).replace("FIRST", first);
    // In place before it is there, for who finds it may run it.
    let (draft, path) = (folder.join("till.new"), folder.join("till"));
    fs::write(&draft, server).expect("the server can be written");
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).expect("it may be run");
    fs::rename(draft, path).expect("it can be put in place");
}

/// How often it was called.
pub fn calls(folder: &Path) -> usize {
    fs::read_to_string(folder.join("calls")).unwrap_or_default().lines().count()
}

const SERVER: &str = r#"#!/bin/sh
while read -r line; do
  id=$(echo "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
  case "$line" in
    *'"initialize"'*) result='{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"till","version":"0"}}' ;;
    *'"tools/list"'*) result='{"tools":[{"name":"pay","inputSchema":{"type":"object"},"annotations":ANNOTATIONS}]}' ;;
    *'"tools/call"'*)
      echo paid >>calls
      if [ "$(wc -l <calls)" -eq 1 ]; then FIRST; fi
      result='{"content":[{"type":"text","text":"paid again"}]}' ;;
    *) result='{}' ;;
  esac
  [ -z "$id" ] || echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":$result}"
done
"#;
