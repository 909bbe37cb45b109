//! The store by itself: legal and illegal transitions, crashes in between, and a file that others hold, fill up or protect.

mod campaigns;
mod episodes;
mod file;
mod measurements;
mod rack;

use serde_json::json;

use super::*;
use crate::config::{Board, BoardType, Campaign, Limits as Asked, Link, Objective, Unit};
use crate::types::{EpisodeState, Limits, MeasurementWall, Policy, Proposal, Reward};

const IMAGE: &str = "aa";

fn asked() -> Campaign {
    Campaign {
        name: "kws".into(),
        model: "/m".into(),
        data: "/d".into(),
        strategy: "ddpg".into(),
        objective: Objective::Reward,
        seed: 1,
        budget: 10,
        board_types: vec!["mps2-an386".into()],
        limits: Asked::default(),
        window: None,
        warmup: 1,
        repeats: 3,
        options: json!({}),
    }
}

fn proposal(index: u32, image: Option<&str>) -> Proposal {
    let layer = json!({ "name": "conv1", "kind": "conv2d", "weight_bits": 4, "input_bits": 8, "output_bits": 2,
                        "geometry": "conv2d 4x4x3->4x4x8" });
    let step = json!({ "tensor": "conv1.weight", "state": [0.5], "raw_action": 0.3, "bits_asked": 4, "bits": 2 });
    serde_json::from_value(json!({
        "index": index, "client_key": format!("key {index}"), "strategy": "ddpg", "policy": { "layers": [layer] },
        "steps": [step], "accuracy": 0.9, "flash_bytes": 1000, "ram_bytes": 500, "image_sha256": image,
    }))
    .expect("a proposal")
}

fn measurement(episode: Option<i64>, ticks: u64) -> NewMeasurement {
    NewMeasurement {
        episode,
        board: "v1".into(),
        board_type: "mps2-an386".into(),
        image_sha256: IMAGE.into(),
        accepted: true,
        bit_exact: true,
        repeats: vec![ticks, ticks + 2, ticks + 1],
        unit: Unit::Instructions,
        clock_hz: 25_000_000,
        arena_planned: 64,
        arena_high_water: Some(60),
        stack_high_water: Some(900),
        output_crc: Some(0xab),
        expected_crc: Some(0xab),
        firmware_revision: "f1".into(),
        runner_sha256: "r1".into(),
        chip_id: "c1".into(),
        slot: 0,
        sectors_written: 1,
        bytes_written: 65536,
        wall: MeasurementWall::default(),
        layers: vec![crate::types::LayerTicks {
            index: 0,
            kind: "conv2d".into(),
            variant: None,
            weight_bits: Some(4),
            input_bits: 8,
            output_bits: 2,
            ticks,
        }],
    }
}

/// A rack of one board, one image and one campaign.
fn furnish(db: &mut Db) -> i64 {
    let boards = [Board { name: "v1".into(), board_type: "mps2-an386".into(), chip_id: None, link: Link::Virtual }];
    db.begin_rack(&boards, &[BoardType::builtin("mps2-an386").expect("built in")]).expect("a rack");
    let image = ImageRow { sha256: IMAGE.into(), bytes: 9, model_len: 8, arena: 64, ops: 1, vectors: 1, model_id: 7 };
    db.put_image(&image).expect("an image");
    db.create_campaign(&CampaignSpec { name: "kws".into(), asked: asked(), unit: Unit::Instructions, origin: None })
        .expect("a campaign")
}

fn furnished() -> (Db, i64) {
    let mut db = Db::in_memory();
    let campaign = furnish(&mut db);
    (db, campaign)
}

/// A campaign whose only limit is this latency.
fn limited(ticks: u64) -> (Db, i64) {
    let (mut db, _) = furnished();
    let mut asked = asked();
    asked.limits.latency = Some(crate::config::Limit::Absolute(ticks));
    let spec = CampaignSpec { name: "limited".into(), asked, unit: Unit::Instructions, origin: None };
    let campaign = db.create_campaign(&spec).expect("a campaign");
    (db, campaign)
}

fn new_episode(db: &mut Db, campaign: i64, index: u32) -> i64 {
    match db.propose(campaign, &proposal(index, Some(IMAGE))).expect("accepted") {
        Proposed::New(id) => id,
        Proposed::Known(_) => panic!("episode {index} was there"),
    }
}
