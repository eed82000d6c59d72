//! Our side of a connection.

use std::sync::Arc;

use rmcp::model::{ClientCapabilities, ClientConfig, Implementation, ProtocolVersion};
use rmcp::service::NotificationContext;
use rmcp::{ClientHandler, RoleClient};

use super::health::Health;

/// What the server tells us without being asked.
pub(super) struct Listener {
    pub(super) health: Arc<Health>,
}

impl ClientHandler for Listener {
    fn get_info(&self) -> ClientConfig {
        let us = Implementation::new("flyball", env!("CARGO_PKG_VERSION"));
        // The newest version with the greeting that we use.
        ClientConfig::new(ClientCapabilities::default(), us).with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.health.note_tools_changed();
    }
}
