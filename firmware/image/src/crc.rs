//! The checksum of everything in an image.

/// What four bits contribute. A table for eight would be a kilobyte of the board's flash.
const NIBBLES: [u32; 16] = {
    let mut table = [0; 16];
    let mut nibble = 0;
    while nibble < 16 {
        let mut crc = nibble as u32;
        let mut bit = 0;
        while bit < 4 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[nibble] = crc;
        nibble += 1;
    }
    table
};

/// Of CRC-32, reflected.
const POLYNOMIAL: u32 = 0xEDB8_8320;

/// CRC-32 (ISO-HDLC, the one of zip and Ethernet) as every checksum of the image uses it.
pub fn crc32(bytes: &[u8]) -> u32 {
    let nibble = |crc: u32| crc >> 4 ^ NIBBLES[(crc & 15) as usize];
    !bytes.iter().fold(!0, |crc, &byte| nibble(nibble(crc ^ u32::from(byte))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_catalogue() {
        let reference = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
        let bytes: Vec<u8> = (0..1000u32).map(|i| ((i * i) >> 3) as u8).collect();
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        for len in [0, 1, 2, 255, 1000] {
            assert_eq!(crc32(&bytes[..len]), reference.checksum(&bytes[..len]));
        }
    }
}
