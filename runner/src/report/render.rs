//! Jobs as YAML documents or as one JSON list.

use crate::cli::Format;
use crate::manifest::Manifest;

/// The manifests as text.
///
/// # Errors
/// When a manifest cannot be written; the text says why.
pub fn render(manifests: &[Manifest], format: Format) -> Result<String, String> {
    match format {
        Format::Json => {
            let list: Vec<_> = manifests.iter().map(Manifest::as_job).collect();
            serde_json::to_string_pretty(&list).map(|text| text + "\n").map_err(|error| error.to_string())
        }
        Format::Human => {
            let mut text = String::new();
            for manifest in manifests {
                text.push_str("---\n");
                text.push_str(&serde_yaml::to_string(manifest.as_job()).map_err(|error| error.to_string())?);
            }
            Ok(text)
        }
    }
}
