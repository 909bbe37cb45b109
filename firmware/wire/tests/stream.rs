//! Frames over a line that does everything wrong.

mod support;

use bitrack_wire::*;
use proptest::prelude::*;
use support::{any_request, errors, frame_of, requests, responses};

static DATA: [u8; MAX_CHUNK] = [0xA5; MAX_CHUNK];
static ZEROS: [u8; MAX_CHUNK] = [0; MAX_CHUNK];

/// Everything a decoder says about `bytes`: whole requests as `(seq, debug text)`, errors as they are.
fn decode(bytes: &[u8]) -> Vec<Result<(u16, String), FrameError>> {
    let mut decoder = Decoder::new();
    bytes.iter().filter_map(|&b| decoder.feed(b).map(|r| r.and_then(read_request))).collect()
}

fn read_request(frame: Frame<'_>) -> Result<(u16, String), FrameError> {
    frame.request().map(|r| (frame.seq, format!("{r:?}")))
}

fn whole(request: &Request<'_>, seq: u16) -> Result<(u16, String), FrameError> {
    Ok((seq, format!("{request:?}")))
}

#[test]
fn every_message_round_trips() {
    for (_, request) in requests() {
        assert_eq!(decode(&frame_of(&request, 7)), [whole(&request, 7)]);
    }
    for (name, response) in responses() {
        let mut decoder = Decoder::new();
        let frame = frame_of(&response, 9);
        let back = frame.iter().find_map(|&b| decoder.feed(b).map(|f| format!("{:?}", f.and_then(|f| f.response()))));
        assert_eq!(back, Some(format!("{:?}", Ok::<_, FrameError>(response))), "{name}");
    }
}

#[test]
fn the_largest_messages_fit() {
    for data in [&DATA, &ZEROS] {
        let chunk = Response::Output { offset: u32::MAX, total: u32::MAX, data };
        assert!(frame_of(&chunk, u16::MAX).len() <= MAX_FRAME);
    }
    let reply = HelloReply {
        firmware_revision: Text::new(&"r".repeat(99)),
        board_type: Text::new(&"b".repeat(99)),
        chip_id: Text::new(&"c".repeat(99)),
        slots: [Some(Slot { base: u32::MAX, len: u32::MAX }); MAX_SLOTS],
        clock_hz: u32::MAX,
        arena_bytes: u32::MAX,
        stack_bytes: u32::MAX,
        ..support::hello_reply()
    };
    assert!(frame_of(&Response::Hello(reply), 1).len() <= MAX_FRAME);
}

/// What a frame becomes on the line, by another encoder.
#[test]
fn stuffing_is_cobs() {
    let mut data = [0xA5; MAX_CHUNK];
    for at in 0..MAX_CHUNK {
        for value in [0, 0xA5] {
            data[at] = value;
            for len in [at + 1, MAX_CHUNK] {
                let frame = frame_of(&Request::SetInput { offset: u32::MAX, data: &data[..len] }, u16::MAX);
                let mut raw = frame[1..frame.len() - 1].to_vec();
                let raw_len = cobs::decode_in_place(&mut raw).expect("well-formed");
                let mut stuffed = vec![0; MAX_FRAME];
                let stuffed_len = cobs::encode(&raw[..raw_len], &mut stuffed);
                assert_eq!(frame[1..frame.len() - 1], stuffed[..stuffed_len], "{value} at {at} of {len}");
            }
        }
    }
}

#[test]
fn a_message_too_large_is_refused() {
    let data = [1; MAX_BODY];
    let mut buf = [0; MAX_FRAME];
    assert_eq!(encode(&Request::SetInput { offset: 0, data: &data }, 1, &mut buf), Err(EncodeError::TooLarge));
}

#[test]
fn a_small_buffer_is_refused_at_every_size() {
    let full = frame_of(&requests()[4].1, 1);
    for len in 0..full.len() {
        assert_eq!(encode(&requests()[4].1, 1, &mut vec![0; len]), Err(EncodeError::SmallBuffer), "{len} bytes");
    }
    assert_eq!(encode(&requests()[4].1, 1, &mut vec![0; full.len()]), Ok(&full[..]));
}

