//! Real servers for tests, ours and those of crates that build on this one.

mod check;
mod openai_server;
mod raw_reply;
mod translate;

pub use openai_server::{OpenAiServer, Place};
pub use raw_reply::RawReply;
