use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = String> {
    "\\PC{1,40}"
}

fn role() -> impl Strategy<Value = Role> {
    any::<bool>().prop_map(|yes| if yes { Role::Moderator } else { Role::Participant })
}

fn flags() -> impl Strategy<Value = SavedFlags> {
    any::<(bool, bool, bool)>().prop_map(|(paused, audio_muted, video_muted)| SavedFlags {
        paused,
        audio_muted,
        video_muted,
    })
}

fn stay() -> impl Strategy<Value = SavedStay> {
    (any::<u128>(), role(), any::<(bool, bool)>(), flags()).prop_map(|(room, role, (audio, video), leg)| {
        SavedStay { room: BreakoutId(room), role, audio, video, leg }
    })
}

fn entry() -> impl Strategy<Value = (Part, Record)> {
    let head =
        (text(), any::<(bool, u64, u64)>(), flags()).prop_map(|(name, (by_admin, made, seq), flags)| {
            let settings = RoomSettings { mode: RoomMode::Lecture, ..RoomSettings::default() };
            let head = SavedHead { name, settings, mode: RoomMode::Group, by_admin, flags, made, seq };
            (Part::Head, Record::Head(head))
        });
    let seat = (
        any::<(u128, (u128, Option<u128>), u64, u64, u64, bool, bool)>(),
        text(),
        role(),
        proptest::option::of(stay()),
    )
        .prop_map(
            |((client, (resume, previous), since, epoch, expires, microphone, camera), name, role, stay)| {
                let token_name = name.clone();
                let (token_expires, epoch) = (Time(expires), Epoch(epoch));
                let seat = SavedSeat {
                    name,
                    role,
                    since,
                    microphone,
                    camera,
                    stay,
                    resume,
                    previous,
                    token_name,
                    token_expires,
                    epoch,
                };
                (Part::Seat(ClientId(client)), Record::Seat(seat))
            },
        );
    let room = (any::<(u128, Option<u128>, u32, bool, bool)>(), text()).prop_map(
        |((id, owner, participants, open, cleared), name)| {
            let owner = owner.map(ClientId);
            let room = SavedRoom { name, owner, participants, kinds: KindSet::ALL, open, cleared };
            (Part::Room(BreakoutId(id)), Record::Room(room))
        },
    );
    let invitation = any::<(u128, u128, u128, Option<u64>)>().prop_map(|(room, client, inviter, at)| {
        let saved = SavedInvitation { inviter: ClientId(inviter), expires_at: at.map(Time) };
        (Part::Invitation(BreakoutId(room), ClientId(client)), Record::Invitation(saved))
    });
    let destroyed = proptest::collection::vec(any::<u128>().prop_map(BreakoutId), 0..20)
        .prop_map(|rooms| (Part::Destroyed, Record::Destroyed(rooms)));
    let expired = any::<(u128, u128)>()
        .prop_map(|(room, client)| (Part::Expired(BreakoutId(room), ClientId(client)), Record::Expired));
    prop_oneof![head, seat, room, invitation, destroyed, expired]
}

proptest! {
    #[test]
    fn a_record_reads_back_what_it_wrote((part, record) in entry(), session in 1..=u64::MAX) {
        let key = Key { session, part };
        prop_assert_eq!(Key::from_bytes(&key.to_bytes()), Ok(key));
        let read = Record::from_bytes(part, &record.to_bytes());
        prop_assert_eq!(read.as_ref(), Ok(&record));
        prop_assert_eq!(read.unwrap().fingerprint(), record.fingerprint());
    }

    #[test]
    fn a_record_that_is_cut_is_none((part, record) in entry(), cut in any::<proptest::sample::Index>()) {
        let bytes = record.to_bytes();
        prop_assume!(!bytes.is_empty());
        let read = Record::from_bytes(part, &bytes[..cut.index(bytes.len())]);
        prop_assert!(read.is_err(), "{:?}", read);
    }

    #[test]
    fn any_bytes_are_a_record_or_are_not(key in proptest::collection::vec(any::<u8>(), 0..60), record: Vec<u8>) {
        if let Ok(key) = Key::from_bytes(&key) {
            let _ = Record::from_bytes(key.part, &record);
        }
    }
}

#[test]
fn a_seat_of_the_first_version_is_read() {
    let text = r#"{"name": "Zoë", "role": "moderator", "since": 3, "microphone": true, "camera": false, "stay": null,
        "resume": "00000000000000000000000000000005", "token_name": "Zoë", "token_expires": 1, "epoch": 9}"#;
    let read = Record::from_bytes(Part::Seat(ClientId(7)), text.as_bytes());
    let Ok(Record::Seat(SavedSeat { resume: 5, previous: None, .. })) = read else { panic!("{read:?}") };
}

#[test]
fn keys_have_one_spelling() {
    let mut bytes = Key { session: 1, part: Part::Seat(ClientId(7)) }.to_bytes();
    bytes[KEY_BYTES - 1] = 1;
    assert_eq!(Key::from_bytes(&bytes), Err(Unreadable::Key(KEY_BYTES)), "a seat has no second id");
    let none = Key { session: 0, part: Part::Head }.to_bytes();
    assert_eq!(Key::from_bytes(&none), Err(Unreadable::Key(KEY_BYTES)), "sessions count from 1");
}
