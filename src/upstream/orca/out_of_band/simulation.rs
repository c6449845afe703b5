//! Hosts that report, fail and fall silent, on a clock that goes from event to event.

use prost::Message as _;

use super::*;
use crate::base::headers::Name;

const PERIOD: Duration = Duration::from_secs(2);

fn headers(fields: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    fields.iter().for_each(|(name, value)| headers.append(Name::new(name.as_bytes()), value.as_bytes()));
    headers
}

fn head(status: u16, fields: &[(&str, &str)], end: bool) -> Heard {
    Heard::Head { status, headers: headers(fields), end }
}

fn begins() -> Heard {
    head(200, &[("content-type", "application/grpc")], false)
}

fn trailers(code: &str) -> Heard {
    Heard::Trailers(Box::new(headers(&[("grpc-status", code)])))
}

fn message() -> Heard {
    let message = Report { rps_fractional: 1.0, ..Report::default() }.encode_to_vec();
    let length = u8::try_from(message.len()).expect("it is short");
    Heard::Data([&[0, 0, 0, 0, length][..], &message].concat().into())
}

/// How a stream ends on which this is heard.
fn ending(heard: impl IntoIterator<Item = Heard>) -> Option<Ending> {
    let mut session = Session::new(PERIOD, Duration::ZERO, &mut Rng::seeded(1));
    session.begin(Duration::ZERO);
    heard.into_iter().find_map(|heard| session.hear(heard, Duration::ZERO, &mut Vec::new()))
}

#[test]
fn a_stream_ends_by_what_the_host_says() {
    let plain = ("content-type", "text/plain");
    for (heard, expected) in [
        (vec![begins(), message(), Heard::Data(Bytes::new())], None),
        (vec![begins(), trailers("0")], Some(Ending::Said)),
        (vec![begins(), message(), trailers("12")], Some(Ending::Unimplemented)),
        (vec![begins(), trailers("x")], Some(Ending::Said)),
        (vec![begins(), Heard::End], Some(Ending::Said)),
        (vec![begins(), Heard::Broken], Some(Ending::Said)),
        (vec![begins(), Heard::Lost], Some(Ending::Lost)),
        (vec![begins(), Heard::Data(Bytes::from_static(b"\x01\0\0\0\0"))], Some(Ending::Said)),
        (vec![head(200, &[("grpc-status", "12")], true)], Some(Ending::Unimplemented)),
        (vec![head(200, &[("grpc-status", "14")], true)], Some(Ending::Said)),
        (vec![head(200, &[("grpc-status", "12"), plain], false)], Some(Ending::Said)),
        (vec![head(200, &[plain], false)], Some(Ending::Said)),
        (vec![head(404, &[], true)], Some(Ending::Unimplemented)),
        (vec![head(404, &[plain], false)], Some(Ending::Unimplemented)),
        (vec![head(503, &[], true)], Some(Ending::Said)),
        (vec![begins(), Heard::GoAway(2)], Some(Ending::Said)),
        (vec![begins(), message(), Heard::GoAway(0)], None),
        (vec![begins(), Heard::GoAway(0), message()], Some(Ending::Said)),
    ] {
        let shown = format!("{heard:?}");
        assert_eq!(ending(heard), expected, "{shown}");
    }
}

#[test]
fn a_host_that_is_silent_is_given_up_after_three_periods_and_each_report_begins_them_anew() {
    let mut session = Session::new(PERIOD, Duration::ZERO, &mut Rng::seeded(2));
    session.begin(Duration::ZERO);
    assert_eq!(session.due(), Some(3 * PERIOD));
    let mut reports = Vec::new();
    let nothing = [begins(), Heard::Data(Bytes::from_static(&[0; 5])), Heard::GoAway(0)];
    for heard in nothing {
        assert_eq!(session.hear(heard, PERIOD, &mut reports), None);
    }
    assert_eq!(session.due(), Some(3 * PERIOD), "what is no report proves nothing");
    session.hear(message(), PERIOD, &mut reports);
    assert_eq!((reports.len(), session.due()), (1, Some(4 * PERIOD)));
}

#[test]
fn pauses_grow_until_a_report_comes() {
    let mut rng = Rng::seeded(3);
    let mut session = Session::new(PERIOD, Duration::ZERO, &mut rng);
    let mut longest = Duration::ZERO;
    for _ in 0..200 {
        session.begin(Duration::ZERO);
        session.ended(Ending::Lost, Duration::ZERO, &mut rng);
        longest = longest.max(session.due().expect("it is asked again"));
    }
    assert!(longest > Duration::from_secs(25) && longest < Duration::from_secs(30), "{longest:?}");
    session.begin(Duration::ZERO);
    session.hear(message(), Duration::ZERO, &mut Vec::new());
    session.ended(Ending::Said, Duration::ZERO, &mut rng);
    assert!(session.due() < Some(Duration::from_secs(1)));
}

/// Something that happens to a stream, and how it ends by that.
fn event(rng: &mut Rng) -> Heard {
    match rng.below(12) {
        0 => trailers("14"),
        1 => Heard::Lost,
        2 => Heard::GoAway(rng.below(2) as u32),
        3 => Heard::Broken,
        4 => Heard::Data(Bytes::copy_from_slice(&rng.next_u64().to_be_bytes())),
        _ => message(),
    }
}

#[test]
fn whatever_hosts_do_they_are_asked_in_time_and_never_after_they_said_that_they_do_not_report() {
    for seed in 0..200 {
        let mut rng = Rng::seeded(seed);
        let mut session = Session::new(PERIOD, Duration::ZERO, &mut rng);
        let (mut now, mut streams) = (Duration::ZERO, 0);
        assert!(session.due() < Some(PERIOD), "hosts are asked within the first period");
        for _ in 0..300 {
            let due = session.due().expect("it did not say so yet");
            assert!(due >= now && due - now <= Duration::from_secs(30).max(3 * PERIOD), "{due:?} at {now:?}");
            now = due;
            session.begin(now);
            streams += 1;
            let ending = loop {
                let given_up = session.due().expect("there is a stream");
                let next = now + rng.duration_below(4 * PERIOD);
                if next >= given_up {
                    now = given_up;
                    break Ending::Lost;
                }
                now = next;
                if let Some(ending) = session.hear(event(&mut rng), now, &mut Vec::new()) {
                    break ending;
                }
            };
            session.ended(ending, now, &mut rng);
        }
        assert_eq!(streams, 300);
        session.ended(Ending::Unimplemented, now, &mut rng);
        assert_eq!(session.due(), None);
        assert_eq!(session.hear(message(), now, &mut Vec::new()), None);
    }
}
