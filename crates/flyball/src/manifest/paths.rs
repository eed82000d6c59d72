//! Relative paths mean the file's directory, wherever the program is started.

use std::path::{Path, PathBuf};

use super::config::ProcessConfig;

/// Puts `dir` before every relative path in `config`.
pub(super) fn resolve(config: &mut ProcessConfig, dir: &Path) {
    model(&mut config.model, dir);
    if let Some(judge) = &mut config.mission.eval_model {
        model(judge, dir);
    }
    for server in config.servers.values_mut() {
        if let Some(command) = server.command.as_mut().filter(|command| command.contains('/')) {
            *command = dir.join(&*command).to_string_lossy().into_owned();
        }
        server.cwd.iter_mut().for_each(|path| below(path, dir));
    }
    config.triggers.iter_mut().filter_map(|trigger| trigger.watch_path.as_mut()).for_each(|path| below(path, dir));
    config.journal.path.iter_mut().for_each(|path| below(path, dir));
    config.context.file_mounts.values_mut().for_each(|path| below(path, dir));
}

pub(super) fn below(path: &mut PathBuf, dir: &Path) {
    *path = dir.join(&*path);
}

/// A scripted model is a file.
fn model(model: &mut String, dir: &Path) {
    if let Some(file) = model.strip_prefix("scripted:") {
        *model = format!("scripted:{}", dir.join(file).to_string_lossy());
    }
}
