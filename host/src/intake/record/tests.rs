//! Headings and records, as files have them.

use super::{joined::JOINED_LINES_MAX, *};
use crate::intake::fuzzing;

const NAMES: &[&str] = &["a", "b", "c"];

fn header(text: &str) -> Result<(), String> {
    Records::new(text.as_bytes(), NAMES, 1).map(|_| ()).map_err(|error| error.to_string())
}

fn rows(text: &str) -> Vec<Result<[String; 3], String>> {
    let mut records = Records::new(text.as_bytes(), NAMES, 1).unwrap();
    let mut rows = Vec::new();
    while let Some(record) = records.next() {
        rows.push(record.map(|r| [0, 1, 2].map(|i| r.text(i).to_owned())).map_err(|error| error.to_string()));
    }
    rows
}

#[test]
fn a_header_names_known_columns_once_each() {
    assert_eq!(header("c, a"), Ok(()));
    assert_eq!(header("C, A"), Ok(()));
    assert_eq!(header("a,d"), Err("line 1: header: unknown column \"d\"; known columns are: a, b, c".into()));
    assert_eq!(header("a,b,a"), Err("line 1: a: the column occurs twice".into()));
    assert_eq!(header("a,b,c,a,a,a,a"), Err("line 1: a: the column occurs twice".into()));
    assert_eq!(header("b"), Err("line 1: a: the column is missing; known columns are: a, b, c".into()));
    assert_eq!(header("\n \n\u{FEFF}\na,b\n"), Ok(()), "after blank lines");
    assert_eq!(header(""), Err("line 1: header: the input is empty; known columns are: a, b, c".into()));
}

const LAYOUT: Layout = Layout { others: &["x", "y"], is_foreign: true, ..Layout::plain(NAMES, 1) };

fn of(form: &Form, text: &str) -> (Vec<Result<[String; 3], String>>, Vec<String>) {
    let mut records = match Records::of(text.as_bytes(), LAYOUT, form) {
        Ok(records) => records,
        Err(error) => return (vec![Err(error.to_string())], Vec::new()),
    };
    let (mut rows, mut remarks) = (Vec::new(), Vec::new());
    loop {
        let row = records.next();
        let row = row.map(|row| row.map(|r| [0, 1, 2].map(|i| r.text(i).to_owned())).map_err(|e| e.to_string()));
        remarks.extend(std::iter::from_fn(|| records.remark()).map(|remark| remark.to_string()));
        match row {
            Some(row) => rows.push(row),
            None => return (rows, remarks),
        }
    }
}

fn row(cells: [&str; 3]) -> Result<[String; 3], String> {
    Ok(cells.map(str::to_owned))
}

#[test]
fn columns_of_other_names_are_passed_over_where_they_are_said() {
    let read = |text: &str| of(&Form::default(), text).0.remove(0);
    assert_eq!(read("x,a,Y,c\n1,2,3,4\n"), row(["2", "", "4"]));
    let unknown = read("x,a,y,c,b,z\n").unwrap_err();
    let words = "line 1: header: unknown column \"z\"; known columns are: a, b, c; --columns a=HEADING says";
    assert!(unknown.starts_with(words), "{unknown}");
    assert_eq!(read("x,y\n").unwrap_err(), "line 1: a: the column is missing; known columns are: a, b, c");
    let form = Form { columns: vec![("a".to_owned(), "Meter ID".to_owned())], ..Form::default() };
    let (rows, remarks) = of(&form, "a,notes,METER-ID,b\n1,2,3,4\n");
    assert_eq!(rows, [row(["3", "4", ""])]);
    assert_eq!(remarks, ["line 1: columns: \"notes\" means nothing here; passed over"]);
    let missing = of(&form, "a,b\n").0.remove(0).unwrap_err();
    assert_eq!(missing, "line 1: --columns: the file has no heading \"Meter ID\"");
}

#[test]
fn another_separator_is_named_and_read_where_somebody_says_so() {
    let read = |form: &Form, text: &str| of(form, text).0;
    let plain = Form::default();
    let refused = read(&plain, "a;b;c\n1;258,1;3\n").remove(0).unwrap_err();
    let words = "line 1: header: semicolons between columns, where commas are needed: --delimiter ';' reads them";
    assert!(refused.starts_with(words), "{refused}");
    assert!(read(&plain, "a\tb\n1\t2\n")[0].as_ref().unwrap_err().contains("tabs between columns"));
    assert!(read(&plain, "a|b\n")[0].as_ref().unwrap_err().contains("--delimiter '|'"));
    let semicolons = Form { delimiter: Some(b';'), ..Form::default() };
    assert_eq!(read(&semicolons, "a;b;c\n1;258,1;\"3;4\"\n"), [row(["1", "258,1", "3;4"])]);
    assert!(read(&semicolons, "a,b\n")[0].as_ref().unwrap_err().contains("commas between columns"));
    assert_eq!(read(&plain, "\u{FEFF}sep=;\na;b;c\n1;258,1;3\n"), [row(["1", "258,1", "3"])], "as spreadsheets say it");
    assert!(read(&plain, "sep=;\n")[0].as_ref().unwrap_err().contains("the input is empty"));
    let bare = read(&plain, "a,b\r1,2\r").remove(0).unwrap_err();
    assert!(bare.contains("a carriage return alone"), "{bare}");
}

