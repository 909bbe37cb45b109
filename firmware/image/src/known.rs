//! Images that were checked elsewhere, recognized by their checksums.

use crate::bytes::u32_at;
use crate::header::stored_id;
use crate::{HEADER_LEN, Image, ImageError, MAGIC, crc32};

/// What an image that was checked elsewhere is recognized by: two checksums, over all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// [`Header::image_id`].
    pub id: u32,
    /// [`Header::body_crc`].
    pub body_crc: u32,
}

impl Known {
    /// What `image` will be recognized by.
    pub fn of(image: &Image<'_>) -> Self {
        Self { id: image.id(), body_crc: image.header().body_crc }
    }
}

impl<'a> Image<'a> {
    /// One of the images that are `known` to be consistent, and nothing else: `bytes` (which may be longer, as a slot is) are compared
    /// with the checksums, and not looked at otherwise.
    ///
    /// # Errors
    /// The bytes are no image, are cut short, fail a checksum, or are another image.
    #[inline(always)]
    pub fn parse_known<E: From<ImageError>>(bytes: &'a [u8], known: &[Known]) -> Result<Self, E> {
        let have = bytes.len() as u32;
        let Some(head) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(E::from(ImageError::Truncated { needed: HEADER_LEN as u32, have }));
        };
        // On a blank slot "no image here" says more than "checksum".
        if u32_at(head, 0) != u32::from_le_bytes(MAGIC) {
            return Err(E::from(ImageError::BadMagic));
        }
        let (stored, computed) = (stored_id(head), crc32(&head[..HEADER_LEN - 4]));
        if stored != computed {
            return Err(E::from(ImageError::HeaderCrc { stored, computed }));
        }
        let Some(one) = known.iter().find(|one| one.id == stored) else {
            return Err(E::from(ImageError::Unknown { found: stored, known: known.first().map_or(0, |one| one.id) }));
        };
        let needed = u32_at(head, 8);
        let Some((image, body)) =
            bytes.get(..needed as usize).and_then(|image| Some((image, image.get(HEADER_LEN..)?)))
        else {
            return Err(E::from(ImageError::Truncated { needed, have }));
        };
        let computed = crc32(body);
        if computed != one.body_crc {
            return Err(E::from(ImageError::BodyCrc { stored: one.body_crc, computed }));
        }
        Ok(Self { bytes: image, head })
    }
}
