use super::*;
use proptest::prelude::*;

const TYPE: &[u8] = b"multipart/form-data; boundary=\"xX\"";

fn scan(reads: &[&[u8]]) -> Result<(Fields, Vec<Reference>), &'static str> {
    let mut scan = FormScan::new(TYPE).unwrap();
    for read in reads {
        scan.push(read)?;
    }
    scan.finish()?;
    let references = std::mem::take(&mut scan.references);
    Ok((scan.fields().clone(), references))
}

fn form(parts: &[(&str, &str)]) -> Vec<u8> {
    let part = |(head, value): &(&str, &str)| {
        format!("--xX\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
    };
    let body: String = parts.iter().map(part).collect();
    (body + "--xX--\r\n").into_bytes()
}

#[test]
fn fields_are_found_in_any_place_and_any_split() {
    let body = form(&[
        (
            "name=\"file\"; filename=\"a.wav\"",
            "--xY\r\n--x name=\"model\"\r\n\r\nno",
        ),
        ("name=\"empty\"", ""),
        ("name=\"model\"", "whisper\u{7}-1"),
        ("name=\"stream\"", "True"),
    ]);
    let expected = Fields {
        model: Some("whisper\u{fffd}-1".to_owned()),
        stream: true,
        choices: 0,
        names_models: false,
    };
    let expected = Ok((expected, Vec::new()));
    for first in 0..=body.len() {
        assert_eq!(scan(&[&body[..first], &body[first..]]), expected, "{first}");
    }
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(scan(&bytes), expected);
}

#[test]
fn a_file_called_model_is_a_file() {
    let body = form(&[
        ("name=\"model\"; filename=\"model\"", "x"),
        ("name=model", "y"),
    ]);
    assert_eq!(scan(&[&body]).unwrap().0.model.as_deref(), Some("y"));
}

#[test]
fn fields_that_refer_to_stored_objects_are_reported() {
    for (head, kind) in [
        ("name=\"video[id]\"", Some(ObjectKind::Video)),
        (
            "name=\"video[id]\"; filename=\"a\"",
            Some(ObjectKind::Video),
        ),
        ("name=video", Some(ObjectKind::Video)),
        (
            "name=\"video\"; filename=\"a.mp4\"",
            Some(ObjectKind::Video),
        ),
        (
            "name=\"video\"; filename=\"a.mp4\"\r\nContent-Type: video/mp4",
            None,
        ),
        ("name=\"video\"; filename=\"\"", Some(ObjectKind::Video)),
        (
            "name=\"input_reference\"; filename*=UTF-8''a",
            Some(ObjectKind::File),
        ),
        (
            "name=\"inputReference[]\"; filename=\"\"",
            Some(ObjectKind::File),
        ),
        ("name=\"fileId\"", Some(ObjectKind::File)),
        ("name=\"file id\"", Some(ObjectKind::File)),
        ("name=\"file.id\"", Some(ObjectKind::File)),
        ("name=\"file_id[0][]\"", Some(ObjectKind::File)),
        ("name=\"video.id\"", Some(ObjectKind::Video)),
        (
            "name=\"a[b].vectorStoreIds\"",
            Some(ObjectKind::VectorStore),
        ),
        ("name=\"input_reference[0]\"", Some(ObjectKind::File)),
        ("name=\"input_reference.0\"", Some(ObjectKind::File)),
        ("name=\"input.reference\"", Some(ObjectKind::File)),
        ("name=\"characters[0][]\"", Some(ObjectKind::Character)),
        (
            "name=\"input_reference[0]\"; filename=\"a\"\r\nContent-Type: image/png",
            None,
        ),
        ("name=\"file\"; filename=\"\"", None),
        ("name=\"video_prompt\"", None),
        ("name=\"input_reference[file_id]\"", Some(ObjectKind::File)),
        ("name=\"file_id\"; filename=\"a\"", Some(ObjectKind::File)),
        ("name=\"File_ID\"", Some(ObjectKind::File)),
        (
            "name=\"file_id\"; filename=\"a\\\"b\\\\\"",
            Some(ObjectKind::File),
        ),
        ("name=\"input_reference[image_url]\"", None),
        ("name=\"input_reference\"", Some(ObjectKind::File)),
        ("name=\"prompt\"", None),
    ] {
        let (_, references) = scan(&[&form(&[("name=a", "b"), (head, "the-id")])]).unwrap();
        let found = references.first().map(|found| &found.claim);
        assert_eq!(found.map(|claim| claim.kind), kind, "{head}");
        assert!(found.is_none_or(|claim| claim.id == "the-id"), "{head}");
    }
    let unchosen = form(&[("name=\"video\"; filename=\"\"", "")]);
    assert!(scan(&[&unchosen]).unwrap().1.is_empty());
    let long = "x".repeat(2_000);
    for split in [100, 1_500, 2_050] {
        let id = form(&[("name=file_id", &long)]);
        assert!(scan(&[&id[..split], &id[split..]]).is_err());
        // Python's requests sends a file like this.
        let file = form(&[("name=\"video\"; filename=\"a\"", &long)]);
        assert_eq!(scan(&[&file[..split], &file[split..]]).unwrap().1, []);
    }
}

#[test]
fn an_ambiguous_form_is_refused() {
    const PART: &str = "Content-Disposition: form-data; name=\"a\"\r\n\r\nx";
    let whole = format!("--xX\r\n{PART}\r\n--xX--\r\n");
    assert!(scan(&[whole.as_bytes()]).is_ok());
    for body in [
        String::new(),
        format!("preamble\r\n{whole}"),
        format!("--xX--junk\r\n{whole}"),
        whole.replace("\r\n", "\n"),
        whole.replace("x\r\n--xX--", "x\n--xX\r\n--xX--"),
        whole.replace("x\r\n--xX--", "x\r--xX\r\n--xX--"),
        whole.replace("x\r\n--xX--", "x--xX\r\n--xX--"),
        whole.replace("x\r\n--xX--", "x--xX--\r\n--xX--"),
        whole.replace("name=\"a\"", "name=\"_method\""),
        whole.replace("name=\"a\"", "name=\"_charset_\""),
        whole.replace("--xX\r\n", "--xX \r\n"),
        whole.replace("--xX--\r\n", ""),
        format!("{whole}--xX\r\n{PART}\r\n--xX--\r\n"),
        whole.replace("form-data; name", "form-data;\r\n name"),
        whole.replace("name=\"a\"", "name*=UTF-8''file%5Fid"),
        whole.replace("name=\"a\"", "name*0=file_; name*1=id"),
        whole.replace("name=\"a\"", "name=\"a\"; name=\"file_id\""),
        whole.replace("name=\"a\"", "name=\"file\\_id\""),
        whole.replace("name=\"a\"", "name=\"file%5Fid\""),
        whole.replace("name=\"a\"", "x=\"; filename=a\"; name=\"video[id]\""),
        whole.replace(
            "name=\"a\"",
            "name=\"a\"; filename=\"b\\\"; name=\"file_id\"",
        ),
        whole.replace("Content-Disposition", "Content-Type"),
        whole.replace(
            PART,
            &format!("Content-Disposition: form-data; name=b\r\n{PART}"),
        ),
    ] {
        assert!(scan(&[body.as_bytes()]).is_err(), "{body:?}");
    }
}

#[test]
fn endless_parts_are_not_kept() {
    let mut scan = FormScan::new(TYPE).unwrap();
    let begin = b"--xX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n";
    scan.push(begin).unwrap();
    for _ in 0..1000 {
        scan.push(&[b'm'; 1000]).unwrap();
        assert!(scan.carry.len() < 4 * MAX_VALUE_BYTES);
    }
    assert_eq!(scan.fields(), &Fields::default());
    let mut scan = FormScan::new(TYPE).unwrap();
    scan.push(b"--xX\r\n").unwrap();
    assert!((0..1000).any(|_| scan.push(&[b'h'; 1000]).is_err()));
    assert!(scan.carry.len() < 2 * MAX_HEAD_BYTES);
}

#[test]
fn a_delimiter_of_another_form_is_content() {
    let body = form(&[("name=\"a\"", "x--x\r\n--y\r\n--x-X"), ("name=model", "m")]);
    assert_eq!(scan(&[&body]).unwrap().0.model.as_deref(), Some("m"));
}

#[test]
fn other_types_are_no_forms() {
    for text in [
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=x",
        "multipart/form-data; xboundary=a; boundary=x; boundary=y",
        "multipart/form-data; boundary=\"x",
        "multipart/form-data; boundary*=x",
    ] {
        assert!(FormScan::new(text.as_bytes()).is_none(), "{text}");
    }
    assert!(FormScan::new(b"Multipart/Form-Data;charset=UTF-8; Boundary=a-b").is_some());
}

proptest! {
    #[test]
    fn any_split_of_any_bytes_reads_the_same(
        parts in prop::collection::vec(prop::sample::select(vec![
            "--xX", "\r\n", "--", "Content-Disposition: form-data; name=\"model\"", "stream", "m", "\n", ": ;=\"",
        ]), 0..30),
        cut in 0usize..400,
    ) {
        let body = parts.concat().into_bytes();
        let cut = cut.min(body.len());
        let whole = scan(&[&body]);
        prop_assert_eq!(scan(&[&body[..cut], &body[cut..]]), whole.clone());
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        prop_assert_eq!(scan(&bytes), whole);
    }

    #[test]
    fn no_part_of_an_id_is_sent_before_it_is_complete(
        fields in prop::collection::vec(prop::sample::select(vec![
            ("name=\"file_id\"", "\u{1}\u{2}\u{3}"), ("name=\"video[id]\"", "\u{4}"), ("name=\"fileIds[]\"", ""),
            ("name=\"a\"", "text"), ("name=\"file\"; filename=\"a\"", "--x\r\n\r\n--x"), ("name=model", "m"),
        ]), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let body = form(&fields);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let mut passing = PassingForm::new(TYPE).unwrap();
        let (mut left, mut reported) = (Vec::new(), String::new());
        for pair in cuts.windows(2) {
            let read = Bytes::copy_from_slice(&body[pair[0]..pair[1]]);
            let (may_leave, references) = passing.push(read).unwrap();
            reported.extend(references.iter().map(|reference| reference.claim.id.as_str()));
            left.extend_from_slice(&may_leave);
            // The ids of this test are the only control characters but line ends.
            let of_ids = left.iter().filter(|byte| **byte < 10).count();
            prop_assert_eq!(of_ids, reported.len());
            prop_assert!(passing.withheld.len() <= MAX_VALUE_BYTES);
        }
        prop_assert!(passing.finish().is_ok());
        prop_assert_eq!(left, body);
    }
}
