//! Secrets around a toolbox and an agent.

use std::collections::BTreeSet;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use flyball_core_agent::{
    Agent, CallError, Clock, Error, Failure, Invocation, Layer, Note, Outcome, RunId, ToolCall, ToolReply, ToolSpec, Toolbox,
};
use flyball_journal::Journal;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::config::{SecretScopeConfig, is_ttl};
use super::resolve::resolve_text;
use super::vault::{MIN_CHARS, Masker, PREFIX, Vault, end, is_name, wipe};
use crate::SecretProblem;
use crate::journalling::{Notes, not_recorded};

/// The name of the layer and of its notes.
const LAYER: &str = "secrets";

/// The secrets of one process, as its innermost layer: nothing outside of it ever sees a value.
///
/// The model writes `secret://NAME` in a call's arguments. The value is put in just before the tool
/// is called, and masked in what comes back. Dropped, the values are overwritten with zeros.
pub struct Secrets {
    core: Arc<Core>,
}

struct Core {
    /// Its texts are wiped.
    scope: SecretScopeConfig,
    clock: Arc<dyn Clock>,
    notes: Notes,
    vault: RwLock<Vault>,
    unfilled: RwLock<BTreeSet<String>>,
}

impl Secrets {
    /// The secrets of `config`, with variables as `env` says, living from now on.
    ///
    /// The error names every secret that cannot be had, and quotes no value. `config` has passed its
    /// [check](SecretScopeConfig::check).
    pub fn new(
        config: &SecretScopeConfig,
        env: &dyn Fn(&str) -> Option<String>,
        clock: Arc<dyn Clock>,
        journal: Arc<dyn Journal>,
    ) -> Result<Arc<Self>, crate::Error> {
        let (mut vault, mut problems) = (Vault::default(), Vec::new());
        let now = clock.now();
        for (name, text) in &config.secrets {
            match load(name, text, env) {
                Ok(value) => vault.put(name, value, end(now, config.ttl(name))),
                Err(why) => problems.push(SecretProblem { name: name.clone(), why }),
            }
        }
        if !problems.is_empty() {
            return Err(crate::Error::Secrets(problems));
        }
        let mut scope = config.clone();
        // Literals must not outlive the values made of them.
        scope.secrets.values_mut().for_each(zeroize::Zeroize::zeroize);
        let (vault, unfilled) = (RwLock::new(vault), RwLock::default());
        let core = Core { scope, clock, notes: Notes::new(LAYER, journal), vault, unfilled };
        Ok(Arc::new(Self { core: Arc::new(core) }))
    }

    /// From now on no value is put into calls of these tools: their arguments keep the `secret://NAME`
    /// as it is. For tools that write what they are given into a journal: state, memory, bus and broker.
    pub fn keep_from(&self, tools: impl IntoIterator<Item = String>) {
        self.core.unfilled.write().expect("no holder of the names panics").extend(tools);
    }

    /// Overwrites every value with zeros and forgets it. A call that is under way still has its result masked.
    pub fn revoke(&self) {
        if let Err(error) = self.core.revoke(None) {
            tracing::warn!(%error, "the secrets are revoked, which could not be written down");
        }
    }

    /// To be called when the process has stopped: revokes where the config says so.
    pub fn stopped(&self) {
        if self.core.scope.revoke_on_stop {
            self.revoke();
        }
    }
}

impl Layer for Secrets {
    fn name(&self) -> &'static str {
        LAYER
    }

    fn toolbox(&self, inner: Arc<dyn Toolbox>) -> Arc<dyn Toolbox> {
        Arc::new(Sealed { core: Arc::clone(&self.core), inner })
    }

    fn agent(&self, inner: Arc<dyn Agent>) -> Arc<dyn Agent> {
        Arc::new(Sealed { core: Arc::clone(&self.core), inner })
    }

    fn status(&self) -> Option<Value> {
        let now = self.core.clock.now();
        let vault = self.core.read();
        let secrets = vault
            .list()
            .map(|(name, end)| json!({"name": name, "expires_at": end, "expired": end.is_some_and(|end| now >= end)}));
        Some(json!({ "secrets": secrets.collect::<Vec<_>>() }))
    }

    /// `rotate` with `name`, `value` and optionally `ttl` in seconds; `revoke` with `name`, or of all
    /// without. The body of `rotate` holds a secret: whoever passes it on must not write it down.
    fn command(&self, request: &str, body: &Value) -> Result<Value, String> {
        let name = body.get("name").and_then(Value::as_str);
        match request {
            "rotate" => self.core.rotate(name.ok_or("rotate needs a `name`")?, body),
            "revoke" => self.core.revoke(name).map(|count| json!({ "revoked": count })),
            other => Err(format!("secrets take rotate and revoke, and no '{other}'")),
        }
    }
}

impl Core {
    fn rotate(&self, name: &str, body: &Value) -> Result<Value, String> {
        if !self.scope.secrets.contains_key(name) {
            return Err(format!("there is no secret '{name}'"));
        }
        let value = body.get("value").and_then(Value::as_str).ok_or("rotate needs a `value`, a text")?;
        let value = Zeroizing::new(value.to_owned());
        long_enough(&value).map_err(|why| format!("the new value {why}"))?;
        let ttl = match body.get("ttl") {
            None | Some(Value::Null) => self.scope.ttl(name),
            Some(ttl) => Some(ttl.as_f64().filter(|ttl| is_ttl(*ttl)).ok_or("`ttl` must be a number of seconds above 0")?),
        };
        self.note(None, "rotate", name, None).map_err(|error| error.to_string())?;
        let expires_at = end(self.clock.now(), ttl);
        self.write().put(name, value, expires_at);
        Ok(json!({"name": name, "expires_at": expires_at}))
    }

