//! Files at Meta: finding, fetching and putting them there.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use secrecy::ExposeSecret;
use url::Url;

use super::client::{Credentials, WhatsAppCloud};
use super::error::{SendError, own_fault};
use super::lenient::text;
use crate::redact;

/// Longest time for moving a file, which may have 100 MB.
pub const TRANSFER_TIMEOUT: Duration = Duration::from_secs(60);

/// The code of a file that has more bytes than were allowed.
pub const TOO_LARGE: &str = "too_large";

/// Hosts, with everything below them, that may see the token. Media links come out of answers and webhooks: without
/// this list, whoever can forge one collects tokens.
const META_HOSTS: [&str; 4] = ["fbsbx.com", "facebook.com", "fbcdn.net", "whatsapp.net"];

/// Where a file can be fetched, for five minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaLocation {
    /// The link; works with the token only.
    pub url: String,
    /// Declared MIME type.
    pub mime_type: Option<String>,
    /// Declared SHA-256, hexadecimal here (webhooks give it in base64).
    pub sha256: Option<String>,
    /// Declared size in bytes.
    pub file_size: Option<u64>,
}

/// A fetched file. Its type is what Meta declares: look at the bytes before trusting it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// The file.
    pub bytes: Bytes,
    /// Declared MIME type.
    pub mime_type: Option<String>,
}

impl WhatsAppCloud {
    /// Asks where a media id can be fetched.
    ///
    /// # Errors
    /// [`SendError`]; an unknown outcome may be tried again here.
    pub async fn media_url(
        &self,
        credentials: &Credentials,
        media_id: &str,
    ) -> Result<MediaLocation, SendError> {
        if !is_id(media_id) {
            return Err(Self::refused("the media id is not made of letters and digits"));
        }
        let request = self.request(Method::GET, media_id, credentials);
        let request = request.query(&[("phone_number_id", &credentials.phone_number_id)]);
        let body = self.call(request).await?.json()?;
        Ok(MediaLocation {
            url: text(&body, "url").ok_or_else(|| SendError::unreadable("no url in it".to_owned()))?,
            mime_type: text(&body, "mime_type"),
            sha256: text(&body, "sha256"),
            file_size: text(&body, "file_size").and_then(|size| size.parse().ok()),
        })
    }

    /// Fetches a file of at most `largest` bytes. A `Rejected` with `HTTP 404` in its title: the link ran out, ask
    /// [`Self::media_url`] for another.
    ///
    /// # Errors
    /// [`SendError`]; also `Rejected` if the link does not lead to Meta, or with code [`TOO_LARGE`].
    pub async fn download(
        &self,
        credentials: &Credentials,
        url: &str,
        largest: usize,
    ) -> Result<Download, SendError> {
        if !may_see_token(&self.base_url, url) {
            return Err(Self::refused("the media link does not lead to Meta"));
        }
        let too_large = || SendError::Rejected(own_fault(TOO_LARGE, "the file is larger than allowed", None));
        let token = credentials.access_token.expose_secret();
        let request = self.http.get(url).bearer_auth(token).timeout(TRANSFER_TIMEOUT);
        let mut response = request.send().await.map_err(SendError::transport)?;
        let (status, headers) = (response.status(), response.headers().clone());
        if !status.is_success() {
            let body = response.bytes().await.unwrap_or_default();
            return Err(SendError::response(status, &headers, &body));
        }
        if response.content_length().is_some_and(|length| length > largest as u64) {
            return Err(too_large());
        }
        let mut bytes = BytesMut::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| SendError::unreadable(redact::transport(error)))?
        {
            if bytes.len() + chunk.len() > largest {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        let mime_type = headers.get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Download { bytes: bytes.freeze(), mime_type })
    }

    /// Puts a file at Meta, where it is kept for 30 days; answers its media id. Uploading twice costs nothing but
    /// the upload.
    ///
    /// # Errors
    /// [`SendError`]; an unknown outcome may be tried again here. `Rejected` if `mime_type` is none.
    pub async fn upload_media(
        &self,
        credentials: &Credentials,
        bytes: Bytes,
        mime_type: &str,
        filename: &str,
    ) -> Result<String, SendError> {
        let length = bytes.len() as u64;
        let part = Part::stream_with_length(bytes, length)
            .file_name(filename.to_owned())
            .mime_str(mime_type)
            .map_err(|_| Self::refused("the MIME type is malformed"))?;
        let form = Form::new().text("messaging_product", "whatsapp").part("file", part);
        let path = format!("{}/media", credentials.phone_number_id);
        let request = self.request(Method::POST, &path, credentials);
        let body = self.call(request.multipart(form).timeout(TRANSFER_TIMEOUT)).await?.json()?;
        text(&body, "id").ok_or_else(|| SendError::unreadable("no media id in it".to_owned()))
    }
}

/// Meta's hosts over TLS, or the very origin that we were told to speak to.
fn may_see_token(base_url: &str, url: &str) -> bool {
    let (Ok(url), Ok(base)) = (Url::parse(url), Url::parse(base_url)) else { return false };
    let host = url.host_str().unwrap_or("");
    let of_meta = META_HOSTS
        .iter()
        .any(|meta| host.strip_suffix(meta).is_some_and(|below| below.is_empty() || below.ends_with('.')));
    url.origin() == base.origin() || (url.scheme() == "https" && of_meta)
}

/// Ids go into a path.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_meta_sees_the_token() {
        for (url, allowed) in [
            ("https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1", true),
            ("http://lookaside.fbsbx.com/a", false),
            ("https://lookasidefbsbx.com/a", false),
            ("https://fbsbx.com.evil.example/a", false),
            ("https://user@evil.example/fbsbx.com", false),
            ("http://127.0.0.1:9000/media/1", true),
            ("http://127.0.0.1:9001/media/1", false),
            ("file:///etc/passwd", false),
            ("nonsense", false),
        ] {
            assert_eq!(may_see_token("http://127.0.0.1:9000", url), allowed, "{url}");
        }
    }
}