#[test]
fn errors_read_well() {
    let texts: Vec<_> = errors().iter().map(ToString::to_string).collect();
    assert_eq!(texts[11], "op 4: stride is zero");
    assert_eq!(texts[22], "the firmware died of a hard fault at 0x00001234 in op 5");
    assert_eq!(texts[23], "the firmware died of a panic at 0x00000000");
}

#[test]
fn an_echo_is_told_from_an_answer() {
    let mut decoder = Decoder::new();
    let frame = frame_of(&Request::Ping, 1);
    let echoed = frame.iter().find_map(|&b| decoder.feed(b).map(|f| f.and_then(|f| f.response().map(|_| ()))));
    assert_eq!(echoed, Some(Err(FrameError::WrongWay)));
}

#[test]
fn another_version_is_named() {
    let mut raw = vec![WIRE_VERSION + 1, b'>', 0, 0];
    raw.extend(crc32_by_bits(&raw).to_le_bytes());
    let mut line = vec![0; 64];
    let len = cobs::encode(&raw, &mut line);
    assert_eq!(decode(&line[..=len]), [Err(FrameError::Version { found: WIRE_VERSION + 1 })]);
}

#[test]
fn trailing_bytes_are_no_message() {
    let mut raw = vec![WIRE_VERSION, b'>', 0, 0, 1, 1];
    raw.extend(crc32_by_bits(&raw).to_le_bytes());
    let mut line = vec![0; 64];
    let len = cobs::encode(&raw, &mut line);
    assert_eq!(decode(&line[..=len]), [Err(FrameError::UnknownMessage)]);
}

/// The checksum, from its definition and not from the code under test.
fn crc32_by_bits(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xEDB8_8320 } else { c >> 1 })
    })
}

proptest! {
    #[test]
    fn any_request_round_trips(request in any_request(&DATA), seq: u16) {
        prop_assert_eq!(decode(&frame_of(&request, seq)), [whole(&request, seq)]);
    }

    #[test]
    fn a_frame_survives_any_garbage_before_it(garbage: Vec<u8>, request in any_request(&ZEROS), seq: u16) {
        let line = [garbage, frame_of(&request, seq)].concat();
        let heard = decode(&line);
        prop_assert_eq!(heard.last(), Some(&whole(&request, seq)));
    }

    #[test]
    fn a_flipped_bit_is_never_another_message(request in any_request(&DATA), at: prop::sample::Index, bit in 0..8u8) {
        let good = frame_of(&request, 5);
        let mut bad = good.clone();
        bad[at.index(good.len())] ^= 1 << bit;
        let heard = decode(&[&bad[..], &frame_of(&Request::Ping, 6)].concat());
        prop_assert!(heard[..heard.len() - 1].iter().all(|r| r.is_err() || *r == whole(&request, 5)));
        prop_assert_eq!(heard.last(), Some(&whole(&Request::Ping, 6)));
    }

    #[test]
    fn a_reset_in_the_middle_costs_one_frame(request in any_request(&DATA), cut: prop::sample::Index) {
        let good = frame_of(&request, 5);
        let line = [&good[..cut.index(good.len())], &frame_of(&Request::Ping, 6)].concat();
        let heard = decode(&line);
        prop_assert!(heard.len() <= 2);
        prop_assert_eq!(heard.last(), Some(&whole(&Request::Ping, 6)));
    }

    #[test]
    fn a_flood_without_zeros_is_one_error(flood in prop::collection::vec(1..=255u8, MAX_FRAME + 1..4 * MAX_FRAME)) {
        let line = [&flood[..], &frame_of(&Request::Ping, 6)].concat();
        prop_assert_eq!(decode(&line), [Err(FrameError::TooLong), whole(&Request::Ping, 6)]);
    }

    #[test]
    fn garbage_bodies_with_right_checksums_never_panic(body in prop::collection::vec(any::<u8>(), 0..MAX_BODY)) {
        for way in [b'>', b'<', b'?'] {
            let mut raw = [&[WIRE_VERSION, way, 1, 0][..], &body].concat();
            raw.extend(crc32_by_bits(&raw).to_le_bytes());
            let mut line = vec![0; MAX_FRAME];
            let len = cobs::encode(&raw, &mut line);
            let mut decoder = Decoder::new();
            for &byte in &line[..=len] {
                if let Some(Ok(frame)) = decoder.feed(byte) {
                    let _ = (frame.request(), frame.response());
                }
            }
        }
    }
}