    /// Revokes first and writes it down then: a full disk must not keep a secret alive.
    fn revoke(&self, name: Option<&str>) -> Result<usize, String> {
        let names: Vec<String> = match name {
            Some(name) => vec![name.to_owned()],
            None => self.read().list().map(|(name, _)| name.to_owned()).collect(),
        };
        match name {
            Some(name) if !self.write().revoke(name) => return Err(format!("there is no secret '{name}'")),
            Some(_) => {}
            None => self.write().revoke_all(),
        }
        names.iter().try_for_each(|name| self.note(None, "revoke", name, None)).map_err(|error| error.to_string())?;
        Ok(names.len())
    }

    /// The call with values in place of names, what masks them, and the names that were used.
    fn fill(&self, call: &ToolCall) -> Result<(Filled, Arc<Masker>), String> {
        let now = self.clock.now();
        let mut filled = Filled { call: call.clone(), used: Vec::new() };
        let vault = self.read();
        let Filled { call: filling, used } = &mut filled;
        if !self.unfilled.read().expect("no holder of the names panics").contains(&call.name) {
            filling.args.values_mut().try_for_each(|value| vault.fill(value, now, used)).map_err(|why| {
                let known = vault.usable(now).join(", ");
                format!("'{}' was not called: {why}; there are: {known}", call.name)
            })?;
        }
        Ok((filled, vault.masker()))
    }

    fn note(&self, run: Option<&RunId>, action: &str, name: &str, tool: Option<&str>) -> Result<(), flyball_journal::Error> {
        let mut body = json!({"action": action, "secret": name});
        if let Some(tool) = tool {
            body["tool"] = json!(tool);
        }
        self.notes.push(run, &body)
    }

    fn read(&self) -> RwLockReadGuard<'_, Vault> {
        self.vault.read().expect("no holder of the vault panics")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vault> {
        self.vault.write().expect("no holder of the vault panics")
    }
}

/// A call that holds values. Dropped, also in the middle of the call, they are overwritten.
struct Filled {
    call: ToolCall,
    used: Vec<String>,
}

impl Drop for Filled {
    fn drop(&mut self) {
        self.call.args.values_mut().for_each(wipe);
    }
}

struct Sealed<T: ?Sized> {
    core: Arc<Core>,
    inner: Arc<T>,
}

#[async_trait]
impl Toolbox for Sealed<dyn Toolbox> {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        self.inner.list().await
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        let (filled, masker) = match self.core.fill(call) {
            Ok(filled) => filled,
            Err(why) => return Ok(ToolReply::error(why)),
        };
        for name in &filled.used {
            self.core.note(Some(call.run.id()), "access", name, Some(&call.name)).map_err(not_recorded)?;
        }
        let result = self.inner.call(&filled.call).await;
        masked(result, &masker)
    }
}

#[async_trait]
impl Agent for Sealed<dyn Agent> {
    async fn invoke(&self, mut invocation: Invocation) -> Result<Outcome, Error> {
        invocation.notes.extend(self.core.advice());
        self.inner.invoke(invocation).await
    }
}

impl Core {
    fn advice(&self) -> Option<Note> {
        let names = self.read().usable(self.clock.now()).iter().map(|name| format!("{PREFIX}{name}")).collect::<Vec<_>>();
        let text = format!(
            "Write one of these in place of a secret anywhere in a tool's arguments; the value is put in when the tool \
             is called, and you never see it: {}",
            names.join(", ")
        );
        (!names.is_empty()).then(|| Note::new("Secrets", text))
    }
}

fn load(name: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Zeroizing<String>, String> {
    if !is_name(name) {
        return Err("is no name for a secret: use letters, digits, `_`, `-` and inner dots".into());
    }
    let value = resolve_text(text, env).map_err(|missing| missing.to_string())?;
    long_enough(&value)?;
    Ok(value)
}

fn long_enough(value: &str) -> Result<(), String> {
    if value.chars().count() < MIN_CHARS {
        return Err(format!("is shorter than {MIN_CHARS} characters: it could not be masked in results"));
    }
    Ok(())
}

fn masked(result: Result<ToolReply, CallError>, masker: &Masker) -> Result<ToolReply, CallError> {
    match result {
        Ok(mut reply) => {
            reply.text = masker.mask(&reply.text);
            for change in &mut reply.changes {
                change.key = masker.mask(&change.key);
                masker.mask_value(&mut change.value);
            }
            Ok(reply)
        }
        Err(CallError::Failed(failure)) => {
            Err(CallError::Failed(Failure { message: masker.mask(&failure.message), sent: failure.sent }))
        }
        Err(CallError::Park(why)) => Err(CallError::Park(masker.mask(&why))),
        Err(CallError::Abort(why)) => Err(CallError::Abort(masker.mask(&why))),
        Err(ended @ (CallError::Halt(_) | CallError::Cancelled)) => Err(ended),
    }
}
