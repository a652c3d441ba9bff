//! An object that is written part by part. Nothing is there before [`MultipartWriter::finish`].

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::{Bytes, BytesMut};

use super::MediaError;
use crate::error::AwsError;

/// Bytes of a part: S3 takes at least 5 MiB, and 10,000 parts of an object.
pub const PART: usize = 8 * 1024 * 1024;

/// An object on its way. One that is dropped leaves its parts behind, which the bucket's lifecycle takes away; better
/// [`abort`](Self::abort) it.
#[derive(Debug)]
pub struct MultipartWriter {
    client: Client,
    bucket: String,
    key: String,
    upload_id: String,
    buffer: BytesMut,
    parts: Vec<CompletedPart>,
    written: u64,
}

impl MultipartWriter {
    pub(super) async fn begin(
        client: Client,
        bucket: &str,
        key: &str,
        content_type: &str,
    ) -> Result<Self, MediaError> {
        let request = client.create_multipart_upload().bucket(bucket).key(key).content_type(content_type);
        let answer = request.send().await;
        let answer = answer.map_err(|error| AwsError::from_sdk("s3.CreateMultipartUpload", error))?;
        Ok(Self {
            client,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            upload_id: answer.upload_id.unwrap_or_default(),
            buffer: BytesMut::new(),
            parts: Vec::new(),
            written: 0,
        })
    }

    /// Bytes so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Adds bytes; whole parts leave at once.
    ///
    /// # Errors
    /// When a part cannot be stored.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), MediaError> {
        self.written += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        while self.buffer.len() >= PART {
            let part = self.buffer.split_to(PART).freeze();
            self.send(part).await?;
        }
        Ok(())
    }

    /// Adds what is left, and makes an object of it all, over whatever was there under its key. `Ok` means that it is
    /// durable.
    ///
    /// # Errors
    /// When a request fails.
    pub async fn finish(mut self) -> Result<u64, MediaError> {
        // An object has one part at least, be it empty.
        if !self.buffer.is_empty() || self.parts.is_empty() {
            let rest = self.buffer.split().freeze();
            self.send(rest).await?;
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.parts)).build();
        let request = self.client.complete_multipart_upload().bucket(self.bucket).key(self.key);
        let answer = request.upload_id(self.upload_id).multipart_upload(parts).send().await;
        answer.map_err(|error| AwsError::from_sdk("s3.CompleteMultipartUpload", error))?;
        Ok(self.written)
    }

    /// Gives up, and frees what was stored.
    ///
    /// # Errors
    /// When the request fails; then the bucket's lifecycle frees it.
    pub async fn abort(self) -> Result<(), MediaError> {
        let request = self.client.abort_multipart_upload().bucket(self.bucket).key(self.key);
        let answer = request.upload_id(self.upload_id).send().await;
        answer.map_err(|error| AwsError::from_sdk("s3.AbortMultipartUpload", error))?;
        Ok(())
    }

    async fn send(&mut self, part: Bytes) -> Result<(), MediaError> {
        let number = i32::try_from(self.parts.len() + 1).unwrap_or(i32::MAX);
        let request = self.client.upload_part().bucket(&self.bucket).key(&self.key);
        let request = request.upload_id(&self.upload_id).part_number(number).body(ByteStream::from(part));
        let answer = request.send().await.map_err(|error| AwsError::from_sdk("s3.UploadPart", error))?;
        self.parts.push(CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag).build());
        Ok(())
    }
}
