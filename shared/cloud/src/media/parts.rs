//! An object that is written part by part by one process after the other: what a process has to know is the upload's name
//! and those of its parts, which the caller keeps. Nothing is there before [`MediaStore::finish_upload`].

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use super::{MediaError, MediaStore};
use crate::error::AwsError;

impl MediaStore {
    /// Begins to write an object; the upload's name. Parts of one that nobody finishes are freed by the bucket's lifecycle.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn begin_upload(&self, key: &str, content_type: &str) -> Result<String, MediaError> {
        let request = self.client().await?.create_multipart_upload().bucket(&self.location.bucket).key(key);
        let answer = request.content_type(content_type).send().await;
        let answer = answer.map_err(|error| AwsError::from_sdk("s3.CreateMultipartUpload", error))?;
        Ok(answer.upload_id.unwrap_or_default())
    }

    /// Stores a part, over whatever had its number: 1 to 10,000, each but the last of 5 MiB at least. The part's name.
    ///
    /// # Errors
    /// [`MediaError::NotFound`] when the upload is over; else when the request fails.
    pub async fn put_part(
        &self,
        key: &str,
        upload_id: &str,
        number: i32,
        bytes: Bytes,
    ) -> Result<String, MediaError> {
        let request = self.client().await?.upload_part().bucket(&self.location.bucket).key(key);
        let request = request.upload_id(upload_id).part_number(number).body(ByteStream::from(bytes));
        let answer = request.send().await;
        let answer = answer.map_err(|error| over(AwsError::from_sdk("s3.UploadPart", error)))?;
        Ok(answer.e_tag.unwrap_or_default())
    }

    /// Makes an object of parts, over whatever was there under its key. `Ok` means that it is durable.
    ///
    /// # Errors
    /// [`MediaError::NotFound`] when the upload is over, as it is when this was done already; else when the request fails.
    pub async fn finish_upload(
        &self,
        key: &str,
        upload_id: &str,
        parts: &[String],
    ) -> Result<(), MediaError> {
        let parts = (1..)
            .zip(parts)
            .map(|(number, name)| CompletedPart::builder().part_number(number).e_tag(name).build());
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let request = self.client().await?.complete_multipart_upload().bucket(&self.location.bucket).key(key);
        let answer = request.upload_id(upload_id).multipart_upload(parts).send().await;
        answer.map_err(|error| over(AwsError::from_sdk("s3.CompleteMultipartUpload", error)))?;
        Ok(())
    }
}

/// A store that knows no such upload says so.
fn over(error: AwsError) -> MediaError {
    if error.code() == Some("NoSuchUpload") || error.status() == Some(404) {
        MediaError::NotFound
    } else {
        error.into()
    }
}
