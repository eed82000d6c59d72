//! What a drop must look like.

use pipeline_ops_server::drop_name::{Month, check};
use pipeline_ops_server::validate::{Report, validate};

mod common;

const HEADER: &str = "date,precipitation,temp_max,temp_min,wind,weather";

fn row(row: &str) -> Report {
    validate(format!("{HEADER}\n{row}\n").as_bytes(), None)
}

#[test]
fn every_drop_that_we_ship_is_clean() {
    for folder in [common::seed(), common::seed().join("later")] {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if let Some(month) = Month::announced_by(&name) {
                let report = validate(&std::fs::read(entry.path()).unwrap(), Some(month));
                assert_eq!(report.summary(), None, "{name}");
                assert_eq!(report.good.len(), month.days(), "{name}");
            }
        }
    }
}

#[test]
fn a_bad_row_is_named_with_its_line_and_everything_that_is_wrong() {
    let report = row("2020-01-01,0,9,1,2,rain\n2020-01-02,wet,,1,2,hail");
    assert_eq!(report.good.len(), 1);
    let [bad] = report.bad.as_slice() else { panic!("{report:?}") };
    assert_eq!(bad.line, 3);
    let reasons = bad.reasons.join("; ");
    for part in ["precipitation 'wet' is not a number", "temp_max has no value", "weather 'hail' is none of"] {
        assert!(reasons.contains(part), "{reasons}");
    }
    assert_eq!(report.nulls, 1);
}

#[test]
fn each_way_of_being_wrong_is_found() {
    let cases = [
        ("2020-1-2,0,9,1,2,rain", "is not a date"),
        ("2020-02-30,0,9,1,2,rain", "is not a date"),
        ("2020-01-02,-9999,9,1,2,rain", "is not between"),
        ("2020-01-02,0,inf,1,2,rain", "is not a number"),
        ("2020-01-02,0,NaN,1,2,rain", "has no value"),
        ("2020-01-02,0,1,9,2,rain", "temp_min 9 is above temp_max 1"),
        ("2020-01-02,0,9,1,2", "5 cells where the header has 6"),
        ("2020-01-02,0,9,1,2,rain\n2020-01-02,0,9,1,2,rain", "is there twice"),
        ("2020-01-02,0,9,1,2,\u{7}\u{7}\"", "is none of"),
    ];
    for (text, reason) in cases {
        let summary = row(text).summary().unwrap_or_default();
        assert!(summary.contains(reason), "{text}: {summary}");
    }
}

#[test]
fn a_file_as_a_whole_can_be_wrong() {
    let month = Month::announced_by("weather-2020-01.csv");
    let whole = |text: &str| validate(text.as_bytes(), month).summary().unwrap_or_default();
    assert!(whole("").contains("empty"));
    assert!(whole(&format!("{HEADER}\n")).contains("no row below the header"));
    assert!(whole("date,wind\n2020-01-01,2\n").contains("columns are missing: precipitation, temp_max, temp_min, weather"));
    assert!(whole(&format!("{HEADER},mood\n2020-01-01,0,9,1,2,rain,good\n")).contains("nobody announced: mood"));
    assert!(whole(&format!("{HEADER}\n2020-01-01,0,9,1,2,rain\n")).contains("30 of 31 days of 2020-01 are missing"));
    assert!(whole(&format!("{HEADER}\n2020-02-01,0,9,1,2,rain\n")).contains("not in the month"));
}

#[test]
fn columns_may_stand_in_another_order() {
    let report = validate(b"weather,date,wind,temp_min,temp_max,precipitation\nsun,2020-01-01,2,1,9,0\n", None);
    assert_eq!(report.summary(), None);
    assert_eq!(report.good[0].temp_max, 9.0);
}

#[test]
fn garbage_is_reported_and_never_panics() {
    for bytes in [&b"\xff\xfe\x00\x01"[..], b"\"", b",,,,\n,,\n\"a\nb", b"date\0\n\n\n", "é\n\u{feff}".as_bytes()] {
        assert!(!validate(bytes, None).is_clean(), "{bytes:?}");
    }
}

#[test]
fn a_name_that_could_leave_the_inbox_is_refused() {
    for name in ["../secret.csv", "/etc/x.csv", "a/b.csv", "..\\x.csv", ".hidden.csv", "x.txt", "", "..", "a\n.csv", "a\0.csv"] {
        assert!(check(name).is_err(), "{name:?}");
    }
    for name in ["weather-2012-01.csv", "broken one.csv", "wéather.csv", "a\"b,c.csv"] {
        assert!(check(name).is_ok(), "{name:?}");
    }
}
