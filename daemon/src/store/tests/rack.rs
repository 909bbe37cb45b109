//! What is known of boards across a crash.

use super::*;

#[test]
fn flash_is_unknown_while_it_is_written_and_wear_is_never_forgotten() {
    let (mut db, _) = furnished();
    db.flash_begin("v1", &[0, 65536]).expect("noted");
    assert_eq!(db.flash_sectors("v1").expect("read")[&0], SectorState { sha256: None, erases: 1 });
    db.flash_done("v1", &[(0, "h0".into()), (65536, "h1".into())]).expect("noted");
    assert_eq!(db.flash_sectors("v1").expect("read")[&65536].sha256.as_deref(), Some("h1"));
    db.flash_begin("v1", &[0]).expect("noted");
    db.flash_forget("v1").expect("noted");
    let sectors = db.flash_sectors("v1").expect("read");
    assert!(sectors.values().all(|s| s.sha256.is_none()));
    assert_eq!(db.flash_wear("v1").expect("read"), 2);
}

#[test]
fn a_restart_closes_leases_and_finds_what_was_being_measured() {
    let (mut db, campaign) = furnished();
    db.lease_begin("v1", "somebody").expect("noted");
    let id = new_episode(&mut db, campaign, 3);
    db.episode_event(id, &EpisodeEvent::Measure).expect("legal");
    db.begin_rack(&[], &[]).expect("a rack");
    let open: i64 =
        db.conn.query_row("SELECT count(*) FROM leases WHERE until IS NULL", [], |r| r.get(0)).expect("counted");
    assert_eq!(open, 0);
    assert_eq!(db.measuring_episodes().expect("read"), [(EpisodeKey { campaign, index: 3 }, id)]);
}
