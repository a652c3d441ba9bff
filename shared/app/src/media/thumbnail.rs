//! Small pictures, for lists.

use std::io::Cursor;

use bytes::Bytes;
use cloud::media::MediaError;
use domain::media::{self as rules, MediaState};
use domain::{CompanyScope, MediaId};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, GenericImageView as _, ImageDecoder as _, ImageReader, Limits, RgbImage};

use super::store;
use crate::App;
use crate::error::Result;

/// What a small picture is.
pub(super) const MIME_TYPE: &str = "image/jpeg";

/// Its longest side, in pixels.
const SIDE: u32 = 320;

/// JPEG's quality of it.
const QUALITY: u8 = 80;

/// The most bytes that a picture may have to be made smaller: customers send up to this much.
const LARGEST: usize = rules::LARGEST_INBOUND as usize;

/// The most pixels of a side, and of all. A few kilobytes can claim to be a picture of terabytes.
const LONGEST_SIDE: u32 = 16_384;
const PIXELS: u64 = 50_000_000;

/// The most memory of the decoder: four bytes a pixel, and as much again for what it works with.
const MEMORY: u64 = PIXELS * 8;

/// Makes a small picture of a file, if it is a picture. One that cannot be read stays without. Safe to run twice.
///
/// # Errors
/// Retryable ones only.
pub async fn make(app: &App, scope: CompanyScope, media_id: MediaId) -> Result<()> {
    let mut tx = app.db().await?.begin(scope).await?;
    let media = db::media::find(&mut tx, media_id).await?;
    tx.commit().await?;
    let wanted = media.filter(|media| {
        media.state == MediaState::Ready
            && media.thumbnail_key.is_none()
            && rules::has_thumbnail(&media.mime_type)
    });
    let Some(media) = wanted else { return Ok(()) };
    let original = match app.media.read(&media.key, LARGEST).await {
        Ok(original) => original,
        Err(error @ (MediaError::NotFound | MediaError::TooLarge)) => {
            tracing::warn!(media.id = %media_id, %error, "no small picture of this file");
            return Ok(());
        }
        Err(error) => return Err(store(error)),
    };
    // Off the threads that wait: it computes for up to a second. A decoder that panics ends its own task alone.
    let Some(small) = tokio::task::spawn_blocking(move || shrink(&original)).await.unwrap_or_default() else {
        tracing::info!(media.id = %media_id, "a picture that cannot be read has no small one");
        return Ok(());
    };
    let key = key_of(&media.key);
    app.media.put(&key, MIME_TYPE, small).await.map_err(store)?;
    let mut tx = app.db().await?.begin(scope).await?;
    let wanted = db::media::set_thumbnail(&mut tx, media_id, &key).await?;
    tx.commit().await?;
    if !wanted {
        // It was erased meanwhile, and the small picture comes too late.
        app.media.delete(&key).await.map_err(store)?;
    }
    Ok(())
}

/// Where the small picture of a file lies.
pub(super) fn key_of(key: &str) -> String {
    format!("{key}.thumbnail")
}

fn shrink(original: &[u8]) -> Option<Bytes> {
    try_shrink(original).inspect_err(|error| tracing::debug!(%error, "picture not read")).ok()
}

fn try_shrink(original: &[u8]) -> Result<Bytes, image::ImageError> {
    let mut reader = ImageReader::new(Cursor::new(original)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > PIXELS {
        let kind = image::error::LimitErrorKind::DimensionError;
        return Err(image::ImageError::Limits(image::error::LimitError::from_kind(kind)));
    }
    // Phones turn the picture by a note in it, which the small one does not carry, nor anything else that tells of its
    // owner.
    let orientation = decoder.orientation()?;
    let whole = DynamicImage::from_decoder(decoder)?;
    let fits = whole.width() <= SIDE && whole.height() <= SIDE;
    let mut small = if fits { whole } else { whole.thumbnail(SIDE, SIDE) };
    small.apply_orientation(orientation);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(&on_white(&small))?;
    Ok(bytes.into())
}

/// JPEG knows no transparency; without this, it would be black.
fn on_white(picture: &DynamicImage) -> RgbImage {
    let mut opaque = RgbImage::new(picture.width(), picture.height());
    for (x, y, pixel) in picture.pixels() {
        let [red, green, blue, alpha] = pixel.0.map(u32::from);
        let over =
            |colour: u32| u8::try_from((colour * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX);
        opaque.put_pixel(x, y, image::Rgb([over(red), over(green), over(blue)]));
    }
    opaque
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageFormat, Rgba, RgbaImage};

    fn png(width: u32, height: u32, pixel: [u8; 4]) -> Vec<u8> {
        let picture = DynamicImage::from(RgbaImage::from_pixel(width, height, Rgba(pixel)));
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Png).expect("a picture is written");
        bytes.into_inner()
    }

    #[test]
    fn a_large_picture_becomes_small_and_a_small_one_stays() {
        for (width, height, expected) in [(1600, 800, (320, 160)), (10, 20, (10, 20)), (3, 4000, (1, 320))] {
            let small = shrink(&png(width, height, [10, 20, 30, 255])).expect("a picture");
            let small = image::load_from_memory_with_format(&small, ImageFormat::Jpeg).expect("a JPEG");
            assert_eq!((small.width(), small.height()), expected);
        }
    }

    #[test]
    fn what_is_transparent_becomes_white() {
        let small = shrink(&png(8, 8, [0, 0, 0, 0])).expect("a picture");
        let small = image::load_from_memory(&small).expect("a JPEG").to_rgb8();
        assert!(small.pixels().all(|pixel| pixel.0.iter().all(|colour| *colour > 250)));
    }

    #[test]
    fn a_bomb_does_not_go_off() {
        // A header that claims 65,535 by 65,535 pixels.
        let mut bomb = png(1, 1, [0, 0, 0, 255]);
        bomb[16..20].copy_from_slice(&65_535_u32.to_be_bytes());
        bomb[20..24].copy_from_slice(&65_535_u32.to_be_bytes());
        assert_eq!(shrink(&bomb), None);
        assert_eq!(shrink(&png(15_000, 4_000, [1, 2, 3, 255])), None, "more pixels than are taken");
    }

    #[test]
    fn what_is_no_picture_has_no_small_one() {
        assert_eq!(shrink(b"%PDF-1.7"), None);
        let broken = png(100, 100, [1, 2, 3, 255]);
        assert_eq!(shrink(&broken[..40]), None);
    }
}
