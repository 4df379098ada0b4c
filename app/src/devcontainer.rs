//! The image that a repository's `devcontainer.json` names, read from the base; nothing else of that file is used.
//!
//! Whether it is read at all is the operator's choice, and whether the image is allowed is the sandbox's.

use jsonc_parser::{JsonValue, ParseOptions, parse_to_value};

/// Where the file may be, from the repository's root; the first that is there counts.
pub const PATHS: [&str; 2] = [".devcontainer/devcontainer.json", ".devcontainer.json"];
/// The longest file that is read, in bytes.
const FILE_BYTES_MAX: usize = 256 * 1024;
/// The longest name of an image, in bytes.
const IMAGE_BYTES_MAX: usize = 256;
/// How an image is made that is not there to be fetched.
const BUILDS: [&str; 3] = ["build", "dockerFile", "dockerComposeFile"];

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The image, where there is one that can be used.
    pub image: Option<String>,
    /// What people have to know of it, in a sentence.
    pub note: String,
}

/// Reads the file at `path`: JSON with comments, as strangers wrote it.
pub fn read(path: &str, text: &[u8]) -> Named {
    match image(text) {
        Ok((image, None)) => {
            let note = format!("The commands ran in the image `{image}`, which `{path}` names.");
            Named { image: Some(image), note }
        }
        Ok((image, Some(left_out))) => {
            let note = format!(
                "The commands ran in the image `{image}`, which `{path}` names; its `{left_out}` are not supported and were left out."
            );
            Named { image: Some(image), note }
        }
        Err(reason) => left_out(path, &reason),
    }
}

/// The same where it is not used, for a reason.
pub fn left_out(path: &str, reason: &str) -> Named {
    let note = format!(
        "`{path}` was not used, for {reason}: the commands ran in the operator's image. An `image` there, or in \
         `.github/patchwright.yml`, would be used if the operator allows it."
    );
    Named { image: None, note }
}

/// The image and the key beside it that is left out, or why there is none.
fn image(text: &[u8]) -> Result<(String, Option<&'static str>), String> {
    if text.len() > FILE_BYTES_MAX {
        return Err(format!("it is longer than {FILE_BYTES_MAX} bytes"));
    }
    let text = std::str::from_utf8(text).map_err(|_| "it is no text".to_owned())?;
    let options = ParseOptions { allow_missing_commas: false, allow_single_quoted_strings: false, ..ParseOptions::default() };
    let parsed =
        parse_to_value(text.trim_start_matches('\u{feff}'), &options).map_err(|error| format!("it cannot be read ({error})"))?;
    let Some(JsonValue::Object(file)) = parsed else { return Err("it is no object".to_owned()) };
    if let Some(key) = BUILDS.into_iter().find(|key| file.get(key).is_some()) {
        return Err(format!("its `{key}` is not supported"));
    }
    let Some(image) = file.get_string("image") else { return Err("it names no `image`".to_owned()) };
    if image.is_empty() || image.len() > IMAGE_BYTES_MAX || image.contains("${") {
        return Err("its `image` is no plain name".to_owned());
    }
    let features = file.get_object("features").filter(|features| !features.is_empty());
    Ok((image.clone().into_owned(), features.map(|_| "features")))
}

#[cfg(test)]
mod tests;
