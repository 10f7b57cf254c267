//! Files that all pages use. Their addresses have a digest of what is in them, so that browsers keep
//! them for good and never use an old one.

use std::sync::LazyLock;

use actix_web::{HttpResponse, http::header};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Bytes of the digest in an address.
const DIGEST_BYTES: usize = 6;

/// A file.
pub(super) struct Asset {
    pub(super) path: String,
    content_type: &'static str,
    text: &'static str,
}

pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("templates/page.css");
    Asset::new("style", "css", "text/css; charset=utf-8", text)
});
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("templates/page.js");
    Asset::new("live", "js", "text/javascript; charset=utf-8", text)
});
pub(super) static ICON: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("templates/icon.svg");
    Asset::new("icon", "svg", "image/svg+xml", text)
});

impl Asset {
    fn new(name: &str, ending: &str, content_type: &'static str, text: &'static str) -> Self {
        let digest = Sha256::digest(text);
        let digest = HEXLOWER.encode(&digest[..DIGEST_BYTES]);
        Self {
            path: format!("/page/{name}.{digest}.{ending}"),
            content_type,
            text,
        }
    }
}

/// Answers with the file that has a path, if there is one.
pub(super) fn answer(path: &str) -> Option<HttpResponse> {
    let assets = [&STYLE, &SCRIPT, &ICON];
    let asset = assets.into_iter().find(|asset| asset.path == path)?;
    Some(
        HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
            .content_type(asset.content_type)
            .body(asset.text),
    )
}
