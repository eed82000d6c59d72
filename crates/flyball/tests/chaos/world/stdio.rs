//! A tool server on the standard streams, that behaves well until its tool is called.

use std::fs::File;
use std::io::{BufRead, Write, stdin, stdout};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

/// Where the calls are counted, one line each.
pub const CALLS: &str = "CHAOS_CALLS";

/// Serves until stdin ends.
///
/// `well`, `hang`, `exit`, `garbage`, `huge`, `wrong-id`, `changes`, `worsens`: what comes of a call. With
/// `, once` only the first call ends so.
pub fn serve(behaviour: &str) -> ExitCode {
    let (behaviour, once) = behaviour.split_once(',').map_or((behaviour, false), |(behaviour, _)| (behaviour, true));
    let mut changed = false;
    for line in stdin().lock().lines().map_while(Result::ok) {
        let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
        let Some(id) = message.get("id").filter(|id| !id.is_null()).cloned() else { continue };
        let result = match message["method"].as_str().unwrap_or_default() {
            "initialize" => json!({
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {"listChanged": true}},
                "serverInfo": {"name": "chaos", "version": "1"},
            }),
            "tools/list" => json!({"tools": tools(behaviour, changed)}),
            "tools/call" => {
                let earlier = note(&message["params"]);
                match if once && earlier > 0 { "well" } else { behaviour } {
                    "changes" | "worsens" if !changed => {
                        changed = true;
                        say(&json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}));
                        // So that the news is heard before the answer.
                        std::thread::sleep(Duration::from_millis(200));
                        done()
                    }
                    "well" | "changes" => done(),
                    other => {
                        misbehave(other, &id);
                        continue;
                    }
                }
            }
            _ => json!({}),
        };
        say(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
    }
    ExitCode::SUCCESS
}

/// `act`; once they have changed, `another` and not `act`, or an `act` that no longer says that it only looks.
fn tools(behaviour: &str, changed: bool) -> Value {
    let name = if behaviour == "changes" && changed { "another" } else { "act" };
    let mut tool = json!({"name": name, "description": name, "inputSchema": {"type": "object", "properties": {}}});
    if behaviour == "worsens" && !changed {
        tool["annotations"] = json!({"readOnlyHint": true});
    }
    json!([tool])
}

fn done() -> Value {
    json!({"content": [{"type": "text", "text": "done"}], "isError": false})
}

/// Writes the call down; says how many there were before it.
fn note(params: &Value) -> usize {
    let Some(path) = std::env::var_os(CALLS) else { return 0 };
    let earlier = std::fs::read_to_string(&path).unwrap_or_default().lines().count();
    let mut file = File::options().create(true).append(true).open(path).expect("calls can be counted");
    writeln!(file, "{params}").expect("calls can be counted");
    earlier
}

fn misbehave(behaviour: &str, id: &Value) {
    match behaviour {
        "hang" | "worsens" => std::thread::sleep(Duration::from_secs(3600)),
        "exit" => std::process::exit(3),
        "garbage" => {
            println!("this is no JSON\n\u{0}{{\"jsonrpc\": ]");
            std::thread::sleep(Duration::from_secs(3600));
        }
        "huge" => {
            let piece = vec![b'x'; 1 << 20];
            let mut out = stdout().lock();
            // A gibibyte without a line's end. Who closes the pipe meanwhile does well.
            let _ = (0..1024).try_for_each(|_| out.write_all(&piece));
            let _ = out.flush();
            std::thread::sleep(Duration::from_secs(3600));
        }
        "wrong-id" => say(&json!({"jsonrpc": "2.0", "id": format!("not {id}"), "result": done()})),
        other => eprintln!("nobody knows how to behave as '{other}'"),
    }
}

fn say(message: &Value) {
    println!("{message}");
    let _ = stdout().flush();
}
