//! What can go wrong, told apart by what the caller can do.

/// Why a tool did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arguments cannot be served as they are; change them. Nothing was done.
    #[error("{0}")]
    Refused(String),
    /// Another call holds the pipeline for longer than we wait. Nothing was done; call again.
    #[error("the pipeline is busy with another call; call again")]
    Busy,
    /// The warehouse said no. Nothing was kept of the load; call again once its cause is gone.
    #[error("the warehouse refused: {0}")]
    Warehouse(rusqlite::Error),
    /// The file system said no.
    #[error("{doing}: {cause}")]
    Io {
        /// What was tried.
        doing: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Something that this server wrote cannot be read back.
    #[error("{0}")]
    Damaged(String),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Warehouse(error)
    }
}

/// Names what was tried, for errors of the file system.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|cause| Error::Io { doing: what(), cause })
    }
}