#[test]
fn separators_at_the_end_are_of_the_heading_or_of_nobody() {
    let read = |text: &str| of(&Form::default(), text).0;
    assert_eq!(read("a,b,,\n1,2,,\n"), [row(["1", "2", ""])]);
    let moved = read("a,b,\n1,258,1\n").remove(0).unwrap_err();
    assert!(moved.starts_with("line 2: fields: \"1\" stands under no heading"), "{moved}");
    let more = read("a,b\n1,2,\n").remove(0).unwrap_err();
    assert!(more.ends_with("the header must end with one too"), "{more}");
    assert!(read("a,,b\n")[0].as_ref().unwrap_err().contains("column 2 has no heading"));
    let (rows, remarks) = of(&Form::default(), ",a,b\n0,1,2\n1,3,4\n");
    assert_eq!(rows, [row(["1", "2", ""]), row(["3", "4", ""])], "the numbers of a data frame's rows");
    assert_eq!(remarks, ["line 1: columns: \"(no heading)\" means nothing here; passed over"]);
}

#[test]
fn rows_of_empty_cells_are_passed_over_and_counted_in_one_remark() {
    let (rows, remarks) = of(&Form::default(), "a,b,c\n1,2,3\n,,\n , ,\u{A0}\n\"\",\"\",\"\"\n,,,,,\n4,5,6\n,,");
    assert_eq!(rows, [row(["1", "2", "3"]), row(["4", "5", "6"])]);
    assert_eq!(remarks, ["line 3: cells: 5 lines of empty cells alone, this the first; passed over"]);
}

#[test]
fn after_a_second_heading_columns_stand_where_it_says() {
    const WORDS: &[&str] = &["device", "code", "weight"];
    let read = |text: &str| {
        let mut records = Records::new(text.as_bytes(), WORDS, 2).unwrap();
        let mut rows = Vec::new();
        while let Some(record) = records.next() {
            rows.push(record.map(|r| [0, 1, 2].map(|i| r.text(i).to_owned())).map_err(|error| error.to_string()));
        }
        let remarks: Vec<String> = std::iter::from_fn(|| records.remark()).map(|r| r.to_string()).collect();
        (rows, remarks)
    };
    let again = "header: a second heading, as where files were joined; the lines after it are read by it";
    let (rows, remarks) = read("device,code\n1,2\n\u{FEFF}Device,Code\n3,4\n");
    assert_eq!((rows, remarks), (vec![row(["1", "2", ""]), row(["3", "4", ""])], vec![format!("line 3: {again}")]));
    let (rows, remarks) = read("device,code\n1,2\nweight,code,device\n3,4,5\n");
    assert_eq!((rows, remarks), (vec![row(["1", "2", ""]), row(["5", "4", "3"])], vec![format!("line 3: {again}")]));
    let (rows, _) = read("device,code\n1,2\ndevice,code,volts\n3,4,5\n6,7\n");
    assert_eq!(rows.len(), 2, "{rows:?}");
    let words =
        "line 3: header: a second heading, which cannot be read, and so not the 2 lines after it: unknown column";
    assert!(rows[1].as_ref().unwrap_err().starts_with(words), "{rows:?}");
    let (rows, _) = read("device,code\n1,2\ndevice,code,volts\n\n3,4\n");
    assert!(rows[1].as_ref().unwrap_err().contains("and so not the 1 line after it"), "{rows:?}");
    // A heading without a column that must be there is named by that column; lines after it are not lost either.
    let (rows, _) = read("device,code\n1,2\ncode\n3,4\n5,6\n");
    let words = "line 3: device: a second heading, which cannot be read, and so not the 2 lines after it: ";
    assert!(rows[1].as_ref().unwrap_err().starts_with(words), "{rows:?}");
    let alerts = b"device,code,counter\n00-DB-12-34-56-78-90-A0,8F40,1\ncounter\n00-DB-12-34-56-78-90-A0,8F40,2\n";
    assert_eq!(fuzzing::decoded(fuzzing::Format::Csv, alerts), 1);
}

