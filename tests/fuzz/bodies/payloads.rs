//! What stands in front of pictures.

use anteroom::wire::{av1, dependency_descriptor as dd, h264, vp8 as vp8_wire, vp9 as vp9_wire};

use super::input::Input;

/// A frame number that is set is read, and nothing else has changed.
pub fn dependency_descriptor(data: &[u8]) {
    let mut input = Input::new(data);
    let number = input.u16();
    let before = input.rest();
    let read = dd::Descriptor::parse(before);
    let mut after = before.to_vec();
    let set = dd::set_frame_number(&mut after, number);
    assert_eq!(set.is_ok(), read.is_ok());
    let Ok(read) = read else { return assert_eq!(after, before) };
    assert!(read.template_id < 64 && (!read.is_keyframe() || read.first_in_frame));
    let expected = dd::Descriptor { frame_number: number, ..read };
    assert_eq!(dd::Descriptor::parse(&after), Ok(expected));
    dd::set_frame_number(&mut after, read.frame_number).unwrap();
    assert_eq!(after, before);
}

/// A descriptor reads back as it was written; rewriting changes two numbers and nothing else.
pub fn vp8(data: &[u8]) {
    let mut input = Input::new(data);
    let (picture, tl0) = (input.u16(), input.u8());
    let payload = input.rest();
    let is_keyframe = vp8_wire::is_keyframe(payload);
    let mut after = payload.to_vec();
    let rewritten = vp8_wire::rewrite(&mut after, Some(picture), Some(tl0));
    let Ok((read, len)) = vp8_wire::Descriptor::parse(payload) else {
        assert!(rewritten.is_err() && after == payload && !is_keyframe);
        return;
    };
    rewritten.unwrap();
    let expected = vp8_wire::Descriptor {
        picture_id: read.picture_id.map(|old| old.with_value(picture)),
        tl0_picidx: read.tl0_picidx.map(|_| tl0),
        ..read
    };
    assert_eq!(vp8_wire::Descriptor::parse(&after), Ok((expected, len)));
    assert_eq!(after[len..], payload[len..]);
    assert_eq!(vp8_wire::is_keyframe(&after), is_keyframe);
    let mut out = [0; 8];
    let written = read.write(&mut out).unwrap();
    assert!(written <= len, "the shortest way to say it");
    // Bits of a layer that is not there are not kept.
    let layers = read.temporal_layer.is_some() || read.key_index.is_some();
    let expected = vp8_wire::Descriptor { layer_sync: read.layer_sync && layers, ..read };
    assert_eq!(vp8_wire::Descriptor::parse(&out[..written]), Ok((expected, written)));
}

/// Numbers are within their width, and only a first packet starts a keyframe.
pub fn vp9(data: &[u8]) {
    let is_keyframe = vp9_wire::is_keyframe(data);
    let Ok(read) = vp9_wire::Descriptor::parse(data) else { return assert!(!is_keyframe) };
    assert!(read.picture_id.is_none_or(|id| id <= 0x7fff));
    assert!(read.temporal_layer.is_none_or(|layer| layer < 8));
    assert!(read.spatial_layer.is_none_or(|layer| layer < 8));
    assert!(!is_keyframe || read.start_of_frame && !read.inter_picture);
}

/// What was a keyframe stays one however much follows.
pub fn h264(data: &[u8]) {
    let is_keyframe = h264::is_keyframe(data);
    assert!(!is_keyframe || !data.is_empty());
    let longer = [data, &[0, 1, 0x65]].concat();
    assert!(!is_keyframe || h264::is_keyframe(&longer));
}

/// What continues an OBU is a keyframe only by what follows.
pub fn av1(data: &[u8]) {
    let is_keyframe = av1::is_keyframe(data);
    assert!(!is_keyframe || data.len() > 1);
    if let Some((first, rest)) = data.split_first()
        && !is_keyframe
    {
        let continued = [&[first | 0x80], rest].concat();
        assert!(!av1::is_keyframe(&continued), "continuing makes no keyframe");
    }
}