#[test]
fn a_quoted_value_may_go_over_lines_where_it_matters_to_nobody() {
    let read = |text: &str| of(&Form::default(), text).0;
    assert_eq!(read("a,x\n1,\"one\n2,two\nthree\"\n4,five\n"), [row(["1", "", ""]), row(["4", "", ""])]);
    let (rows, remarks) = of(&Form::default(), "a,x\n1,\"one\n2\"\n3,\"three\nfour\"\n");
    let over = |from: u64, to: u64| {
        format!("line {from}: quotes: a value in quotes goes over lines {from} to {to}, which are read as one")
    };
    assert_eq!((rows.len(), remarks), (2, vec![over(2, 3), over(4, 5)]));
    // Of a column that means something no value has lines: these are quotes by mistake.
    let mistaken = read("a,b\n\"1,2\n7,8\n\"2,3\n4,5\n");
    let quotes = |line: u64| Err(format!("line {line}: quotes: a quoted field does not end on its line"));
    assert_eq!(mistaken, [quotes(2), row(["7", "8", ""]), quotes(4), row(["4", "5", ""])]);
    // A stray quote: its line is bad, and the lines after it are what they were.
    let stray = Err("line 2: quotes: a quoted field does not end on its line".to_owned());
    assert_eq!(read("a,b\n\"1,2\n3,4\n5,\"6\"\n"), [stray.clone(), row(["3", "4", ""]), row(["5", "6", ""])]);
    let many = "3,4\n".repeat(2 * JOINED_LINES_MAX);
    let rows = read(&format!("a,b\n\"1,2\n{many}5,\"6\"\n"));
    assert_eq!((rows.len(), &rows[0]), (2 * JOINED_LINES_MAX + 2, &stray));
    assert!(rows[1..].iter().all(Result::is_ok));
    let form = Form { one_line: true, ..Form::default() };
    assert_eq!(of(&form, "a,x\n1,\"one\ntwo\"\n").0.len(), 2, "a file that grows is not waited for");
}

#[test]
fn a_line_break_in_a_known_column_is_one_error_for_one_record() {
    let (rows, remarks) = of(&Form::default(), "a,b\n1,2\n\"3\n\",4\n5,\"6\n\n7\"\n8,9\n");
    let error = |column: &str, from: u64, to: u64| {
        Err(format!(
            "line {from}: {column}: a value in quotes goes over lines {from} to {to}, which are one record; no value of \
             this column does"
        ))
    };
    assert_eq!(rows, [row(["1", "2", ""]), error("a", 3, 4), error("b", 5, 7), row(["8", "9", ""])]);
    assert_eq!(remarks, [""; 0]);
}

#[test]
fn an_unclosed_quote_swallows_no_record() {
    const TOLD: Layout = Layout { telltale: Some((&[0], |text| text.len() == 2)), ..LAYOUT };
    let read = |text: &str| {
        let mut records = Records::of(text.as_bytes(), TOLD, &Form::default()).unwrap();
        let (mut taken, mut bad) = (Vec::new(), Vec::new());
        while let Some(record) = records.next() {
            match record {
                Ok(record) => taken.push(record.text(0).to_owned()),
                Err(error) => bad.push(error.line),
            }
        }
        let remarks: Vec<u64> = std::iter::from_fn(|| records.remark()).map(|remark| remark.line).collect();
        (taken.join(" "), bad, remarks)
    };
    let one = |taken: &str, bad: &[u64], remarks: &[u64]| (taken.to_owned(), bad.to_vec(), remarks.to_vec());
    // Inches, one of which in each line; a quote that opens in the first column or ends in a line's last; and where it is
    // the last line that would close it.
    assert_eq!(read("a,b,x\n01,1,\"5\n02,2,ok\n03,3,\"6\n04,4,ok\n"), one("02 04", &[2, 4], &[]));
    assert_eq!(read("x,a,b\n\"q,01,1\nok,02,2\n\"r\",03,3\nok,04,4\n"), one("02 03 04", &[2], &[]));
    assert_eq!(read("a,b,x\n01,1,\"5\n02,2,ok\"\n03,3,ok\n"), one("02 03", &[2], &[]));
    assert_eq!(read("a,b,x\n01,1,\"5\n02,2,\"\n03,3,ok\n"), one("03", &[2, 3], &[]));
    assert_eq!(read("a,b,x\n01,1,\"5\nnote\n03,3,\"ok\"\n"), one("03", &[2, 3], &[]));
    // A value that is one, with quotes in it and with separators.
    assert_eq!(read("a,x,b\n01,\"5\"\"\n,6, \"\"7\"\"\nend\",1\n02,,2\n"), one("01 02", &[], &[2]));
    // Without a value that tells a record, what follows the closing quote does.
    let (rows, remarks) = of(&Form::default(), "a,x\n1,\"5\n2,ok\n3,\"6\n4,ok\n");
    assert_eq!((rows.iter().filter(|row| row.is_ok()).count(), remarks.len()), (2, 0), "{rows:?}");
}

#[test]
fn columns_come_in_any_order_and_blank_lines_are_passed_over() {
    let rows = rows("c,a\n\n 3 ,1\n  \n\"x,\"\"y\",z\r\n\u{1A}");
    let expected = [["1", "", "3"], ["z", "", "x,\"y"]];
    assert_eq!(rows.into_iter().map(Result::unwrap).collect::<Vec<_>>(), expected);
}

#[test]
fn a_bad_line_is_named_and_the_rest_goes_on() {
    let rows = rows("a,b\n1\n1,2,3,4\n\"1,2\n5,6");
    assert_eq!(rows[0], Err("line 2: fields: 1 field where the header names 2".into()));
    let more =
        "line 3: fields: more fields where the header names 2; a decimal comma needs quotes, or another separator";
    assert!(rows[1].as_ref().unwrap_err().starts_with(more), "{rows:?}");
    assert_eq!(rows[2], Err("line 4: quotes: a quoted field does not end on its line".into()));
    assert_eq!(rows[3], Ok(["5".into(), "6".into(), String::new()]));
}
